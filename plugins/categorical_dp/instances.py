"""Reference processes, the declared distribution and the hypothesis strategy, users' files, and what their owners want to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from theorylab.plugin import Answer
from theorylab.problems.mdp import END, MDP, from_table
from theorylab.problems.mdp_families import processes, random_process
from theorylab.problems.mdp_files import read_mdp

from . import plugin

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

plugin.sample(random_process)
plugin.reader(read_mdp)


@plugin.instances
def small_processes() -> SearchStrategy[MDP]:
    """Small processes with readable numbers."""
    return processes(max_states=3)


@plugin.assumption
def discounted(mdp: MDP) -> bool:
    """The discount is below 1."""
    return mdp.discount < 1.0


def two_states(stay: float, back: float, discount: float) -> MDP:
    """Reward 1 in the first state, 0 in the second."""
    return from_table([[[(stay, 1.0, 0), (1.0 - stay, 1.0, 1)]], [[(back, 0.0, 0), (1.0 - back, 0.0, 1)]]], discount)


def deterministic_chain(length: int, discount: float) -> MDP:
    """A ring that pays 1 in its first state: the return is one number, and the projection's errors add up like a random walk."""
    return from_table([[[(1.0, float(s == 0), (s + 1) % length)]] for s in range(length)], discount)


def _uniform_return() -> MDP:
    """A coin for each binary digit: with discount 1/2 the return is uniform on [0, 2]."""
    return from_table([[[(0.5, 0.0, 0), (0.5, 1.0, 0)]]], 0.5)


def _forward() -> MDP:
    """Goes forward and ends: its return has eleven values, and lies far inside what discounting allows."""
    return from_table(
        [
            [[(0.5, 1.0, 1), (0.25, 0.0, 2), (0.25, 0.3, END)]],
            [[(0.6, 0.7, 2), (0.4, 0.1, 3)]],
            [[(0.9, 0.2, 3), (0.1, 1.0, END)]],
            [[(0.3, 1.0, END), (0.7, 0.0, END)]],
        ],
        0.9,
    )


plugin.reference("two-state", lambda: two_states(0.25, 0.5, 0.5))
plugin.reference("uniform-return", _uniform_return)
plugin.reference("self-loop", lambda: from_table([[[(1.0, 1.0 / 3.0, 0)]]], 0.9))
plugin.reference("forward", _forward)
plugin.reference("ring", lambda: deterministic_chain(5, 0.95))
plugin.reference("patient", lambda: two_states(0.9, 0.2, 0.99))
plugin.reference("opposites", lambda: from_table([[[(1.0, 0.0, 0)]], [[(1.0, 1.0, 1)]]], 0.25))


@plugin.answer
def laws_of_the_best_policy(mdp: MDP, *, most_atoms: int) -> list[Answer]:
    """The law of the return under the policy of largest mean, from the first state, on grids of growing size."""
    from theorylab.solvers import categorical

    if mdp.discount >= 1.0:
        return []
    rows = []
    policy = None
    for atoms in (11, 21, 51, 101, 201):
        grid = categorical.default_grid(mdp, atoms)
        found = categorical.policy_iteration(mdp, grid)
        policy = found.policy
        law = found.weights[mdp.start]
        mean = float(law @ grid)
        bound = (grid[1] - grid[0]) / (2.0 * (1.0 - mdp.discount))
        deviation = float(np.sqrt(max(law @ grid**2 - mean**2, 0.0)))
        tails = (categorical.cvar(grid, law, level) for level in (0.05, 0.25))
        rows.append((str(atoms), mean, deviation, *tails, float(min(bound, grid[-1] - grid[0]))))
    assert policy is not None
    plays = ", ".join(f"{mdp.states[s]}: {mdp.actions[policy[s]]}" for s in range(min(mdp.state_count, 8)))
    more = f", and {mdp.state_count - 8} more" if mdp.state_count > 8 else ""
    return [
        Answer(
            f"Return from {mdp.states[mdp.start]} under the policy of largest mean",
            ("atoms", "mean", "std. deviation", "CVaR 0.05", "CVaR 0.25", "W1 error at most"),
            tuple(rows),
            f"Means are exact; CVaR is never above the true one, the standard deviation never below. Policy: {plays}{more}.",
        )
    ]
