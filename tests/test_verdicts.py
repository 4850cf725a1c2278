"""The judge: what is supported, refuted, an error or undecided, in every mode."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mpmath import iv

from theorylab import Always, AtRate, Equals, OnAverage, Plugin, Sweep, WithProbability
from theorylab.errors import PluginError
from theorylab.registry import Locator, load
from theorylab.run.check import check
from theorylab.run.plan import make_plan
from theorylab.run.records import Request

from .conftest import PLUGINS
from .toys import UCB1, Scale, judged, make_plugin


def test_pathwise_claim_that_is_attained_is_supported(monkeypatch):
    plugin = make_plugin(lambda game, rng, *, n: {"x": np.full(n, 1.0)}, Always(), lambda scale: scale)
    verdict = judged(plugin, monkeypatch, seeds=5)
    assert verdict.status == "SUPPORTED"
    assert verdict.evidence.ties == 50
    assert verdict.evidence.tightness == 1.0


@pytest.mark.parametrize("excess", [1e-3, 1e-12])
def test_pathwise_violation_is_refuted_however_small(monkeypatch, excess):
    plugin = make_plugin(lambda game, rng, *, n: {"x": np.array([0.5, 1.0 + excess])}, Always(), lambda scale: scale)
    verdict = judged(plugin, monkeypatch, seeds=2)
    assert verdict.status == "REFUTED"
    assert not verdict.as_expected
    assert verdict.counterexample.index == 1
    assert "stated rounding error" in verdict.counterexample.basis


def test_rounding_noise_is_no_violation(monkeypatch):
    plugin = make_plugin(lambda game, rng, *, n: {"x": np.array([1.0 + 1e-15])}, Always(), lambda scale: scale)
    assert judged(plugin, monkeypatch, seeds=2).status == "SUPPORTED"


def twin_of(function):
    """Gives a plugin a high-precision twin."""

    def attach(plugin):
        plugin.precisely(function)
        return plugin

    return attach


def test_a_violation_of_cancelled_floats_is_overruled_by_exact_replay(monkeypatch):
    """KL(p, q) >= 2 (p - q)^2 at q = p + 1e-9: floats say violated by a million tolerances, the truth is the other way."""
    p, q = 0.5, 0.5 + 1e-9

    def measure(game, rng, *, n):
        return {"x": p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))}

    def exact(game, rng, until, *, n):
        a, b = iv.mpf(p), iv.mpf(q)
        return {"x": a * iv.log(a / b) + (1 - a) * iv.log((1 - a) / (1 - b))}

    plugin = make_plugin(measure, Always(slack=2e-24), lambda: 2 * (p - q) ** 2, relation=">=")
    twin_of(exact)(plugin)
    verdict = judged(plugin, monkeypatch, seeds=1)
    assert verdict.status == "SUPPORTED", verdict.reason

    # ... and with a false constant the same machinery refutes, at the lowest precision
    q2 = 0.501
    false = make_plugin(
        lambda game, rng, *, n: {"x": p * math.log(p / q2) + (1 - p) * math.log((1 - p) / (1 - q2))},
        Always(slack=2e-24), lambda: 4 * (p - q2) ** 2, relation=">=",
    )  # fmt: skip

    def exact2(game, rng, until, *, n):
        a, b = iv.mpf(p), iv.mpf(q2)
        return {"x": a * iv.log(a / b) + (1 - a) * iv.log((1 - a) / (1 - b))}

    twin_of(exact2)(false)
    verdict = judged(false, monkeypatch, seeds=1)
    assert verdict.status == "REFUTED"
    assert "interval arithmetic at 106 bits" in verdict.reason
    assert verdict.evidence.margin == pytest.approx(-1.99999599998934e-06, rel=1e-9)


def test_an_exact_tie_is_never_refuted(monkeypatch):
    """sqrt(2)^2 against 2: no precision excludes equality, so the verdict says that it cannot tell."""
    plugin = make_plugin(lambda game, rng, *, n: {"x": 2.0 + 1e-9}, Always(slack=1e-12), lambda: 2)
    twin_of(lambda game, rng, until, *, n: {"x": iv.sqrt(iv.mpf(2)) ** 2})(plugin)
    verdict = judged(plugin, monkeypatch, seeds=1)
    assert verdict.status == "INCONCLUSIVE"
    assert "exact replay" in verdict.reason


def test_seeds_that_share_an_instance_count_once_for_the_family(monkeypatch):
    plugin = Plugin("toy", api=1, title="t", source="s")
    plugin.sample(lambda rng: Scale(float(rng.uniform())))
    plugin.run()(lambda game, rng: {"x": rng.random()})
    plugin.claim("x", holds=Always(), source="s")(constant(1))
    verdict = judged(plugin, monkeypatch, seeds=50, instances=3)
    assert verdict.evidence.trials == 150
    assert verdict.evidence.violating_share == pytest.approx(1 - 0.01 ** (1 / 3))


@pytest.mark.parametrize(("entries", "status"), [(5, "SUPPORTED"), (20, "INCONCLUSIVE")])
def test_every_suspect_entry_must_be_settled(monkeypatch, entries, status):
    """Floats say that many entries are beyond the bound; exact replay says of each that it looked at that it is not."""
    plugin = make_plugin(lambda game, rng, *, n: {"x": np.full(entries, 1.0 + 1e-9)}, Always(slack=1e-12), lambda: 1)
    twin_of(lambda game, rng, until, *, n: {"x": [1 - iv.mpf(1e-9)] * entries})(plugin)
    verdict = judged(plugin, monkeypatch, seeds=1)
    assert verdict.status == status, verdict.reason


def test_an_interrupted_check_without_a_run_says_so(monkeypatch):
    from theorylab.run.execute import Interrupted

    def stop(*arguments, **options):
        raise Interrupted([], 130)

    monkeypatch.setattr("theorylab.run.trials.execute", stop)
    plugin = make_plugin(lambda game, rng, *, n: {"x": 0.5}, Always(), lambda: 1)
    verdict = judged(plugin, monkeypatch, seeds=3)
    assert (verdict.status, verdict.reason) == ("INCONCLUSIVE", "No run was finished.")


def test_identity_is_confirmed_or_refuted(monkeypatch):
    good = make_plugin(lambda game, rng, *, n: {"x": 1.0 + 1e-13}, Equals(1e-12), lambda: 1)
    assert judged(good, monkeypatch, seeds=1).status == "SUPPORTED"
    bad = make_plugin(lambda game, rng, *, n: {"x": 1.0 - 1e-9}, Equals(1e-12), lambda: 1)
    assert judged(bad, monkeypatch, seeds=1).status == "REFUTED"


def test_a_run_that_its_exact_replay_contradicts_is_an_error(monkeypatch):
    """The claim holds in the replay, and not because of rounding in the run: one of the two is wrong, and neither may pass."""

    def plugin_with(recorded):
        plugin = make_plugin(lambda game, rng, *, n: {"x": recorded}, Always(slack=1e-12), lambda: 2)
        return twin_of(lambda game, rng, until, *, n: {"x": iv.mpf(1.5)})(plugin)

    verdict = judged(plugin_with(2.1), monkeypatch, seeds=1)
    assert verdict.status == "ERROR"
    assert not verdict.as_expected
    assert "x = 2.1 (bound 2) was recorded, 1.5 (2) replayed in interval arithmetic at 106 bits" in verdict.reason
    assert judged(plugin_with(1.9), monkeypatch, seeds=1).status == "SUPPORTED"  # nothing to be suspected, nothing replayed


def test_identities_are_replayed_exactly(monkeypatch):
    def verdict(truth, sign):
        plugin = make_plugin(lambda game, rng, *, n: {"x": 3.0 + 1e-9}, Equals(1e-12), constant(3))
        twin_of(lambda game, rng, until, *, n: {"x": sign * iv.mpf(truth)})(plugin)
        return judged(plugin, monkeypatch, seeds=1)

    assert verdict(3, 1).status == "SUPPORTED"  # the floats were noise
    wrong = verdict(3.5, 1)
    assert wrong.status == "REFUTED"
    assert wrong.evidence.margin == -0.5
    assert "interval arithmetic" in wrong.reason
    assert verdict(3, -1).status == "REFUTED"  # -3 is not 3


def test_a_replay_that_raises_is_named_and_refutes_nothing(monkeypatch):
    def broken(game, rng, until, *, n):
        raise KeyError("a bug in the replay")

    plugin = twin_of(broken)(make_plugin(lambda game, rng, *, n: {"x": 2.0}, Always(), lambda: 1))
    verdict = judged(plugin, monkeypatch, seeds=1)
    assert verdict.status == "INCONCLUSIVE"
    assert "its replay raised KeyError: 'a bug in the replay'" in verdict.reason
    plain = twin_of(lambda game, rng, until, *, n: {"x": 2.0})(
        make_plugin(lambda game, rng, *, n: {"x": 2.0}, Always(), lambda: 1)
    )
    assert judged(plain, monkeypatch, seeds=1).status == "REFUTED"


def test_lower_bounds_say_from_where_they_say_something(monkeypatch):
    plugin = make_plugin(
        lambda game, rng, *, n: {"x": np.full(4, 2.0), "t": np.arange(1.0, 5.0)}, Always(), lambda t: 1 - 10 / t, relation=">=",
        within=lambda: (0, 3), along="t",
    )  # fmt: skip
    verdict = judged(plugin, monkeypatch, seeds=1)
    assert verdict.status == "VACUOUS"
    assert verdict.evidence.informative_from == pytest.approx(10.0, rel=1e-6)


def test_the_share_of_the_family_is_stated_only_for_declared_distributions():

    drawn = make_plan(
        Request(Locator("thin", str(PLUGINS / "thin.py"), "file"), seeds=1, instances=100),
        load(Locator("thin", str(PLUGINS / "thin.py"), "file")),
    )
    assert any("at most 0.045 of the family" in remark for remark in drawn.remarks)
    named = make_plan(Request(UCB1, seeds=100), load(UCB1))
    assert not any("of the family" in remark for remark in named.remarks)


def test_expected_refutation_that_does_not_come_is_a_failure(monkeypatch):
    plugin = make_plugin(lambda game, rng, *, n: {"x": 0.5}, Always(), lambda: 1, expected="refuted")
    verdict = judged(plugin, monkeypatch, seeds=1)
    assert verdict.status == "SUPPORTED"
    assert not verdict.as_expected


def test_claims_whose_assumption_fails_everywhere_are_vacuous(monkeypatch):
    plugin = Plugin("toy", api=1, title="t", source="s")
    plugin.run()(lambda game, rng: {"x": 9.0})

    @plugin.assumption
    def small(game):
        return game.scale < 1.0

    plugin.claim("x", holds=Always(), source="s", assumes=["small"])(lambda: 1)
    plugin.reference("big", Scale(2.0))
    assert judged(plugin, monkeypatch, seeds=1).status == "VACUOUS"


@pytest.mark.parametrize("holds", [Always(), Equals(1.0), OnAverage(), WithProbability(0.5), AtRate(0.5, along="k")])
@pytest.mark.parametrize("value", [math.nan, math.inf, "text", [[1.0], [1.0, 2.0]]])
def test_what_is_no_number_is_an_error_in_every_mode(monkeypatch, holds, value):
    def measure(game, rng, *, n):
        return {"x": value, "k": 1.0}

    plugin = make_plugin(measure, holds, lambda: 1, within=lambda: (0, 2))
    verdict = judged(plugin, monkeypatch, seeds=3)
    assert verdict.status == "ERROR", verdict
    assert not verdict.as_expected


@pytest.mark.parametrize("holds", [Always(), OnAverage(), WithProbability(0.5)])
@pytest.mark.parametrize("bound", [lambda game: math.nan, lambda game: np.array([math.nan])])
def test_a_bound_that_is_nan_is_an_error(monkeypatch, holds, bound):
    plugin = make_plugin(lambda game, rng, *, n: {"x": 0.5}, holds, bound, within=lambda: (0, 2))
    assert judged(plugin, monkeypatch, seeds=3).status == "ERROR"


def test_a_measure_outside_its_range_is_an_error(monkeypatch):
    plugin = make_plugin(lambda game, rng, *, n: {"x": -0.5}, OnAverage(), lambda: 1, within=lambda: (0, 2))
    verdict = judged(plugin, monkeypatch, seeds=3)
    assert verdict.status == "ERROR"
    assert "outside its declared range [0, 2]" in verdict.reason


def test_a_plugin_that_raises_is_an_error_with_place_and_seed(monkeypatch):
    def measure(game, rng, *, n):
        raise ZeroDivisionError("on purpose")

    verdict = judged(make_plugin(measure, Always(), lambda: 1), monkeypatch, seeds=3)
    assert verdict.status == "ERROR"
    assert "scale-0, seed 0: ZeroDivisionError: on purpose at " in verdict.reason
    assert "test_verdicts.py:" in verdict.reason


def test_mean_claims_are_supported_refuted_and_told_apart(monkeypatch):
    def measure(game, rng, *, n):
        return {"x": float(rng.random() < 0.5 * game.scale)}

    def verdict(scale, bound, seeds, **request):
        plugin = make_plugin(measure, OnAverage(), lambda: bound, within=lambda: (0, 1), instances=(scale,))
        return judged(plugin, monkeypatch, seeds=seeds, **request)

    assert verdict(1.0, 0.8, 400).status == "SUPPORTED"
    assert verdict(1.0, 0.25, 400).status == "REFUTED"
    undecided = verdict(1.0, 0.55, 50)
    assert undecided.status == "INCONCLUSIVE"
    assert verdict(1.0, 1.0, 50).status == "VACUOUS"
    near = verdict(1.0, 0.5, 8000)
    assert near.status == "CONSISTENT"
    assert "would have been refuted" in near.reason
    assert near.evidence.trials == 8000


def test_a_range_is_declared_never_guessed(monkeypatch):
    """No negative value was seen, yet the mean is far below the bound: rare losses of 1000 make up for it."""

    def measure(game, rng, *, n):
        return {"x": 1.0 if rng.random() < 0.999 else -10_000.0}

    with pytest.raises(PluginError, match=r"is about a mean: declare the range of 'x'"):
        _ = make_plugin(measure, OnAverage(), constant(0.1)).claims
    for within in (lambda: (-math.inf, math.inf), lambda: (-math.inf, 1)):
        verdict = judged(make_plugin(measure, OnAverage(), constant(0.1), within=within), monkeypatch, seeds=100)
        assert verdict.status == "INCONCLUSIVE"
        assert "finite lower end" in verdict.reason
    unbounded = make_plugin(
        lambda game, rng, *, n: {"x": rng.exponential()}, OnAverage(), constant(0.1), within=lambda: (0, math.inf)
    )
    assert judged(unbounded, monkeypatch, seeds=100).status == "REFUTED"


def test_lower_bounds_on_means(monkeypatch):
    def measure(game, rng, *, n):
        return {"x": float(rng.random() < 0.5)}

    for bound, status in ((0.2, "SUPPORTED"), (0.8, "REFUTED"), (0.0, "VACUOUS")):
        plugin = make_plugin(measure, OnAverage(), constant(bound), within=lambda: (0, 1), relation=">=")
        assert judged(plugin, monkeypatch, seeds=400).status == status


def constant(value):
    """A bound without names."""
    return lambda: value


def test_one_bad_instance_among_many_refutes(monkeypatch):
    def measure(game, rng, *, n):
        return {"x": float(rng.random() < game.scale)}

    plugin = make_plugin(measure, OnAverage(), lambda: 0.5, within=lambda: (0, 1), instances=(0.1,) * 9 + (0.95,))
    verdict = judged(plugin, monkeypatch, seeds=300)
    assert verdict.status == "REFUTED"
    assert verdict.counterexample.label == "scale-9"


def test_runs_that_do_not_fit_together_are_an_error(monkeypatch):
    def ragged(game, rng, *, n):
        return {"x": np.zeros(int(rng.integers(1, 5)))}

    verdict = judged(make_plugin(ragged, OnAverage(), lambda: 1, within=lambda: (0, 2)), monkeypatch, seeds=40)
    assert verdict.status == "ERROR"
    assert "entries in one run and" in verdict.reason

    def moving(game, rng, *, n):
        return {"x": 0.5, "level": float(rng.random())}

    verdict = judged(make_plugin(moving, OnAverage(), lambda level: level, within=lambda: (0, 2)), monkeypatch, seeds=40)
    assert verdict.status == "ERROR"
    assert "the bound or the range changes from run to run" in verdict.reason


def test_rounding_over_the_end_of_a_range_is_no_fault(monkeypatch):
    def measure(game, rng, *, n):
        return {"x": 1.0 + 2.0**-52}

    verdict = judged(make_plugin(measure, OnAverage(), lambda: 0.5, within=lambda: (0, 1)), monkeypatch, seeds=100)
    assert verdict.status == "REFUTED"


def test_seeds_that_draw_an_instance_each_are_pooled(monkeypatch):
    def verdict(bound, seeds=300, high=1):
        plugin = Plugin("toy", api=1, title="t", source="s")
        plugin.sample(lambda rng: Scale(float(rng.integers(1, 5))))
        plugin.run(draws_instance=True)(lambda game, rng: {"x": game.scale * (rng.random() < 0.5)})
        plugin.claim("x", holds=OnAverage(), source="s", within=lambda scale: (0, high * scale))(bound)
        return judged(plugin, monkeypatch, seeds=seeds)

    assert verdict(lambda scale: 0.2 * scale).status == "REFUTED"
    fine = verdict(lambda scale: 0.8 * scale)
    assert fine.status == "CONSISTENT"  # of the family as a whole: no single instance was seen twice
    assert fine.evidence.statistic == pytest.approx(0.5 / 0.8, rel=0.15)
    assert fine.evidence.margin == pytest.approx(1 - fine.evidence.statistic)
    assert verdict(lambda scale: 0.5 * scale).status == "INCONCLUSIVE"
    assert verdict(lambda scale: 1.5 * scale).status == "VACUOUS"


def test_high_probability_claims(monkeypatch):
    def measure(game, rng, *, n):
        return {"x": 2.0 * (rng.random() < game.scale)}

    def verdict(failure, seeds):
        plugin = make_plugin(measure, WithProbability(0.9), lambda: 1, within=lambda: (0, 2), instances=(failure,))
        return judged(plugin, monkeypatch, seeds=seeds)

    assert verdict(0.0, 100).status == "SUPPORTED"
    assert verdict(0.5, 100).status == "REFUTED"
    few = verdict(0.0, 10)
    assert few.status == "INCONCLUSIVE"
    assert few.evidence.seeds_needed == 59
    assert verdict(0.0, 59).status == "SUPPORTED"
    assert verdict(0.0, 58).status == "INCONCLUSIVE"


def test_statistical_claims_stop_when_they_are_decided(monkeypatch):
    def measure(game, rng, *, n):
        return {"x": float(rng.random() < 0.5)}

    plugin = make_plugin(measure, OnAverage(), lambda: 0.95, within=lambda: (0, 1))
    verdict = judged(plugin, monkeypatch, seeds=100_000)
    assert verdict.status == "SUPPORTED"
    assert verdict.evidence.trials == 32


def test_a_decision_stands_whatever_other_claims_ask_for(monkeypatch):
    """A statistical claim is decided at the same look alone and beside a claim that needs every seed."""

    def plugin_with(*pathwise):
        plugin = Plugin("toy", api=1, title="t", source="s")
        plugin.run()(lambda game, rng: {"x": float(rng.random() < 0.5), "y": 0.5})
        for name in pathwise:
            plugin.claim("y", holds=Always(), source="s")(named(name))

        @plugin.claim("x", holds=OnAverage(), source="s", within=lambda: (0, 1))
        def mean_is_small():
            return 0.8

        plugin.reference("only", Scale(1.0))
        return plugin

    def found(plugin):
        monkeypatch.setattr("theorylab.run.check.load", lambda locator: plugin)
        report = check(Request(Locator("toy", "x", "test"), seeds=3000), "test")
        return next(v for v in report.verdicts if v.claim == "mean-is-small")

    alone, beside = found(plugin_with()), found(plugin_with("below_one"))
    assert alone.status == "SUPPORTED"
    assert (alone.reason, alone.evidence) == (beside.reason, beside.evidence)
    assert alone.evidence.trials < 100


def named(name):
    """A bound of 1 under this name."""

    def bound():
        return 1

    bound.__name__ = name
    return bound


def test_the_looks_cover_every_seed_once():
    from theorylab.run.judge import looks

    for seeds in (1, 31, 32, 33, 100, 10_000):
        found = looks(seeds)
        assert found[-1] == seeds
        assert found == sorted(set(found))
        assert found[0] == min(32, seeds)


def test_rates_are_consistent_or_refuted_but_never_supported(monkeypatch):
    n = 100.0 * 2.0 ** np.arange(5)

    def measure(game, rng, *, n=n):
        return {"x": n**-game.scale * rng.uniform(0.8, 1.2, 5), "k": n}

    def verdict(true, claimed, bound, **options):
        plugin = Plugin("toy", api=1, title="t", source="s")
        plugin.run()(lambda game, rng: measure(game, rng))
        plugin.claim("x", holds=AtRate(claimed, along="k", **options), source="s", within=lambda: (0, 2))(bound)
        plugin.reference("only", Scale(true))
        return judged(plugin, monkeypatch, seeds=200)

    no_constant = constant(None)
    assert verdict(0.5, 0.5, no_constant).status == "CONSISTENT"
    assert verdict(0.3, 0.5, no_constant).status == "INCONCLUSIVE"  # no constant: nothing finite refutes it
    assert verdict(0.5, 0.5, lambda k: 1.1 / k**0.5).status == "CONSISTENT"
    assert verdict(0.3, 0.5, lambda k: 1.1 / k**0.5).status == "REFUTED"
    assert verdict(0.0, 0.5, no_constant, doubling=0.1).status == "REFUTED"
    assert verdict(0.5, 0.5, no_constant, doubling=0.1).status == "CONSISTENT"


def test_rates_along_a_sweep(monkeypatch):
    def swept(name, true):
        plugin = Plugin("toy", api=1, title="t", source="s")

        @plugin.run(horizon=7)
        def run(game, rng, *, horizon):
            n = horizon if name == "horizon" else game.scale
            return {"x": n**-true * rng.uniform(0.9, 1.1)}

        sweep = Sweep(name, [10, 20, 40, 80, 160])
        plugin.claim("x", holds=AtRate(0.5, along=sweep, doubling=0.1), source="s", within=lambda: (0, 2))(constant(None))
        plugin.reference("only", Scale(1.0))
        return judged(plugin, monkeypatch, seeds=300)

    for name in ("horizon", "scale"):  # a parameter of the run, a field of the instance
        good = swept(name, 0.5)
        assert good.status == "CONSISTENT", good.reason
        assert good.evidence.statistic == pytest.approx(-0.5, abs=0.02)
        assert swept(name, 0.0).status == "REFUTED"
    with pytest.raises(PluginError, match="at least 2 values"):
        Sweep("horizon", [10])
