"""What is claimed of exploration without rewards.

Slacks: values lie in [0, 1] and are sums over the horizon of products with inverses that are known to 1e-9 (relative to the identity they should
give); H of those are 1e-9 H, of which 1e-10 (1 + H) is far above what was ever seen. 64 u = 2^-47 covers the rounding of a formula.
"""

from __future__ import annotations

from typing import Any

from theorylab.claim import Always, AtRate, Equals, OnAverage, WithProbability

from . import plugin
from .formulas import DELTA, PRINTED_SUM_CONSTANT, SUM_CONSTANT

PAPER, BASELINE = "arXiv 2303.10165", "arXiv 2110.06394"

U64 = 2.0**-47


def _radius(episodes: Any, moments: Any, horizon: Any, features: Any, bound: Any) -> Any:
    """beta of an episode, in symbols; a logarithm that would be negative is cut at 0."""
    from sympy import Max, log, sqrt

    alpha_square, gamma_square, ridge = 1 / horizon, 1 / sqrt(features), features / bound**2
    eta = log(1 + episodes * horizon / (alpha_square * features * ridge))
    tau = log(32 * (log(Max(gamma_square / sqrt(alpha_square), 1)) + 1) * episodes**2 * horizon**2 / (DELTA / (4 * moments)))
    return 12 * sqrt(features * eta * tau) + 30 * tau / gamma_square + sqrt(ridge) * bound


def planned(horizon: Any) -> Any:
    """Values of plans."""
    return 1e-10 * (1 + horizon)


# -- confidence ---------------------------------------------------------------------------------------------------------------------------------


@plugin.claim(
    "theorem_distance", holds=WithProbability(1 - DELTA, slack=1e-9), source=f"{PAPER}, Lemma 2.8.6 of the thesis version"
)
def confidence_sets_hold() -> Any:
    """With probability 0.9, ||theta_(k,m) - theta*|| in the norm of Sigma_(k,m) is at most beta_k for all episodes, moments and both series: the largest
    quotient is at most 1."""
    return 1


@plugin.claim(
    "practical_distance", holds=WithProbability(1 - DELTA, slack=1e-9), source="a smaller radius, ours: no theorem", provenance="unconfirmed"
)  # fmt: skip
def practical_sets_hold() -> Any:
    """With sqrt(lambda) B + 0.001 (beta_k - sqrt(lambda) B) for beta_k so it is, too, in 9 of 10 runs. Measured, not proved."""
    return 1


@plugin.claim(
    "theorem_beta", holds=Equals(lambda theorem_beta: U64 * 16 * theorem_beta), source=f"{PAPER}, parameters of the algorithm"
)
def radius_is_as_stated(theorem_episodes: Any, theorem_moments: Any, horizon: Any, features: Any, bound: Any) -> Any:
    """beta_k = 12 sqrt(d eta tau) + 30 tau / gamma^2 + sqrt(lambda) B after k episodes, delta = 0.1 shared out among four events of each moment. Confidence sets would
    hold with far less, so that nothing else here would see a smaller one."""
    return _radius(theorem_episodes, theorem_moments, horizon, features, bound)


@plugin.claim("theorem_moments", holds=Always(), relation=">=", source=f"{PAPER}, parameters of the algorithm")
def moments_are_enough(theorem_episodes: Any, horizon: Any) -> Any:
    """There are at least log2(7 K H) moments."""
    from sympy import log

    return log(7 * theorem_episodes * horizon) / log(2)


# -- plans, wherever the confidence sets hold -------------------------------------------------------------------------------------------------


@plugin.claim("optimism", holds=Always(planned), relation=">=", source="optimism over an ellipsoid", provenance="derived")
def values_are_optimistic() -> Any:
    """V_h(s) >= V*_h(s) for every reward, step and state, whenever the truth is in the first sets of both series."""
    return 0


@plugin.claim("loss", holds=Always(planned), source="min(1, 2x) <= 2 min(1, x), step by step", provenance="derived")
def certificates_hold(promised: Any) -> Any:
    """V*(s1) - V^pi(s1) <= 2 W(s1) for every reward and every plan."""
    return promised


