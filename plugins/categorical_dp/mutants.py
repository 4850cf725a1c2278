"""Broken variants of the sweeps, and the claims that must refute each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from theorylab.problems.mdp import END, MDP
from theorylab.problems.record import Array
from theorylab.solvers.categorical import FLOOR, NEAREST, SWAPPED, default_grid

from . import plugin
from .algorithm import Variant, measure


def _mutant(name: str, description: str, variant: Variant, refuted_by: Sequence[str]) -> None:
    def broken(mdp: MDP, rng: np.random.Generator, *, most_atoms: int) -> dict[str, Any]:
        return measure(mdp, rng, most_atoms, variant)

    plugin.mutant(name=name, refuted_by=refuted_by, description=description)(broken)


def discounted_rewards(process: MDP) -> MDP:
    """gamma (r + z) in place of r + gamma z."""
    return process.replace(rewards=process.discount * process.rewards)


def late_rewards(process: MDP) -> MDP:
    """Each outcome pays what the next state pays on average."""
    expected = process.expected_rewards()
    goes_on = process.successors != END
    return process.replace(rewards=np.where(goes_on, expected[process.successors], process.rewards))


def reversed_transitions(process: MDP) -> MDP:
    """Every outcome is followed backwards; states that nothing leads to stay where they are, unpaid."""
    S = process.state_count
    state = np.repeat(np.arange(S), np.diff(process.offsets))
    inside = process.successors != END
    to, back = process.successors[inside], state[inside]
    weights, rewards = process.probabilities[inside], process.rewards[inside]
    idle = np.setdiff1d(np.arange(S), to[weights > 0.0])
    to, back = np.concatenate((to, idle)), np.concatenate((back, idle))
    weights, rewards = np.concatenate((weights, np.ones(len(idle)))), np.concatenate((rewards, np.zeros(len(idle))))
    order = np.argsort(to, kind="stable")
    to, back, weights, rewards = to[order], back[order], weights[order], rewards[order]
    offsets = np.concatenate(([0], np.cumsum(np.bincount(to, minlength=S))))
    return MDP(offsets, back, weights / np.bincount(to, weights=weights, minlength=S)[to], rewards, process.discount)


def undiscounted(process: MDP) -> MDP:
    """Almost no discount at all: the sweep needs one below 1 to stop."""
    return process.replace(discount=1.0 - 0.5 * (1.0 - process.discount))


def smoothed(laws: Array) -> Array:
    """A tenth of every weight is spread over both neighbours."""
    out = 0.9 * laws
    out[:, 1:] += 0.05 * laws[:, :-1]
    out[:, :-1] += 0.05 * laws[:, 1:]
    out[:, 0] += 0.05 * laws[:, 0]
    out[:, -1] += 0.05 * laws[:, -1]
    return out


def narrow_grid(process: MDP, atoms: int) -> Array:
    """Three fifths of the range."""
    grid = default_grid(process, atoms)
    return np.linspace(grid[0], grid[0] + 0.6 * (grid[-1] - grid[0]), atoms)


SOLVE, MEAN = "sweeps-meet-linear-solve", "fixed-point-keeps-means"

_mutant(
    "nearest-atom", "All mass goes to the nearest grid point.", Variant(shape=NEAREST),
    [SOLVE, MEAN, "hat-averages", "pythagoras", "projection-keeps-shortfalls", "projection-nonexpansive-w1", "sweeps-keep-means"],
)  # fmt: skip
_mutant(
    "lower-atom", "All mass goes to the grid point below.", Variant(shape=FLOOR),
    [SOLVE, MEAN, "hat-averages", "projection-keeps-means", "projection-error-sharp", "projection-error-w1"],
)  # fmt: skip
_mutant(
    "weights-swapped", "The two neighbours' shares are exchanged.", Variant(shape=SWAPPED),
    [SOLVE, MEAN, "hat-averages", "projection-lowers-cvar", "sweep-keeps-dominance"],
)  # fmt: skip
_mutant(
    "rewards-discounted", "gamma (r + z) in place of r + gamma z.", Variant(process=discounted_rewards),
    [SOLVE, MEAN, "fixed-point-w1", "fixed-point-cramer-sharp", "fixed-point-cramer"],
)  # fmt: skip
_mutant(
    "reward-of-the-successor", "Each outcome pays what the next state pays.", Variant(process=late_rewards), [SOLVE, MEAN, "fixed-point-w1"],
)  # fmt: skip
_mutant(
    "transposed", "Transitions are followed backwards.", Variant(process=reversed_transitions), [SOLVE, MEAN, "fixed-point-w1"]
)
_mutant(
    "discount-too-large", "Half of what is missing to 1 is missing in the discount.", Variant(process=undiscounted),
    [SOLVE, "sweep-contracts-w1", "sweep-contracts-cramer", "sweeps-converge-w1", "sweeps-converge-cramer"],
)  # fmt: skip
_mutant(
    "quantiles-averaged", "Quantile functions of the successors are averaged in place of distribution functions.", Variant(averages=True),
    [SOLVE, "sweeps-convex-order", "fixed-point-convex-order", "fixed-point-cvar"],
)  # fmt: skip
_mutant(
    "two-cells-up", "Everything lands two cells too high.", Variant(cells_up=2),
    [SOLVE, MEAN, "projection-error", "projection-error-w1", "fixed-point-cramer", "fixed-point-cramer-tight"],
)  # fmt: skip
_mutant(
    "worst-action", "The action of smallest mean is taken.", Variant(greedy=-1), ["greedy-sweeps-converge", "policy-iteration-is-optimal"]
)  # fmt: skip
_mutant("smoothed", "The result is smoothed once more.", Variant(finish=smoothed), [SOLVE, MEAN])
_mutant("five-sweeps", "Five sweeps, whatever the discount.", Variant(sweeps=5), [SOLVE, MEAN])
_mutant("narrow-grid", "The grid covers three fifths of the range.", Variant(grid=narrow_grid), [MEAN, "sweeps-keep-means"])
