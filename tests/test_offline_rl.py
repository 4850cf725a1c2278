"""Pessimistic robust values from data: printed numbers, convex programs, brute force, and formulas written out a second time."""

import numpy as np
import pytest
from theorylab_plugins.r2pvi import bounds
from theorylab_plugins.r2pvi.instances import simulated

from theorylab.problems.linear_mdp import LinearMDP
from theorylab.solvers import offline, robust
from theorylab.solvers.drectangular import plan
from theorylab.solvers.offline import CHI, KL, TV, Visits, pessimistic_values

KINDS = {"tv": (TV, robust.TV_PENALTY), "kl": (KL, robust.KL_PENALTY), "chi2": (CHI, robust.CHI_PENALTY)}

PRINTED = LinearMDP(
    np.array([[[1, 0], [0.5, 0.5]], [[0.25, 0.75], [0, 1]], [[0.6, 0.4], [0.9, 0.1]]]),
    np.array(
        [[[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]], [[0.2, 0.2, 0.6], [0.4, 0.5, 0.1]], [[1 / 3, 1 / 3, 1 / 3], [0.25, 0.25, 0.5]]]
    ),
    np.array([[0.2, 0.9], [0.8, 0.1], [0.5, 0.4]]),
    0.5,
)
POLICY = [[1, 1, 0], [0, 0, 1], [0, 0, 1]]
COUNTS = np.array(
    [
        [[[1, 2, 4], [2, 3, 5]], [[6, 1, 3], [1, 2, 4]], [[5, 0, 2], [6, 1, 3]]],
        [[[3, 6, 1], [4, 1, 2]], [[2, 5, 0], [3, 6, 1]], [[1, 4, 5], [2, 5, 0]]],
        [[[0, 2, 5], [1, 3, 6]], [[5, 1, 4], [0, 2, 5]], [[4, 0, 3], [5, 1, 4]]],
    ]
)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tv", [1.65074375, 2.0173375, 1.577425]),
        ("kl", [1.6083180285300958, 1.9770580202461123, 1.5345700301868923]),
        ("chi2", [1.638319323685951, 2.0023958385295875, 1.5655040207172237]),
    ],
)
def test_exact_values_are_the_printed_ones(name, expected):
    found = plan(PRINTED, KINDS[name][1], 0.5)
    np.testing.assert_allclose(found.value[0], expected, rtol=0, atol=1e-14)
    assert found.policy.tolist() == POLICY


@pytest.mark.parametrize(
    ("name", "values", "nu"),
    [
        ("tv", [1.5470193217589174, 1.878087123383709, 1.4808057614339594], [1.0389195926040984, 1.0038039338261022]),
        ("kl", [1.6271446056370438, 1.9648688245500396, 1.5595997618544448], [1.1123884591940207, 1.0905856349924326]),
        ("chi2", [1.5163649704647058, 1.8419290526286345, 1.4512521540319203], [1.0137689607707496, 0.9676458630710274]),
    ],
)
def test_pessimistic_values_are_the_printed_ones(name, values, nu):
    found = pessimistic_values(KINDS[name][0], 0.5, PRINTED.features, PRINTED.theta, Visits.of_table(COUNTS), beta=0.1)
    np.testing.assert_allclose(found.value[0], values, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found.nu[0], nu, rtol=0, atol=1e-13)
    assert found.penalty[0, 0, 0] == pytest.approx(0.02296807246997238, abs=1e-15)
    assert found.policy.tolist() == POLICY


def test_derived_penalties_are_the_printed_ones():
    expected = {
        TV: [11.532937470315453, 8.471918675226807, 0.0],
        KL: [156.3444109302885, 128.22125774082846, 40.171073846375336],
        CHI: [60.08057198616834, 27.067318500453702, 0.0],
    }
    for kind, values in expected.items():
        np.testing.assert_allclose(bounds.shared(kind, 4, 3, 10_000, 1.0, 0.1), values, rtol=1e-14)


@pytest.mark.parametrize(
    ("strength", "name", "value"),
    [
        (0.1, "tv", 0.09995), (0.1, "kl", 1.3451887654248935), (0.1, "chi2", 1.6221447701531782),
        (1.0, "tv", 0.9995), (1.0, "kl", 1.6235948130529434), (1.0, "chi2", 1.6240395018299778),
    ],
)  # fmt: skip
def test_the_simulated_mdp_has_the_printed_values(strength, name, value):
    model = simulated(strength)
    found = plan(model, KINDS[name][1], strength)
    assert found.value[0, 0] == pytest.approx(value, abs=1e-13)


@pytest.mark.parametrize(("blocked", "value"), [(0.0, 1.624875), (0.5, 1.124875), (1.0, 0.624875)])
def test_the_bold_policy_earns_the_printed_values_where_the_goal_is_missed(blocked, value):
    bold = np.full((3, 5), 15)
    assert plan(simulated(blocked=blocked), -1, 0.0, bold).value[0, 0] == pytest.approx(value, abs=1e-14)


def test_total_variation_reaches_states_that_were_never_seen():
    model = LinearMDP(
        np.eye(2)[:, None, :],
        np.array([[[0.0, 1.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]),
        np.array([[0.0, 0.0], [0.0, 1.0]]),
        0.5,
    )
    assert plan(model, robust.TV_PENALTY, 0.5).value[0].tolist() == [0.5, 0.5]
    endless = np.array([model.transition(h).reshape(2, 1, 2) for h in range(2)]) * 1e12
    right = pessimistic_values(TV, 0.5, model.features, model.theta, Visits.of_table(endless), beta=0.0)
    np.testing.assert_allclose(right.value[0], 0.5, atol=1e-11)
    wrong = pessimistic_values(
        TV, 0.5, model.features, model.theta, Visits.of_table(endless), beta=0.0, rules=offline.Rules(sampled=True)
    )
    np.testing.assert_allclose(wrong.value[0], 1.0, atol=1e-11)