@plugin.claim("dominance", holds=Always(planned), relation=">=", source="centre plus radius, step by step", provenance="derived")
def doubt_covers_uncertainty() -> Any:
    """W_h(s) is at least what the uncertainties u sum to along the policy, cut at 1 at every step, under the true kernel."""
    return 0


@plugin.claim(
    "hat_error",
    holds=Always(planned),
    source=f"{PAPER}, Lemma 2.8.24, with the constant of the computable version",
    provenance="derived",
)
def bellman_errors_of_doubt(hat_allowed: Any) -> Any:
    """W_h - u_h - P W_(h+1) <= 2 min(1, beta ||psi_W||) at every step and state."""
    return hat_allowed


@plugin.claim("tilde_error", holds=Always(planned), source=f"{PAPER}, Lemma 2.8.24", provenance="stated")
def bellman_errors_of_values(tilde_allowed: Any) -> Any:
    """V_h - r_h - P V_(h+1) <= 2 min(1, beta ||psi_V||) at every step and state."""
    return tilde_allowed


@plugin.claim("highest", holds=Always(planned), source=f"{PAPER}, totals are at most 1", provenance="stated")
def values_are_at_most_one() -> Any:
    """V and W are at most 1."""
    return 1


@plugin.claim("final_loss", holds=Always(planned), source="the best iterate", provenance="derived")
def best_iterates_are_good(final_promise: Any) -> Any:
    """The policy that is returned for a reward, the one of the plan with the least W, loses at most twice that."""
    return final_promise


@plugin.claim(
    "least_doubt", holds=Always(planned), source="the reward that is explored for has the largest W", provenance="derived"
)
def all_rewards_share_the_average(average_doubt: Any) -> Any:
    """max_n min_k W^n_k <= (1/K) sum_k W_k of the rewards that were explored for."""
    return average_doubt


@plugin.claim(
    "chain_promise", holds=WithProbability(0.9, slack=1e-9), source="measured, ours", provenance="unconfirmed", only=["chain"]
)  # fmt: skip
def chains_are_explored() -> Any:
    """After 400 episodes at 0.0003 of the radius, certificates of the chain of 8 are at most 0.6 in 9 of 10 runs: only exploration that looks for what is
    unknown gets to its end."""
    return 0.6


# -- the sum of certificates ----------------------------------------------------------------------------------------------------------------


@plugin.claim(
    "telescope", holds=Always(lambda horizon, episodes: 1e-10 * (1 + horizon) * (1 + episodes)), source=f"{PAPER}, (2.8.53), with the constants of the computable version",
    provenance="derived",
)  # fmt: skip
def doubt_splits(telescope_parts: Any) -> Any:
    """sum_k W_k(s1) <= errors of V + 2 errors of W + chance + episodes in which a determinant jumped, after every number of episodes."""
    return telescope_parts


@plugin.claim(
    "weight",
    holds=Equals(lambda weight_formula: 1e-10 * (1 + weight_formula)),
    source=f"{PAPER}, moment estimator",
    provenance="stated",
)
def weights_are_as_stated(weight_formula: Any) -> Any:
    """sigma_m^2 is the largest of gamma^2 ||psi_m||, the estimated variance with its errors, and alpha^2, gamma = d^(-1/4) and alpha = H^(-1/2), written out a second time."""
    return weight_formula


@plugin.claim("variance_error", holds=Always(1e-9), source=f"{PAPER}, Lemma 2.8.30")
def variances_are_estimated(variance_allowed: Any) -> Any:
    """The estimate of the variance of V^(2^m) is off by at most min(1, ||psi_(m+1)|| ||theta_(m+1) - theta*||) + min(1, 2 ||psi_m|| ||theta_m - theta*||)."""
    return variance_allowed


def _elliptic(log: Any, radius: Any, spread: Any, gamma: Any) -> Any:
    from sympy import sqrt

    return 2 * log + 2 * radius * gamma**2 * log + 2 * sqrt(log) * sqrt(spread)


