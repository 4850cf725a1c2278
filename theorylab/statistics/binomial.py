"""High-probability claims: k failures in n runs against `P(fail) <= delta`.

The e-process is a mixture of likelihood ratios over the failure probabilities above (or below) delta, with a truncated
Beta(1, 1/delta - 1) prior, and is valid at every stopping time. Clopper-Pearson is exact for an n fixed beforehand.
"""

from __future__ import annotations

import math

import numpy as np

# scipy.special is imported where it is used: it costs a third of a second, and pathwise claims never need it.


def check_counts(k: int, n: int, delta: float | None = None) -> None:
    """Refuse counts that are no counts and a delta outside (0, 1)."""
    if not 0 <= k <= n:
        raise ValueError(f"{k} failures in {n} runs: the count must lie between 0 and the number of runs")
    if delta is not None and not 0.0 < delta < 1.0:
        raise ValueError(f"delta={delta!r} must lie strictly between 0 and 1")


def _log_mixture(k: int, n: int, delta: float, above: bool, prior: tuple[float, float] | None) -> float:
    from scipy.special import betainc, betaincc, betaln

    check_counts(k, n, delta)
    a, b = prior if prior is not None else (1.0, 1.0 / delta - 1.0)
    tail = betaincc if above else betainc
    with np.errstate(divide="ignore"):
        posterior = float(betaln(a + k, b + n - k) + np.log(tail(a + k, b + n - k, delta)))
        normaliser = float(betaln(a, b) + np.log(tail(a, b, delta)))
    null = k * math.log(delta) + (n - k) * math.log1p(-delta)
    return posterior - normaliser - null


def log_e_above(k: int, n: int, delta: float, *, prior: tuple[float, float] | None = None) -> float:
    """log e-value against `P(fail) <= delta`. An underflowing tail gives -inf: evidence understated, never over."""
    return _log_mixture(k, n, delta, True, prior)


def log_e_below(k: int, n: int, delta: float, *, prior: tuple[float, float] | None = None) -> float:
    """log e-value against `P(fail) >= delta`."""
    return _log_mixture(k, n, delta, False, prior)


def exact_p(k: int, n: int, delta: float) -> float:
    """P(Binomial(n, delta) >= k): the exact p-value for a sample size fixed beforehand."""
    from scipy.special import betainc

    check_counts(k, n, delta)
    return 1.0 if k == 0 else float(betainc(k, n - k + 1, delta))


def clopper_pearson(k: int, n: int, alpha: float) -> tuple[float, float]:
    """Lower and upper limits of P(fail), each one-sided at level `alpha`."""
    from scipy.special import betainccinv, betaincinv

    check_counts(k, n)
    lower = 0.0 if k == 0 else float(betaincinv(k, n - k + 1, alpha))
    upper = 1.0 if k == n else float(betainccinv(k + 1, n - k, alpha))
    return lower, upper


def log_likelihood_ratio(k: int, n: int, delta: float, alternative: float) -> float:
    """log likelihood ratio of a named alternative: the most powerful e-process if that is the truth."""
    check_counts(k, n, delta)
    return k * math.log(alternative / delta) + (n - k) * math.log((1.0 - alternative) / (1.0 - delta))


def clean_runs_to_support(delta: float, alpha: float) -> int:
    """Runs without a failure that support `P(fail) <= delta` at level `alpha`, for a sample size fixed beforehand."""
    return math.ceil(math.log(alpha) / math.log1p(-delta))


def clean_runs_anytime(delta: float, alpha: float) -> int:
    """The same for the anytime-valid test: what `check` asks for when no run fails."""
    target = math.log(1.0 / alpha)
    low, high = 1, clean_runs_to_support(delta, alpha)
    while log_e_below(0, high, delta) < target:
        low, high = high, 2 * high
    while low < high:
        middle = (low + high) // 2
        if log_e_below(0, middle, delta) >= target:
            high = middle
        else:
            low = middle + 1
    return high
