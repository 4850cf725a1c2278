"""Worst expectations over distributions near a nominal one, and dynamic programming against them.

A worst expectation is either over a ball, inf {E_p V: D(p, q) <= radius}, or penalised, inf {E_p V + strength D(p, q)}. Divergences: total
variation (half the l1 distance), Kullback-Leibler, chi-squared (sum (p - q)^2 / q, no factor 1/2), Wasserstein-1 for a given metric. Mass may
go anywhere for total variation and Wasserstein, and stays on the support of q for the other two.

Every one of them has a closed form or a one-dimensional dual: no general solver is called. States are sorted by value once for a whole sweep.

Letters: S states, A actions, n = S, or S + 1 where episodes may end (the last is the end, of value 0).
Sources: Iyengar, "Robust dynamic programming", 2005; Nilim, El Ghaoui, "Robust control of Markov decision processes with uncertain
transition matrices", 2005; Ho, Petrik, Wiesemann, "Fast Bellman updates for robust MDPs", 2018; for penalties Tang, Liu, Xu, "Robust
Offline Reinforcement Learning with Linearly Structured f-Divergence Regularization", arXiv 2411.18612.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theorylab.errors import SolverError
from theorylab.kernels import copy_into, kernel
from theorylab.problems.mdp import END, MDP
from theorylab.problems.record import Array

TV_BALL, KL_BALL, CHI_BALL, W1_BALL, TV_PENALTY, KL_PENALTY, CHI_PENALTY, W1_PENALTY = range(8)
NAMES = ("TV ball", "KL ball", "chi2 ball", "W1 ball", "TV penalty", "KL penalty", "chi2 penalty", "W1 penalty")

#: Wrong ones, for mutants: the chi-squared ball without the condition that probabilities are nonnegative, and the total variation penalty that
#: cuts values at the strength instead of the strength above the smallest.
SIGNED_CHI_BALL, LOW_TV_PENALTY = 8, 9

#: Bisections of the Kullback-Leibler ball's temperature: doubles have 53 bits.
BISECTIONS = 60


@kernel
def tv_ball(radius, value, weight, order, worst):  # type: ignore[no-untyped-def]
    """Mass is taken from the largest values down, as much as the radius allows, and put on the smallest."""
    low, left, total = order[0], radius, 0.0
    copy_into(worst, weight)
    for i in range(len(order) - 1, -1, -1):
        s = order[i]
        taken = min(weight[s], left)
        worst[s] -= taken
        worst[low] += taken
        left -= taken
        if left <= 0.0:
            break
    for s in range(len(value)):
        total += worst[s] * (value[s] - value[low])
    return value[low] + total


@kernel
def tv_penalty(strength, value, weight, order, worst):  # type: ignore[no-untyped-def]
    """Mass is taken from every value that exceeds the smallest by more than the strength."""
    low, total = order[0], 0.0
    copy_into(worst, weight)
    for s in range(len(value)):
        above = value[s] - value[low]
        if above > strength:
            worst[low] += worst[s]
            worst[s] = 0.0
        total += weight[s] * min(above, strength)
    return value[low] + total


@kernel
def _support(weight, order):  # type: ignore[no-untyped-def]
    """(smallest, largest) of the states that have weight."""
    low, high = -1, -1
    for s in order:
        if weight[s] > 0.0:
            if low < 0:
                low = s
            high = s
    return low, high


@kernel
def tilted(temperature, value, weight, low, worst):  # type: ignore[no-untyped-def]
    """worst ~ weight exp(-(value - value[low]) / temperature); returns log of the sum, E and log-sum in a form that loses no digits."""
    widest = 0.0
    for s in range(len(value)):
        if weight[s] > 0.0:
            widest = max(widest, (value[s] - value[low]) / temperature)
    total, log_total = 0.0, 0.0
    for s in range(len(value)):
        worst[s] = weight[s] * math.exp(-(value[s] - value[low]) / temperature) if weight[s] > 0.0 else 0.0
        total += worst[s]
    if widest <= 1.0:
        for s in range(len(value)):
            if weight[s] > 0.0:
                log_total += weight[s] * math.expm1(-(value[s] - value[low]) / temperature)
        log_total = math.log1p(log_total)
    else:
        log_total = math.log(total)
    mean = 0.0
    for s in range(len(value)):
        worst[s] /= total
        mean += worst[s] * (value[s] - value[low])
    return log_total, mean


@kernel
def kl_penalty(strength, value, weight, order, worst):  # type: ignore[no-untyped-def]
    """-strength log E exp(-V / strength)."""
    low, _ = _support(weight, order)
    log_total, _ = tilted(strength, value, weight, low, worst)
    return value[low] - strength * log_total


@kernel
def kl_ball(radius, value, weight, order, worst):  # type: ignore[no-untyped-def]
    """Exponential tilting to the temperature at which the divergence is the radius, found by bisection of its inverse."""
    low, high = _support(weight, order)
    bottom = 0.0
    for s in range(len(value)):
        if weight[s] > 0.0 and value[s] == value[low]:
            bottom += weight[s]
    copy_into(worst, weight)
    if value[high] == value[low]:
        return value[low]
    if radius >= -math.log(bottom):
        for s in range(len(value)):
            worst[s] = weight[s] / bottom if weight[s] > 0.0 and value[s] == value[low] else 0.0
        return value[low]
    if radius <= 0.0:
        total = 0.0
        for s in range(len(value)):
            total += weight[s] * (value[s] - value[low])
        return value[low] + total
    small, large = 0.0, 1.0 / (value[high] - value[low])
    while True:
        log_total, mean = tilted(1.0 / large, value, weight, low, worst)
        if -large * mean - log_total >= radius:
            break
        small, large = large, 2.0 * large
    for _ in range(BISECTIONS):
        middle = 0.5 * (small + large)
        log_total, mean = tilted(1.0 / middle, value, weight, low, worst)
        if -middle * mean - log_total >= radius:
            large = middle
        else:
            small = middle
    log_total, mean = tilted(1.0 / large, value, weight, low, worst)
    return value[low] - (log_total + radius) / large


@kernel
def chi_penalty(strength, value, weight, order, worst):  # type: ignore[no-untyped-def]
    """E min(V, a) - Var min(V, a) / (4 strength) at the a with E (a - V)_+ = 2 strength."""
    low, _ = _support(weight, order)
    mass = first = 0.0
    for s in order:
        if weight[s] > 0.0:
            v = value[s] - value[low]
            if v * mass - first >= 2.0 * strength:
                break
            mass += weight[s]
            first += weight[s] * v
    a = (2.0 * strength + first) / mass
    mean = variance = 0.0
    for s in range(len(value)):
        v = value[s] - value[low]
        worst[s] = weight[s] * max(a - v, 0.0) / (2.0 * strength)
        mean += weight[s] * min(v, a)
    for s in range(len(value)):
        variance += weight[s] * (min(value[s] - value[low], a) - mean) ** 2
    return value[low] + mean - variance / (4.0 * strength)


@kernel
def chi_ball(radius, value, weight, order, worst, is_signed):  # type: ignore[no-untyped-def]
    """Weights fall linearly in the value on the states that keep any; which do is found in the order of values."""
    low, high = _support(weight, order)
    bottom = 0.0
    for s in range(len(value)):
        if weight[s] > 0.0 and value[s] == value[low]:
            bottom += weight[s]
    if (1.0 / bottom <= 1.0 + radius and not is_signed) or value[high] == value[low]:
        for s in range(len(value)):
            worst[s] = weight[s] / bottom if weight[s] > 0.0 and value[s] == value[low] else 0.0
        return value[low]
    mass = first = second = 0.0
    cut = np.inf
    for s in order:
        if weight[s] > 0.0:
            v = value[s] - value[low]
            e1 = v * mass - first
            e2 = v * v * mass - 2.0 * v * first + second
            if mass > 0.0 and e1 > 0.0 and e2 > (1.0 + radius) * e1 * e1:
                pass
            elif mass > 0.0 and e1 > 0.0 and not is_signed:
                cut = v
                break
            mass += weight[s]
            first += weight[s] * v
            second += weight[s] * v * v
    # From here on values are counted from that of the heaviest state: its distance from the mean may be far below its own rounding.
    heavy, heaviest = low, 0.0
    for s in range(len(value)):
        if weight[s] > heaviest and value[s] - value[low] < cut:
            heavy, heaviest = s, weight[s]
    centre = spread = 0.0
    for s in range(len(value)):
        if weight[s] > 0.0 and value[s] - value[low] < cut:
            centre += weight[s] * (value[s] - value[heavy]) / mass
    for s in range(len(value)):
        if weight[s] > 0.0 and value[s] - value[low] < cut:
            spread += weight[s] * (value[s] - value[heavy] - centre) ** 2
    room = max(1.0 + radius - 1.0 / mass, 0.0)
    slope = math.sqrt(room / spread) if spread > 0.0 else 0.0
    for s in range(len(value)):
        keeps = weight[s] > 0.0 and value[s] - value[low] < cut
        worst[s] = weight[s] * (1.0 / mass - slope * (value[s] - value[heavy] - centre)) if keeps else 0.0
    return value[heavy] + centre - math.sqrt(spread * room)


@kernel
def w1_penalty(strength, value, weight, metric, worst):  # type: ignore[no-untyped-def]
    """Each state's mass goes where value plus strength times distance is smallest."""
    worst[:] = 0.0
    total = 0.0
    for s in range(len(value)):
        if weight[s] > 0.0:
            best, chosen = np.inf, s
            for t in range(len(value)):
                cost = value[t] + strength * metric[s, t]
                if cost < best:
                    best, chosen = cost, t
            worst[chosen] += weight[s]
            total += weight[s] * best
    return total


