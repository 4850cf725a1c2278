"""What the theorems say. K arms, rewards in [-R, R], pi the policy, f its value, delta = r* - f, g the gradient of f.

`reward_bound` R, `arm_count` K, `smallest_gap` Delta over all pairs, `best_gap` r* minus the second best, `largest_gap` r* - min r.
Slacks are rounding errors: a probability whose logit is L below the largest carries (1 + L) roundings, a sum over arms K of them.
"""

from __future__ import annotations

from typing import Any

from theorylab.claim import Always, Equals, OnAverage, WithProbability

from . import plugin

U64 = 2.0**-47
DELTA = 0.1  # failure probability of the floor under theta(a*)
AZUMA = 0.1  # failure probability of the martingale claims

SGB = "arXiv 2402.17235"
PG20 = "arXiv 2005.06392"
TWO_ARM_SOURCE = '"Does Stochastic Gradient really succeed for Bandits?", NeurIPS 2025'


def reward_error(arm_count: Any, log_range: Any, reward_bound: Any) -> Any:
    """Rounding of a sum over arms of rewards times probabilities."""
    return U64 * reward_bound * (1 + log_range) * (1 + arm_count / 16)


def square_error(arm_count: Any, log_range: Any, reward_bound: Any) -> Any:
    """The same for squares of rewards."""
    return U64 * reward_bound**2 * (1 + log_range) * (1 + arm_count / 16)


def ratio_error(arm_count: Any, log_range: Any) -> Any:
    """Rounding of a ratio whose numerator and denominator are free of cancellation."""
    return U64 * (1 + log_range) * (1 + arm_count / 16)


# -- one pull: identities ---------------------------------------------------------------------------------------------


@plugin.claim("bias", holds=Equals(reward_error), source=f"{SGB}, the stochastic gradient is unbiased")
def unbiased() -> Any:
    """E[theta_{t+1} - theta_t] = eta g (largest error over arms, over eta)."""
    return 0


@plugin.claim("baseline_bias", holds=Equals(reward_error), source=f"{SGB}, with a baseline")
def unbiased_with_baseline() -> Any:
    """E[theta_{t+1} - theta_t] = eta g for every baseline that is fixed before the arm is drawn."""
    return 0


@plugin.claim(
    "step_sum",
    holds=Equals(lambda arm_count, largest_step: U64 * arm_count * largest_step),
    source="proved in this plugin's README",
    provenance="derived",
)
def zero_sum() -> Any:
    """The logits' sum is the same before and after every pull (largest change over arms and rewards, over eta)."""
    return 0


@plugin.claim(
    "baseline_sum",
    holds=Equals(lambda arm_count, baseline_largest_step: U64 * arm_count * baseline_largest_step),
    source="proved in this plugin's README",
    provenance="derived",
)
def zero_sum_with_baseline() -> Any:
    """The same with a baseline."""
    return 0


@plugin.claim(
    "path_drift", holds=Equals(lambda arm_count, path_scale, horizon_t: U64 * arm_count * path_scale * horizon_t),
    source="the same, over a whole run", provenance="derived",
)  # fmt: skip
def zero_sum_on_the_path() -> Any:
    """sum theta_T = sum theta_1 on every path, to the rounding that T pulls leave."""
    return 0


@plugin.claim("policy_shift", holds=Equals(lambda log_range: U64 * (2000 + log_range)), source="softmax", provenance="derived")
def shift_invariant() -> Any:
    """softmax(theta + 800) = softmax(theta) (largest change of a probability; not a number counts as 1)."""
    return 0


@plugin.claim("square", holds=Equals(square_error), source="proved in this plugin's README", provenance="derived")
def second_moment(square_formula: Any) -> Any:
    """E|ghat|^2 = sum_a pi(a) E[X_a^2] ((1 - pi(a))^2 + sum_{b != a} pi(b)^2)."""
    return square_formula


@plugin.claim(
    "baseline_square", holds=Equals(lambda arm_count, log_range, reward_bound: 4 * square_error(arm_count, log_range, reward_bound)),
    source="proved in this plugin's README", provenance="derived",
)  # fmt: skip
def second_moment_with_baseline(baseline_square_formula: Any) -> Any:
    """The same with E[(X_a - B)^2] in place of E[X_a^2]."""
    return baseline_square_formula


@plugin.claim("star_step", holds=Equals(reward_error), source=f"{TWO_ARM_SOURCE}, equation 6", assumes=("unique_best",))
def progress_identity(star_expected: Any) -> Any:
    """E[theta_{t+1}(a*) - theta_t(a*)] = eta pi_t(a*) delta_t."""
    return star_expected


