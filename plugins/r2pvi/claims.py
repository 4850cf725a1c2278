"""What the theorems say of robust planning in linear MDPs and of learning from data.

Slacks: values are sums of at most a few hundred products of numbers up to the horizon (64 u = 2^-47 covers the constants of one, 2^10 of them a
whole computation); divisions by the strength magnify rounding where the divergence is divided by it. Convex programs are solved to 1e-8 of the
range by their solvers.
"""

from __future__ import annotations

from inspect import Parameter, Signature
from typing import Any

from theorylab.claim import Always, AtRate, Equals, WithProbability

from . import plugin
from .judging import DELTA
from .modelling import NAMES

U64 = 2.0**-47

PAPER, BASELINE = "arXiv 2411.18612", "arXiv 2403.09621"

DIVERGENCE = {
    "tv": "total variation",
    "kl": "Kullback-Leibler",
    "chi2": "chi-squared",
    "ball": "the total variation ball",
    "mean": "no adversary",
}


def planned(horizon: Any, strength: Any) -> Any:
    """A value by dynamic programming, from a chi-squared variance divided by the strength at worst."""
    return 2**10 * U64 * (1 + horizon) * (1 + horizon / strength)


def held(horizon: Any, strength: Any) -> Any:
    """As above; the Kullback-Leibler ball is found by bisection, which ends at the square root of the rounding near a radius of 0."""
    return planned(horizon, strength) + 1e-9 * (1 + horizon)


def summed(horizon: Any, strength: Any, sure_sup: Any) -> Any:
    """Sums of penalties, which may be as large as exp(horizon / strength)."""
    return planned(horizon, strength) * (1 + sure_sup)


def program_error(program_spread: Any, horizon: Any) -> Any:
    """What a convex solver leaves."""
    return 1e-7 * program_spread + U64 * (1 + horizon)


def regressed(horizon: Any, strength: Any) -> Any:
    """A regression on 10^10 runs, whose condition number is at most 10^4 where it is looked at."""
    return 2**14 * U64 * (1 + horizon) * (1 + horizon / strength)


def all_of_the_horizon(horizon: Any) -> Any:
    """No policy loses more."""
    return 0, horizon


# -- the adversary ------------------------------------------------------------------------------------------------------------------------


@plugin.claim(
    "solved", holds=Equals(program_error), source=f"duality of the regularised inner problem, {PAPER}", provenance="derived",
)  # fmt: skip
def closed_forms_are_exact(program: Any) -> Any:
    """inf_p E_p V + strength D(p, mu) for total variation, KL and chi-squared, by its closed form, is what a convex program finds."""
    return program


@plugin.claim(
    "image_distance", holds=Always(planned), source="an infimum of means", provenance="derived",
)  # fmt: skip
def backup_is_nonexpansive(value_distance: Any) -> Any:
    """Worst expectations of a factor differ by at most the largest difference of values."""
    return value_distance


@plugin.claim(
    "raised_gain", holds=Always(planned), relation=">=", source="an infimum of means", provenance="derived",
)  # fmt: skip
def backup_is_monotone() -> Any:
    """Larger values have larger worst expectations."""
    return 0


@plugin.claim(
    "shift", holds=Equals(planned), source="an infimum of means", provenance="derived",
)  # fmt: skip
def backup_moves_with_shifts() -> Any:
    """Values that are all larger by 1 have worst expectations that are larger by 1."""
    return 1


@plugin.claim(
    "paid", holds=Always(planned), source="the nominal factor is free", provenance="derived",
)  # fmt: skip
def adversary_pays_at_most_the_range(paid_range: Any) -> Any:
    """strength D(worst, mu) <= max V - min V: this is what keeps the adversary near the model."""
    return paid_range


@plugin.claim(
    "capped", holds=Always(planned), relation=">=", source="released code of DRVI-L", provenance="stated", expected="refuted", only=("ordinary",),
    toothless="it is false of the right search",
)  # fmt: skip
def temperatures_up_to_the_horizon_are_enough(nominal_mean: Any) -> Any:
    """The dual of the KL ball, searched over temperatures up to H as the released code does, gives the nominal mean for a radius of 0. False: the best
    temperature is infinite then."""
    return nominal_mean


