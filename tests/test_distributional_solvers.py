"""Solvers for values and laws of returns, against closed forms, linear programs, enumeration, published values and QuantEcon's method."""

from __future__ import annotations

import dataclasses
from fractions import Fraction as F
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from theorylab_plugins.categorical_dp import oracle

from theorylab.errors import SolverError
from theorylab.problems.mdp import END, MDP, exact, exact_table, from_arrays, from_table
from theorylab.problems.mdp_families import processes, random_process, random_stock_problem, stock_problems
from theorylab.problems.mdp_files import read_mdp
from theorylab.solvers import categorical, dynamic_programming, exact_returns, quantile, stock
from theorylab.solvers.categorical import Backup
from theorylab.solvers.programs import cvar_of_law


def law_strategy(size=6):
    atoms = st.lists(st.integers(-8, 8).map(lambda k: k / 4), min_size=1, max_size=size)
    return atoms.flatmap(
        lambda x: st.lists(st.integers(1, 5), min_size=len(x), max_size=len(x)).map(
            lambda w: (np.array(x), np.array(w) / np.sum(w))
        )
    )


def chain(P, r, discount):
    return from_arrays(np.array(P, dtype=float), np.array(r, dtype=float), discount)


# -- values -----------------------------------------------------------------------------------------------------------------------


def optimal_value(mdp):
    """By policy iteration with exact linear solves: nothing shared with the sweeps."""
    S, A = mdp.state_count, mdp.action_count
    P, r = mdp.transition_matrix().reshape(S, A, S), mdp.expected_rewards().reshape(S, A)
    policy = np.zeros(S, dtype=int)
    while True:
        rows = np.arange(S)
        value = np.linalg.solve(np.eye(S) - mdp.discount * P[rows, policy], r[rows, policy])
        q = r + mdp.discount * P @ value
        better = q.max(axis=1) > q[rows, policy] + 1e-12 * (1 + np.abs(value).max())
        if not better.any():
            return value
        policy = np.where(better, q.argmax(axis=1), policy)


@pytest.mark.parametrize("seed", range(40))
def test_values_are_enclosed(seed):
    mdp = random_process(np.random.default_rng(seed))
    found = dynamic_programming.solve(mdp, accuracy=1e-9)
    value = optimal_value(mdp)
    slack = 1e-12 * (1 + np.abs(value).max()) / (1 - mdp.discount)
    assert (found.low <= value + slack).all()
    assert (value <= found.high + slack).all()
    assert found.error <= 1e-9
    assert optimal_value(mdp.under(np.eye(mdp.action_count)[found.policy])) == pytest.approx(value, abs=4e-9 / (1 - mdp.discount))


def test_dense_and_sparse_values_agree():
    rng = np.random.default_rng(0)
    P, r = rng.dirichlet(np.ones(30), (30, 3)), rng.random((30, 3))
    dense = dynamic_programming.solve_dense(P, r, 0.95, accuracy=1e-9)
    sparse = dynamic_programming.solve(from_arrays(P, r, 0.95), accuracy=1e-9)
    np.testing.assert_allclose(dense.value, sparse.value, atol=2e-9)
    np.testing.assert_array_equal(dense.policy, sparse.policy)
    assert (dense.low <= sparse.high).all()
    assert (sparse.low <= dense.high).all()


def test_a_wrong_answer_would_lie_outside_the_enclosure():
    mdp = chain([[0.3, 0.7], [0.6, 0.4]], [1, 0], 0.9)
    found = dynamic_programming.solve(mdp, accuracy=1e-6)
    assert (
        not (found.low <= optimal_value(mdp.replace(discount=0.9001))).all()
        or not (optimal_value(mdp.replace(discount=0.9001)) <= found.high).all()
    )


def test_values_need_a_discount():
    with pytest.raises(SolverError, match="discount below 1, not 1"):
        dynamic_programming.solve(from_table([[[(1.0, 1.0, END)]]], 1.0))


# -- categorical laws -------------------------------------------------------------------------------------------------------------


def test_projection_at_known_values():
    grid = np.linspace(0, 2, 5)
    found = categorical.project(np.array([-0.5, 0.3, 1.7]), np.array([0.25, 0.5, 0.25]), grid)
    np.testing.assert_allclose(found, [0.45, 0.3, 0, 0.15, 0.1], atol=1e-15)


def test_the_coin_of_binary_digits():
    """Returns are uniform: on [1, 2] after a first reward of 1, on [0, 1] after one of 0."""
    mdp, grid = chain([[0.5, 0.5], [0.5, 0.5]], [1, 0], 0.5), np.linspace(0, 2, 5)
    for found in (categorical.evaluate(Backup.of(mdp, grid)).weights, categorical.fixed_point(mdp, grid)):
        np.testing.assert_allclose(found, [[0, 0, 0.25, 0.5, 0.25], [0.25, 0.5, 0.25, 0, 0]], atol=1e-12)
        fine = (np.arange(200_000) + 0.5) / 200_000  # midpoints: a law within 1/400,000 of the uniform one
        uniform = (fine, np.full(len(fine), 1 / len(fine)))
        assert oracle.wasserstein((grid, found[1]), uniform, 1) == pytest.approx(1 / 8, abs=1e-5)
        assert oracle.cramer_squared((grid, found[1]), uniform) == pytest.approx(1 / 48, abs=1e-5)