@plugin.claim(
    "potential", holds=Always(1e-6), source=f"{PAPER}, Lemma 2.8.31", toothless="no broken weight raises the left side as much"
)
def own_potentials_are_small(information: Any, potential_radius: Any, potential_spread: Any, gamma: Any) -> Any:
    """sum min(1, beta ||x||) <= 2 d iota + 2 max beta gamma^2 d iota + 2 sqrt(d iota sum beta^2 (sigma^2 + alpha^2)) along the run, for every moment."""
    return _elliptic(information, potential_radius, potential_spread, gamma)


@plugin.claim(
    "drawn_potential",
    holds=Always(1e-6),
    source=f"{PAPER}, Lemma 2.8.31",
    toothless="it is about sequences of vectors, no learner takes part",
)
def potentials_are_small(drawn_log: Any, drawn_radius: Any, drawn_spread: Any, drawn_gamma: Any) -> Any:
    """The same for drawn sequences, some of which always point to where least is known."""
    return _elliptic(drawn_log, drawn_radius, drawn_spread, drawn_gamma)


@plugin.claim(
    "first_moment",
    holds=Always(lambda first_moment: 1e-12 * first_moment),
    source=f"{PAPER}, Lemma 2.8.33",
    toothless="it is about numbers alone",
)
def moments_recur(moment_slope: Any, moment_third: Any, moment_flat: Any) -> Any:
    """a_i <= min(l1, l2 sqrt(a_i + a_(i+1) + 2^(i+1) l3) + l4), a_(kappa+1) = l1 imply a_1 <= 22 l2^2 + 6 l4 + 4 l2 sqrt(2 l3)."""
    from sympy import sqrt

    return 22 * moment_slope**2 + 6 * moment_flat + 4 * moment_slope * sqrt(2 * moment_third)


@plugin.claim(
    "jumps", holds=Always(), source=f"{PAPER}, Lemma 2.8.28", toothless="jumps are rare, and the bound is far above them"
)
def determinants_rarely_jump(moments: Any, information: Any) -> Any:
    """At most M d iota episodes have a determinant that grows sixteenfold."""
    return moments * information


def _sum_bound(constant: Any, episodes: Any, horizon: Any, features: Any, bound: Any) -> Any:
    """The sum of certificates, with everything that depends on the number of episodes."""
    from sympy import Max, log, sqrt

    alpha_square, gamma_square, ridge = 1 / horizon, 1 / sqrt(features), features / bound**2
    moments = log(7 * episodes * horizon) / log(2) + 1
    each = DELTA / (4 * moments)
    iota = log(1 + episodes * horizon / (features * ridge * alpha_square))
    beta = _radius(episodes, moments, horizon, features, bound)
    zeta = 4 * log(4 * Max(log(episodes * horizon), 1) / each)
    d_iota = features * iota
    return (
        constant * Max(64 * beta**2 * d_iota, 2 * zeta) + 24 * zeta + 240 * d_iota + 240 * beta * gamma_square * d_iota
        + 120 * beta * d_iota * sqrt(moments) + 24 * sqrt(zeta * moments * d_iota) + moments * d_iota
        + sqrt(episodes) * (64 * Max(8 * beta * sqrt(d_iota), sqrt(2 * zeta)) + 120 * beta * sqrt(d_iota * horizon * alpha_square))
    )  # fmt: skip


@plugin.claim(
    "theorem_total", holds=WithProbability(1 - DELTA), source=f"{PAPER}, proof of Theorem 2.6.4, with the constant of its corollary", along="theorem_episodes",
    within=lambda theorem_episodes: (0, theorem_episodes), toothless="it is empty below 10^15 episodes",
)  # fmt: skip
def certificates_add_up_to_little(theorem_episodes: Any, horizon: Any, features: Any, bound: Any) -> Any:
    """sum_k W_k(s1) <= 2752 max(64 beta^2 d iota, 2 zeta) + ... + sqrt(K) (64 max(8 beta sqrt(d iota), sqrt(2 zeta)) + 120 beta sqrt(d iota H alpha^2))."""
    return _sum_bound(SUM_CONSTANT, theorem_episodes, horizon, features, bound)


