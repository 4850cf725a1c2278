"""Worst expectations against known values, convex programs and exhaustive search; robust sweeps; the robust-vi plugin."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from theorylab_plugins.robust_vi import algorithm

from theorylab.errors import SolverError
from theorylab.problems.mdp import END, from_arrays, from_table
from theorylab.registry import Locator, load
from theorylab.run.audit import audit
from theorylab.run.check import check
from theorylab.run.records import Request
from theorylab.solvers import programs, robust
from theorylab.solvers.robust import (
    CHI_BALL,
    CHI_PENALTY,
    KL_BALL,
    KL_PENALTY,
    TV_BALL,
    TV_PENALTY,
    W1_BALL,
    W1_PENALTY,
    RobustModel,
    worst_expectation,
)  # fmt: skip

LOCATOR = Locator("robust-vi", "theorylab_plugins.robust_vi:plugin", "theorylab")
WEIGHT, VALUE = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.5, 2.0, 1.0, 3.0])


@pytest.mark.parametrize(
    ("kind", "strength", "wanted"),
    [
        (TV_PENALTY, 0.7, 1.07), (KL_PENALTY, 0.7, 1.3871554848642456822), (CHI_PENALTY, 0.7, 1.6205357142857142857),
        (W1_PENALTY, 0.7, 1.27), (CHI_PENALTY, 0.2, 1.1515625), (TV_BALL, 0.25, 1.325), (KL_BALL, 0.25, 1.2854342250072177953),
        (CHI_BALL, 0.25, 1.4697656821925363485), (W1_BALL, 0.25, 1.45), (CHI_BALL, 2.0, 0.77817541634481457787),
    ],
)  # fmt: skip
def test_known_values(kind, strength, wanted):
    assert worst_expectation(kind, strength, VALUE, WEIGHT).value == pytest.approx(wanted, rel=1e-15)


def test_chi_squared_by_hand():
    """E (a - V)_+ = 0.2 at a = 0.4; without truncation it would be -1/8, below every value."""
    found = worst_expectation(CHI_PENALTY, 0.1, np.array([0.0, 1.0]), np.array([0.5, 0.5]))
    assert found.value == pytest.approx(0.1, abs=1e-15)
    np.testing.assert_allclose(found.weights, [1.0, 0.0], atol=1e-15)


@st.composite
def problems(draw):
    n = draw(st.integers(1, 6))
    weights = np.array([draw(st.sampled_from([0.0, 1.0, 2.0, 5.0, 1e-3])) for _ in range(n)])
    weights[draw(st.integers(0, n - 1))] += 1.0
    value = np.array([draw(st.integers(-4, 4)) / 2 for _ in range(n)])
    return value, weights / weights.sum()


@given(problems(), st.sampled_from(range(8)), st.sampled_from([0.02, 0.3, 1.0, 3.0]))
def test_the_primal_is_met(problem, kind, strength):
    value, weight = problem
    if kind == TV_BALL:
        strength = min(strength, 1.0)
    metric = robust.index_metric(len(value))
    limit = {"radius": strength} if kind <= W1_BALL else {"strength": strength}
    wanted = programs.worst_expectation(algorithm.DIVERGENCES[kind % 4], value, weight, metric=metric, **limit)
    assert worst_expectation(kind, strength, value, weight).value == pytest.approx(wanted, abs=1e-5 * (1 + np.ptp(value)))


@given(problems(), st.sampled_from([0.1, 0.5]))
def test_wasserstein_by_vertices_of_the_plan(problem, radius):
    """For two moves at most: all ways to send each source to one target, mixed with staying, on the cheapest budget."""
    value, weight = problem
    n = len(value)
    if n > 3:
        return
    metric, best = robust.index_metric(n), np.inf
    # An optimal plan mixes at most two deterministic ones (one constraint besides the marginals).
    plans = [(sum(weight[s] * value[t[s]] for s in range(n)), sum(weight[s] * metric[s, t[s]] for s in range(n)))
             for t in itertools.product(range(n), repeat=n)]  # fmt: skip
    for (v, c), (u, d) in itertools.product(plans, repeat=2):
        if min(c, d) <= radius:
            share = 1.0 if max(c, d) <= radius else (radius - min(c, d)) / (max(c, d) - min(c, d))
            cheap, dear = (v, u) if c <= d else (u, v)
            best = min(best, cheap, cheap + share * (dear - cheap))
    assert worst_expectation(W1_BALL, radius, value, weight).value == pytest.approx(best, abs=1e-12)


def test_weights_near_zero_do_not_break_it():
    """A weight of 1e-12 on the smallest value: the distribution still sums to 1 and attains its value."""
    value, weight = np.array([7.3, 3.1]), np.array([1.0 - 2e-12, 2e-12])
    for kind in (KL_BALL, CHI_BALL, KL_PENALTY, CHI_PENALTY):
        for strength in (0.01, 0.3, 2.0):
            found = worst_expectation(kind, strength, value, weight)
            assert found.weights.sum() == pytest.approx(1.0, abs=1e-13)
            D = robust.divergence(kind, found.weights, weight)
            price = strength * D if kind > W1_BALL else 0.0
            assert found.value == pytest.approx(found.weights @ value + price, abs=1e-12)


def test_edges_of_the_parameters():
    for kind in range(4):
        assert worst_expectation(kind, 0.0, VALUE, WEIGHT).value == pytest.approx(WEIGHT @ VALUE, abs=1e-15)
        assert worst_expectation(kind, 1e6 if kind != TV_BALL else 1.0, VALUE, WEIGHT).value == pytest.approx(0.5, abs=1e-12)
        assert worst_expectation(kind, 0.1, np.array([2.0]), np.ones(1)).value == 2.0
    for kind in range(4, 8):
        assert worst_expectation(kind, 1e9, VALUE, WEIGHT).value == pytest.approx(WEIGHT @ VALUE, abs=1e-8)
        assert worst_expectation(kind, 1e-9, VALUE, WEIGHT).value == pytest.approx(0.5, abs=1e-7)
        with pytest.raises(SolverError, match="must be positive and finite"):
            worst_expectation(kind, 0.0, VALUE, WEIGHT)
    with pytest.raises(SolverError, match="radius = nan must be positive"):
        worst_expectation(TV_BALL, float("nan"), VALUE, WEIGHT)


def test_total_variation_may_leave_the_support_and_kl_may_not():
    value, weight = np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.5, 0.5])
    assert worst_expectation(TV_BALL, 0.5, value, weight).value == pytest.approx(0.5, abs=1e-15)
    for kind in (KL_BALL, CHI_BALL):
        assert worst_expectation(kind, 100.0, value, weight).value == 1.0


# -- sweeps -----------------------------------------------------------------------------------------------------------------------------


def test_robust_values_by_hand():
    """Two states, one action: the adversary moves a tenth of the mass from the good state to the bad one at every step."""
    mdp = from_arrays([[1.0, 0.0], [0.0, 1.0]], [1.0, 0.0], 0.9)
    found = robust.robust_value_iteration(RobustModel.of(mdp), TV_BALL, 0.1, accuracy=1e-12)
    assert found.value == pytest.approx([1.0 / (1.0 - 0.9 * 0.9), 0.0], abs=1e-11)
    penalised = robust.robust_value_iteration(RobustModel.of(mdp), TV_PENALTY, 0.5, accuracy=1e-12)
    assert penalised.value == pytest.approx([1.0 + 0.9 * 0.5, 0.0], abs=1e-11)


def test_the_end_is_a_state_only_where_episodes_end():
    alone = from_arrays([[[1.0]]], [[1.0]], 0.5)
    assert robust.robust_value_iteration(RobustModel.of(alone), TV_BALL, 0.5).value == pytest.approx([2.0], abs=1e-8)
    ending = from_table([[[(1.0 - 1e-9, 1.0, 0), (1e-9, 1.0, END)]]], 0.5)
    assert robust.robust_value_iteration(RobustModel.of(ending), TV_BALL, 0.5).value == pytest.approx([1.0 / 0.75], abs=1e-6)


def test_sweeps_need_a_discount():
    with pytest.raises(SolverError, match="discount below 1"):
        RobustModel.of(from_table([[[(1.0, 1.0, END)]]], 1.0))


# -- the plugin ---------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plugin():
    return load(LOCATOR)


def test_every_claim_is_supported():
    for verdict in check(Request(LOCATOR, seeds=30), "test").verdicts:
        assert verdict.status == "SUPPORTED", (verdict.claim, verdict.status, verdict.reason)


@pytest.mark.parametrize("half", [0, 1])
def test_the_kill_matrix_is_full(plugin, half):
    mutants = sorted(plugin.mutants)[half::2]
    result = audit(Request(LOCATOR, seeds=16), mutants=mutants)
    for name in mutants:
        killers = {claim for claim, row in result.matrix.items() if row[name]}
        assert killers >= set(plugin.mutants[name].refuted_by), name


@pytest.mark.full
def test_no_claim_is_toothless():
    assert audit(Request(LOCATOR, seeds=16)).is_clean


@pytest.mark.parametrize(
    ("claim", "at", "value"),
    [
        ("kl-gap-is-small", {"support_spread": 3.0, "strength": 0.5}, 9 / 4),
        ("chi2-gap-is-small", {"variance": 3.0, "strength": 0.5}, 1.5),
        ("backup-contracts", {"discount": 0.9, "start_distance": 2.0}, 1.8),
        ("sweeps-converge", {"discount": 0.5, "n": 3.0, "largest_reward": 4.0}, 1.0),
        ("greedy-policy-is-good", {"discount": 0.9, "greedy_distance": 0.1}, 1.8),
    ],
)
def test_bounds_are_those_of_the_theorems(plugin, claim, at, value):
    assert float(plugin.claims[claim].bound(at)) == pytest.approx(value, rel=1e-14)


def test_the_range_that_total_variation_leaves():
    assert algorithm.range_limit(TV_BALL, 0.25, 2.0, 0.8) == pytest.approx(2.0 / (1 - 0.8 * 0.75))
    assert algorithm.range_limit(TV_PENALTY, 0.5, 2.0, 0.8) == pytest.approx(2.4)


@pytest.mark.parametrize("kind", range(8))
def test_small_errors_of_the_strength_are_found(kind):
    """One part in a hundred more or less radius or strength moves the value by far more than the program's error."""
    rng = np.random.default_rng(0)
    value, weight, strength = rng.random(6), rng.dirichlet(np.ones(6)), 0.05 if kind == W1_BALL else 0.2
    metric = robust.index_metric(6) / 6
    limit = {"radius": strength} if kind <= W1_BALL else {"strength": strength}
    wanted = programs.worst_expectation(algorithm.DIVERGENCES[kind % 4], value, weight, metric=metric, **limit)
    assert worst_expectation(kind, strength, value, weight, metric).value == pytest.approx(wanted, abs=1e-6)
    assert abs(worst_expectation(kind, 1.01 * strength, value, weight, metric).value - wanted) > 2e-5


def test_caution_pays_where_it_should(plugin):
    """On the bridge the nominal policy takes the short way; one who fears a move of a tenth takes the long one."""
    rows = {row[0]: row for row in algorithm.caution(plugin.references["bridge"], (0.0, 0.01, 0.3))}
    assert rows[0.0][4] == 0
    for radius, best, nominal, price, _ in rows.values():
        assert best >= nominal - 1e-6, radius
        assert price >= best - 1e-6, radius
    assert rows[0.0][1] >= rows[0.01][1] >= rows[0.3][1]


def test_frozen_lake_through_the_command_line(command, tmp_path):
    done = command("check", "robust-vi", "--instance", "gym:FrozenLake-v1?discount=0.95", "--plots", tmp_path, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("0 "))
    assert row[1] == row[2] == row[3], "without uncertainty caution costs and gains nothing"
    assert (tmp_path / "robust-gym-FrozenLake-v1-discount-0.95.png").exists()
