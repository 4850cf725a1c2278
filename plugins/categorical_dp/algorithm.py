"""Projected sweeps for a random policy, and what is measured of them.

A seed draws a policy, a number of atoms, and the laws on which the operators are compared. Truths come from elsewhere: exact enumeration
where runs end, a much finer grid with its own error taken off where they do not, linear solves, and finite laws without any grid.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from theorylab.problems.mdp import END, MDP
from theorylab.problems.record import Array
from theorylab.solvers import categorical
from theorylab.solvers.categorical import HAT, Backup, default_grid
from theorylab.solvers.dynamic_programming import policy_value, solve

from . import oracle, plugin
from .oracle import Law

#: Levels at which CVaR is compared.
LEVELS = (0.05, 0.25, 0.5, 0.9)

#: Sweeps after which the distance to the fixed point is compared with the contraction's promise.
SWEEPS = (1, 2, 4, 8, 16, 32)

#: Exponents of the Wasserstein distances that the unprojected operator contracts.
EXPONENTS = (1.0, 2.0, np.inf)

#: W1 accuracy of fixed points.
ACCURACY = 1e-11

#: Unknowns up to which the linear system is solved, atoms up to which returns are enumerated, and work (states x outcomes x atoms)
#: spent on a fine grid: larger problems leave out the measures that need them.
MOST_UNKNOWNS, MOST_ATOMS, MOST_WORK = 3_000, 4_000, 20_000_000


@dataclass(frozen=True)
class Variant:
    """What the algorithm really does. The defaults are right; mutants change one of them.

    shape      how an atom is shared between its neighbours
    process    the process that is backed up, from the true one
    grid       the grid, from the process and the number of atoms
    averages   quantile functions of successors are averaged, instead of distribution functions
    cells_up   how many cells too high everything lands
    greedy     1: the action of largest mean, -1: of smallest
    finish     what is done to the fixed point at the end
    sweeps     how many, instead of until convergence
    """

    shape: int = HAT
    process: Callable[[MDP], MDP] = lambda process: process
    grid: Callable[[MDP, int], Array] = default_grid
    averages: bool = False
    cells_up: int = 0
    greedy: int = 1
    finish: Callable[[Array], Array] = lambda laws: laws
    sweeps: int | None = None

    def project(self, law: Law, grid: Array) -> Array:
        """(m,)"""
        image = categorical.project(*law, grid, self.shape)
        for _ in range(self.cells_up):
            image = np.concatenate((np.zeros(1), image[:-2], image[-2:].sum(keepdims=True)))
        return image

    def backup(self, process: MDP, grid: Array) -> Backup:
        """What this variant sweeps with."""
        backup = Backup.of(self.process(process), grid)
        return dataclasses.replace(backup, shape=self.shape, first=backup.first + self.cells_up, last=backup.last + self.cells_up)

    def swept(self, process: MDP, grid: Array, laws: Array, sweeps: int) -> Array:
        """(S, m) laws after so many sweeps."""
        if self.averages:
            for _ in range(sweeps):
                laws = averaged_sweep(process, laws, grid)
            return laws
        return categorical.evaluate(self.backup(process, grid), sweeps=sweeps, start=laws).weights

    def fixed_point(self, process: MDP, grid: Array) -> Array:
        """(S, m) what this variant takes for the fixed point."""
        if self.averages:
            return self.swept(process, grid, categorical.point_laws(grid, process.state_count), 60)
        return self.finish(categorical.evaluate(self.backup(process, grid), accuracy=ACCURACY, sweeps=self.sweeps).weights)


def averaged_sweep(process: MDP, laws: Array, grid: Array) -> Array:
    """A sweep that mixes inverse distribution functions: the successors' returns are added as if they came together."""
    out = np.empty_like(laws)
    cumulative = np.minimum(np.cumsum(laws, axis=1), 1.0)
    for s in range(process.state_count):
        at = process.outcomes_of(s, 0)
        levels = np.unique(np.concatenate([cumulative[to] for to in process.successors[at] if to != END] + [np.ones(1)]))
        mass = np.diff(np.concatenate(([0.0], levels)))
        atoms = np.zeros(len(levels))
        for p, r, to in zip(process.probabilities[at], process.rewards[at], process.successors[at], strict=True):
            inverse = np.zeros(len(levels))
            if to != END:
                inverse = grid[np.minimum(np.searchsorted(cumulative[to], levels - 0.5 * mass), len(grid) - 1)]
            atoms += p * (r + process.discount * inverse)
        out[s] = categorical.project(atoms, mass, grid)
    return out


