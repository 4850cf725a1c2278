"""Planning in last-switch-dependent bandits: the relaxation three ways, planners with guarantees, exact optima of small problems.

An arm that is watched alone walks round cycles: rest r rounds, then play s (length r + s), or play for ever. The relaxation asks how often each cycle
should be completed if only the number of plays per round is limited, not that no two fall together; no policy earns more.

Letters: K arms, m memory, c a cycle; a cycle (0, 1) is play for ever. Tables are those of SwitchBandit.table.
Sources: Foussoul, Goyal, Papadigenopoulos, Zeevi, "Last Switch Dependent Bandits with Monotone Payoff Functions", arXiv 2306.00338; Papadigenopoulos,
Caramanis, Shakkottai, "Non-Stationary Bandits under Recharging Payoffs", arXiv 2205.14790. The forms here were derived anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theorylab.errors import SolverError
from theorylab.kernels import copy_into, kernel
from theorylab.problems.record import Array

Integers = NDArray[np.int64]

#: Which payoff decides between virtual plays that fall together: the virtual one, the actual one, or (wrongly, for mutants) the lowest arm.
VIRTUAL, ACTUAL, LOWEST = range(3)

#: Halvings of the interval in which the best price of a play lies.
HALVINGS = 100


# -- states ---------------------------------------------------------------------------------------------------------------------------------


@kernel
def moved(state, is_played, m):  # type: ignore[no-untyped-def]
    """The next state of an arm."""
    if is_played:
        return -1 if state > 0 else max(state - 1, -m)
    return 1 if state < 0 else min(state + 1, m)


# -- the relaxation -------------------------------------------------------------------------------------------------------------------------


def cycles(m: int) -> Integers:
    """(m^2 + 1, 2) all (rest, play); the last is (0, 1), play for ever."""
    return np.array([(r, s) for r in range(1, m + 1) for s in range(1, m + 1)] + [(0, 1)], dtype=np.int64)


@kernel
def cycle_reward(mu, m, r, s):  # type: ignore[no-untyped-def]
    """What a cycle earns: its first play in state r, the others in -1, -2, ...; play for ever earns mu(-m) a round."""
    if r == 0:
        return mu[0]
    total = mu[r + m]
    for j in range(1, s):
        total += mu[m - j]
    return total


@kernel
def priced(table, price):  # type: ignore[no-untyped-def]
    """(D, slope) of the dual at a price of a play: price + sum over arms of max(0, max over cycles (reward - price plays) / length)."""
    m = (table.shape[1] - 1) // 2
    total, slope = price, 1.0
    for i in range(table.shape[0]):
        best, plays = table[i, 0] - price, 1.0
        for r in range(1, m + 1):
            reward = 0.0
            for s in range(1, m + 1):
                reward += table[i, r + m] if s == 1 else table[i, m - s + 1]
                rate = (reward - price * s) / (r + s)
                if rate > best:
                    best, plays = rate, s / (r + s)
        if best > 0.0:
            total += best
            slope -= plays
    return total, slope


@kernel
def dual(table):  # type: ignore[no-untyped-def]
    """(value, price): the minimum of the dual over prices >= 0. Its slope is bisected; then the two lines that meet in the minimum are met."""
    low, high = 0.0, max(table.max(), 1e-300)
    value, slope = priced(table, low)
    if slope >= 0.0:
        return value, low
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        _, slope = priced(table, middle)
        if slope < 0.0:
            low = middle
        else:
            high = middle
    left, falling = priced(table, low)
    right, rising = priced(table, high)
    if rising - falling <= 0.0 or high <= low:
        return min(left, right), high
    # left + falling x = right - rising (high - low - x) at the corner
    step = (right - left - rising * (high - low)) / (falling - rising)
    step = min(max(step, 0.0), high - low)
    return left + falling * step, low + step


@dataclass(frozen=True)
class Relaxation:
    """value; rate (K, C): how often each cycle is completed per round, a vertex with at most K + 1 positive entries."""

    value: float
    rate: Array


def rewards(table: Array) -> Array:
    """(K, C) what each cycle of each arm earns."""
    m = (table.shape[1] - 1) // 2
    return np.array([[cycle_reward(mu, m, r, s) for r, s in cycles(m)] for mu in table])


def relaxation(
    table: Array, *, reward: Array | None = None, length_error: int = 0, with_capacity: bool = True, with_arms: bool = True
) -> Relaxation:  # fmt: skip
    """The linear program over cycles (HiGHS, a vertex). Raises SolverError.

    For mutants: other rewards (K, C), an error of every length, and either kind of row left out.
    """
    import cvxpy as cp

    K, m = len(table), (table.shape[1] - 1) // 2
    catalogue = cycles(m)
    reward = rewards(table) if reward is None else reward
    length = catalogue.sum(axis=1) + length_error
    rate = cp.Variable((K, len(catalogue)), nonneg=True)
    constraints = [rate @ length <= 1] if with_arms else []
    constraints += [cp.sum(rate @ catalogue[:, 1]) <= 1] if with_capacity else []
    problem = cp.Problem(cp.Maximize(cp.sum(cp.multiply(reward, rate))), constraints)
    problem.solve(solver=cp.HIGHS, primal_feasibility_tolerance=1e-10, dual_feasibility_tolerance=1e-10)
    if problem.status != cp.OPTIMAL:
        raise SolverError(f"HiGHS stopped with status {problem.status!r} on a relaxation of {K} arms.")
    found = np.maximum(np.asarray(rate.value), 0.0)
    found[found < 1e-12] = 0.0
    return Relaxation(float((reward * found).sum()), found)


def occupation_value(table: Array) -> float:
    """The same value as a linear program over how often each state is met and played: balance of flow, one play a round. Raises SolverError."""
    import cvxpy as cp

    K, m = len(table), (table.shape[1] - 1) // 2
    states = [*range(-m, 0), *range(1, m + 1)]
    index = {tau: j for j, tau in enumerate(states)}
    into_rest, into_play = np.zeros((2 * m, 2 * m)), np.zeros((2 * m, 2 * m))
    for tau in states:
        into_rest[index[moved(tau, False, m)], index[tau]] = 1.0
        into_play[index[moved(tau, True, m)], index[tau]] = 1.0
    rest, play = cp.Variable((K, 2 * m), nonneg=True), cp.Variable((K, 2 * m), nonneg=True)
    constraints = [rest + play == rest @ into_rest.T + play @ into_play.T, cp.sum(rest + play, axis=1) == 1, cp.sum(play) <= 1]
    problem = cp.Problem(cp.Maximize(cp.sum(cp.multiply(np.delete(table, m, axis=1), play))), constraints)
    problem.solve(solver=cp.HIGHS, primal_feasibility_tolerance=1e-10, dual_feasibility_tolerance=1e-10)
    if problem.status != cp.OPTIMAL:
        raise SolverError(f"HiGHS stopped with status {problem.status!r} on occupations of {K} arms.")
    return float(problem.value)


def emax(table: Array, rate: Array) -> float:
    """Mean of the largest virtual payoff of a round: arms draw cycles and offsets independently, positions of a cycle are equally likely."""
    m = (table.shape[1] - 1) // 2
    laws = []
    for mu, rates in zip(table, rate, strict=True):
        chance: dict[float, float] = {}
        for (r, s), x in zip(cycles(m), rates, strict=True):
            if x > 0.0:
                positions = [-m] if r == 0 else [r, *(-j for j in range(1, s))]
                for tau in positions:
                    chance[float(mu[tau + m])] = chance.get(float(mu[tau + m]), 0.0) + float(x)
        laws.append(chance)
    values = sorted({v for chance in laws for v in chance if v > 0.0})
    total, before = 0.0, 0.0
    for v in values:
        none = 1.0
        for chance in laws:
            none *= 1.0 - sum(p for w, p in chance.items() if w >= v)
        total += (v - before) * (1.0 - none)
        before = v
    return total


# -- planners ---------------------------------------------------------------------------------------------------------------------------------


@kernel
def virtual(r, s, offset, t, m):  # type: ignore[no-untyped-def]
    """(state, plays) of an arm that walks round its cycle; r < 0: it never plays."""
    if r < 0:
        return m, False
    if r == 0:
        return -m, True
    phase = (offset + t) % (r + s)
    if phase == 0:
        return -s, False
    if phase < r:
        return phase, False
    if phase == r:
        return r, True
    return r - phase, True


@kernel
def _state_at(t, last, run, m):  # type: ignore[no-untyped-def]
    """State before round t of an arm that was last played in round `last`, `run` times in a row by then; within [-m, m], never 0."""
    return max(-run, -m) if last == t - 1 else min(t - 1 - last, m)


@kernel
def play_cycles(table, believed, cycle, offset, state, rounds, rule, filler, paid, lag):  # type: ignore[no-untyped-def]
    """MaxPlanner: of the arms whose virtual process plays, the one with the largest payoff. cycle (K, 2), offset (K,), state (K,) is moved on.

    believed: the table by which arms are compared; filler: whether the best arm is played where no virtual process plays (wrong); paid (rounds,) payoffs
    in the true table; lag (K,): smallest actual less virtual state since the first virtual play, or (0,) where nobody asks.
    """
    K, m, is_watched = len(state), (table.shape[1] - 1) // 2, len(lag) > 0
    started, phase = np.zeros(K, dtype=np.bool_), offset.copy()
    # States are looked up, not counted: an arm that was last played at round `last`, for the `run`-th time in a row, has -run in the next one and
    # 1, 2, ... after it. Most arms are neither played nor asked for in most rounds.
    last, run, drawn, count = np.empty(K, dtype=np.int64), np.empty(K, dtype=np.int64), np.empty(K, dtype=np.int64), 0
    for i in range(K):
        last[i], run[i] = (-1, -state[i]) if state[i] < 0 else (-1 - state[i], 0)
        if cycle[i, 0] >= 0 or is_watched:  # an arm that has drawn no cycle never plays
            drawn[count] = i
            count += 1
    for t in range(rounds):
        chosen, best = -1, -1.0
        for k in range(count):
            i = drawn[k]
            r, s, at = cycle[i, 0], cycle[i, 1], phase[i]
            v, plays = m, False
            if r == 0:
                v, plays = -m, True
            elif r > 0:
                v, plays = (-s if at == 0 else at if at <= r else r - at), at >= r
                phase[i] = at + 1 if at + 1 < r + s else 0
            if is_watched:
                if started[i]:
                    lag[i] = min(lag[i], _state_at(t, last[i], run[i], m) - v)
                started[i] = started[i] or plays
            if plays:
                worth = (
                    believed[i, v + m]
                    if rule == VIRTUAL
                    else believed[i, _state_at(t, last[i], run[i], m) + m]
                    if rule == ACTUAL
                    else float(K - i)
                )
                if worth > best:
                    chosen, best = i, worth
        if filler and chosen < 0:
            for i in range(K):
                worth = believed[i, _state_at(t, last[i], run[i], m) + m]
                if worth > best:
                    chosen, best = i, worth
        if chosen >= 0:
            paid[t] = table[chosen, _state_at(t, last[chosen], run[chosen], m) + m]
            run[chosen] = run[chosen] + 1 if last[chosen] == t - 1 else 1
            last[chosen] = t
        else:
            paid[t] = 0.0
    for i in range(K):
        state[i] = _state_at(rounds, last[i], run[i], m)


@kernel
def serve_runs(table, cycle, offset, keep, state, rounds, paid):  # type: ignore[no-untyped-def]
    """RunPlanner: runs of kept arms are served whole; one that begins while another is served is skipped. keep (K,)."""
    K, m = len(state), (table.shape[1] - 1) // 2
    serving, left = -1, 0
    for t in range(rounds):
        if left == 0:
            serving = -1
            for i in range(K):
                r, s = cycle[i, 0], cycle[i, 1]
                if serving < 0 and keep[i] and r >= 0:
                    if r == 0 and t == 0:
                        serving, left = i, rounds
                    elif r > 0 and (offset[i] + t) % (r + s) == r:
                        serving, left = i, s
        paid[t] = table[serving, state[serving] + m] if serving >= 0 else 0.0
        left = max(left - 1, 0)
        for i in range(K):
            state[i] = moved(state[i], i == serving, m)


@dataclass(frozen=True)
class Draws:
    """All that a planner may draw for its arms: cycle (N, K, 2), offset (N, K), chance (N,), which sum to 1."""

    cycle: Integers
    offset: Integers
    chance: Array


#: Most combinations of cycles and offsets that are enumerated.
MOST_DRAWS = 20_000


def all_draws(rate: Array, *, by_rate: bool = False, offsets: bool = True) -> Draws | None:
    """Every combination that can be drawn from the rates of a relaxation, or None where there are too many.

    A cycle is drawn with probability length times rate, (-1, 1) with the rest. For mutants: by_rate takes the rate alone, offsets=False puts all to 0.
    """
    m = round(float(np.sqrt(rate.shape[1] - 1)))
    options = []
    for rates in rate:
        mine: list[tuple[int, int, int, float]] = []
        rest = 1.0
        for (r, s), x in zip(cycles(m), rates, strict=True):
            if x > 0.0:
                length = int(r + s)
                p = float(x) if by_rate else length * float(x)
                rest -= p
                mine += [(int(r), int(s), o if offsets else 0, p / length) for o in range(length)]
        if rest > 1e-12:
            mine.append((-1, 1, 0, rest))
        options.append(mine)
    total = float(np.prod([float(len(mine)) for mine in options]))
    if total > MOST_DRAWS:
        return None
    grids = np.meshgrid(*[np.arange(len(mine)) for mine in options], indexing="ij")
    picks = np.stack([g.ravel() for g in grids], axis=1)
    table = [np.array(mine) for mine in options]
    cycle = np.stack([table[i][picks[:, i], :2] for i in range(len(options))], axis=1).astype(np.int64)
    offset = np.stack([table[i][picks[:, i], 2] for i in range(len(options))], axis=1).astype(np.int64)
    chance = np.prod([table[i][picks[:, i], 3] for i in range(len(options))], axis=0)
    return Draws(cycle, offset, np.asarray(chance))


@kernel
def expect_cycles(table, cycle, offset, chance, start, rounds, rule, filler, mean, lag):  # type: ignore[no-untyped-def]
    """mean (rounds,) expected payoff of each round over all draws; lag (K,) as in play_cycles, over all of them."""
    paid, state = np.empty(rounds), np.empty_like(start)
    mean[:] = 0.0
    for n in range(len(chance)):
        copy_into(state, start)
        play_cycles(table, table, cycle[n], offset[n], state, rounds, rule, filler, paid, lag)
        mean += chance[n] * paid


@kernel
def expect_runs(table, cycle, offset, chance, start, rounds, beta, coins, mean):  # type: ignore[no-untyped-def]
    """mean (rounds,) expected payoff of each round of RunPlanner over all draws and coins; coins: one for each arm, or one for all (wrong)."""
    K = len(start)
    paid, state, keep = np.empty(rounds), np.empty_like(start), np.empty(K, dtype=np.bool_)
    mean[:] = 0.0
    for n in range(len(chance)):
        for mask in range(2**K):
            p = 1.0
            for i in range(K):
                keep[i] = (mask >> i) & 1 == 1
                p *= beta if keep[i] else 1.0 - beta
            if not coins:
                p = beta if mask == 2**K - 1 else 1.0 - beta if mask == 0 else 0.0
            if p > 0.0:
                copy_into(state, start)
                serve_runs(table, cycle[n], offset[n], keep, state, rounds, paid)
                mean += chance[n] * p * paid


# -- exact optima ---------------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JointGraph:
    """states (n, K); following (n, A) the next state's number, reward (n, A); the last action is to play nothing where that is allowed."""

    states: Integers
    following: Integers
    reward: Array


