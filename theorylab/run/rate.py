"""Rate claims on one instance: refutable through a stated constant or the doubling form, never more than consistent."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from theorylab.claim import AtRate
from theorylab.run.records import Observation, Status
from theorylab.statistics.sequential import Levels, RateTest

SLOPE_LEVEL = 0.05  # of the interval that is shown; it gates nothing

RateVerdict = tuple[Status, str, float, float, float]


def judge_rate(mode: AtRate, levels: Levels, observations: Sequence[Observation]) -> RateVerdict:
    """(status, reason, log e-value against the claim, slope, claimed slope)."""
    claimed = 0.0 - mode.exponent  # never -0
    first = observations[0]
    grid, bounds, lows, highs = (np.array(x) for x in (first.grid, first.bounds, first.lows, first.highs))
    test = RateTest(grid, mode.exponent, bounds, lows, highs, mode.doubling, levels).update([o.values for o in observations])
    log_e = test.log_e_refute
    try:
        slope = test.slope()
    except ValueError as error:
        return "INCONCLUSIVE", f"{error}.", log_e, math.nan, claimed
    low, high = slope.interval(SLOPE_LEVEL)
    text = (
        f"log-log slope {slope.slope:.3f} [{low:.3f}, {high:.3f}] over {len(observations)} seeds, {slope.last_three:.3f} on the "
        f"last three points, claimed {claimed:g}"
    )
    if test.decision() == "refuted":
        return "REFUTED", f"{text}.", log_e, slope.slope, claimed
    if slope.upper(SLOPE_LEVEL) <= claimed + mode.tolerance:
        return "CONSISTENT", f"{text} (a slope never proves a rate).", log_e, slope.slope, claimed
    return "INCONCLUSIVE", f"{text}.", log_e, slope.slope, claimed
