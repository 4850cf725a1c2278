"""pav, classic-bandits, learning-to-relax, dynamical-linear: printed numbers, second programs, verdicts, mutants."""

import numpy as np
import pytest
from theorylab_plugins.classic_bandits import algorithm as classic
from theorylab_plugins.dynamical_linear import algorithm as dynamic
from theorylab_plugins.dynamical_linear.instances import lingering, published
from theorylab_plugins.learning_to_relax import algorithm as relax
from theorylab_plugins.learning_to_relax.instances import chain, grid, one_good
from theorylab_plugins.pav import algorithm as pav
from theorylab_plugins.pav.instances import torn

from theorylab.errors import InstanceError
from theorylab.registry import Locator, load
from theorylab.run.audit import audit
from theorylab.run.check import check
from theorylab.run.records import Request

PLUGINS = {
    name: Locator(name, f"theorylab_plugins.{name.replace('-', '_')}:plugin", "theorylab")
    for name in ("pav", "classic-bandits", "learning-to-relax", "dynamical-linear")
}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pav", {"INCONCLUSIVE": set(), "REFUTED": {"printed-improvement", "printed-improvement-up-to-a-hundred"}}),
        # Means far below the end of their range take more seeds than these.
        ("classic-bandits", {"INCONCLUSIVE": {"ucb-with-gaps", "ucb1", "exp3", "thompson"}, "REFUTED": set()}),
        ("dynamical-linear", {"INCONCLUSIVE": set(), "REFUTED": {"confidence-with-epochs-rounded-down"}}),
    ],
)
def test_verdicts(name, expected):
    report = check(Request(PLUGINS[name], seeds=60), "test")
    assert {v.claim for v in report.verdicts if not v.as_expected} == set()
    for status, claims in expected.items():
        assert {v.claim for v in report.verdicts if v.status == status} <= claims, status
    assert {v.claim for v in report.verdicts if v.status == "REFUTED"} == expected["REFUTED"]


@pytest.mark.parametrize(
    ("name", "drawn"), [("pav", None), ("classic-bandits", None), ("learning-to-relax", 1), ("dynamical-linear", None)]
)
def test_every_mutant_is_refuted_and_no_claim_is_toothless(name, drawn):
    assert audit(Request(PLUGINS[name], seeds=16, instances=drawn)).is_clean


# -- pav ---------------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("e", "improvement", "printed", "corrected"),
    [
        (0.1, 0.01949463171139336, 0.043000000000000003, 0.018000000000000006),
        (0.001, 0.00022113239607959943, 0.0251998, 0.00019980000000000003),
    ],
)
def test_known_improvements(e, improvement, printed, corrected):
    tree = torn(e, 0.1, root_only=True)
    found = pav.measure(tree, np.random.default_rng(0), pav.Variant())
    assert found["improvement"] == pytest.approx(improvement, rel=1e-12)
    # The printed right side with visits of the base policy: 1/2 of each child's terms besides the root's.
    everywhere = tree.replace(start=np.array([1.0, 0.5, 0.5]) / 2.0)
    assert 2.0 * pav.measure(everywhere, np.random.default_rng(0), pav.Variant())["printed"] == pytest.approx(printed, rel=1e-12)
    (V, Q), (Vm, Qm) = pav.values(tree, tree.base), pav.values(tree, tree.prover)
    own, other = Q - V[:, None], Qm - Vm[:, None]
    first = (tree.base * (own**2 + own * other)).sum(axis=1)
    assert 0.1 * pav.visits(tree.base, tree.start) @ first == pytest.approx(corrected, rel=1e-12)


@pytest.mark.parametrize(("e", "ratio"), [(0.1, 0.886), (0.01, 0.205), (1e-3, 0.0236), (1e-4, 0.00240)])
def test_the_printed_theorem_loses_every_constant(e, ratio):
    found = pav.measure(torn(e), np.random.default_rng(0), pav.Variant())
    assert found["improvement"] / found["printed"] == pytest.approx(ratio, rel=5e-3)


