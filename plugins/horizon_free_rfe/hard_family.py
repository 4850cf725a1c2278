"""The family of the lower bound: one step that decides, 2^(d-1) actions, signs that nobody knows; and the exact Bayes regret for one sign."""

from __future__ import annotations

import math

import numpy as np

from theorylab.kernels import copy_into, kernel
from theorylab.problems.linear_mixture import LinearMixture
from theorylab.problems.record import Array

#: Probability of the good state where nothing is known.
BASE = 1.0 / 6.0

#: Members of the family that a trial draws.
DRAWS = 24


def step_size(K: int) -> float:
    """Delta: what an action gains or loses by each sign, for K episodes."""
    return math.sqrt(BASE / K) / (4.0 * math.sqrt(2.0))


def hard_mixture(signs: Array, K: int, horizon: int) -> LinearMixture:
    """States start, poor, good; signs (d - 1,) in {-1, 1}; K >= 3 d^2 episodes are meant. The good state pays 1 / H at every step."""
    n = len(signs)
    delta = step_size(K)
    alpha, beta = math.sqrt(1.0 / (1.0 + n * delta)), math.sqrt(delta / (1.0 + n * delta))
    actions = np.array(np.meshgrid(*[[-1.0, 1.0]] * n, indexing="ij")).reshape(n, -1).T
    features = np.zeros((3, len(actions), n + 1, 3))
    features[0, :, 0, 1], features[0, :, 0, 2] = alpha * (1.0 - BASE), alpha * BASE
    features[0, :, 1:, 1], features[0, :, 1:, 2] = -beta * actions, beta * actions
    features[1, :, 0, 1] = features[2, :, 0, 2] = alpha
    rewards = np.zeros((1, horizon, 3, len(actions)))
    rewards[0, :, 2] = 1.0 / horizon
    theta = np.concatenate(([1.0 / alpha], delta / beta * np.asarray(signs, dtype=np.float64)))
    labels = tuple("".join("+" if a > 0 else "-" for a in row) for row in actions)
    return LinearMixture(features, theta, rewards, 1.0 + n * delta, states=("start", "poor", "good"), actions=labels)


def episodes_of(mixture: LinearMixture) -> int | None:
    """K of a member of the family; None for anything else."""
    d, S, A = mixture.dimension, mixture.state_count, mixture.action_count
    if S != 3 or d < 2 or 2 ** (d - 1) != A or mixture.horizon < 2 or len(mixture.rewards) != 1:
        return None
    step = (mixture.bound - 1.0) / (d - 1)
    if step <= 0.0:
        return None
    K = round(BASE / (4.0 * math.sqrt(2.0) * step) ** 2)
    if K < 1:
        return None
    twin = hard_mixture(np.sign(mixture.theta[1:]), K, mixture.horizon)
    is_one = np.abs(twin.features - mixture.features).max() < 1e-9 and np.abs(twin.rewards - mixture.rewards).max() < 1e-9
    return K if is_one else None


@kernel
def bayes_regret(K, base, step):  # type: ignore[no-untyped-def]
    """(least expected regret of K episodes over both signs, probability that what is played afterwards is wrong), by dynamic programming on what was seen.

    What matters of the past is how many more good ends point to + than to -, and how many more poor ends: the net counts.
    """
    width = 2 * K + 1
    good, poor = np.log((base + step) / (base - step)), np.log((1.0 - base - step) / (1.0 - base + step))
    later, now = np.zeros((width + 2, width + 2)), np.zeros((width + 2, width + 2))
    wrong_later, wrong_now = np.zeros((width + 2, width + 2)), np.zeros((width + 2, width + 2))
    for g in range(-K, K + 1):
        for p in range(-(K - abs(g)), K - abs(g) + 1):
            plus = 1.0 / (1.0 + np.exp(-(g * good + p * poor)))
            wrong_later[g + K + 1, p + K + 1] = min(plus, 1.0 - plus)
    for k in range(K - 1, -1, -1):
        for g in range(-k, k + 1):
            for p in range(-(k - abs(g)), k - abs(g) + 1):
                plus = 1.0 / (1.0 + np.exp(-(g * good + p * poor)))
                best, wrong = np.inf, 0.0
                for a in (1, -1):
                    up = plus * (base + a * step) + (1.0 - plus) * (base - a * step)
                    miss = 1.0 - plus if a == 1 else plus
                    i, j, total = g + a + K + 1, p + K + 1, 2.0 * step * miss
                    to, fro = later[i, j], later[g + K + 1, p + a + K + 1]
                    cost = total + up * to + (1.0 - up) * fro
                    if cost < best:
                        best = cost
                        wrong = up * wrong_later[i, j] + (1.0 - up) * wrong_later[g + K + 1, p + a + K + 1]
                now[g + K + 1, p + K + 1], wrong_now[g + K + 1, p + K + 1] = best, wrong
        copy_into(later, now)
        copy_into(wrong_later, wrong_now)
    return later[K + 1, K + 1], wrong_later[K + 1, K + 1]