def joint_graph(table: Array, *, idle: bool = True, start: Integers | None = None, most: int = 50_000) -> JointGraph:
    """All joint states within reach of `start` (all arms at m by default). Raises SolverError beyond `most`."""
    K, m = len(table), (table.shape[1] - 1) // 2
    first = tuple([m] * K if start is None else [int(x) for x in start])
    number, todo, following, reward = {first: 0}, [first], [], []
    for state in todo:
        row, pay = [], []
        for action in (*range(K), *((-1,) if idle else ())):
            after = tuple(moved(tau, i == action, m) for i, tau in enumerate(state))
            if after not in number:
                number[after] = len(todo)
                todo.append(after)
                if len(todo) > most:
                    raise SolverError(f"More than {most:,} joint states of {K} arms with memory {m}.")
            row.append(number[after])
            pay.append(float(table[action, state[action] + m]) if action >= 0 else 0.0)
        following.append(row)
        reward.append(pay)
    return JointGraph(np.array(todo), np.array(following), np.array(reward))


def largest_cycle_mean(graph: JointGraph) -> float:
    """The largest mean reward of a cycle within reach of state 0 (Karp)."""
    n, A = graph.following.shape
    longest = np.full((n + 1, n), -np.inf)
    longest[0, 0] = 0.0
    for k in range(n):
        gains = longest[k][:, None] + graph.reward
        for a in range(A):
            np.maximum.at(longest[k + 1], graph.following[:, a], gains[:, a])
    with np.errstate(invalid="ignore"):
        means = (longest[n] - longest[:n]) / (n - np.arange(n))[:, None]
    means = np.where(np.isnan(means), np.inf, means).min(axis=0)
    return float(means[np.isfinite(longest[n])].max())


