"""UCRL-RFE and UCRL-RFE+, whose cost grows with the horizon: rewards in [0, 1] at every step, values in [0, H].

Source: W. Zhang, Zhou, Gu, "Reward-Free Model-Based Reinforcement Learning with Linear Function Approximation", NeurIPS 2021, arXiv 2110.06394. The
text's pseudo-reward has a square root around the norm; its proof uses the norm itself, and so does this.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from theorylab.kernels import copy_into, kernel
from theorylab.problems.linear_mixture import LinearMixture
from theorylab.problems.record import Array
from theorylab.solvers.mixture import (
    REFRESH,
    TIE,
    add_outer,
    along,
    apply,
    best_value,
    coordinates,
    distance,
    invert,
    norm,
    policy_value,
    stacked_along,
    stacked_coordinates,
    stacked_norm,
)

from .exploring import keep_worst, next_state
from .formulas import DELTA

#: States up to which the most uncertain function is found among all corners of the cube.
MOST_STATES = 8

#: The three regressions: on the most uncertain function, on values (weighted), on squared values.
WIDEST, WEIGHTED, SQUARED = range(3)


class Radii(NamedTuple):
    """Of the confidence sets: for planning, for exploring with weights, for their variance (values, squared values)."""

    plan: float
    explore: float
    check: float
    squares: float


class Flaws(NamedTuple):
    """What the algorithm really does; mutants change one of them. bonus: times the radius; capped: values stay in [0, H]; shifted: the value of the
    state itself is taken for the next one's; greedy: what the pseudo-reward is times."""

    bonus: float = 1.0
    capped: bool = True
    shifted: bool = False
    greedy: float = 1.0


def radii(d: int, H: int, B: float, K: int, delta: float = DELTA, *, weighted: bool = False, scale: float = 1.0) -> Radii:
    """The published ones; `scale` times what grows in them, for the practical variant."""
    log_one, log_two = math.log(1.0 + K * H * B**2), math.log(48.0 * K**2 * H**2 / delta)
    inside = (12.0 if weighted else 3.0) * (1.0 + K * H**3 * B**2) / delta
    found = (
        H * math.sqrt(d * math.log(inside)),
        8.0 * math.sqrt(d * log_one * log_two) + 4.0 * math.sqrt(d) * log_two,
        8.0 * d * math.sqrt(log_one * log_two) + 4.0 * math.sqrt(d) * log_two,
        8.0 * H**2 * math.sqrt(d * log_one * log_two) + 4.0 * H**2 * log_two,
    )
    return Radii(*(1.0 + scale * x for x in found))


@kernel
def widest(f, pair, inverse, states, x, corner):  # type: ignore[no-untyped-def]
    """max ||psi_g(pair)|| over functions g from 0 to 1, and in corner (S,) the g: one of the 2^S corners, gone through by changing one entry."""
    begin, end = f.offsets[pair], f.offsets[pair + 1]
    n = end - begin
    for i in range(n):
        x[i] = 0.0
    best, at, code = 0.0, 0, 0
    for step in range(1, 1 << states):
        flip = 0
        while not (step >> flip) & 1:
            flip += 1
        code ^= 1 << flip
        sign = 1.0 if (code >> flip) & 1 else -1.0
        for i in range(n):
            x[i] += sign * f.rows[begin + i, flip]
        size = norm(f, pair, inverse, x)
        if size > best:
            best, at = size, code
    for s in range(states):
        corner[s] = 1.0 if (at >> s) & 1 else 0.0
    return best


@kernel
def optimistic(f, reward, center, inverse, radius, flaws, x, value, policy):  # type: ignore[no-untyped-def]
    """value (H + 1, S), policy (H, S) of planning with rewards (H, S, A) in [0, 1] and a bonus, values in [0, H]."""
    H, S, A = reward.shape
    value[H] = 0.0
    for h in range(H - 1, -1, -1):
        for s in range(S):
            best = -np.inf
            for a in range(A):
                pair = s * A + a
                coordinates(f, pair, value[h + 1], x)
                q = reward[h, s, a] + along(f, pair, center, x) + flaws.bonus * radius * norm(f, pair, inverse, x)
                if flaws.capped:
                    q = min(max(q, 0.0), float(H))
                if q > best + TIE:
                    best = q
                    policy[h, s] = a
            value[h, s] = best


