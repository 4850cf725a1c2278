"""Runs of the gradient bandit: a fast kernel for the algorithm as it is, a plain one for broken variants and for comparison."""

from __future__ import annotations

import math

import numpy as np

from theorylab.kernels import copy_into, kernel
from theorylab.solvers.elementary import fma

from .updates import increment, policy_of

#: Pulls after which the weights are computed anew from the logits: rounding cannot pile up, nor weights overflow (e^(256 LARGEST_MOVE)).
REBUILD = 256

#: Largest eta |x| for which exp is replaced by its Taylor polynomial of degree 12: the remainder .3^13 / 13! is below 2^-54.
LARGEST_MOVE = 0.3

#: What a run reports besides its checkpoints.
LOWEST, SAMPLING, PROGRESS, PAID, PAID_SQUARED, DRIFT, SCALARS = range(7)

#: What the rewards of a mutant are.
ITSELF, MEAN, NEIGHBOUR = range(3)

# Taylor coefficients of exp, 1 / k!
C2, C3, C4, C5, C6, C7 = (1.0 / math.factorial(k) for k in range(2, 8))
C8, C9, C10, C11, C12 = (1.0 / math.factorial(k) for k in range(8, 13))


@kernel
def draw_reward(arm, values, cumulative, deviations, bound, rng):  # type: ignore[no-untyped-def]
    """A reward of the arm."""
    if deviations[arm] > 0.0:
        return min(max(values[arm, 0] + deviations[arm] * rng.standard_normal(), -bound), bound)
    u = rng.random()
    last = values.shape[1] - 1
    for j in range(last):
        if u < cumulative[arm, j]:
            return values[arm, j]
    return values[arm, last]


@kernel
def sum_up(scalars, K, theta, start, star, eta, lowest, progress, paid, paid_squared, pulls, expected):  # type: ignore[no-untyped-def]
    """Write what a run leaves behind besides its checkpoints."""
    excess = drift = 0.0
    for a in range(K):
        excess = max(excess, abs(pulls[a] - expected[a]))
        drift += theta[a] - start[a]
    scalars[LOWEST] = lowest - start[star]
    scalars[SAMPLING] = excess
    scalars[PROGRESS] = abs((theta[star] - start[star]) / eta + progress)
    scalars[PAID] = abs(paid)
    scalars[PAID_SQUARED] = abs(paid_squared)
    scalars[DRIFT] = drift


@kernel
def simulate(  # type: ignore[no-untyped-def]
    start,
    eta,
    with_baseline,
    values,
    cumulative,
    deviations,
    bound,
    means,
    squares,
    star,
    checkpoints,
    rng,
    thetas,
    gap,
    regret,
    scalars,
):
    """One run of T = checkpoints[-1] pulls; theta (C, K), instantaneous and cumulative regret (C,) before each checkpoint's pull.

    The weights w = exp(theta - shift) are carried along by w_b *= exp(-eta x pi_b), with a polynomial for exp, and rebuilt from
    theta every REBUILD pulls; a reward of 0 changes nothing. The same arms are pulled as by `simulate_plainly` (tested).
    Source: algorithm 1 of arXiv 2402.17235. With a baseline, x is replaced by x minus the mean of the rewards so far.
    """
    K = start.size
    blocks = (K + 3) // 4
    n = 4 * blocks  # padded with arms of weight 0, so that sums run in four lanes
    theta, w, loss = np.full(n, -np.inf), np.zeros(n), np.zeros(n)
    copy_into(theta[:K], start)
    best = means.max()
    copy_into(loss[:K], best - means)
    sums, expected, pulls = np.zeros(blocks), np.zeros(n), np.zeros(n)
    boost = np.exp(eta * values)
    reach = eta * bound * (2.0 if with_baseline else 1.0)
    small = reach <= LARGEST_MOVE
    total = lost = cumulative_regret = progress = paid = paid_squared = baseline = 0.0
    lowest = theta[star]
    horizon = checkpoints[-1]
    last_column = values.shape[1] - 1
    at = 0
    stale = 0  # pulls until the weights are rebuilt
    for t in range(1, horizon + 1):
        if stale == 0:
            stale = REBUILD
            top = theta[:K].max()
            total = lost = 0.0
            for b in range(K):
                w[b] = math.exp(theta[b] - top)
            for k in range(blocks):
                i = 4 * k
                sums[k] = (w[i] + w[i + 1]) + (w[i + 2] + w[i + 3])
                total += sums[k]
                lost += (w[i] * loss[i] + w[i + 1] * loss[i + 1]) + (w[i + 2] * loss[i + 2] + w[i + 3] * loss[i + 3])
        stale -= 1
        inverse = 1.0 / total
        delta = lost * inverse
        cumulative_regret += delta
        progress -= w[star] * inverse * delta
        for b in range(n):
            expected[b] += inverse * w[b]
        if t == checkpoints[at]:
            copy_into(thetas[at], theta[:K])
            gap[at] = delta
            regret[at] = cumulative_regret
            at += 1
        target = rng.random() * total
        k = 0
        below = 0.0
        while k < blocks - 1 and below + sums[k] <= target:
            below += sums[k]
            k += 1
        arm = 4 * k
        last = min(arm + 3, K - 1)  # the guard: rounding of the total must not run past the last arm
        below += w[arm]
        while arm < last and below <= target:
            arm += 1
            below += w[arm]
        column = -1  # drawn here and not by draw_reward: a call that is not inlined costs a third of the speed
        if deviations[arm] > 0.0:
            x = min(max(values[arm, 0] + deviations[arm] * rng.standard_normal(), -bound), bound)
        else:
            u = rng.random()
            column = 0
            # counted, not searched: a branch that nobody can foretell costs more than a few comparisons
            for j in range(last_column):
                column += u >= cumulative[arm, j]
            x = values[arm, column]
        pulls[arm] += 1.0
        paid += x - means[arm]
        paid_squared += x * x - squares[arm]
        used = x - baseline if with_baseline else x
        if with_baseline:
            baseline += (x - baseline) / t
        if used == 0.0:
            continue
        step = eta * used
        c = -step * inverse
        if small:
            for b in range(n):
                z = c * w[b]
                theta[b] += z
                y = z * z
                q = (
                    y * y
                )  # the sum by halves and quarters: with few arms each pull waits for the one before, and this chain is short
                head = fma(q, fma(y, fma(z, C7, C6), fma(z, C5, C4)), fma(y, fma(z, C3, C2), 1.0 + z))
                w[b] *= fma(q * q, fma(q, C12, fma(y, fma(z, C11, C10), fma(z, C9, C8))), head)
            w[arm] *= boost[arm, column] if column >= 0 and not with_baseline else math.exp(step)
            theta[arm] += step
        else:
            for b in range(K):
                theta[b] += c * w[b]
            theta[arm] += step
            stale = 0
        if theta[star] < lowest:
            lowest = theta[star]
        total = lost = 0.0
        for k in range(blocks):
            i = 4 * k
            sums[k] = (w[i] + w[i + 1]) + (w[i + 2] + w[i + 3])
            total += sums[k]
            lost += (w[i] * loss[i] + w[i + 1] * loss[i + 1]) + (w[i + 2] * loss[i + 2] + w[i + 3] * loss[i + 3])
    sum_up(scalars, K, theta, start, star, eta, lowest, progress, paid, paid_squared, pulls, expected)


