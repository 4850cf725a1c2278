"""Penalties that make the backup error's bound true with a stated probability: the derived ones, and the published ones.

In all of them d is the number of features, H the horizon, K the number of runs, R_h = H - h the largest value after step h (h = 1..H), `ridge` the
regulariser of the Gram matrix, and the bound on the error at (h, s, a) is beta_h sum_i phi_i sqrt((Lambda_h^(-1))_ii).

Folds: every step has data of its own. Shared: one set of runs; a union over an eps-net of the values that can come out, which are functions
max_a clip(<phi, u>) of d numbers, so that the net has (B / eps)^d points. Derived from the self-normalised bound for vector-valued martingales.
"""

from __future__ import annotations

import numpy as np

from theorylab.problems.record import Array
from theorylab.solvers.offline import CHI, KL, TV


def _base(dimension: int, samples: float, ridge: float) -> float:
    """log det of the Gram matrix over that of the ridge, at most."""
    return float(dimension * np.log(1.0 + samples / (ridge * dimension)))


def reach(horizon: int) -> Array:
    """(H,) the largest value after each step."""
    return np.arange(horizon - 1, -1, -1, dtype=np.float64)


def folds(kind: int, dimension: int, horizon: int, samples: float, strength: float, delta: float, ridge: float = 1.0) -> Array:
    """(H,) penalties for data that are independent from step to step; they fail with probability at most delta."""
    R, H = reach(horizon), float(horizon)
    bias = np.sqrt(ridge * dimension)
    L = _base(dimension, samples, ridge) + 2.0 * np.log(H / delta)
    if kind == TV:
        return np.asarray(R * bias + np.minimum(strength, R) / 2.0 * np.sqrt(L))
    if kind == KL:
        return np.asarray(strength * np.exp(H / strength) * (bias + (1.0 - np.exp(-R / strength)) / 2.0 * np.sqrt(L)))
    assert kind == CHI
    cuts = np.ceil(np.sqrt(samples))
    L = _base(dimension, samples, ridge) + 2.0 * np.log(2.0 * cuts * H / delta)
    return np.asarray(
        R * (bias + np.sqrt(L) / 2.0 + 1.0) * (1.0 + H / (2.0 * strength))
        + R**2 / (4.0 * strength) * (bias + np.sqrt(L) / 2.0 + 2.0)
    )


def shared(kind: int, dimension: int, horizon: int, samples: float, strength: float, delta: float, ridge: float = 1.0) -> Array:
    """(H,) penalties for one set of runs that serves all steps; they fail with probability at most delta."""
    H, d, K = float(horizon), float(dimension), float(samples)
    bias, base = np.sqrt(ridge * d), _base(dimension, samples, ridge)
    out, after = np.zeros(horizon), 0.0
    for h in range(horizon - 1, -1, -1):
        R = float(horizon - 1 - h)
        if R == 0.0 and kind != KL:
            after = out[h] = 0.0  # nothing is earned later: there is nothing to estimate
            continue
        eps = (1.0 if kind == KL else R) / (2.0 * np.sqrt(K))
        if kind == TV:
            size = 1.0 + R * np.sqrt(K / ridge) + after / np.sqrt(ridge)
            L = base + 2.0 * d * np.log(np.ceil(size / eps)) + 2.0 * np.log(H / delta)
            out[h] = R * bias + (min(strength, R) / 2.0 + eps) * np.sqrt(L) + 2.0 * eps * np.sqrt(K)
        elif kind == KL:
            size = 1.0 + max(H, strength / 2.0 * np.log(max(K / ridge, 1.0))) + after / np.sqrt(ridge)
            L = base + 2.0 * d * np.log(np.ceil(size / (strength * eps))) + 2.0 * np.log(H / delta)
            noise = ((1.0 - np.exp(-R / strength)) / 2.0 + eps) * np.sqrt(L) + 2.0 * eps * np.sqrt(K) if R > 0.0 else 0.0
            out[h] = strength * np.exp(H / strength) * (bias + noise)
        else:
            size = 1.0 + R * np.sqrt(K / ridge) + H**2 / (4.0 * strength) + after / np.sqrt(ridge)
            L = base + 2.0 * d * np.log(np.ceil(size / eps)) + 2.0 * np.log(np.ceil(np.sqrt(K))) + 2.0 * np.log(2.0 * H / delta)
            out[h] = R * (bias + np.sqrt(L) / 2.0 + 2.0) * (1.0 + H / (2.0 * strength))
            out[h] += R**2 / (4.0 * strength) * (bias + np.sqrt(L) / 2.0 + 4.0)
        after = out[h]
    return out


def published(kind: int, dimension: int, horizon: int, strength: float, xi: float = 1.0) -> float:
    """The paper's penalties but for xi, a logarithm in K, d, H, 1/delta and the strength whose expression could not be read; any xi >= 1 is tried."""
    H, d = float(horizon), float(dimension)
    if kind == TV:
        return float(16.0 * H * d * np.sqrt(xi))
    if kind == KL:
        return float(16.0 * d * strength * np.exp(H / strength) * np.sqrt(H / strength + xi))
    assert kind == CHI
    return float(8.0 * d * H**2 * (1.0 + 1.0 / strength) * np.sqrt(xi))


def pevi(dimension: int, horizon: int, samples: float, delta: float, ridge: float = 1.0) -> Array:
    """(H,) PEVI's penalties for data that are independent from step to step (Mahalanobis shape)."""
    R = reach(horizon)
    L = _base(dimension, samples, ridge) + 2.0 * np.log(horizon / delta)
    return np.asarray((R + 1.0) * np.sqrt(ridge * dimension) + R / 2.0 * np.sqrt(L))


def drpvi(dimension: int, horizon: int, samples: float, delta: float) -> float:
    """DRPVI's penalty, as its theorem states it (arXiv 2403.09621): 4 sqrt(d) H sqrt(log(2 d H^2 K / delta))."""
    H, d = float(horizon), float(dimension)
    return float(4.0 * np.sqrt(d) * H * np.sqrt(np.log(2.0 * d * H**2 * samples / delta)))
