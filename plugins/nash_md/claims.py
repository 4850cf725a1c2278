"""What the theorems say. A bound is a formula over instance fields, parameters and measures, or a function of the game.

Slacks are rounding errors of the float measures, in nats: a log-probability of size L carries an error of a few u L, and so
does a sum of such terms; the equilibrium carries u / tau more, the residual that Newton's method leaves. 64 u = 2^-47 covers the
constants (at most a quarter of it is seen on 3,000 random games); every entry beyond it is decided by exact replay.
"""

from __future__ import annotations

from typing import Any

from theorylab.claim import Always, Equals
from theorylab.problems.preference_game import PreferenceGame

from . import plugin

U64 = 2.0**-47


def nats(log_range: Any, tau: Any) -> Any:
    """Rounding error of a divergence along a trajectory."""
    return U64 * (1 + log_range + 1 / tau)


def wide_nats(solution_range: Any, tau: Any) -> Any:
    """Rounding error of a divergence from the equilibrium to something of its own size."""
    return U64 * (1 + solution_range + 1 / tau)


def fixed_nats(fixed_point_range: Any, tau: Any) -> Any:
    """Rounding error of a fixed point: the equilibrium's own error, divided by tau once more."""
    return U64 * (1 + fixed_point_range + 1 / tau**2)


def divergence_range(tau: Any) -> Any:
    """The divergence from the equilibrium of any policy whose log-ratio to the reference is a mean of win rates over tau.

    Both log-ratios have span at most 1 / tau, so the policies are tilts of one another with span at most 2 / tau: the
    divergence is at most the span, and at most span^2 / 8. True for any opponent and any rates with eta tau <= 1, eta_0 tau = 1.
    """
    from sympy import Min

    return 0, Min(2 / tau, 1 / (2 * tau**2))


def radius_range(reference_range: Any) -> Any:
    """No policy is farther from the reference than the reference's rarest action is from certainty."""
    return 0, reference_range


# -- one step: identities and inequalities ------------------------------------------------------------------------


@plugin.claim(
    "kl_after",
    holds=Equals(nats),
    source="one-step balance, proved in this plugin's README",
    provenance="derived",
)
def nash_md_step_exact(step_balance: Any) -> Any:
    """K[t+1] = (1 - eta tau) K[t] - eta (P_tau(pi* > m) - 1/2) - (1 - eta tau) KL(m, pi_t) + log E_m exp(eta (P(. > m) - 1/2))."""
    return step_balance


@plugin.claim("kl_after", holds=Always(nats), source="Theorem 1, one step", within=divergence_range, along="t")
def nash_md_step(tau: Any, eta: Any, kl_before: Any) -> Any:
    """K[t+1] <= (1 - eta tau) K[t] + 2 eta^2, K[t] = KL(pi*, pi_t)."""
    return (1 - eta * tau) * kl_before + 2 * eta**2


@plugin.claim(
    "kl_after",
    holds=Always(nats),
    source="Theorem 1 with Hoeffding's constant",
    provenance="derived",
    within=divergence_range,
    along="t",
)
def nash_md_step_sharp(tau: Any, eta: Any, kl_before: Any) -> Any:
    """K[t+1] <= (1 - eta tau) K[t] + eta^2 / 8."""
    return (1 - eta * tau) * kl_before + eta**2 / 8


@plugin.claim(
    "kl_after",
    holds=Always(nats),
    source="Theorem 1 with Hoeffding's lemma",
    provenance="derived",
    within=divergence_range,
    along="t",
)
def nash_md_step_span(tau: Any, eta: Any, kl_before: Any, span_squared: Any) -> Any:
    """K[t+1] <= (1 - eta tau) K[t] + eta^2 span(P(. > m))^2 / 8."""
    return (1 - eta * tau) * kl_before + eta**2 * span_squared / 8


# -- the last iterate -----------------------------------------------------------------------------------------------


@plugin.claim("kl_after", holds=Always(nats), source="Theorem 1", within=divergence_range, along="t")
def nash_md_last_iterate(tau: Any, t: Any) -> Any:
    """KL(pi*, pi_T) <= 8 / (tau^2 (T + 1)) for every T >= 1 and every pi_0."""
    return 8 / (tau**2 * (t + 1))


@plugin.claim(
    "kl_after", holds=Always(nats), source="Theorem 1 with Hoeffding's constant", provenance="derived",
    within=divergence_range, along="t",
)  # fmt: skip
def nash_md_last_iterate_sharp(tau: Any, t: Any) -> Any:
    """KL(pi*, pi_T) <= 1 / (2 tau^2 (T + 1))."""
    return 1 / (2 * tau**2 * (t + 1))