def measure(mdp: MDP, rng: np.random.Generator, most_atoms: int, variant: Variant) -> dict[str, Any]:
    """All measures of one trial, for the algorithm or a broken variant of it."""
    policy = rng.dirichlet(np.ones(mdp.action_count), mdp.state_count)
    atoms = int(rng.integers(2, max(3, most_atoms + 1)))
    measures = projection_measures(rng, most_atoms, variant)
    if mdp.discount >= 1.0:
        return measures
    process = mdp.under(policy)
    true_grid = default_grid(process, atoms)
    grid = variant.grid(process, atoms)
    measures |= {
        "spacing": float(true_grid[1] - true_grid[0]),
        "width": float(true_grid[-1] - true_grid[0]),
        "size": float(true_grid[-1] - true_grid[0] + np.abs(true_grid).max()),
    }
    laws = rng.dirichlet(np.full(len(grid), 0.3), (2, process.state_count))
    return (
        measures
        | operator_measures(process, grid, laws, variant)
        | exact_operator_measures(process, rng)
        | fixed_point_measures(process, grid, true_grid, variant)
        | finite_measures(process, grid, variant)
        | narrow_measures(process, atoms, variant)
        | control_measures(mdp, atoms, variant)
    )


@plugin.run(most_atoms=25, draws_instance=True)
def run(mdp: MDP, rng: np.random.Generator, *, most_atoms: int) -> dict[str, Any]:
    """One process, one random policy. `most_atoms`: the number of atoms is drawn from 2 to this."""
    return measure(mdp, rng, most_atoms, Variant())


# -- the projection -------------------------------------------------------------------------------------------------------------


def random_grid(rng: np.random.Generator, atoms: int) -> Array:
    """An uneven grid on [0, 1]."""
    inner = np.sort(rng.uniform(0.02, 0.98, atoms - 2))
    return np.concatenate(([0.0], inner[np.concatenate((np.diff(inner) > 1e-3, [True]))] if atoms > 2 else [], [1.0]))


def random_law(rng: np.random.Generator, grid: Array, reach: float) -> Law:
    """A few atoms on the grid's range widened by `reach` on both sides: anywhere, on grid points, next to them, or one in mid-cell."""
    kind = int(rng.integers(4))
    if kind == 0 and reach == 0.0:
        widest = int(np.argmax(np.diff(grid)))
        return np.array([0.5 * (grid[widest] + grid[widest + 1])]), np.ones(1)
    n = int(rng.integers(1, 7))
    atoms = rng.uniform(grid[0] - reach, grid[-1] + reach, n)
    if kind == 1:
        atoms = rng.choice(grid, n)
    elif kind == 2:
        atoms = np.clip(rng.choice(grid, n) + rng.choice([-1e-9, 1e-9], n), grid[0] - reach, grid[-1] + reach)
    return atoms, rng.dirichlet(np.ones(n)) if n > 1 else np.ones(1)


