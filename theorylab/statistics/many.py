"""Many claims, many instances: how evidence is combined and how the whole run's error is kept.

Source for e-BH: Wang and Ramdas, "False discovery rate control with e-values", arXiv 2009.02824.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from theorylab.statistics.grid import Array, logsumexp


def log_mean(log_e: Sequence[float] | Array) -> float:
    """log of the mean of e-values: an e-value under any dependence, with power against one bad instance."""
    values = np.asarray(log_e, dtype=np.float64)
    return float(logsumexp(values) - math.log(values.size))


def refutation_threshold(alpha: float, claims: int) -> float:
    """log e-value from which a claim is refuted, when `claims` registered statistical claims share `alpha`."""
    return math.log(max(claims, 1) / alpha)


def e_to_p(log_e: float) -> float:
    """min(1, 1/e): a p-value."""
    return min(1.0, math.exp(-log_e))


def p_to_e(p: float, kappa: float = 0.5) -> float:
    """kappa p^(kappa - 1): an e-value from a p-value, kappa in (0, 1)."""
    return kappa * p ** (kappa - 1.0)


def holm(p_values: ArrayLike, alpha: float) -> tuple[np.ndarray, Array]:
    """Holm's step-down: which hypotheses are rejected, and the adjusted p-values."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = np.minimum(1.0, np.maximum.accumulate((p.size - np.arange(p.size)) * p[order]))
    adjusted = np.empty_like(p)
    adjusted[order] = scaled
    return adjusted <= alpha, adjusted


def e_holm(e_values: ArrayLike, alpha: float) -> tuple[np.ndarray, Array]:
    """Closed testing with means of e-values: which are rejected at family-wise level alpha, and the adjusted e-values."""
    e = np.asarray(e_values, dtype=np.float64)
    order = np.argsort(e, kind="stable")
    ascending = e[order]
    prefix = np.concatenate([[0.0], np.cumsum(ascending)])
    adjusted = np.empty_like(e)
    for rank, position in enumerate(order):
        smaller = np.arange(rank + 1)
        adjusted[position] = np.min((e[position] + prefix[: rank + 1]) / (smaller + 1))
    return adjusted >= 1.0 / alpha, adjusted


def e_bh(e_values: ArrayLike, alpha: float) -> np.ndarray:
    """e-BH: which hypotheses a report may list with false discovery rate at most alpha, under any dependence."""
    e = np.asarray(e_values, dtype=np.float64)
    order = np.argsort(-e, kind="stable")
    ranks = np.arange(1, e.size + 1)
    good = np.flatnonzero(e[order] >= e.size / (alpha * ranks))
    rejected = np.zeros(e.size, dtype=bool)
    if good.size:
        rejected[order[: good[-1] + 1]] = True
    return rejected


def violating_share(n: int, alpha: float) -> float:
    """Largest share of a declared distribution that may violate, after n clean independent draws, with confidence 1 - alpha."""
    return 1.0 if n == 0 else -math.expm1(math.log(alpha) / n)