@kernel
def w1_ball(radius, value, weight, metric, near, room, worst):  # type: ignore[no-untyped-def]
    """The budget is spent where it lowers the value most for the distance: along the lower convex hulls of (distance, value).

    near (n, n): states by distance from each; room (4, n n): for the segments of the hulls. worst (n,) is overwritten.
    """
    n = len(value)
    slopes, lengths, sources, targets = room[0], room[1], room[2], room[3]
    copy_into(worst, weight)
    count, total = 0, 0.0
    for s in range(n):
        if weight[s] <= 0.0:
            continue
        total += weight[s] * value[s]
        begin = count  # the hull of this source: one segment to each of its corners
        at, height = 0.0, value[s]
        for k in range(n):
            t = near[s, k]
            if value[t] >= height:
                continue
            x, y = metric[s, t], value[t]
            # Corners that the new point makes superfluous go: slopes must rise (towards 0) along the hull.
            while count > begin:
                before = x - (at - lengths[count - 1])
                over = height - slopes[count - 1] * lengths[count - 1]
                if before > 0.0 and (y - over) / before > slopes[count - 1]:
                    break
                at, height, count = at - lengths[count - 1], over, count - 1
            slopes[count] = (y - height) / (x - at) if x > at else -np.inf
            lengths[count] = x - at
            sources[count], targets[count] = s, t
            at, height, count = x, y, count + 1
    order = np.argsort(slopes[:count], kind="mergesort")
    left = radius
    for k in order:
        s, length = int(sources[k]), lengths[k]
        cost = weight[s] * length
        share = 1.0 if cost <= left else left / cost
        total += share * weight[s] * slopes[k] * length
        left -= share * cost
        if share < 1.0:
            break
    return total