@plugin.claim(
    "kl_worst_prompt", holds=Always(nats), source="Theorem 1, prompt by prompt", provenance="derived",
    within=divergence_range, along="t",
)  # fmt: skip
def contextual_last_iterate(tau: Any, t: Any) -> Any:
    """KL(pi*(.|x), pi_T(.|x)) <= 1 / (2 tau^2 (T + 1)) at every prompt x, not only on average."""
    return 1 / (2 * tau**2 * (t + 1))


@plugin.claim(
    "late_kl", holds=Always(U64 * 1e3), source="Theorem 1 as it is often restated, with t from 1", expected="refuted",
    provenance="derived", only=("late-start",), along="late_t",
)  # fmt: skip
def late_start_last_iterate(tau: Any, late_t: Any) -> Any:
    """KL(pi*, pi_T) <= 8 / (tau^2 (T + 1)) also when the schedule starts at t = 1, from any pi_1. False."""
    return 8 / (tau**2 * (late_t + 1))


# -- constant steps -------------------------------------------------------------------------------------------------


def constant_nats(fixed_point_range: Any, constant_eta: Any, tau: Any) -> Any:
    """As nats, for the run with constant steps from the reference."""
    return U64 * (1 + fixed_point_range + constant_eta + 1 / tau)


@plugin.claim(
    "constant_kl",
    holds=Always(constant_nats),
    source="Theorem 1, one step, unrolled",
    provenance="derived",
    within=divergence_range,
    along="t",
)
def nash_md_constant_step(tau: Any, constant_eta: Any, constant_kl_start: Any, t: Any) -> Any:
    """KL(pi*, pi_T) <= (1 - eta tau)^T K_0 + (2 eta / tau) (1 - (1 - eta tau)^T) from pi_0 = mu."""
    kept = (1 - constant_eta * tau) ** t
    return kept * constant_kl_start + 2 * constant_eta / tau * (1 - kept)


@plugin.claim(
    "constant_kl",
    holds=Always(constant_nats),
    source="the same with Hoeffding's constant",
    provenance="derived",
    within=divergence_range,
    along="t",
)
def nash_md_constant_step_sharp(tau: Any, constant_eta: Any, constant_kl_start: Any, t: Any) -> Any:
    """KL(pi*, pi_T) <= (1 - eta tau)^T K_0 + (eta / (8 tau)) (1 - (1 - eta tau)^T) from pi_0 = mu."""
    kept = (1 - constant_eta * tau) ** t
    return kept * constant_kl_start + constant_eta / (8 * tau) * (1 - kept)


@plugin.claim(
    "constant_displacement",
    holds=Equals(fixed_nats),
    source="fixed points of constant steps",
    provenance="derived",
)
def constant_step_fixed_point() -> Any:
    """With constant eta, a = eta tau, the policy mu exp(P pi*_{tau/(1-a)} / tau) / Z is left in place."""
    return 0


def settled_nats(fixed_point_range: Any, tau: Any) -> Any:
    """A run that moves by 1e-13 per step and contracts by tau^2 / (tau^2 + 1/4) or more is this close to its limit."""
    return fixed_nats(fixed_point_range, tau) + 1e-12 * (1 + 1 / tau**2)


@plugin.claim(
    "constant_limit_error",
    holds=Equals(settled_nats),
    source="limits of constant steps",
    provenance="derived",
)
def constant_step_limit() -> Any:
    """A run with constant steps that settles does so at that fixed point (largest log-probability error)."""
    return 0


@plugin.claim(
    "constant_limit_kl", holds=Equals(fixed_nats), source="a common reading of Nash-MD", provenance="derived",
    expected="refuted", only=("rock-paper-scissors",),
)  # fmt: skip
def constant_step_finds_equilibrium() -> Any:
    """Nash-MD with constant steps converges to pi*_tau: KL(pi*, limit) = 0. False: it finds a more regularised game."""
    return 0


# -- the regularised game ---------------------------------------------------------------------------------------------


@plugin.claim(
    "values_added", holds=Equals(lambda values_scale: U64 * values_scale), source="section 4", provenance="derived",
)  # fmt: skip
def regularised_preference_is_antisymmetric() -> Any:
    """P_tau(p > q) + P_tau(q > p) = 1."""
    return 1


@plugin.claim("fixed_point_error", holds=Equals(wide_nats), source="Proposition 1")
def equilibrium_is_fixed_point() -> Any:
    """P(y > pi*) - 1/2 = tau (log(pi*(y) / mu(y)) - KL(pi*, mu)) for every y (largest error)."""
    return 0


