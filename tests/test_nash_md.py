"""The Nash-MD plugin against published values, against intervals, and against its own falsified twins."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from mpmath import iv
from numpy.testing import assert_allclose

from theorylab.formula import Formula
from theorylab.problems.preference_families import random_game
from theorylab.problems.preference_game import PreferenceGame, from_reference
from theorylab.registry import Locator, load
from theorylab.run.audit import audit
from theorylab.run.check import check
from theorylab.run.plan import make_plan
from theorylab.run.records import Request
from theorylab.run.streams import trial_stream
from theorylab.solvers import games
from theorylab.solvers.programs import minimax_winner

LOCATOR = Locator("nash-md", "theorylab_plugins.nash_md:plugin", "theorylab")
RPS = [[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]]


@pytest.fixture(scope="module")
def plugin():
    return load(LOCATOR)


def verdicts(**request):
    return {v.claim: v for v in check(Request(LOCATOR, **request), "test").verdicts}


def test_every_true_claim_is_supported_and_every_false_one_refuted():
    report = check(Request(LOCATOR, seeds=150, root_seed=11), "test")
    for verdict in report.verdicts:
        expected = {"supported": "SUPPORTED", "refuted": "REFUTED"}[report.claims[verdict.claim].expected]
        assert (verdict.claim, verdict.status) == (verdict.claim, expected), verdict.reason


def test_the_kill_matrix_is_full():
    result = audit(Request(LOCATOR, seeds=12))
    assert not result.missed
    assert not result.survivors
    assert not result.toothless
    assert not result.false_alarms
    # the identity refutes every wrong update of the algorithm
    updates = [
        m for m in result.matrix["nash-md-step-exact"] if not m.startswith(("gradient-", "oracle-", "opponent-kl", "self-play"))
    ]
    survivors = [m for m in updates if not result.matrix["nash-md-step-exact"][m]]
    assert survivors == ["rewards-centred"]


def test_shipped_tables_have_the_published_equilibria(plugin):
    vote = plugin.references["minneapolis-2021"]
    assert vote.actions == ("A", "G", "W")
    winner = minimax_winner(vote.preference[0]).policy
    assert_allclose(winner, [0.254103232943638693, 0.0600074150849078768, 0.68588935197145343], atol=1e-8)
    regularised = np.exp(games.regularised_equilibrium(vote).log_policy[0])
    assert_allclose(regularised, [0.449915825690119863, 0.223000107434123068, 0.327084066876757069], rtol=1e-11)

    models = plugin.references["language-models"]
    expected = [
        1.396657e-4,
        0.02904304,
        0.00332601,
        0.03378362,
        0.00637068,
        0.09521611,
        0.20724095,
        0.62487993,
    ]
    assert_allclose(np.exp(games.regularised_equilibrium(models).log_policy[0]), expected, rtol=2e-6)  # printed with 7 digits
    best = minimax_winner(models.preference[0]).policy
    assert models.actions[int(best.argmax())] == "MTPO-tau"
    assert best.max() == pytest.approx(1.0)

    dice = np.array(
        [
            [0.5, 2 / 3, 4 / 9, 1 / 3],
            [1 / 3, 0.5, 2 / 3, 0.5],
            [5 / 9, 1 / 3, 0.5, 2 / 3],
            [2 / 3, 0.5, 1 / 3, 0.5],
        ]
    )
    assert_allclose(plugin.references["four-dice"].preference[0], dice, rtol=1e-15)
    raters = plugin.references["raters"]
    skew = raters.preference[0] - 0.5
    assert_allclose(skew @ [1 / 3 + 0.05, 1 / 3 + 0.05, 1 / 3 - 0.1], np.zeros(3), atol=1e-16)


def test_measures_are_enclosed_by_the_exact_replay(plugin):
    """Floats and intervals are written apart; every measure must agree within the slack that the claims grant."""
    run, twin = plugin.algorithm.function, plugin.algorithm.precisely
    subjects = [
        plugin.references["contextual"],
        plugin.references["dice"],
        random_game(np.random.default_rng(2)),
    ]
    before, iv.prec = iv.prec, 424
    try:
        for game in subjects:
            parameters = {"steps": 12, "mixing": 0.25}
            floats = run(game, trial_stream(0, "nash-md", game.digest(), 0), **parameters)
            exact = twin(game, trial_stream(0, "nash-md", game.digest(), 0), 11, **parameters)
            slack = 2.0**-44 * (1 + floats["log_range"] + 1 / game.tau**2)
            assert set(exact) <= set(floats) | {"eta"}
            for name in exact:
                value = exact[name]
                middle = np.array([float(x.mid) for x in value]) if isinstance(value, list) else float(value.mid)
                scale = max(1.0, float(np.abs(middle).max()))
                assert_allclose(floats[name], middle, rtol=0, atol=slack * scale, err_msg=name)
    finally:
        iv.prec = before


def test_late_start_has_the_published_divergences(plugin):
    game = plugin.references["late-start"]
    measures = plugin.algorithm.function(game, trial_stream(0, "nash-md", game.digest(), 0), steps=60, mixing=0.25)
    late = measures["late_kl"]  # entry i is pi_{i + 2}: the first one is after one step
    assert late[0] == pytest.approx(142.3, abs=0.05)
    assert late[18] == pytest.approx(1.13, abs=0.01)
    bound = 8 / (measures["late_t"] + 1)
    assert late[18] > bound[18]
    assert late[-1] < bound[-1]  # only from about 50 steps on is the bound back in force


def test_constant_step_limit_differs_from_the_equilibrium_as_published():
    from theorylab_plugins.nash_md.algorithm import constant_step_fixed_point
    from theorylab_plugins.nash_md.oracle import Oracle

    game = from_reference(RPS, [0.7, 0.2, 0.1], 0.5)
    fixed = constant_step_fixed_point(game, 0.4, Oracle())
    assert_allclose(np.exp(fixed[0]), [0.707651470834395607, 0.114221997291675141, 0.178126531873929252], rtol=1e-12)
    mixture = np.exp(games.regularised_equilibrium(game, 0.5 / 0.6).log_policy[0])
    assert_allclose(mixture, [0.712499144033074791, 0.144515799873219222, 0.142985056093705987], rtol=1e-12)


def test_token_and_sequence_mixtures_match_the_published_example():
    from theorylab_plugins.nash_md.algorithm import _token_measures

    found = _token_measures(np.array([[0.5, 0.9, 0.5], [0.5, 0.5, 0.5]]))
    assert found["sequence_first"] == pytest.approx(0.47213595500, rel=1e-10)
    assert found["token_first"] == pytest.approx(0.5)


def test_gradient_mutants_have_the_published_errors():
    from theorylab_plugins.nash_md.gradient import complex_step_gradient, enumerated_gradient

    table = np.array([[0.5, 0.9, 0.3], [0.1, 0.5, 0.8], [0.7, 0.2, 0.5]])
    logits = np.array([0.3, -0.2, 0.5])
    log_pi = logits - np.log(np.exp(logits).sum())
    log_mu = np.log([0.7, 0.2, 0.1])
    right = enumerated_gradient(table, log_pi, log_mu, 0.3, 0.25)
    z = 0.75 * log_pi + 0.25 * log_mu
    wins = table @ (np.exp(z) / np.exp(z).sum())
    exact = complex_step_gradient(lambda log_p: np.sum(np.exp(log_p) * (wins - 0.3 * (log_p - log_mu))), log_pi)
    assert_allclose(right, exact, atol=1e-15)
    published = {
        "gradient-through-opponent": 0.0019, "opponent-is-policy": 0.0156, "mixing-swapped": 0.0264, "arithmetic-opponent": 0.0040,
        "no-kl-term": 0.137, "kl-sign-flipped": 0.274, "kl-against-mixture": 0.103, "reverse-kl": 0.0375,
    }  # fmt: skip
    for kind, error in published.items():
        wrong = enumerated_gradient(table, log_pi, log_mu, 0.3, 0.25, kind)
        assert np.abs(wrong - right).max() == pytest.approx(error, rel=0.05), kind  # printed with two digits
    no_baseline = enumerated_gradient(table, log_pi, log_mu, 0.3, 0.25, "no-baseline")
    assert_allclose(no_baseline, right, atol=1e-15)


@pytest.mark.parametrize("factor", [0.95, 0.5])
def test_a_wrong_constant_is_refuted(plugin, factor, monkeypatch):
    """Hoeffding's constant is nearly attained on some games: shrinking it must show."""
    claim = plugin.claims["three-point-sharp"]
    wrong = Formula(lambda delta_span_squared: factor * delta_span_squared / 8, "game", "falsified")
    monkeypatch.setitem(plugin.claims, "three-point-sharp", dataclasses.replace(claim, bound=wrong))
    found = verdicts(seeds=200, claims=("three-point-sharp",))
    assert found["three-point-sharp"].status == "REFUTED", found


