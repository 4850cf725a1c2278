"""Plug-in bets and fixed-sample bounds for the mean of a [0, 1] variable.

The grid of `theorylab.statistics.grid` decides claims; these procedures are tighter in special cases
(plug-in bets: one fixed level, a few hundred observations; Chernoff: only the count and the mean are known)
or serve for planning (Hoeffding).

Sources: Waudby-Smith and Ramdas, arXiv 2010.09686 (plug-in bets, hedged capital); Hoeffding 1963; Maurer and Pontil,
"Empirical Bernstein Bounds and Sample Variance Penalization", arXiv 0907.3740.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from theorylab.statistics.grid import Array, check_unit


def plug_in_bets(x: ArrayLike, alpha: float, *, fixed_n: int | None = None) -> Array:
    """(n,) predictable bets before the cap; bet t uses x_1..x_{t-1} only. `fixed_n`: sample size set beforehand."""
    values = check_unit(x)
    t = np.arange(1, values.size + 1)
    means = (0.5 + np.cumsum(values)) / (t + 1)
    variances = (0.25 + np.cumsum((values - means) ** 2)) / (t + 1)
    previous = np.concatenate([[0.25], variances[:-1]])
    spread = fixed_n if fixed_n is not None else t * np.log1p(t)
    return np.sqrt(2.0 * math.log(1.0 / alpha) / (previous * spread))


def log_wealth_up(x: ArrayLike, mean: float, alpha: float, *, cap: float = 0.5, fixed_n: int | None = None) -> Array:
    """(n,) running log wealth against `E[x] <= mean`, with bets capped at `cap / mean`."""
    values = check_unit(x)
    bets = np.minimum(plug_in_bets(values, alpha, fixed_n=fixed_n), cap / mean)
    return np.cumsum(np.log1p(bets * (values - mean)))


def log_wealth_down(x: ArrayLike, mean: float, alpha: float, *, cap: float = 0.5, fixed_n: int | None = None) -> Array:
    """(n,) running log wealth against `E[x] >= mean`."""
    return log_wealth_up(1.0 - check_unit(x), 1.0 - mean, alpha, cap=cap, fixed_n=fixed_n)


def hedged_capital(x: ArrayLike, mean: float, alpha: float, *, fixed_n: int | None = None) -> Array:
    """(n,) two-sided capital at `mean`: the mean is in the confidence set while this is below 1/alpha."""
    up = log_wealth_up(x, mean, alpha / 2.0, fixed_n=fixed_n)
    down = log_wealth_down(x, mean, alpha / 2.0, fixed_n=fixed_n)
    return np.maximum(np.exp(up), np.exp(down)) / 2.0


def hedged_interval(x: ArrayLike, alpha: float, *, fixed_n: int | None = None) -> tuple[float, float]:
    """Two-sided interval for E[x] from the last capital (no intersection over time), by bisection."""
    values = check_unit(x)

    def excluded(mean: float) -> bool:
        return bool(hedged_capital(values, mean, alpha, fixed_n=fixed_n)[-1] >= 1.0 / alpha)

    centre = min(max(float(values.mean()), 1e-12), 1.0 - 1e-12)
    return _border(excluded, 0.0, centre), _border(excluded, 1.0, centre)


def _border(excluded: Callable[[float], bool], outside: float, inside: float) -> float:
    """The last value that is not excluded on the way from `inside` to `outside`, by bisection to the last bit."""
    while (middle := 0.5 * (outside + inside)) not in (outside, inside):
        outside, inside = (middle, inside) if excluded(middle) else (outside, middle)
    return inside


def hoeffding_radius(n: int, alpha: float) -> float:
    """One-sided radius of the mean of n observations in [0, 1]. For planning."""
    return math.sqrt(math.log(1.0 / alpha) / (2.0 * n))


def hoeffding_p(mean: float, n: int, bound: float) -> float:
    """p-value against `E[x] <= bound`."""
    return math.exp(-2.0 * n * (mean - bound) ** 2) if mean > bound else 1.0


def kl_bernoulli(p: float, q: float) -> float:
    """KL divergence between Bernoulli(p) and Bernoulli(q), in nats; inf where q excludes what p allows."""
    total = 0.0
    for a, b in ((p, q), (1.0 - p, 1.0 - q)):
        if a > 0.0:
            if b <= 0.0:
                return math.inf
            total += a * math.log(a / b)
    return total


def chernoff_p(mean: float, n: int, bound: float) -> float:
    """p-value against `E[x] <= bound`, at least as good as Hoeffding's."""
    return math.exp(-n * kl_bernoulli(mean, bound)) if mean > bound else 1.0


def chernoff_bounds(mean: float, n: int, alpha: float) -> tuple[float, float]:
    """One-sided lower and upper bounds of E[x], each at level `alpha`, from the count and the mean alone."""
    target = math.log(1.0 / alpha) / n

    def excluded(bound: float) -> bool:
        return kl_bernoulli(mean, bound) >= target

    return _border(excluded, 0.0, mean), _border(excluded, 1.0, mean)


def empirical_bernstein_radius(x: ArrayLike, alpha: float) -> float:
    """Maurer and Pontil's one-sided radius; good for small variance and thousands of observations only."""
    values = check_unit(x)
    n = values.size
    if n < 2:
        raise ValueError(f"{n} observations: the sample variance needs at least 2")
    variance = float(values.var(ddof=1))
    log_term = math.log(2.0 / alpha)
    return math.sqrt(2.0 * variance * log_term / n) + 7.0 * log_term / (3.0 * (n - 1))