# -- planning -----------------------------------------------------------------------------------------------------------------------------


@plugin.claim("played_gap", holds=Equals(planned), source="dynamic programming", provenance="derived")
def worst_factors_attain() -> Any:
    """The best policy earns exactly its value where the adversary plays the factors that it was found to play, price included."""
    return 0


@plugin.claim("other_gain", holds=Always(planned), relation=">=", source="dynamic programming", provenance="derived")
def other_factors_are_no_worse() -> Any:
    """Under any other factors, price included, the best policy earns at least its value."""
    return 0


@plugin.claim("policy_gain", holds=Always(planned), relation=">=", source="dynamic programming", provenance="derived")
def no_policy_is_better() -> Any:
    """No policy has a larger worst-case value: all of them are tried where there are at most 64, else random ones."""
    return 0


@plugin.claim(
    "nominal_gap",
    holds=Always(planned),
    relation=">=",
    source="the nominal factor is free",
    provenance="derived",
)
def adversaries_do_not_help() -> Any:
    """Robust values are at most the nominal ones, at every step."""
    return 0


@plugin.claim(
    "chi_over_kl",
    holds=Always(planned),
    relation=">=",
    source="KL <= log(1 + chi2) <= chi2",
    provenance="derived",
)
def kl_is_below_chi2() -> Any:
    """At the same strength values under KL are at most those under chi-squared."""
    return 0


@plugin.claim("kl_cost", holds=Always(planned), source="Hoeffding's lemma, step by step", provenance="derived")
def kl_costs_little(tail_squares: Any, strength: Any) -> Any:
    """Nominal - KL value <= sum_h (H - h)^2 / (8 strength)."""
    return tail_squares / (8 * strength)


@plugin.claim("chi_cost", holds=Always(planned), source="the dual without a cut, step by step", provenance="derived")
def chi2_costs_little(tail_squares: Any, strength: Any) -> Any:
    """Nominal - chi-squared value <= sum_h (H - h)^2 / (16 strength)."""
    return tail_squares / (16 * strength)


@plugin.claim(
    "tv_range",
    holds=Always(planned),
    source="the adversary can send everyone to the worst state",
    provenance="derived",
)
def total_variation_levels_values(tv_range_limit: Any) -> Any:
    """max V_h - min V_h <= 1 + min(max V_(h+1) - min V_(h+1), strength) for total variation."""
    return tv_range_limit


@plugin.claim("regularised_excess", holds=Always(held), source="weak duality, step by step", provenance="derived")
def regularised_is_below_constrained(ball_allowance: Any) -> Any:
    """Regularised value <= value within balls of any radius + strength x radius for each step that is left."""
    return ball_allowance


@plugin.claim("ball_excess", holds=Always(held), source="the ball that holds the worst factors", provenance="derived")
def constrained_is_below_regularised() -> Any:
    """Within balls that hold all worst factors of the regularised problem, the constrained value is at most the regularised one."""
    return 0


@plugin.claim(
    "rectangular_gap",
    holds=Always(planned),
    relation=">=",
    source="divergences are jointly convex",
    provenance="derived",
)
def factors_are_less_conservative() -> Any:
    """An adversary of the factors leaves at least as much as one who moves every state's and action's law on its own, at the same price."""
    return 0


@plugin.claim("ball_range", holds=Always(lambda horizon: 2**10 * U64 * (1 + horizon)), source=f"{BASELINE}, Lemma 5.1")
def balls_shrink_the_range(radius: Any, steps_left: Any) -> Any:
    """max V_h - min V_h <= (1 - (1 - radius)^(H - h + 1)) / radius within total variation balls."""
    return (1 - (1 - radius) ** steps_left) / radius


# -- exact counts: what is left is the regulariser's bias ------------------------------------------------------------------------------------


