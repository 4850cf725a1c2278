"""Pessimistic values from offline data: ridge regression onto next states, a worst expectation of each factor, and a penalty for what is unknown.

Data count what was seen: `count` times a pair (state s, action a) was followed by a state, at each step. Whatever the number of samples, they
enter through signed weights W_h = (sum phi phi^T + ridge I)^(-1) sum phi 1[s']: the estimate of a mean of f over the i-th factor is
sum_s' W_h[i, s'] f(s'). The weights may be negative and do not sum to 1, so the closed forms for distributions do not apply as they stand.

Letters: H steps, S states, A actions, d features, n rows of data; pair s * A + a.
Sources: Tang, Liu, Xu, "Robust Offline Reinforcement Learning with Linearly Structured f-Divergence Regularization", arXiv 2411.18612 (R2PVI);
Liu, Xu, "Minimax Optimal and Computationally Efficient Algorithms for Distributionally Robust Offline Reinforcement Learning", arXiv 2403.09621
(DRPVI); Ma et al., "Distributionally Robust Offline Reinforcement Learning with Linear Function Approximation", arXiv 2209.06620 (DRVI-L);
Jin, Yang, Wang, "Is Pessimism Provably Efficient for Offline RL?", arXiv 2012.15085 (PEVI).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from theorylab.errors import SolverError
from theorylab.kernels import kernel
from theorylab.problems.linear_mdp import LinearMDP
from theorylab.problems.record import Array

Integers = NDArray[np.int64]

#: How a factor's worst expectation is estimated: R2PVI's three penalties, the total variation and Kullback-Leibler balls of DRPVI and DRVI-L,
#: and the plain mean of PEVI.
TV, KL, CHI, TV_BALL, KL_BALL, MEAN = range(6)

#: Wrong ones, for mutants: max in place of min, cuts at the strength alone, a friend, the smallest value of the chi-squared dual, its value without
#: a cut, and the ball's dual minimised, with its sign turned, and without its last term.
TV_ABOVE, TV_LOW, KL_UP, CHI_LEAST, CHI_UNCUT, BALL_LEAST, BALL_UP, BALL_BARE = range(6, 14)

#: Penalty for (s, a): sum phi_i sqrt(inverse_ii), its smaller relative sqrt(sum phi_i^2 inverse_ii), or sqrt(phi^T inverse phi).
SUM, ROOT, MAHALANOBIS = range(3)

#: Temperatures tried for the Kullback-Leibler ball, and golden-section steps around the best of them.
TEMPERATURES, GOLDEN_STEPS = 64, 40

#: Below this the estimate of a mean of exp(-V / temperature) is not believed (DRVI-L).
LEAST_MEAN = 1e-6


class Rules(NamedTuple):
    """How pessimistic values are put together. The defaults are the algorithm's; mutants and published code differ.

    shape       of the penalty
    sign        -1: the penalty is subtracted
    floors      whether values are kept from falling below 0
    caps        whether they are kept from rising above what is left of the horizon
    sampled     whether the smallest value is looked for among sampled next states only
    lag         which values are backed up: 1, those of the next step
    dead        a state whose value is known to be 0, or -1
    log_floor   exp(-log_floor / strength) is the least estimate of E exp(-V / strength) that is believed; 0 for the horizon
    """

    shape: int = SUM
    sign: float = -1.0
    floors: bool = True
    caps: bool = True
    sampled: bool = False
    lag: int = 1
    dead: int = -1
    log_floor: float = 0.0


RULES = Rules()


@dataclass(frozen=True)
class Visits:
    """Offline data. Rows offsets[h] to offsets[h + 1] are those of step h: pair (n,), successor (n,), count (n,)."""

    offsets: Integers
    pair: Integers
    successor: Integers
    count: Array

    @property
    def horizon(self) -> int:
        """H."""
        return len(self.offsets) - 1

    @staticmethod
    def of_table(counts: Array) -> Visits:
        """From counts (H, S, A, S), which need not be whole numbers."""
        H, S, A, _ = counts.shape
        flat = np.asarray(counts, dtype=np.float64).reshape(H, S * A, S)
        step, pair, successor = np.nonzero(flat)
        return Visits(np.searchsorted(step, np.arange(H + 1)), pair, successor, flat[step, pair, successor])

    def table(self, pairs: int, states: int) -> Array:
        """(H, pairs, states) counts."""
        out = np.zeros((self.horizon, pairs, states))
        step = np.repeat(np.arange(self.horizon), np.diff(self.offsets))
        np.add.at(out, (step, self.pair, self.successor), self.count)
        return out


def sample_visits(model: LinearMDP, behaviour: Array, samples: int, rng: np.random.Generator) -> Visits:
    """Counts of `samples` runs from the start under behaviour (S, A): exact in law, whatever their number, by chained multinomials."""
    counts = np.zeros((model.horizon, len(model.pairs), model.state_count))
    at = np.zeros(model.state_count, dtype=np.int64)
    at[model.start] = samples
    for h in range(model.horizon):
        counts[h] = rng.multinomial(rng.multinomial(at, behaviour).ravel(), _law(model, h))
        at = counts[h].sum(axis=0).astype(np.int64)
    return _visits(model, counts)


def sample_folds(model: LinearMDP, pairs: Array, samples: int, rng: np.random.Generator) -> Visits:
    """The same where every step has data of its own: `samples` pairs from pairs (H, S A), so that later values are independent of a step's data."""
    counts = [rng.multinomial(rng.multinomial(samples, pairs[h]), _law(model, h)) for h in range(model.horizon)]
    return _visits(model, np.array(counts))