# -- one pull: noise ----------------------------------------------------------------------------------------------------


def square_range(reward_bound: Any) -> Any:
    """|e_a - pi|^2 <= 2 and |X| <= R."""
    return 0, 2 * reward_bound**2


@plugin.claim(
    "reach", holds=Always(ratio_error), source="proved in this plugin's README", provenance="derived",
)  # fmt: skip
def step_norm() -> Any:
    """|ghat|^2 <= 2 R^2 (1 - pi(A))^2 at every pull (largest ratio of the two sides)."""
    return 1


@plugin.claim("square", holds=Always(square_error), source=f"{SGB}, bound on the noise")
def noise(reward_bound: Any) -> Any:
    """E|ghat|^2 <= 2 R^2."""
    return 2 * reward_bound**2


@plugin.claim("square", holds=Always(square_error), source="from the second moment", provenance="derived", within=square_range)
def noise_sharp(reward_bound: Any, impurity: Any) -> Any:
    """E|ghat|^2 <= R^2 (1 - |pi|^2) <= R^2."""
    return reward_bound**2 * impurity


def growth_error(square: Any, arm_count: Any, log_range: Any) -> Any:
    """Relative: both sides keep their digits near a vertex, where both vanish."""
    return U64 * square * (1 + log_range) * (1 + arm_count / 16)


@plugin.claim(
    "square", holds=Always(growth_error), source=f"{SGB}, self-bounding noise", assumes=("no_ties",), within=square_range
)
def growth(reward_bound: Any, arm_count: Any, smallest_gap: Any, gradient_norm: Any) -> Any:
    """E|ghat|^2 <= 8 R^3 K^(3/2) / Delta^2 |g| if no two means tie."""
    from sympy import sqrt

    return 8 * reward_bound**3 * arm_count * sqrt(arm_count) / smallest_gap**2 * gradient_norm


@plugin.claim(
    "square", holds=Always(growth_error), source="the same proof, kept sharp", provenance="derived", assumes=("no_ties",),
    within=square_range,
)  # fmt: skip
def growth_five(reward_bound: Any, arm_count: Any, smallest_gap: Any, gradient_norm: Any) -> Any:
    """E|ghat|^2 <= 5 R^3 K^(3/2) / Delta^2 |g|."""
    from sympy import sqrt

    return 5 * reward_bound**3 * arm_count * sqrt(arm_count) / smallest_gap**2 * gradient_norm


@plugin.claim(
    "square", holds=Always(growth_error), source="proved in this plugin's README", provenance="derived", assumes=("no_ties",),
    within=square_range,
)  # fmt: skip
def growth_sqrt(reward_bound: Any, arm_count: Any, smallest_gap: Any, gradient_norm: Any) -> Any:
    """E|ghat|^2 <= 4 R^3 K^(1/2) / Delta^2 |g|: a factor 2 K below the published constant."""
    from sympy import sqrt

    return 4 * reward_bound**3 * sqrt(arm_count) / smallest_gap**2 * gradient_norm


@plugin.claim(
    "baseline_square", holds=Always(lambda baseline_square, arm_count, log_range: growth_error(baseline_square, arm_count, log_range)),
    source="the same with |X - B| <= 2 R", provenance="derived", assumes=("no_ties",), within=lambda reward_bound: (0, 8 * reward_bound**2),
)  # fmt: skip
def growth_with_baseline(reward_bound: Any, arm_count: Any, smallest_gap: Any, gradient_norm: Any) -> Any:
    """E|ghat|^2 <= 32 R^3 K^(3/2) / Delta^2 |g| for every baseline in [-R, R]."""
    from sympy import sqrt

    return 32 * reward_bound**3 * arm_count * sqrt(arm_count) / smallest_gap**2 * gradient_norm


@plugin.claim(
    "square", holds=Always(growth_error), source="the growth condition as it is often summarised", provenance="derived",
    expected="refuted", only=("large-rewards",), assumes=("no_ties",),
)  # fmt: skip
def growth_squared_bound(reward_bound: Any, arm_count: Any, smallest_gap: Any, gradient_norm: Any) -> Any:
    """E|ghat|^2 <= 8 R^2 K^(3/2) / Delta^2 |g|. False, and its units are wrong: it fails for R > 8."""
    from sympy import sqrt

    return 8 * reward_bound**2 * arm_count * sqrt(arm_count) / smallest_gap**2 * gradient_norm


