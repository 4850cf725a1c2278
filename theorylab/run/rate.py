"""Rate claims on one instance: refutable through a stated constant or the doubling form, never more than consistent."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from theorylab.claim import AtRate
from theorylab.run.records import Observation, Status
from theorylab.statistics.many import log_mean
from theorylab.statistics.rates import doubling_observations, log_log_slope
from theorylab.statistics.sequential import Levels, MeanTest

SLOPE_LEVEL = 0.05  # of the interval that is shown; it gates nothing

RateVerdict = tuple[Status, str, float, float, float]


def judge_rate(mode: AtRate, levels: Levels, observations: Sequence[Observation]) -> RateVerdict:
    """(status, reason, log e-value against the claim, slope, claimed slope)."""
    claimed = -mode.exponent
    values = np.array([o.values for o in observations])
    n = np.array(observations[0].grid)
    if len(observations) < 2:
        return "INCONCLUSIVE", "a slope needs at least 2 seeds.", 0.0, math.nan, claimed
    if n.size < 2 or not (values.mean(axis=0) > 0.0).all() or not (n > 0.0).all():
        return (
            "INCONCLUSIVE",
            "the means are not positive at two points or more: they have no slope.",
            0.0,
            math.nan,
            claimed,
        )
    log_e = _evidence(mode, levels, observations, values, n)
    slope = log_log_slope(n, values)
    low, high = slope.interval(SLOPE_LEVEL)
    text = (
        f"log-log slope {slope.slope:.3f} [{low:.3f}, {high:.3f}] over {len(observations)} seeds, {slope.last_three:.3f} on the "
        f"last three points, claimed {claimed:g}"
    )
    if log_e >= levels.refute_at:
        return "REFUTED", f"{text}.", log_e, slope.slope, claimed
    if slope.upper(SLOPE_LEVEL) <= claimed + mode.tolerance:
        return "CONSISTENT", f"{text} (a slope never proves a rate).", log_e, slope.slope, claimed
    return "INCONCLUSIVE", f"{text}.", log_e, slope.slope, claimed


def _evidence(mode: AtRate, levels: Levels, observations: Sequence[Observation], values: np.ndarray, n: np.ndarray) -> float:
    """log e-value: the mean over grid points of those against the stated constant, or over doublings."""
    first = observations[0]
    tests: list[float] = []
    for j in range(n.size):
        if math.isfinite(first.bounds[j]) and first.bounds[j] < first.highs[j]:
            low = first.lows[j] if math.isfinite(first.lows[j]) else 0.0
            tests.append(MeanTest(first.bounds[j], low, first.highs[j], levels).update(values[:, j]).log_e_refute)
    if mode.doubling is not None:
        for j in range(n.size - 1):
            if abs(n[j + 1] / n[j] - 2.0) < 1e-9 and math.isfinite(first.highs[j]):
                x, bound = doubling_observations(values[:, j], values[:, j + 1], mode.exponent, mode.doubling, first.highs[j])
                tests.append(MeanTest(bound, 0.0, 1.0, levels).update(np.clip(x, 0.0, 1.0)).log_e_refute)
    return log_mean(tests) if tests else 0.0