@kernel
def learn(  # type: ignore[no-untyped-def]
    f, transition, cumulative, start, shape, truth, ridge, weighted, used, target, flaws, gram, running, moment, center, off, totals, rng
):  # fmt: skip
    """Episodes of UCRL-RFE (or + if weighted), until the optimistic value of the pseudo-reward is at most `target`. totals (K,): its running sum.

    Returns the number of episodes and the largest distance of the planning centre from the truth.
    """
    H, S, A = shape
    d = len(truth)
    pseudo, value = np.empty((H, S, A)), np.empty((H + 1, S))
    policy = np.zeros((H, S), dtype=np.int64)
    corners, sizes = np.empty((S * A, S)), np.empty(S * A)
    x, image, lower, square = np.empty((3, d)), np.empty(d), np.zeros((d, d)), np.empty(S)
    room = np.empty(d)
    inverse = running.copy()
    stale = np.zeros(3, dtype=np.int64)
    total = 0.0
    K = len(totals)
    for k in range(K):
        for i in range(3):
            copy_into(inverse[i], running[i])
            apply(inverse[i], moment[i], center[i])
            off[i] = max(off[i], distance(gram[i], center[i], truth))
        for pair in range(S * A):
            sizes[pair] = widest(f, pair, inverse[WIDEST], S, room, corners[pair])
        for h in range(H):
            for s in range(S):
                for a in range(A):
                    pseudo[h, s, a] = min(1.0, flaws.greedy * 2.0 * used.plan / H * (H - h - 1) * sizes[s * A + a])
        which, radius = (WEIGHTED, used.explore) if weighted else (WIDEST, used.plan)
        optimistic(f, pseudo, center[which], inverse[which], radius, flaws, room, value, policy)
        if value[0, start] <= target:
            return k
        total += value[0, start]
        totals[k] = total
        s = start
        for h in range(H):
            pair = s * A + policy[h, s]
            there = next_state(cumulative, pair, rng)
            seen = s if flaws.shifted else there
            reach = float(H - h - 1)
            n = stacked_coordinates(f, pair, corners[pair], x, WIDEST)
            for i in range(n):
                x[WIDEST, i] *= reach
            add(f, pair, n, x, reach * corners[pair, seen], 1.0, WIDEST, gram, running, moment, stale, image, lower)
            if weighted:
                for i in range(S):
                    square[i] = value[h + 1, i] ** 2
                stacked_coordinates(f, pair, value[h + 1], x, WEIGHTED)
                stacked_coordinates(f, pair, square, x, SQUARED)
                first = min(max(stacked_along(f, pair, center, x, WEIGHTED), 0.0), float(H))
                second = min(max(stacked_along(f, pair, center, x, SQUARED), 0.0), float(H * H))
                error = min(float(H * H), used.squares * stacked_norm(f, pair, inverse, x, SQUARED))
                error += min(float(H * H), 2.0 * H * used.check * stacked_norm(f, pair, inverse, x, WEIGHTED))
                variance = max(H * H / d, second - first * first + error)
                add(f, pair, n, x, value[h + 1, seen], 1.0 / variance, WEIGHTED, gram, running, moment, stale, image, lower)
                add(f, pair, n, x, square[seen], 1.0, SQUARED, gram, running, moment, stale, image, lower)
            s = there
    for i in range(3):
        apply(running[i], moment[i], center[i])
        off[i] = max(off[i], distance(gram[i], center[i], truth))
    return K


@kernel
def add(f, pair, n, x, target, weight, i, gram, running, moment, stale, image, lower):  # type: ignore[no-untyped-def]
    """One row of one regression."""
    add_outer(f, pair, x, weight, gram, running, i, image)
    for j in range(n):
        moment[i, f.active[f.offsets[pair] + j]] += weight * target * x[i, j]
    stale[i] += 1
    if stale[i] == REFRESH + len(image):
        invert(gram[i], running[i], lower)
        stale[i] = 0