@plugin.claim(
    "theorem_loss", holds=WithProbability(1 - DELTA), source=f"{PAPER}, Theorem 2.6.4, with the constants of the computable version", along="theorem_episodes",
    within=lambda: (0, 1), toothless="it is empty below 10^15 episodes",
)  # fmt: skip
def few_episodes_are_enough(theorem_episodes: Any, horizon: Any, features: Any, bound: Any) -> Any:
    """Policies for all rewards lose at most (2/K) times the bound on the sum of certificates: O(d^2 / K + d / sqrt(K)), up to logarithms."""
    return 2 * _sum_bound(SUM_CONSTANT, theorem_episodes, horizon, features, bound) / theorem_episodes


@plugin.claim("largest_solution", holds=Always(1e-6), source=f"{PAPER}, the corollary's constant: x <= a sqrt(x) + b gives x <= 2 a^2 + 2 b",
              toothless="it is about numbers alone")  # fmt: skip
def the_last_step_gives_2752() -> Any:
    """x <= 32 m sqrt(x) + 352 m^2 implies x <= 2752 m^2."""
    return SUM_CONSTANT


@plugin.claim(
    "largest_solution",
    holds=Always(1e-6),
    source="x <= a sqrt(x) + b gives x <= a^2 + 2 b",
    provenance="derived",
    toothless="it is about numbers alone",
)
def the_last_step_gives_1728() -> Any:
    """x <= 32 m sqrt(x) + 352 m^2 implies x <= 1728 m^2."""
    return 1728


@plugin.claim(
    "largest_solution", holds=Always(1e-6), source=f"{PAPER}, the constant that is displayed", expected="refuted", only=["mixture"],
    toothless="it is false of the numbers",
)  # fmt: skip
def the_last_step_gives_896() -> Any:
    """x <= 32 m sqrt(x) + 352 m^2 implies x <= 896 m^2. False: x = 1653 m^2 is possible; a misprint of 2752."""
    return PRINTED_SUM_CONSTANT


# -- rates ----------------------------------------------------------------------------------------------------------------------------------------


def patience(patience: Any) -> Any:
    """Nobody waits longer."""
    return 1, patience


@plugin.claim(
    "needed_by_horizon", holds=AtRate(0.0, along="horizons", doubling=0.25, tolerance=0.25), source=f"{PAPER}, Theorem 2.6.4: no power of H", within=patience,
    only=["rates"], toothless="doubling tells slowly; the growth in one step refutes at once",
)  # fmt: skip
def episodes_do_not_grow_with_the_horizon() -> Any:
    """Episodes to a certificate of 1 are O(log H), at 0.0003 of the radius: no more than a quarter more for twice the horizon."""


@plugin.claim(
    "growth_by_horizon", holds=WithProbability(0.9, slack=1e-9), source="measured, ours", provenance="unconfirmed", only=["rates"]
)  # fmt: skip
def four_times_the_horizon_costs_little() -> Any:
    """Episodes to a certificate of 1 at H = 40 are at most 1.41 (an exponent of 1/4) times those at H = 10, in 9 of 10 runs at 0.0003 of the radius."""
    return 4**0.25


@plugin.claim(
    "needed_by_accuracy", holds=AtRate(-2.0, along="accuracies", doubling=0.25, tolerance=0.2), source=f"{PAPER}, Theorem 2.6.4: 1 / epsilon^2", within=patience,
    only=["rates"], toothless="doubling tells slowly",
)  # fmt: skip
def episodes_grow_like_accuracy_squared() -> Any:
    """Episodes to a certificate of epsilon are O(1 / epsilon^2), at 0.0003 of the radius."""


@plugin.claim(
    "needed_by_features", holds=AtRate(-2.0, along="widths", doubling=0.25, tolerance=0.3), source=f"{PAPER}, Theorem 2.6.4: d^2", within=patience,
    only=["rates"], toothless="doubling tells slowly",
)  # fmt: skip
def episodes_grow_like_features_squared() -> Any:
    """Episodes to a certificate of 1 are O(d^2) with d kernels, at 0.0003 of the radius."""


