"""The method in rational arithmetic on small problems, on grids of stocks where runs do not end, and all that is measured of both."""

from __future__ import annotations

from typing import Any

import numpy as np

from theorylab.errors import InstanceError
from theorylab.problems.mdp import MDP, exact, exact_table
from theorylab.solvers.exact_returns import history_laws

from . import plugin
from .exact import (
    cvar_measures,
    optimality_measures,
    order_measures,
    policy_iteration_measures,
    shortcoming_measures,
    trajectory_measures,
)  # fmt: skip
from .grids import grid_measures
from .variant import Variant

#: Policies with memory up to which brute force goes; larger problems leave out what needs it.
MOST_HISTORIES, MOST_STATES, MOST_REWARDS = 2_000, 6, 8


def measure(mdp: MDP, rng: np.random.Generator, horizon: int, variant: Variant) -> dict[str, Any]:
    """All measures of one trial, for the algorithm or a broken variant of it."""
    measures: dict[str, Any] = {}
    if mdp.discount < 1.0:
        measures |= grid_measures(mdp, variant)
    if not is_small(mdp, horizon):
        return measures
    table, discount = exact_table(mdp), exact(mdp.discount)
    laws = history_laws(table, discount, horizon, mdp.start)
    return (
        measures
        | trajectory_measures(table, discount, mdp.start, rng, variant)
        | order_measures(table, discount, rng)
        | optimality_measures(table, discount, horizon, mdp.start, laws, variant)
        | policy_iteration_measures(table, discount, horizon, mdp.start, laws, variant)
        | cvar_measures(table, discount, horizon, mdp.start, laws, variant)
        | shortcoming_measures(table, discount, horizon, mdp.start, laws)
    )


@plugin.run(horizon=3, draws_instance=True)
def run(mdp: MDP, rng: np.random.Generator, *, horizon: int) -> dict[str, Any]:
    """One problem. `horizon`: steps of the exact comparisons with brute force."""
    return measure(mdp, rng, horizon, Variant())


def is_small(mdp: MDP, horizon: int) -> bool:
    """Whether brute force over policies that remember everything is feasible."""
    if horizon < 1:
        raise InstanceError(f"horizon = {horizon} must be at least 1.")
    if mdp.state_count > MOST_STATES or len(np.unique(mdp.rewards)) > MOST_REWARDS:
        return False
    widest = int(np.diff(mdp.offsets).max())
    policies = 1.0
    for _ in range(horizon):
        policies = mdp.action_count * policies**widest
        if policies > MOST_HISTORIES:
            return False
    return True