def occupancy(model: LinearMDP, behaviour: Array) -> Array:
    """(H, S A) probability of each pair at each step, under behaviour (S, A) in the nominal model."""
    out, at = np.zeros((model.horizon, len(model.pairs))), np.zeros(model.state_count)
    at[model.start] = 1.0
    for h in range(model.horizon):
        out[h] = (at[:, None] * behaviour).ravel()
        out[h] /= out[h].sum()
        at = out[h] @ model.transition(h)
    return out


def _law(model: LinearMDP, h: int) -> Array:
    """(S A, S) next states, with rows that sum to 1 as multinomials want them."""
    P = model.transition(h)
    return np.asarray(P / P.sum(axis=1, keepdims=True))


def _visits(model: LinearMDP, counts: Array) -> Visits:
    return Visits.of_table(counts.reshape(model.horizon, model.state_count, model.action_count, model.state_count))


# -- regression -------------------------------------------------------------------------------------------------------------------------


@kernel
def _invert(gram, inverse):  # type: ignore[no-untyped-def]
    """inverse (d, d) of the positive definite gram (d, d), by Cholesky, which keeps graded matrices accurate; gram is overwritten."""
    d = len(gram)
    for j in range(d):
        for i in range(j, d):
            total = gram[i, j]
            for k in range(j):
                total -= gram[i, k] * gram[j, k]
            gram[i, j] = math.sqrt(total) if i == j else total / gram[j, j]
    for j in range(d):  # L^(-1) above the diagonal of gram would do; its columns go through `inverse`
        for i in range(d):
            inverse[i, j] = 0.0
        inverse[j, j] = 1.0 / gram[j, j]
        for i in range(j + 1, d):
            total = 0.0
            for k in range(j, i):
                total -= gram[i, k] * inverse[k, j]
            inverse[i, j] = total / gram[i, i]
    for i in range(d):
        for j in range(i, d):
            total = 0.0
            for k in range(j, d):
                total += inverse[k, i] * inverse[k, j]
            gram[i, j] = total
    for i in range(d):
        for j in range(d):
            inverse[i, j] = gram[min(i, j), max(i, j)]


@kernel
def regress(features, begin, end, data, ridge, gram, inverse, cross, weights):  # type: ignore[no-untyped-def]
    """inverse (d, d) of the regularised Gram matrix, weights (d, S) of the regression onto next states. gram, cross: room of those shapes."""
    pair, successor, count = data
    d = features.shape[1]
    gram[:] = 0.0
    cross[:] = 0.0
    for n in range(begin, end):
        c, phi = count[n], features[pair[n]]
        for i in range(d):
            if phi[i] != 0.0:
                scaled = c * phi[i]
                cross[i, successor[n]] += scaled
                for j in range(i + 1):
                    gram[i, j] += scaled * phi[j]
    for i in range(d):
        gram[i, i] += ridge
    _invert(gram, inverse)
    for i in range(d):
        for s in range(weights.shape[1]):
            weights[i, s] = 0.0
        for k in range(d):
            factor = inverse[i, k]
            for s in range(weights.shape[1]):
                weights[i, s] += factor * cross[k, s]