def test_three_atoms_in_closed_form():
    mdp, grid = chain([[0.25, 0.75], [0.5, 0.5]], [1, 0], 0.5), np.linspace(0, 2, 3)
    wanted = [[0, 2 / 3, 1 / 3], [5 / 9, 4 / 9, 0]]
    np.testing.assert_allclose(categorical.evaluate(Backup.of(mdp, grid)).weights, wanted, atol=1e-12)
    np.testing.assert_allclose(categorical.fixed_point(mdp, grid), wanted, atol=1e-14)
    np.testing.assert_allclose(
        categorical.direct_fixed_points(categorical.Outcomes.of(mdp, grid), mdp.probabilities), wanted, atol=1e-14
    )


@given(processes(), st.integers(2, 12))
def test_a_sweep_is_its_matrix(mdp, atoms):
    """The kernel's sweep and the operator built outcome by outcome, on laws that the sweep has never seen."""
    process = mdp.under(np.full((mdp.state_count, mdp.action_count), 1 / mdp.action_count))
    low, high = process.return_range()
    for grid in (np.linspace(low - 0.1, high + 0.1, atoms), np.linspace(low + 0.3 * (high - low), high + 0.01, atoms)):
        laws = np.random.default_rng(0).dirichlet(np.ones(atoms), process.state_count)
        matrix, constant = categorical.operator(process, grid)
        swept = categorical.evaluate(Backup.of(process, grid), sweeps=1, start=laws).weights
        np.testing.assert_allclose(swept.ravel(), matrix @ laws.ravel() + constant, atol=1e-10)


def test_policies_from_laws_are_those_from_values():
    for seed in range(30):
        mdp = random_process(np.random.default_rng(seed))
        grid = categorical.default_grid(mdp, 9)
        value = optimal_value(mdp)
        tolerance = 1e-9 * (1 + np.abs(value).max()) / (1 - mdp.discount)
        assert categorical.policy_iteration(mdp, grid).weights @ grid == pytest.approx(value, abs=tolerance)
        if mdp.discount <= 0.9:
            swept = categorical.value_iteration(Backup.of(mdp, grid), sweeps=300)
            assert swept.weights @ grid == pytest.approx(value, abs=tolerance)
            assert swept.policy is not None


def test_frozen_lake():
    """The law of the greedy policy, and how far categorical laws are from it."""
    lake, goal = read_mdp(Path("gym:FrozenLake-v1")), 1.0
    policy = dynamic_programming.solve(lake, accuracy=1e-10).policy
    inner = [s for s in range(16) if s not in (5, 7, 11, 12, 15)]
    np.testing.assert_array_equal(policy[inner], np.array([0, 3, 3, 3, 0, 0, 0, 0, 3, 1, 0, 0, 0, 2, 1, 0])[inner])
    process = lake.under(np.eye(4)[policy])
    # The goal is the only reward: push the chain, and note how much arrives at each step.
    mass, atoms, weights = np.eye(16)[0], [0.0], [0.0]
    for step in range(4000):
        arrived, fresh = 0.0, np.zeros(16)
        for s in np.flatnonzero(mass):
            at = process.outcomes_of(int(s), 0)
            for p, r, to in zip(process.probabilities[at], process.rewards[at], process.successors[at], strict=True):
                if to != END:
                    fresh[to] += mass[s] * p
                arrived += mass[s] * p * (r == goal)
        mass = fresh
        atoms.append(0.99**step)
        weights.append(arrived)
    weights[0] = 1.0 - sum(weights)
    law = np.array(atoms), np.array(weights)
    assert law[0] @ law[1] == pytest.approx(0.5420259320, abs=1e-10)
    assert law[1][0] == pytest.approx(3 / 17, abs=1e-12)
    assert categorical.cvar(*law, 0.25) == pytest.approx(0.0729486858, abs=1e-10)
    assert categorical.cvar(*law, 0.5) == pytest.approx(0.2935769472, abs=1e-10)
    assert law[1] @ (law[0] - law[0] @ law[1]) ** 2 == pytest.approx(0.0946959161, abs=1e-10)
    wanted = {
        11: (0.0327802092, 0.00182893939), 21: (0.0161939576, 0.00048133953), 51: (0.0056823420, 0.0000645515918),
        101: (0.0025492016, 0.0000146348723),
    }  # fmt: skip
    for m, (w1, cramer) in wanted.items():
        grid = categorical.default_grid(lake, m)
        assert (grid[0], grid[-1]) == (0.0, 1.0)
        found = grid, categorical.evaluate(Backup.of(process, grid)).weights[0]
        assert oracle.wasserstein(found, law, 1) == pytest.approx(w1, abs=1e-9)
        assert oracle.cramer_squared(found, law) == pytest.approx(cramer, rel=1e-6)