def bracketed_mean(graph: JointGraph, *, accuracy: float = 1e-11, most: int = 1_000_000) -> tuple[float, float]:
    """(low, high) around the best long-run mean by lazy value iteration: h <- (h + max (reward + h')) / 2. Raises SolverError beyond `most` sweeps."""
    value = np.zeros(len(graph.states))
    for _ in range(most):
        fresh = 0.5 * (value + (graph.reward + value[graph.following]).max(axis=1))
        change = 2.0 * (fresh - value)
        value = fresh - fresh[0]
        if change.max() - change.min() <= accuracy:
            return float(change.min()), float(change.max())
    raise SolverError("Lazy value iteration did not close its bracket.")


def finite_values(graph: JointGraph, rounds: int) -> Array:
    """(rounds + 1, n) best total payoff in so many rounds from each joint state."""
    out = np.zeros((rounds + 1, len(graph.states)))
    for t in range(1, rounds + 1):
        out[t] = (graph.reward + out[t - 1][graph.following]).max(axis=1)
    return out


@kernel
def block_values(table, d, assume, idle, warmed, best):  # type: ignore[no-untyped-def]
    """(CYC_d, ISI_d): the best mean payoff of an action string of length d repeated for ever, and the best total of one block that counts plays only
    where the block itself determines the state. Strings may play nothing; best (d,) becomes the repeated one, -1 where nothing is played.

    For mutants: assume counts undetermined first plays as in state m, idle=False leaves out strings that play nothing somewhere, warmed=False takes the
    first repetition, with all arms at rest, for the lasting one.
    """
    K, m = table.shape[0], (table.shape[1] - 1) // 2
    string, state = np.zeros(d, dtype=np.int64), np.empty(K, dtype=np.int64)
    since, switched = np.empty(K, dtype=np.int64), np.empty(K, dtype=np.bool_)
    warm = (2 * m + d - 1) // d + 2 if warmed else 0
    cyclic = inside = -1.0
    total = (K + 1) ** d
    for code in range(total):
        rest = code
        for t in range(d):
            string[t] = rest % (K + 1)
            rest //= K + 1
        if not idle and string.min() == 0:
            continue
        state.fill(m)
        earned = 0.0
        for repeat in range(warm + 1):
            for t in range(d):
                a = string[t] - 1
                if repeat == warm and a >= 0:
                    earned += table[a, state[a] + m]
                for i in range(K):
                    state[i] = moved(state[i], i == a, m)
        if earned / d > cyclic:
            cyclic = earned / d
            for t in range(d):
                best[t] = string[t] - 1
        # since: rounds of equal treatment of an arm within the block; switched: whether it has changed sides within the block
        since[:] = 0
        switched[:] = False
        counted = 0.0
        for t in range(d):
            a = string[t] - 1
            for i in range(K):
                played_before = t > 0 and string[t - 1] - 1 == i
                if i == a:
                    if switched[i] or since[i] >= m:
                        tau = -min(since[i], m) if played_before else min(since[i], m)
                        counted += table[i, tau + m]
                    elif assume and not played_before:
                        counted += table[i, 2 * m]
                if t > 0 and (i == a) != played_before:
                    switched[i] = True
                    since[i] = 1
                else:
                    since[i] += 1
        inside = max(inside, counted)
    return cyclic, inside