@plugin.claim(
    "radius", holds=Always(wide_nats), within=radius_range,
    along="tau", source="Shani et al., arXiv 2405.14655, Lemma B.5", provenance="stated",
)  # fmt: skip
def equilibrium_radius(tau: Any) -> Any:
    """KL(pi*, mu) <= 1 / (2 tau)."""
    return 1 / (2 * tau)


@plugin.claim(
    "radius", holds=Always(wide_nats), within=radius_range, along="tau", source="tilts of bounded span", provenance="derived"
)
def equilibrium_radius_sharp(tau: Any) -> Any:
    """KL(pi*, mu) <= 1 / (8 tau^2)."""
    return 1 / (8 * tau**2)


@plugin.claim(
    "exploitability",
    holds=Equals(wide_nats),
    source="the fixed-point equation at its maximum",
    provenance="derived",
)
def equilibrium_exploitability(exploitability_formula: Any) -> Any:
    """max_y P(y > pi*) - 1/2 = tau (max_y log(pi*(y) / mu(y)) - KL(pi*, mu))."""
    return exploitability_formula


@plugin.claim(
    "exploitability", holds=Always(wide_nats), within=lambda: (0, 0.5), source="the same, with pi* <= 1", provenance="derived"
)
def equilibrium_exploitability_bound(tau: Any, reference_range: Any, radius: Any) -> Any:
    """max_y P(y > pi*) - 1/2 <= tau (max_y log(1 / mu(y)) - KL(pi*, mu)); tau log n for uniform mu."""
    return tau * (reference_range - radius)


@plugin.assumption
def uniform_reference(game: PreferenceGame) -> bool:
    """The reference policy is uniform at every prompt."""
    assert game.log_reference is not None
    return bool((abs(game.log_reference - game.log_reference[0, 0]) < 1e-12).all())


@plugin.claim(
    "exploitability", holds=Always(wide_nats), source="the same for a uniform reference", provenance="derived",
    assumes=("uniform_reference",), within=lambda: (0, 0.5),
)  # fmt: skip
def uniform_exploitability(tau: Any, action_count: Any) -> Any:
    """max_y P(y > pi*) - 1/2 <= tau log n where the reference policy is uniform."""
    from sympy import log

    return tau * log(action_count)


@plugin.claim(
    "exploitability_after", holds=Always(wide_nats), source="the sharp last-iterate bound with Pinsker's inequality",
    provenance="derived", within=lambda: (0, 0.5), along="t",
)  # fmt: skip
def last_iterate_exploitability(exploitability: Any, tau: Any, t: Any) -> Any:
    """max_y P(y > pi_T) - 1/2 <= max_y P(y > pi*) - 1/2 + sqrt(K / 2), K = 1 / (2 tau^2 (T + 1))."""
    from sympy import sqrt

    return exploitability + 1 / (2 * tau * sqrt(t + 1))


# -- the lemmas --------------------------------------------------------------------------------------------------------


@plugin.claim("mixture_kl", holds=Equals(nats), source="Lemma 1, before a term is dropped", provenance="derived")
def geometric_mixture_identity(mixture_chord: Any, mixture_anchor_kl: Any, mixture_policy_kl: Any) -> Any:
    """KL(p, m) = a KL(p, mu) + (1 - a) KL(p, pi) - a KL(m, mu) - (1 - a) KL(m, pi) for every p, m = pi^(1-a) mu^a / Z."""
    return mixture_chord - mixture_anchor_kl - mixture_policy_kl


@plugin.claim("mixture_kl", holds=Always(nats), source="Lemma 1")
def geometric_mixture(mixture_chord: Any, mixture_anchor_kl: Any) -> Any:
    """KL(p, m) <= a KL(p, mu) + (1 - a) KL(p, pi) - a KL(m, mu) for every p."""
    return mixture_chord - mixture_anchor_kl


@plugin.claim("three_point_excess", holds=Equals(nats), source="Lemma 2 with its exact remainder", provenance="derived")
def three_point_identity(three_point_exact: Any) -> Any:
    """KL(p, pi+) - KL(p, pi-) - <pi- - p, delta> = log E_{pi-} exp(delta - E delta), pi+ = pi- exp(delta) / Z."""
    return three_point_exact


@plugin.claim("three_point_excess", holds=Always(nats), source="Lemma 2")
def three_point(delta_max_squared: Any) -> Any:
    """KL(p, pi+) <= KL(p, pi-) + <pi- - p, delta> + 2 max|delta|^2."""
    return 2 * delta_max_squared


