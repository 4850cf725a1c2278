"""Regret against the horizon: what a run in the middle and most runs lose, beside the bounds on the mean."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

from theorylab.picture import Curve, Panel, Picture, quantile_curve

from . import plugin
from .algorithm import Variant, measure
from .instances import Means

#: Horizons of the picture, as parts of the run's own.
PARTS = (1 / 128, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)

#: Measures by what they are called.
ALGORITHMS = {
    "ucb_regret": "UCB",
    "ucb1_regret": "UCB1",
    "elimination_regret": "successive elimination",
    "explore_regret": "explore first",
}

#: Rounds per arm below which no algorithm has begun.
FEWEST = 8


@plugin.figure(on=("one-good", "close", "two"), fits_any=True)
def regret_by_horizon(bandit: Means, rngs: Sequence[np.random.Generator], label: str, *, rounds: int) -> list[Picture]:
    """Every algorithm at growing horizons, each run from its beginning: most of them use the horizon."""
    horizons = sorted({max(FEWEST * len(bandit.means), round(rounds * part)) for part in PARTS})
    runs: dict[str, list[list[float]]] = {name: [] for name in ALGORITHMS}
    for rng in rngs:
        seen = [measure(bandit, copy.deepcopy(rng), horizon, Variant()) for horizon in horizons]
        for name, kept in runs.items():
            kept.append([float(row[name]) for row in seen])
    x = np.array(horizons, dtype=np.float64)
    curves = [quantile_curve(ALGORITHMS[name], x, np.array(values)) for name, values in runs.items()]
    most = bandit.gaps.max() * x
    curves.append(Curve("the worst arm all the time", tuple(x.tolist()), tuple(most.tolist()), role="guide"))
    panel = Panel(
        "Regret", "rounds T", "sum of the gaps of what was played", tuple(curves), log_x=True, log_y=bool(most[0] > 0.0)
    )
    return [
        Picture(
            f"regret-by-horizon-{label}",
            f"Classic bandits on {label}: {len(rngs)} runs at each horizon",
            (panel,),
            "The line is the median run, the band holds 80 % of the runs.",
        )
    ]
