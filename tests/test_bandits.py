"""Bandit instances: validation, reward laws against quadrature, families, files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.stats import norm

from theorylab.errors import InstanceError
from theorylab.problems.bandit import Bandit, bernoulli, clipped_gaussian, deterministic, two_point
from theorylab.problems.bandit_families import bandits, random_bandit
from theorylab.problems.bandit_files import read_bandit
from theorylab.problems.record import build_instance, load_instance, save_instance, to_json


@pytest.mark.parametrize(("mean", "deviation"), [(0, 0.5), (0.9, 0.05), (-0.3, 1.0), (0.2, 0.02), (0.99, 0.9), (-3, 0.2)])
def test_clipped_gaussians_have_their_moments(mean, deviation):
    values, masses = clipped_gaussian([mean, mean], deviation).law
    assert np.abs(values).max() <= 1.0
    assert masses[0].sum() == pytest.approx(1.0, rel=1e-15)
    for power in (1, 2):
        inner = quad(lambda x, k=power: x**k * norm.pdf(x, mean, deviation), -1, 1, points=[np.clip(mean, -1, 1)], epsabs=1e-14)[
            0
        ]
        exact = (-1) ** power * norm.cdf(-1, mean, deviation) + norm.sf(1, mean, deviation) + inner
        assert (values[0] ** power * masses[0]).sum() == pytest.approx(exact, abs=1e-13)


def test_gaps_are_what_they_are_called():
    bandit = two_point([0.5, 0.1, 0.4, 0.1])
    assert bandit.best_gap == pytest.approx(0.1)
    assert bandit.smallest_gap == 0.0
    assert bandit.largest_gap == pytest.approx(0.4)
    assert bandit.best_arm == 0
    assert_allclose(bandit.gaps, [0, 0.4, 0.1, 0.4], atol=1e-15)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"atoms": [0.5]}, "at least 2 arms"),
        ({"atoms": [[0, 1], [0, 1]]}, "weights must say"),
        ({"atoms": [[0, 1], [0, 1]], "weights": [[0.5, 0.5], [0.5, 0.4]]}, r"weights\[1\] sums to 0.9"),
        ({"atoms": [[0, 1], [0, 1]], "weights": [[0.5, 0.5], [1.5, -0.5]]}, r"weights\[1, 0\] = 1.5"),
        ({"atoms": [0.5, float("nan")]}, r"atoms\[1, 0\] is nan|atoms\[1\] is nan"),
        ({"atoms": [0.5, 3.0], "reward_bound": 1.0}, r"atoms\[1, 0\] = 3 lies outside \[-1, 1\]"),
        ({"atoms": [0.5, 0.1], "reward_bound": -1.0}, "must be positive"),
        ({"atoms": [0.5, 0.1], "deviations": [0.1, 0.1]}, "reward_bound is missing"),
        ({"atoms": [0.5, 0.1], "start": [0.0]}, "start has shape"),
        ({"atoms": [0.5, 0.1], "labels": ("a", "a")}, "'a' occurs twice"),
        ({"atoms": [0.5, "x"]}, r"atoms\[1\] is 'x', not a number"),
    ],
)
def test_bad_bandits_are_refused_by_name(fields, message):
    with pytest.raises(InstanceError, match=message):
        build_instance(Bandit, fields, "here")


@given(bandits())
def test_strategy_makes_bandits_that_go_to_files_and_back(bandit):
    again = build_instance(Bandit, json.loads(json.dumps(to_json(bandit))) | {"labels": bandit.labels}, "json")
    assert again.digest() == bandit.digest()
    assert np.abs(bandit.law[0][bandit.law[1] > 0]).max() <= bandit.reward_bound


@given(st.integers(0, 2**32 - 1))
def test_declared_family_is_valid_and_varied(seed):
    bandit = random_bandit(np.random.default_rng(seed))
    assert 2 <= bandit.arm_count <= 100
    assert np.ptp(bandit.start) <= 700


def test_declared_family_holds_what_it_promises():
    drawn = [random_bandit(np.random.default_rng(i)) for i in range(400)]
    assert {2, 3, 100} <= {b.arm_count for b in drawn}
    assert any(0 < b.best_gap < 2.0**-15 for b in drawn)
    assert any(b.smallest_gap == 0 < b.best_gap for b in drawn)
    assert any((b.deviations > 0).any() for b in drawn)
    assert any(np.ptp(b.start) > 300 for b in drawn)
    assert any((b.law[1].max(axis=1) == 1).all() for b in drawn)


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_files_of_means(tmp_path):
    bandit = read_bandit(written(tmp_path, "a.csv", "arm,mean\nx,0.5\ny,0.25\n"))
    assert bandit.labels == ("x", "y")
    assert bandit.digest() == bernoulli([0.5, 0.25], labels=("x", "y")).digest()
    assert read_bandit(written(tmp_path, "b.csv", "0.5, -0.25, 0\n")).digest() == two_point([0.5, -0.25, 0]).digest()
    gaussian = read_bandit(written(tmp_path, "c.csv", "name;mean;sd\nx;0.5;0.1\ny;2;0.3\n"))
    assert gaussian.reward_bound == 2.0
    assert_allclose(gaussian.deviations, [0.1, 0.3])
    fixed = read_bandit(written(tmp_path, "d.json", '{"means": [1, 0.5], "rewards": "deterministic", "start": [0, 2]}'))
    assert fixed.digest() == deterministic([1, 0.5], None, start=[0, 2]).digest()


def test_files_of_rewards(tmp_path):
    wide = read_bandit(written(tmp_path, "a.csv", "x,y\n1,0\n0,\n1,0.5\n"))
    assert_allclose(wide.means, [2 / 3, 0.25])
    long = read_bandit(written(tmp_path, "b.tsv", "action\treward\tprobability\nx\t1\t0.25\nx\t-1\t0.75\ny\t0\t1\n"))
    assert_allclose(long.means, [-0.5, 0.0])
    logged = read_bandit(written(tmp_path, "c.csv", "arm,reward\nx,1\ny,0\nx,0\n"))
    assert_allclose(logged.means, [0.5, 0.0])


def test_saved_instances_are_read_again(tmp_path):
    bandit = clipped_gaussian([0.1, 0.4], 0.2, start=[1.0, 0.0])
    save_instance(bandit, tmp_path / "b.json")
    assert read_bandit(tmp_path / "b.json").digest() == bandit.digest()
    np.savez(tmp_path / "b.npz", atoms=[[0.0, 1.0], [0.0, 1.0]], weights=[[0.5, 0.5], [0.2, 0.8]])
    assert_allclose(load_instance(Bandit, tmp_path / "b.npz").means, [0.5, 0.8])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "arm,mean\nx,high\ny,1\n", "line 2, column 'mean' is 'high', not a number"),
        ("a.csv", "arm,mean\nx\n", "line 2, column 'mean' is missing"),
        ("a.csv", "arm,mean\nx,nan\ny,1\n", "every entry must be a finite number"),
        ("a.csv", "x,y\n1,oops\n", "line 2, column 'y' is 'oops'"),
        ("a.csv", "x,y\n1,\n", "arm 'y' has no reward"),
        ("a.csv", "x,x\n1,2\n", "the column 'x' occurs twice"),
        ("a.csv", "x,y\n1,2,3\n", "3 cells for 2 arms"),
        ("a.csv", "1,2\n3,4\n", "the first row must name the arms"),
        ("a.csv", "arm,reward,count\nx,1,-2\ny,1,1\n", "cannot be negative"),
        ("a.csv", "", "is empty"),
        ("a.csv", "arm,mean\nonly,0.5\n", "at least 2 arms"),
        ("a.json", '{"means": [0.1, 0.2], "atoms": [1, 2]}', "Keep one"),
        ("a.json", '{"means": [0.1, 0.2], "rewards": "beta"}', "'beta' is none of"),
        ("a.json", '{"means": [0.1, 0.2], "colour": 1}', "beside 'means' only"),
        ("a.json", "{}", "neither 'means' nor 'atoms'"),
        ("a.json", '{"means": [0.1, 1.2], "rewards": "bernoulli"}', r"means\[1\] = 1.2 lies outside \[0, 1\]"),
    ],
)
def test_bad_files_are_refused_by_place(tmp_path, name, text, message):
    with pytest.raises(InstanceError, match=message) as caught:
        read_bandit(written(tmp_path, name, text))
    assert str(caught.value).startswith(str(tmp_path / name))