def test_the_hard_chain():
    from theorylab_plugins.dcfp.algorithm import asymptotics
    from theorylab_plugins.dcfp.instances import hard_chain

    mdp, grid = hard_chain(0.9), np.linspace(0, 10, 11)
    found = asymptotics(mdp, grid, categorical.Outcomes.of(mdp, grid))
    wanted = {"sigma": 0.19226625493808, "resolved": 1.441996912035615, "gini": 1.50107737160987, "avar": 12.760024614484}
    for name, value in wanted.items():
        assert found[name][0] == pytest.approx(value, rel=1e-11)
    law = [0, 0.04098360655737711, 0.04399157768085433, 0.04765754248759217, 0.05225104055868543, 0.05822258805110658,
           0.06639417935652497, 0.0784658483304387, 0.0987150995124876, 0.14258847707359298, 0.37073004039134017]  # fmt: skip
    np.testing.assert_allclose(categorical.fixed_point(mdp, grid)[0], law, atol=1e-13)
    assert categorical.fixed_point(mdp, grid)[0] @ grid == pytest.approx(7.5, abs=1e-12)


def test_the_first_order_variance_is_what_simulation_shows():
    """N E || F_N - F ||^2 over 4,000 estimated models against the exact limit; 20 % covers the terms of order 1/N at N = 400."""
    from theorylab_plugins.dcfp.algorithm import asymptotics

    mdp, grid = chain([[0.5, 0.5], [0.3, 0.7]], [1, 0], 0.8), np.linspace(0, 5, 9)
    outcomes, rng, N = categorical.Outcomes.of(mdp, grid), np.random.default_rng(0), 400
    exactly = asymptotics(mdp, grid, outcomes)
    models = np.concatenate([rng.multinomial(N, row, 4000) / N for row in ([0.5, 0.5], [0.3, 0.7])], axis=1)
    laws = categorical.direct_fixed_points(outcomes, models)
    seen = N * categorical.cramer_squared(laws, categorical.fixed_point(mdp, grid), grid).mean(axis=0)
    np.testing.assert_allclose(seen, exactly["avar"], rtol=0.2)
    values = N * (laws @ grid).var(axis=0)
    np.testing.assert_allclose(values, exactly["value_avar"], rtol=0.2)


def test_returns_that_differ_by_rounding_get_a_grid_all_the_same():
    for rewards in ([1.0, 1.0], [1.0, np.nextafter(1.0, 2.0)], [0.0, 5e-324]):
        mdp = from_table([[[(0.5, rewards[0], 0), (0.5, rewards[1], 0)]]], 0.99)
        grid = categorical.default_grid(mdp, 5)
        assert np.diff(grid) == pytest.approx([0.25] * 4, abs=1e-9)
        assert categorical.evaluate(Backup.of(mdp, grid)).weights @ grid == pytest.approx(rewards[0] * 100, abs=1e-9)


@pytest.mark.parametrize("accuracy", [0.3, 1e-3, 1e-9])
def test_sweeps_stop_within_the_error_that_they_state(accuracy):
    for seed in range(12):
        mdp = random_process(np.random.default_rng(seed))
        process = mdp.under(np.full((mdp.state_count, mdp.action_count), 1 / mdp.action_count))
        grid = categorical.default_grid(process, 9)
        found = categorical.evaluate(Backup.of(process, grid), accuracy=accuracy)
        distance = categorical.w1(found.weights, categorical.fixed_point(process, grid), grid).max()
        rounding = 1e-12 * np.abs(grid).max() / (1 - process.discount)
        assert found.error <= max(accuracy, rounding)
        assert distance <= found.error + rounding
        assert (
            found.sweeps <= categorical.sweeps_for(accuracy * (1 - process.discount), process.discount, grid[-1] - grid[0]) + 10
        )


@given(processes(), st.integers(2, 8))
def test_dense_and_sparse_fixed_points_agree(mdp, atoms):
    process = mdp.under(np.full((mdp.state_count, mdp.action_count), 1 / mdp.action_count))
    grid = categorical.default_grid(process, atoms)
    dense = categorical.direct_fixed_points(categorical.Outcomes.of(process, grid), process.probabilities)
    np.testing.assert_allclose(dense, categorical.fixed_point(process, grid), atol=1e-9)


def test_misuse_of_sweeps_is_refused():
    mdp = chain([[1.0]], [1], 1.0)
    with pytest.raises(SolverError, match="how many sweeps"):
        categorical.evaluate(Backup.of(mdp, np.linspace(0, 1, 3)))
    with pytest.raises(SolverError, match="one action"):
        categorical.evaluate(Backup.of(from_table([[[(1.0, 1.0, 0)], [(1.0, 0.0, 0)]]], 0.5), np.linspace(0, 2, 3)))
    for grid in (np.array([0.0, 1.0, 3.0]), np.array([1.0]), np.array([1.0, 0.0])):
        with pytest.raises(SolverError, match="even, rising grid"):
            Backup.of(mdp, grid)