@plugin.claim(
    "square", holds=Always(growth_error), source="the growth condition without its assumption", provenance="derived",
    expected="refuted", only=("tied-bad-arms",),
)  # fmt: skip
def growth_with_tied_arms(reward_bound: Any, arm_count: Any, best_gap: Any, gradient_norm: Any) -> Any:
    """E|ghat|^2 <= 8 R^3 K^(3/2) / Delta^2 |g| with Delta the gap of the best arm, worse arms tied. False."""
    from sympy import sqrt

    return 8 * reward_bound**3 * arm_count * sqrt(arm_count) / best_gap**2 * gradient_norm


@plugin.claim(
    "best_baseline_square", holds=Always(lambda arm_count, log_range, reward_bound: 4 * square_error(arm_count, log_range, reward_bound)),
    source="least squares", provenance="derived", within=lambda reward_bound: (0, 8 * reward_bound**2),
)  # fmt: skip
def best_baseline(baseline_square: Any) -> Any:
    """E|ghat|^2 with B = sum pi d r / sum pi d, d_a = |e_a - pi|^2, is at most E|ghat|^2 with any other constant baseline."""
    return baseline_square


# -- one pull: curvature and progress --------------------------------------------------------------------------------------


@plugin.claim("hessian_radius", holds=Always(ratio_error), source=f"{SGB}, the Hessian is bounded by the gradient")
def hessian() -> Any:
    """The spectral radius of the Hessian of f is at most 3 |g| (their ratio)."""
    return 3


@plugin.claim(
    "theorem_curvature", holds=Always(ratio_error), source=f"{SGB}, smoothness along the iterates", assumes=("no_ties",)
)
def smooth_iterates(theorem_eta: Any, reward_bound: Any) -> Any:
    """|f(theta') - f(theta) - g . step| <= 3 / (2 - 9 R eta) |g| |step|^2 for eta < 2 / (9 R) (twice their ratio)."""
    return 6 / (2 - 9 * reward_bound * theorem_eta)


@plugin.claim(
    "larger_curvature",
    holds=Always(ratio_error),
    source=f"{SGB}, smoothness along the iterates, at a larger step",
    assumes=("no_ties",),
)
def smooth_iterates_larger_step(smallest_gap: Any, arm_count: Any, reward_bound: Any) -> Any:
    """The same at eta = Delta^2 / (25 K^(1/2) R^3)."""
    from sympy import sqrt

    return 6 / (2 - 9 * smallest_gap**2 / (25 * sqrt(arm_count) * reward_bound**2))


@plugin.claim("curvature_any", holds=Always(ratio_error), source="Gronwall's inequality", provenance="derived")
def smooth_iterates_any_step() -> Any:
    """|f(theta') - f(theta) - g . step| <= 3/2 exp(3 |step|) |g| |step|^2 for every step size (twice their ratio)."""
    return 3


def gain_error(theorem_noise: Any, log_range: Any, arm_count: Any) -> Any:
    """The gain is a mean of terms of both signs, theorem_noise their mean size."""
    return U64 * (1 + theorem_noise) * (1 + log_range) * (1 + arm_count / 16)


@plugin.claim("theorem_gain", holds=Always(gain_error), source=f"{SGB}, progress", relation=">=", assumes=("no_ties",))
def progress() -> Any:
    """E[f(theta_{t+1})] - f(theta_t) >= (eta / 2) |g|^2 at eta = Delta^2 / (40 K^(3/2) R^3) (over eta |g|^2)."""
    return 0.5


@plugin.claim(
    "larger_gain", holds=Always(lambda larger_noise, log_range, arm_count: gain_error(larger_noise, log_range, arm_count)),
    source="proved in this plugin's README", provenance="derived", relation=">=", assumes=("no_ties",),
)  # fmt: skip
def progress_larger_step() -> Any:
    """The same at eta = Delta^2 / (25 K^(1/2) R^3), a step 1.6 K times larger."""
    return 0.5


@plugin.claim(
    "recursion_gain", holds=Always(lambda theorem_noise, log_range, arm_count, recursion_gain: (1 + abs(recursion_gain)) * gain_error(
        theorem_noise, log_range, arm_count)),
    source="progress with the Lojasiewicz inequality", provenance="derived", relation=">=", assumes=("no_ties",),
)  # fmt: skip
def quadratic_recursion() -> Any:
    """E[delta_{t+1}] <= delta_t - (eta / 2) pi_t(a*)^2 delta_t^2 (the fall over eta pi(a*)^2 delta^2)."""
    return 0.5


