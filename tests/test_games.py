"""Solvers of preference games: published values, and two independent routes to every number."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from mpmath import iv, mp
from numpy.testing import assert_allclose

from theorylab.errors import InstanceError, SolverError
from theorylab.problems.preference_families import preference_games, random_game
from theorylab.problems.preference_game import PreferenceGame, from_reference
from theorylab.solvers import games
from theorylab.solvers.interval_games import IntervalGame
from theorylab.solvers.mirror_descent import MIXTURE, POLICY, constant_step_limit, mirror_descent
from theorylab.solvers.programs import minimax_winner, regularised_equilibrium_program

RPS = [[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]]
SPO = np.array([[0.5, 0.9, 0.3], [0.1, 0.5, 0.8], [0.7, 0.2, 0.5]])
MU = [0.7, 0.2, 0.1]
ROUNDING = 2e-14  # about a hundred roundings of numbers of size 1


def rates(steps, tau):
    return 2.0 / (tau * (np.arange(steps) + 2.0))


# -- the regularised equilibrium -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tau", "policy", "divergence", "best"),
    [
        (
            0.5,
            [0.690341354835687438, 0.125919303092908618, 0.183739342071403944],
            0.0439258963473799905,
            0.78221102587138941,
        ),
        (
            0.05,
            [0.36663035331854834, 0.268643213511714505, 0.364726433169737156],
            0.314105990346786514,
            0.548993569903416917,
        ),
    ],
)
def test_equilibrium_matches_forty_digit_values(tau, policy, divergence, best):
    game = from_reference(RPS, MU, tau)
    solution = games.regularised_equilibrium(game)
    assert_allclose(np.exp(solution.log_policy[0]), policy, rtol=1e-13)
    assert games.kl(game, solution.log_policy, game.log_reference) == pytest.approx(divergence, rel=1e-12)
    assert games.win_rates(game, solution.log_policy).max() == pytest.approx(best, rel=1e-13)
    assert solution.gap == pytest.approx(0.0, abs=1e-14)


def test_two_actions_have_a_closed_form():
    game = from_reference([[0.5, 0.9], [0.1, 0.5]], [0.25, 0.75], 0.5)
    solution = np.exp(games.regularised_equilibrium(game).log_policy[0])
    assert_allclose(solution, [0.42589675575166163, 0.57410324424833837], rtol=1e-14)
    rng = np.random.default_rng(1)
    for _ in range(50):
        p, mu, tau = rng.uniform(), rng.uniform(0.01, 0.99), math.exp(rng.uniform(-5, 1))
        game = from_reference([[0.5, p], [1 - p, 0.5]], [mu, 1 - mu], tau)
        log_odds = math.log(mu / (1 - mu)) + (p - 0.5) / tau
        found = games.regularised_equilibrium(game).log_policy[0]
        assert found[0] - found[1] == pytest.approx(log_odds, rel=1e-12, abs=1e-12)


@given(preference_games(max_actions=5))
def test_equilibrium_is_certified_and_solves_the_fixed_point(game):
    solution = games.regularised_equilibrium(game)
    log_policy = solution.log_policy
    # tau KL(policy, equilibrium) <= gap, which is rounding of numbers of the size of tau log mu
    size = 1 + game.tau * np.abs(game.log_reference).max()
    assert abs(solution.gap) <= 1e-14 * size
    fixed = game.log_reference + games.win_rates(game, log_policy) / game.tau
    fixed -= np.log(np.exp(fixed - fixed.max(1, keepdims=True)).sum(1, keepdims=True)) + fixed.max(1, keepdims=True)
    assert_allclose(log_policy, fixed, rtol=1e-12, atol=1e-12 / game.tau)


def test_equilibrium_agrees_with_intervals_to_1e_12():
    for seed in range(12):
        game = random_game(np.random.default_rng(seed))
        before, iv.prec = iv.prec, 212
        try:
            exact = [[float(x.mid) for x in row] for row in IntervalGame(game).equilibrium()]
            width = max(float(mp.mpf(x.delta)) for row in IntervalGame(game).equilibrium() for x in row)
        finally:
            iv.prec = before
        assert width < 1e-25
        size = 1 + np.abs(np.array(exact)).max()
        assert_allclose(
            games.regularised_equilibrium(game).log_policy,
            exact,
            atol=1e-12 * size / min(game.tau, 1),
            rtol=0,
        )


def test_equilibrium_agrees_with_the_convex_program():
    for seed in (0, 3, 4):
        rng = np.random.default_rng(seed)
        a = np.triu(rng.uniform(-0.5, 0.5, (5, 5)), 1)
        game = from_reference(0.5 + a - a.T, rng.dirichlet(np.full(5, 5.0)), 0.2)
        program = regularised_equilibrium_program(game)
        assert program.value == pytest.approx(0.5, abs=1e-7)  # an interior-point method's error
        assert_allclose(program.policy, np.exp(games.regularised_equilibrium(game).log_policy), atol=1e-4)


@pytest.mark.parametrize("tau", [0.0, -1.0, math.inf, math.nan])
def test_no_equilibrium_is_sought_without_regularisation(tau):
    with pytest.raises(SolverError, match="must be positive and finite"):
        games.regularised_equilibrium(PreferenceGame(np.full((2, 2), 0.5)), tau)


def test_equilibrium_of_one_action():
    assert games.regularised_equilibrium(PreferenceGame(np.array([[0.5]]), None, 0.1)).log_policy[0, 0] == 0.0


def test_contextual_equilibrium_is_one_game_per_prompt():
    table = np.array([RPS, SPO])
    game = PreferenceGame(table, np.log([MU, [0.2, 0.3, 0.5]]), 0.3, np.array([0.25, 0.75]))
    both = games.regularised_equilibrium(game).log_policy
    for x in range(2):
        alone = PreferenceGame(table[x], game.log_reference[x], 0.3)
        assert_allclose(both[x], games.regularised_equilibrium(alone).log_policy[0], rtol=1e-13)


# -- the unregularised game -------------------------------------------------------------------------------------------------


def test_minimax_winners_match_exact_values():
    assert_allclose(minimax_winner(SPO).policy, [1 / 3, 2 / 9, 4 / 9], atol=1e-9)
    dice = np.array(
        [
            [0.5, 2 / 3, 4 / 9, 1 / 3],
            [1 / 3, 0.5, 2 / 3, 0.5],
            [5 / 9, 1 / 3, 0.5, 2 / 3],
            [2 / 3, 0.5, 1 / 3, 0.5],
        ]
    )
    solution = minimax_winner(dice)
    game = PreferenceGame(dice, None, 0.1)
    with np.errstate(divide="ignore"):
        assert games.exploitability(game, np.log(solution.policy)[None]) == pytest.approx(0.0, abs=1e-9)
        assert games.exploitability(game, np.log([[3 / 7, 1 / 7, 3 / 7, 1e-300]])) == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("scale", [0.5, 1e-3, 1e-6])
def test_minimax_winner_of_a_cycle_whatever_the_gaps(scale):
    rng = np.random.default_rng(7)
    for _ in range(5):
        a, b, c = scale * rng.uniform(0.2, 1.0, 3)
        skew = np.array([[0, a, -c], [-a, 0, b], [c, -b, 0]])
        expected = np.array([b, c, a]) / (a + b + c)
        # P = 1/2 + A keeps A to 1e-16 only, so a gap of 1e-6 keeps ten digits
        assert_allclose(minimax_winner(0.5 + skew).policy, expected, atol=1e-9 + 1e-15 / scale)


def test_minimax_winner_of_ties_is_uniform():
    assert_allclose(minimax_winner(np.full((4, 4), 0.5)).policy, np.full(4, 0.25))


@given(preference_games(max_actions=5, max_prompts=1))
def test_no_action_beats_the_minimax_winner(game):
    solution = minimax_winner(game.preference[0])
    scale = np.abs(game.preference - 0.5).max()
    with np.errstate(divide="ignore"):
        assert games.exploitability(game, np.log(solution.policy)[None]) <= 1e-7 * scale + 1e-16
    assert solution.policy.sum() == pytest.approx(1.0)
    assert (solution.policy >= 0).all()


# -- mirror descent -----------------------------------------------------------------------------------------------------------


def test_one_step_matches_vectors():
    game = from_reference(RPS, MU, 0.5)
    start = np.log([[0.5, 0.3, 0.2]])
    pull, eta = np.array([0.4]), np.array([0.8])
    trace = mirror_descent(game, start, pull, eta)
    mixture = [0.58448878908641939, 0.260639190419117768, 0.154872020494462842]
    assert_allclose(np.exp(trace.log_mixtures[0, 0]), mixture, rtol=ROUNDING)
    assert_allclose(
        games.win_rates(game, trace.log_mixtures[0])[0], [0.552883584962327463, 0.285191615704021726, 0.661924799333650811],
        rtol=ROUNDING,
    )  # fmt: skip
    nash = [0.606396787688974129, 0.218280383645998579, 0.175322828665027292]
    assert_allclose(np.exp(trace.log_policies[1, 0]), nash, rtol=ROUNDING)
    self_play = [0.603945919136188098, 0.229495654438842342, 0.166558426424969561]
    assert_allclose(
        np.exp(mirror_descent(game, start, pull, eta, opponent=POLICY).log_policies[1, 0]),
        self_play,
        rtol=ROUNDING,
    )


NASH_MD_KL = {1: 2.553779104423024, 2: 3.435609526343521, 5: 1.594443299435249, 10: 1.252317348590049, 100: 0.03320083708695566,
              1000: 1.500566498162133e-05}  # fmt: skip
SELF_PLAY_KL = {1: 2.553779104423024, 2: 2.386257231427479, 5: 1.840019162844188, 10: 1.234474722693704,
                100: 0.03529833789554625, 1000: 1.154286077535427e-05}  # fmt: skip


@pytest.mark.parametrize(("opponent", "expected"), [(MIXTURE, NASH_MD_KL), (POLICY, SELF_PLAY_KL)])
def test_traces_match_forty_digit_values(opponent, expected):
    game = from_reference(RPS, MU, 0.05)
    solution = games.regularised_equilibrium(game).log_policy
    eta = rates(1000, 0.05)
    trace = mirror_descent(game, game.log_reference, eta * 0.05, eta, opponent=opponent)
    for t, value in expected.items():
        # an absolute error of 1e-13 is what sums of terms of size 1 leave
        assert games.kl(game, solution, trace.log_policies[t]) == pytest.approx(value, rel=1e-12, abs=1e-13)
    if opponent == MIXTURE:
        assert_allclose(
            np.exp(trace.log_policies[1000, 0]),
            [0.364006738369250003, 0.269975475008996731, 0.366017786621753265],
            rtol=1e-12,
        )


def test_the_first_policy_does_not_matter_even_with_zeros():
    game = from_reference(RPS, MU, 0.05)
    eta = rates(5, 0.05)
    with np.errstate(divide="ignore"):
        ends = [
            mirror_descent(game, np.log(np.array([start])), eta * 0.05, eta).log_policies[1:]
            for start in ([0.7, 0.2, 0.1], [1.0, 0.0, 0.0])
        ]
    assert_allclose(ends[0], ends[1], rtol=0, atol=0)


def test_constant_step_limits_match_forty_digit_values():
    game = from_reference(RPS, MU, 0.5)
    limit = constant_step_limit(game, 0.4, 0.8)
    assert_allclose(np.exp(limit[0]), [0.707651470834395607, 0.114221997291675141, 0.178126531873929252], rtol=1e-12)
    solution = games.regularised_equilibrium(game).log_policy
    assert games.kl(game, solution, limit) == pytest.approx(0.0008804708722185794, rel=1e-10)
    self_play = constant_step_limit(game, 0.4, 0.8, opponent=POLICY)
    assert_allclose(self_play, solution, atol=1e-12)


def test_exact_best_responses_are_stable_only_above_the_threshold():
    """Uniform rock-paper-scissors: pi <- best response to pi is stable exactly when tau > sqrt(3) / 6."""
    speeds = games.rotation_speeds(PreferenceGame(np.array(RPS), None, 0.3), np.full((1, 3), -math.log(3)))
    assert speeds.max() == pytest.approx(math.sqrt(3) / 6, rel=1e-12)
    near_uniform = np.log([[0.34, 0.33, 0.33]])
    for tau, settles in ((0.29, True), (0.25, False)):
        game = PreferenceGame(np.array(RPS), None, tau)
        steps = np.full(20_000, 1.0 / tau)
        last = mirror_descent(game, near_uniform, np.ones(20_000), steps, opponent=POLICY).log_policies[-1]
        divergence = games.kl(game, np.full((1, 3), -math.log(3)), last)
        assert (divergence < 1e-12) == settles


def test_hedge_matches_vector():
    """Self-play without a reference: the average policy of Hedge over 50 steps."""
    game = PreferenceGame(SPO, None, 1.0)
    eta = np.full(50, math.sqrt(8 * math.log(3) / 50))
    trace = mirror_descent(game, game.log_reference, np.zeros(50), eta, base=POLICY, opponent=POLICY)
    average = np.exp(trace.log_policies[:50, 0]).mean(axis=0)
    assert_allclose(average, [0.412866887483651159, 0.186632283427698368, 0.400500829088650473], rtol=1e-13)
    assert games.exploitability(game, np.log(average)[None]) == pytest.approx(0.02658369246842072, rel=1e-12)


# -- Bradley-Terry ------------------------------------------------------------------------------------------------------------


def test_bradley_terry_rewards_match_vectors():
    table = np.array(RPS, dtype=float)
    assert_allclose(games.bradley_terry_rewards(table, np.full(3, 1 / 3)), np.zeros(3), atol=1e-12)
    assert_allclose(
        games.bradley_terry_rewards(table, np.array([0.6, 0.3, 0.1])),
        [0.50678445, -1.2531969, 0.74641245],
        atol=5e-9,
    )
    assert_allclose(
        games.bradley_terry_rewards(table, np.array([0.1, 0.3, 0.6])),
        [-0.74641245, 1.2531969, -0.50678445],
        atol=5e-9,
    )


def test_bradley_terry_rewards_of_a_bradley_terry_table_are_its_scores():
    rng = np.random.default_rng(3)
    for _ in range(20):
        score = rng.normal(0, 1, 4)
        table = 1 / (1 + np.exp(score[None] - score[:, None]))
        for policy in (np.full(4, 0.25), rng.dirichlet(np.ones(4))):
            assert_allclose(games.bradley_terry_rewards(table, policy), score - score.mean(), atol=1e-8)


def test_bradley_terry_rewards_that_are_infinite_are_an_error():
    with pytest.raises(SolverError, match="not found"):
        games.bradley_terry_rewards(np.array([[0.5, 1.0], [0.0, 0.5]]), np.array([0.5, 0.5]))


# -- properties of every step ---------------------------------------------------------------------------------------------------


@given(preference_games(max_actions=5))
def test_every_iterate_is_a_distribution_and_the_equilibrium_attracts(game):
    solution = games.regularised_equilibrium(game).log_policy
    eta = rates(60, game.tau)
    trace = mirror_descent(game, game.log_reference, np.minimum(eta * game.tau, 1.0), eta)
    for log_p in (trace.log_policies, trace.log_mixtures):
        top = log_p.max(axis=-1, keepdims=True)
        log_sum = np.log(np.exp(log_p - top).sum(axis=-1)) + top[..., 0]
        assert_allclose(log_sum, 0.0, atol=1e-12 * (1 + np.abs(log_p).max()))
    last = games.kl(game, solution, trace.log_policies[-1])
    assert last <= 1 / (2 * game.tau**2 * 61) * (1 + 1e-9) + 1e-12


@given(preference_games(max_actions=2, max_prompts=1))
def test_two_actions_cannot_tell_opponents_apart(game):
    """With two actions the win-rate difference does not depend on the opponent: Nash-MD and self-play are one algorithm."""
    eta = rates(20, game.tau)
    pull = np.minimum(eta * game.tau, 1.0)
    one, two = (mirror_descent(game, game.log_reference, pull, eta, opponent=o).log_policies for o in (MIXTURE, POLICY))
    assert_allclose(one, two, rtol=1e-9, atol=1e-9 / game.tau)


@given(preference_games(max_actions=4))
def test_adding_a_constant_to_all_rewards_changes_nothing(game):
    eta = rates(20, game.tau)
    pull = np.minimum(eta * game.tau, 1.0)
    one = mirror_descent(game, game.log_reference, pull, eta)
    two = mirror_descent(game, game.log_reference, pull, eta, preference=game.preference - 0.5)
    assert_allclose(one.log_policies, two.log_policies, rtol=1e-9, atol=1e-9 / game.tau)


@given(preference_games(max_actions=4))
def test_exploitability_measures_are_zero_only_at_equilibria(game):
    solution = games.regularised_equilibrium(game).log_policy
    mu = game.log_reference
    gap = games.regularised_exploitability(game, mu) - 0.5
    # the certificate that solvers return: tau KL(policy, equilibrium) <= gap, for any policy
    assert game.tau * games.kl(game, mu, solution) <= gap + 1e-12 * (1 + game.tau * np.abs(mu).max())
    assert games.exploitability(game, solution) >= -1e-15
    assert games.win_rate(game, solution, solution) == pytest.approx(0.5, abs=1e-12)


@given(preference_games(max_actions=4, max_prompts=1))
def test_rotation_speeds_stay_below_one_half(game):
    """What makes the constant-step runs stable in every game: |eigenvalues of A (diag(p) - p p^T)| <= 1/2."""
    assert games.rotation_speeds(game, game.log_reference).max() <= 0.5 + 1e-12


@pytest.mark.parametrize("prompts", [1, 3])
@pytest.mark.parametrize("n", [3, 4, 6, 9])
def test_a_batch_of_seeds_is_the_same_to_the_bit_as_one_by_one(prompts, n):
    rng = np.random.default_rng(21)
    skew = np.triu(rng.uniform(-0.5, 0.5, (prompts, n, n)), 1)
    game = from_reference(0.5 + skew - skew.transpose(0, 2, 1), rng.dirichlet(np.ones(n), prompts), 0.2)
    starts = np.log(rng.dirichlet(np.ones(n), (7, prompts)))
    eta = rates(40, game.tau)
    pull = np.minimum(0.9, eta * game.tau)
    batch = mirror_descent(game, starts, pull, eta)
    assert batch.log_policies.shape == (41, 7, *game.preference.shape[:2])
    for k in range(7):
        alone = mirror_descent(game, starts[k], pull, eta)
        assert np.array_equal(batch.log_policies[:, k], alone.log_policies)
        assert np.array_equal(batch.log_mixtures[:, k], alone.log_mixtures)
    with pytest.raises(InstanceError, match="log_start has shape"):
        mirror_descent(game, starts[:, :, :0], pull, eta)
    with pytest.raises(InstanceError, match="pull has 40 steps, rate 39"):
        mirror_descent(game, starts[0], pull, eta[1:])