# -- the lower bound --------------------------------------------------------------------------------------------------------------------------


@plugin.claim(
    "hard_loss", holds=OnAverage(), relation=">=", source=f"{PAPER}, Theorem 2.6.8, with the constant that its family supports", provenance="derived",
    within=lambda signs, hard_episodes, horizon: (0, signs * (1 - 1 / horizon) / (48 * hard_episodes) ** 0.5), only=["hard", "hard-one-sign"],
    toothless="means of a dozen seeds tell little; the next claim tells at once",
)  # fmt: skip
def nobody_does_better(signs: Any, hard_episodes: Any, horizon: Any) -> Any:
    """Averaged over signs, any learner's policy after K episodes loses at least (d - 1)(1 - 1/H) / (16 sqrt(3 K))."""
    from sympy import sqrt

    return signs * (1 - 1 / horizon) / (16 * sqrt(3 * hard_episodes))


@plugin.claim(
    "hard_loss", holds=WithProbability(0.9, slack=1e-12), relation=">=", source="the same, by Hoeffding's inequality", provenance="derived",
    only=["hard", "hard-one-sign"],
)  # fmt: skip
def nobody_does_better_in_many_tries(signs: Any, hard_episodes: Any, horizon: Any, hard_tries: Any) -> Any:
    """With probability 0.9 the mean over n draws of the signs is no more than sqrt(log(10) / (2 n)) of the largest loss below that."""
    from sympy import log, sqrt

    largest = signs * (1 - 1 / horizon) / sqrt(48 * hard_episodes)
    return signs * (1 - 1 / horizon) / (16 * sqrt(3 * hard_episodes)) - largest * sqrt(log(10) / (2 * hard_tries))


@plugin.claim(
    "bayes_regret", holds=Always(1e-12), relation=">=", source=f"{PAPER}, Theorem 2.6.8, with the constant that its family supports", provenance="derived",
    only=["hard-one-sign"], toothless="the Bayes regret is the best learner's, no broken one has less",
)  # fmt: skip
def bayes_regret_is_large(signs: Any, hard_episodes: Any, horizon: Any) -> Any:
    """The least regret that any learner can have on average, by dynamic programming, is at least (d - 1)(1 - 1/H) sqrt(K) / (16 sqrt(3))."""
    from sympy import sqrt

    return signs * (1 - 1 / horizon) * sqrt(hard_episodes) / (16 * sqrt(3))


@plugin.claim(
    "bayes_regret", holds=Always(1e-12), relation=">=", source=f"{PAPER}, Theorem 2.6.8, as printed", expected="refuted", only=["hard-one-sign"],
    toothless="it is false of the best learner",
)  # fmt: skip
def bayes_regret_as_printed(signs: Any, hard_episodes: Any) -> Any:
    """The family forces a regret of d sqrt(K) / (16 sqrt(3)). False: with d = 2, K = 12 the best learner has 0.229 (1 - 1/H), not 0.25."""
    from sympy import sqrt

    return (signs + 1) * sqrt(hard_episodes) / (16 * sqrt(3))


# -- steps of the proofs --------------------------------------------------------------------------------------------------------------------------


@plugin.claim("model_loss", holds=Always(planned), source=f"{PAPER}, Lemma 2.8.7, proof repaired", provenance="derived")
def wrong_models_cost_little(model_doubt: Any) -> Any:
    """If a model is within 2 beta of the truth in both norms, |V(model) - V(truth)| <= 2 Vhat for every policy and reward."""
    return 2 * model_doubt


@plugin.claim(
    "cut_by_step",
    holds=Equals(planned),
    source="the value difference, step by step",
    provenance="derived",
    toothless="it is about two true kernels",
)
def cutting_by_step_loses_nothing(model_gap: Any) -> Any:
    """V(model) - V(truth) = Z_1, Z_h = min(1, (P_model - P) V_(h+1) + P Z_(h+1)): sums that are cut at 1 in expectation at every step."""
    return model_gap