@plugin.claim("lojasiewicz", holds=Always(ratio_error), source=f"{PG20}, Lemma 8 with one state")
def lojasiewicz() -> Any:
    """|g| >= pi(a*) delta (the right side over the left)."""
    return 1


@plugin.claim("lojasiewicz", holds=Always(ratio_error), source="the other coordinates of g sum to -g(a*)", provenance="derived")
def lojasiewicz_sharp(arm_count: Any) -> Any:
    """|g| >= sqrt(K / (K - 1)) pi(a*) delta."""
    from sympy import sqrt

    return sqrt((arm_count - 1) / arm_count)


# -- one pull: exploration ---------------------------------------------------------------------------------------------------


def odds_error(eta_any: Any, reward_bound: Any, log_range: Any, arm_count: Any) -> Any:
    """Rounding of exponentials of up to 2 eta R."""
    from sympy import exp

    return U64 * exp(2 * eta_any * reward_bound) * (1 + log_range) * (1 + arm_count / 16)


@plugin.claim("odds_rise", holds=Always(odds_error), source="proved in this plugin's README", provenance="derived")
def weak_exploration(eta_any: Any, reward_bound: Any) -> Any:
    """E[u_{t+1}(a)] <= u_t(a) + 2 (e^(2 eta R) - 1) for every arm, u = pi / (1 - pi), and every step size."""
    from sympy import exp

    return 2 * (exp(2 * eta_any * reward_bound) - 1)


def drift_error(growth_any: Any, eta_any: Any, reward_bound: Any, log_range: Any, arm_count: Any) -> Any:
    """Rounding of exponentials of up to lambda eta R."""
    from sympy import exp

    return U64 * exp(growth_any * eta_any * reward_bound) * (1 + log_range) * (1 + arm_count / 16)


@plugin.claim(
    "star_drift",
    holds=Always(drift_error),
    source="proved in this plugin's README",
    provenance="derived",
    assumes=("unique_best",),
)
def best_logit_supermartingale(growth_any: Any, eta_any: Any, best_gap: Any, reward_bound: Any) -> Any:
    """E exp(-l step(a*)) <= 1 - l eta pi*(1 - pi*) (gap - R (e^z - 1 - z) / z), z = l eta R (both less 1, over pi*(1 - pi*))."""
    from sympy import exp

    z = growth_any * eta_any * reward_bound
    return (exp(z) - 1 - z) - growth_any * eta_any * best_gap


@plugin.claim(
    "two_odds", holds=Always(odds_error), source=f"{TWO_ARM_SOURCE}, proof of Theorem 1", assumes=("two_arms", "unique_best")
)
def two_arm_odds(eta_any: Any, reward_bound: Any, best_gap: Any, curvature_two: Any) -> Any:
    """E[u_{t+1}] <= u_t + 2 p^2 (eta gap + eta^2 R^2 C) for two arms, u = p / (1 - p), p = pi(a*) (the rise over 2 p^2)."""
    return eta_any * best_gap + eta_any**2 * reward_bound**2 * curvature_two


@plugin.claim(
    "two_inverse", holds=Always(odds_error), source=f"{TWO_ARM_SOURCE}, proof of Theorem 1", assumes=("two_arms", "unique_best")
)
def two_arm_inverse_odds(eta_any: Any, reward_bound: Any, best_gap: Any, curvature_two: Any) -> Any:
    """E[1/u_{t+1}] <= 1/u_t - 2 eta (1 - p)^2 (gap - eta R^2 C) for two arms (the change over 2 (1 - p)^2)."""
    return -eta_any * (best_gap - eta_any * reward_bound**2 * curvature_two)


# -- whole runs: probabilities --------------------------------------------------------------------------------------------------


@plugin.claim(
    "lowest", holds=WithProbability(1 - DELTA), source="the supermartingale with Ville's inequality", provenance="derived", relation=">=",
    assumes=("unique_best", "uniform_start"), within=lambda eta, reward_bound, horizon: (-eta * reward_bound * horizon, 0),
)  # fmt: skip
def best_logit_floor(growth: Any) -> Any:
    """With probability 0.9, theta_t(a*) > theta_1(a*) - log(10) / lambda for all t at once, (e^y - 1 - y) / y = gap / R, y = lambda eta R."""
    from sympy import log

    return -log(1 / DELTA) / growth