# -- distances and tails ----------------------------------------------------------------------------------------------------------


@given(law_strategy(), law_strategy())
def test_distances_by_two_routes(first, second):
    """Quantile coupling, area between distribution functions, and rational arithmetic."""
    rational = [{} for _ in range(2)]
    for law, (x, w) in zip(rational, (first, second), strict=True):
        for atom, weight in zip(x, w, strict=True):
            law[F(float(atom))] = law.get(F(float(atom)), F(0)) + F(float(weight))
        total = sum(law.values())
        for atom in law:
            law[atom] /= total
    w1 = oracle.wasserstein(first, second, 1)
    assert w1 == pytest.approx(float(exact_returns.w1(*rational)), abs=1e-12)
    assert oracle.wasserstein(first, second, np.inf) == pytest.approx(float(exact_returns.winf(*rational)), abs=1e-12)
    assert oracle.cramer_squared(first, second) <= w1 + 1e-12
    assert oracle.wasserstein(first, second, 2) >= w1 - 1e-12
    grid = np.unique(np.concatenate((first[0], second[0], [-9.0, 9.0])))
    rows = np.array([[w[x == z].sum() for z in grid] for x, w in (first, second)])
    assert categorical.w1(rows[0], rows[1], grid) == pytest.approx(w1, abs=1e-12)
    assert categorical.cramer_squared(rows[0], rows[1], grid) == pytest.approx(oracle.cramer_squared(first, second), abs=1e-12)


@given(law_strategy(), st.sampled_from([0.05, 0.25, 0.5, 0.9, 1.0]))
def test_tails_are_those_of_the_linear_program(law, level):
    found = cvar_of_law(*law, level)
    assert categorical.cvar(*law, level) == pytest.approx(found.value, abs=1e-9)
    with_nothing = np.append(law[0], -50.0), np.append(law[1], 0.0)
    assert categorical.cvar(*with_nothing, level) == pytest.approx(found.value, abs=1e-9), "an atom of no weight does not count"


def test_moments_of_rational_laws():
    law = {F(1): F(1, 4), F(5): F(3, 4)}
    assert exact_returns.mean(law) == 4
    assert exact_returns.variance(law) == 3


def test_policies_without_memory_are_some_of_those_with_memory():
    """With one state and two steps they are four of the eight, discounted alike."""
    table = rational([[[["1/2", "1", 0], ["1/2", "0", 0]], [["1", "3", 0]]]])
    with_memory = {frozenset(law.items()) for law in exact_returns.history_laws(table, F(1, 3), 2, 0)}
    without = {frozenset(law.items()) for law in exact_returns.policies_without_memory(table, F(1, 3), 2, 0)}
    assert without < with_memory
    assert frozenset({F(4): F(1)}.items()) in without
    assert len(without) == 4


def test_tails_at_known_values():
    atoms, weights = np.array([-3.0, -1.0, 0.0, 2.0]), np.array([0.1, 0.2, 0.3, 0.4])
    assert categorical.cvar(atoms, weights, 0.25) == pytest.approx(-1.8, abs=1e-15)
    assert categorical.cvar(atoms, weights, 0.5) == pytest.approx(-1.0, abs=1e-15)
    law = {F(-3): F(1, 10), F(-1): F(1, 5), F(0): F(3, 10), F(2): F(2, 5)}
    assert exact_returns.cvar(law, F(1, 4)) == F(-9, 5)


@pytest.mark.parametrize("seed", range(15))
def test_enumerated_laws_by_three_routes(seed):
    """Floats without a grid, rationals, and sums over all paths."""
    rng = np.random.default_rng(seed)
    mdp = random_process(rng)
    while mdp.state_count > 3 or len(mdp.successors) > 9 or oracle.ending_laws(mdp.under(np.ones((mdp.state_count, mdp.action_count)) / mdp.action_count)) is None:  # fmt: skip
        mdp = random_process(rng)
    process = mdp.under(np.full((mdp.state_count, mdp.action_count), 1 / mdp.action_count))
    laws = oracle.ending_laws(process)
    assert laws is not None

    def paths(s):
        at = process.outcomes_of(s, 0)
        for p, r, to in zip(process.probabilities[at], process.rewards[at], process.successors[at], strict=True):
            for q, g in [(1.0, 0.0)] if to == END else paths(to):
                yield p * q, r + process.discount * g

    S = process.state_count
    rational = exact_returns.return_laws(exact_table(process), exact(process.discount), S + 1, [[F(1)]] * S)
    for s in range(S):
        q, g = map(np.array, zip(*paths(s), strict=True))
        assert oracle.wasserstein(laws[s], (g, q), np.inf) <= 1e-12 * (1 + np.abs(g).max())
        x = np.array([float(v) for v in rational[s]])
        w = np.array([float(v) for v in rational[s].values()])
        assert oracle.wasserstein(laws[s], (x, w), 1) <= 1e-9


