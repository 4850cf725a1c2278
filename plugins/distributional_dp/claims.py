"""What the theorems say of the stock method. Statements of the paper that were re-derived carry their own sketch as source, in the README.

Gaps are differences of rationals: the slack is 0. On grids values are sums of products of probabilities and values up to `return_bound`:
64 u = 2^-47 covers the constants, over at most 1 / (1 - discount) sweeps.
"""

from __future__ import annotations

from typing import Any

from theorylab.claim import Always, Equals

from . import plugin

U64 = 2.0**-47

PAPER = "arXiv 2501.13028"
TO_MEMORY = "brute force over policies that remember everything"


def grid_error(return_bound: Any, discount: Any) -> Any:
    """Rounding of values on a grid; the endless value is iterated to 1e-12 of the range."""
    return (U64 + 4e-12) * (1 + return_bound) / (1 - discount)


def tail_error(return_bound: Any, discount: Any, levels: Any) -> Any:
    """Levels of 10 % magnify it tenfold."""
    return grid_error(return_bound, discount) / levels


def both_ways(lipschitz: Any, return_bound: Any) -> Any:
    """Two laws of returns are at most 2 D apart."""
    return 0, 2 * lipschitz * return_bound


# -- the stock and the order of laws -----------------------------------------------------------------------------------------------


@plugin.claim(
    "account_gap", holds=Equals(0.0), source=f"stock augmentation, {PAPER}, section 3; by induction", provenance="derived"
)
def stock_keeps_account() -> Any:
    """c_0 plus the discounted rewards of n steps is discount^n c_n, on every path: the gap is 0."""
    return 0


@plugin.claim(
    "order_gain", holds=Always(0.0), relation=">=", source="a backup mixes, then scales", provenance="derived",
    toothless="it is about objectives and exact mixtures, not the algorithm",
)  # fmt: skip
def backup_keeps_order() -> Any:
    """If what follows every outcome is at least as good, so is the backup, for objectives indifferent to mixtures and to the discount."""
    return 0


@plugin.claim(
    "choice_gain", holds=Always(0.0), relation=">=", source="a mixture is no better than its best part", provenance="derived",
    toothless="it is about objectives and exact mixtures, not the algorithm",
)  # fmt: skip
def some_action_is_best() -> Any:
    """Some action is at least as good as any randomisation over actions."""
    return 0


@plugin.claim(
    "discounted_order", holds=Always(0.0), relation=">=", source="degree of the utility", provenance="derived",
    toothless="it is about objectives, not the algorithm",
)  # fmt: skip
def utilities_indifferent_to_discount() -> Any:
    """Utilities with f(gamma x) = a f(x) never rank two laws one way and their discounted copies the other: the product of gaps is >= 0."""
    return 0


@plugin.claim(
    "homogeneity_gap", holds=Equals(0.0), source="uniqueness of expected utilities up to affine maps", provenance="derived",
    toothless="it is about objectives, not the algorithm",
)  # fmt: skip
def indifference_has_this_form() -> Any:
    """f(gamma x) = a f(x) + (1 - a) f(0), with a = gamma^degree: the gap is 0."""
    return 0


@plugin.claim(
    "clipped_order", holds=Always(0.0), relation=">=", source="what would follow if Lipschitz were enough", provenance="derived",
    expected="refuted", only=("clipped-utility",),
)  # fmt: skip
def clipped_utility_indifferent_to_discount() -> Any:
    """E min(X, 1) ranks laws as it ranks their discounted copies. False: 1 beats a fair coin for 0 or 11/5, a quarter of it does not."""
    return 0


# -- optimality -------------------------------------------------------------------------------------------------------------------


@plugin.claim(
    "optimality_gap", holds=Equals(0.0), source=f"finite-horizon optimality; checked by {TO_MEMORY}", provenance="derived"
)
def value_iteration_is_optimal() -> Any:
    """After n sweeps from 0 the value at every (s, c) is the best of all n-step policies that remember everything: the gap is 0."""
    return 0


@plugin.claim("scalar_gap", holds=Equals(0.0), source="homogeneous utilities", provenance="derived")
def laws_agree_with_scalars() -> Any:
    """V_n(s, c) = a max sum p V_(n-1)(s', (c + r) / gamma) gives the same values without any law: the gap is 0."""
    return 0


@plugin.claim("saturation_gap", holds=Equals(0.0), source="the utility's slope on either side", provenance="derived")
def far_stocks_are_risk_neutral() -> Any:
    """Beyond minus the highest return the value is c + max E G, beyond minus the lowest it is 0, or -(c + min E G): the gap is 0."""
    return 0