def projection_measures(rng: np.random.Generator, most_atoms: int, variant: Variant) -> dict[str, Any]:
    """What the projection does to random laws on a random uneven grid, and to two fixed ones."""
    grid = random_grid(rng, int(rng.integers(2, max(3, most_atoms + 1))))
    first, second = random_law(rng, grid, 0.0), random_law(rng, grid, 0.0)
    wide, other = random_law(rng, grid, 0.5), random_law(rng, grid, 0.5)
    on_grid = grid, rng.dirichlet(np.ones(len(grid)))
    image, second_image, wide_image, other_image = (variant.project(law, grid) for law in (first, second, wide, other))
    lengths = np.diff(grid)
    average = (wide[1] * np.clip((grid[1:, None] - wide[0]) / lengths[:, None], 0.0, 1.0)).sum(axis=1)
    unit, ends = np.array([0.0, 1.0]), (np.array([0.25]), np.array([0.75]))
    spread = [variant.project((x, np.ones(1)), unit) for x in ends]
    return {
        "projected_cdf": np.concatenate((np.cumsum(wide_image)[:-1], [wide_image.sum()])),
        "cell_average": np.concatenate((average, [1.0])),
        "pythagoras_left": oracle.cramer_squared(first, on_grid),
        "pythagoras_right": oracle.cramer_squared(first, (grid, image)) + oracle.cramer_squared((grid, image), on_grid),
        "projected_cramer": np.array(
            [oracle.cramer_squared((grid, image), (grid, second_image)), oracle.cramer_squared((grid, wide_image), (grid, other_image))]
        ),
        "law_cramer": np.array([oracle.cramer_squared(first, second), oracle.cramer_squared(wide, other)]),
        "projected_w1": np.array(
            [oracle.wasserstein((grid, image), (grid, second_image), 1), oracle.wasserstein((grid, wide_image), (grid, other_image), 1)]
        ),
        "law_w1": np.array([oracle.wasserstein(first, second, 1), oracle.wasserstein(wide, other, 1)]),
        "projected_mean": float(image @ grid),
        "law_mean": float(first[0] @ first[1]),
        "projected_shortfall": oracle.shortfall((grid, image), grid),
        "law_shortfall": oracle.shortfall(first, grid),
        "projected_cvar": np.array([categorical.cvar(grid, image, level) for level in LEVELS]),
        "law_cvar": np.array([categorical.cvar(*first, level) for level in LEVELS]),
        "projection_cramer_error": oracle.cramer_squared((grid, image), first),
        "projection_w1_error": oracle.wasserstein((grid, image), first, 1),
        "widest_cell": float(lengths.max()),
        "narrowest_cell": float(lengths.min()),
        "expanded": np.array([oracle.wasserstein((unit, spread[0]), (unit, spread[1]), p) for p in (2.0, 3.0, 5.0)]),
        "expanded_exponent": np.array([2.0, 3.0, 5.0]),
    }  # fmt: skip


# -- the operators --------------------------------------------------------------------------------------------------------------


def operator_measures(process: MDP, grid: Array, laws: Array, variant: Variant) -> dict[str, Any]:
    """One sweep of two random laws, of the two ends of the grid, and of an ordered pair; many sweeps towards the limit found by a linear
    solve. Cramer distances are squared: a root would blow up the rounding of distances near zero."""
    S, first = process.state_count, laws[0]
    ends = [categorical.point_laws(grid, S, x) for x in (grid[0], grid[-1])]
    before = [(first, laws[1]), (ends[0], ends[1])]
    after = [(variant.swept(process, grid, x, 1), variant.swept(process, grid, y, 1)) for x, y in before]
    better = np.diff(np.minimum(np.cumsum(first, axis=1), np.cumsum(laws[1], axis=1)), axis=1, prepend=0.0)
    out = {
        "cramer_before": np.array([categorical.cramer_squared(*pair, grid).max() for pair in before]),
        "cramer_after": np.array([categorical.cramer_squared(*pair, grid).max() for pair in after]),
        "w1_before": np.array([categorical.w1(*pair, grid).max() for pair in before]),
        "w1_after": np.array([categorical.w1(*pair, grid).max() for pair in after]),
        # The better law has the smaller distribution function everywhere, before and after.
        "dominance": float((np.cumsum(variant.swept(process, grid, better, 1), axis=1) - np.cumsum(after[0][0], axis=1)).max()),
    }
    if S * len(grid) <= MOST_UNKNOWNS:
        limit = categorical.fixed_point(process, grid)
        swept = [variant.swept(process, grid, first, n) for n in SWEEPS]
        out |= {
            "n": np.array(SWEEPS, dtype=np.float64),
            "cramer_to_limit": np.array([categorical.cramer_squared(x, limit, grid).max() for x in swept]),
            "w1_to_limit": np.array([categorical.w1(x, limit, grid).max() for x in swept]),
            "cramer_at_start": float(categorical.cramer_squared(first, limit, grid).max()),
            "w1_at_start": float(categorical.w1(first, limit, grid).max()),
        }
    return out