def test_values_by_enumeration():
    """All paths of a tree of depth three."""
    tree = load(PLUGINS["pav"]).draw(np.random.default_rng(11))
    A, N = tree.base.shape[1], len(tree.base)
    total = 0.0
    for leaf in range(A**tree.depth):
        s, p = 0, 1.0
        for level in range(tree.depth):
            a = leaf // A ** (tree.depth - 1 - level) % A
            p *= tree.base[s, a]
            s = s * A + 1 + a
        total += p * tree.reward[s - N]
    assert pav.values(tree, tree.base)[0][0] == pytest.approx(total, abs=1e-14)


# -- learning-to-relax ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matrix", "right", "beta", "best", "iterations"),
    [
        (chain(3, 4.0), [1.0, 2.0, 3.0], 0.3535533905932738, 1.0333704529042345, {0.8: 20, 1.0: 10, 1.1: 9, 1.5: 28, 1.9: 179}),
        (chain(4, 2.0), [1.0, 0.0, 0.0, 1.0], 0.8090169943749471, 1.2596161836824993, {1.0: 43, 1.25: 19, 1.5: 28, 1.9: 179}),
    ],
)
def test_known_relaxations(matrix, right, beta, best, iterations):
    assert relax.jacobi_radius(matrix) == pytest.approx(beta, rel=1e-14)
    assert 1 + (beta / (1 + np.sqrt(1 - beta**2))) ** 2 == pytest.approx(best, rel=1e-14)
    for w, count in iterations.items():
        assert relax.sor_iterations(matrix, np.array(right), w) == count


def test_known_radii():
    beta = 0.3535533905932738
    for w, radius in ((0.8, 0.37266499161421596), (1.0, 0.125), (1.5, 0.5)):
        assert relax.sor_radius(beta, w) == pytest.approx(radius, rel=1e-13)


def test_known_probabilities():
    p = np.empty(3)
    x = relax.tsallis(np.array([0.0, 1.0, 3.0]), 0.5, 0.0 - 2.0 / 0.5, relax.NEWTON_STEPS, p)
    np.testing.assert_allclose(p, [0.46084014354971276, 0.33681517920706844, 0.2023446772432188], rtol=1e-13)
    assert x == pytest.approx(-5.892299855503374, rel=1e-13)


def test_the_printed_rate_loses_what_was_measured():
    """Losses (0, 1, ..., 1), 10,000 rounds, 50 settings: 2349.1 +- 0.5 over 300 seeds, where the printed constant allows 2000."""
    found = [
        relax.learn(
            one_good(50), 10_000, 0.01, False, True, 1.0, relax.NEWTON_STEPS, np.random.default_rng(s), np.empty(50), np.empty(50)
        )[0]
        for s in range(20)
    ]
    assert np.mean(found) == pytest.approx(2349.1, abs=4 * np.std(found) / 20**0.5 + 2.0)


def test_the_printed_constant_is_refuted():
    report = check(
        Request(PLUGINS["learning-to-relax"], seeds=100, claims=("printed-constant",), instance="many-settings"), "test"
    )
    assert [v.status for v in report.verdicts] == ["REFUTED"]


def test_grids_are_laplacians():
    A = grid(3, 0.5)
    assert A[4, 4] == 4.5
    assert A[4].sum() == 0.5
    with pytest.raises(InstanceError, match="positive definite"):
        load(PLUGINS["learning-to-relax"]).references["chain-3"].replace(matrix=-np.eye(3))


# -- dynamical-linear -----------------------------------------------------------------------------------------------------------------------


def test_known_constants():
    bandit = published(0.01, float(np.log(1000)))
    c1, c2, s2, U = dynamic.constants(bandit)
    known = 1.4132637592201254  # for a state without noise
    assert dynamic.constants(bandit.replace(noise=0.0))[0] == pytest.approx(known, rel=1e-13)
    assert c1 > known
    assert c2 == pytest.approx(1.0752074550473285, rel=1e-13)
    assert s2 == pytest.approx(0.0002052083333333333, rel=1e-13)
    for t, beta in ((1.0, 3.7899445658640216), (1000.0, 7.151880836402521)):
        assert dynamic.confidence(t, known, c2, s2, U, bandit.ridge, 3, 1e-3) == pytest.approx(beta, rel=1e-13)
    np.testing.assert_allclose(bandit.effect, [0.5625, 0.5, 0.1111111111111111], rtol=1e-14)
    assert (bandit.actions @ bandit.effect).max() == pytest.approx(0.8125, rel=1e-14)


