"""Learning by blocks in recharging bandits: ISI-CombUCB1 and CombUCB1, with the best string of each block found by trying all of them.

Source: Laforgue, Clerici, Cesa-Bianchi, Gilad-Bachrach, arXiv 2110.11819, and its released code: payoffs by delay, an arm in every round, Bernoulli payoffs,
all arms at delay 1 in the beginning. The released oracle is a greedy search over conic programs; the one here is exact.
"""

from __future__ import annotations

import math

import numpy as np

from theorylab.errors import InstanceError
from theorylab.kernels import copy_into, kernel
from theorylab.problems.record import Array

#: Strings that are tried for each block.
MOST_STRINGS = 20_000


@kernel
def _best_string(index, d, delay, counts_first, string, best):  # type: ignore[no-untyped-def]
    """best (d,): the string of largest total index. counts_first: whether first pulls count, at the arm's delay; else they count 0. index (K, reach)."""
    K, D = index.shape
    last = np.empty(K, dtype=np.int64)
    top = -1.0
    for code in range(K**d):
        rest, total = code, 0.0
        last[:] = -1
        for t in range(d):
            a = rest % K
            rest //= K
            string[t] = a
            if last[a] >= 0:
                total += index[a, min(t - last[a], D) - 1]
            elif counts_first:
                total += index[a, min(delay[a] + t, D) - 1]
            last[a] = t
        if total > top:
            top = total
            copy_into(best, string)


@kernel
def learn_blocks(delays, d, rounds, is_isi, rng, totals):  # type: ignore[no-untyped-def]
    """totals (rounds,): running total of Bernoulli payoffs. delays (K, D) means by delay; blocks of length d."""
    K, D = delays.shape
    reach = min(d, D)  # longer delays are not told apart
    count, mean, index = np.zeros((K, reach)), np.zeros((K, reach)), np.zeros((K, reach))
    delay, since = np.ones(K, dtype=np.int64), np.empty(K, dtype=np.int64)
    string, best = np.zeros(d, dtype=np.int64), np.zeros(d, dtype=np.int64)
    first = d * math.sqrt(1.5 * math.log(K * d))
    earned, t = 0.0, 0
    while t < rounds:
        for i in range(K):
            for j in range(reach):
                index[i, j] = mean[i, j] + math.sqrt(1.5 * math.log(t + 1.0) / count[i, j]) if count[i, j] > 0 else first
        _best_string(index, d, delay, not is_isi, string, best)
        since[:] = 0
        for step in range(d):
            if t == rounds:
                break
            a = best[step]
            j = min(delay[a], D) - 1
            paid = 1.0 if rng.random() < delays[a, j] else 0.0
            j = min(j, reach - 1)
            if since[a] > 0 or not is_isi:  # the first pull of a block belongs to what came before
                count[a, j] += 1
                mean[a, j] += (paid - mean[a, j]) / count[a, j]
            since[a] = 1
            earned += paid
            totals[t] = earned
            t += 1
            for i in range(K):
                delay[i] = 1 if i == a else min(delay[i] + 1, D)


@kernel
def greedy(delays, rounds, rng):  # type: ignore[no-untyped-def]
    """Total of playing what pays most now, means known."""
    K, D = delays.shape
    delay, earned = np.ones(K, dtype=np.int64), 0.0
    for _ in range(rounds):
        a, top = 0, -1.0
        for i in range(K):
            if delays[i, delay[i] - 1] > top:
                a, top = i, delays[i, delay[i] - 1]
        earned += 1.0 if rng.random() < delays[a, delay[a] - 1] else 0.0
        for i in range(K):
            delay[i] = 1 if i == a else min(delay[i] + 1, D)
    return earned


def learned_totals(delays: Array, length: int, rounds: int, *, isi: bool, seed: int) -> Array:
    """(rounds,) running totals of ISI-CombUCB1, or of CombUCB1. delays (K, D). Raises InstanceError beyond MOST_STRINGS strings a block."""
    K = len(delays)
    if K**length > MOST_STRINGS:
        raise InstanceError(
            f"{K} arms in blocks of {length}: {K**length:,} strings, at most {MOST_STRINGS:,} are tried. Use shorter blocks."
        )
    totals = np.zeros(rounds)
    learn_blocks(np.ascontiguousarray(delays), length, rounds, isi, np.random.default_rng(seed), totals)
    return totals


def delays_of(payoff: Array) -> Array:
    """(K, m + 1) payoffs by delay of a bandit whose payoffs go by delay."""
    m = payoff.shape[1] // 2
    return np.ascontiguousarray(np.hstack((payoff[:, m - 1 : m], payoff[:, m:])))