@plugin.claim(
    "baseline_lowest", holds=WithProbability(1 - DELTA), source="the same with |X - B| <= 2 R", provenance="derived", relation=">=",
    assumes=("unique_best", "uniform_start"), within=lambda eta, reward_bound, horizon: (-2 * eta * reward_bound * horizon, 0),
)  # fmt: skip
def best_logit_floor_with_baseline(baseline_growth: Any) -> Any:
    """The same with the running mean of past rewards as baseline, y = 2 lambda eta R and gap / (2 R)."""
    from sympy import log

    return -log(1 / DELTA) / baseline_growth


@plugin.claim(
    "sampling_excess", holds=WithProbability(1 - AZUMA), source="Azuma-Hoeffding", provenance="derived",
    within=lambda horizon: (0, horizon),
)  # fmt: skip
def arms_follow_the_policy(horizon: Any, arm_count: Any) -> Any:
    """With probability 0.9, |pulls of a - sum_t pi_t(a)| <= sqrt(T log(2 K / 0.1) / 2) for every arm."""
    from sympy import log, sqrt

    return sqrt(horizon * log(2 * arm_count / AZUMA) / 2)


@plugin.claim(
    "paid_excess", holds=WithProbability(1 - AZUMA), source="Azuma-Hoeffding", provenance="derived",
    within=lambda horizon, reward_bound: (0, 2 * reward_bound * horizon),
)  # fmt: skip
def rewards_follow_their_means(horizon: Any, reward_bound: Any) -> Any:
    """With probability 0.9, |sum_t X_t - r(A_t)| <= R sqrt(2 T log(2 / 0.1))."""
    from sympy import log, sqrt

    return reward_bound * sqrt(2 * horizon * log(2 / AZUMA))


@plugin.claim(
    "squared_excess", holds=WithProbability(1 - AZUMA), source="Azuma-Hoeffding", provenance="derived",
    within=lambda horizon, reward_bound: (0, reward_bound**2 * horizon),
)  # fmt: skip
def rewards_follow_their_laws(horizon: Any, reward_bound: Any) -> Any:
    """With probability 0.9, |sum_t X_t^2 - E[X^2 | A_t]| <= R^2 sqrt(T log(2 / 0.1) / 2)."""
    from sympy import log, sqrt

    return reward_bound**2 * sqrt(horizon * log(2 / AZUMA) / 2)


@plugin.claim(
    "progress_excess", holds=WithProbability(1 - AZUMA), source=f"{TWO_ARM_SOURCE}, equation 7, with Azuma-Hoeffding", provenance="derived",
    assumes=("unique_best",), within=lambda horizon, reward_bound: (0, 2 * reward_bound * horizon),
)  # fmt: skip
def progress_martingale(horizon: Any, reward_bound: Any) -> Any:
    """With probability 0.9, |(theta_{T+1}(a*) - theta_1(a*)) / eta - sum_t pi_t(a*) delta_t| <= R sqrt(2 T log(2 / 0.1))."""
    from sympy import log, sqrt

    return reward_bound * sqrt(2 * horizon * log(2 / AZUMA))


@plugin.claim(
    "freezing_gap", holds=WithProbability(0.9), source='"Small steps no more", NeurIPS 2024, arXiv 2502.07141, read as a statement about now',
    provenance="derived", expected="refuted", only=("four-arms",), within=lambda largest_gap: (0, largest_gap),
)  # fmt: skip
def any_step_finds_the_best_arm_soon() -> Any:
    """With probability 0.9, eta = 10 / R has delta_T <= 0.01 after 1,000 pulls. False: it converges, but not on any horizon of ours."""
    return 0.01


#: Why the lower bounds on expectations refute no variant.
SMALL_MEANS = (
    "To refute that the mean of something in [0, 1] is at least b takes about 17 / b runs, and b is small; the one-pull form, "
    "weak-exploration, is what refutes."
)


# -- whole runs: expectations -----------------------------------------------------------------------------------------------------


@plugin.claim(
    "two_arm_regret", holds=OnAverage(), source=f"{TWO_ARM_SOURCE}, Theorem 1", assumes=("two_arms", "unique_best", "uniform_start"),
    within=lambda best_gap, late_t: (0, best_gap * late_t), along="late_t",
)  # fmt: skip
def two_arm_regret(eta: Any, best_gap: Any, reward_bound: Any, two_arm_curvature: Any, late_t: Any) -> Any:
    """R_T <= log(1 + 4 eta gap T) / (2 eta) + gap / (2 eta (gap - eta R^2 C)) for two arms if eta R^2 C < gap."""
    from sympy import log

    late = best_gap / (2 * eta * (best_gap - eta * reward_bound**2 * two_arm_curvature))
    return log(1 + 4 * eta * best_gap * late_t) / (2 * eta) + late