def restated(game: PreferenceGame, how: str) -> PreferenceGame:
    assert game.log_reference is not None
    n = game.action_count
    if how == "permuted":
        order = np.random.default_rng(n).permutation(n)
        return PreferenceGame(
            game.preference[:, order][:, :, order],
            game.log_reference[:, order],
            game.tau,
            game.prompt_weights,
        )
    if how == "split prompt":
        return PreferenceGame(
            np.repeat(game.preference, 2, axis=0), np.repeat(game.log_reference, 2, axis=0), game.tau,
            np.repeat(game.prompt_weights, 2) / 2,
        )  # fmt: skip
    # an action written twice, its reference mass shared
    order = [0, *range(n)]
    shares = game.log_reference[:, order].copy()
    shares[:, :2] -= np.log(2)
    return PreferenceGame(game.preference[:, order][:, :, order], shares, game.tau, game.prompt_weights)


@pytest.mark.parametrize("how", ["permuted", "split prompt", "duplicated action"])
def test_restating_a_game_moves_neither_equilibrium_nor_divergences(plugin, how):
    for name in ("rock-paper-scissors", "contextual", "language-models"):
        game = plugin.references[name]
        other = restated(game, how)
        a, b = (games.regularised_equilibrium(g).log_policy for g in (game, other))
        assert games.kl(game, a, game.log_reference) == pytest.approx(games.kl(other, b, other.log_reference), rel=1e-10)
        assert games.exploitability(game, a) == pytest.approx(games.exploitability(other, b), rel=1e-9, abs=1e-15)
        one, two = (
            plugin.algorithm.function(g, trial_stream(0, "x", "y", 0), steps=50, mixing=0.25)["constant_kl"]
            for g in (game, other)
        )
        assert_allclose(one, two, rtol=1e-9, atol=1e-12)


