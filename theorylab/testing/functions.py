"""Bounds and rates of functions that are no plugin, in one line of a test."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def assert_bound(
    measured: Callable[[Any], Any], *, over: SearchStrategy[Any], at_most: Any = None, at_least: Any = None, slack: float = 0.0
) -> None:
    """Let hypothesis search the instances of a strategy for one that breaks a bound. Raises AssertionError with the smallest that it finds.

    measured            number or array for an instance
    over                where instances come from, such as `theorylab.strategies.mdps()`
    at_most, at_least   numbers, or functions of the instance; compared entry by entry
    slack               rounding error to allow, absolute

    The user's hypothesis profile and example database are respected; only the deadline is lifted, since a first call compiles.
    """
    from hypothesis import given, settings

    if (at_most is None) == (at_least is None):
        raise TypeError("assert_bound: give one of at_most and at_least.")
    limit, sign, word = (at_most, 1.0, "above") if at_most is not None else (at_least, -1.0, "below")

    @settings(deadline=None)
    @given(over)
    def holds(instance: Any) -> None:
        value = np.asarray(measured(instance), dtype=float)
        bound = np.asarray(limit(instance) if callable(limit) else limit, dtype=float)
        value, bound = np.broadcast_arrays(value, bound)
        bad = ~(sign * (value - bound) <= slack)  # NaN is bad
        if bad.any():
            at = tuple(int(i) for i in np.argwhere(bad)[0])
            where = f" at {list(at)}" if at else ""
            raise AssertionError(f"{float(value[at]):.9g} is {word} the bound {float(bound[at]):.9g}{where} for {instance!r}")

    holds()


def assert_rate(
    measured: Callable[[float, np.random.Generator], float],
    *,
    exponent: float,
    along: Sequence[float],
    within: tuple[float, float],
    seeds: int = 100,
    doubling: float = 0.1,
    alpha: float = 1e-6,
    root_seed: int = 0,
) -> None:
    """Test that E[measured(n, rng)] falls like n^-exponent: E[Y_2n] <= 2^-exponent (1 + doubling) E[Y_n] on a grid that doubles. Raises AssertionError if
    that is refuted, with a false-alarm probability of at most alpha, or if the slope is plainly not reached.

    measured  for a point of the grid and a generator of its own
    along     the grid: each point twice the one before
    within    the range of what is measured, whatever n is: a mean can be judged only if it has ends
    """
    from theorylab.statistics.many import refutation_threshold
    from theorylab.statistics.sequential import Levels, RateTest

    grid = np.asarray(along, dtype=float)
    if len(grid) < 3 or (np.abs(grid[1:] / grid[:-1] - 2.0) > 1e-12).any():
        raise TypeError("assert_rate: `along` needs three points or more, each twice the one before.")
    streams = np.random.SeedSequence(root_seed).spawn(seeds)
    rows = [
        [float(measured(float(n), np.random.default_rng(s))) for n, s in zip(grid, stream.spawn(len(grid)), strict=True)]
        for stream in streams
    ]
    if not np.isfinite(rows).all():
        raise AssertionError("what is measured is not finite")
    ends = np.full(len(grid), within[0]), np.full(len(grid), within[1])
    if (np.array(rows) < ends[0]).any() or (np.array(rows) > ends[1]).any():
        raise TypeError(f"assert_rate: what is measured leaves {within}.")
    levels = Levels(refutation_threshold(alpha, 1), 0.01)
    test = RateTest(grid, exponent, np.full(len(grid), math.inf), *ends, doubling, levels).update(rows)
    means = np.mean(rows, axis=0)
    slope = float(np.polyfit(np.log(grid), np.log(np.maximum(means, 1e-300)), 1)[0])
    told = f"slope {slope:.3f} over {seeds} seeds, claimed {-exponent:g}; means {', '.join(f'{m:.4g}' for m in means)}"
    if test.decision() == "refuted":
        raise AssertionError(f"the rate is refuted (false-alarm probability {alpha:g}): {told}")
    if slope > -exponent + math.log2(1.0 + doubling):
        raise AssertionError(f"the rate is not seen, though not refuted: {told}. More seeds, or a larger grid, would decide.")