def exact_operator_measures(process: MDP, rng: np.random.Generator) -> dict[str, Any]:
    """The unprojected operator on laws with a few atoms anywhere."""
    line = np.array([0.0, 1.0])
    first, second = ([random_law(rng, line, 1.0) for _ in range(process.state_count)] for _ in range(2))
    images = oracle.backed_up(process, first), oracle.backed_up(process, second)

    def largest(left: list[Law], right: list[Law], p: float) -> float:
        return max(oracle.wasserstein(x, y, p) for x, y in zip(left, right, strict=True))

    r, discount = float(process.rewards[0]), process.discount
    shifted = [(r + discount * x, w) for x, w in (first[0], second[0])]
    return {
        "wasserstein_before": np.array([largest(first, second, p) for p in EXPONENTS]),
        "wasserstein_after": np.array([largest(*images, p) for p in EXPONENTS]),
        "pushed_cramer": oracle.cramer_squared(*shifted),
        "single_cramer": oracle.cramer_squared(first[0], second[0]),
    }


# -- the fixed point ------------------------------------------------------------------------------------------------------------


def fixed_point_measures(process: MDP, grid: Array, true_grid: Array, variant: Variant) -> dict[str, Any]:
    """The fixed point of the sweeps: against the linear solve, the exact means, and the true laws."""
    found = variant.fixed_point(process, grid)
    out: dict[str, Any] = {"fixed_mean": found @ grid, "true_mean": policy_value(process)}
    if process.state_count * len(grid) <= MOST_UNKNOWNS and len(grid) == len(true_grid):
        out["found_weights"], out["solved_weights"] = found, categorical.fixed_point(process, true_grid)
    laws = [(grid, row) for row in found]
    targets = np.linspace(grid[0], grid[-1], 41)
    truth, taken_off = true_laws(process, true_grid)
    if truth is None:
        return out
    cramer = max(np.sqrt(oracle.cramer_squared(x, y)) for x, y in zip(laws, truth, strict=True))
    w1 = max(oracle.wasserstein(x, y, 1) for x, y in zip(laws, truth, strict=True))
    out |= {
        "fixed_cramer_error": max(cramer - np.sqrt(taken_off / 2.0), 0.0) ** 2,
        "fixed_w1_error": max(w1 - taken_off, 0.0),
    }
    if taken_off == 0.0:
        found_short = np.array([oracle.shortfall(law, targets) for law in laws])
        true_short = np.array([oracle.shortfall(law, targets) for law in truth])
        out |= {
            "fixed_shortfall": found_short,
            "true_shortfall": true_short,
            "fixed_cvar": np.array([[categorical.cvar(*law, level) for level in LEVELS] for law in laws]),
            "true_cvar": np.array([[categorical.cvar(*law, level) for level in LEVELS] for law in truth]),
        }
    return out


def true_laws(process: MDP, grid: Array) -> tuple[list[Law] | None, float]:
    """Laws of the return, and their own W1 error: exact where runs end, else the fixed point on a finer grid."""
    exact = oracle.ending_laws(process, MOST_ATOMS)
    if exact is not None:
        return exact, 0.0
    cost = max(len(process.successors), 1) / (1.0 - process.discount)
    finer = int(min(1_000, MOST_WORK / cost) / (len(grid) - 1))
    if finer < 8:
        return None, 0.0
    fine = np.linspace(grid[0], grid[-1], finer * (len(grid) - 1) + 1)
    laws = categorical.evaluate(Backup.of(process, fine), accuracy=1e-9).weights
    return [(fine, row) for row in laws], float((fine[1] - fine[0]) / (2.0 * (1.0 - process.discount)) + 1e-9)