@plugin.claim("improvement_gain", holds=Always(0.0), relation=">=", source="policy improvement", provenance="derived")
def policies_improve() -> Any:
    """Each policy of policy iteration is at least as good as the one before, at every stock."""
    return 0


@plugin.claim("lead_over_sweeps", holds=Always(0.0), relation=">=", source="policy improvement", provenance="derived")
def policy_iteration_leads_sweeps() -> Any:
    """After k improvements the policy is at least as good as k greedy sweeps from the first policy's laws."""
    return 0


@plugin.claim("final_gap", holds=Equals(0.0), source=f"finitely many improvements; checked by {TO_MEMORY}", provenance="derived")
def policy_iteration_ends_optimal() -> Any:
    """After as many improvements as there are steps the policy is optimal: the gap is 0."""
    return 0


@plugin.claim(
    "cvar_gap",
    holds=Equals(0.0),
    source=f"Bauerle and Ott 2011 (outer maximisation); checked by {TO_MEMORY}",
    provenance="derived",
)
def cvar_is_optimal() -> Any:
    """max over q of q + V(s, -q) / tau is the best CVaR of all policies that remember everything: the gap is 0."""
    return 0


@plugin.claim("cvar_played_gap", holds=Equals(0.0), source="the policy of the best q", provenance="derived")
def cvar_is_earned() -> Any:
    """The law of the policy started with the stock -q* has this CVaR: the gap is 0."""
    return 0


# -- endless runs -------------------------------------------------------------------------------------------------------------------


@plugin.claim(
    "vi_distance", holds=Always(grid_error), source="truncation in W1", provenance="derived", within=both_ways, along="n",
)  # fmt: skip
def value_iteration_converges(lipschitz: Any, discount: Any, n: Any, return_bound: Any) -> Any:
    """After n sweeps from 0 the value is within L gamma^n D of the best endless one; D = R / (1 - gamma) bounds every return."""
    return lipschitz * discount**n * return_bound


@plugin.claim(
    "greedy_loss", holds=Always(grid_error), source="homogeneous utilities, the usual argument", provenance="derived",
    within=lambda kinked_lipschitz, return_bound: (0, 2 * kinked_lipschitz * return_bound), along="n",
)  # fmt: skip
def greedy_policy_is_good(kinked_lipschitz: Any, discount: Any, n: Any, return_bound: Any) -> Any:
    """The stationary policy that is greedy for n sweeps loses at most 2 gamma^(n+1) L D / (1 - gamma)."""
    return 2 * discount ** (n + 1) * kinked_lipschitz * return_bound / (1 - discount)


@plugin.claim(
    "greedy_loss", holds=Always(grid_error), source="the tempting bound: one step's error, once", provenance="derived",
    expected="refuted", only=("late-regret",),
)  # fmt: skip
def greedy_policy_is_as_good_as_its_values(kinked_lipschitz: Any, discount: Any, n: Any, return_bound: Any) -> Any:
    """The stationary policy that is greedy for n sweeps loses at most gamma^(n+1) L D. False."""
    return discount ** (n + 1) * kinked_lipschitz * return_bound


@plugin.claim(
    "improved_loss", holds=Always(grid_error), source="policy iteration leads value iteration; contraction in W1", provenance="derived",
    within=lambda lipschitz, width: (0, lipschitz * width), along="improvements",
)  # fmt: skip
def policy_iteration_converges(lipschitz: Any, discount: Any, improvements: Any, width: Any) -> Any:
    """After k improvements the stationary policy loses at most L gamma^k times the width of the range of all returns."""
    return lipschitz * discount**improvements * width


@plugin.claim(
    "cvar_distance", holds=Always(tail_error), source="truncation, and the outer maximisation", provenance="derived",
    within=lambda return_bound: (0, 2 * return_bound), along="n",
)  # fmt: skip
def cvar_converges(discount: Any, n: Any, return_bound: Any, levels: Any) -> Any:
    """CVaR from n sweeps is within gamma^n D / tau of the best endless one."""
    return discount**n * return_bound / levels


@plugin.claim("kernel_gap", holds=Always(grid_error), source="two implementations of the rounded recursion", provenance="derived")
def kernel_agrees() -> Any:
    """The compiled recursion and tables in NumPy give the same values: the largest difference is 0."""
    return 0


@plugin.claim(
    "rounding_error",
    holds=Always(grid_error),
    source="values are L-Lipschitz in the stock",
    provenance="derived",
    within=both_ways,
)
def stock_rounding(lipschitz: Any, step: Any, discount: Any) -> Any:
    """Rounding every new stock to a grid of spacing h moves values by at most L h gamma / (2 (1 - gamma))."""
    return lipschitz * step * discount / (2 * (1 - discount))


