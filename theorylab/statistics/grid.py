"""Expectation bounds: e-processes from a fixed grid of bets, and the intervals they give.

Observations are rescaled to [0, 1] by the caller. Everything here is anytime-valid: it may be looked
at after every observation, and stopped or extended at will (Ville's inequality).

Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting",
arXiv 2010.09686 (betting wealth as an e-process; the mixture over a fixed grid is theirs too).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

#: Bets as fractions of the largest one allowed: bold ones for gross violations, small ones for fine ones.
BETS: Array = np.array([0.99, 0.9, 0.75, *(2.0**-k for k in range(1, 13))])

_CHUNK = 1 << 16  # observations per slab: bounds the memory to 15 slabs of half a megabyte


def logsumexp(values: Array, axis: int | None = None) -> Array:
    """log(sum(exp(values))) without overflow; -inf where all values are -inf."""
    top = np.max(values, axis=axis, keepdims=True)
    safe = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        total = np.log(np.sum(np.exp(values - safe), axis=axis, keepdims=True)) + safe
    return np.squeeze(total, axis=axis) if axis is not None else total.reshape(())[()]


def check_unit(x: ArrayLike) -> Array:
    """`x` as a float array, refused unless every entry lies in [0, 1]; NaN is refused too."""
    values = np.asarray(x, dtype=np.float64)
    inside = (values >= 0.0) & (values <= 1.0)
    if not inside.all():
        index = int(np.flatnonzero(~inside)[0])
        raise ValueError(f"observation {index} is {values.flat[index]!r}, outside its range [0, 1]")
    return values


def check_nonnegative(x: ArrayLike) -> Array:
    """`x` as a float array, refused unless every entry is a finite number >= 0."""
    values = np.asarray(x, dtype=np.float64)
    good = (values >= 0.0) & np.isfinite(values)
    if not good.all():
        index = int(np.flatnonzero(~good)[0])
        raise ValueError(f"observation {index} is {values.flat[index]!r}, not a finite number >= 0")
    return values


def bet_sums(x: ArrayLike, mean: float) -> Array:
    """(15,) sums over the observations of log(1 + g (x / mean - 1)), one per bet g. Adds over batches."""
    if not mean > 0.0:
        raise ValueError(f"mean={mean!r} must be positive: with a bound of 0 any positive value refutes")
    values = np.asarray(x, dtype=np.float64).ravel()
    sums = np.zeros(BETS.size)
    for start in range(0, values.size, _CHUNK):
        slab = values[start : start + _CHUNK]
        sums += np.log1p(BETS[:, None] * (slab[None, :] / mean - 1.0)).sum(axis=1)
    return sums


def mix(sums: Array) -> float:
    """log of the mean over the bets of exp(sums): the log e-value."""
    return float(logsumexp(sums) - math.log(BETS.size))


def log_e_above(x: ArrayLike, mean: float) -> float:
    """log e-value against `E[x] <= mean` for nonnegative x; needs no upper range."""
    return mix(bet_sums(check_nonnegative(x), mean))


def log_e_below(x: ArrayLike, mean: float) -> float:
    """log e-value against `E[x] >= mean` for x in [0, 1]."""
    return mix(bet_sums(1.0 - check_unit(x), 1.0 - mean))


def log_e_path(x: ArrayLike, mean: float) -> Array:
    """(n,) running log e-values against `E[x] <= mean`, after each observation."""
    steps = np.log1p(BETS[:, None] * (check_nonnegative(x)[None, :] / mean - 1.0))
    return logsumexp(np.cumsum(steps, axis=1), axis=0) - math.log(BETS.size)


def lower_bound(x: ArrayLike, alpha: float) -> float:
    """Lower confidence bound of E[x] at level `alpha`, for nonnegative x; valid at any stopping time."""
    values = check_nonnegative(x)
    target = math.log(1.0 / alpha)
    high = float(values.mean()) if values.size else 0.0
    if high == 0.0:
        return 0.0
    low = 0.0  # log e decreases in the mean, is +inf at 0 and at most log(1) at the sample mean
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if mix(bet_sums(values, middle)) >= target:
            low = middle
        else:
            high = middle
    return low


def upper_bound(x: ArrayLike, alpha: float) -> float:
    """Upper confidence bound of E[x] at level `alpha`, for x in [0, 1]; valid at any stopping time."""
    return 1.0 - lower_bound(1.0 - check_unit(x), alpha)
