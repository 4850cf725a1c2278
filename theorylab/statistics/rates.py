"""Rates: the log-log slope of a mean with an interval over seeds, and the doubling form that can be refuted.

A statement "O(n^-b)" with no constant constrains no finite set of n: a slope is displayed and can make a claim
CONSISTENT, never SUPPORTED. What can be refuted is a stated constant, or the doubling form `E[Y_2n] <= 2^-b (1 + tol) E[Y_n]`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from theorylab.statistics.grid import Array


@dataclass(frozen=True)
class Slope:
    """Least-squares slope of log(mean) on log(n), with the standard error over whole seeds."""

    slope: float
    standard_error: float
    seeds: int
    last_three: float  # slope over the last three grid points: what the tail does

    def interval(self, level: float) -> tuple[float, float]:
        """Two-sided interval with confidence 1 - level (approximate, hence never a gate)."""
        from scipy.special import stdtrit

        radius = float(stdtrit(self.seeds - 1, 1.0 - level / 2.0)) * self.standard_error
        return self.slope - radius, self.slope + radius

    def upper(self, level: float) -> float:
        """One-sided upper limit at `level`."""
        from scipy.special import stdtrit

        return self.slope + float(stdtrit(self.seeds - 1, 1.0 - level)) * self.standard_error

    def test(self, slope: float) -> tuple[float, float]:
        """T statistic and one-sided p-value against `true slope <= slope`."""
        from scipy.special import stdtr

        statistic = (self.slope - slope) / self.standard_error
        return statistic, float(stdtr(self.seeds - 1, -statistic))


def _weights(n: Array) -> Array:
    x = np.log(n)
    centred = x - x.mean()
    return centred / float(np.sum(centred**2))


def log_log_slope(n: ArrayLike, values: ArrayLike) -> Slope:
    """Slope of log(mean over seeds) on log(n). `n` (J,), J >= 2; `values` (seeds, J), positive means."""
    grid = np.asarray(n, dtype=np.float64)
    y = np.asarray(values, dtype=np.float64)
    if y.ndim != 2 or y.shape[1] != grid.size or grid.size < 2:
        raise ValueError(f"values of shape {y.shape} do not fit a grid of {grid.size} points (at least 2)")
    if y.shape[0] < 2:
        raise ValueError(f"{y.shape[0]} seed(s): the interval of a slope needs at least 2")
    means = y.mean(axis=0)
    if not (means > 0.0).all():
        raise ValueError("the mean is not positive at every grid point: its logarithm has no slope")
    weights = _weights(grid)
    slope = float(weights @ np.log(means))
    influence = ((y - means) / means) @ weights
    error = float(influence.std(ddof=1) / np.sqrt(y.shape[0]))
    tail = slice(max(0, grid.size - 3), None)
    last = float(_weights(grid[tail]) @ np.log(means[tail]))
    return Slope(slope, error, y.shape[0], last)


def doubling_observations(y_n: ArrayLike, y_2n: ArrayLike, exponent: float, tolerance: float, top: float) -> tuple[Array, float]:
    """The doubling form as a bounded mean: values in [0, 1] and the bound that their expectation must obey.

    Claim: E[Y_2n] <= kappa E[Y_n], kappa = 2^-exponent (1 + tolerance), with Y in [0, top], paired by seed.
    """
    kappa = 2.0**-exponent * (1.0 + tolerance)
    difference = np.asarray(y_2n, dtype=np.float64) - kappa * np.asarray(y_n, dtype=np.float64)
    return (difference + kappa * top) / ((1.0 + kappa) * top), kappa / (1.0 + kappa)