def _population(name: str, bound: Any, text: str) -> None:
    bound.__name__ = f"exact_counts_{name}"
    bound.__doc__ = f"With counts that equal their means, {text}"
    plugin.claim(
        f"population_error_{name}",
        holds=Always(regressed),
        source="ridge regression; duality of the inner problem",
        provenance="derived",
    )(bound)


_population(
    "tv", lambda population_bias_tv, population_reach: population_reach * population_bias_tv,
    "|nuhat - nu| <= (H - h) b for total variation, b the regulariser's bias.",
)  # fmt: skip


def _kl(population_bias_kl: Any, population_nu_kl: Any, strength: Any) -> Any:
    from sympy import exp, log

    return -strength * log(1 - population_bias_kl * exp(population_nu_kl / strength))


def _chi(population_bias_chi2: Any, population_reach: Any, strength: Any, horizon: Any) -> Any:
    return population_reach * population_bias_chi2 * (1 + horizon / (2 * strength) + population_reach / (4 * strength))


_population("kl", _kl, "|nuhat - nu| <= -strength log(1 - b exp(nu / strength)) for KL.")
_population("chi2", _chi, "|nuhat - nu| <= R b (1 + H / (2 strength) + R / (4 strength)), R = H - h, for chi-squared.")
_population(
    "ball", lambda population_bias_ball, population_reach: population_reach * population_bias_ball,
    "DRPVI's |nuhat - nu| <= (H - h) b for the total variation ball.",
)  # fmt: skip
_population(
    "mean", lambda population_bias_mean, population_reach: (population_reach + 1) * population_bias_mean,
    "PEVI's weights are those of reward and mean next value up to (H - h + 1) b.",
)  # fmt: skip


# -- formulas --------------------------------------------------------------------------------------------------------------------------------


def written_out(horizon: Any, strength: Any) -> Any:
    """The same sums in another order; logarithms of small means magnify rounding by exp(horizon / strength), up to where means are cut off."""
    return 2**14 * U64 * (1 + horizon) * (1 + strength) * (1 + horizon / strength)


@plugin.claim(
    "formula_values",
    holds=Equals(written_out),
    source=f"algorithm of {PAPER}; {BASELINE}; arXiv 2012.15085",
    provenance="derived",
)
def values_follow_the_formulas(slow_values: Any) -> Any:
    """Q = clip(<phi, theta + nuhat> - beta sum_i phi_i sqrt((Lambda^(-1))_ii), 0, H - h + 1) for R2PVI and DRPVI, Mahalanobis for PEVI, ridge 1."""
    return slow_values


@plugin.claim("chi_dual", holds=Always(written_out), relation=">=", source=f"algorithm of {PAPER}", provenance="derived")
def chi2_dual_is_a_maximum(chi_tried: Any) -> Any:
    """The estimated chi-squared dual is at least its value at any of 2,001 cuts."""
    return chi_tried


@plugin.claim("chi_dual", holds=Always(written_out), source=f"algorithm of {PAPER}", provenance="derived")
def chi2_dual_is_attained(chi_tried: Any, chi_slope: Any) -> Any:
    """It is not above the best of these cuts by more than the dual can rise in half a cell."""
    return chi_tried + chi_slope


@plugin.claim("least_value", holds=Always(0.0), relation=">=", source="values are clipped", provenance="derived")
def values_are_nonnegative() -> Any:
    """No pessimistic value is negative."""
    return 0


@plugin.claim("value_excess", holds=Always(0.0), source="values are clipped", provenance="derived")
def values_are_at_most_what_is_left() -> Any:
    """No pessimistic value exceeds the number of steps that are left."""
    return 0


# -- data ------------------------------------------------------------------------------------------------------------------------------------


def _with_probability(measure: str, name: str, bound: Any, text: str, source: str, **more: Any) -> None:
    bound.__name__, bound.__doc__ = name, text
    options = {"provenance": "derived", "along": "samples"} | more
    plugin.claim(measure, holds=WithProbability(1 - DELTA, slack=planned), source=source, **options)(bound)


