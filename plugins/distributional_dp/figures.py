"""Return distributions of CVaR-optimal and mean-optimal policies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theorylab.picture import Curve, Panel, Picture
from theorylab.problems.mdp import MDP
from theorylab.problems.record import Array

from . import plugin
from .risk import compare

Streams = Sequence[np.random.Generator]

#: Bars of a histogram.
BARS = 40


def histogram(atoms: Array, law: Array, edges: Array) -> tuple[list[float], list[float]]:
    """Outline of a histogram: probability in each bar."""
    index = np.clip(np.searchsorted(edges, atoms, side="right") - 1, 0, len(edges) - 2)
    mass = np.bincount(index, weights=law, minlength=len(edges) - 1)
    return np.repeat(edges, 2).tolist(), np.concatenate(([0.0], np.repeat(mass, 2), [0.0])).tolist()


@plugin.figure(on=("two-states", "two-states-risky"), fits_any=True)
def returns(mdp: MDP, rngs: Streams, label: str, *, horizon: int) -> list[Picture]:
    """Histograms of the return, and CVaR against its level."""
    if mdp.discount >= 1.0:
        return []
    found = compare(mdp, (0.05, 0.1, 0.15, 0.25, 0.4, 0.5, 0.75, 1.0))
    shown = [(f"CVaR-optimal at {found.levels[i]:g}", found.laws[i]) for i in (1, 3)] + [("mean-optimal", found.mean_law)]
    relevant = np.flatnonzero(sum(law for _, law in shown) > 1e-4)
    low, high = float(found.atoms[relevant[0]]), float(found.atoms[relevant[-1]])
    margin = 0.02 * (high - low) or 0.5
    edges = np.linspace(low - margin, high + margin, BARS + 1)
    bars = tuple(
        Curve(name, *histogram(found.atoms, law, edges), role="guide" if name == "mean-optimal" else "measured")
        for name, law in shown
    )
    gain = (
        Curve("CVaR-optimal policy of each level", found.levels, found.cvars),
        Curve("mean-optimal policy", found.levels, found.mean_cvars, role="guide"),
    )
    return [
        Picture(
            f"returns-{label}",
            f"Return on {label} from {mdp.states[mdp.start]}, discount {mdp.discount:g}",
            (
                Panel("Distribution of the return", "return", "probability per bar", bars),
                Panel("Mean of the worst share of runs", "share of runs (level)", "CVaR", gain),
            ),
            f"CVaR is computed on stocks in steps of {found.step:.3g}.",
        )
    ]