@kernel
def inner(kind, strength, value, weight, order, metric, near, room, worst):  # type: ignore[no-untyped-def]
    """The worst expectation of value (n,) around weight (n,); order sorts value. worst (n,): where it is attained (not for the W1 ball)."""
    if kind == TV_BALL:
        return tv_ball(strength, value, weight, order, worst)
    if kind == KL_BALL:
        return kl_ball(strength, value, weight, order, worst)
    if kind in (CHI_BALL, SIGNED_CHI_BALL):  # one call: a literal truth value would have it compiled twice
        return chi_ball(strength, value, weight, order, worst, kind == SIGNED_CHI_BALL)
    if kind == W1_BALL:
        return w1_ball(strength, value, weight, metric, near, room, worst)
    if kind == TV_PENALTY:
        return tv_penalty(strength, value, weight, order, worst)
    if kind == LOW_TV_PENALTY:
        return tv_penalty(strength - value[order[0]], value, weight, order, worst)
    if kind == KL_PENALTY:
        return kl_penalty(strength, value, weight, order, worst)
    if kind == CHI_PENALTY:
        return chi_penalty(strength, value, weight, order, worst)
    return w1_penalty(strength, value, weight, metric, worst)


def divergence(kind: int, p: Array, q: Array) -> float:
    """D(p, q) of a ball's or a penalty's kind, by definition: total variation, Kullback-Leibler or chi-squared.

    The last two are infinite where p leaves the support of q.
    """
    if kind % 4 == TV_BALL:
        return float(0.5 * np.abs(p - q).sum())
    inside = q > 0.0
    if (p[~inside] > 0.0).any():
        return float("inf")
    p, q = p[inside], q[inside]
    if kind % 4 == KL_BALL:
        positive = p > 0.0
        return float((p[positive] * np.log(p[positive] / q[positive])).sum())
    return float(((p - q) ** 2 / q).sum())