def _times(factor: int, quantity: str) -> Any:
    """The bound `factor * quantity`, a measure by name."""

    def bound(value: Any) -> Any:
        return factor * value

    setattr(bound, "__signature__", Signature([Parameter(quantity, Parameter.POSITIONAL_OR_KEYWORD)]))  # noqa: B010 - typed as read-only
    return bound


for _name in NAMES.values():
    for _mode, _how, _proof in (
        ("folds", "data of its own for each step", "self-normalised bound for martingales"),
        ("shared", "one set of runs for all steps", "self-normalised bound and an eps-net of values"),
    ):
        _with_probability(
            f"{_mode}_error_{_name}", f"errors_{_mode}_{_name}", _times(1, f"{_mode}_allowed_{_name}"),
            f"With probability 0.9, |backup of Vhat - its estimate| <= beta sum_i phi_i sqrt((Lambda^(-1))_ii) at all steps, states, actions and sample "
            f"sizes, for {DIVERGENCE[_name]}, {_how}, and the derived beta.", _proof,
        )  # fmt: skip
        _with_probability(
            f"{_mode}_subopt_{_name}", f"suboptimality_{_mode}_{_name}", _times(2, f"{_mode}_phat_{_name}"),
            f"With probability 0.9, SubOpt(start) <= 2 sum_h E^(pi*, Phat)[penalty], Phat the adversary's answer to Vhat, for {DIVERGENCE[_name]}, {_how}.",
            f"{PAPER}, main theorem, with Phat in place of the supremum", within=all_of_the_horizon,
        )  # fmt: skip
    _with_probability(
        f"shared_subopt_{_name}", f"suboptimality_sup_{_name}", _times(2, f"shared_sup_{_name}"),
        f"With probability 0.9, SubOpt(start) <= 2 sup_P sum_h E^(pi*, P)[penalty] over all P that are worth their price, for {DIVERGENCE[_name]}.",
        f"{PAPER}, main theorem, with derived beta and radius", within=all_of_the_horizon,
    )  # fmt: skip
    _with_probability(
        f"published_error_{_name}", f"published_beta_{_name}", _times(1, f"published_allowed_{_name}"),
        f"The published beta for {DIVERGENCE[_name]}, with its logarithmic factor xi put to 1, is large enough with probability 0.9.",
        f"{PAPER}, main theorem", provenance="unconfirmed",
    )  # fmt: skip


@plugin.claim("sure_subopt", holds=Always(planned), source=f"{PAPER}, proof of the main theorem", provenance="derived")
def small_errors_make_good_policies(sure_phat: Any) -> Any:
    """Wherever the error bound holds, SubOpt(s) <= 2 sum_h E^(pi*, Phat)[penalty | s], for every start and all three divergences."""
    return 2 * sure_phat


@plugin.claim("sure_subopt", holds=Always(planned), source=f"{PAPER}, main theorem", provenance="derived")
def small_errors_make_good_policies_sup(sure_sup: Any) -> Any:
    """Wherever the error bound holds, SubOpt(s) <= 2 sup_P sum_h E^(pi*, P)[penalty | s]."""
    return 2 * sure_sup


@plugin.claim("sure_phat", holds=Always(summed), source="Phat is worth its price", provenance="derived")
def sup_is_the_larger_bound(sure_sup: Any) -> Any:
    """The supremum is over a set that holds Phat."""
    return sure_sup


@plugin.claim("sure_hope", holds=Always(planned), source=f"{PAPER}, pessimism", provenance="derived")
def small_errors_make_pessimists() -> Any:
    """Wherever the error bound holds, Vhat <= V^pihat at every step and state."""
    return 0


