"""Measures in rational arithmetic on small problems: differences that are 0 or are not, turned into floats at the very end.

Truths are brute force over policies that remember everything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from theorylab.problems.mdp import END, ExactTable
from theorylab.problems.record import Array
from theorylab.solvers.exact_returns import (
    ONE,
    POINT,
    ZERO,
    Functional,
    Law,
    Stock,
    StockIteration,
    cvar,
    cvar_by_stock,
    follow,
    history_laws,
    mean,
    mix,
    moved,
    policies_without_memory,
    scalar_value,
)  # fmt: skip

from .objectives import (
    ALL,
    CLIPPED,
    HOMEOSTASIS,
    HOMOGENEOUS,
    LEVELS,
    SHORTFALL,
    TARGET,
    Objective,
    cvar_half,
    mean_less_variance,
    positive,
)  # fmt: skip
from .variant import Variant

STOCKS = (Fraction(-1), ZERO, Fraction(1, 2))


def floats(values: Iterable[Fraction]) -> Array:
    return np.array([float(x) for x in values])


# -- the stock, the order of laws -------------------------------------------------------------------------------------------------


def trajectory_measures(
    table: ExactTable, discount: Fraction, start: int, rng: np.random.Generator, variant: Variant
) -> dict[str, Any]:
    """Five random walks: c_0 plus the discounted rewards against discount^n c_n."""
    gaps = []
    for _ in range(5):
        s, c, weight = start, STOCKS[int(rng.integers(len(STOCKS)))], ONE
        total = c
        for _ in range(6):
            outcomes = table[s][int(rng.integers(len(table[s])))]
            _, r, s = outcomes[int(rng.integers(len(outcomes)))]
            total, c, weight = total + weight * r, variant.stock.update(c, r, discount), weight * discount
            gaps.append(total - weight * c)
            if s == END:
                break
    return {"account_gap": floats(gaps)}


def random_law(rng: np.random.Generator) -> Law:
    """Up to three atoms, halves of whole numbers, with simple weights."""
    n = int(rng.integers(1, 4))
    weights = [Fraction(int(w)) for w in rng.integers(1, 5, n)]
    return mix((w / sum(weights), {Fraction(int(x), 2): ONE}) for w, x in zip(weights, rng.integers(-6, 7, n), strict=True))


def order_measures(table: ExactTable, discount: Fraction, rng: np.random.Generator) -> dict[str, Any]:
    """Random laws for what follows each outcome, one at least as good as the other: mixing, discounting and randomising keep the order."""
    gains, dominance, scaled, form = [], [], [], []
    for objective in HOMOGENEOUS:
        K, factor = objective.functional, objective.factor(discount)
        for actions in table:
            c = STOCKS[int(rng.integers(len(STOCKS)))]
            share = Fraction(int(rng.integers(0, 5)), 4) if len(actions) > 1 else ZERO
            better, worse, choices = [], [], []
            for a, outcomes in enumerate(actions):
                weight = (share if a == 0 else (ONE - share) / max(len(actions) - 1, 1)) if len(actions) > 1 else ONE
                good = []
                for p, r, _ in outcomes:
                    after = (c + r) / discount
                    first, second = random_law(rng), random_law(rng)
                    laws = (first, second) if K(moved(first, after)) <= K(moved(second, after)) else (second, first)
                    worse.append((weight * p, moved(laws[0], r, discount)))
                    good.append((p, moved(laws[1], r, discount)))
                better += [(weight * p, law) for p, law in good]
                choices.append(K(moved(mix(good), c)))
            gains.append(K(moved(mix(better), c)) - K(moved(mix(worse), c)))
            dominance.append(max(choices) - K(moved(mix(better), c)))
        for _ in range(5):
            first, second = random_law(rng), random_law(rng)
            scaled.append((K(first) - K(second)) * (K(moved(first, ZERO, discount)) - K(moved(second, ZERO, discount))))
            x = Fraction(int(rng.integers(-8, 9)), 3)
            f = objective.utility
            form.append(
                f(discount * x) - factor * f(x) - (ONE - factor) * f(ZERO) if objective.degree else f(discount * x) - f(x)
            )
    K = CLIPPED.functional
    near, far = {Fraction(1): ONE}, {ZERO: Fraction(1, 2), Fraction(11, 5): Fraction(1, 2)}
    clipped = (K(near) - K(far)) * (K(moved(near, ZERO, discount)) - K(moved(far, ZERO, discount)))
    return {
        "order_gain": floats(gains),
        "choice_gain": floats(dominance),
        "discounted_order": floats(scaled),
        "homogeneity_gap": floats(form),
        "clipped_order": float(clipped),
    }


# -- optimality against brute force -----------------------------------------------------------------------------------------------


def solvable(objective: Objective, discount: Fraction) -> bool:
    """Whether the method is for this objective: indifferent to mixtures as they all are, and to the discount if there is one."""
    return objective.degree is not None or discount == ONE


def optimality_measures(
    table: ExactTable, discount: Fraction, horizon: int, start: int, start_laws: list[Law], variant: Variant
) -> dict[str, Any]:
    """Values after n sweeps against the best of all policies that remember everything; the recursion without laws; saturation."""
    gaps, scalar, saturated = [], [], []
    laws = {(horizon - 1, s): history_laws(table, discount, horizon - 1, s) for s in range(len(table)) if horizon > 1}
    laws[horizon, start] = start_laws
    for objective in ALL:
        if not solvable(objective, discount):
            continue
        iteration = StockIteration(table, discount, objective.functional, variant.stock)
        memory: dict[Any, Fraction] = {}
        for (n, s), all_laws in laws.items():
            for c in STOCKS:
                value = iteration.value(n, s, c)
                best = max(sum((p * objective.utility(c + x) for x, p in law.items()), ZERO) for law in all_laws)
                gaps.append(value - best)
                if objective.degree is not None:
                    factor = objective.factor(discount)
                    scalar.append(value - scalar_value(table, discount, objective.utility, factor, n, s, c, memory))
    low, high = min(min(law) for law in start_laws), max(max(law) for law in start_laws)
    means = [mean(law) for law in start_laws]
    for objective in (SHORTFALL, HOMEOSTASIS):
        iteration = StockIteration(table, discount, objective.functional, variant.stock)
        below, above = -high - ONE, -low + ONE
        saturated.append(iteration.value(horizon, start, below) - (below + max(means)))
        expected_above = ZERO if objective is SHORTFALL else -(above + min(means))
        saturated.append(iteration.value(horizon, start, above) - expected_above)
    return {"optimality_gap": floats(gaps), "scalar_gap": floats(scalar), "saturation_gap": floats(saturated)}


Node = tuple[int, int, Fraction]


def policy_iteration_measures(
    table: ExactTable, discount: Fraction, horizon: int, start: int, laws: list[Law], variant: Variant
) -> dict[str, Any]:  # fmt: skip
    """Improvements of a policy that always plays action 0: value by value, beside as many sweeps from its laws, and where they end."""
    gains, leads, ends = [], [], []
    for objective in (SHORTFALL, HOMEOSTASIS, TARGET):
        K, update = objective.functional, variant.stock.update

        def first(n: int, s: int, c: Fraction) -> int:
            return 0

        policy: Callable[[int, int, Fraction], int] = first
        values: list[list[Fraction]] = []
        for _ in range(horizon + 1):
            memory: dict[Any, Law] = {}
            current = policy
            values.append([K(moved(follow(table, discount, current, horizon, start, c, memory, update), c)) for c in STOCKS])
            policy = improved(table, discount, K, current, memory, variant.stock)
        best = max_values(laws, objective)
        for k in range(len(values) - 1):
            gains += [after - before for before, after in zip(values[k], values[k + 1], strict=True)]
        for k in range(min(horizon, len(values) - 1) + 1):
            swept = partial_sweeps(table, discount, K, first, horizon, start, k)
            leads += [mine - theirs for mine, theirs in zip(values[k], swept, strict=True)]
        ends += [mine - top for mine, top in zip(values[horizon], best, strict=True)]
    return {"improvement_gain": floats(gains), "lead_over_sweeps": floats(leads), "final_gap": floats(ends)}


def improved(
    table: ExactTable, discount: Fraction, K: Functional, policy: Callable[[int, int, Fraction], int], memory: dict[Any, Law], stock: Stock
) -> Callable[[int, int, Fraction], int]:  # fmt: skip
    """The policy that is greedy for the laws of `policy`."""
    choices: dict[Node, int] = {}

    def greedy(n: int, s: int, c: Fraction) -> int:
        if (n, s, c) not in choices:
            worth = []
            for outcomes in table[s]:
                law = mix(
                    (
                        p,
                        moved(
                            follow(table, discount, policy, n - 1, to, stock.update(c, r, discount), memory, stock.update),
                            r,
                            discount,
                        ),
                    )
                    for p, r, to in outcomes
                )
                worth.append(K(stock.total(c, law)))
            choices[n, s, c] = worth.index(max(worth))
        return choices[n, s, c]

    return greedy


def partial_sweeps(
    table: ExactTable, discount: Fraction, K: Functional, policy: Callable[[int, int, Fraction], int], horizon: int, start: int, k: int
) -> list[Fraction]:  # fmt: skip
    """F_K (T_*)^k eta^policy at the start: k greedy steps, then the policy for what is left of the horizon."""
    memory: dict[Any, Law] = {}
    followed: dict[Any, Law] = {}

    def law(n: int, s: int, c: Fraction) -> Law:
        if s == END:
            return POINT
        if n == horizon - k:
            return follow(table, discount, policy, n, s, c, followed)
        if (n, s, c) not in memory:
            options = [
                mix((p, moved(law(n - 1, to, (c + r) / discount), r, discount)) for p, r, to in outcomes) for outcomes in table[s]
            ]
            memory[n, s, c] = max(options, key=lambda option: K(moved(option, c)))
        return memory[n, s, c]

    return [K(moved(law(horizon, start, c), c)) for c in STOCKS]


def max_values(laws: list[Law], objective: Objective) -> list[Fraction]:
    """The best of the laws, at each stock."""
    return [max(sum((p * objective.utility(c + x) for x, p in law.items()), ZERO) for law in laws) for c in STOCKS]


def cvar_measures(
    table: ExactTable, discount: Fraction, horizon: int, start: int, laws: list[Law], variant: Variant
) -> dict[str, Any]:
    """CVaR by the stock method, promised and played, against the best of all policies that remember everything."""
    atoms = sorted({x for law in laws for x in law})
    promised, played = [], []
    for level in LEVELS:
        best = max(cvar(law, level) for law in laws)
        if variant.tail_only:
            still = Stock(update=lambda c, r, discount: c, total=lambda c, law: law)
            iteration = StockIteration(table, discount, partial(cvar, level=level), still)
            value, law = cvar(iteration.law(horizon, start, ZERO), level), iteration.law(horizon, start, ZERO)
        else:
            targets = atoms if variant.target is None else [variant.target(table, discount, horizon, start)]
            value, _, law = cvar_by_stock(table, discount, level, horizon, start, targets, variant.stock)
        promised.append(value - best)
        played.append(cvar(law, level) - best)
    return {"cvar_gap": floats(promised), "cvar_played_gap": floats(played)}


# -- what fails without the conditions ---------------------------------------------------------------------------------------------


def shortcoming_measures(table: ExactTable, discount: Fraction, horizon: int, start: int, laws: list[Law]) -> dict[str, Any]:
    """The same recursions with objectives that miss a condition, beside the best there is."""
    still = Stock(update=lambda c, r, gamma: c)
    out: dict[str, Any] = {}
    for name, K in (("tail", cvar_half), ("variance", mean_less_variance)):
        greedy = StockIteration(table, discount, K, still)
        out[f"{name}_greedy"] = float(K(greedy.law(horizon, start, ZERO)))
        out[f"{name}_best"] = float(max(K(law) for law in laws))
    clipped = StockIteration(table, discount, CLIPPED.functional)
    out["clipped_greedy"] = float(clipped.value(horizon, start, ZERO))
    out["clipped_best"] = float(max(CLIPPED.functional(law) for law in laws))
    hopeful = StockIteration(table, discount, positive, start={ONE: ONE})
    out["hopeful_greedy"] = float(hopeful.value(horizon, start, ZERO))
    out["hopeful_best"] = float(max(positive(law) for law in laws))
    if len(table) * horizon * math.log2(max(len(table[0]), 1)) <= 6:
        blind = policies_without_memory(table, discount, horizon, start)
        out["blind_best"] = float(max(HOMEOSTASIS.functional(law) for law in blind))
        out["stock_best"] = float(StockIteration(table, discount, HOMEOSTASIS.functional).value(horizon, start, ZERO))
    return out