@dataclass(frozen=True)
class Worst:
    """value of the worst expectation, and weights (n,) at which it is attained (None for the W1 ball)."""

    value: float
    weights: Array | None


def worst_expectation(kind: int, strength: float, value: Array, weight: Array, metric: Array | None = None) -> Worst:
    """One worst expectation: value (n,), weight (n,) a distribution, metric (n, n) for Wasserstein. Raises SolverError for bad input."""
    value, weight = np.array(value, dtype=np.float64), np.array(weight, dtype=np.float64)
    if not (strength > 0.0 and math.isfinite(strength)) and not (strength == 0.0 and kind <= W1_BALL):
        raise SolverError(
            f"{NAMES[kind]}: {'radius' if kind <= W1_BALL else 'strength'} = {strength!r} must be positive and finite."
        )
    n = len(value)
    metric = index_metric(n) if metric is None else np.array(metric, dtype=np.float64)
    order, near, worst = np.argsort(value, kind="stable"), np.argsort(metric, axis=1, kind="stable"), np.empty(n)
    found = inner(kind, float(strength), value, weight, order, metric, near, np.empty((4, n * n)), worst)
    return Worst(float(found), None if kind == W1_BALL else worst)


def index_metric(n: int) -> Array:
    """(n, n) |i - j|."""
    return np.abs(np.arange(n)[:, None] - np.arange(n)[None, :]).astype(np.float64)


@dataclass(frozen=True)
class RobustModel:
    """What robust sweeps read. transition (S A, n), column S the end, if there is one; reward (S A,) mean rewards; metric (n, n)."""

    transition: Array
    reward: Array
    discount: float
    action_count: int
    metric: Array

    @property
    def state_count(self) -> int:
        """S."""
        return len(self.reward) // self.action_count

    @staticmethod
    def of(mdp: MDP, metric: Array | None = None) -> RobustModel:
        """The model of an MDP; adversaries move next states, not rewards. Raises SolverError for a discount of 1."""
        if mdp.discount >= 1.0:
            raise SolverError("Robust sweeps need a discount below 1.")
        inside = mdp.transition_matrix()
        pair = np.repeat(np.arange(len(mdp.offsets) - 1), np.diff(mdp.offsets))
        end = np.bincount(pair, weights=np.where(mdp.successors == END, mdp.probabilities, 0.0), minlength=len(inside))
        transition = np.column_stack((inside, end)) if mdp.has_end else inside
        n = transition.shape[1]
        return RobustModel(
            np.asarray(transition, dtype=np.float64), mdp.expected_rewards(), mdp.discount, mdp.action_count,
            index_metric(n) if metric is None else np.asarray(metric, dtype=np.float64),
        )  # fmt: skip


