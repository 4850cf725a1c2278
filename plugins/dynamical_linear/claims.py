"""What is claimed of dynamical linear bandits. Constants are those of the released code and of a public restatement, checked by new derivations."""

from __future__ import annotations

from typing import Any

from theorylab.claim import Always, Equals, OnAverage, WithProbability

from . import plugin

U64 = 2.0**-47

PAPER = "arXiv 2211.08997"


def summed(size: Any) -> Any:
    """Sums of rewards of a string."""
    return 2**4 * U64 * size


def any_regret(rounds: Any, largest_loss: Any) -> Any:
    """Rewards are bounded: noise is, and the state forgets."""
    return -2 * rounds * largest_loss, 2 * rounds * largest_loss


@plugin.claim("earned", holds=Equals(summed), source="unrolling the system", provenance="derived")
def rewards_add_up_by_action(earned_by_effects: Any) -> Any:
    """From x = 0 without noise, sum_t y_t = sum_t <h_[T-t], u_t>, h_[k] what an action earns in its round and the k after it."""
    return earned_by_effects


@plugin.claim(
    "transient", holds=Always(summed), source=f"{PAPER}, the best action is constant up to a constant", provenance="derived"
)
def transients_are_bounded(transient_limit: Any) -> Any:
    """|sum_t E y_t - sum_t <h, u_t>| <= U Omega ||B|| Phi / (1 - rho)^2 for every string of actions."""
    return transient_limit


@plugin.claim(
    "best_transient", holds=Always(summed), source=f"{PAPER}, the best action is constant up to a constant", provenance="derived"
)
def constant_actions_are_nearly_optimal(transient_limit: Any) -> Any:
    """The best string earns T J* up to the same constant."""
    return transient_limit


@plugin.claim("left_over", holds=Always(1e-9), source=f"{PAPER}, what the analysis needs of epochs", provenance="derived")
def epochs_are_long_enough() -> Any:
    """rho^H_m <= 1 / m in every epoch (rounding: the guard of 1e-12 on H, times ln(1 / rho) and m of some thousand)."""
    return 1


@plugin.claim(
    "own_error",
    holds=WithProbability(0.9, slack=1e-9),
    source=f"{PAPER}, confidence set, epochs rounded up",
    provenance="derived",
)
def confidence_with_epochs_rounded_up() -> Any:
    """With probability 0.9 (1 - 1/T is proved), ||h_hat - h||_V <= beta_t at all times under the algorithm's own actions: the quotient is at most 1."""
    return 1


@plugin.claim(
    "turns_error",
    holds=WithProbability(0.9, slack=1e-9),
    source=f"{PAPER}, confidence set, epochs rounded up",
    provenance="derived",
)
def confidence_for_actions_in_turn() -> Any:
    """So it is where two actions are played in turn, epoch by epoch."""
    return 1


@plugin.claim(
    "printed_error", holds=WithProbability(0.9, slack=1e-9), source=f"{PAPER}, epochs rounded down as in the released code", provenance="unconfirmed",
    expected="refuted", only=["lingering", "lingering-less"], toothless="it is false of the right algorithm",
)  # fmt: skip
def confidence_with_epochs_rounded_down() -> Any:
    """With H_m = floor(ln m / ln(1 / rho)) the confidence set holds for any predictable actions. False: rho^H_m is then only below 1 / (rho m)."""
    return 1


@plugin.claim("dynamical_regret", holds=OnAverage(), source=f"{PAPER}, regret bound with derived constants", provenance="derived", within=any_regret, assumes=["at_rest"],
              along="rounds", toothless="the bound is far above what even broken learners lose at this scale")  # fmt: skip
def regret_is_bounded(transient_limit: Any, learning_bound: Any) -> Any:
    """E R_T <= U Omega ||B|| Phi / (1 - rho)^2 + (J* - J_min) + 2 beta_T sqrt(sum (1 + H_m)^2) sqrt(2 d ln(1 + M U^2 / (d ridge)))."""
    return transient_limit + learning_bound
