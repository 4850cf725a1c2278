"""What the theorems say of the plug-in fixed point. `width` is that of the grid, 1 / (1 - gamma) for rewards that span [0, 1].

Slacks: the linear solves and the sweeps leave fixed points with a W1 error of about ACCURACY and of u times the grid's size over
1 - gamma; variances are quadratic in laws and carry 1 / (1 - gamma) once more. 64 u = 2^-47 covers the constants.
"""

from __future__ import annotations

from typing import Any

from theorylab.claim import Always, AtRate, Equals, WithProbability

from . import plugin
from .algorithm import ACCURACY, DELTA

U64 = 2.0**-47

PAPER = "arXiv 2402.07598"


def fixed_error(size: Any, discount: Any) -> Any:
    """W1 error of a fixed point."""
    return 2 * ACCURACY + U64 * (1 + size) / (1 - discount)


def root_error(size: Any, discount: Any) -> Any:
    """Cramer error of a fixed point: its square is at most the W1 error, as distribution functions differ by at most 1."""
    return fixed_error(size, discount) ** 0.5


def weight_error(size: Any, discount: Any, spacing: Any) -> Any:
    """A weight is a difference of two areas over cells."""
    return 2 * fixed_error(size, discount) / spacing


def variance_error(size: Any, discount: Any) -> Any:
    """Variances of laws: linear in W1 errors of laws, piled up over 1 / (1 - gamma) steps."""
    return 8 * fixed_error(size, discount) * (1 + size) / (1 - discount)


def up_to_width(width: Any) -> Any:
    """No two laws on the grid are farther apart in W1."""
    return 0, width


def up_to_root_width(width: Any) -> Any:
    """No two laws on the grid are farther apart in the Cramer distance."""
    from sympy import sqrt

    return 0, sqrt(width)


# -- the solver -------------------------------------------------------------------------------------------------------------------


@plugin.claim("solved_weights", holds=Equals(weight_error), source="two ways to the same fixed point", provenance="derived")
def linear_solve_meets_sweeps(exact_weights: Any) -> Any:
    """On the true model the linear system has the limit of the sweeps as its solution, weight by weight."""
    return exact_weights


@plugin.claim("estimated_weights", holds=Equals(weight_error), source="two ways to the same fixed point", provenance="derived")
def linear_solve_meets_sweeps_on_estimates(swept_weights: Any) -> Any:
    """So it does on an estimated model, where states that were never seen have no weight."""
    return swept_weights


@plugin.claim(
    "least_weight", holds=Always(U64 * 64), relation=">=", source="fixed point of a map from laws to laws", provenance="derived"
)
def solution_is_nonnegative() -> Any:
    """No weight of the solution is negative, though nothing in the linear system asks for it."""
    return 0


@plugin.claim("weight_sum", holds=Equals(U64 * 64), source="normalisation", provenance="derived")
def solution_sums_to_one() -> Any:
    """The weights of each state sum to 1."""
    return 1


@plugin.claim("solved_mean", holds=Equals(fixed_error), source="the projection keeps means", provenance="derived")
def solution_keeps_means(exact_mean: Any) -> Any:
    """The mean of the solution on the true model is the value (I - gamma P)^(-1) r."""
    return exact_mean


# -- variances --------------------------------------------------------------------------------------------------------------------


@plugin.claim(
    "resolved",
    holds=Always(variance_error),
    source="Gini mean difference of the return",
    provenance="derived",
    assumes=["rewards_by_state"],
)
def resolved_variance_below_gini(gini: Any) -> Any:
    """(I - gamma P)^(-1) sigma <= half the mean distance of two independent returns from the fixed point."""
    return gini


@plugin.claim(
    "gini", holds=Always(variance_error), source="F (1 - F) <= 1/4", provenance="derived",
    toothless="F (1 - F) is at most 1/4 whatever the algorithm takes for F",
)  # fmt: skip
def gini_below_quarter_width(width: Any) -> Any:
    """Half the mean distance of two independent returns is at most a quarter of the grid's width: 1 / (4 (1 - gamma)) for unit rewards."""
    return width / 4


@plugin.claim(
    "recursive",
    holds=Always(variance_error),
    source=f"stochastic categorical CDF Bellman equation of {PAPER}",
    provenance="derived",
)
def random_law_variance(resolved: Any) -> Any:
    """The random law with Phi = B Phi(X') in distribution has E || Phi - F ||^2 <= (I - gamma P)^(-1) sigma."""
    return resolved


