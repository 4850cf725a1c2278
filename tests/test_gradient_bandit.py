"""The gradient-bandit plugin against published values, exhaustive trees, intervals, a plain kernel and its own falsified twins."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pytest
from mpmath import iv, mp
from numpy.testing import assert_allclose
from theorylab_plugins.gradient_bandit import algorithm, exact_gradient, one_step, updates
from theorylab_plugins.gradient_bandit import simulate as runs
from theorylab_plugins.gradient_bandit.figures import two_arm_bound

from theorylab.problems.bandit import Bandit, bernoulli, clipped_gaussian, deterministic, two_point
from theorylab.problems.bandit_families import random_bandit
from theorylab.registry import Locator, load
from theorylab.run.audit import audit
from theorylab.run.check import check
from theorylab.run.plan import make_plan
from theorylab.run.records import Request
from theorylab.run.streams import trial_stream

LOCATOR = Locator("gradient-bandit", "theorylab_plugins.gradient_bandit:plugin", "theorylab")
U = 2.0**-53


@pytest.fixture(scope="module")
def plugin():
    return load(LOCATOR)


# -- one pull, against 25-digit values -----------------------------------------------------------------------------------


def one_pull(bandit, theta, eta, growth=1.0, **changes):
    """Columns of `facts` and `one_step` at one state."""
    theta, K = np.array([theta], dtype=float), len(theta)
    values, masses = bandit.law
    known, gradients, policies = np.empty((1, one_step.FACTS)), np.empty((1, K)), np.empty((1, K))
    squares = (values**2 * masses).sum(axis=1)
    stars = bandit.gaps == 0.0
    one_step.facts(theta, bandit.means, squares, np.zeros(1), stars, 0, known, gradients, policies)
    out = np.empty((1, one_step.COLUMNS))
    settings = {"form": updates.CORRECT, "mix": 0.0, "faster": 1.0, "contains": False} | changes
    one_step.one_step(
        theta, theta, np.array([eta]), np.zeros(1), 1, np.array([growth]), values, masses, bandit.means, gradients,
        bandit.reward_bound, bandit.best_arm, np.array([[bandit.best_arm]]), settings["form"], settings["mix"], settings["faster"],
        settings["contains"], out,
    )  # fmt: skip
    return known[0], out[0], gradients[0], policies[0]


def test_one_pull_at_three_arms():
    bandit = two_point([0.6, 0.2, -0.5], start=[0.5, 0, -1])
    eta = algorithm.theorem_step(bandit)
    assert eta == pytest.approx(0.000769800358919501019, rel=1e-14)
    growth = algorithm.growth_rate(bandit, eta)
    assert growth * eta == pytest.approx(0.639029626471042682, rel=1e-14)
    known, out, gradient, policy = one_pull(bandit, [0.5, 0, -1], eta, growth)
    assert_allclose(policy, [0.546549387266179638, 0.331498960424091505, 0.121951652309728857], rtol=4 * U)
    assert_allclose(gradient, [0.145790082410243635, -0.0441734293057923365, -0.101616653104451298], rtol=16 * U)
    norm = known[one_step.GRADIENT_NORM]
    assert norm == pytest.approx(0.183117405436976021, rel=1e-14)
    assert out[one_step.SQUARE] == pytest.approx(0.576520001015637214, rel=1e-14)
    assert known[one_step.SQUARE_FORMULA] == pytest.approx(0.576520001015637214, rel=1e-14)
    assert 8 * 3**1.5 / bandit.smallest_gap**2 * norm == pytest.approx(47.5752974950547759, rel=1e-14)
    gain = (out[one_step.FIRST] + out[one_step.SECOND]) * eta * norm**2
    assert gain == pytest.approx(0.0000258086909162688656, rel=1e-13)
    assert eta / 2 * norm**2 == pytest.approx(0.0000129064667262025113, rel=1e-13)
    assert known[one_step.STAR] * known[one_step.DELTA] == pytest.approx(0.145790082410243635, rel=1e-14)
    odds = policy[0] / (policy[1] + policy[2])
    assert odds == pytest.approx(1.20531182871509119, rel=1e-14)
    # E[u'] is printed to 18 digits, so the rise is good to 1e-14 relative to E[u'] / rise = 6e3.
    assert out[one_step.ODDS] == pytest.approx(1.20550262703390408 - 1.20531182871509119, rel=1e-11)
    drift = 1.0 + out[one_step.STAR_DRIFT] * policy[0] * (policy[1] + policy[2])
    assert drift == pytest.approx(0.956584192470766706, rel=1e-14)


def test_one_pull_near_a_vertex_with_two_arms():
    bandit = two_point([0.25, -0.25], start=[3, -2])
    growth = algorithm.growth_rate(bandit, 0.2)
    known, out, gradient, policy = one_pull(bandit, [3, -2], 0.2, growth)
    assert_allclose(gradient, [0.00332402833539507746, -0.00332402833539507746], rtol=1e-14)
    assert out[one_step.SQUARE] == pytest.approx(0.0132961133415803098, rel=1e-14)
    gain = (out[one_step.FIRST] + out[one_step.SECOND]) * 0.2 * known[one_step.GRADIENT_NORM] ** 2
    assert gain == pytest.approx(2.71061208251006418e-6, rel=1e-13)
    assert out[one_step.ODDS] == pytest.approx(148.69307721350336 - 148.413159102576603, rel=1e-11)
    assert 2 * math.expm1(0.4) == pytest.approx(0.983649395282540636, rel=1e-14)
    drift = 1.0 + out[one_step.STAR_DRIFT] * policy[0] * policy[1]
    assert drift == pytest.approx(0.99936721730304484, rel=1e-14)


def test_one_update():
    theta, out = np.array([0.5, 0.0, -1.0]), np.empty(3)
    policy, rest = np.empty(3), np.empty(3)
    updates.policy_of(theta, updates.CORRECT, policy, rest)
    updates.increment(theta, policy, rest, policy, 1, -1.0, 0.25, updates.CORRECT, out)
    assert_allclose(theta + out, [0.636637346816544909, -0.167125259893977124, -0.969512086922567786], rtol=4 * U)


@pytest.mark.parametrize(
    ("form", "bias", "drift", "gain"),
    [
        (updates.PLUS_SIGN, 1.21, 1.76, 0.50063), (updates.PULLED_ONLY, 0.607, 0.878, 0.750), (updates.NO_ONE_MINUS, 1.23, 0.547, 1.77),
        (updates.NOTHING_SUBTRACTED, 1.25, 1.0, 1.52), (updates.IMPORTANCE, 2.98, 0.0, 3.38), (updates.FLIPPED, 2.0, 0.0, -1.0),
        (updates.CLIPPED, 0.5, 0.0, 0.49997), (updates.TEMPERED, 0.234, 0.0, 1.24), (updates.IN_PLACE, 2.0e-8, 1.15e-4, 0.99984),
    ],
)  # fmt: skip
def test_broken_updates_err_as_published(form, bias, drift, gain):
    bandit = two_point([0.6, 0.2, -0.5])
    _, out, gradient, _ = one_pull(bandit, [0.5, 0, -1], algorithm.theorem_step(bandit), form=form)
    top = np.abs(gradient).max()
    assert out[one_step.BIAS] / top == pytest.approx(bias, rel=0.3 if form == updates.IN_PLACE else 5e-3)  # printed digits
    assert out[one_step.SUM] == pytest.approx(drift, rel=5e-3, abs=1e-12)
    assert out[one_step.FIRST] + out[one_step.SECOND] == pytest.approx(gain, rel=5e-3)


@pytest.mark.parametrize(
    ("ratio", "root"),
    [
        (0.01, 0.0198677677980973),
        (0.1, 0.187685726511821),
        (0.5, 0.762688560850338982),
        (1, 1.2564312086261697),
        (2, 1.9038136944403834),
    ],
)
def test_roots_of_the_supermartingale(ratio, root):
    assert algorithm.growth_root(ratio) == pytest.approx(root, rel=2e-15)


def test_two_arm_bound_is_the_published_number():
    assert algorithm.curvature(0.1) == pytest.approx(1.0701379080084917, rel=1e-14)
    bound = two_arm_bound(two_point([0.25, -0.25]), 0.1, np.array([2000.0]))
    assert bound[0] == pytest.approx(36.331353525386132, rel=1e-13)


# -- many pulls, against exhaustive trees ---------------------------------------------------------------------------------


def tree(bandit, eta, pulls):
    """E[delta_t], E[regret_t] and E[exp(-2 (theta_t(0) - theta_1(0)))] for t = 1 .. pulls, every outcome visited; plain Python."""
    values, masses = bandit.law
    theta = np.array(bandit.start)
    level: dict[tuple[float, ...], float] = {tuple(theta): 1.0}
    rows, regret = [], 0.0
    for _ in range(pulls):
        after: dict[tuple[float, ...], float] = {}
        delta = shrink = 0.0
        for logits, weight in level.items():
            z = np.array(logits)
            pi = np.exp(z - z.max())
            pi /= pi.sum()
            delta += weight * float(pi @ bandit.gaps)
            shrink += weight * math.exp(-2.0 * (z[0] - theta[0]))
            for a in range(z.size):
                for x, q in zip(values[a], masses[a], strict=True):
                    if q > 0.0:
                        moved = z - eta * x * pi
                        moved[a] += eta * x
                        key = tuple(np.round(moved, 14).tolist())  # paths that meet are merged
                        after[key] = after.get(key, 0.0) + weight * pi[a] * q
        regret += delta
        rows.append((delta, regret, shrink))
        level = after
    return np.array(rows)


TREE_TWO = [
    [0.25, 0.25, 1.0], [0.24687760156513, 0.49687760156513, 0.97996248055084], [0.24377844670789, 0.74065604827302, 0.96037602825273],
    [0.2407038727178, 0.98135992099082, 0.94123128837791], [0.23765509335103, 1.2190150143419, 0.92251897840927],
    [0.23463320632033, 1.4536482206622, 0.90422990157539], [0.23163920048254, 1.6852874211447, 0.88635495844541],
]  # fmt: skip
TREE_THREE = [
    [0.83333333333333, 0.83333333333333, 1.0], [0.71563161030212, 1.5489649436354, 0.80376961415734],
    [0.61952033097671, 2.1684852746122, 0.6592309954562], [0.54221161305217, 2.7106968876643, 0.55185845205578],
    [0.47984770467659, 3.1905445923409, 0.47068929248664], [0.42898948041538, 3.6195340727563, 0.40808530089582],
    [0.38694862373348, 4.0064826964898, 0.35883854177201], [0.35171679831385, 4.3581994948036, 0.31938664641046],
]  # fmt: skip


@lru_cache
def two_armed_tree():
    return tree(two_point([0.5, 0.0]), 0.1, 7)


def test_trees_are_the_published_ones():
    assert_allclose(two_armed_tree(), TREE_TWO, rtol=1e-13)
    assert_allclose(tree(deterministic([1, 0.5, -1], 1.0), 0.5, 8), TREE_THREE, rtol=1e-13)


@pytest.mark.parametrize(
    ("bandit", "eta", "expected"),
    [(two_point([0.5, 0.0]), 0.1, TREE_TWO), (deterministic([1, 0.5, -1], 1.0), 0.5, TREE_THREE)],
    ids=["two-arms", "three-arms"],
)
def test_simulated_means_are_those_of_the_tree(bandit, eta, expected):
    """The fast kernel, once with carried weights (eta 0.1) and once with fresh ones (eta 0.5)."""
    arms, points = algorithm.Arms.of(bandit), np.arange(1, len(expected) + 1)
    traces = [arms.simulate(np.random.default_rng(i), eta, points, algorithm.Variant()) for i in range(4000)]
    gaps, regrets = np.array([t.gap for t in traces]), np.array([t.regret for t in traces])
    for values, column in ((gaps, 0), (regrets, 1)):
        error = np.abs(values.mean(axis=0) - np.array(expected)[:, column])
        # Five standard errors at 15 comparisons with fixed seeds: a false alarm was never possible twice.
        assert (error <= 5.0 * values.std(axis=0) / math.sqrt(len(traces)) + 1e-12).all()


SPECIMENS = {
    "two-point": two_point(np.linspace(0.5, -0.5, 7)),
    "gaussian": clipped_gaussian([0.5, 0.1, 0.0], 0.4),
    "bernoulli": bernoulli([0.3, 0.6, 0.1, 0.2, 0.25]),
    "deterministic": deterministic([0.3, -0.6, 0.1, 0.1, 0.9], 1.0),
    "three atoms, padded": Bandit(
        np.array([[-1.0, 0.0, 0.5], [0.2, 0.4, 0.0]]), np.array([[0.2, 0.3, 0.5], [0.5, 0.5, 0.0]]), reward_bound=1.0
    ),
    "many arms": bernoulli(np.linspace(0.9, 0.1, 50)),
    "far start": two_point([0.5, 0.0, -0.5], start=[0.0, 600.0, 30.0]),
}


@pytest.mark.parametrize("with_baseline", [False, True], ids=["plain", "baseline"])
@pytest.mark.parametrize("eta", [0.05, 0.25, 3.0])
@pytest.mark.parametrize("name", SPECIMENS)
def test_the_fast_kernel_is_the_plain_one(name, eta, with_baseline):
    """Carried weights against softmax and increment computed anew at every pull: the same arms, the same logits to rounding."""
    bandit = SPECIMENS[name]
    arms, points = algorithm.Arms.of(bandit), np.array([1, 10, 500, 3000])
    fast = arms.simulate(np.random.default_rng(5), eta, points, algorithm.Variant(), with_baseline)
    plain = arms.simulate(np.random.default_rng(5), eta, points, _Plain(), with_baseline)
    # One different pull would move a logit by eta |x|; roundings of 3,000 pulls stay below this.
    assert_allclose(fast.theta, plain.theta, rtol=1e-12, atol=1e-10)
    assert_allclose(fast.gap, plain.gap, rtol=0, atol=1e-9)
    assert_allclose(fast.scalars, plain.scalars, rtol=1e-9, atol=1e-8)


class _Plain(algorithm.Variant):
    """The algorithm itself through the plain kernel."""

    is_broken = True


def test_values_of_probability_zero_are_never_paid():
    bandit = SPECIMENS["three atoms, padded"]
    cumulative = algorithm.Arms.of(bandit).cumulative
    assert cumulative[1, 1] == 1.0
    rng = np.random.default_rng(0)
    paid = {runs.draw_reward(1, bandit.atoms, cumulative, bandit.deviations, 1.0, rng) for _ in range(2000)}
    assert paid == {0.2, 0.4}


def test_probabilities_are_exact_down_to_the_smallest_floats():
    theta = np.array([[0.0, 690.0, 1.5, -3.0], [0.0, -690.0, -1.5, 3.0]])
    with mp.workprec(400):
        exact = [[mp.mpf(x) - mp.log(mp.fsum(mp.exp(mp.mpf(z)) for z in row)) for x in row] for row in theta]
    got = algorithm.log_policy(theta)
    assert_allclose(got, np.array(exact, dtype=float), rtol=4 * U, atol=4 * U)
    assert np.exp(got[0, 0]) == pytest.approx(float(mp.exp(exact[0][0])), rel=700 * U)
    assert np.exp(got[0, 0]) < 1e-299


# -- exact ascent --------------------------------------------------------------------------------------------------------------


def test_exact_ascent_takes_the_published_path():
    points = np.array([1, 2, 10, 100, 1000])
    theta, gap, regret, lowest = np.empty((5, 3)), np.empty(5), np.empty(5), np.empty(5)
    stars = np.array([True, False, False])
    rise, fall = exact_gradient.ascend(np.zeros(3), np.array([1, 0.6, 0.1]), 0.4, 0, points, stars, theta, gap, regret, lowest)
    expected = [
        0.433333333333333333,
        0.415329967508322153,
        0.284277307931960016,
        0.0219695042328940663,
        0.00173341881683691391577,
    ]
    expected[-1] = 0.00173341883691391577
    assert_allclose(gap, expected, rtol=1e-12)
    kept = np.exp(algorithm.log_policy(theta)[:, 0])
    assert_allclose(
        kept,
        [0.333333333333333333, 0.352735630130494262, 0.521336554023963134, 0.960368388789662005, 0.996868066831280963],
        rtol=1e-12,
    )
    assert rise < 0.0
    assert fall < 0.0


def test_a_fixed_optimal_arm_loses_its_share_when_the_optimum_is_tied(plugin):
    shared = algorithm.exact_measures(plugin.references["tied-optimum"], algorithm.Variant())
    assert shared["exact_kept_start"] == pytest.approx(0.212, abs=5e-4)
    points = np.array([1, 11, 101, 1001])  # after 0, 10, 100 and 1000 steps
    theta, scratch = np.empty((4, 3)), np.empty((3, 4))
    stars = np.array([True, True, False])
    exact_gradient.ascend(np.array([0.0, 1, 0]), np.array([1.0, 1, 0]), 0.4, 0, points, stars, theta, *scratch)
    assert_allclose(np.exp(algorithm.log_policy(theta)[:, 0]), [0.212, 0.198, 0.111, 0.0408], atol=5e-4)


def test_policy_gradients_of_mdps_are_derivatives():
    """The gradient against central differences of values that are solved for, at one state-action pair at a time."""
    rng = np.random.default_rng(3)
    S, A, discount, h = 3, 2, 0.8, 1e-5
    transition, reward = rng.dirichlet(np.ones(S), (S, A)), rng.random((S, A))
    start, theta = rng.dirichlet(np.ones(S)), rng.normal(size=(S, A))

    def value(z):
        pi = np.exp(z - z.max(axis=1, keepdims=True))
        pi /= pi.sum(axis=1, keepdims=True)
        chain, gain = np.einsum("sa,saz->sz", pi, transition), (pi * reward).sum(axis=1)
        return float(start @ np.linalg.solve(np.eye(S) - discount * chain, gain))

    policy, gradient, values = np.empty((S, A)), np.empty((S, A)), np.empty(S)
    exact_gradient.mdp_quantities(theta, transition, reward, discount, start, policy, gradient, values, 0)
    assert start @ values == pytest.approx(value(theta), rel=1e-13)
    for s in range(S):
        for a in range(A):
            step = np.zeros((S, A))
            step[s, a] = h
            assert gradient[s, a] == pytest.approx((value(theta + step) - value(theta - step)) / (2 * h), abs=1e-9)


def test_best_policies_are_those_of_value_iteration():
    rng = np.random.default_rng(4)
    for _ in range(20):
        S, A = int(rng.integers(1, 5)), int(rng.integers(2, 5))
        transition, reward = rng.dirichlet(np.ones(S), (S, A)), rng.random((S, A))
        value, action = algorithm.best_policy(transition, reward, 0.9)
        v = np.zeros(S)
        for _ in range(400):
            q = reward + 0.9 * transition @ v
            v = q.max(axis=1)
        assert_allclose(value, v, atol=1e-12)
        assert (action == q.argmax(axis=1)).all()


# -- the plugin as a whole ------------------------------------------------------------------------------------------------------


def test_no_true_claim_falls_and_every_false_one_does():
    report = check(Request(LOCATOR, seeds=100, root_seed=7), "test")
    for verdict in report.verdicts:
        claim = report.claims[verdict.claim]
        if claim.expected == "refuted":
            assert verdict.status == "REFUTED", verdict
        elif claim.mode.is_pathwise:
            assert verdict.status == "SUPPORTED", (verdict.claim, verdict.reason)
        else:
            assert verdict.status in ("SUPPORTED", "CONSISTENT", "INCONCLUSIVE"), (verdict.claim, verdict.reason)


def test_largest_ratios_are_those_that_the_proofs_predict():
    """A check that compared with a wrong constant would show another ratio: suprema are attained on the named instances."""
    seen = {v.claim: v.evidence.tightness for v in check(Request(LOCATOR, seeds=20), "test").verdicts}
    for name, ratio in {
        "growth": 1 / 8, "growth-five": 1 / 5, "growth-sqrt": 1 / 2, "growth-with-baseline": 1 / 8, "noise-sharp": 1.0, "step-norm": 1.0,
        "lojasiewicz-sharp": 1.0,
    }.items():  # fmt: skip
        assert seen[name] == pytest.approx(ratio, rel=0.01), name
    assert 0.49 < seen["smooth-iterates-any-step"] <= 0.55
    assert 0.47 < seen["hessian"] < 0.54
    assert 0.99 < seen["weak-exploration"] <= 1.0


def pathwise(plugin, wanted):
    return tuple(name for name, c in plugin.claims.items() if c.mode.is_pathwise == wanted and c.expected == "supported")


def test_every_broken_update_is_refuted(plugin):
    """The kill matrix of the claims on single runs, which few seeds decide."""
    result = audit(Request(LOCATOR, seeds=4, instances=0, claims=pathwise(plugin, True)))
    assert not result.missed
    assert not result.toothless
    assert not result.false_alarms
    # what only many runs can see is seen below
    assert set(result.survivors) == {"scaled-uniform", "step-decays", "mean-rewards", "neighbours-rewards"}


def test_what_only_many_runs_can_see_is_refuted(plugin):
    """The rest of the kill matrix: claims on probabilities and expectations, and the mutants that they are said to refute."""
    claims = pathwise(plugin, False)
    named = [name for name, m in plugin.mutants.items() if m.survives or set(m.refuted_by) & set(claims)]
    result = audit(Request(LOCATOR, seeds=16, instances=0, claims=claims), mutants=[*named, "plus-sign"])
    assert not result.missed
    assert not result.survivors
    assert not result.toothless
    assert not result.false_alarms


@pytest.mark.full
def test_the_kill_matrix_is_full():
    result = audit(Request(LOCATOR, seeds=16))
    assert result.is_clean


@pytest.mark.parametrize("name", ["three-arms", "two-arms", "gaussian-arms", "near-vertex", "good-start", "drawn"])
def test_measures_are_enclosed_by_the_exact_replay(plugin, name):
    """Floats and intervals are written apart, stable forms against definitions; every measure must agree to its rounding error."""
    bandit = random_bandit(np.random.default_rng(8)) if name == "drawn" else plugin.references[name]
    parameters = {"horizon": 50, "step_size": 0.0}
    stream = lambda: trial_stream(0, "gradient-bandit", bandit.digest(), 3)  # noqa: E731
    floats = plugin.algorithm.function(bandit, [stream()], **parameters)
    before, iv.prec = iv.prec, 2500  # near a vertex the definitions cancel down to the square of the smallest probability
    try:
        for state in (0, 1, len(floats["bias"][0]) - 1):
            exact = plugin.algorithm.precisely(bandit, stream(), state, **parameters)
            for measure in sorted(set(exact) & set(floats)):
                value = float(iv.mpf(exact[measure]).mid)
                got = np.atleast_1d(floats[measure][0])
                got = got[state] if got.size > 1 else got[0]
                # 1 + log range roundings, times the exponentials of up to e^(2 eta R) <= e^6 that enter odds and drifts.
                assert got == pytest.approx(value, rel=1e-9, abs=1e-11), (measure, state)
    finally:
        iv.prec = before


def test_measures_change_with_units_as_they_must(plugin):
    """Rewards times s and steps over s: ratios stay, rewards scale, and so they must under a relabelling of the arms."""
    base = two_point([0.6, 0.2, -0.5], start=[0.5, 0, -1])
    eta = 0.3
    _, out, gradient, _ = one_pull(base, base.start, eta, 1.7 / eta)
    scaled = two_point(np.array([0.6, 0.2, -0.5]) * 4, 4.0, start=[0.5, 0, -1])
    _, out4, gradient4, _ = one_pull(scaled, base.start, eta / 4, 1.7 / eta)
    assert_allclose(gradient4, 4 * gradient, rtol=1e-13)
    for column in (one_step.REACH, one_step.CURVATURE, one_step.ODDS, one_step.STAR_DRIFT):
        assert out4[column] == pytest.approx(out[column], rel=1e-12)
    assert out4[one_step.SQUARE] == pytest.approx(16 * out[one_step.SQUARE], rel=1e-12)
    order = [2, 0, 1]
    turned = two_point(np.array([0.6, 0.2, -0.5])[order], start=np.array([0.5, 0, -1])[order])
    _, outp, gradientp, _ = one_pull(turned, turned.start, eta, 1.7 / eta)
    assert_allclose(gradientp, gradient[order], rtol=1e-13)
    columns = [one_step.SQUARE, one_step.REACH, one_step.FIRST, one_step.SECOND, one_step.ODDS, one_step.STAR_DRIFT]
    assert_allclose(outp[columns], out[columns], rtol=1e-12)


def test_many_instances_are_drawn_for_claims_on_single_runs(plugin):
    plan = make_plan(Request(LOCATOR, seeds=40), plugin)
    drawn = [s for s in plan.subjects if s.origin == "drawn"]
    assert len(drawn) == 40
    assert [len(s.seeds) for s in drawn] == [40] * 3 + [1] * 37
    assert [s.pathwise_only for s in drawn] == [False] * 3 + [True] * 37
    assert len([s for s in make_plan(Request(LOCATOR, seeds=40, instances=2), plugin).subjects if s.origin == "drawn"]) == 2


def test_blocks_change_no_bit():
    def digests(chunk):
        report = check(Request(LOCATOR, seeds=6, instances=1, chunk=chunk, settings=(("horizon", "300"),)), "test")
        return report.digests, [(v.claim, v.status, v.evidence) for v in report.verdicts]

    assert digests(1) == digests(4)


def test_figures_are_drawn(command, tmp_path):
    done = command(
        "check", "gradient-bandit", "--seeds", 4, "--instance", "two-arms", "--claim", "unbiased", "--set", "horizon=200", "--plots",
        tmp_path / "plots",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "plots").iterdir() if path.is_file()}
    assert names == {"learning-curves-two-arms.png", "learning-curves-two-arms.svg"}
    claims = {path.name for path in (tmp_path / "plots" / "claims").iterdir()}
    assert claims == {"unbiased.png", "unbiased.svg"}
    import xml.etree.ElementTree as ElementTree

    text = (tmp_path / "plots" / "learning-curves-two-arms.svg").read_text(encoding="utf-8")
    ElementTree.fromstring(text)
    assert "Theorem 1 for two arms" in text
    assert (tmp_path / "plots" / "learning-curves-two-arms.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_figures_show_what_was_run(plugin):
    """The mean in the picture is that of the judged runs, and its band holds the exact mean of the tree."""
    bandit = two_point([0.5, 0.0])
    rngs = [trial_stream(0, "gradient-bandit", bandit.digest(), i) for i in range(50)]
    (picture,) = plugin.figures["learning-curves"].function(bandit, rngs, "mine", horizon=7, step_size=0.1)
    curve = picture.panels[0].curves[0]
    for x, low, high in zip(curve.x, curve.low, curve.high, strict=True):
        assert low <= TREE_TWO[int(x) - 1][0] <= high


def test_a_users_own_arms(command, tmp_path):
    file = tmp_path / "arms.csv"
    file.write_text("arm,mean\nred button,0.31\nblue button,0.28\n", encoding="utf-8")
    done = command(
        "check", "gradient-bandit", "--instance", file, "--seeds", 5, "--set", "horizon=500", "--plots", tmp_path / "p"
    )
    assert done.returncode == 0, done.stderr
    assert "blue button" in done.stdout
    assert "Constant step sizes" in done.stdout
    assert (tmp_path / "p" / "learning-curves-arms.png").exists()
    file.write_text("arm,mean\nred,1.5e400\nblue,0.2\n", encoding="utf-8")
    done = command("check", "gradient-bandit", "--instance", file)
    assert done.returncode == 2
    assert "line 2, column 'mean'" in done.stderr


def test_step_sizes_of_users(command):
    done = command(
        "check", "gradient-bandit", "--instance", "large-rewards", "--set", "step_size=50", "--set", "horizon=50", "--seeds", 3
    )
    assert done.returncode == 0, done.stdout  # e^(2 eta R) is no float: what needs it is left out
    assert " ERROR" not in done.stdout
    done = command("check", "gradient-bandit", "--instance", "two-arms", "--set", "step_size=-1", "--seeds", 3)
    assert done.returncode == 2
    assert "--set step_size=-1: step_size must lie in [0, inf)" in done.stderr