@plugin.claim("three_point_excess", holds=Always(nats), source="Lemma 2 with Hoeffding's lemma", provenance="derived")
def three_point_sharp(delta_span_squared: Any) -> Any:
    """KL(p, pi+) <= KL(p, pi-) + <pi- - p, delta> + span(delta)^2 / 8."""
    return delta_span_squared / 8


# -- self-play, the baseline ---------------------------------------------------------------------------------------------


@plugin.claim(
    "self_play_kl_after",
    holds=Equals(wide_nats),
    source="one-step balance of self-play",
    provenance="derived",
)
def self_play_step_exact(self_play_balance: Any) -> Any:
    """K[t+1] = (1 - eta tau) K[t] - eta (P_tau(pi* > pi_t) - 1/2) + log E_{pi_t} exp(eta (d - E d)), d = P pi_t - tau log(pi_t / mu)."""
    return self_play_balance


@plugin.claim(
    "self_play_log_ratio", holds=Always(lambda solution_range, tau: tau * wide_nats(solution_range, tau)),
    source="assumed by Zhang et al., arXiv 2407.00617; it always holds", provenance="derived",
)  # fmt: skip
def self_play_bounded_ratio() -> Any:
    """tau |log(pi_t / mu)| <= 1 at every step of self-play."""
    return 1


@plugin.claim(
    "self_play_displacement",
    holds=Equals(fixed_nats),
    source="fixed points of self-play",
    provenance="derived",
)
def self_play_fixed_point() -> Any:
    """Self-play with constant steps leaves pi*_tau in place."""
    return 0


@plugin.claim("self_play_limit_error", holds=Equals(settled_nats), source="limits of self-play", provenance="derived")
def self_play_limit() -> Any:
    """Self-play with constant steps that settles does so at pi*_tau (largest log-probability error)."""
    return 0


# -- the policy-gradient form ---------------------------------------------------------------------------------------------


def gradient_error(policy_log_ratio: Any, tau: Any) -> Any:
    """Rounding of sums of terms up to 1 + tau |log ratio|."""
    return U64 * (1 + tau) * (1 + policy_log_ratio)


@plugin.claim("gradient_bias", holds=Equals(gradient_error), source="section 7", provenance="derived")
def gradient_is_unbiased() -> Any:
    """The expected estimate equals grad P_tau(pi > opponent), the opponent held still (largest error, every pair enumerated)."""
    return 0


@plugin.claim("kl_gradient_error", holds=Equals(gradient_error), source="Appendix F.3")
def kl_gradient_is_scaled() -> Any:
    """grad KL(pi, pi^beta held still) = beta grad KL(pi, mu) (largest error)."""
    return 0


@plugin.claim("estimate_reach", holds=Always(gradient_error), source="range of the estimator", provenance="derived")
def estimate_range(tau: Any, policy_log_ratio: Any) -> Any:
    """Every coordinate of a sampled estimate lies within 1/2 + tau max|log(pi / mu)|."""
    return 0.5 + tau * policy_log_ratio


@plugin.claim(
    "gradient_at_fixed_point",
    holds=Equals(fixed_nats),
    source="stationary points of Nash-MD-PG",
    provenance="derived",
)
def gradient_fixed_point() -> Any:
    """The expected estimate vanishes at mu exp(P pi*_{tau/(1-beta)} / tau) / Z (largest coordinate)."""
    return 0


@plugin.claim(
    "gradient_fixed_point_kl", holds=Equals(fixed_nats), source="a common reading of Nash-MD-PG", provenance="derived",
    expected="refuted", only=("rock-paper-scissors",),
)  # fmt: skip
def gradient_finds_equilibrium() -> Any:
    """The stationary point of Nash-MD-PG is pi*_tau: KL(pi*, point) = 0. False for every mixing beta > 0."""
    return 0


# -- negative results ---------------------------------------------------------------------------------------------------------


@plugin.claim(
    "token_first", holds=Equals(U64), source="per-token mixing read as the mixture of section 7", provenance="derived",
    expected="refuted", only=("rock-paper-scissors",),
)  # fmt: skip
def token_mixture_is_sequence_mixture(sequence_first: Any) -> Any:
    """Mixing token by token gives the geometric mixture of the sequence laws (probability of the first token). False."""
    return sequence_first


@plugin.claim(
    "reward_shift", holds=Equals(1e-9), source="Proposition 2 and Theorem 2, negated", provenance="stated", expected="refuted",
    assumes=("is_interior",), only=("noisy", "dice"),
)  # fmt: skip
def reward_ignores_sampling(game: PreferenceGame) -> Any:
    """The Bradley-Terry rewards of a table do not depend on the policy that draws the pairs. False unless the table is one."""
    return 0.0