@kernel
def simulate_plainly(  # type: ignore[no-untyped-def]
    start, eta, with_baseline, values, cumulative, deviations, bound, means, squares, star, checkpoints, rng, thetas, gap, regret, scalars,
    form, mix, scale, decays, contains, pays,
):  # fmt: skip
    """`simulate`, softmax and increment computed anew at every pull; and what a mutant does otherwise.

    form      of the update                       mix     share of uniform exploration that the update ignores
    scale     factor on the uniform u, 0: 1 - u   decays  eta / sqrt(t) in place of eta
    contains  the baseline contains the reward    pays    ITSELF, or rewards replaced by their MEAN, or the NEIGHBOUR's
    """
    K = start.size
    theta = start.copy()
    policy, rest, earlier, step = np.empty(K), np.empty(K), np.empty(K), np.empty(K)
    expected, pulls, weights = np.zeros(K), np.zeros(K), np.empty(K)
    best = means.max()
    lowest = theta[star]
    cumulative_regret = progress = paid = paid_squared = baseline = 0.0
    at = 0
    policy_of(theta, form, earlier, rest)
    for t in range(1, checkpoints[-1] + 1):
        policy_of(theta, form, policy, rest)
        top = theta.max()
        delta = 0.0
        for b in range(K):
            delta += policy[b] * (best - means[b])
            expected[b] += policy[b]
            weights[b] = math.exp(theta[b] - top) if mix == 0.0 else (1.0 - mix) * policy[b] + mix / K
        cumulative_regret += delta
        progress -= policy[star] * delta
        if t == checkpoints[at]:
            copy_into(thetas[at], theta)
            gap[at] = delta
            regret[at] = cumulative_regret
            at += 1
        u = rng.random()
        target = (scale * u if scale > 0.0 else 1.0 - u) * weights.sum()
        arm = 0
        below = weights[0]
        while arm < K - 1 and below <= target:
            arm += 1
            below += weights[arm]
        x = draw_reward((arm + 1) % K if pays == NEIGHBOUR else arm, values, cumulative, deviations, bound, rng)
        if pays == MEAN:
            x = means[arm]
        pulls[arm] += 1.0
        paid += x - means[arm]
        paid_squared += x * x - squares[arm]
        used = x
        if with_baseline:
            used = x - (baseline + (x - baseline) / t if contains else baseline)
            baseline += (x - baseline) / t
        increment(theta, policy, rest, earlier, arm, used, eta / math.sqrt(t) if decays else eta, form, step)
        for b in range(K):
            theta[b] += step[b]
            earlier[b] = policy[b]
        lowest = min(lowest, theta[star])
    sum_up(scalars, K, theta, start, star, eta, lowest, progress, paid, paid_squared, pulls, expected)