# -- estimated worst expectations -------------------------------------------------------------------------------------------------------


@kernel
def _chi_at(at, first, rest, second, strength, top):  # type: ignore[no-untyped-def]
    """The chi-squared dual at a cut `at`: values below it have estimated mean `first` and mean square `second`, `rest` is the weight above."""
    z = first + rest * at
    q = min(max(second + rest * at * at, 0.0), top * top)
    clipped = min(max(z, 0.0), top)
    return z + (clipped * clipped - q) / (4.0 * strength)


@kernel
def chi_dual(strength, weight, value, order, top, sign):  # type: ignore[no-untyped-def]
    """max over cuts in [0, top] of the estimated chi-squared dual, exactly; sign -1: its minimum.

    Weights may be negative, so the dual has many local maxima: it is a quadratic between neighbouring values, but for its two clips. Ends of
    pieces, stationary points in each regime, and the places where a clip begins are all that can be best.
    """
    rest = weight.sum()
    first = second = low = 0.0
    best = sign * _chi_at(0.0, 0.0, rest, 0.0, strength, top)
    for k in range(len(order) + 1):
        high = min(value[order[k]], top) if k < len(order) else top
        if high > low:
            for c in range(10):
                at = high
                if c == 1:  # stationary, neither clipped
                    bend = (rest * rest - rest) / (4.0 * strength)
                    at = -(rest + first * rest / (2.0 * strength)) / (2.0 * bend) if bend != 0.0 else high
                elif c == 2:  # stationary, mean clipped
                    at = 2.0 * strength
                elif c == 3:  # stationary, mean square clipped
                    at = (-2.0 * strength - first) / rest if rest != 0.0 else high
                elif c == 4:
                    at = -first / rest if rest != 0.0 else high
                elif c == 5:
                    at = (top - first) / rest if rest != 0.0 else high
                elif c == 6:
                    at = math.sqrt(max(-second / rest, 0.0)) if rest != 0.0 else high
                elif c == 7:
                    at = math.sqrt(max((top * top - second) / rest, 0.0)) if rest != 0.0 else high
                if low < at <= high:
                    best = max(best, sign * _chi_at(at, first, rest, second, strength, top))
        if k < len(order):
            s = order[k]
            first += weight[s] * value[s]
            second += weight[s] * value[s] * value[s]
            rest -= weight[s]
            low = max(low, high)
    return sign * best


@kernel
def _ball_dual(radius, weight, value, order, low, top, sign):  # type: ignore[no-untyped-def]
    """max over cuts of the estimated dual of the total variation ball: piecewise linear, so the best cut is a value, 0 or the top."""
    rest, first = weight.sum(), 0.0
    best = -sign * radius * max(-low, 0.0)
    for k in range(len(order) + 1):
        at = min(value[order[k]], top) if k < len(order) else top
        best = max(best, sign * (first + rest * at - radius * (at - min(at, low))))
        if k < len(order):
            first += weight[order[k]] * value[order[k]]
            rest -= weight[order[k]]
    return sign * best


@kernel
def _tempered(temperature, radius, weight, value):  # type: ignore[no-untyped-def]
    """DRVI-L's dual at a temperature: means of exp(-V / t) are estimated by those of exp(-V / t) - 1, plus 1."""
    mean = 1.0
    for s in range(len(value)):
        mean += weight[s] * math.expm1(-value[s] / temperature)
    return -temperature * (math.log(max(mean, LEAST_MEAN)) + radius)


