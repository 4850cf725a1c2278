"""Explore, then commit to a plan; and action strings at random against the relaxation.

A seed draws the observations of the exploration (averages of Bernoulli payoffs), the plan's cycles, and strings of actions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from theorylab.errors import InstanceError
from theorylab.kernels import kernel
from theorylab.problems.record import Array
from theorylab.problems.switch_bandit import SwitchBandit
from theorylab.solvers import switching
from theorylab.solvers.switching import Integers, moved

from . import plugin
from .planning import Variant, exact_measures, ratio

#: Lengths of random strings.
STRINGS = (3, 10, 40, 200)


@plugin.run(rounds=10_000)
def run(bandit: SwitchBandit, rng: np.random.Generator, *, rounds: int) -> dict[str, Any]:
    """Plans in expectation, and a learner for so many rounds."""
    if rounds < 1:
        raise InstanceError(f"rounds = {rounds} must be at least 1.")
    return exact_measures(bandit, Variant()) | string_measures(bandit, rng) | learning_measures(bandit, rng, rounds, Variant())


@kernel
def follow(table, actions, state):  # type: ignore[no-untyped-def]
    """Total mean payoff of a string of actions, -1 for none; state (K,) is moved on."""
    m, total = (table.shape[1] - 1) // 2, 0.0
    for a in actions:
        if a >= 0:
            total += table[a, state[a] + m]
        for i in range(len(state)):
            state[i] = moved(state[i], i == a, m)
    return total


def string_measures(bandit: SwitchBandit, rng: np.random.Generator) -> dict[str, Any]:
    """Totals of random strings from random states, some of which stay with an arm for long."""
    K, m = bandit.arm_count, bandit.memory
    totals = []
    for length in STRINGS:
        state = rng.integers(1, m + 1, K)
        if rng.random() < 0.5:
            state[rng.integers(K)] = -rng.integers(1, m + 1)
        actions = np.repeat(rng.integers(-1, K, length), rng.integers(1, m + 2, length))[:length]
        totals.append(follow(bandit.table, actions, state))
    return {"string_total": np.array(totals), "string_length": np.array(STRINGS, dtype=np.float64)}


# -- explore, then commit -------------------------------------------------------------------------------------------------------------------


def exploration(K: int, m: int, rounds: int) -> tuple[int, int, float]:
    """(samples of each arm and state, rounds of exploration, accuracy eps): delta = 1 / rounds."""
    per, log = m * (m + 5) // 2, math.log(4.0 * m * K * rounds)
    samples = max(1, round(((1.0 + ratio(K)) * rounds * math.sqrt(log / 2.0) / (2.0 * K * per)) ** (2.0 / 3.0)))
    return samples, K * (1 + samples * per), math.sqrt(log / (2.0 * samples))


def learning_measures(bandit: SwitchBandit, rng: np.random.Generator, rounds: int, variant: Variant) -> dict[str, Any]:
    """alpha-regret of exploring every arm in every state, then following MaxPlanner for what was seen."""
    K, m, table = bandit.arm_count, bandit.memory, bandit.table
    samples, explored, accuracy = exploration(K, m, rounds)
    if explored > rounds:
        return {}
    seen = np.roll(bandit.payoff, variant.label, axis=1) if variant.label else bandit.payoff
    believed = np.insert(rng.binomial(samples, seen) / samples, m, 0.0, axis=1)
    earned = float(
        bandit.payoff[:, -1].sum() + samples * bandit.payoff.sum()
    )  # the first play of an arm, then every state so many times
    plan = variant.relax(believed)
    cycle, offset = draw(plan.rate, m, rng)
    state = np.full(K, m, dtype=np.int64)
    state[-1] = -m
    left = rounds - explored
    paid = np.empty(left)
    switching.play_cycles(
        table, believed, cycle, offset, state, left, variant.rule, variant.filler, paid, np.zeros(0, dtype=np.int64)
    )
    lp, alpha = switching.dual(table)[0], ratio(K)
    return {
        "etc_regret": alpha * rounds * lp - earned - float(paid.sum()), "explored": float(explored), "accuracy": accuracy,
        "rounds": float(rounds), "true_lp": lp, "misjudged": float(np.abs(believed - table).max()),
    }  # fmt: skip


def draw(rate: Array, m: int, rng: np.random.Generator) -> tuple[Integers, Integers]:
    """(cycle (K, 2), offset (K,)) as the planner draws them from the rates of a relaxation."""
    catalogue = switching.cycles(m)
    length = catalogue.sum(axis=1)
    cycle, offset = np.tile(np.array([-1, 1], dtype=np.int64), (len(rate), 1)), np.zeros(len(rate), dtype=np.int64)
    for i, rates in enumerate(rate):
        at = int(np.searchsorted(np.cumsum(rates * length), rng.random(), side="right"))
        if at < len(length):
            cycle[i], offset[i] = catalogue[at], rng.integers(length[at])
    return cycle, offset
