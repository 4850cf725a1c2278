"""Constants of the theorems, for numbers and for symbols.

Letters: d features, H steps, B bound on theta, k episodes, M moments, delta failure probability of one regression.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from theorylab.problems.linear_mixture import LinearMixture
from theorylab.problems.record import Array

#: Share of runs whose confidence sets may miss the truth.
DELTA = 0.1

#: The radius of the practical variant: this share of what grows in it. The bias sqrt(ridge) B is never scaled, so that the truth is in the first set.
SCALE = 1e-3

#: Constant of the sum of certificates. The text displays 896; its own algebra, and its corollary, give 2752.
SUM_CONSTANT, PRINTED_SUM_CONSTANT = 2752, 896


@dataclass(frozen=True)
class Constants:
    """alpha, gamma: floors of the variance; ridge: of the Gram matrices; moments M; radii (K + 1,) of the confidence sets of the episodes 1 to K + 1."""

    alpha: float
    gamma: float
    ridge: float
    moments: int
    radii: Array


def moment_count(H: int, K: int) -> int:
    """M = log2(7 K H), rounded up."""
    return math.ceil(math.log2(7.0 * K * H))


def radius(d: int, H: int, B: float, k: float, delta: float) -> float:
    """beta_k. A logarithm that would be negative for H much smaller than d is cut at 0."""
    alpha, gamma, ridge = H**-0.5, d**-0.25, d / B**2
    eta = math.log(1.0 + k * H / (alpha**2 * d * ridge))
    tau = math.log(32.0 * (math.log(max(gamma**2 / alpha, 1.0)) + 1.0) * k**2 * H**2 / delta)
    return 12.0 * math.sqrt(d * eta * tau) + 30.0 * tau / gamma**2 + math.sqrt(ridge) * B


def constants(mixture: LinearMixture, episodes: int, *, scale: float = 1.0, delta: float = DELTA, moments: int = 0) -> Constants:
    """The constants of a run; delta is shared out among the four events of each moment."""
    d, H, B = mixture.dimension, mixture.horizon, mixture.bound
    M = moments or moment_count(H, episodes)
    each = delta / (4.0 * M)
    bias = math.sqrt(d / B**2) * B
    radii = np.array([bias + scale * (radius(d, H, B, float(k), each) - bias) for k in range(1, episodes + 2)])
    return Constants(H**-0.5, d**-0.25, d / B**2, M, radii)