@kernel
def _kl_ball(radius, weight, value, top):  # type: ignore[no-untyped-def]
    """max over temperatures up to the top: a grid, then golden sections around its best point."""
    best, at = -np.inf, 0
    low, ratio = 1e-3 * top, 1000.0 ** (1.0 / (TEMPERATURES - 1))
    for k in range(TEMPERATURES):
        found = _tempered(low * ratio**k, radius, weight, value)
        if found > best:
            best, at = found, k
    left, right = low * ratio ** max(at - 1, 0), min(low * ratio ** (at + 1), top)
    golden = 0.5 * (math.sqrt(5.0) - 1.0)
    x, y = right - golden * (right - left), left + golden * (right - left)
    fx, fy = _tempered(x, radius, weight, value), _tempered(y, radius, weight, value)
    for _ in range(GOLDEN_STEPS):
        best = max(best, max(fx, fy))
        if fx < fy:
            left, x, fx = x, y, fy
            y = left + golden * (right - left)
            fy = _tempered(y, radius, weight, value)
        else:
            right, y, fy = y, x, fx
            x = right - golden * (right - left)
            fx = _tempered(x, radius, weight, value)
    return best


@kernel
def estimated(kind, strength, weight, value, order, low, top, log_floor):  # type: ignore[no-untyped-def]
    """The estimated worst expectation of value (S,), in [0, top], under signed weight (S,). order sorts value, low is its smallest entry."""
    total = 0.0
    if kind in (CHI, CHI_LEAST):
        return chi_dual(strength, weight, value, order, top, 1.0 if kind == CHI else -1.0)
    if kind == CHI_UNCUT:
        return _chi_at(top, weight @ value, 0.0, weight @ (value * value), strength, top)
    if kind in (TV_BALL, BALL_LEAST, BALL_UP, BALL_BARE):
        sign, radius = (-1.0 if kind == BALL_LEAST else 1.0), (-strength if kind == BALL_UP else strength)
        return _ball_dual(radius, weight, value, order, top if kind == BALL_BARE else low, top, sign)
    if kind == KL_BALL:
        return _kl_ball(strength, weight, value, top)
    if kind in (KL, KL_UP):
        turned = -1.0 if kind == KL_UP else 1.0
        pivot = low if kind == KL else value[order[-1]]
        for s in range(len(value)):
            total += weight[s] * math.exp(-turned * (value[s] - pivot) / strength)
        return pivot - turned * strength * math.log(max(total, math.exp(-(log_floor - turned * pivot) / strength)))
    for s in range(len(value)):
        v = value[s]
        if kind == TV:
            v = min(v, low + strength)
        elif kind == TV_ABOVE:
            v = max(v, low + strength)
        elif kind == TV_LOW:
            v = min(v, strength)
        total += weight[s] * v
    return total


# -- the algorithm ----------------------------------------------------------------------------------------------------------------------


@kernel
def backwards(kind, strength, features, rewards, offsets, data, ridge, beta, cap, stop, rules, action_count, room, out):  # type: ignore[no-untyped-def]
    """Pessimistic values from the last step to the first. room: gram, inverse, cross, weights; out: value, policy, nu, spread, penalty, u."""
    gram, inverse, cross, weights = room
    value, policy, nu, spread, penalty, linear = out
    H, S, d = len(beta), len(stop), features.shape[1]
    value[H] = 0.0
    for h in range(H - 1, -1, -1):
        regress(features, offsets[h], offsets[h + 1], data, ridge, gram, inverse, cross, weights)
        after = value[min(h + rules.lag, H)]
        order = np.argsort(after)
        low = after[order[0]]
        if rules.sampled and offsets[h + 1] > offsets[h]:
            low = np.inf
            for n in range(offsets[h], offsets[h + 1]):
                low = min(low, after[data[1][n]])
        top = max(float(H), after[order[-1]])
        for i in range(d):
            spread[h, i] = math.sqrt(inverse[i, i])
            nu[h, i] = estimated(
                kind, strength[h, i], weights[i], after, order, low, top, rules.log_floor if rules.log_floor > 0.0 else float(H)
            )
            linear[h, i] = rewards[h, i] + nu[h, i]
            if rules.shape == SUM:
                linear[h, i] += rules.sign * beta[h] * spread[h, i]
            elif rules.shape == MAHALANOBIS:  # rewards are regressed like everything else
                for j in range(d):
                    linear[h, i] -= ridge * inverse[i, j] * rewards[h, j]
        for s in range(S):
            best, chosen = -np.inf, 0
            for a in range(action_count):
                k = s * action_count + a
                q = width = 0.0
                for i in range(d):
                    q += features[k, i] * linear[h, i]
                    if rules.shape == SUM:
                        width += features[k, i] * spread[h, i]
                    elif rules.shape == ROOT:
                        width += (features[k, i] * spread[h, i]) ** 2
                    else:
                        for j in range(d):
                            width += features[k, i] * inverse[i, j] * features[k, j]
                if rules.shape != SUM:
                    width = math.sqrt(max(width, 0.0))
                    q += rules.sign * beta[h] * width
                penalty[h, s, a] = beta[h] * width
                if rules.caps:
                    q = min(q, cap[h])
                if rules.floors:
                    q = max(q, 0.0)
                if a == 0 or q > best:
                    best, chosen = q, a
            if stop[s] > best:
                best, chosen = stop[s], -1
            if s == rules.dead:
                best = 0.0
            value[h, s], policy[h, s] = best, chosen


