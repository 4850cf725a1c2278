"""Worst-case values against the strength of the perturbation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theorylab.picture import Curve, Panel, Picture
from theorylab.problems.mdp import MDP

from . import plugin
from .algorithm import caution

Streams = Sequence[np.random.Generator]

RADII = (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)


@plugin.figure(on=("machine", "bridge"), fits_any=True)
def value_against_perturbation(mdp: MDP, rngs: Streams, label: str, *, sweeps: int) -> list[Picture]:
    """What caution gains when the table is wrong, and what it costs when the table is right."""
    if mdp.discount >= 1.0:
        return []
    x, robust, nominal, price, _ = zip(*caution(mdp, RADII), strict=True)
    return [
        Picture(
            f"robust-{label}",
            f"Caution on {label}, from {mdp.states[mdp.start]}",
            (
                Panel(
                    "If the table is wrong", "share of probability that may move (total variation)", "value in the worst case",
                    (Curve("robust policy of each radius", x, robust), Curve("nominal policy", x, nominal, role="guide")),
                ),
                Panel("If the table is right", "radius that the policy is cautious of", "nominal value", (Curve("robust policy", x, price),)),
            ),
            "Robust policies are best against the worst transitions within the radius, at every state and step.",
        )
    ]  # fmt: skip
