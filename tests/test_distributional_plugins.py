"""The three distributional plugins: constants as stated, counterexamples as published, small errors found, answers for users."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from theorylab_plugins.categorical_dp import algorithm as categorical_dp
from theorylab_plugins.dcfp import algorithm as dcfp
from theorylab_plugins.distributional_dp import risk
from theorylab_plugins.distributional_dp.algorithm import measure as measure_stock
from theorylab_plugins.distributional_dp.variant import Variant as StockVariant

from theorylab.problems.mdp import from_table
from theorylab.registry import Locator, load
from theorylab.run.audit import audit
from theorylab.run.check import check
from theorylab.run.records import Request
from theorylab.solvers.categorical import Outcomes
from theorylab.solvers.exact_returns import Stock

LOCATORS = {
    name: Locator(name, f"theorylab_plugins.{name.replace('-', '_')}:plugin", "theorylab")
    for name in ("categorical-dp", "dcfp", "distributional-dp")
}
SEEDS = {"categorical-dp": 40, "dcfp": 64, "distributional-dp": 12}


@pytest.fixture(scope="module")
def plugins():
    return {name: load(locator) for name, locator in LOCATORS.items()}


# -- verdicts and mutants -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LOCATORS)
def test_every_claim_ends_as_expected(plugins, name):
    report = check(Request(LOCATORS[name], seeds=SEEDS[name]), "test")
    for verdict in report.verdicts:
        assert verdict.as_expected, (verdict.claim, verdict.status, verdict.reason)
        wanted = {"REFUTED"} if plugins[name].claims[verdict.claim].expected == "refuted" else {"SUPPORTED", "CONSISTENT"}
        assert verdict.status in wanted, (verdict.claim, verdict.status)


@pytest.mark.parametrize("name", ["categorical-dp", "dcfp"])
def test_the_kill_matrix_is_full(name):
    assert audit(Request(LOCATORS[name], seeds=16)).is_clean


@pytest.mark.parametrize(
    "mutants",
    [
        ["stock-not-divided", "greedy-cvar", "rewards-halved-on-grids"],
        pytest.param(["stock-forgotten", "greedy-without-stock", "stock-discounted"], marks=pytest.mark.full),
        pytest.param(["no-outer-maximisation", "mean-as-target", "stock-multiplied"], marks=pytest.mark.full),
    ],
)
def test_the_kill_matrix_of_the_stock_method_is_full(plugins, mutants):
    result = audit(Request(LOCATORS["distributional-dp"], seeds=16), mutants=mutants)
    for name in mutants:
        killers = {claim for claim, row in result.matrix.items() if row[name]}
        assert killers >= set(plugins["distributional-dp"].mutants[name].refuted_by), name


# -- constants as stated --------------------------------------------------------------------------------------------------------------

GAMMA = 0.81
BOUNDS = [
    ("categorical-dp", "projection-error", {"widest_cell": 0.4}, 0.4),
    ("categorical-dp", "projection-error-sharp", {"widest_cell": 0.4}, 0.1),
    ("categorical-dp", "projection-error-w1", {"widest_cell": 0.4}, 0.2),
    ("categorical-dp", "projection-expands-wasserstein", {"expanded_exponent": 2.0}, math.sqrt(0.5)),
    ("categorical-dp", "backup-contracts-wasserstein", {"discount": GAMMA, "wasserstein_before": 2.0}, 1.62),
    ("categorical-dp", "scaling-of-cramer", {"discount": GAMMA, "single_cramer": 2.0}, 1.62),
    ("categorical-dp", "sweep-contracts-cramer", {"discount": GAMMA, "cramer_before": 4.0}, (0.9 * 2.0) ** 2),
    ("categorical-dp", "sweep-contracts-w1", {"discount": GAMMA, "w1_before": 2.0}, 1.62),
    ("categorical-dp", "sweeps-converge-cramer", {"discount": GAMMA, "n": 4.0, "cramer_at_start": 4.0}, (0.9**4 * 2.0) ** 2),
    ("categorical-dp", "sweeps-converge-w1", {"discount": GAMMA, "n": 4.0, "w1_at_start": 2.0}, GAMMA**4 * 2.0),
    ("categorical-dp", "fixed-point-cramer", {"spacing": 0.5, "discount": 0.75}, 2.0),
    ("categorical-dp", "fixed-point-cramer-sharp", {"spacing": 0.5, "discount": 0.75}, 0.5),
    ("categorical-dp", "fixed-point-w1", {"spacing": 0.5, "discount": 0.75}, 1.0),
    ("categorical-dp", "fixed-point-cramer-outside",
     {"cut_spacing": 0.5, "cut_outside": 0.1, "cut_reach": 3.0, "discount": 0.75}, (0.5 + 0.06) / 0.25),
    ("categorical-dp", "greedy-sweeps-converge", {"discount": 0.5, "control_n": 3.0, "control_start": 8.0}, 1.0),
    ("dcfp", "gini-below-quarter-width", {"width": 10.0}, 1 / (4 * 0.1)),
    ("dcfp", "first-order-error", {"discount": GAMMA, "width": 1 / 0.19}, ((1 + 0.9) / (2 * 0.19)) ** 2),
    ("dcfp", "first-order-error-by-variance", {"discount": GAMMA, "resolved_slowly": 2.0}, 20.0),
    ("dcfp", "enough-samples-w1", {"discount": 0.9, "width": 10.0, "samples": 400.0, "states": 4.0, "checkpoints": 1.0},
     0.9 / 0.1**2 * (1 / (2 * 20) + math.sqrt(math.log(4 / 0.1) / 800))),
    ("dcfp", "enough-samples-cramer", {"discount": GAMMA, "width": 1 / 0.19, "samples": 400.0, "states": 4.0, "checkpoints": 2.0},
     1 / 0.1 * (1 / (2 * math.sqrt(0.19 * 400)) + math.sqrt(GAMMA * math.log(8 / 0.1) / (800 * 0.19)))),
    ("dcfp", "enough-samples-and-atoms",
     {"discount": 0.9, "width": 10.0, "samples": 400.0, "states": 4.0, "checkpoints": 1.0, "spacing": 0.5},
     0.9 / 0.1**2 * (1 / (2 * 20) + math.sqrt(math.log(4 / 0.1) / 800)) + 2.5),
    ("dcfp", "error-rate", {"discount": 0.9, "width": 10.0, "samples": 400.0, "states": 4.0},
     90.0 * (0.5 + math.sqrt(math.log(4) / 2)) / 20),
    ("distributional-dp", "value-iteration-converges", {"lipschitz": 3.0, "discount": 0.5, "n": 2.0, "return_bound": 4.0}, 3.0),
    ("distributional-dp", "greedy-policy-is-good", {"kinked_lipschitz": 3.0, "discount": 0.5, "n": 2.0, "return_bound": 4.0},
     2 * 0.125 * 3 * 4 / 0.5),
    ("distributional-dp", "policy-iteration-converges", {"lipschitz": 3.0, "discount": 0.5, "improvements": 2.0, "width": 4.0}, 3.0),
    ("distributional-dp", "cvar-converges", {"discount": 0.5, "n": 2.0, "return_bound": 4.0, "levels": 0.1}, 10.0),
    ("distributional-dp", "stock-rounding", {"lipschitz": 3.0, "step": 0.25, "discount": 0.9}, 3 * 0.25 * 0.9 / 0.2),
    ("distributional-dp", "stock-splitting", {"lipschitz": 3.0, "step": 0.25, "discount": 0.9}, 3 * 0.25 * 0.9 / 0.2),
    ("distributional-dp", "categorical-agent",
     {"lipschitz": 3.0, "width": 8.0, "atoms": 9.0, "discount": 0.5, "n": 2.0, "step": 0.25, "rounds": 1.0},
     3 * (0.5 * 0.75 / 0.5 + 0.25 * 0.5 / (2 * 0.5))),
    ("distributional-dp", "quantile-agent",
     {"lipschitz": 3.0, "width": 8.0, "atoms": 8.0, "discount": 0.5, "n": 2.0, "step": 0.25, "rounds": 0.0}, 3 * 0.5 * 0.75 / 0.5),
]  # fmt: skip


@pytest.mark.parametrize(("plugin", "claim", "at", "value"), BOUNDS, ids=[f"{p}-{c}" for p, c, _, _ in BOUNDS])
def test_bounds_are_those_of_the_theorems(plugins, plugin, claim, at, value):
    assert float(plugins[plugin].claims[claim].bound(at)) == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize(
    ("claim", "at", "start"),
    [
        # Unit rewards, discount 0.99: the W1 bound says something from m - 1 > 1 / (2 (1 - gamma)), the Cramer bounds from 1 / (1 - gamma) and a quarter of it.
        ("fixed-point-w1", {"discount": 0.99, "width": 100.0}, 2.0),
        ("fixed-point-cramer", {"discount": 0.99, "width": 100.0}, 1.0),
        ("fixed-point-cramer-sharp", {"discount": 0.99, "width": 100.0}, 4.0),
    ],
)  # fmt: skip
def test_bounds_say_something_from_the_published_number_of_atoms_on(plugins, claim, at, start):
    bound = plugins["categorical-dp"].claims[claim].bound
    assert float(bound(at | {"spacing": start * 0.999})) < at["width"] <= float(bound(at | {"spacing": start * 1.001}))


# -- counterexamples -------------------------------------------------------------------------------------------------------------------


def test_published_counterexamples_have_their_values(plugins):
    references = plugins["distributional-dp"].references

    def measures(name):
        return measure_stock(references[name], np.random.default_rng(0), 3, StockVariant())

    assert [measures("luck-then-gamble")[k] for k in ("tail_greedy", "tail_best")] == [0.0, 1.0]
    assert [measures("coin-then-choice")[k] for k in ("variance_greedy", "variance_best")] == [-0.25, 0.0]
    assert [measures("clipped-utility")[k] for k in ("clipped_greedy", "clipped_best")] == [0.25, 11 / 40]
    assert [measures("stay-or-gamble")[k] for k in ("hopeful_greedy", "hopeful_best")] == [1.0, 0.5]
    assert [measures("remember")[k] for k in ("blind_best", "stock_best")] == [-1.0, 0.0]


def test_the_text_book_mutants_of_the_projection():
    """Mean errors of wrong projections on the two-state process with seven atoms."""
    mdp, grid = from_table([[[(0.25, 1.0, 0), (0.75, 1.0, 1)]], [[(0.5, 0.0, 0), (0.5, 0.0, 1)]]], 0.5), np.linspace(0, 2, 7)
    value = np.array([4 / 3, 4 / 9])
    for shape, error in ((categorical_dp.categorical.FLOOR, 0.178), (categorical_dp.categorical.SWAPPED, 0.313)):
        found = categorical_dp.Variant(shape=shape).fixed_point(mdp, grid)
        assert np.abs(found @ grid - value).max() == pytest.approx(error, abs=6e-4)
    averaged = categorical_dp.Variant(averages=True).fixed_point(mdp, grid)
    assert np.abs(averaged @ grid - value).max() < 1e-3, "averaged quantiles keep the mean: only laws tell"
    right = categorical_dp.Variant().fixed_point(mdp, grid)
    assert np.abs(averaged - right).max() > 0.1


# -- small errors that no mutant has -----------------------------------------------------------------------------------------------------


def identities_hold(measures, names):
    """Whether pairs of measures agree to a hundred millionth: far above every slack of these claims on the instance used."""
    return all(np.abs(np.asarray(measures[a]) - np.asarray(measures[b])).max() < 1e-8 for a, b in names)


TWINS = [
    lambda p: p.replace(discount=p.discount * 1.001),
    lambda p: p.replace(rewards=p.rewards * 1.001),
    lambda p: p.replace(rewards=p.rewards + np.where(p.rewards == 1.0, 1e-3, 0.0)),
    lambda p: p.replace(probabilities=p.probabilities + np.array([1e-3, -1e-3, 0.0, 0.0])),
]


@pytest.mark.parametrize("twin", TWINS)
def test_small_errors_of_the_sweeps_are_found(plugins, twin):
    mdp = plugins["categorical-dp"].references["two-state"]
    names = [("found_weights", "solved_weights"), ("fixed_mean", "true_mean"), ("swept_mean", "steps_mean")]
    for variant, wanted in ((categorical_dp.Variant(), True), (categorical_dp.Variant(process=twin), False)):
        found = categorical_dp.measure(mdp, np.random.default_rng(1), 25, variant)
        assert identities_hold(found, names) is wanted


@pytest.mark.parametrize("twin", TWINS[:3])
def test_small_errors_of_the_linear_solve_are_found(plugins, twin):
    mdp = plugins["dcfp"].references["two-state"]
    names = [("solved_weights", "exact_weights"), ("solved_mean", "exact_mean"), ("estimated_weights", "swept_weights")]
    wrong = dcfp.Variant(blocks=lambda process, grid: Outcomes.of(twin(process), grid))
    for variant, wanted in ((dcfp.Variant(), True), (wrong, False)):
        found = dcfp.measure(mdp, [np.random.default_rng(1)], 64, 7, variant)
        assert identities_hold(found, names) is wanted


def test_a_perturbed_block_is_found(plugins):
    def nudged(process, grid):
        outcomes = Outcomes.of(process, grid)
        block = outcomes.block.copy()
        block[0, 3, 3] += 1e-3
        block[0, 4, 3] -= 1e-3
        return dataclasses.replace(outcomes, block=block)

    found = dcfp.measure(plugins["dcfp"].references["two-state"], [np.random.default_rng(1)], 64, 7, dcfp.Variant(blocks=nudged))
    assert np.abs(found["solved_weights"] - found["exact_weights"]).max() > 1e-6


def test_small_errors_of_the_stock_are_found(plugins):
    from fractions import Fraction

    mdp = plugins["distributional-dp"].references["two-states"]
    for update in (lambda c, r, g: (c + r) / g + Fraction(1, 1000), lambda c, r, g: (c + r) / (g + Fraction(1, 1000))):
        found = measure_stock(mdp, np.random.default_rng(0), 3, StockVariant(stock=Stock(update=update)))
        assert np.abs(found["account_gap"]).max() > 0.0
    right = measure_stock(mdp, np.random.default_rng(0), 3, StockVariant())
    for name in ("account_gap", "optimality_gap", "scalar_gap", "saturation_gap", "final_gap", "cvar_gap", "cvar_played_gap"):
        assert len(right[name]) > 0
        assert not right[name].any(), name


# -- restated problems: same laws ---------------------------------------------------------------------------------------------------------


def test_relabelled_states_and_shifted_rewards(plugins):
    """States in another order give the same laws; rewards scaled by two give laws on a grid twice as wide with the same weights."""
    from theorylab.solvers import categorical

    mdp = plugins["categorical-dp"].references["forward"]
    order = [2, 0, 3, 1]
    place = {s: i for i, s in enumerate(order)}
    table = []
    for s in order:
        at = mdp.outcomes_of(s, 0)
        table.append([[(p, r, place.get(int(to), -1)) for p, r, to in
                       zip(mdp.probabilities[at], mdp.rewards[at], mdp.successors[at], strict=True)]])  # fmt: skip
    other = from_table(table, mdp.discount)
    grid = categorical.default_grid(mdp, 15)
    laws = categorical.fixed_point(mdp, grid)
    np.testing.assert_allclose(categorical.fixed_point(other, grid), laws[order], atol=1e-13)
    np.testing.assert_allclose(categorical.fixed_point(mdp.replace(rewards=2 * mdp.rewards), 2 * grid), laws, atol=1e-13)


# -- what owners of a problem are told ------------------------------------------------------------------------------------------------


def test_risk_averse_policies_of_a_gamble():
    """A sure 1 against 3 or -1 with even odds: the mean prefers neither, the tail the sure thing; against 4 or -1 the mean gambles."""
    mdp = from_table([[[(1.0, 1.0, -1)], [(0.5, 4.0, -1), (0.5, -1.0, -1)]]], 0.9)
    found = risk.compare(mdp)
    np.testing.assert_allclose(found.cvars, [1.0] * 4, atol=1e-6)
    np.testing.assert_allclose(found.mean_cvars, [-1.0] * 4, atol=1e-6)
    assert found.mean_law @ found.atoms == pytest.approx(1.5, abs=1e-9)
    assert found.differs(0.05) == "state 0: action 0, not action 1"


def test_a_problem_without_rewards_has_an_answer():
    found = risk.compare(from_table([[[(1.0, 0.0, 0)], [(1.0, 0.0, 0)]]], 0.9))
    np.testing.assert_allclose(found.cvars + found.mean_cvars, [0.0] * 8, atol=1e-9)
    assert found.differs(0.05) == "none"


def test_frozen_lake_through_the_command_line(command, tmp_path):
    done = command("check", "distributional-dp", "--instance", "gym:FrozenLake-v1", "--plots", tmp_path / "figures", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Return from state 0, discount 0.99" in done.stdout
    row = next(line.split() for line in done.stdout.splitlines() if line.startswith("0.25 "))
    assert float(row[1]) == pytest.approx(0.0729486858, abs=2e-6)
    assert float(row[2]) == pytest.approx(0.0729486858, abs=2e-6)
    assert float(row[3]) == pytest.approx(0.5420259320, abs=2e-6)
    names = sorted(p.name for p in (tmp_path / "figures").iterdir() if p.is_file())
    assert names == ["returns-gym-FrozenLake-v1.png", "returns-gym-FrozenLake-v1.svg"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["distributional-dp", "--instance", "gym:Nowhere-v1"], "gym:Nowhere-v1: Gymnasium refuses it"),
        (["dcfp", "--instance", "gym:Taxi-v4"], "at most 1500 fit. Use fewer atoms: --set atoms=3"),
        (["dcfp", "--instance", "two-state", "--set", "atoms=1"], "atoms = 1: a grid has at least 2"),
        (["categorical-dp", "--instance", "nowhere"], "nowhere: neither a file nor a named instance"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(command, arguments, message):
    done = command("check", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_users_table_is_answered(command, tmp_path):
    (tmp_path / "toll.csv").write_text(
        "state,action,next_state,probability,reward\nhome,bus,end,1,-3\nhome,car,end,0.9,-1\nhome,car,end,0.1,-11\n"
    )
    done = command("check", "distributional-dp", "--instance", tmp_path / "toll.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "home: bus, not car" in done.stdout
    (tmp_path / "toll.csv").write_text("state,action,next_state,probability,reward\nhome,bus,end,1,\n")
    done = command("check", "distributional-dp", "--instance", tmp_path / "toll.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert "toll.csv, line 2, column 'reward' is empty" in done.stderr