# -- quantiles --------------------------------------------------------------------------------------------------------------------


def test_quantiles_at_known_values():
    found = quantile.value_iteration(chain([[0.31, 0.69], [0.57, 0.43]], [1, 0], 0.6), 5)
    wanted = [[1.2025, 1.4408163265306122, 1.5625, 1.7346938775510203, 2.040816326530612],
              [0.3375, 0.5625, 0.7346938775510202, 0.9375, 1.2244897959183672]]  # fmt: skip
    np.testing.assert_allclose(found.theta, wanted, atol=1e-11)
    assert found.error <= 1e-12


@given(law_strategy(), st.integers(1, 7))
def test_the_quantile_projection_is_the_best_of_its_kind(law, m):
    """Within range / (2 m) in W1, no farther than other choices of m atoms, and each level is inf {F >= u}."""
    theta = quantile.project(*law, m)
    even = np.full(m, 1 / m)
    error = oracle.wasserstein((theta, even), law, 1)
    assert error <= np.ptp(law[0]) / (2 * m) + 1e-12
    rng = np.random.default_rng(0)
    for _ in range(5):
        other = np.sort(theta + rng.normal(0, 0.3, m))
        assert error <= oracle.wasserstein((other, even), law, 1) + 1e-12
    for i, x in enumerate(theta):
        u = (2 * i + 1) / (2 * m)
        assert law[1][law[0] <= x].sum() >= u - 1e-9
        assert law[1][law[0] < x].sum() < u + 1e-9


def test_levels_that_are_not_midpoints_would_show():
    theta = quantile.project(np.array([0.0, 1.0]), np.array([0.99, 0.01]), 1)
    assert oracle.wasserstein((theta, np.ones(1)), (np.array([0.0, 1.0]), np.array([0.99, 0.01])), 1) <= 0.5
    theta = quantile.project(np.array([0.0, 1.0]), np.array([0.33, 0.67]), 2)
    assert oracle.wasserstein((theta, np.full(2, 0.5)), (np.array([0.0, 1.0]), np.array([0.33, 0.67])), 1) <= 0.25


@pytest.mark.parametrize("seed", range(20))
def test_quantile_fixed_points_keep_their_bound(seed):
    """sup W1 <= R / (2 m (1 - gamma)) to the true law, whose stand-in's own error comes on top; sweeps contract by the discount."""
    mdp = random_process(np.random.default_rng(seed))
    process = mdp.under(np.full((mdp.state_count, mdp.action_count), 1 / mdp.action_count))
    if process.discount > 0.95:
        return
    grid = categorical.default_grid(process, 2001)
    truth = categorical.evaluate(Backup.of(process, grid), accuracy=1e-9).weights
    own = (grid[1] - grid[0]) / (2 * (1 - process.discount)) + 1e-8
    for m in (3, 16):
        found = quantile.value_iteration(process, m)
        bound = (grid[-1] - grid[0]) / (2 * m * (1 - process.discount))
        worst = max(oracle.wasserstein((t, np.full(m, 1 / m)), (grid, w), 1) for t, w in zip(found.theta, truth, strict=True))
        assert worst <= bound + own
    start = np.random.default_rng(1).random((2, process.state_count, 5))
    images = [quantile.value_iteration(process, 5, sweeps=1, start=x).theta for x in start]
    before = np.abs(np.sort(start[0], axis=1) - np.sort(start[1], axis=1)).max()
    assert np.abs(images[0] - images[1]).max() <= process.discount * before + 1e-12


def test_quantile_control_on_a_certain_problem():
    """Without chance quantiles are the value itself, and control is value iteration."""
    mdp = from_table([[[(1.0, 1.0, 1)], [(1.0, 0.0, 0)]], [[(1.0, 0.0, 0)], [(1.0, 2.0, 1)]]], 0.5)
    value = optimal_value(mdp)
    found = quantile.policy_iteration(mdp, 4)
    np.testing.assert_allclose(found.theta, np.tile(value[:, None], 4), atol=1e-9)
    np.testing.assert_array_equal(found.policy, [0, 1])
    swept = quantile.value_iteration(mdp, 4, sweeps=60)
    np.testing.assert_allclose(swept.theta, found.theta, atol=1e-9)
    with pytest.raises(SolverError, match="say how many sweeps"):
        quantile.value_iteration(mdp, 4)


# -- stocks, in rationals ---------------------------------------------------------------------------------------------------------


def rational(table):
    return [[[(F(p), F(r), to) for p, r, to in outcomes] for outcomes in actions] for actions in table]


FIRST = rational([[[["5/8", "2", 1], ["3/8", "1", 1]], [["1", "0", 0]]], [[["1", "0", 1]], [["4/7", "1", 0], ["3/7", "-2", 1]]]])
SECOND = rational(
    [[[["1/2", "1", 1], ["1/2", "-1", 0]], [["1/4", "2", 0], ["3/4", "0", 1]]], [[["1/3", "-2", 0], ["2/3", "1", 1]], [["1", "0", 0]]]]
)  # fmt: skip
HALF = F(1, 2)
UTILITIES = {"mean": lambda x: x, "shortfall": lambda x: min(x, F(0)), "distance": lambda x: -abs(x)}


