"""What is claimed of prover advantages. Slack: sums over at most some hundred nodes of products of numbers up to 1."""

from __future__ import annotations

from typing import Any

from theorylab.claim import Always, Equals

from . import plugin

PAPER = "arXiv 2410.08146"

#: Some hundred additions of numbers of this size: 2^-52 each.
ROUNDING = 1e-12


@plugin.claim("improvement", holds=Equals(ROUNDING), source="performance difference lemma")
def improvement_is_by_advantages(by_advantages: Any) -> Any:
    """E_rho[V+ - V] = sum_s d+_rho(s) <pi+, A^pi>, d+ the visits of the new policy."""
    return by_advantages


@plugin.claim("first_order_gap", holds=Always(ROUNDING), source=f"{PAPER}, Theorem 3.1 corrected", provenance="derived")
def improvement_is_variance_and_alignment(depth: Any, gain: Any) -> Any:
    """From the root, |E[V+ - V] - g sum d+ (Var_pi A^pi + Cov_pi(A^pi, A^mu))| <= H g^2 / 2: what counts is the base policy's own variance."""
    return depth * gain**2 / 2


@plugin.claim(
    "improvement",
    holds=Always(ROUNDING),
    relation=">=",
    source=f"{PAPER}, proof of Theorem 3.1 with its sign corrected",
    provenance="derived",
)
def improvement_by_the_prover(by_prover: Any) -> Any:
    """E_rho[V+ - V] >= -sum_s d+_rho(s) <pi+ - pi, A^mu>."""
    return by_prover


@plugin.claim(
    "improvement", holds=Always(ROUNDING), relation=">=", source=f"{PAPER}, Theorem 3.1 as printed", expected="refuted",
    only=["torn", "torn-more", "torn-most"], toothless="it is false of the right step",
)  # fmt: skip
def printed_improvement(printed: Any) -> Any:
    """E_rho[V+ - V] >= g E_rho Var_pi[A^mu] + g E_rho E_pi[A^mu A^pi]. False: a prover may know much that does not help the base policy."""
    return printed


@plugin.claim(
    "improvement", holds=Always(ROUNDING), relation=">=", source=f"{PAPER}, Theorem 3.1 up to a constant", expected="refuted", only=["torn-most"],
    toothless="it is false of the right step",
)  # fmt: skip
def printed_improvement_up_to_a_hundred(printed: Any) -> Any:
    """The same up to a factor of 100. False as well: the ratio of both sides goes to 0 with the base policy's chance of success."""
    return printed / 100


@plugin.claim(
    "tries_variance", holds=Always(ROUNDING), relation=">=", source=f"{PAPER}, Remark 3.1 made exact", provenance="derived"
)
def best_of_k_spreads(least_tries_variance: Any) -> Any:
    """Var_pi Q^BoK >= (K (1 - max Q)^(K-1))^2 Var_pi Q."""
    return least_tries_variance


@plugin.claim("tries_variance", holds=Always(ROUNDING), source=f"{PAPER}, Remark 3.1 made exact", provenance="derived")
def best_of_k_spreads_at_most(most_tries_variance: Any) -> Any:
    """Var_pi Q^BoK <= K^2 Var_pi Q."""
    return most_tries_variance


@plugin.claim(
    "tries_alignment", holds=Always(ROUNDING), relation=">=", source=f"{PAPER}, Remark 3.1 made exact", provenance="derived"
)
def best_of_k_is_aligned(least_tries_alignment: Any) -> Any:
    """Cov_pi(Q, Q^BoK) >= K (1 - max Q)^(K-1) Var_pi Q >= 0: Best-of-K never points the wrong way."""
    return least_tries_alignment
