"""CVaR-optimal policies for a user's problem, by the stock method on a grid, and the laws of what they earn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theorylab.problems.mdp import MDP
from theorylab.problems.record import Array
from theorylab.solvers import categorical
from theorylab.solvers.dynamic_programming import solve
from theorylab.solvers.stock import SHORTFALL, StockGrid, StockValues, Utility, best_target, stock_policy_law, stock_values

LEVELS = (0.05, 0.1, 0.25, 0.5)

#: Weight of the mean beside the shortfall: among policies of equal CVaR the one of larger mean is wanted.
TIES = 1e-7

#: Entries of the value table, times outcomes, that a sweep may touch, and atoms of the laws.
WORK, ATOMS = 4_000_000, 2001

#: Atoms beyond either end of the range, for what the account of split stocks puts there.
MARGIN = 200


@dataclass(frozen=True)
class Comparison:
    """Laws (m,) on `atoms` from the start: of the mean-optimal policy, and of the CVaR-optimal one at each level.

    cvars, mean_cvars: CVaR of both by the stock method, off by at most rounding / level.
    """

    mdp: MDP
    levels: tuple[float, ...]
    atoms: Array
    mean_law: Array
    mean_policy: NDArray[np.int64]
    laws: tuple[Array, ...]
    cvars: tuple[float, ...]
    mean_cvars: tuple[float, ...]
    step: float
    rounding: float
    values: StockValues

    def differs(self, level: float) -> str:
        """The first state on the way from the start in which the CVaR-optimal policy plays something else than the mean-optimal one."""
        _, i = best_target(self.values, self.mdp.start, level)
        reached = [(self.mdp.start, i)]
        seen = set(reached)
        stocks = self.values.grid.stocks
        for s, c in reached:
            action = int(self.values.policies[0, s, c])
            if action != self.mean_policy[s]:
                mine, theirs = self.mdp.actions[action], self.mdp.actions[self.mean_policy[s]]
                return f"{self.mdp.states[s]}: {mine}, not {theirs}"
            at = self.mdp.outcomes_of(s, action)
            for r, to in zip(self.mdp.rewards[at], self.mdp.successors[at], strict=True):
                stock = (stocks[c] + r) / self.mdp.discount
                inside = stocks[0] <= stock <= stocks[-1]
                node = (int(to), int(self.values.grid.index(np.array([stock]))[0]))
                if to >= 0 and inside and node not in seen and len(seen) < 10_000:
                    seen.add(node)
                    reached.append(node)
        return "none"


def compare(mdp: MDP, levels: tuple[float, ...] = LEVELS) -> Comparison:
    """The mean-optimal policy and the CVaR-optimal ones; discount < 1."""
    atoms = categorical.default_grid(mdp, ATOMS)
    # Rounding of a mean-optimal value cannot change which actions are good to this accuracy.
    policy = solve(mdp, accuracy=1e-9 * (1.0 + float(np.abs(atoms).max()))).policy
    process = mdp.under(np.eye(mdp.action_count)[policy])
    best = categorical.evaluate(categorical.Backup.of(process, atoms), accuracy=1e-8 * float(atoms[-1] - atoms[0]))
    count = int(np.clip(WORK // len(mdp.successors), 201, 4001))
    grid = StockGrid.around(mdp, count)
    accuracy = 1e-7 * grid.step * count
    values = stock_values(mdp, Utility(TIES, 1.0 + TIES), grid, accuracy=accuracy, is_split=True)
    plain = stock_values(process, SHORTFALL, grid, accuracy=accuracy, is_split=True)
    # What is still under way after this many steps moves W1 by less than one part in a million of the range.
    steps = int(np.ceil(np.log(1e-6) / np.log(mdp.discount)))
    laws, cvars, plain_cvars = [], [], []
    for level in levels:
        worth, i = best_target(values, mdp.start, level)
        wide, law = stock_policy_law(mdp, values, mdp.start, i, best.weights, atoms, steps, MARGIN)
        laws.append(law)
        # What breaks ties is taken out again: the account keeps the mean of what the policy earns.
        cvars.append(round(worth - TIES * float(grid.stocks[i] + law @ wide) / level, 9) + 0.0)  # no minus zero
        plain_cvars.append(best_target(plain, mdp.start, level)[0])
    rounding = grid.step * mdp.discount / (2.0 * (1.0 - mdp.discount))
    return Comparison(
        mdp, levels, wide, np.pad(best.weights[mdp.start], MARGIN), policy, tuple(laws), tuple(cvars), tuple(plain_cvars), grid.step,
        rounding, values,
    )  # fmt: skip
