"""Decision procedures: published vectors, other packages, exact enumeration, extremes."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.stats.multitest import multipletests

from theorylab.statistics import betting, binomial, grid, many, rates, rounding
from theorylab.statistics.sequential import (
    FailureTest,
    Levels,
    MeanTest,
    PathwiseTest,
    PlugInTest,
    PointAlternativeTest,
    RateTest,
)

X8 = np.array([0.9, 0.1, 0.7, 0.4, 1.0, 0.0, 0.6, 0.8])
X100 = ((37 * np.arange(1, 101)) % 101) / 101
LEVELS = Levels(math.log(100), 0.01)
TEN_DIGITS = 1e-9  # vectors are printed with ten digits


def vector(value):
    """Approximation to the printed digits."""
    return pytest.approx(value, rel=TEN_DIGITS)


def test_fixed_sample_bounds_match_vectors():
    assert betting.hoeffding_radius(100, 1e-6) == vector(0.2628260885)
    assert betting.hoeffding_radius(1000, 0.05) == vector(0.0387022756)
    assert betting.hoeffding_p(0.6, 100, 0.5) == vector(0.1353352832)
    assert betting.kl_bernoulli(0.6, 0.5) == vector(0.02013551355)
    assert betting.kl_bernoulli(0.02, 0.01) == vector(0.003913619576)
    assert betting.chernoff_p(0.6, 100, 0.5) == vector(0.1335136773)
    assert betting.chernoff_p(0.02, 1000, 0.01) == vector(0.01996809406)
    assert betting.chernoff_bounds(0.6, 100, 0.05) == (vector(0.4779035347), vector(0.7142508155))
    assert betting.chernoff_bounds(0.0, 100, 0.05)[1] == vector(0.02951304961)
    assert betting.empirical_bernstein_radius(X100, 0.05) == vector(0.1649641803)
    assert betting.empirical_bernstein_radius(X100, 1e-6) == vector(0.4966858867)


def test_plug_in_bets_match_vectors():
    bets = [
        5.880087139,
        4.336559122,
        3.099078033,
        2.806909929,
        2.620636319,
        2.181657291,
        1.778038081,
        1.724412258,
    ]
    assert_allclose(betting.plug_in_bets(X8, 0.05), bets, rtol=TEN_DIGITS)
    up = [
        0.6931471806,
        0.2876820725,
        0.7985076962,
        0.952658376,
        1.725848264,
        1.032701084,
        1.438166192,
        2.044301995,
    ]
    assert_allclose(betting.log_wealth_up(X8, 0.3, 0.05), up, rtol=TEN_DIGITS)
    down = [
        -0.2876820725,
        0.7239188392,
        0.9470623905,
        1.640209571,
        0.9470623905,
        1.956962159,
        2.261211938,
        2.261211938,
    ]
    assert_allclose(betting.log_wealth_down(X8, 0.8, 0.05), down, rtol=TEN_DIGITS)
    capital = [1, 0.6666666667, 1.111111111, 1.296296296, 2.808641975, 1.404320988, 2.106481481, 3.861882716]
    assert_allclose(betting.hedged_capital(X8, 0.3, 0.05), capital, rtol=TEN_DIGITS)
    assert betting.hedged_interval(X100, 0.05) == (vector(0.4165000335), vector(0.5829749075))
    assert betting.log_wealth_up(X100, 0.3, 0.05)[-1] == vector(11.92962913)
    assert betting.log_wealth_up(X100, 0.5, 0.05)[-1] == vector(-2.217935798)


def test_grid_mixture_matches_vectors():
    path = [
        0.395617298,
        0.08138109745,
        0.3772859802,
        0.4957498131,
        1.180820102,
        0.2533856742,
        0.4790578046,
        0.9120603051,
    ]
    assert_allclose(grid.log_e_path(X8, 0.3), path, rtol=TEN_DIGITS)
    assert grid.log_e_above(X100, 0.3) == vector(23.52672123)
    assert grid.log_e_above(X100, 0.5) == vector(-0.399873265)
    for x, alpha, low, high in (
        (X100, 0.05, 0.4074865797, 0.5925134203),
        (X100, 1e-6, 0.3397283926, 0.6602716074),
        (X8, 0.05, 0.1935978801, 0.8594961565),
    ):
        assert grid.lower_bound(x, alpha) == vector(low)
        assert grid.upper_bound(x, alpha) == vector(high)


@pytest.mark.parametrize(
    ("k", "n", "delta", "p", "lower", "upper", "above", "below", "uniform"),
    [
        (12, 100, 0.05, 0.004274182466, 0.07072183757, 0.1871661098, 2.913178813, -2.584473448, 1.309196358),
        (
            3,
            1000,
            0.01,
            0.997320568,
            0.0008181753982,
            0.007735244718,
            -2.123676882,
            2.676205937,
            -6.596810844,
        ),
        (0, 100, 0.05, 1, 0, 0.02951304961, -1.834684514, 3.766184794, -4.615120517),
        (5, 5, 0.5, 0.03125, 0.5492802717, 1, 2.351375257, -1.791759469, 2.351375257),
    ],
)
def test_binomial_matches_vectors(k, n, delta, p, lower, upper, above, below, uniform):
    assert binomial.exact_p(k, n, delta) == vector(p)
    assert binomial.clopper_pearson(k, n, 0.05) == (vector(lower), vector(upper))
    assert binomial.log_e_above(k, n, delta) == vector(above)
    assert binomial.log_e_below(k, n, delta) == vector(below)
    assert binomial.log_e_above(k, n, delta, prior=(1.0, 1.0)) == vector(uniform)


def test_binomial_agrees_with_scipy():
    for k, n, delta in ((12, 100, 0.05), (3, 1000, 0.01), (7, 20, 0.3)):
        result = stats.binomtest(k, n, delta, alternative="greater")
        assert binomial.exact_p(k, n, delta) == pytest.approx(result.pvalue, rel=1e-11)
        interval = stats.binomtest(k, n, delta).proportion_ci(0.9, method="exact")
        assert binomial.clopper_pearson(k, n, 0.05) == (
            pytest.approx(interval.low, rel=1e-9),
            pytest.approx(interval.high, rel=1e-9),
        )


def test_likelihood_ratio_and_clean_run_counts():
    assert binomial.log_likelihood_ratio(12, 100, 0.05, 0.1) == vector(3.559850695)
    counts = [binomial.clean_runs_to_support(d, a) for d, a in ((0.05, 0.05), (0.05, 1e-6), (0.01, 0.05), (0.1, 0.01))]
    assert counts == [59, 270, 299, 44]
    n = binomial.clean_runs_anytime(0.05, 0.01)
    assert binomial.log_e_below(0, n, 0.05) >= math.log(100) > binomial.log_e_below(0, n - 1, 0.05)


def test_multiple_testing_matches_vectors_and_statsmodels():
    p = [0.01, 0.04, 0.03, 0.005, 0.5]
    rejected, adjusted = many.holm(p, 0.05)
    assert_allclose(adjusted, [0.04, 0.09, 0.09, 0.025, 0.5])
    theirs = multipletests(p, 0.05, method="holm")
    assert list(rejected) == list(theirs[0]) == [True, False, False, True, False]
    assert_allclose(adjusted, theirs[1])
    e = [30, 2, 150, 0.5, 60]
    assert list(many.e_bh(e, 0.05)) == [False, False, True, False, True]
    assert_allclose(many.e_holm(e, 0.05)[1], [10.83333333, 1.25, 45.625, 0.5, 20.83333333], rtol=TEN_DIGITS)
    assert math.exp(many.log_mean(np.log(e))) == vector(48.5)
    assert many.p_to_e(1e-4) == vector(50)
    assert many.p_to_e(1e-4, 0.1) == vector(398.1071706)
    assert many.e_to_p(math.log(50.0)) == pytest.approx(0.02)
    assert many.refutation_threshold(1e-6, 100) == vector(18.420680743952367)


def test_e_holm_is_the_closed_test_with_means():
    rng = np.random.default_rng(5)
    for _ in range(20):
        e = np.exp(rng.normal(1.0, 2.0, 5))
        closed = [
            min(
                np.mean([e[i], *(e[j] for j in others)])
                for size in range(5)
                for others in itertools.combinations([j for j in range(5) if j != i], size)
            )
            for i in range(5)
        ]
        assert_allclose(many.e_holm(e, 0.05)[1], closed, rtol=1e-12)


def test_violating_share_matches_vectors():
    assert many.violating_share(100, 0.05) == vector(0.02951304961)
    assert many.violating_share(10_000, 1e-6) == vector(0.001380597153)
    assert many.violating_share(0, 0.05) == 1.0


def test_slope_matches_vector_and_scipy():
    n = 100.0 * 2.0 ** np.arange(5)
    i, j = np.arange(8)[:, None], np.arange(5)
    y = n**-0.5 * (1 + 0.1 * (((5 * i + 3 * j) % 7) - 3) / 3)
    slope = rates.log_log_slope(n, y)
    assert slope.slope == vector(-0.4945783811)
    assert slope.standard_error == vector(0.01182636015)
    statistic, p = slope.test(-0.5)
    assert (statistic, p) == (vector(0.4584351264), vector(0.3302665407))
    assert slope.slope == pytest.approx(stats.linregress(np.log(n), np.log(y.mean(axis=0))).slope, rel=1e-12)
    low, high = slope.interval(0.05)
    radius = stats.t.ppf(0.975, 7) * slope.standard_error
    assert (low, high) == (pytest.approx(slope.slope - radius), pytest.approx(slope.slope + radius))


def test_slope_refuses_what_has_none():
    with pytest.raises(ValueError, match="at least 2"):
        rates.log_log_slope([1, 2], [[1.0, 0.5]])
    with pytest.raises(ValueError, match="not positive"):
        rates.log_log_slope([1, 2], [[1.0, 0.0], [1.0, 0.0]])
    with pytest.raises(ValueError, match="do not fit"):
        rates.log_log_slope([1, 2, 3], [[1.0, 0.5], [1.0, 0.5]])


def test_doubling_form_is_a_bounded_mean():
    rng = np.random.default_rng(0)
    y_n, y_2n = rng.uniform(0, 3, 1000), rng.uniform(0, 3, 1000)
    x, bound = rates.doubling_observations(y_n, y_2n, 0.5, 0.1, 3.0)
    assert ((x >= 0) & (x <= 1)).all()
    kappa = 2**-0.5 * 1.1
    # E[x] <= bound exactly when E[Y_2n] <= kappa E[Y_n]
    assert (x.mean() - bound) * (1 + kappa) * 3 == pytest.approx(y_2n.mean() - kappa * y_n.mean())


def test_rounding_vectors():
    assert rounding.gamma(1000) == vector(1.110223025e-13)
    assert rounding.gamma(10) == vector(1.110223025e-15)
    harmonic = 14.392726722865723631
    assert rounding.gamma(10**6 - 1) * harmonic == pytest.approx(1.598e-9, rel=1e-3)
    total = 0.0
    for i in range(1, 10**6 + 1):
        total += 1.0 / i
    assert abs(total - harmonic) <= rounding.gamma(10**6 - 1) * harmonic
    assert rounding.pairwise_gamma(1024) == rounding.gamma(10)
    assert rounding.recursion_error(1e-16, 1.0, 10) == pytest.approx(1e-15)
    assert rounding.recursion_error(1e-16, 0.5, 3) == pytest.approx(1.75e-16)
    with pytest.raises(ValueError, match="expanding"):
        rounding.recursion_error(1e-16, 1.1, 3)


# -- soundness, by exact enumeration -------------------------------------------------------------------------------------


@pytest.mark.parametrize("delta", [0.001, 0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_e_values_have_mean_at_most_one_under_the_null(n, delta):
    k = np.arange(n + 1)
    chosen = np.array([math.comb(n, i) for i in k], dtype=float)

    def mean(log_e, p):
        return float(np.sum(chosen * p**k * (1 - p) ** (n - k) * np.exp(log_e)))

    zero_one = [np.repeat([1.0, 0.0], [i, n - i]) for i in k]
    above = {
        "binomial": [binomial.log_e_above(int(i), n, delta) for i in k],
        "grid": [grid.log_e_above(x, delta) for x in zero_one],
    }
    below = {
        "binomial": [binomial.log_e_below(int(i), n, delta) for i in k],
        "grid": [grid.log_e_below(x, delta) for x in zero_one],
    }
    rounding_error = 1e-12
    for p in np.linspace(0.0, 1.0, 21):
        for log_e in above.values():
            if p <= delta:
                assert mean(np.array(log_e), p) <= 1 + rounding_error
        for log_e in below.values():
            if p >= delta:
                assert mean(np.array(log_e), p) <= 1 + rounding_error
    for log_e in above.values():
        # the logarithms of Beta functions of size 1 / delta cancel: three digits are lost at delta = 0.001
        assert mean(np.array(log_e), delta) == pytest.approx(1.0, abs=1e-11)


def test_plug_in_wealth_has_mean_one_over_all_sequences():
    for n, m in ((6, 0.3), (8, 0.5)):
        total = 0.0
        for sequence in itertools.product([0.0, 1.0], repeat=n):
            weight = m ** sum(sequence) * (1 - m) ** (n - sum(sequence))
            total += weight * math.exp(betting.log_wealth_up(np.array(sequence), m, 0.05)[-1])
        assert total == pytest.approx(1.0, abs=1e-12)


def alarm_probability(log_e_of_counts, delta, alpha, horizon):
    """Exact probability that the e-process ever reaches 1 / alpha, by dynamic programming over (t, k)."""
    alive = np.array([1.0])
    alarmed = 0.0
    for t in range(1, horizon + 1):
        grown = np.zeros(t + 1)
        grown[:-1] += alive * (1 - delta)
        grown[1:] += alive * delta
        stop = log_e_of_counts(t) >= math.log(1 / alpha)
        alarmed += grown[stop].sum()
        grown[stop] = 0.0
        alive = grown
    return alarmed


@pytest.mark.parametrize(("delta", "published"), [(0.05, 0.42), (0.1, 0.52), (0.5, 0.72)])
def test_anytime_false_alarms_match_the_exact_share(delta, published):
    from scipy.special import betaincc, betaln

    a, b = 1.0, 1.0 / delta - 1.0

    def log_e(t):
        k = np.arange(t + 1)
        with np.errstate(divide="ignore"):
            top = betaln(a + k, b + t - k) + np.log(betaincc(a + k, b + t - k, delta))
        return top - betaln(a, b) - np.log(betaincc(a, b, delta)) - k * np.log(delta) - (t - k) * np.log1p(-delta)

    for k, t in ((3, 20), (0, 50), (50, 50)):
        assert binomial.log_e_above(k, t, delta) == pytest.approx(log_e(t)[k], rel=1e-12)
    share = alarm_probability(log_e, delta, 1e-6, 2000) / 1e-6
    assert share == pytest.approx(published, abs=0.006)  # published with two digits


@pytest.mark.parametrize(("delta", "published"), [(0.01, 0.23), (0.05, 0.24), (0.1, 0.32), (0.5, 0.29)])
def test_anytime_false_alarms_of_the_grid_match_the_exact_share(delta, published):
    def log_e(t):
        k = np.arange(t + 1)
        with_one, with_zero = np.log1p(grid.BETS * (1 / delta - 1)), np.log1p(-grid.BETS)
        return grid.logsumexp(np.outer(with_one, k) + np.outer(with_zero, t - k), axis=0) - math.log(grid.BETS.size)

    for k, t in ((3, 20), (0, 50), (50, 50)):
        assert grid.log_e_above(np.repeat([1.0, 0.0], [k, t - k]), delta) == pytest.approx(log_e(t)[k], rel=1e-11)
    assert alarm_probability(log_e, delta, 1e-6, 2000) / 1e-6 == pytest.approx(published, abs=0.006)  # two digits


# -- shape ------------------------------------------------------------------------------------------------------------------

unit_lists = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40)


@given(unit_lists, st.floats(0.01, 0.98), st.floats(0.001, 0.01))
def test_evidence_falls_as_the_bound_rises(x, m, step):
    assert grid.log_e_above(x, m + step) <= grid.log_e_above(x, m) + 1e-12


@given(unit_lists)
def test_bounds_are_nested_and_hold_the_mean(x):
    lows = [grid.lower_bound(x, a) for a in (1e-6, 0.01, 0.05)]
    highs = [grid.upper_bound(x, a) for a in (1e-6, 0.01, 0.05)]
    assert lows == sorted(lows)
    assert highs == sorted(highs, reverse=True)
    assert lows[-1] <= np.mean(x) + 1e-12
    assert highs[-1] >= np.mean(x) - 1e-12


@given(unit_lists, st.randoms(use_true_random=False))
def test_order_of_seeds_does_not_matter(x, random):
    shuffled = list(x)
    random.shuffle(shuffled)
    # equal up to the rounding of 40 additions
    assert grid.log_e_above(shuffled, 0.4) == pytest.approx(grid.log_e_above(x, 0.4), abs=1e-12)


@given(unit_lists, st.integers(1, 40))
def test_batches_add_up(x, cut):
    whole = MeanTest(0.3, 0.0, 1.0, LEVELS).update(x)
    parts = MeanTest(0.3, 0.0, 1.0, LEVELS).update(x[:cut]).update(x[cut:])
    assert parts.n == whole.n
    assert parts.log_e_refute == pytest.approx(whole.log_e_refute, abs=1e-12)
    assert parts.log_e_support == pytest.approx(whole.log_e_support, abs=1e-12)


# -- extremes ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delta", [1e-9, 1 - 1e-9, 0.5])
@pytest.mark.parametrize("n", [1, 10**7])
def test_extreme_counts_give_numbers(n, delta):
    for k in (0, n):
        for log_e in (binomial.log_e_above(k, n, delta), binomial.log_e_below(k, n, delta)):
            assert not math.isnan(log_e)
        low, high = binomial.clopper_pearson(k, n, 1e-6)
        assert 0.0 <= low <= high <= 1.0


def test_all_zero_and_all_one():
    assert grid.lower_bound(np.zeros(50), 0.05) == 0.0
    assert grid.upper_bound(np.ones(50), 0.05) == 1.0
    assert MeanTest(0.5, 0.0, 1.0, LEVELS).update(np.zeros(50)).decision() == "supported"
    assert MeanTest(0.5, 0.0, 1.0, LEVELS).update(np.ones(50)).decision() == "refuted"


def test_bound_of_zero_is_refuted_by_any_positive_value():
    test = MeanTest(0.0, 0.0, 1.0, LEVELS)
    assert test.update([0.0, 0.0]).decision() is None
    assert test.update([0.0, 1e-300]).decision() == "refuted"
    assert MeanTest(-1.0, 0.0, 1.0, LEVELS).update([0.0]).decision() == "refuted"


def test_unbounded_values_can_refute_but_not_support():
    test = MeanTest(1.0, 0.0, math.inf, LEVELS)
    assert test.update(np.full(50, 10.0)).decision() == "refuted"
    assert test.update(np.zeros(5000)).decision() is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.1, 1.1])
def test_values_outside_the_range_are_errors_not_data(bad):
    with pytest.raises(ValueError, match="observation 1 is"):
        MeanTest(0.5, 0.0, 1.0, LEVELS).update([0.5, bad])
    with pytest.raises(ValueError, match="observation 0 is"):
        grid.check_unit([bad])


def test_vacuous_bounds_decide_nothing():
    assert MeanTest(1.0, 0.0, 1.0, LEVELS).is_vacuous
    assert FailureTest(1.0, LEVELS).is_vacuous


def test_tie_counts_against_both_sides():
    runs = np.zeros(200, dtype=bool)
    ties = np.ones(200, dtype=bool)
    test = FailureTest(0.05, LEVELS).update(runs, ties)
    assert test.decision() is None
    assert FailureTest(0.05, LEVELS).update(runs).decision() == "supported"
    assert FailureTest(0.05, LEVELS).update(~runs).decision() == "refuted"


def test_failures_must_be_booleans():
    with pytest.raises(ValueError, match="booleans"):
        FailureTest(0.05, LEVELS).update(np.array([0.0, 1.0]))


def test_pathwise_needs_confirmation():
    test = PathwiseTest().update([1.0, 0.0, -1e-3], 1e-9)
    assert (test.entries, test.ties, test.suspects) == (3, 1, 1)
    assert test.decision() is None
    assert test.confirm(1).decision() == "refuted"
    assert PathwiseTest().update([1.0], 1e-9).decision() == "supported"
    with pytest.raises(ValueError, match="NaN"):
        PathwiseTest().update([math.nan], 1e-9)


def test_the_other_tests_have_the_same_interface():
    plug_in = PlugInTest(0.3, Levels(math.log(20), 0.05))
    assert plug_in.log_e_refute == 0.0
    state = plug_in.update(X100[:60]).update(X100[60:])
    assert state.log_e_refute == vector(11.92962913)
    assert state.decision() == "refuted"
    assert PlugInTest(0.8, Levels(math.log(20), 0.05)).update(X100).decision() == "supported"
    with pytest.raises(ValueError, match="outside its range"):
        plug_in.update([1.5])

    point = PointAlternativeTest(0.05, 0.1, Levels(3.5, 0.01)).update([True] * 5 + [False] * 40)
    state = point.update([True] * 7 + [False] * 48)
    assert state.log_e_refute == vector(3.559850695)
    assert state.decision() == "refuted"
    assert point.decision() is None


def test_rate_test_refutes_a_stated_constant_and_the_doubling_form():
    n = 2.0 ** np.arange(5)
    rng = np.random.default_rng(0)
    y = rng.uniform(0.5, 1.0, (400, 5))  # does not fall at all
    endless = np.full(5, math.inf)
    zeros, ones = np.zeros(5), np.ones(5)
    shown = RateTest(n, 0.5, endless, zeros, ones, None, LEVELS).update(y)
    assert shown.decision() is None
    assert shown.log_e_refute == 0.0
    assert RateTest(n, 0.5, n**-0.5, zeros, ones, None, LEVELS).update(y).decision() == "refuted"
    doubling = RateTest(n, 0.5, endless, zeros, ones, 0.1, LEVELS)
    assert doubling.update(y).decision() == "refuted"
    assert doubling.update(y[:200]).update(y[200:]).log_e_refute == doubling.update(y).log_e_refute
    assert doubling.update(y * n**-0.5).decision() is None
    with pytest.raises(ValueError, match="outside"):
        _ = doubling.update(3 * y).log_e_refute
    unknown = RateTest(n, 0.5, n**-0.5, -endless, ones, 0.1, LEVELS).update(y)
    assert unknown.log_e_refute == 0.0  # without a lower end nothing is known of a mean
    assert shown.slope().slope == pytest.approx(0.0, abs=0.05)