@plugin.claim(
    "avar", holds=Always(variance_error), source="delta method, Cauchy-Schwarz and the Gini bound", provenance="derived",
    assumes=["rewards_by_state"],
)  # fmt: skip
def first_order_error(discount: Any, width: Any) -> Any:
    """lim N E || F_N - F ||^2 <= (1 + sqrt(gamma))^2 width / (4 (1 - gamma)): the near-minimax rate, whatever the number of atoms."""
    from sympy import sqrt

    return (1 + sqrt(discount)) ** 2 * width / (4 * (1 - discount))


@plugin.claim("avar", holds=Always(variance_error), source="delta method and Cauchy-Schwarz", provenance="derived")
def first_order_error_by_variance(discount: Any, resolved_slowly: Any) -> Any:
    """lim N E || F_N - F ||^2 <= (I - sqrt(gamma) P)^(-1) sigma / (1 - sqrt(gamma)): the step before, state by state."""
    from sympy import sqrt

    return resolved_slowly / (1 - sqrt(discount))


@plugin.claim(
    "value_avar", holds=Equals(variance_error), source="variance of the plug-in value on the hard chain", provenance="derived",
    only=("hard-chain", "hard-chain-patient"), toothless="it measures the problem, not the algorithm",
)  # fmt: skip
def hard_chain_variance(mdp: Any) -> Any:
    """On the hard chain lim N Var(value) = (9/256) (4 gamma - 1) (1 - gamma)^(-3): no estimate of the model does better to first order."""
    gamma = mdp.discount
    return [9.0 / 256.0 * (4.0 * gamma - 1.0) / (1.0 - gamma) ** 3, 0.0]


# -- samples ----------------------------------------------------------------------------------------------------------------------


@plugin.claim(
    "w1_error", holds=WithProbability(1 - DELTA, slack=fixed_error), source="contraction and McDiarmid's inequality", provenance="derived",
    within=up_to_width, along="samples", assumes=["rewards_by_state"],
)  # fmt: skip
def enough_samples_w1(discount: Any, width: Any, samples: Any, states: Any, checkpoints: Any) -> Any:
    """With probability 0.9, W1 <= gamma width / (1 - gamma) (1/2 + sqrt(ln(10 S C) / 2)) / sqrt(N) in all S states, at all C sample sizes."""
    from sympy import Rational, log, sqrt

    return discount * width / (1 - discount) * (Rational(1, 2) + sqrt(log(states * checkpoints / DELTA) / 2)) / sqrt(samples)


@plugin.claim(
    "cramer_error", holds=WithProbability(1 - DELTA, slack=root_error), source="contraction and McDiarmid's inequality", provenance="derived",
    within=up_to_root_width, along="samples", assumes=["rewards_by_state"],
)  # fmt: skip
def enough_samples_cramer(discount: Any, width: Any, samples: Any, states: Any, checkpoints: Any) -> Any:
    """With probability 0.9, l2 <= sqrt(width / N) (1/2 + sqrt(gamma ln(10 S C) / 2)) / (1 - sqrt(gamma)), likewise."""
    from sympy import Rational, log, sqrt

    return (
        sqrt(width / samples) * (Rational(1, 2) + sqrt(discount * log(states * checkpoints / DELTA) / 2)) / (1 - sqrt(discount))
    )


@plugin.claim(
    "w1_total_error", holds=WithProbability(1 - DELTA, slack=fixed_error), source="the bound above and the projection's own error",
    provenance="derived", within=up_to_width, along="samples", assumes=["rewards_by_state"],
)  # fmt: skip
def enough_samples_and_atoms(discount: Any, width: Any, spacing: Any, samples: Any, states: Any, checkpoints: Any) -> Any:
    """To the true law: the bound above plus Delta / (2 (1 - gamma)). So m >= 1 + width / ((1 - gamma) eps) atoms and the N that makes the first
    term eps / 2 give W1 <= eps with probability 0.9."""
    return enough_samples_w1(discount, width, samples, states, checkpoints) + spacing / (2 * (1 - discount))


@plugin.claim(
    "w1_error", holds=AtRate(0.5, along="samples"), source="contraction, and the mean of a maximum of sub-Gaussian variables",
    provenance="derived", within=up_to_width, assumes=["rewards_by_state", "uncertain"],
)  # fmt: skip
def error_rate(discount: Any, width: Any, samples: Any, states: Any) -> Any:
    """E max W1 <= gamma width / (1 - gamma) (1/2 + sqrt(ln(S) / 2)) / sqrt(N)."""
    from sympy import Rational, log, sqrt

    return discount * width / (1 - discount) * (Rational(1, 2) + sqrt(log(states) / 2)) / sqrt(samples)