@plugin.claim(
    "late_failure", holds=OnAverage(), source="weak exploration with Jensen's inequality", provenance="derived", relation=">=",
    assumes=("unique_best",), within=lambda: (0, 1),
    toothless=SMALL_MEANS,
)  # fmt: skip
def no_rate_beats_one_over_t(eta: Any, reward_bound: Any, log_start_odds: Any, late_t: Any) -> Any:
    """E[1 - pi_t(a*)] >= 1 / (1 + u_1 + 2 (e^(2 eta R) - 1)(t - 1)) for every step size."""
    from sympy import exp

    return 1 / (1 + exp(log_start_odds) + 2 * (exp(2 * eta * reward_bound) - 1) * (late_t - 1))


@plugin.claim(
    "late_regret", holds=OnAverage(), source="the same, summed", provenance="derived", relation=">=", assumes=("unique_best",),
    within=lambda largest_gap, late_t: (0, largest_gap * late_t),
    toothless=SMALL_MEANS,
)  # fmt: skip
def regret_is_at_least_logarithmic(eta: Any, reward_bound: Any, best_gap: Any, log_start_odds: Any, late_t: Any) -> Any:
    """R_T >= (gap / C) log(1 + C T / (1 + u_1)), C = 2 (e^(2 eta R) - 1)."""
    from sympy import exp, log

    c = 2 * (exp(2 * eta * reward_bound) - 1)
    return best_gap / c * log(1 + c * late_t / (1 + exp(log_start_odds)))


def theorem_gap_range(largest_gap: Any) -> Any:
    """0 <= delta <= r* - min r."""
    return 0, largest_gap


@plugin.claim(
    "theorem_gap", holds=OnAverage(), source=f"{SGB}, main theorem, with its constant made explicit for two arms", provenance="derived",
    assumes=("two_arms", "unique_best", "uniform_start"), within=theorem_gap_range, along="horizon_t",
)  # fmt: skip
def published_rate(reward_bound: Any, smallest_gap: Any, theorem_growth: Any, horizon_t: Any) -> Any:
    """E[delta_T] <= 80 K^(3/2) R^3 kappa / (Delta^2 (T - 1)), kappa = 1 + 2 l / (l - 2) + l / (l - 4) bounding E[1 / min pi(a*)^2]."""
    from sympy import Max, sqrt

    kappa = 1 + 2 * theorem_growth / (theorem_growth - 2) + theorem_growth / (theorem_growth - 4)
    # At T = 1 the theorem says nothing; a huge number stands for that.
    return 80 * 2 * sqrt(2) * reward_bound**3 * kappa / (smallest_gap**2 * Max(horizon_t - 1, 1e-9))


@plugin.claim(
    "theorem_gap", holds=OnAverage(), source=f"{SGB}, main theorem, before the first gap is dropped", provenance="derived",
    assumes=("two_arms", "unique_best", "uniform_start"), within=theorem_gap_range, along="horizon_t",
)  # fmt: skip
def rate_from_the_first_gap(theorem_eta: Any, theorem_first_gap: Any, theorem_growth: Any, horizon_t: Any) -> Any:
    """E[delta_T] <= 1 / (1 / delta_1 + eta (T - 1) / (2 kappa))."""
    kappa = 1 + 2 * theorem_growth / (theorem_growth - 2) + theorem_growth / (theorem_growth - 4)
    return 1 / (1 / theorem_first_gap + theorem_eta * (horizon_t - 1) / (2 * kappa))


@plugin.claim(
    "theorem_gap", holds=OnAverage(), source="Theorem 1 for two arms, divided by T: the gap falls on average", provenance="derived",
    assumes=("two_arms", "unique_best", "uniform_start"), within=theorem_gap_range, along="horizon_t",
)  # fmt: skip
def last_iterate_from_regret(
    theorem_eta: Any, best_gap: Any, reward_bound: Any, theorem_curvature_two: Any, horizon_t: Any
) -> Any:
    """E[delta_T] <= (log(1 + 4 eta gap T) / (2 eta) + gap / (2 eta (gap - eta R^2 C))) / T at the theorem's step size."""
    from sympy import log

    late = best_gap / (2 * theorem_eta * (best_gap - theorem_eta * reward_bound**2 * theorem_curvature_two))
    return (log(1 + 4 * theorem_eta * best_gap * horizon_t) / (2 * theorem_eta) + late) / horizon_t