@pytest.mark.parametrize(
    ("table", "count", "values"),
    [
        (FIRST, 42, {("mean", "-1"): "5/7", ("mean", "0"): "12/7", ("mean", "1/2"): "31/14", ("distance", "-1"): "-3/16",
                     ("distance", "0"): "0", ("distance", "1/2"): "-1/2"}),
        (SECOND, 96, {("mean", "0"): "85/128", ("mean", "-1"): "-43/128", ("mean", "1/2"): "149/128", ("shortfall", "0"): "0",
                      ("shortfall", "-1"): "-21/32", ("shortfall", "1/2"): "0", ("distance", "0"): "-19/32",
                      ("distance", "-1"): "-29/32", ("distance", "1/2"): "-31/32"}),
    ],
)  # fmt: skip
def test_stock_values_in_rationals(table, count, values):
    assert len(exact_returns.history_laws(table, HALF, 3, 0)) == count
    for (name, c), wanted in values.items():
        found = exact_returns.StockIteration(table, HALF, exact_returns.expected(UTILITIES[name])).value(3, 0, F(c))
        assert found == F(wanted)
        assert exact_returns.scalar_value(table, HALF, UTILITIES[name], HALF, 3, 0, F(c)) == F(wanted)


def test_cvar_in_rationals():
    atoms = sorted({x for law in exact_returns.history_laws(FIRST, HALF, 3, 0) for x in law})
    value, q, law = exact_returns.cvar_by_stock(FIRST, HALF, HALF, 3, 0, atoms)
    assert (value, q) == (F(295, 224), 2)
    assert exact_returns.cvar(law, HALF) == value
    assert exact_returns.cvar_by_stock(FIRST, HALF, F(1, 4), 3, 0, atoms)[:2] == (1, 1)
    still = exact_returns.Stock(update=lambda c, r, discount: c)
    greedy = exact_returns.StockIteration(FIRST, HALF, lambda law: exact_returns.cvar(law, HALF), still)
    assert exact_returns.cvar(greedy.law(3, 0, F(0)), HALF) == F(5, 4)


@pytest.mark.parametrize("seed", range(8))
def test_stock_values_by_an_occupancy_program(seed):
    """max sum w gamma^n f(c_n) over flows on the reachable (step, s, c), by linear programming."""
    import cvxpy as cp

    mdp = random_stock_problem(np.random.default_rng(seed))
    table, discount, steps = exact_table(mdp), exact(mdp.discount), 4
    f = UTILITIES["shortfall"]
    nodes, flows = {(0, mdp.start, F(-1)): 0}, []
    queue = list(nodes)
    for n, s, c in queue:
        if n == steps or s == END:
            continue
        for outcomes in table[s]:
            targets = []
            for p, r, to in outcomes:
                node = (n + 1, to, (c + r) / discount)
                if node not in nodes:
                    nodes[node] = len(nodes)
                    queue.append(node)
                targets.append((p, nodes[node]))
            flows.append((nodes[n, s, c], targets))
    balance, gain = np.zeros((len(nodes), len(flows))), np.zeros(len(flows))
    for j, (source, targets) in enumerate(flows):
        balance[source, j] += 1.0
        for p, node in targets:
            balance[node, j] -= float(p)
    final = {i: float(discount**n * f(c)) for (n, s, c), i in nodes.items() if n == steps or s == END}
    for j, (_, targets) in enumerate(flows):
        gain[j] = sum(float(p) * final.get(node, 0.0) for p, node in targets)
    inner = [i for i in nodes.values() if i not in final]
    flow, start = cp.Variable(len(flows), nonneg=True), np.zeros(len(nodes))
    start[0] = 1.0
    problem = cp.Problem(cp.Maximize(gain @ flow), [balance[inner] @ flow == start[inner]])
    problem.solve(solver=cp.HIGHS)
    found = exact_returns.StockIteration(table, discount, exact_returns.expected(f)).value(steps, mdp.start, F(-1))
    assert float(problem.value) == pytest.approx(float(found), abs=1e-8)


def test_all_two_state_problems_with_two_steps():
    """Every table with 2 states, 2 certain actions and rewards in {-1, 0, 1}, up to the order of actions: value iteration is optimal."""
    options = [(r, to) for r in (-1, 0, 1) for to in (0, 1)]
    pairs = [(x, y) for i, x in enumerate(options) for y in options[i:]]
    checked = 0
    for first in pairs[::2]:
        for second in pairs[::3]:
            table = [[[(F(1), F(r), to)] for r, to in row] for row in (first, second)]
            laws = exact_returns.history_laws(table, HALF, 2, 0)
            for utility in UTILITIES.values():
                K = exact_returns.expected(utility)
                for c in (F(-1), F(0), F(1, 2)):
                    best = max(K(exact_returns.moved(law, c)) for law in laws)
                    assert exact_returns.StockIteration(table, HALF, K).value(2, 0, c) == best
                    checked += 1
    assert checked == 11 * 7 * 9


