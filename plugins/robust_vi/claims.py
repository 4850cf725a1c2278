"""What the theorems say of worst expectations and of robust sweeps.

Slacks: worst expectations are sums of products of weights and values of this size (64 u = 2^-47 covers the constants); divisions by weights near
0 and the bisection for the KL ball cost some more. Convex programs are solved to about 1e-8 of the range by their solvers.
Robust values are iterated to ACCURACY.
"""

from __future__ import annotations

from typing import Any

from theorylab.claim import Always, Equals

from . import plugin
from .algorithm import ACCURACY

U64 = 2.0**-47

#: Divergences of weights found by bisection, and their sums: 20,000 drawn problems leave at most 3 u64.
FEASIBLE = 2**7 * U64

DUAL = "duality of the inner problem"


def inner_error(size: Any) -> Any:
    """A worst expectation."""
    return 2**10 * U64 * size


def program_error(size: Any, spread: Any) -> Any:
    """What a convex solver leaves."""
    return 1e-7 * spread + U64 * size


def search_error(size: Any, spread: Any) -> Any:
    """What a search over the strength leaves: strengths below a millionth of the range are not tried, which costs at most that times the radius."""
    return 1e-4 * spread + U64 * size


def value_error(value_size: Any, discount: Any) -> Any:
    """A robust value."""
    return (4 * ACCURACY + 2**10 * U64) * value_size / (1 - discount)


# -- worst expectations -----------------------------------------------------------------------------------------------------------------


@plugin.claim("solved", holds=Equals(program_error), source=f"{DUAL}; primal by a convex program", provenance="derived")
def closed_forms_are_exact(program: Any) -> Any:
    """All eight closed forms and one-dimensional duals give the infimum of the problem as it is stated."""
    return program


@plugin.claim("attained_gap", holds=Equals(inner_error), source=DUAL, provenance="derived")
def worst_distribution_attains() -> Any:
    """The distribution that is returned has the value that is returned, penalty included: the gap is 0."""
    return 0


@plugin.claim("infeasible", holds=Always(FEASIBLE), source=DUAL, provenance="derived")
def worst_distribution_is_feasible() -> Any:
    """It is a distribution, on the support where it must be, within the radius: the largest violation is 0."""
    return 0


@plugin.claim("weak_gap", holds=Always(inner_error), relation=">=", source="weak duality", provenance="derived")
def balls_are_above_their_lagrangians() -> Any:
    """inf over the ball >= inf of the penalised problem - strength radius, for every strength."""
    return 0


@plugin.claim("ball", holds=Equals(search_error), source="strong duality", provenance="derived")
def balls_are_their_best_lagrangian(best_dual: Any) -> Any:
    """inf over the ball = max over strengths of (penalised - strength radius)."""
    return best_dual


@plugin.claim(
    "inner",
    holds=Always(inner_error),
    relation=">=",
    source="an expectation is no smaller than the smallest value",
    provenance="derived",
)
def worst_is_above_the_smallest(smallest: Any) -> Any:
    """The worst expectation is at least the smallest value."""
    return smallest


@plugin.claim("inner", holds=Always(inner_error), source="the nominal distribution is always allowed", provenance="derived")
def worst_is_below_the_mean(nominal_mean: Any) -> Any:
    """The worst expectation is at most the nominal one."""
    return nominal_mean


@plugin.claim("monotone_gain", holds=Always(inner_error), relation=">=", source="an infimum of means", provenance="derived")
def worst_is_monotone() -> Any:
    """Larger values have a larger worst expectation."""
    return 0


@plugin.claim("inner_distance", holds=Always(inner_error), source="an infimum of means", provenance="derived")
def worst_is_nonexpansive(value_distance: Any) -> Any:
    """Worst expectations differ by at most the largest difference of values."""
    return value_distance


@plugin.claim("shifted", holds=Equals(lambda size: 2**12 * U64 * size), source="an infimum of means", provenance="derived")
def worst_moves_with_shifts() -> Any:
    """Values that are all larger by 3 have a worst expectation that is larger by 3."""
    return 3