@dataclass(frozen=True)
class Estimate:
    """What was made of the data.

    value (H + 1, S)     pessimistic values
    policy (H, S)        greedy for them; -1 where stopping pays more
    nu (H, d)            estimated worst expectation of each factor
    spread (H, d)        square roots of the diagonal of the inverse Gram matrix
    penalty (H, S, A)    what was taken off
    weights (H, d)       with the penalty that is a sum, Q = clip(<phi, weights>)
    """

    value: Array
    policy: Integers
    nu: Array
    spread: Array
    penalty: Array
    weights: Array


def pessimistic_values(
    kind: int, strength: Array | float, features: Array, rewards: Array, visits: Visits, *, beta: Array | float, ridge: float = 1.0,
    cap: Array | None = None, stop: Array | None = None, rules: Rules = RULES,
) -> Estimate:  # fmt: skip
    """R2PVI (kinds TV, KL, CHI), DRPVI and DRVI-L (TV_BALL, KL_BALL), PEVI (MEAN with rules.shape MAHALANOBIS).

    strength (H, d) or a number; features (S, A, d); rewards (H, d) known weights of the rewards; beta (H,) or a number; cap (H,) the largest values,
    by default what is left of the horizon; stop (S,) payoff of stopping. Raises SolverError for numbers that cannot be.
    """
    S, A, d = features.shape
    H = visits.horizon
    # Copies throughout: what is read-only or strided is another type to the compiler, and compiled once more.
    strength = np.array(np.broadcast_to(np.asarray(strength, dtype=np.float64), (H, d)))
    if not (np.isfinite(strength).all() and (strength >= 0.0).all()) or (kind in (KL, CHI) and not (strength > 0.0).all()):
        raise SolverError(f"strength must be {'positive' if kind in (KL, CHI) else 'nonnegative'} and finite in every entry.")
    if not (ridge > 0.0 and math.isfinite(ridge)):
        raise SolverError(
            f"ridge = {ridge!r} must be positive and finite: without it features that were never seen have no estimate."
        )
    pairs = np.array(features.reshape(S * A, d), dtype=np.float64)
    remaining = np.arange(H, 0, -1, dtype=np.float64) if cap is None else np.array(cap, dtype=np.float64)
    out = (
        np.zeros((H + 1, S)), np.zeros((H, S), dtype=np.int64), np.zeros((H, d)), np.zeros((H, d)), np.zeros((H, S, A)), np.zeros((H, d)),
    )  # fmt: skip
    room = np.empty((d, d)), np.empty((d, d)), np.empty((d, S)), np.empty((d, S))
    backwards(
        kind, strength, pairs, np.array(rewards, dtype=np.float64), np.array(visits.offsets),
        (np.array(visits.pair), np.array(visits.successor), np.array(visits.count)),
        float(ridge), np.array(np.broadcast_to(np.asarray(beta, dtype=np.float64), (H,))), remaining,
        np.full(S, -np.inf) if stop is None else np.array(stop, dtype=np.float64), rules, A, room, out,
    )  # fmt: skip
    return Estimate(*out)
