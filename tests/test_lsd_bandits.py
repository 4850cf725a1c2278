"""Last-switch-dependent bandits: printed numbers, exhaustive search, and the plugin."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from theorylab_plugins.lsd_bandits import algorithm, planning
from theorylab_plugins.lsd_bandits.blocks import delays_of, greedy, learned_totals
from theorylab_plugins.lsd_bandits.instances import long_run, published_main, steps, tight
from theorylab_plugins.lsd_bandits.planning import Variant, planner_measures, ratio

from theorylab.errors import InstanceError, SolverError
from theorylab.problems.switch_bandit import SwitchBandit, read_switch_bandit, recharging
from theorylab.registry import Locator, load
from theorylab.run.audit import audit
from theorylab.run.check import check
from theorylab.run.records import Request
from theorylab.solvers import switching
from theorylab.solvers.switching import VIRTUAL, moved

LOCATOR = Locator("lsd-bandits", "theorylab_plugins.lsd_bandits:plugin", "theorylab")

#: payoffs, LP, OPT, E max, planner in the long run, run planner; rates as (arm, rest, play, rate).
PRINTED = {
    "A": ([[0.1, 0.2, 0.5, 0.9], [0.3, 0.4, 0.45, 0.6]], 7 / 12, 7 / 12, 0.488888888888889, 0.527777777777778, 0.133680555555556,
          [(0, 2, 1, 1 / 3), (1, 1, 2, 1 / 3)]),
    "B": ([[0, 0.1, 0.3, 1], [0.2, 0.25, 0.5, 0.7], [0.15, 0.15, 0.15, 0.8]], 5 / 6, 5 / 6, 0.614814814814815, 0.614814814814815,
          0.192824074074074, [(0, 2, 1, 1 / 3), (1, 2, 1, 1 / 3), (2, 2, 1, 1 / 3)]),
    "C": ([[0.9, 0, 0.1, 0.2], [0, 0.1, 0.8, 0.05]], 0.9, 0.9, 0.9, 0.9, 0.225, [(0, 0, 1, 1.0)]),
    "D": ([[0, 0, 1, 1], [0, 0, 0, 1]], 5 / 6, 0.75, 2 / 3, 2 / 3, 0.197916666666667, [(0, 1, 1, 0.5), (1, 2, 1, 1 / 3)]),
    "E": ([[0.05, 0.1, 0.3, 0.4, 0.7, 0.95], [0, 0, 0.1, 0.2, 0.9, 1]], 11 / 20, 0.53333333333333, 0.47, 0.47666666666667, 0.13083333333333,
          [(0, 3, 2, 0.2), (1, 2, 1, 1 / 3)]),
}  # fmt: skip


@pytest.mark.parametrize("name", list(PRINTED))
def test_known_values(name):
    payoff, lp, opt, emax, planned, run, rates = PRINTED[name]
    bandit = SwitchBandit(np.array(payoff, dtype=float))
    table = bandit.table
    found = switching.relaxation(table)
    for value in (found.value, switching.dual(table)[0], switching.occupation_value(table)):
        assert value == pytest.approx(lp, abs=1e-10)
    graph = switching.joint_graph(table)
    assert switching.largest_cycle_mean(graph) == pytest.approx(opt, abs=1e-11)
    low, high = switching.bracketed_mean(graph)
    assert low - 1e-11 <= opt <= high + 1e-11
    rate = np.zeros_like(found.rate)  # optima need not be unique: the printed one is what the planners are given
    catalogue = switching.cycles(bandit.memory).tolist()
    for arm, rest, play, x in rates:
        rate[arm, catalogue.index([rest, play])] = x
    assert (switching.rewards(table) * rate).sum() == pytest.approx(lp, abs=1e-15)
    assert switching.emax(table, rate) == pytest.approx(emax, abs=1e-12)
    measures = planner_measures(bandit, rate, Variant())
    assert measures["planned"] == pytest.approx(planned, abs=1e-12)
    assert measures["run_rate"] == pytest.approx(run, abs=1e-12)


def test_forced_play_is_worse():
    table = steps(1, 2).table
    assert switching.largest_cycle_mean(switching.joint_graph(table, idle=False)) == pytest.approx(2 / 3, abs=1e-14)


@pytest.mark.parametrize(
    ("K", "m", "count"), [(1, 1, 2), (1, 5, 10), (2, 2, 9), (2, 5, 51), (2, 10, 201), (3, 3, 46), (3, 5, 208), (4, 4, 281)]
)
def test_joint_states(K, m, count):
    assert len(switching.joint_graph(np.zeros((K, 2 * m + 1))).states) == count


@pytest.mark.parametrize(
    ("cycles", "offsets", "start", "rows"),
    [
        ([(2, 1), (1, 2)], [0, 1], [1, 1], [0.45, 0.4, 0.9, 0.45, 0.4, 0.9]),
        ([(2, 2), (1, 1)], [3, 0], [-1, 2], [0.2, 0.6, 0.0, 0.9, 0.2, 0.6, 0.0, 0.9]),
    ],
)
def test_known_traces(cycles, offsets, start, rows):
    table = SwitchBandit(np.array(PRINTED["A"][0])).table
    paid = np.empty(len(rows))
    switching.play_cycles(
        table,
        table,
        np.array(cycles),
        np.array(offsets),
        np.array(start),
        len(rows),
        VIRTUAL,
        False,
        paid,
        np.zeros(0, dtype=np.int64),
    )
    assert paid.tolist() == rows


@pytest.mark.parametrize("K", [2, 3, 4])
def test_the_share_is_attained(K):
    bandit = tight(K)
    measures = planner_measures(bandit, switching.relaxation(bandit.table).rate, Variant())
    assert measures["planned"] == pytest.approx(1 - (1 - 1 / K) ** K, abs=1e-12)
    assert ratio(K) == pytest.approx([0, 0, 0.75, 0.7037037037037036, 0.68359375][K])


@pytest.mark.parametrize(("m", "wanted"), [(2, 0.6667), (4, 0.4004), (8, 0.2229)])
def test_interrupted_runs(m, wanted):
    bandit = long_run(m, 1.0, 0.001)
    found = switching.relaxation(bandit.table)
    assert planner_measures(bandit, found.rate, Variant())["planned"] / found.value == pytest.approx(wanted, abs=2e-4)


def test_exploration_has_the_printed_length():
    samples, explored, accuracy = algorithm.exploration(2, 1, 10_000)
    assert (samples, explored) == (229, 1376)
    assert accuracy == pytest.approx(0.15700375425695187, rel=1e-15)
    plugin = load(LOCATOR)
    bound = plugin.claims["explore-then-commit-regret"].bound
    at = {
        "ratio": 0.75,
        "true_lp": 1.0,
        "explored": 1376.0,
        "accuracy": accuracy,
        "rounds": 10_000.0,
        "arm_number": 2.0,
        "memory": 1.0,
    }
    assert float(bound(at)) == pytest.approx(3404.2506592459176, rel=1e-14)


def bandits():
    return st.integers(0, 2**32 - 1).map(lambda seed: load(LOCATOR).draw(np.random.default_rng(seed)))


@given(bandits())
def test_the_dual_is_the_least_over_all_corners(bandit):
    """The dual is piecewise linear in the price: its corners are where two cycles of an arm, or a cycle and rest, are worth the same."""
    table, m = bandit.table, bandit.memory
    reward, catalogue = switching.rewards(table), switching.cycles(m)
    length, plays = catalogue.sum(axis=1), catalogue[:, 1]
    corners = {0.0}
    for g in reward:
        corners |= {float(x) for x in g / plays}
        for a, b in itertools.combinations(range(len(g)), 2):
            slope = plays[a] / length[a] - plays[b] / length[b]
            if abs(slope) > 1e-12:
                corners.add(float((g[a] / length[a] - g[b] / length[b]) / slope))
    value = min(p + np.maximum(((reward - p * plays) / length).max(axis=1), 0.0).sum() for p in corners if p >= 0.0)
    assert switching.dual(table)[0] == pytest.approx(value, abs=1e-12)


@given(bandits())
def test_best_totals_beat_every_string(bandit):
    """Four rounds: all strings."""
    table, K = bandit.table, bandit.arm_count
    best = switching.finite_values(switching.joint_graph(table), 4)[4, 0]
    totals = []
    for string in itertools.product(range(-1, K), repeat=4):
        state = np.full(K, bandit.memory)
        totals.append(algorithm.follow(table, np.array(string), state))
    assert best == pytest.approx(max(totals), abs=1e-14)


def test_blocks_against_a_second_program():
    rng = np.random.default_rng(0)
    for _ in range(30):
        K, m, d = int(rng.integers(1, 3)), int(rng.integers(1, 4)), int(rng.integers(1, 5))
        table = np.insert(rng.random((K, 2 * m)), m, 0.0, axis=1)
        cyclic, inside = [], []
        for string in itertools.product(range(-1, K), repeat=d):
            state, late = [m] * K, 0.0
            for t in range(20 * d):
                a = string[t % d]
                if t >= 19 * d and a >= 0:
                    late += table[a, state[a] + m]
                state = [moved(tau, i == a, m) for i, tau in enumerate(state)]
            cyclic.append(late / d)
            # What a play in the block earns whatever came before: the least over all states that arms may be in, where they agree.
            sure = 0.0
            for t, a in enumerate(string):
                if a < 0:
                    continue
                seen = set()
                for first in (*range(-m, 0), *range(1, m + 1)):
                    tau = first
                    for b in string[:t]:
                        tau = moved(tau, b == a, m)
                    seen.add(tau)
                sure += table[a, seen.pop() + m] if len(seen) == 1 else 0.0
            inside.append(sure)
        string = np.empty(d, dtype=np.int64)
        found = switching.block_values(table, d, False, True, True, string)
        assert cyclic[list(itertools.product(range(-1, K), repeat=d)).index(tuple(string.tolist()))] == pytest.approx(
            found[0], abs=1e-13
        )
        assert found[0] == pytest.approx(max(cyclic), abs=1e-13)
        assert found[1] <= max(inside) + 1e-13  # a play is counted only where the block shows a switch or m equal rounds


def test_too_many_states_are_refused():
    with pytest.raises(SolverError, match="More than 10 joint states"):
        switching.joint_graph(np.zeros((3, 7)), most=10)


def test_the_published_optimum():
    """4.56 / 9 per round where every round has a play, and the relaxation says the same."""
    bandit = published_main()
    assert switching.dual(bandit.table)[0] == pytest.approx(4.56 / 9, abs=1e-12)


def test_published_totals():
    """Means of 10 seeds within three standard deviations of what another program found with 30: 1069 (12.7), 537 (15), 553 (20)."""
    delays = delays_of(published_main().payoff)
    for isi, d, mean, spread in ((True, 4, 1069, 17), (False, 3, 537, 25)):
        found = np.mean([learned_totals(delays, d, 3_600, isi=isi, seed=s)[-1] for s in range(10)])
        assert abs(found - mean) < 3 * spread / 10**0.5 + spread
    assert abs(np.mean([greedy(delays, 3_600, np.random.default_rng(s)) for s in range(10)]) - 553) < 25
    with pytest.raises(InstanceError, match="at most 20,000 are tried"):
        learned_totals(delays, 7, 10, isi=True, seed=0)


# -- the plugin ------------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plugin():
    return load(LOCATOR)


def test_every_claim_is_as_expected():
    report = check(Request(LOCATOR, seeds=60), "test")
    assert {v.claim: v.status for v in report.verdicts if not v.as_expected} == {}
    assert sum(v.status == "SUPPORTED" for v in report.verdicts) == 24
    assert sum(v.status == "REFUTED" for v in report.verdicts) == 4


def test_mutants_are_refuted_by_the_claims_they_name(plugin):
    """Every third mutant; the full audit below takes a minute."""
    mutants = sorted(plugin.mutants)[::3]
    result = audit(Request(LOCATOR, seeds=16), mutants=mutants)
    for name in mutants:
        killers = {claim for claim, row in result.matrix.items() if row[name]}
        assert killers >= set(plugin.mutants[name].refuted_by), name


@pytest.mark.full
def test_no_claim_is_toothless():
    assert audit(Request(LOCATOR, seeds=16)).is_clean


def test_mislabelled_exploration_costs_what_the_bound_forbids(plugin):
    """On the tight bandit regret is 0.70 of the rounds, where 0.47 are allowed; what is right stays below a tenth."""
    bandit = plugin.references["tight-3"]
    for label, low, high in ((1, 0.6, 0.71), (0, -0.1, 0.3)):
        found = [algorithm.learning_measures(bandit, np.random.default_rng(s), 10_000, Variant(label=label)) for s in range(20)]
        assert low < np.mean([f["etc_regret"] for f in found]) / 10_000 < high


@pytest.mark.parametrize(
    ("claim", "at", "value"),
    [
        ("no-string-beats-the-relaxation", {"string_length": 10.0, "lp": 0.5, "arm_number": 2.0, "memory": 3.0, "largest": 0.5}, 10.0),
        ("planner-earns-its-share-in-finite-time", {"ratio": 0.75, "round": 10.0, "lp": 0.5, "arm_number": 2.0, "largest": 1.0}, 1.75),
        ("planner-recovers-from-a-tired-arm", {"ratio": 0.75, "round": 20.0, "lp": 0.5, "arm_number": 2.0, "memory": 3.0, "largest": 1.0}, 3.5),
        ("run-planner-earns-an-eighth", {"round": 20.0, "lp": 0.5, "memory": 2.0}, 0.875),
        ("short-cycles-are-nearly-optimal", {"opt": 0.5, "memory": 2.0, "block_length": 4.0}, 0.25),
        ("blocks-lose-little", {"arm_number": 2.0, "undetermined": 3.0, "largest": 0.5, "block_length": 6.0}, 0.25),
    ],
)  # fmt: skip
def test_bounds_are_those_of_the_theorems(plugin, claim, at, value):
    assert float(plugin.claims[claim].bound(at)) == pytest.approx(value, rel=1e-14)


def test_delays_and_cycles_agree_where_payoffs_go_by_delay():
    rng = np.random.default_rng(5)
    for _ in range(20):
        bandit = recharging(rng.random((3, 4)))
        assert planning.by_delays(bandit.table) == pytest.approx(switching.dual(bandit.table)[0], abs=1e-12)


# -- users' files ----------------------------------------------------------------------------------------------------------------------------------


def test_files_by_state_and_by_delay(tmp_path):
    (tmp_path / "states.csv").write_text("arm,-2,-1,1,2\nred,0.1,0.2,0.5,0.9\nblue,0.3,0.4,0.45,0.6\n")
    bandit = read_switch_bandit(tmp_path / "states.csv")
    assert bandit.arms == ("red", "blue")
    assert bandit == SwitchBandit(np.array(PRINTED["A"][0]), ("red", "blue"))
    (tmp_path / "delays.csv").write_text("arm,delay 1,delay 2,delay 3\nred,0.1,0.5,0.9\n")
    assert read_switch_bandit(tmp_path / "delays.csv").payoff.tolist() == [[0.1, 0.1, 0.5, 0.9]]
    (tmp_path / "delays.json").write_text('{"delays": [[0.1, 0.5, 0.9]]}')
    assert read_switch_bandit(tmp_path / "delays.json").payoff.tolist() == [[0.1, 0.1, 0.5, 0.9]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arm,-1,1\nred,0.1,x\n", "line 2, column '1': 'x' is not a number"),
        ("arm,-1,1\nred,0.1\n", "line 2: 2 cells for 3 columns"),
        ("arm,1,-1\nred,0.1,0.2\n", "columns must be the states"),
        ("payoff,-1,1\nred,0.1,0.2\n", "the first column must be 'arm'"),
        ("arm,-1,1\n", "no row of an arm"),
        ("arm,-1,1\nred,0.1,1.2\n", "payoff[0, 1] = 1.2 lies outside [0, 1]"),
        ("arm,delay 1\nred,0.1\n", "at least 2 delays"),
    ],
)
def test_bad_tables_are_named(tmp_path, text, message):
    path = tmp_path / "arms.csv"
    path.write_text(text)
    with pytest.raises(InstanceError, match=re.escape(message)) as caught:
        read_switch_bandit(path)
    assert str(path) in str(caught.value)


def test_arms_through_the_command_line(command, tmp_path):
    (tmp_path / "arms.csv").write_text("arm,-2,-1,1,2\nred,0.1,0.2,0.5,0.9\nblue,0.3,0.4,0.45,0.6\n")
    done = command("check", "lsd-bandits", "--instance", "arms.csv", "--seeds", "2", "--plots", "figures", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "0.583333" in done.stdout
    assert "rest 2, play 1" in done.stdout
    assert (tmp_path / "figures" / "schedule-arms.csv.png").exists()
    done = command("check", "lsd-bandits", "--set", "rounds=0", cwd=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