@plugin.claim("kl_penalised", holds=Always(inner_error), source="KL <= log(1 + chi2) <= chi2", provenance="derived")
def kl_is_below_chi2(chi_penalised: Any) -> Any:
    """At the same strength the KL penalty leaves at most the value of the chi-squared penalty."""
    return chi_penalised


@plugin.claim("kl_gap", holds=Always(inner_error), source="Hoeffding's lemma", provenance="derived")
def kl_gap_is_small(support_spread: Any, strength: Any) -> Any:
    """The KL penalty costs at most range^2 / (8 strength)."""
    return support_spread**2 / (8 * strength)


@plugin.claim("chi_gap", holds=Always(inner_error), source="the dual at no truncation", provenance="derived")
def chi2_gap_is_small(variance: Any, strength: Any) -> Any:
    """The chi-squared penalty costs at most the variance / (4 strength)."""
    return variance / (4 * strength)


@plugin.claim("tv_idle", holds=Equals(inner_error), source="closed form", provenance="derived")
def tv_is_idle_beyond_the_range(nominal_mean: Any) -> Any:
    """A total variation penalty stronger than the range leaves the nominal mean."""
    return nominal_mean


# -- sweeps -----------------------------------------------------------------------------------------------------------------------------


@plugin.claim("backup_distance", holds=Always(value_error), source="Iyengar 2005: the robust backup contracts")
def backup_contracts(discount: Any, start_distance: Any) -> Any:
    """sup |T V - T U| <= gamma sup |V - U|, under all eight adversaries."""
    return discount * start_distance


@plugin.claim("shift_gap", holds=Equals(value_error), source="an infimum of means", provenance="derived", assumes=["never_ends"])
def backup_moves_with_shifts() -> Any:
    """T (V + 1) = T V + gamma: the gap is 0."""
    return 0


@plugin.claim("sweep_distance", holds=Always(value_error), source="contraction from V_0 = 0", along="n")
def sweeps_converge(discount: Any, n: Any, largest_reward: Any) -> Any:
    """sup |V_n - V*| <= gamma^n sup |r| / (1 - gamma)."""
    return discount**n * largest_reward / (1 - discount)


@plugin.claim("sweep_distance", holds=Always(value_error), source="contraction, after the fact")
def last_change_bounds_the_error(posterior: Any) -> Any:
    """sup |V_n - V*| <= gamma / (1 - gamma) sup |V_n - V_(n-1)|."""
    return posterior


@plugin.claim("policy_loss", holds=Always(value_error), source="contraction")
def greedy_policy_is_good(discount: Any, greedy_distance: Any) -> Any:
    """The policy greedy for V_n loses at most 2 gamma / (1 - gamma) sup |V_n - V*| of the robust value."""
    return 2 * discount / (1 - discount) * greedy_distance


@plugin.claim(
    "value_range", holds=Always(value_error), source="the adversary can send everyone to the worst state", provenance="derived",
    assumes=["never_ends"], toothless="it is about the robust value itself",
)  # fmt: skip
def total_variation_levels_values(range_limit: Any) -> Any:
    """max V - min V <= range(r) / (1 - gamma (1 - radius)) for the total variation ball, <= range(r) + gamma strength for the penalty."""
    return range_limit


@plugin.claim("kernel_gap", holds=Equals(value_error), source="the adversary's choice is stationary", provenance="derived")
def worst_kernel_attains() -> Any:
    """Played against the kernel that the adversary is found to choose, the policy has its robust value, by a linear solve: the gap is 0."""
    return 0


@plugin.claim(
    "nominal_gain", holds=Always(value_error), relation=">=", source="the nominal model is always allowed", provenance="derived"
)
def nominal_case_is_no_worse() -> Any:
    """In the nominal model the robust policy earns at least its robust value, in every state."""
    return 0