# -- finitely many sweeps -------------------------------------------------------------------------------------------------------


def finite_measures(process: MDP, grid: Array, variant: Variant) -> dict[str, Any]:
    """Three sweeps from a law at a grid point against the exact laws of three steps with that final value."""
    steps, start = 3, float(grid[len(grid) // 2])
    widest = int(np.diff(process.offsets).max())
    if widest**steps > MOST_ATOMS or process.state_count * widest**steps > 20 * MOST_ATOMS:
        return {}
    exact: list[Law] = [(np.array([start]), np.ones(1))] * process.state_count
    for _ in range(steps):
        exact = oracle.backed_up(process, exact)
    swept = variant.swept(process, grid, categorical.point_laws(grid, process.state_count, start), steps)
    targets = np.linspace(grid[0], grid[-1], 41)
    return {
        "swept_mean": swept @ grid,
        "steps_mean": np.array([x @ w for x, w in exact]),
        "swept_shortfall": np.array([oracle.shortfall((grid, row), targets) for row in swept]),
        "steps_shortfall": np.array([oracle.shortfall(law, targets) for law in exact]),
    }


# -- grids that are too narrow, and control --------------------------------------------------------------------------------------


def narrow_measures(process: MDP, atoms: int, variant: Variant) -> dict[str, Any]:
    """A grid that just holds the true returns, and one that does not: `r + discount z` leaves both."""
    truth = oracle.ending_laws(process, MOST_ATOMS)
    if truth is None or atoms < 3:
        return {}
    low, high = min(float(x[0]) for x, _ in truth), max(float(x[-1]) for x, _ in truth)
    if high - low < 1e-6:
        return {}
    out: dict[str, Any] = {}
    for name, cut in (("tight", 0.0), ("cut", 0.2 * (high - low))):
        grid = np.linspace(low, high - cut, atoms)
        laws = categorical.evaluate(variant.backup(process, grid), sweeps=process.state_count + 1).weights
        error = max(oracle.cramer_squared((grid, row), law) for row, law in zip(laws, truth, strict=True))
        outside = max(float(w[x > grid[-1]].sum()) for x, w in truth)
        out |= {
            f"{name}_cramer_error": error,
            f"{name}_spacing": grid[1] - grid[0],
            f"{name}_outside": outside,
            f"{name}_reach": cut,
        }
        if name == "tight":
            out["tight_mean"] = laws @ grid
            out["tight_second_moment"] = laws @ grid**2
            out["tight_true_mean"] = np.array([x @ w for x, w in truth])
            out["tight_true_second_moment"] = np.array([x**2 @ w for x, w in truth])
    return out


def control_measures(mdp: MDP, atoms: int, variant: Variant) -> dict[str, Any]:
    """Greedy sweeps and policy iteration: their means against the enclosed optimal value."""
    if len(mdp.successors) * atoms > 100_000:
        return {}
    grid = default_grid(mdp, atoms)
    best = solve(mdp, accuracy=1e-10 * (1.0 + float(np.abs(grid).max())))
    sign = variant.greedy  # the smallest mean is the largest of what is turned round
    turned, line = mdp.replace(rewards=sign * mdp.rewards), grid if sign > 0 else -grid[::-1]
    start = categorical.point_laws(line, mdp.state_count)
    means = np.array(
        [sign * (categorical.value_iteration(Backup.of(turned, line), sweeps=n, start=start).weights @ line) for n in SWEEPS]
    )
    return {
        "control_n": np.array(SWEEPS, dtype=np.float64),
        "control_error": np.maximum(np.abs(means - best.value).max(axis=1) - best.error, 0.0),
        "control_start": float(np.abs(sign * (start @ line) - best.value).max() + best.error),
        "iterated_mean": sign * (categorical.policy_iteration(turned, line, accuracy=ACCURACY).weights @ line),
        "optimal_mean": best.value,
        "optimal_error": best.error,
    }
