"""Kernels of the exploration: optimistic plans for a list of rewards, the moment estimator, and what can be told of both beside the truth.

Two series of regressions are kept: TILDE on optimistic values V, HAT on how uncertain they are, W. Each has M regressions, the m-th on the
targets' power 2^m, whose variance the (m + 1)-th estimates.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from theorylab.kernels import copy_into, kernel
from theorylab.problems.record import Array
from theorylab.solvers.mixture import (
    NOTHING,
    REFRESH,
    TIE,
    add_outer,
    along,
    apply,
    best_value,
    coordinates,
    distance,
    expected,
    invert,
    norm,
    policy_value,
    stacked_along,
    stacked_coordinates,
    stacked_norm,
    truncated_value,
)

TILDE, HAT = range(2)

#: How regressions are weighted, and which reward is explored for.
HOME, RAW, CONSTANT, UNIT, NO_SQUARE = range(5)
LARGEST, SMALLEST, FIRST, RANDOM = range(4)

#: det(running) / det(start of the episode) from which an episode no longer counts as quiet: (4)^2, as a logarithm.
JUMP = float(np.log(16.0))


class Rules(NamedTuple):
    """What the algorithm really does. The defaults are right; mutants change one of them.

    weights   HOME, or what is put in its place
    current   whether the value of the state itself is taken for the next one's
    unweighted whether targets are added without their weight
    swapped   whether plans take HAT's centre with TILDE's ellipsoid
    bonus     times the radius, in optimistic values
    cover     times the radius, in W
    doubt     times the radius, in the uncertainty u
    clipped   whether values are kept in [0, 1]
    chosen    the reward that is explored for
    """

    weights: int = HOME
    current: bool = False
    unweighted: bool = False
    swapped: bool = False
    bonus: float = 1.0
    cover: float = 1.0
    doubt: float = 1.0
    clipped: bool = True
    chosen: int = LARGEST


class Series(NamedTuple):
    """Regressions (2, M, ...): Gram matrices, inverses at the start of the episode and now, sums of targets, centres, growth of log det in the
    episode, distance of the centre from the truth, updates since the inverse was computed anew."""

    gram: Array
    inverse: Array
    running: Array
    moment: Array
    center: Array
    growth: Array
    off: Array
    stale: NDArray[np.int64]


class Scratch(NamedTuple):
    """Room for an episode."""

    x: Array
    other: Array
    power: Array
    norms: Array
    now: Array
    means: Array
    sigma: Array
    raw: Array
    image: Array
    lower: Array


class Tally(NamedTuple):
    """What is told of a run: pairs (measured, allowed), sums, and rows for each plan that was judged.

    distance   (K + 1,) largest distance of a centre from the truth over its radius, at the start of each episode
    chosen     (K,) W at the start, of the reward explored for
    variance   (2,) worst error of a variance estimate and what is allowed
    potential  (2, M, 3) sums of min(1, radius norm), of radius^2 (variance + alpha^2), and the largest radius
    telescope  (K, 2) sums of W at the start, and what they split into
    jumps      (1,) episodes in which a determinant grew much
    visits     (S, A) how often each pair was met
    optimism, dominance  (J,) least excess of V over the best values, and of W over the truncated sums of u
    loss, promised  (J, N) what each policy loses, and twice its W
    hat, tilde (J, 2) worst Bellman errors and what is allowed
    highest    (J,) largest value
    """

    distance: Array
    chosen: Array
    variance: Array
    potential: Array
    telescope: Array
    jumps: Array
    visits: Array
    optimism: Array
    dominance: Array
    loss: Array
    promised: Array
    hat: Array
    tilde: Array
    highest: Array


@kernel
def unit(x):  # type: ignore[no-untyped-def]
    """x cut to [0, 1]."""
    return min(max(x, 0.0), 1.0)


@kernel
def keep_worst(pair, measured, allowed):  # type: ignore[no-untyped-def]
    """Keep (measured, allowed) if it is a larger share than what is kept; what is below 1e-12 is rounding."""
    if measured * (pair[1] + 1e-12) > pair[0] * (allowed + 1e-12):
        pair[0], pair[1] = measured, allowed


# -- plans ------------------------------------------------------------------------------------------------------------------------------------


@kernel
def plan(f, reward, series, radius, rules, x, value, doubt, policy, uncertainty):  # type: ignore[no-untyped-def]
    """value V and doubt W (H + 1, S), policy (H, S), uncertainty u (H, S): optimistic planning for one reward (H, S, A)."""
    H, S, A = reward.shape
    center = series.center[HAT if rules.swapped else TILDE, 0]
    tilde, hat, hat_center = series.inverse[TILDE, 0], series.inverse[HAT, 0], series.center[HAT, 0]
    value[H] = 0.0
    doubt[H] = 0.0
    for h in range(H - 1, -1, -1):
        for s in range(S):
            best = -np.inf
            for a in range(A):
                coordinates(f, s * A + a, value[h + 1], x)
                size = radius * norm(f, s * A + a, tilde, x)
                q = reward[h, s, a] + along(f, s * A + a, center, x) + rules.bonus * size
                if rules.clipped:
                    q = unit(q)
                if q > best + TIE:
                    best = q
                    policy[h, s] = a
                    uncertainty[h, s] = min(1.0, size)
            value[h, s] = best
            pair = s * A + policy[h, s]
            coordinates(f, pair, doubt[h + 1], x)
            total = rules.doubt * uncertainty[h, s] + along(f, pair, hat_center, x) + rules.cover * radius * norm(f, pair, hat, x)
            doubt[h, s] = unit(total) if rules.clipped else total


@kernel
def judge(f, transition, reward, best, value, doubt, policy, uncertainty, series, radius, x, own, truncated, tally, j):  # type: ignore[no-untyped-def]
    """One plan beside the truth, into row j of the tally."""
    H, S, A = reward.shape
    policy_value(transition, reward, policy, own)
    truncated_value(transition, uncertainty, policy, truncated)
    for h in range(H):
        for s in range(S):
            tally.optimism[j] = min(tally.optimism[j], value[h, s] - best[h, s])
            tally.dominance[j] = min(tally.dominance[j], doubt[h, s] - truncated[h, s])
            tally.highest[j] = max(tally.highest[j], max(value[h, s], doubt[h, s]))
            pair = s * A + policy[h, s]
            coordinates(f, pair, doubt[h + 1], x)
            size = min(1.0, radius * norm(f, pair, series.inverse[HAT, 0], x))
            keep_worst(tally.hat[j], doubt[h, s] - uncertainty[h, s] - expected(transition, pair, doubt[h + 1]), 2.0 * size)
            coordinates(f, pair, value[h + 1], x)
            size = min(1.0, radius * norm(f, pair, series.inverse[TILDE, 0], x))
            keep_worst(
                tally.tilde[j],
                value[h, s] - reward[h, s, policy[h, s]] - expected(transition, pair, value[h + 1]),
                2.0 * size,
            )


# -- the moment estimator -----------------------------------------------------------------------------------------------------------------------


@kernel
def home(f, pair, x, live, center, inverse, running, radius, alpha, gamma, weights, norms, now, means, raw, sigma):  # type: ignore[no-untyped-def]
    """sigma (M,) squared: what the M regressions divide by. x (live, n) are the coordinates of the targets' powers 1, 2, 4, ...; where live < M the
    rest are 0, and so is the last that is given. raw (M,) are the estimated variances with their errors, before floors; means (M,) the estimated
    moments; norms, now (M,) of x with the inverses at the start of the episode and as they are."""
    M = len(sigma)
    for m in range(live):
        norms[m] = stacked_norm(f, pair, inverse, x, m)
        now[m] = stacked_norm(f, pair, running, x, m)
        means[m] = unit(stacked_along(f, pair, center, x, m))
    for m in range(live if live == M else live - 1):
        variance, error = 1.0, 0.0
        if m < M - 1:
            variance = means[m + 1] - (means[m] if weights == NO_SQUARE else means[m] * means[m])
            error = min(1.0, 2.0 * radius * norms[m]) + min(1.0, radius * norms[m + 1])
        raw[m] = variance + error
        sigma[m] = max(gamma * gamma * now[m], max(raw[m], alpha * alpha))
        if weights == RAW:
            sigma[m] = max(variance, 1e-8)
        elif weights == CONSTANT:
            sigma[m] = 1e-3
        elif weights == UNIT:
            sigma[m] = 1.0


@kernel
def settle(series, truth):  # type: ignore[no-untyped-def]
    """The start of an episode: inverses as they have become, centres, distances from the truth."""
    for j in range(2):
        for m in range(series.gram.shape[1]):
            copy_into(series.inverse[j, m], series.running[j, m])
            apply(series.inverse[j, m], series.moment[j, m], series.center[j, m])
            series.growth[j, m] = 0.0
            series.off[j, m] = distance(series.gram[j, m], series.center[j, m], truth)


@kernel
def next_state(cumulative, pair, rng):  # type: ignore[no-untyped-def]
    """A state from the law of a pair, by its distribution function."""
    u = rng.random()
    s = 0
    while s < cumulative.shape[1] - 1 and u >= cumulative[pair, s]:
        s += 1
    return s


@kernel
def add_seen(f, pair, here, there, values, following, series, j, radius, alpha, gamma, rules, truth, scratch, tally):  # type: ignore[no-untyped-def]
    """One step for one series: values (S,) of this step's state and of the next one's, and the transition from here to there."""
    center, inverse, running, gram = series.center[j], series.inverse[j], series.running[j], series.gram[j]
    x, power, sigma, raw, norms, means, now = (
        scratch.x,
        scratch.power,
        scratch.sigma,
        scratch.raw,
        scratch.norms,
        scratch.means,
        scratch.now,
    )
    M = len(sigma)
    n, live = 0, 0
    copy_into(power, following)
    while live < M:
        n = stacked_coordinates(f, pair, power, x, live)
        live += 1
        largest = 0.0
        for s in range(len(power)):
            largest = max(largest, power[s])
            squared = unit(power[s]) ** 2
            power[s] = squared if squared > NOTHING else 0.0
        if largest == 0.0:  # so are all higher powers
            break
    home(f, pair, x, live, center, inverse, running, radius, alpha, gamma, rules.weights, norms, now, means, raw, sigma)
    first = true_moment(f, pair, truth, x, 0)
    for m in range(live - 1):  # the estimate of the variance beside the variance
        second = true_moment(f, pair, truth, x, m + 1)
        taken = means[m + 1] - (means[m] if rules.weights == NO_SQUARE else means[m] * means[m])
        allowed = min(1.0, norms[m + 1] * series.off[j, m + 1]) + min(1.0, 2.0 * norms[m] * series.off[j, m])
        keep_worst(tally.variance, abs(second - first * first - taken), allowed)
        first = second
    target = unit(values[here] if rules.current else following[there])
    begin = f.offsets[pair]
    for m in range(live):
        largest = 0.0
        for i in range(n):
            largest = max(largest, abs(x[m, i]))
        if largest > 0.0:
            tally.potential[j, m, 0] += min(1.0, radius * now[m])
            tally.potential[j, m, 1] += radius**2 * (max(raw[m], 0.0) + alpha**2)
            tally.potential[j, m, 2] = max(tally.potential[j, m, 2], radius)
            weight = 1.0 / sigma[m]
            series.growth[j, m] += add_outer(f, pair, x, weight, gram, running, m, scratch.image)
            series.stale[j, m] += 1
            if series.stale[j, m] == REFRESH + len(truth):
                invert(gram[m], running[m], scratch.lower)
                series.stale[j, m] = 0
            for i in range(n):
                series.moment[j, m, f.active[begin + i]] += (1.0 if rules.unweighted else weight) * target * x[m, i]
        target = target * target


@kernel
def true_moment(f, pair, truth, x, m):  # type: ignore[no-untyped-def]
    """<x[m], truth>."""
    begin, end = f.offsets[pair], f.offsets[pair + 1]
    total = 0.0
    for i in range(begin, end):
        total += x[m, i - begin] * truth[f.active[i]]
    return total


@kernel
def roll_out(  # type: ignore[no-untyped-def]
    f, transition, cumulative, start, policy, value, doubt, series, radius, alpha, gamma, rules, truth, scratch, tally, rng
):  # fmt: skip
    """One episode. Returns what W at the start splits into, as far as it is met: errors of both series, chance, and 1 if a determinant jumped."""
    H, A = len(policy), tally.visits.shape[1]
    s = start
    quiet = True
    errors, chance = 0.0, 0.0
    for h in range(H):
        pair = s * A + policy[h, s]
        for j in range(2):
            for m in range(series.growth.shape[1]):
                if series.growth[j, m] > JUMP:
                    quiet = False
        there = next_state(cumulative, pair, rng)
        tally.visits[s, policy[h, s]] += 1.0
        if quiet:
            coordinates(f, pair, value[h + 1], scratch.other)
            errors += min(1.0, radius * norm(f, pair, series.inverse[TILDE, 0], scratch.other))
            coordinates(f, pair, doubt[h + 1], scratch.other)
            errors += 2.0 * min(1.0, radius * norm(f, pair, series.inverse[HAT, 0], scratch.other))
            chance += expected(transition, pair, doubt[h + 1]) - doubt[h + 1, there]
        for i in range(2):  # one call: with TILDE and HAT written out it would be compiled twice
            now = value if i == TILDE else doubt
            add_seen(f, pair, s, there, now[h], now[h + 1], series, i, radius, alpha, gamma, rules, truth, scratch, tally)
        s = there
    return errors, chance, not quiet


# -- the whole ----------------------------------------------------------------------------------------------------------------------------------


@kernel
def explore(  # type: ignore[no-untyped-def]
    f, transition, cumulative, start, rewards, truth, radii, alpha, gamma, growth, target, judged, rules, series, scratch, tally, certificate,
    policies, rng,
):  # fmt: skip
    """Episodes until every certificate 2 W is at most `target`, or radii run out. Returns how many there were.

    radii (K + 1,) of the confidence sets; growth: new plans when the number of episodes has grown by this factor; judged (K,): whether plans of an
    episode are told beside the truth; certificate (N,) least W at the start so far, policies (N, H, S) those it was found for.
    """
    N, H, S, A = rewards.shape
    value, doubt = np.empty((N, H + 1, S)), np.empty((N, H + 1, S))
    policy, uncertainty = np.zeros((N, H, S), dtype=np.int64), np.empty((N, H, S))
    best, own, truncated = np.empty((N, H + 1, S)), np.empty((H + 1, S)), np.empty((H + 1, S))
    wild = np.zeros((H, S), dtype=np.int64)
    for n in range(N):
        best_value(transition, rewards[n], best[n], wild)
    K = len(radii) - 1
    following, j, chosen = 1.0, 0, 0
    left, right = 0.0, 0.0
    for k in range(1, K + 1):
        radius = radii[k - 1]
        settle(series, truth)
        for i in range(2):
            for m in range(series.off.shape[1]):
                tally.distance[k - 1] = max(tally.distance[k - 1], series.off[i, m] / radius)
        if k >= following:
            following = max(k + 1.0, k * growth)
            is_valid = series.off[TILDE, 0] <= radius and series.off[HAT, 0] <= radius
            for n in range(N):
                plan(f, rewards[n], series, radius, rules, scratch.other, value[n], doubt[n], policy[n], uncertainty[n])
                if doubt[n, 0, start] < certificate[n]:
                    certificate[n] = doubt[n, 0, start]
                    copy_into(policies[n], policy[n])
            if judged[k - 1] and is_valid:
                for n in range(N):
                    judge(
                        f, transition, rewards[n], best[n], value[n], doubt[n], policy[n], uncertainty[n], series, radius, scratch.other, own,
                        truncated, tally, j,
                    )  # fmt: skip
                    tally.loss[j, n] = best[n, 0, start] - own[0, start]
                    tally.promised[j, n] = 2.0 * doubt[n, 0, start]
                j += 1
            chosen = 0
            for n in range(1, N):
                if rules.chosen == LARGEST and doubt[n, 0, start] > doubt[chosen, 0, start]:
                    chosen = n
                if rules.chosen == SMALLEST and doubt[n, 0, start] < doubt[chosen, 0, start]:
                    chosen = n
            if 2.0 * certificate.max() <= target:
                return k - 1, j
        played = policy[chosen]
        if rules.chosen == RANDOM:
            for h in range(H):
                for s in range(S):
                    wild[h, s] = int(rng.random() * A)
            played = wild
        tally.chosen[k - 1] = doubt[chosen, 0, start]
        errors, chance, jumped = roll_out(
            f, transition, cumulative, start, played, value[chosen], doubt[chosen], series, radius, alpha, gamma, rules, truth, scratch, tally, rng
        )  # fmt: skip
        left += doubt[chosen, 0, start]
        right += errors + chance + (1.0 if jumped else 0.0)
        tally.jumps[0] += 1.0 if jumped else 0.0
        tally.telescope[k - 1, 0], tally.telescope[k - 1, 1] = left, right
    settle(series, truth)
    for i in range(2):
        for m in range(series.off.shape[1]):
            tally.distance[K] = max(tally.distance[K], series.off[i, m] / radii[K])
    return K, j


# -- in Python ------------------------------------------------------------------------------------------------------------------------------------


def fresh_series(d: int, M: int, ridge: float) -> Series:
    """Regressions before the first episode."""
    gram = np.broadcast_to(ridge * np.eye(d), (2, M, d, d))
    inverse = np.broadcast_to(np.eye(d) / ridge, (2, M, d, d))
    flat = (np.zeros((2, M, d)), np.zeros((2, M, d)), np.zeros((2, M)), np.zeros((2, M)))
    return Series(gram.copy(), inverse.copy(), inverse.copy(), *flat, np.zeros((2, M), dtype=np.int64))


def room(d: int, S: int, M: int) -> Scratch:
    """Scratch arrays."""
    x, other, power, image = np.empty((M, d)), np.empty(d), np.empty(S), np.empty(d)
    norms, now, means, sigma, raw = np.empty((5, M))
    return Scratch(x, other, power, norms, now, means, sigma, raw, image, np.zeros((d, d)))


def fresh_tally(K: int, M: int, J: int, shape: tuple[int, ...]) -> Tally:
    """A tally for K episodes of which at most J have their plans judged; shape is that of the rewards."""
    N, _, S, A = shape
    zeros: dict[str, Any] = {
        "distance": np.zeros(K + 1), "chosen": np.zeros(K), "variance": np.zeros(2), "potential": np.zeros((2, M, 3)),
        "telescope": np.zeros((K, 2)), "jumps": np.zeros(1), "visits": np.zeros((S, A)), "loss": np.zeros((J, N)),
        "promised": np.zeros((J, N)), "hat": np.zeros((J, 2)), "tilde": np.zeros((J, 2)), "highest": np.zeros(J),
    }  # fmt: skip
    return Tally(optimism=np.full(J, np.inf), dominance=np.full(J, np.inf), **zeros)