@pytest.mark.parametrize(("radius", "ridge"), [(0.1, 10.0), (0.01, 1.0), (0.01, 10.0), (0.001, 100.0)])
def test_epochs_rounded_down_are_too_short(radius, ridge):
    def run(rounding):
        turns = dynamic.ALTERNATING
        return dynamic.learned(lingering(radius, ridge), 5_000, rounding, turns, dynamic.Variant(), np.random.default_rng(0))

    assert run(dynamic.FLOOR)[1] > 1.0 > run(dynamic.CEIL)[1]


def test_published_regret():
    """482 and 1784 over 5 seeds at 10^4 and 10^5 rounds by another program, epochs as released; ratios of 0.56 to 0.60."""
    for rounds, wanted in ((10_000, 482), (100_000, 1784)):
        runs = [
            dynamic.learned(
                published(0.01, float(np.log(rounds))),
                rounds,
                dynamic.FLOOR,
                dynamic.OPTIMIST,
                dynamic.Variant(),
                np.random.default_rng(s),
            )
            for s in range(3)
        ]
        assert np.mean([rounds * 0.8125 - total for total, *_ in runs]) == pytest.approx(wanted, rel=0.04)
        assert all(0.54 < worst < 0.62 for _, worst, *_ in runs)


# -- classic-bandits ------------------------------------------------------------------------------------------------------------------------


def test_exp3_against_a_second_program():
    """The same words, NumPy, one round at a time."""
    losses, rate = classic.moving_losses(4, 200), 0.05
    rng, score, suffered = np.random.default_rng(3), np.zeros(4), 0.0
    for row in losses:
        p = np.exp(-rate * (score - score.min()))
        p /= p.sum()
        arm = min(int(np.searchsorted(np.cumsum(p), rng.random(), side="right")), 3)
        suffered += p @ row
        score[arm] += row[arm] / p[arm]
    found = classic.exponential_weights(losses, rate, True, 1.0, np.random.default_rng(3))
    assert found[0] == pytest.approx(suffered - losses.sum(axis=0).min(), abs=1e-9)


def test_ucb_against_a_second_program():
    means, rounds = np.array([0.3, 0.6, 0.5]), 500
    rng, count, total, regret = np.random.default_rng(1), np.zeros(3), np.zeros(3), 0.0
    for t in range(rounds):
        arm = t if t < 3 else int(np.argmax(total / count + np.sqrt(2 * np.log(rounds) / count)))
        total[arm] += rng.random() < means[arm]
        count[arm] += 1
        regret += 0.6 - means[arm]
    found, _ = classic.pull(means, rounds, classic.UCB, 1, 1.0, False, 1.0, 0.0, np.random.default_rng(1))
    assert found == pytest.approx(regret, abs=1e-9)


@pytest.mark.parametrize(
    ("plugin", "claim", "at", "value"),
    [
        ("classic-bandits", "ucb-without-gaps", {"arms": 10.0, "rounds": 1000.0}, 753.4),
        ("classic-bandits", "ucb-with-gaps", {"inverse_gaps": 11.25, "sum_gaps": 7.2, "rounds": 1000.0}, 628.9),
        ("classic-bandits", "ucb-without-gaps", {"arms": 10.0, "rounds": 10_000.0}, 2724.5),
        ("classic-bandits", "exp3", {"arms": 10.0, "rounds": 1000.0}, 214.6),
        ("learning-to-relax", "regret-with-the-right-rate", {"length": 10_000.0, "settings": 50.0}, 2000.0),
        ("learning-to-relax", "regret-with-the-printed-rate", {"length": 10_000.0, "settings": 4.0}, 900.0),
        ("learning-to-relax", "regret-at-any-time", {"length": 10_000.0, "settings": 4.0}, 801.0),
    ],
)
def test_bounds_are_those_of_the_theorems(plugin, claim, at, value):
    assert float(load(PLUGINS[plugin]).claims[claim].bound(at)) == pytest.approx(value, abs=0.06)