@kernel
def compare(f, transition, start, rewards, center, inverse, radius, flaws, worst, least):  # type: ignore[no-untyped-def]
    """Plans for rewards (N, H, S, A) beside the truth: least[0] excess of V over the best value; worst (loss at the start, allowed)."""
    N, H, S, A = rewards.shape
    value, best, own, sums = np.empty((H + 1, S)), np.empty((H + 1, S)), np.empty((H + 1, S)), np.empty((H + 1, S))
    policy, other = np.zeros((H, S), dtype=np.int64), np.zeros((H, S), dtype=np.int64)
    amount, x = np.zeros((H, S, A)), np.empty(len(center))
    for n in range(N):
        optimistic(f, rewards[n], center, inverse, radius, flaws, x, value, policy)
        best_value(transition, rewards[n], best, other)
        policy_value(transition, rewards[n], policy, own)
        for h in range(H):
            for s in range(S):
                least[0] = min(least[0], value[h, s] - best[h, s])
                coordinates(f, s * A + policy[h, s], value[h + 1], x)
                amount[h, s, policy[h, s]] = min(float(H), 2.0 * radius * norm(f, s * A + policy[h, s], inverse, x))
        policy_value(transition, amount, policy, sums)
        keep_worst(worst, value[0, start] - own[0, start], sums[0, start])


@dataclass(frozen=True)
class Learned:
    """Episodes, distances of the three centres over their radii (largest so far), sums of optimistic values, and the planning regression."""

    episodes: int
    ratio: Array
    totals: Array
    center: Array
    inverse: Array
    radii: Radii


def ucrl_rfe(
    mixture: LinearMixture, rng: np.random.Generator, episodes: int, *, weighted: bool = False, scale: float = 1.0, target: float = -1.0,
    delta: float = DELTA, flaws: Flaws | None = None,
) -> Learned:  # fmt: skip
    """UCRL-RFE, or UCRL-RFE+ if weighted; ends early once its bound on what any policy loses, as a share of H, is at most `target`."""
    d, H, S, A = mixture.dimension, mixture.horizon, mixture.state_count, mixture.action_count
    used = radii(d, H, mixture.bound, episodes, delta, weighted=weighted, scale=scale)
    ridge = mixture.bound**-2.0
    gram = np.repeat(ridge * np.eye(d)[None], 3, axis=0)
    running, moment, center = np.repeat(np.eye(d)[None] / ridge, 3, axis=0), np.zeros((3, d)), np.zeros((3, d))
    off, totals = np.zeros(3), np.zeros(episodes)
    done = learn(
        mixture.sparse, mixture.transition, np.cumsum(mixture.transition, axis=1), mixture.start, (H, S, A), mixture.theta, ridge, weighted, used,
        target, flaws or Flaws(), gram, running, moment, center, off, totals, rng,
    )  # fmt: skip
    ratio = off / np.array([used.plan, used.explore, used.squares])
    return Learned(int(done), ratio[: 3 if weighted else 1], totals[:done], center[WIDEST], running[WIDEST], used)


def baseline_measures(mixture: LinearMixture, rng: np.random.Generator, episodes: int, flaws: Flaws) -> dict[str, Any]:
    """Both baselines with the published radii; plans also with radii just large enough, which the theorem about plans allows."""
    if mixture.state_count > MOST_STATES:
        return {}
    out: dict[str, Any] = {}
    for name, weighted in (("rfe", False), ("plus", True)):
        found = ucrl_rfe(mixture, rng, episodes, weighted=weighted, flaws=flaws)
        out[f"{name}_distance"] = float(found.ratio.max())
        if weighted:
            continue
        out |= {"rfe_total": float(found.totals[-1]), "rfe_beta": found.radii.plan}
        near = max(float(found.ratio[0]), 1e-6)
        worst, least = np.zeros(2), np.full(1, np.inf)
        for share in (1.0, math.sqrt(near), near * 1.0000001):
            if found.ratio[0] <= share:
                compare(
                    mixture.sparse, mixture.transition, mixture.start, mixture.rewards, found.center, found.inverse, share * found.radii.plan,
                    flaws, worst, least,
                )  # fmt: skip
        if np.isfinite(least[0]):
            out |= {"rfe_optimism": float(least[0]), "rfe_loss": float(worst[0]), "rfe_allowed": float(worst[1])}
    return out