@plugin.claim(
    "theorem_gap",
    holds=OnAverage(),
    source=f"{SGB}, progress, over a whole run",
    provenance="derived",
    assumes=("no_ties",),
    within=theorem_gap_range,
)
def gap_falls_on_average(theorem_first_gap: Any) -> Any:
    """E[delta_T] <= delta_1 at the theorem's step size."""
    return theorem_first_gap


@plugin.claim(
    "regret", holds=OnAverage(), source=f"{TWO_ARM_SOURCE}, Lemma 1, in one reading of its fraction", provenance="unconfirmed",
    assumes=("easy", "uniform_start"), within=lambda largest_gap, horizon: (0, largest_gap * horizon), along="horizon",
)  # fmt: skip
def easy_instance_regret(eta: Any, best_gap: Any, arm_count: Any, horizon: Any) -> Any:
    """R_T <= (1 + log(1 + (K-1) T eta gap)) / ((1-e) eta) + (K^2 / e)(gap + log(K / e) / eta), the best of seven e in (0, 1)."""
    from sympy import Min, log

    def at(e: float) -> Any:
        return (1 + log(1 + (arm_count - 1) * horizon * eta * best_gap)) / ((1 - e) * eta) + arm_count**2 / e * (
            best_gap + log(arm_count / e) / eta
        )

    return Min(*(at(e) for e in (0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99)))


# -- exact gradient ascent ----------------------------------------------------------------------------------------------------------


def exact_error(exact_scale: Any, arm_count: Any) -> Any:
    """Rounding of a gap of rewards in [0, 1]; errors of the logits do not grow, the flow contracts."""
    return 64 * U64 * (1 + exact_scale) * (1 + arm_count / 16)


@plugin.claim(
    "hessian_norm",
    holds=Always(ratio_error),
    source=f"{PG20}, Lemma 2, with a constant that we could not confirm",
    provenance="derived",
)
def exact_smoothness() -> Any:
    """f is 5/2-smooth for rewards in [0, 1]: the Hessian's norm is at most 5/2 (it is at most 3 |g| <= 3/2)."""
    return 2.5


@plugin.claim(
    "exact_drift",
    holds=Equals(lambda exact_scale, arm_count: 2000 * U64 * arm_count * (1 + exact_scale)),
    source="sum of g is 0",
    provenance="derived",
)
def exact_zero_sum() -> Any:
    """Exact ascent keeps the sum of the logits."""
    return 0


@plugin.claim("exact_rise", holds=Always(exact_error), source=f"{PG20}, ascent at eta = 2/5")
def exact_monotone() -> Any:
    """delta_{t+1} <= delta_t for exact ascent with eta = 2/5 (largest rise)."""
    return 0


def exact_gap_range(exact_range: Any) -> Any:
    """Gaps of rewards in [0, 1]."""
    return 0, exact_range


@plugin.claim(
    "exact_gap",
    holds=Always(exact_error),
    source=f"{PG20}, Theorem 2",
    provenance="stated",
    within=exact_gap_range,
    along="exact_t",
)
def exact_rate(exact_lowest: Any, exact_t: Any) -> Any:
    """delta_t <= 5 / (c^2 t), c = min_{s <= t} pi_s(a*)."""
    return 5 / (exact_lowest**2 * exact_t)


@plugin.claim(
    "exact_regret", holds=Always(lambda exact_scale, arm_count, exact_t: exact_t * exact_error(exact_scale, arm_count)), source=f"{PG20}, Theorem 2",
    within=lambda exact_range, exact_t: (0, exact_range * exact_t), along="exact_t",
)  # fmt: skip
def exact_regret(exact_lowest: Any, exact_t: Any) -> Any:
    """delta_1 + .. + delta_T <= min(sqrt(5 T) / c, 5 log(T) / c^2 + 1)."""
    from sympy import Min, log, sqrt

    return Min(sqrt(5 * exact_t) / exact_lowest, 5 * log(exact_t) / exact_lowest**2 + 1)


@plugin.claim("exact_fall", holds=Always(exact_error), source=f"{PG20}, Proposition 2", assumes=("uniform_start",))
def exact_best_arm_only_gains() -> Any:
    """From the uniform policy, pi_t(a*) never decreases under exact ascent (largest fall)."""
    return 0


