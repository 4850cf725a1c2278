"""A small version of the published calibration, and the traps: attained bounds stand, bounds wrong by 1 % fall."""

from __future__ import annotations

import importlib.util
import math
import re
import sys

import numpy as np
import pytest
from scipy import stats

from theorylab import AtRate, OnAverage, Plugin, WithProbability
from theorylab.registry import Locator
from theorylab.run.check import check
from theorylab.run.records import Request

from .conftest import ROOT
from .toys import Scale

EXPERIMENTS = 1000
CHANCE = 1e-9  # with a fixed seed these tests cannot flake; over all seeds they would fail with this probability per cell


def benchmark(name):
    """A module of the benchmarks, which are no part of the distribution."""
    spec = importlib.util.spec_from_file_location(f"benchmarks.{name}", ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def calibration():
    return benchmark("calibration")


@pytest.fixture(scope="module")
def rows(calibration):
    rng = np.random.default_rng(12)
    calibration.same_as_library(rng)
    rows = [row for null in calibration.NULLS for row in calibration.mean_rows(null, EXPERIMENTS, rng)]
    return rows + calibration.family_rows(EXPERIMENTS, rng) + calibration.rate_rows(EXPERIMENTS, rng)


def test_no_sound_procedure_alarms_more_often_than_it_says(calibration, rows):
    for row in rows:
        if "slope" in row.procedure:
            continue  # approximate by design, and never a gate
        for alarms, level in zip(row.alarms, calibration.LEVELS, strict=True):
            assert alarms <= stats.binom.ppf(1 - CHANCE, row.experiments, level), (row, level)


def test_the_experiments_would_show_an_unsound_procedure(calibration, rows):
    """The exact binomial test spends nearly its whole level, and peeking at it would overspend: the nulls are alive."""
    exact = next(r for r in rows if r.null == "Bernoulli(0.1)" and r.procedure.startswith("exact binomial"))
    assert exact.alarms[0] >= stats.binom.ppf(CHANCE, EXPERIMENTS, 0.047)
    rng = np.random.default_rng(3)
    x = (rng.random((EXPERIMENTS, 400)) < 0.1).astype(float)
    n = np.arange(1, 401)
    z = (np.cumsum(x, axis=1) / n - 0.1) / np.sqrt(0.09 / n)
    peeking = int((z[:, 20:] > stats.norm.ppf(0.95)).any(axis=1).sum())
    assert peeking > stats.binom.ppf(1 - CHANCE, EXPERIMENTS, 0.05)


def test_the_published_table_is_full_size_and_current(calibration, rows):
    page = calibration.OUTPUT.read_text()
    assert "Share of 10,000 experiments" in page
    published = set(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", page, re.M))
    assert {(row.null, row.procedure) for row in rows} <= published


# -- traps ---------------------------------------------------------------------------------------------------------------------


def checked(monkeypatch, plugin, **request):
    monkeypatch.setattr("theorylab.run.check.load", lambda locator: plugin)
    return check(Request(Locator(plugin.name, "x", "test"), **request), "test").verdicts[0]


def batched_plugin(draw, holds, bound, **options):
    """A plugin that draws its one measure for a whole block of seeds at once."""
    plugin = Plugin("trap", api=1, title="t", source="s")

    @plugin.run(batched=True)
    def run(game, rngs):
        return {"x": np.array([draw(rng) for rng in rngs])}

    plugin.claim("x", holds=holds, source="s", **options)(bound)
    plugin.reference("only", Scale(1.0))
    return plugin


@pytest.mark.parametrize("level", [0.5, 0.1, 0.01])
def test_a_mean_that_is_attained_exactly_is_not_refuted_in_ten_thousand_runs(monkeypatch, level):
    plugin = batched_plugin(lambda rng: float(rng.random() < level), OnAverage(), lambda: level, within=lambda: (0, 1))
    verdict = checked(monkeypatch, plugin, seeds=10_000)
    assert verdict.status in ("CONSISTENT", "INCONCLUSIVE")
    assert verdict.evidence.trials == 10_000


def test_a_failure_probability_that_is_attained_exactly_is_not_refuted_in_ten_thousand_runs(monkeypatch):
    plugin = batched_plugin(lambda rng: float(rng.random() < 0.05), WithProbability(0.95), lambda: 0.5, within=lambda: (0, 1))
    verdict = checked(monkeypatch, plugin, seeds=10_000)
    assert verdict.status in ("CONSISTENT", "INCONCLUSIVE")


def test_ten_thousand_checks_of_attained_bounds_raise_no_alarm(calibration):
    """The default level, 1e-6, looked at after each of 500 observations, in 10,000 experiments: none expected, none seen."""
    rng = np.random.default_rng(8)
    for _ in range(20):
        x = (rng.random((500, 500)) < 0.1).astype(float)
        assert calibration.grid_path(x, 0.1).max() < math.log(1e6)
        assert calibration.binomial_path(x, 0.1).max() < math.log(1e6)


def test_a_rate_that_is_attained_exactly_is_not_refuted(monkeypatch):
    n = 100.0 * 2.0 ** np.arange(5)
    plugin = Plugin("trap", api=1, title="t", source="s")
    plugin.run()(lambda game, rng: {"x": n**-0.5 * rng.uniform(0.5, 1.5, 5), "k": n})
    plugin.claim("x", holds=AtRate(0.5, along="k", doubling=0.0), source="s", within=lambda: (0, 1))(lambda k: 1 / k**0.5)
    plugin.reference("only", Scale(1.0))
    assert checked(monkeypatch, plugin, seeds=3000).status == "CONSISTENT"


def test_a_bound_wrong_by_one_percent_falls_within_the_seeds_of_the_power_table(monkeypatch, calibration):
    page = calibration.OUTPUT.read_text()
    row = re.search(r"\| mean: Beta, cv 0.1, bound 0.2 \| 1% \| [\d,]+ \| ([\d,]+) \|", page)
    ninety = int(row.group(1).replace(",", ""))
    concentration = (1 - 0.202) / (0.202 * 0.1**2) - 1
    plugin = batched_plugin(
        lambda rng: float(rng.beta(0.202 * concentration, 0.798 * concentration)), OnAverage(), lambda: 0.2, within=lambda: (0, 1)
    )
    verdict = checked(monkeypatch, plugin, seeds=2 * ninety, alpha=1e-6)
    assert verdict.status == "REFUTED"
    assert verdict.evidence.statistic == pytest.approx(0.202, rel=0.005)
    assert verdict.evidence.error_probability == 1e-6


@pytest.mark.full
def test_full_size_calibration(calibration):
    rows, _ = calibration.run(10_000, 2, 1)
    for row in rows:
        if "slope" not in row.procedure:
            for alarms, level in zip(row.alarms, calibration.LEVELS, strict=True):
                assert alarms <= stats.binom.ppf(1 - CHANCE, row.experiments, level), (row, level)
