"""Errors against the number of samples, beside what is proved and what the first-order variance says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theorylab.picture import Curve, Panel, Picture, mean_curve
from theorylab.problems.mdp import MDP

from . import plugin
from .algorithm import DELTA, Variant, measure

Streams = Sequence[np.random.Generator]


@plugin.figure(on=("two-state", "hard-chain", "low-random"), fits_any=True)
def error_against_samples(mdp: MDP, rngs: Streams, label: str, *, samples: int, atoms: int) -> list[Picture]:
    """W1 error to the fixed point and to the true law, and the Cramer error against its first-order value."""
    found = measure(mdp, rngs, samples, atoms, Variant())
    N, width, S, C = (found[name][0] for name in ("samples", "width", "states", "checkpoints"))
    g = mdp.discount
    proved = g * width / (1.0 - g) * (0.5 + np.sqrt(np.log(S * C / DELTA) / 2.0)) / np.sqrt(N)
    first_order = np.sqrt(found["avar"][0].max() / N)
    floor = float(found["spacing"][0] / (2.0 * (1.0 - g)))
    telling = proved < width
    x = tuple(N.tolist())
    return [
        Picture(
            f"samples-{label}",
            f"Plug-in law of the return on {label}: {len(rngs)} runs, {atoms} atoms",
            (
                Panel(
                    "Worst W1 error over states", "samples for each state", "W1",
                    (
                        mean_curve("to the fixed point on the same grid", N, found["w1_error"], 0.0, width),
                        mean_curve("to the true law", N, found["w1_total_error"], 0.0, width),
                        Curve(f"proved, probability {1.0 - DELTA:g}", x, tuple(proved.tolist()), role="bound"),
                        Curve("projection error at most", x, (floor,) * len(x), role="guide"),
                    ),
                    log_x=True, log_y=True, says_from=float(N[telling][0]) if telling.any() else float(N[-1]),
                ),
                Panel(
                    "Worst Cramer error over states", "samples for each state", "l2",
                    (
                        mean_curve("to the fixed point on the same grid", N, found["cramer_error"], 0.0, float(np.sqrt(width))),
                        Curve("first-order root mean square", x, tuple(first_order.tolist()), role="guide"),
                    ),
                    log_x=True, log_y=True,
                ),
            ),
            "Bands hold the mean at each point with 95 % confidence. The error of the fine grid that stands for the true law is taken off. "
            "Where the proved bound exceeds the range of all returns it is shaded.",
        )
    ]  # fmt: skip
