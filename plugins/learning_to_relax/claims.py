"""What is claimed of SOR's iterations and of Tsallis-INF's regret. The statements were known from a restatement of the paper and its released code."""

from __future__ import annotations

from typing import Any

from theorylab.claim import Always, Equals, OnAverage

from . import plugin

PAPER = "arXiv 2310.02246"


def any_regret(length: Any, head_start: Any) -> Any:
    """A round costs at most 1 more than the best fixed setting; nobody is better than the best setting of each round."""
    return -head_start, length


@plugin.claim("iterations", holds=Always(1e-6), source=f"{PAPER}, bound on SOR's iterations", provenance="derived")
def iterations_are_bounded(iteration_bound: Any) -> Any:
    """SOR(w) <= 1 + ln eps / ln(rho + tau (1 - rho)), tau the transient growth of C_w^k at the last sweep but one."""
    return iteration_bound


@plugin.claim(
    "radius",
    holds=Equals(1e-6),
    source="Young's theorem for consistently ordered matrices",
    provenance="derived",
    toothless="it is about the matrix alone",
)
def radius_is_youngs(radius_formula: Any) -> Any:
    """rho(C_w) = (w beta + sqrt(w^2 beta^2 - 4 (w - 1)))^2 / 4, or w - 1 beyond the best w; eigenvalues near a defect are known to its square root."""
    return radius_formula


@plugin.claim("probabilities", holds=Equals(1e-8), source="definition of Tsallis-INF", provenance="derived")
def probabilities_are_regularised(regularised: Any) -> Any:
    """At rate sqrt(8 / T) they minimise <p, scores> - (4 / rate) sum sqrt(p): a root of scores up to some 10^5, known to 1e-14 of its size."""
    return regularised


@plugin.claim("normaliser_error", holds=Always(1e-10), source="definition of Tsallis-INF", provenance="derived")
def probabilities_sum_to_one() -> Any:
    """Newton's method ends at probabilities that sum to 1."""
    return 0


@plugin.claim(
    "fixed_regret",
    holds=OnAverage(),
    source=f"{PAPER}, Tsallis-INF with the rate that belongs to the constant",
    provenance="derived",
    within=any_regret,
)
def regret_with_the_right_rate(length: Any, settings: Any) -> Any:
    """Rate sqrt(8 / T): E R <= 2 sqrt(2 d T) for losses in [0, 1]."""
    from sympy import sqrt

    return 2 * sqrt(2 * settings * length)


@plugin.claim(
    "printed_regret",
    holds=OnAverage(),
    source=f"{PAPER}, with its constant corrected",
    provenance="derived",
    within=any_regret,
    toothless="its constant is too large for 16 seeds to be refuted",
)
def regret_with_the_printed_rate(length: Any, settings: Any) -> Any:
    """Rate 1 / sqrt(T): E R <= 4.5 sqrt(d T)."""
    from sympy import Rational, sqrt

    return Rational(9, 2) * sqrt(settings * length)


@plugin.claim(
    "printed_regret", holds=OnAverage(), source=f"{PAPER}, as restated", provenance="unconfirmed", within=any_regret, expected="refuted",
    only=["many-settings"], toothless="it is false of the right algorithm",
)  # fmt: skip
def printed_constant(length: Any, settings: Any) -> Any:
    """Rate 1 / sqrt(T): E R <= 2 sqrt(2 d T). False in the parametrisation of the released code: one good setting among 200 refutes it."""
    from sympy import sqrt

    return 2 * sqrt(2 * settings * length)


@plugin.claim("anytime_regret", holds=OnAverage(), source="Zimmert, Seldin, Tsallis-INF, 2021, Theorem 1", within=any_regret)
def regret_at_any_time(length: Any, settings: Any) -> Any:
    """Rate 2 / sqrt(t): E R <= 4 sqrt(d T) + 1."""
    from sympy import sqrt

    return 4 * sqrt(settings * length) + 1
