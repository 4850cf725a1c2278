"""The exact side: relaxations, planners in expectation, optima, blocks. All of it depends on the bandit alone and is computed once for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from theorylab.problems.record import Array
from theorylab.problems.switch_bandit import SwitchBandit
from theorylab.solvers import switching
from theorylab.solvers.switching import ACTUAL, VIRTUAL, Draws, Integers, Relaxation

#: Rounds of the exact finite comparisons, and of the best totals.
ROUNDS, HORIZONS = 40, (1, 2, 5, 10, 20, 40, 80)

#: Joint states up to which optima are computed; strings up to which blocks are tried.
MOST_STATES, MOST_STRINGS = 1_000, 20_000

#: Probability with which RunPlanner keeps an arm.
BETA = 0.25


@dataclass(frozen=True)
class Variant:
    """What the planners really do. The defaults are right; mutants change one of them.

    relax    the relaxation, from the table
    draws    what is drawn from its rates
    rule     which payoff decides between virtual plays
    filler   whether the best arm is played where none has its turn
    shorten  rounds of rest that are left out of every cycle
    beta     RunPlanner's probability, and coins: whether every arm has a coin of its own
    label    by how much the states of exploration are mislabelled
    assume, idle, warmed  how blocks are valued: whether first plays count as fully rested, whether nothing may be played, whether what is repeated
             has been repeated before
    """

    relax: Callable[[Array], Relaxation] = switching.relaxation
    draws: Callable[[Array], Draws | None] = switching.all_draws
    rule: int = VIRTUAL
    filler: bool = False
    shorten: int = 0
    beta: float = BETA
    coins: bool = True
    label: int = 0
    assume: bool = False
    idle: bool = True
    warmed: bool = True


def ratio(K: int) -> float:
    """1 - (1 - 1/K)^K."""
    return 1.0 - (1.0 - 1.0 / K) ** K


@lru_cache(maxsize=512)
def exact_measures(bandit: SwitchBandit, variant: Variant) -> dict[str, Any]:
    """Measures that need no chance."""
    table, K, m = bandit.table, bandit.arm_count, bandit.memory
    found = variant.relax(table)
    out: dict[str, Any] = {
        "lp": found.value, "lp_occupation": switching.occupation_value(table), "lp_dual": switching.dual(table)[0],
        "positive": float((found.rate > 0.0).sum()), "arm_number": float(K), "memory": float(m), "largest": bandit.largest, "ratio": ratio(K),
        "emax": switching.emax(table, found.rate), "lp_delays": by_delays(table),
    }  # fmt: skip
    return out | optimum_measures(bandit, variant) | planner_measures(bandit, found.rate, variant)


def by_delays(table: Array) -> float:
    """min over prices of price + sum max(0, max over delays (payoff - price) / delay), at all its corners: right where payoffs go by delay."""
    m = (table.shape[1] - 1) // 2
    delay = np.arange(1, m + 2)
    H = np.hstack((table[:, m - 1 : m], table[:, m + 1 :]))  # (K, m + 1)
    corners = [0.0]
    for h in H:
        corners += h.tolist()
        for a in range(m + 1):
            for b in range(a):
                corners.append((delay[a] * h[b] - delay[b] * h[a]) / (delay[a] - delay[b]))
    prices = np.array([x for x in corners if 0.0 <= x <= 1.0])
    best = np.maximum(((H[:, :, None] - prices) / delay[None, :, None]).max(axis=1), 0.0)
    return float((prices + best.sum(axis=0)).min())


def optimum_measures(bandit: SwitchBandit, variant: Variant) -> dict[str, Any]:
    """Best long-run means by two methods, best totals, blocks."""
    table, K, m = bandit.table, bandit.arm_count, bandit.memory
    try:
        graph = switching.joint_graph(table, most=MOST_STATES)
    except switching.SolverError:
        return {}
    best = switching.largest_cycle_mean(graph)
    low, high = switching.bracketed_mean(graph)
    totals = switching.finite_values(graph, HORIZONS[-1])[list(HORIZONS)]
    forced = switching.largest_cycle_mean(switching.joint_graph(table, idle=False, most=MOST_STATES))
    out: dict[str, Any] = {
        "opt": best, "opt_lazy": 0.5 * (low + high), "opt_forced": forced, "best_total": totals.max(axis=1),
        "horizons": np.array(HORIZONS, dtype=np.float64),
    }  # fmt: skip
    lengths = [d for d in range(1, 9) if (K + 1) ** d <= MOST_STRINGS]
    blocks = [
        switching.block_values(table, d, variant.assume, variant.idle, variant.warmed, np.empty(d, dtype=np.int64))
        for d in lengths
    ]
    return out | {
        "block_length": np.array(lengths, dtype=np.float64), "cyclic": np.array([c for c, _ in blocks]),
        "inside": np.array([i / d for d, (_, i) in zip(lengths, blocks, strict=True)]), "cyclic_gap": best - np.array([c for c, _ in blocks]),
        "block_gap": best - np.array([i / d for d, (_, i) in zip(lengths, blocks, strict=True)]),
        "undetermined": np.array([K - 1 + min(m, d) for d in lengths], dtype=np.float64),
    }  # fmt: skip


def planner_measures(bandit: SwitchBandit, rate: Array, variant: Variant) -> dict[str, Any]:
    """Expected payoffs of both planners over everything that they may draw."""
    table, K, m = bandit.table, bandit.arm_count, bandit.memory
    draws = variant.draws(rate)
    if draws is None:
        return {}
    cycle = draws.cycle.copy()
    cycle[..., 0] -= np.where(cycle[..., 0] > 1, variant.shorten, 0)
    period = 1
    for r, s in cycle.reshape(-1, 2):
        period = int(np.lcm(period, int(r + s))) if r >= 0 else period
    burn = period * -(-(6 * m + 10) // period)
    rested, lag = np.ones(K, dtype=np.int64), np.full(K, 2 * m, dtype=np.int64)
    rounds = max(burn + period, ROUNDS)

    def mean_of(rule: int, start: Integers, lag: Integers) -> Array:
        mean = np.empty(rounds)
        switching.expect_cycles(table, cycle, draws.offset, draws.chance, start, rounds, rule, variant.filler, mean, lag)
        return mean

    mean = mean_of(variant.rule, rested, lag)
    actual = mean_of(ACTUAL if variant.rule == VIRTUAL else variant.rule, rested, np.full(K, 2 * m, dtype=np.int64))
    tired = rested.copy()
    tired[0] = -m
    after = mean_of(variant.rule, tired, np.full(K, 2 * m, dtype=np.int64))
    runs = np.empty(ROUNDS)
    switching.expect_runs(table, cycle, draws.offset, draws.chance, rested, ROUNDS, variant.beta, variant.coins, runs)
    served = np.empty(burn + period)
    switching.expect_runs(table, cycle, draws.offset, draws.chance, rested, burn + period, variant.beta, variant.coins, served)
    return {
        "planned": float(mean[burn : burn + period].mean()), "planned_actual": float(actual[burn : burn + period].mean()),
        "planned_total": np.cumsum(mean[:ROUNDS]), "tired_total": np.cumsum(after[:ROUNDS]), "run_total": np.cumsum(runs),
        "run_rate": float(served[burn:].mean()), "lone_run_rate": served[burn:].mean(keepdims=True) if K == 1 else np.zeros(0), "lag": lag.astype(np.float64), "round": np.arange(1, ROUNDS + 1, dtype=np.float64),
    }  # fmt: skip


def best_block(bandit: SwitchBandit, most: int = MOST_STRINGS) -> tuple[float, Integers]:
    """(payoff per round, string (d,)) of the best string that is repeated for ever, -1 for no play; d as large as `most` strings allow, at most 12."""
    d = max((d for d in range(1, 13) if (bandit.arm_count + 1) ** d <= most), default=1)
    found: list[tuple[float, Integers]] = []
    for length in range(1, d + 1):
        string = np.empty(length, dtype=np.int64)
        found.append((switching.block_values(bandit.table, length, False, True, True, string)[0], string))
    return max(found, key=lambda pair: pair[0])


@dataclass(frozen=True)
class Summary:
    """Payoffs per round; cycles as (arm, rest, play, probability, reward); block: the best repeated string and what it earns."""

    relaxed: float
    best: float | None
    planned: float | None
    promised: float
    cycles: list[tuple[int, int, int, float, float]]
    block: tuple[float, Integers]


def summary(bandit: SwitchBandit) -> Summary:
    """What owners of a bandit want to know."""
    found = switching.relaxation(bandit.table)
    measures = optimum_measures(bandit, Variant()) | planner_measures(bandit, found.rate, Variant())
    reward = switching.rewards(bandit.table)
    chosen = [
        (int(i), int(r), int(s), float(found.rate[i, c] * (r + s)), float(reward[i, c]))
        for i in range(bandit.arm_count)
        for c, (r, s) in enumerate(switching.cycles(bandit.memory))
        if found.rate[i, c] > 0.0
    ]
    promised = ratio(bandit.arm_count) * found.value if bandit.is_monotone else found.value / 8.0
    return Summary(found.value, measures.get("opt"), measures.get("planned"), promised, chosen, best_block(bandit))