@plugin.claim(
    "splitting_error", holds=Always(grid_error), source="two neighbours at a mean distance of at most h / 2", provenance="derived",
    within=both_ways,
)  # fmt: skip
def stock_splitting(lipschitz: Any, step: Any, discount: Any) -> Any:
    """So does splitting it between both neighbours so that its mean is kept."""
    return lipschitz * step * discount / (2 * (1 - discount))


@plugin.claim(
    "categorical_error", holds=Always(grid_error), source="projection after each sweep, and rounding of stocks", provenance="derived",
    within=both_ways, along="n",
)  # fmt: skip
def categorical_agent(lipschitz: Any, width: Any, atoms: Any, discount: Any, n: Any, step: Any, rounds: Any) -> Any:
    """With laws projected on m atoms over an interval of length R, n sweeps are off by at most
    L (d (1 - gamma^n) + rounds h gamma / 2) / (1 - gamma), d = R / (2 (m - 1)); rounds = 0 where no stock is rounded."""
    return lipschitz * (width / (2 * (atoms - 1)) * (1 - discount**n) + rounds * step * discount / 2) / (1 - discount)


@plugin.claim(
    "quantile_error", holds=Always(grid_error), source="projection after each sweep, and rounding of stocks", provenance="derived",
    within=both_ways, along="n",
)  # fmt: skip
def quantile_agent(lipschitz: Any, width: Any, atoms: Any, discount: Any, n: Any, step: Any, rounds: Any) -> Any:
    """The same with m quantiles and d = R / (2 m)."""
    return lipschitz * (width / (2 * atoms) * (1 - discount**n) + rounds * step * discount / 2) / (1 - discount)


@plugin.claim(
    "whole_value", holds=Always(grid_error), source="the projection keeps shortfalls at grid points", provenance="derived"
)
def categorical_agent_is_exact() -> Any:
    """With atoms at minus every stock the projection never sees a kink, and values are those of the exact recursion: the largest error is 0."""
    return 0


def stopped_early(return_bound: Any, discount: Any) -> Any:
    """What 50 sweeps leave at discount 1/2, and the gain below which policy iteration stops, 1e-9, piled up."""
    return grid_error(return_bound, discount) + 1e-8 * (1 + return_bound)


@plugin.claim(
    "iterated_value", holds=Equals(stopped_early), source="policy iteration where values are exact", provenance="derived"
)
def grid_policy_iteration(endless_value: Any) -> Any:
    """With these atoms policy iteration on categorical laws ends at the best endless value."""
    return endless_value


# -- without the conditions -----------------------------------------------------------------------------------------------------------


@plugin.claim(
    "tail_greedy", holds=Equals(0.0), source="what indifference to mixtures rules out", provenance="derived", expected="refuted",
    only=("luck-then-gamble",),
)  # fmt: skip
def greedy_cvar_is_optimal(tail_best: Any) -> Any:
    """Being greedy in CVaR_1/2 itself is optimal for it. False: 0 instead of 1."""
    return tail_best


@plugin.claim(
    "variance_greedy", holds=Equals(0.0), source="what indifference to mixtures rules out", provenance="derived", expected="refuted",
    only=("coin-then-choice",),
)  # fmt: skip
def greedy_mean_variance_is_optimal(variance_best: Any) -> Any:
    """Being greedy in mean - 3 variance is optimal for it. False: -1/4 instead of 0."""
    return variance_best


@plugin.claim(
    "clipped_greedy", holds=Equals(0.0), source="what indifference to the discount rules out", provenance="derived", expected="refuted",
    only=("clipped-utility",),
)  # fmt: skip
def clipped_utility_is_solved(clipped_best: Any) -> Any:
    """The method is optimal for E min(X, 1) with discount 1/4. False: 1/4 instead of 11/40."""
    return clipped_best


@plugin.claim(
    "hopeful_greedy", holds=Equals(0.0), source="what continuity rules out", provenance="derived", expected="refuted",
    only=("stay-or-gamble",),
)  # fmt: skip
def any_start_will_do(hopeful_best: Any) -> Any:
    """Sweeps from any law find the best P(X > 0). False: from the law that is 1 they promise 1 for ever, and stay; 1/2 is possible."""
    return hopeful_best


@plugin.claim(
    "blind_best",
    holds=Equals(0.0),
    source="what augmentation is for",
    provenance="derived",
    expected="refuted",
    only=("remember",),
)
def stock_is_not_needed(stock_best: Any) -> Any:
    """Policies that see the state and the time are enough for E -|X|. False: -1 instead of 0."""
    return stock_best