# -- stocks, on grids -------------------------------------------------------------------------------------------------------------


@given(stock_problems(), st.sampled_from([(1.0, 1.0), (0.0, 1.0), (-1.0, 1.0), (1.0, 3.0)]), st.booleans())
def test_the_grid_is_exact_where_nothing_is_rounded(mdp, slopes, is_split):
    """Discount 1/2 and whole rewards: grid values are those of rational arithmetic."""
    mdp = mdp.replace(discount=0.5, rewards=np.round(mdp.rewards))
    low, high = mdp.return_range()
    low, high = min(low, 0.0), max(high, 0.0)
    grid = stock.StockGrid(-np.ceil(high), 1.0, int(np.ceil(high) - np.floor(low)) + 2)
    utility = stock.Utility(*slopes)
    found = stock.stock_values(mdp, utility, grid, steps=3, is_split=is_split).value
    table = exact_table(mdp)
    up, down = (F(x) for x in slopes)
    memory = {}
    for s in range(mdp.state_count):
        for i in (0, grid.count // 2, grid.count - 1):
            wanted = exact_returns.scalar_value(
                table, HALF, lambda x: up * x if x >= 0 else down * x, HALF, 3, s, F(float(grid.stocks[i])), memory
            )
            assert found[s, i] == pytest.approx(float(wanted), abs=1e-12)


@pytest.mark.parametrize("slopes", [(1.0, 1.0, 0.0), (0.0, 1.0, 0.0), (-1.0, 1.0, 0.0), (1.0, 3.0, 0.0)])
@pytest.mark.parametrize("seed", range(6))
def test_laws_on_the_grid_have_the_values_of_the_scalar_recursion(slopes, seed):
    """Where the kink of the utility is an atom at every stock, categorical laws lose nothing; quantiles keep their bound."""
    rng = np.random.default_rng(seed)
    mdp = random_stock_problem(rng)
    mdp = mdp.replace(discount=0.5, rewards=rng.integers(-2, 3, len(mdp.rewards)).astype(float))
    low, high = mdp.return_range()
    low, high = np.floor(min(low, 0.0)), np.ceil(max(high, 0.0)) + 1
    grid, utility = stock.StockGrid(-high, 1.0, int(high - low) + 1), stock.Utility(*slopes)
    atoms = np.linspace(-grid.stocks[-1], -grid.stocks[0], 2 * grid.count - 1)  # and one between any two
    for steps in (1, 2, 5):
        exactly = stock.stock_values(mdp, utility, grid, steps=steps).value
        found = stock.StockLawIteration(mdp, utility, grid, stock.CATEGORICAL, atoms).value_iteration(steps)
        np.testing.assert_allclose(found.value, exactly, atol=1e-11)
        np.testing.assert_allclose(found.laws.sum(axis=2), 1.0, atol=1e-12)
        bound = utility.lipschitz * (high - low) / (2 * 64) * (1 - 0.5**steps) / 0.5
        quantiles = stock.StockLawIteration(mdp, utility, grid, stock.QUANTILE, np.zeros(64)).value_iteration(steps)
        assert np.abs(quantiles.value - exactly).max() <= bound + 1e-11
        assert (np.diff(quantiles.laws, axis=2) >= 0.0).all()
    endless = stock.stock_values(mdp, utility, grid, accuracy=1e-9).value
    many = stock.stock_values(mdp, utility, grid, steps=60).value
    np.testing.assert_allclose(endless, many, atol=1e-9)
    improved = stock.StockLawIteration(mdp, utility, grid, stock.CATEGORICAL, atoms).policy_iteration(sweeps=50)
    np.testing.assert_allclose(improved.value, many, atol=1e-7)


def test_laws_on_the_grid_reach_targets():
    mdp = from_table([[[(0.5, 1.0, 0), (0.5, -1.0, 0)], [(1.0, 0.0, 0)]]], 1.0)
    grid, utility = stock.StockGrid(-6.0, 1.0, 13), stock.Utility(0.0, 0.0, 1.0)
    exactly = stock.stock_values(mdp, utility, grid, steps=4).value
    laws = stock.StockLawIteration(mdp, utility, grid, stock.CATEGORICAL, np.arange(-6.0, 7.0)).value_iteration(4)
    middle = slice(2, 11)  # nearer to the ends four steps leave the grid
    np.testing.assert_allclose(laws.value[:, middle], exactly[:, middle], atol=1e-12)


def test_endless_values_stop_within_the_accuracy_asked_for():
    mdp = from_table([[[(0.5, 1.0, 0), (0.5, -1.0, 0)], [(1.0, 0.25, 0)]]], 0.9)
    grid = stock.StockGrid.around(mdp, 41)
    fine = stock.stock_values(mdp, stock.SHORTFALL, grid, accuracy=1e-12).value
    for accuracy in (0.1, 1e-3, 1e-6):
        assert np.abs(stock.stock_values(mdp, stock.SHORTFALL, grid, accuracy=accuracy).value - fine).max() <= accuracy


def almost_certain_cliff():
    """Cliff walking that slips with probability 1/1000 to either side."""
    cliff = read_mdp(Path("gym:CliffWalking-v1?is_slippery=true&discount=1.0"))
    probabilities = cliff.probabilities.copy()
    for k in range(len(cliff.offsets) - 1):
        first, last = cliff.offsets[k], cliff.offsets[k + 1]
        assert last - first == 3
        probabilities[first:last] = [0.001, 0.998, 0.001]
    return cliff.replace(probabilities=probabilities)


def test_cliff_walking_has_known_tails():
    cliff = almost_certain_cliff()
    # Stocks only fall from where they start, so what lies above the start does not matter, and a total below -515 needs five falls.
    grid = stock.StockGrid(-500.0, 1.0, 600)
    values = stock.stock_values(cliff, stock.SHORTFALL, grid, steps=60)
    wanted = {0.05: -17.6905810649, 0.1: -16.3452905324, 0.25: -15.5381162130, 0.5: -15.2690581065}
    for level, value in wanted.items():
        found, i = stock.best_target(values, 36, level)
        assert found == pytest.approx(value, abs=1e-9)
        assert grid.stocks[i] == 15.0
    # What the policy earns, pushed forward, has the tails that its values promise.
    atoms = np.arange(-600.0, 1.0)
    ended = np.zeros((48, len(atoms)))
    ended[:, 600] = 1.0  # after 60 steps nothing more is earned
    found, law = stock.stock_policy_law(cliff, values, 36, 515, ended, atoms, 60)
    np.testing.assert_array_equal(found, atoms)
    assert law.sum() == pytest.approx(1.0, abs=1e-12)
    for level, value in wanted.items():
        assert categorical.cvar(atoms, law, level) == pytest.approx(value, abs=1e-6)


def test_reaching_a_target():
    """P(total >= 0) in four steps, by the grid and in rationals."""
    mdp = from_table([[[(0.5, 1.0, 0), (0.5, -1.0, 0)], [(1.0, 0.0, 0)]]], 1.0)
    grid = stock.StockGrid(-6.0, 1.0, 13)
    found = stock.stock_values(mdp, stock.Utility(0.0, 0.0, 1.0), grid, steps=4).value[0]
    K = exact_returns.expected(lambda x: F(int(x >= 0)))
    for i, c in enumerate(grid.stocks):
        if abs(c) <= 2:
            assert found[i] == float(exact_returns.StockIteration(exact_table(mdp), F(1), K).value(4, 0, F(int(c))))
    with pytest.raises(SolverError, match="say how many steps"):
        stock.stock_values(mdp, stock.Utility(0.0, 0.0, 1.0), grid)
    with pytest.raises(SolverError, match="keep one of the two"):
        stock.stock_values(mdp.replace(discount=0.5), stock.Utility(1.0, 1.0, 1.0), grid, steps=2)
    with pytest.raises(SolverError, match="give the grid of stocks"):
        stock.StockGrid.around(mdp, 5)


@given(stock_problems())
def test_split_stocks_keep_the_mean(mdp):
    """The law that is accounted for has the mean that the policy earns: the value of the same policy for f(x) = x."""
    mdp = mdp.replace(discount=0.9)
    low, high = mdp.return_range()
    if high - low < 1e-6:
        return
    grid = stock.StockGrid.around(mdp, 23)
    values = stock.stock_values(mdp, stock.Utility(1.0, 1.0), grid, accuracy=1e-10, is_split=True)
    atoms = np.linspace(min(low, 0.0), max(high, 0.0), 51)
    best = categorical.policy_iteration(mdp, atoms)
    wide, law = stock.stock_policy_law(mdp, values, mdp.start, 11, best.weights, atoms, 60, margin=100)
    assert law.sum() == pytest.approx(1.0, abs=1e-9)
    assert law @ wide == pytest.approx(optimal_value(mdp)[mdp.start], abs=1e-6 * (1 + high - low))


def test_an_atom_in_the_wrong_place_would_show():
    """The comparison that the tests above rest on tells neighbouring laws apart."""
    mdp, grid = chain([[0.25, 0.75], [0.5, 0.5]], [1, 0], 0.5), np.linspace(0, 2, 7)
    backup = Backup.of(mdp, grid)
    right = categorical.fixed_point(mdp, grid)
    for change in ({"first": backup.first + 1e-6}, {"discount": 0.5 + 1e-6}, {"weights": backup.weights[::-1].copy()}):
        found = categorical.evaluate(dataclasses.replace(backup, **change)).weights
        assert np.abs(found - right).max() > 1e-8
    assert isinstance(mdp, MDP)