@kernel
def sweep(kind, strength, sign, value, out, policy, order, model, room, worst, kernels):  # type: ignore[no-untyped-def]
    """out (S,) = robust backup of value (n,), policy (S,) the best actions, kernels (S A, n) where the worst is attained.

    sign -1 turns the adversary into a friend (for mutants). Returns the largest change of a value.
    """
    transition, reward, discount, action_count, metric, near = model
    largest = 0.0
    for s in range(len(out)):
        best, chosen = -np.inf, 0
        for a in range(action_count):
            k = s * action_count + a
            found = sign * inner(kind, strength, value, transition[k], order, metric, near, room, worst)
            copy_into(kernels[k], worst)
            q = reward[k] + discount * found
            if a == 0 or q > best:
                best, chosen = q, a
        out[s], policy[s] = best, chosen
        largest = max(largest, abs(best - sign * value[s]))
    return largest


@dataclass(frozen=True)
class RobustValues:
    """value (S,) and policy (S,); error: sup-norm distance to the robust optimum; kernels (S A, n): the adversary's choice at the end."""

    value: Array
    policy: NDArray[np.int64]
    error: float
    sweeps: int
    kernels: Array


def _arrays(model: RobustModel) -> tuple[Any, ...]:
    """A model as the kernels take it."""
    near = np.argsort(model.metric, axis=1, kind="stable")
    return model.transition, model.reward, model.discount, model.action_count, model.metric, near


def robust_sweep(
    model: RobustModel, kind: int, strength: float, value: Array, sign: int = 1
) -> tuple[Array, NDArray[np.int64], Array, float]:  # fmt: skip
    """(value, policy, kernels, change) of one robust backup of value (S,)."""
    n, S = model.transition.shape[1], model.state_count
    full = sign * (np.append(value, 0.0) if n > S else value)
    out, policy, kernels = np.empty(S), np.empty(S, dtype=np.int64), np.empty_like(model.transition)
    change = sweep(
        kind, float(strength), float(sign), full, out, policy, np.argsort(full, kind="stable"), _arrays(model), np.empty((4, n * n)), np.empty(n),
        kernels,
    )  # fmt: skip
    return out, policy, kernels, float(change)


@kernel
def iterate(kind, strength, sign, value, out, policy, model, room, worst, kernels, enough, most):  # type: ignore[no-untyped-def]
    """Backups of value (n,), in place, until a change is at most `enough`; returns (sweeps made, last change)."""
    change = np.inf
    done = 0
    while done < most and change > enough:
        change = sweep(kind, strength, sign, value, out, policy, np.argsort(value), model, room, worst, kernels)
        for s in range(len(out)):
            value[s] = sign * out[s]
        done += 1
    return done, change


def robust_value_iteration(
    model: RobustModel, kind: int, strength: float, *, accuracy: float = 1e-9, most: int = 100_000, sign: int = 1
) -> RobustValues:  # fmt: skip
    """The robust optimal value: sweeps until discount / (1 - discount) times the last change is at most `accuracy`."""
    n, S = model.transition.shape[1], model.state_count
    value, policy, kernels = np.empty(S), np.empty(S, dtype=np.int64), np.empty_like(model.transition)
    factor = model.discount / (1.0 - model.discount)
    done, change = iterate(
        kind, float(strength), float(sign), np.zeros(n), value, policy, _arrays(model), np.empty((4, n * n)), np.empty(n), kernels,
        accuracy / factor, most,
    )  # fmt: skip
    if change * factor > accuracy:
        raise SolverError(
            f"Robust value iteration is still {change * factor:.2g} off after {done} sweeps: rounding does not allow {accuracy:g}."
        )
    return RobustValues(value, policy, float(change * factor), int(done), kernels)