@plugin.claim(
    "covered_sum", holds=Always(lambda covered_sum: 1e-9 * covered_sum), source=f"{PAPER}, robust partial coverage", provenance="derived",
    toothless="it is about the data alone",
)  # fmt: skip
def coverage_bounds_the_sum(features: Any, horizon: Any, coverage: Any, covered_samples: Any) -> Any:
    """sup_P sum_h E sum_i phi_i sqrt((Lambda^(-1))_ii) <= d H / sqrt(c K), c the largest constant of robust partial coverage that the data have."""
    from sympy import sqrt

    return features * horizon / sqrt(coverage * covered_samples)


for _name in NAMES.values():

    def _no_constant() -> Any:
        return None

    _no_constant.__name__ = f"gap_rate_{_name}"
    _no_constant.__doc__ = f"At a fixed penalty E[(V* - Vhat) / V*] at the start falls like K^(-1/2), for {DIVERGENCE[_name]}."
    plugin.claim(
        f"gap_{_name}", holds=AtRate(0.5, along="rate_samples", doubling=0.05), source=f"{PAPER}, corollary", provenance="derived",
        within=lambda: (0, 1), only=("ordinary",), toothless="doubling refutes only with many seeds: 2,000 of them refute averaged-gram",
    )(_no_constant)  # fmt: skip


# -- baselines -------------------------------------------------------------------------------------------------------------------------------

_with_probability(
    "pevi_error", "pevi_errors", _times(1, "pevi_allowed"),
    "PEVI: with probability 0.9 the error of every backup is at most beta sqrt(phi^T Lambda^(-1) phi), data of its own for each step.",
    "self-normalised bound for martingales",
)  # fmt: skip
_with_probability(
    "pevi_subopt", "pevi_suboptimality", _times(2, "pevi_sum"),
    "PEVI: with probability 0.9, SubOpt(start) <= 2 sum_h E^(pi*, P)[penalty] without any adversary.",
    "arXiv 2012.15085, main theorem, with a derived beta", within=all_of_the_horizon,
)  # fmt: skip
_with_probability(
    "drpvi_error", "drpvi_errors", _times(1, "drpvi_allowed"),
    "DRPVI: with probability 0.9 the error of every backup is at most 4 sqrt(d) H sqrt(log(2 d H^2 K / delta)) sum_i phi_i sqrt((Lambda^(-1))_ii), for "
    "K > max(512 log(2 d H^2 / delta) / kappa^2, 20449 d^2 H^2 / kappa).",
    f"{BASELINE}, main theorem", provenance="stated",
)  # fmt: skip


@plugin.claim(
    "sure_pevi_subopt", holds=Always(planned), source="arXiv 2012.15085, proof of the main theorem", provenance="derived"
)
def small_errors_make_good_policies_pevi(sure_pevi_sum: Any) -> Any:
    """PEVI: wherever the error bound holds, SubOpt(s) <= 2 sum_h E^(pi*, P)[penalty | s]."""
    return 2 * sure_pevi_sum


@plugin.claim("pevi_hope", holds=Always(planned), source="arXiv 2012.15085, pessimism", provenance="derived")
def small_errors_make_pessimists_pevi() -> Any:
    """PEVI: wherever the error bound holds, Vhat <= V^pihat."""
    return 0


@plugin.claim("sure_drpvi_subopt", holds=Always(planned), source=f"{BASELINE}, proof of the main theorem", provenance="derived")
def small_errors_make_good_policies_drpvi(sure_drpvi_sum: Any) -> Any:
    """DRPVI: wherever the error bound holds, SubOpt(s) <= 2 sum_h E^(pi*, Phat)[penalty | s] within total variation balls."""
    return 2 * sure_drpvi_sum


@plugin.claim(
    "bayes_risk", holds=Always(), relation=">=", source=f"{BASELINE}, Theorem 6.1 and its proof",
)  # fmt: skip
def lower_bound(family_size: Any, family_horizon: Any, family_samples: Any) -> Any:
    """With rewards that are noisy and unknown, no learner's suboptimality over the hard family is below d^(3/2) H / (128 sqrt(K)) on average."""
    from sympy import Rational, sqrt

    return family_size ** Rational(3, 2) * family_horizon / (128 * sqrt(family_samples))