@plugin.claim(
    "exact_gap",
    holds=Always(exact_error),
    source=f"{PG20}, Theorem 3",
    assumes=("uniform_start",),
    within=exact_gap_range,
    along="exact_t",
)
def exact_uniform_rate(arm_count: Any, exact_t: Any) -> Any:
    """delta_t <= 5 K^2 / t from the uniform policy."""
    return 5 * arm_count**2 / exact_t


@plugin.claim(
    "exact_regret", holds=Always(lambda exact_scale, arm_count, exact_t: exact_t * exact_error(exact_scale, arm_count)), source=f"{PG20}, Theorem 3",
    assumes=("uniform_start",), within=lambda exact_range, exact_t: (0, exact_range * exact_t), along="exact_t",
)  # fmt: skip
def exact_uniform_regret(arm_count: Any, exact_t: Any) -> Any:
    """delta_1 + .. + delta_T <= min(K sqrt(5 T), 5 K^2 log(T) + 1) from the uniform policy."""
    from sympy import Min, log, sqrt

    return Min(arm_count * sqrt(5 * exact_t), 5 * arm_count**2 * log(exact_t) + 1)


@plugin.claim(
    "exact_large_gap",
    holds=Always(exact_error),
    source=f"{PG20}, Theorem 9, from an explicit t on (README)",
    relation=">=",
    assumes=("unique_best",),
)
def exact_lower_bound(exact_best_gap: Any, exact_large_t: Any) -> Any:
    """delta_t >= gap^2 / (6 t) for all large t."""
    return exact_best_gap**2 / (6 * exact_large_t)


@plugin.claim(
    "exact_late_gap",
    holds=Always(exact_error),
    source="proved in this plugin's README",
    provenance="derived",
    relation=">=",
    assumes=("unique_best",),
)
def exact_lower_bound_explicit(exact_floor: Any) -> Any:
    """1 / delta_t <= 1 / delta_s + 2.4 (t - s) / gap^2 from the first s with delta_s <= gap^2 / 2.4."""
    return exact_floor


@plugin.claim(
    "exact_kept", holds=Always(exact_error), source=f"{PG20}, Lemma 9, with one optimal arm fixed among several", provenance="derived", relation=">=",
    expected="refuted", only=("tied-optimum",),
)  # fmt: skip
def fixed_optimal_arm_keeps_its_share(exact_kept_start: Any) -> Any:
    """inf_t pi_t(a*) > 0 also where the optimum is tied; here: never below a quarter of its start. False, it goes to 0."""
    return exact_kept_start / 4


# -- exact gradient ascent on MDPs -----------------------------------------------------------------------------------------------------


def mdp_error(mdp_discount: Any) -> Any:
    """Values are solutions of linear systems of condition 2 / (1 - discount)."""
    return 64 * U64 / (1 - mdp_discount) ** 2


@plugin.claim(
    "mdp_remainder", holds=Always(mdp_error), source=f"{PG20}, Lemma 7",
    within=lambda mdp_discount, mdp_move_squared: (0, 1 / (1 - mdp_discount) + mdp_move_squared**0.5 * 2 / (1 - mdp_discount) ** 2),
)  # fmt: skip
def mdp_smoothness(mdp_discount: Any, mdp_move_squared: Any) -> Any:
    """V(rho) is 8 / (1 - discount)^3-smooth: its remainder is at most half of that times |theta' - theta|^2."""
    return 4 / (1 - mdp_discount) ** 3 * mdp_move_squared


@plugin.claim("mdp_slope_needed", holds=Always(mdp_error), source=f"{PG20}, Lemma 8")
def mdp_lojasiewicz(mdp_slope: Any) -> Any:
    """|grad V(mu)| >= S^(-1/2) |d*_rho / d_mu|^(-1) min_s pi(a*(s)|s) (V*(rho) - V(rho))."""
    return mdp_slope


@plugin.claim(
    "mdp_gap",
    holds=Always(mdp_error),
    source=f"{PG20}, Theorem 4",
    within=lambda mdp_discount: (0, 1 / (1 - mdp_discount)),
    along="mdp_t",
)
def mdp_rate(mdp_states: Any, mdp_lowest: Any, mdp_discount: Any, mdp_mismatch: Any, mdp_rarity: Any, mdp_t: Any) -> Any:
    """V*(rho) - V_t(rho) <= 16 S / (c^2 (1 - discount)^6 t) |d*_mu / mu|^2 |1 / mu| at eta = (1 - discount)^3 / 8."""
    return 16 * mdp_states / (mdp_lowest**2 * (1 - mdp_discount) ** 6 * mdp_t) * mdp_mismatch**2 * mdp_rarity
