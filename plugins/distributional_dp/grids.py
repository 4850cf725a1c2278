"""Measures of endless runs, on grids of stocks, against a fine grid on which nothing is rounded (discount 1/2, whole rewards) or whose own
error is taken off."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from theorylab.problems.mdp import MDP
from theorylab.problems.record import Array
from theorylab.solvers.stock import CATEGORICAL, QUANTILE, StockGrid, StockLawIteration, stock_values
from theorylab.solvers.stock import SHORTFALL as SHORTFALL_SLOPES

from .exact import floats
from .objectives import LEVELS, LIPSCHITZ, MEAN
from .oracle import GridProblem
from .variant import Variant

#: Sweeps of the grid solvers, and points of their grids.
SWEEPS, POINTS, ATOMS = (1, 2, 4, 8), 17, 33

#: Improvements after which policies are compared with the best.
IMPROVEMENTS = (0, 1, 2, 3, 4, 5, 6)

#: Outcomes up to which a few sweeps are made on grids.
MOST_OUTCOMES = 1_000

#: Outcomes times effective horizon, 1 / (1 - discount), up to which endless values are iterated in NumPy; it takes about a second.
MOST_WORK = 1_000.0


# -- endless runs on grids --------------------------------------------------------------------------------------------------------


def is_dyadic(mdp: MDP) -> bool:
    """Whether stocks on whole numbers stay on whole numbers: discount 1/2 and whole rewards."""
    return mdp.discount == 0.5 and bool((mdp.rewards == np.floor(mdp.rewards)).all())


def grid_measures(mdp: MDP, variant: Variant) -> dict[str, Any]:
    """Sweeps on grids of stocks against values of an endless run; only problems whose tables are small."""
    if len(mdp.successors) > MOST_OUTCOMES:
        return {}
    endless = len(mdp.successors) / (1.0 - mdp.discount) <= MOST_WORK
    low, high = mdp.return_range()
    low, high = min(low, 0.0), max(high, 0.0)
    if high - low < 1e-9:
        return {}
    dyadic = is_dyadic(mdp)
    if dyadic:  # a quarter more on both sides than can matter, so that ends fall on whole numbers
        coarse = StockGrid(-math.ceil(high), 1.0, math.ceil(high) + math.ceil(-low) + 1)
        fine = StockGrid(coarse.low, 0.125, 8 * (coarse.count - 1) + 1)
    else:
        coarse = StockGrid.around(mdp, POINTS)
        fine = StockGrid(coarse.low, coarse.step / 16, 16 * (POINTS - 1) + 1)
    stride = round(coarse.step / fine.step)
    discount, width = mdp.discount, high - low
    D = max(-low, high)
    taken = 0.0 if dyadic else fine.step * discount / (2.0 * (1.0 - discount))
    lipschitz = np.array([o.slopes.lipschitz for o in LIPSCHITZ if o.slopes])[:, None]
    distance, losses, kernel_gap, rounded, split = ([] for _ in range(5))
    categorical: list[list[float]] = []
    quantile: list[list[float]] = []
    for objective in LIPSCHITZ:
        assert objective.slopes is not None
        problem = GridProblem(mdp, fine, objective.slopes)
        values = problem.values(max(SWEEPS))
        L = objective.slopes.lipschitz
        seen = variant.problem(mdp)
        if endless:
            limit = problem.limit(values[-1])
            found = [stock_values(seen, objective.slopes, fine, steps=n).value for n in SWEEPS]
            distance.append([max(np.abs(value - limit).max() - 2 * L * taken, 0.0) for value in found])
        if endless and objective is not MEAN:  # greedy for V_n is what the first of n + 1 steps plays
            greedy = [stock_values(seen, objective.slopes, fine, steps=n + 1).policies[0].astype(np.int64) for n in SWEEPS]
            losses.append([max((limit - problem.limit(limit, policy)).max() - 2 * L * taken, 0.0) for policy in greedy])
        swept = [stock_values(seen, objective.slopes, coarse, steps=n).value for n in SWEEPS]
        mixed = [stock_values(seen, objective.slopes, coarse, steps=n, is_split=True).value for n in SWEEPS]
        truth = [values[n][:, ::stride] for n in SWEEPS]
        again = GridProblem(mdp, coarse, objective.slopes).values(max(SWEEPS))
        kernel_gap.append([np.abs(swept[i] - again[n]).max() for i, n in enumerate(SWEEPS)])
        rounded.append([max(np.abs(swept[i] - truth[i]).max() - L * taken, 0.0) for i in range(len(SWEEPS))])
        split.append([max(np.abs(mixed[i] - truth[i]).max() - L * taken, 0.0) for i in range(len(SWEEPS))])
        atoms = np.linspace(low, high, ATOMS)
        for kind, kept in ((CATEGORICAL, categorical), (QUANTILE, quantile)):
            agent = StockLawIteration(seen, objective.slopes, coarse, kind, atoms)
            errors, done = [], 0
            for i, n in enumerate(SWEEPS):
                errors.append(max(np.abs(agent.value_iteration(n - done).value - truth[i]).max() - L * taken, 0.0))
                done = n
            kept.append(errors)
    out: dict[str, Any] = {
        "n": np.array(SWEEPS, dtype=np.float64), "lipschitz": lipschitz, "kinked_lipschitz": lipschitz[1:], "return_bound": D,
        "width": width, "step": coarse.step, "rounds": 0.0 if dyadic else 1.0, "atoms": float(ATOMS),
        "kernel_gap": np.array(kernel_gap),
        "rounding_error": np.array(rounded), "splitting_error": np.array(split),
        "categorical_error": np.array(categorical), "quantile_error": np.array(quantile),
    }  # fmt: skip
    if endless:
        out |= {"vi_distance": np.array(distance), "greedy_loss": np.array(losses)} | grid_cvar_measures(
            mdp, fine, taken, variant
        )
        out |= improvement_measures(mdp, fine, taken, variant)
    return out | grid_policy_measures(mdp, coarse, variant)


def improvement_measures(mdp: MDP, fine: StockGrid, taken: float, variant: Variant) -> dict[str, Any]:
    """What the stationary policies of policy iteration lose, from one that always plays action 0: each is evaluated endlessly."""
    losses = []
    for objective in LIPSCHITZ:
        assert objective.slopes is not None
        problem, seen = (GridProblem(p, fine, objective.slopes) for p in (mdp, variant.problem(mdp)))
        limit = problem.limit(problem.values(1)[-1])
        policy, loss = np.zeros(limit.shape, dtype=np.int64), []
        for _ in IMPROVEMENTS:
            value = problem.limit(limit, policy)
            loss.append(max(float((limit - value).max()) - 2 * objective.slopes.lipschitz * taken, 0.0))
            policy = np.argmax(seen.action_values(value), axis=1)
        losses.append(loss)
    return {"improvements": np.array(IMPROVEMENTS, dtype=np.float64), "improved_loss": np.array(losses)}


def grid_cvar_measures(mdp: MDP, fine: StockGrid, taken: float, variant: Variant) -> dict[str, Any]:
    """CVaR from n sweeps against the endless one, both maximised over the same grid of q."""
    problem = GridProblem(mdp, fine, SHORTFALL_SLOPES)
    limit = problem.limit(problem.values(max(SWEEPS))[-1])
    seen, levels = variant.problem(mdp), floats(LEVELS)

    def best(value: Array) -> Array:
        """(S, levels)"""
        return np.asarray((-fine.stocks + value[:, None, :] / levels[:, None]).max(axis=2))

    found = [stock_values(seen, SHORTFALL_SLOPES, fine, steps=n).value for n in SWEEPS]
    errors = [np.maximum(np.abs(best(value) - best(limit)).max(axis=0) - 2 * taken / levels, 0.0) for value in found]
    return {"cvar_distance": np.array(errors).T, "levels": levels[:, None]}


def grid_policy_measures(mdp: MDP, coarse: StockGrid, variant: Variant) -> dict[str, Any]:
    """Value and policy iteration with atoms at minus every stock, where the kink of every utility is an atom."""
    if not is_dyadic(mdp):
        return {}
    seen, atoms = variant.problem(mdp), -coarse.stocks[::-1]
    errors = []
    for objective in LIPSCHITZ:
        assert objective.slopes is not None
        agent, done = StockLawIteration(seen, objective.slopes, coarse, CATEGORICAL, atoms), 0
        values = GridProblem(mdp, coarse, objective.slopes).values(max(SWEEPS))
        for n in SWEEPS:
            errors.append(np.abs(agent.value_iteration(n - done).value - values[n]).max())
            done = n
    problem = GridProblem(mdp, coarse, SHORTFALL_SLOPES)
    iterated = StockLawIteration(seen, SHORTFALL_SLOPES, coarse, CATEGORICAL, atoms).policy_iteration(sweeps=50)
    return {
        "whole_value": np.array(errors),
        "iterated_value": iterated.value,
        "endless_value": problem.limit(problem.values(1)[-1]),
    }
