"""Laws of returns on coarse and fine grids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theorylab.picture import Curve, Panel, Picture
from theorylab.problems.mdp import MDP
from theorylab.problems.record import Array
from theorylab.solvers import categorical

from . import plugin

Streams = Sequence[np.random.Generator]


def staircase(grid: Array, weights: Array) -> tuple[list[float], list[float]]:
    """Corners of a distribution function."""
    x = np.repeat(grid, 2)
    y = np.concatenate(([0.0], np.repeat(np.cumsum(weights), 2)[:-1]))
    return x.tolist(), y.tolist()


@plugin.figure(on=("two-state", "patient"), fits_any=True)
def laws_and_errors(mdp: MDP, rngs: Streams, label: str, *, most_atoms: int) -> list[Picture]:
    """The law of the return on grids of growing size, and the W1 error against the bound."""
    if mdp.discount >= 1.0:
        return []
    policy = categorical.policy_iteration(mdp, categorical.default_grid(mdp, 51)).policy
    assert policy is not None
    process = mdp.under(np.eye(mdp.action_count)[policy])
    finest = categorical.default_grid(mdp, 1601 if mdp.state_count < 200 else 401)
    truth = categorical.evaluate(categorical.Backup.of(process, finest), accuracy=1e-6).weights
    curves, counts, errors, bounds = [], (6, 11, 21, 51, 101, 201), [], []
    for atoms in counts:
        grid = categorical.default_grid(mdp, atoms)
        laws = categorical.evaluate(categorical.Backup.of(process, grid), accuracy=1e-6).weights
        points = np.unique(np.concatenate((grid, finest)))
        cdf = [
            np.cumsum(law, axis=1)[:, np.searchsorted(z, points, side="right") - 1] for z, law in ((grid, laws), (finest, truth))
        ]
        errors.append(float((np.abs(cdf[0] - cdf[1])[:, :-1] * np.diff(points)).sum(axis=1).max()))
        bounds.append(float((grid[1] - grid[0]) / (2.0 * (1.0 - mdp.discount))))
        if atoms in (11, 51, 201):
            curves.append(Curve(f"{atoms} atoms", *staircase(grid, laws[mdp.start])))
    width = float(finest[-1] - finest[0])
    says_from = next((float(n) for n, b in zip(counts, bounds, strict=True) if b < width), float(counts[-1]))
    return [
        Picture(
            f"laws-{label}",
            f"Return on {label} under the policy of largest mean",
            (
                Panel(f"Distribution function from {mdp.states[mdp.start]}", "return", "probability", tuple(curves)),
                Panel(
                    "Worst W1 error over states", "atoms", "W1",
                    (
                        Curve("measured", counts, errors),
                        Curve("Delta / (2 (1 - discount))", counts, bounds, role="bound"),
                    ),
                    log_x=True, log_y=True, says_from=says_from,
                ),
            ),
            f"The error is measured against {len(finest)} atoms, whose own error is at most "
            f"{(finest[1] - finest[0]) / (2.0 * (1.0 - mdp.discount)):.3g}. Left of where the bound says something it exceeds the range "
            "of all returns.",
        )
    ]  # fmt: skip