@plugin.claim(
    "cut_by_path", holds=Equals(planned), source=f"{PAPER}, truncated telescoping", expected="refuted", only=["truncation"],
    toothless="it is false of two true kernels",
)  # fmt: skip
def cutting_by_path_loses_nothing(start_gap: Any) -> Any:
    """V(model) - V(truth) = E W_1, W_h = min(1, (P_model - P) V_(h+1) + W_(h+1)) along the path. False: 0.75 where the difference is 0.95."""
    return start_gap


@plugin.claim(
    "sum_after",
    holds=Always(planned),
    source="norms of the same vectors fall as data come in",
    provenance="derived",
    toothless="it holds for any radius",
)
def uncertainty_falls_with_data(sum_before: Any) -> Any:
    """With more data for the same policy, model and reward, sums of u under the true kernel, cut at 1 at every step, do not grow."""
    return sum_before


@plugin.claim(
    "doubt_after", holds=Always(planned), source=f"{PAPER}, a step in the proof of Lemma 2.8.8", expected="refuted", only=["rising"],
    toothless="it is false of the right doubt",
)  # fmt: skip
def doubt_falls_with_data(doubt_before: Any) -> Any:
    """So does Vhat itself. False: it adds norms of its own later values, and smaller values can have larger norms; it rises from 0.501 to 0.750."""
    return doubt_before


# -- baselines ------------------------------------------------------------------------------------------------------------------------------------


@plugin.claim("rfe_distance", holds=WithProbability(1 - DELTA, slack=1e-9), source=f"{BASELINE}, UCRL-RFE, confidence set")
def baseline_sets_hold() -> Any:
    """UCRL-RFE: with probability 0.9 (29/30 is proved) ||theta_k - theta*|| <= beta in the norm of Sigma_k at all times."""
    return 1


@plugin.claim("plus_distance", holds=WithProbability(1 - DELTA, slack=1e-9), source=f"{BASELINE}, UCRL-RFE+, confidence sets")
def weighted_baseline_sets_hold() -> Any:
    """UCRL-RFE+: with probability 1 - delta all three sets hold at all times."""
    return 1


def in_units(horizon: Any) -> Any:
    """Values up to H."""
    return 1e-10 * (1 + horizon) ** 2


@plugin.claim("rfe_optimism", holds=Always(in_units), relation=">=", source=f"{BASELINE}, optimism of PLAN")
def baseline_is_optimistic() -> Any:
    """Plans of UCRL-RFE are optimistic wherever the truth is in the set, for every radius that is large enough."""
    return 0


@plugin.claim("rfe_loss", holds=Always(in_units), source=f"{BASELINE}, suboptimality of PLAN")
def baseline_plans_are_good(rfe_allowed: Any) -> Any:
    """V_1 - V^pi_1 <= E sum_h min(H, 2 beta ||psi_(V_(h+1))||) along the plan's own policy."""
    return rfe_allowed


@plugin.claim(
    "rfe_total", holds=WithProbability(1 - DELTA), source=f"{BASELINE}, sum of optimistic values", along="theorem_episodes",
    within=lambda theorem_episodes, horizon: (0, theorem_episodes * horizon), toothless="it is empty at this scale",
)  # fmt: skip
def baseline_values_add_up_to_little(theorem_episodes: Any, horizon: Any, features: Any, bound: Any, rfe_beta: Any) -> Any:
    """sum_k V^k_1 <= 8 beta sqrt(H K d log(1 + K H^3 B^2 / d)) + 8 beta H d log(1 + K H^3 B^2) + 2 H sqrt(2 H K log(1/delta))."""
    from sympy import log, sqrt

    K, H, d = theorem_episodes, horizon, features
    grown = K * H**3 * bound**2
    first = 8 * rfe_beta * sqrt(H * K * d * log(1 + grown / d)) + 8 * rfe_beta * H * d * log(1 + grown)
    return first + 2 * H * sqrt(2 * H * K * log(1 / DELTA))
