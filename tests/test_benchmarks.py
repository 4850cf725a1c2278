"""The benchmarks say what they measure: answers are compared first, and rows that miss their target are marked."""

from __future__ import annotations

import importlib
import math
import sys
import time
from fractions import Fraction

import numpy as np
import pytest

from .conftest import ROOT


@pytest.fixture(scope="module")
def part():
    """`part("race")`: a module of the benchmarks, which are no part of the distribution."""
    sys.path.insert(0, str(ROOT))
    try:
        yield lambda name: importlib.import_module(f"benchmarks.{name}")
    finally:
        sys.path.remove(str(ROOT))


def test_a_row_is_the_peers_time_over_ours(part):
    race = part("race")
    quick, slow = (lambda seconds: lambda: time.sleep(seconds))(0.002), (lambda seconds: lambda: time.sleep(seconds))(0.01)
    (row,) = race.race("g", "w", quick, [race.Peer("p", slow, "same")], rounds=2)
    assert row.ratio > 1.5  # five times, but for what a busy machine adds to a short sleep
    assert row.least <= row.ratio <= row.most
    assert row.is_met
    (row,) = race.race("g", "w", slow, [race.Peer("p", quick, "same"), race.Peer("q", quick, "other", None)], rounds=1)[:1]
    assert not row.is_met
    timed = race.Peer("times itself", lambda: None, "same", seconds=lambda: 1.0)
    assert 20.0 < race.race("g", "w", slow, [timed], rounds=1)[0].ratio <= 100.0


def test_nothing_is_timed_that_does_not_agree(part):
    race = part("race")
    assert race.agree("p", 3e-10, 1e-9) == "values agree to 3e-10"
    for error in (1e-3, math.nan):
        with pytest.raises(race.Disagreement, match="p: values differ by"):
            race.agree("p", error, 1e-9)


def test_planning_refuses_values_that_are_not_as_certain_as_they_say(part):
    planning = part("planning")
    from theorylab.solvers.dynamic_programming import Values

    def improved(v):
        return 1.0 + 0.9 * v

    right = Values(np.array([10.0 - 1e-9]), np.array([10.0 + 1e-9]), np.zeros(1, dtype=np.int64), 1)
    assert planning.checked("t", lambda: right, improved, 0.9) is right
    for wrong in (
        Values(np.array([9.9]), np.array([9.9]), right.policy, 1),
        Values(np.array([9.0]), np.array([11.0]), right.policy, 1),
    ):
        with pytest.raises(planning.Disagreement):
            planning.checked("t", lambda wrong=wrong: wrong, improved, 0.9)


def test_the_fixed_sample_test_is_the_smallest_of_its_error_and_power(part):
    stopping = part("stopping")
    n = stopping.fixed_sample(0.1, 0.5)

    def power(n):
        def above(k, p):  # P(X >= k), in exact fractions
            p = Fraction(p)
            return sum(math.comb(n, j) * p**j * (1 - p) ** (n - j) for j in range(k, n + 1))

        critical = next(k for k in range(n + 2) if above(k, Fraction(1, 10)) <= Fraction(1, 10**7))
        return above(critical, Fraction(1, 2))

    assert power(n) >= Fraction(9, 10) > power(n - 1)
    used = stopping.sequential(0.1, 0.5, 40, 20 * n, np.random.default_rng(0))
    assert used.max() < 20 * n  # every one ends
    assert (used % stopping.BATCH == 0).all()
    held = stopping.sequential(0.1, 0.05, 40, 320, np.random.default_rng(0))
    assert (held == 320).all()  # a claim that holds is not refuted


def test_the_page_has_every_row_and_marks_what_is_missed(part, tmp_path):
    race, everything = part("race"), part("__main__")
    rows = [
        race.Row("g", "work one", "peer 1.0", 2.0, 1.9, 2.1, 0.5, "values agree to 1e-09"),
        race.Row("g", "work two", "peer 2.0", 0.5, 0.4, 0.6, 0.5, "values agree to 1e-09"),
        race.Row("g", "work three", "peer 3.0", 0.1, 0.1, 0.1, 0.5, "**wrong by 0.7**", None, "it stops too early"),
    ]
    text = everything.markdown(rows, {"growth": ["| a |", "| --- |", "| 1 |"]})
    assert "1 of 2 rows are as wanted" in text
    assert "| work two | 0.5 | peer 2.0 | 0.5 | 0.4 .. 0.6 | **1** |" in text
    assert "- work two, peer 2.0: 0.5 (0.4 .. 0.6), wanted 1." in text
    assert "peer 3.0 (it stops too early)" in text
    assert "## Growth" in text
    again = everything.replaced(text, "growth", ["| b |", "| --- |", "| 2 |"])
    assert "| a |" not in again
    assert again.count("## Growth") == 1
    both = everything.markdown(rows, {"growth": ["| a |"], "memory": ["| m |"]})
    changed = everything.replaced(both, "growth", ["| b |"])
    assert "| b |" in changed
    assert "| m |" in changed
    assert changed.count("## ") == both.count("## ")
    everything.plot(rows, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("name", ["means", "distributional"])
def test_a_race_runs(part, name):
    rows = part(name).rows(quick=True)
    assert rows
    assert all(math.isfinite(row.ratio) and row.ratio > 0.0 for row in rows)