def test_results_are_the_same_to_the_bit_for_any_workers_and_chunks():
    def digest(**options):
        report = check(
            Request(
                LOCATOR,
                seeds=12,
                claims=("nash-md-step", "self-play-limit", "late-start-last-iterate"),
                **options,
            ),
            "x",
        )
        return [(v.claim, v.status, v.evidence, v.counterexample and v.counterexample.digest) for v in report.verdicts]

    alone = digest()
    for options in ({"chunk": 1}, {"chunk": 7}, {"workers": 1}, {"workers": 2, "chunk": 5}, {"workers": 4}):
        assert digest(**options) == alone, options


def test_seeds_draw_different_games_and_the_root_seed_matters(plugin):
    plans = [make_plan(Request(LOCATOR, seeds=20, root_seed=s), plugin) for s in (0, 0, 1)]
    digests = [[s.instance.digest() for s in plan.subjects] for plan in plans]
    assert digests[0] == digests[1]
    assert not set(digests[0][13:]) & set(digests[2][13:])
    assert len(set(digests[0])) == len(digests[0])


def test_vacuous_bound_says_from_where_it_is_not():
    found = verdicts(instance="rock-paper-scissors-low-tau", claims=("nash-md-last-iterate",), settings=(("steps", "30"),))
    verdict = found["nash-md-last-iterate"]
    assert verdict.status == "VACUOUS"
    # 8 / (tau^2 (t + 1)) < 2 / tau from t + 1 > 4 / tau = 80 on
    assert verdict.evidence.informative_from == pytest.approx(79, rel=1e-6)
    assert "from t = 79 on" in verdict.reason
