"""Markov decision processes: what is accepted, what is refused and how, files, Gymnasium, families."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from theorylab.errors import InstanceError, UsageError
from theorylab.problems.mdp import END, MDP, exact, exact_table, from_arrays, from_table
from theorylab.problems.mdp_families import processes, random_process, random_stock_problem, stock_problems
from theorylab.problems.mdp_files import read_mdp
from theorylab.problems.record import load_instance, save_instance

TWO = [[[(0.25, 1.0, 0), (0.75, 0.5, 1)]], [[(0.5, 0.0, 0), (0.5, -1.0, END)]]]


@given(processes())
def test_files_keep_every_bit(tmp_path_factory, mdp):
    path = tmp_path_factory.mktemp("mdp") / "x.json"
    save_instance(mdp, path)
    assert load_instance(MDP, path) == mdp == read_mdp(path)


@given(stock_problems())
def test_exact_tables_are_distributions_that_round_to_the_floats(mdp):
    table = exact_table(mdp)
    for s in range(mdp.state_count):
        for a in range(mdp.action_count):
            assert sum(p for p, _, _ in table[s][a]) == 1
            at = mdp.outcomes_of(s, a)
            assert sum(float(p * r) for p, r, _ in table[s][a]) == pytest.approx(
                float(mdp.probabilities[at] @ mdp.rewards[at]), abs=1e-12
            )


def test_floats_are_read_as_the_simple_fractions_they_stand_for():
    assert exact(0.1) == Fraction(1, 10)
    assert exact(4 / 7) == Fraction(4, 7)
    assert exact(2**-30 * 3) == Fraction(3, 2**30)
    assert exact(float(np.float64(np.pi))) == Fraction(float(np.pi))


def test_dense_arrays_and_tables_agree():
    P = np.array([[[0.25, 0.75], [1.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]]])
    r = np.array([[1.0, 0.0], [0.0, 2.0]])
    mdp = from_arrays(P, r, 0.9)
    assert mdp == from_table(
        [[[(0.25, 1.0, 0), (0.75, 1.0, 1)], [(1.0, 0.0, 0)]], [[(0.5, 0.0, 0), (0.5, 0.0, 1)], [(1.0, 2.0, 1)]]], 0.9
    )
    np.testing.assert_array_equal(mdp.transition_matrix(), P.reshape(4, 2))
    np.testing.assert_array_equal(mdp.expected_rewards(), r.ravel())


def test_the_process_of_a_policy():
    mdp = from_arrays([[[0.25, 0.75], [1.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]]], [[1.0, 0.0], [0.0, 2.0]], 0.9)
    policy = np.array([[0.5, 0.5], [0.0, 1.0]])
    process = mdp.under(policy)
    np.testing.assert_allclose(process.transition_matrix(), [[0.625, 0.375], [0.0, 1.0]], atol=1e-15)
    np.testing.assert_allclose(process.expected_rewards(), [0.5, 2.0], atol=1e-15)


def simulate_extremes(mdp, rng, runs=300, steps=400):
    low, high = np.inf, -np.inf
    for _ in range(runs):
        s, total, weight = int(rng.integers(mdp.state_count)), 0.0, 1.0
        for _ in range(steps):
            at = mdp.outcomes_of(s, int(rng.integers(mdp.action_count)))
            k = at.start + int(rng.integers(at.stop - at.start))
            total, weight, s = total + weight * mdp.rewards[k], weight * mdp.discount, int(mdp.successors[k])
            if s == END:
                low, high = min(low, total), max(high, total)
                break
        else:
            low, high = min(low, total + 0.0), max(high, total)
    return low, high


def test_no_return_lies_outside_its_range():
    for seed in range(60):
        mdp = random_process(np.random.default_rng(seed))
        if mdp.discount > 0.9:
            continue
        low, high = mdp.return_range()
        seen = simulate_extremes(mdp, np.random.default_rng(seed), runs=60, steps=300)
        assert low - 1e-9 <= seen[0]
        assert seen[1] <= high + 1e-9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"discount": 1.5}, r"discount = 1.5 lies outside \(0, 1\]"),
        ({"discount": float("nan")}, r"discount = nan lies outside"),
        ({"discount": True}, "discount is True, not a number"),
        ({"rewards": [1.0, float("nan"), 0.0, 0.0]}, r"rewards\[1\] is nan: every entry must be a finite number"),
        ({"rewards": [1.0, 0.0]}, r"rewards has shape \(2,\), expected 4"),
        ({"probabilities": [0.25, 0.7, 0.5, 0.5]}, "probabilities of state 'state 0', action 'action 0' sum to 0.95, not 1"),
        ({"probabilities": [-0.25, 1.25, 0.5, 0.5]}, r"probabilities\[0\] = -0.25 lies outside \[0, 1\]"),
        ({"successors": [0, 2, 0, -1]}, r"successors\[1\] = 2: next states are 0 to 1, or -1"),
        ({"successors": [0, 0.5, 0, -1]}, "successors must be a list of integers"),
        ({"offsets": [0, 2, 2]}, "offsets must rise from 0 to the number of outcomes, 4"),
        ({"offsets": [0, 4, 4]}, "state 'state 1', action 'action 0' has no outcome"),
        ({"action_count": 0}, "action_count = 0 must be an integer of at least 1"),
        ({"action_count": 3}, "offsets has 3 entries, expected states x 3 actions"),
        ({"start": 7}, "start = 7 must be a state, 0 to 1"),
        ({"states": ("a", "a")}, "states: the label 'a' occurs twice"),
        ({"actions": ("a", "b")}, "actions: 2 labels for 1 actions"),
    ],
)
def test_what_is_no_process_is_refused(change, message):
    good = from_table(TWO, 0.9)
    fields = {
        "offsets": good.offsets, "successors": good.successors, "probabilities": good.probabilities, "rewards": good.rewards,
        "discount": 0.9, "action_count": 1,
    }  # fmt: skip
    with pytest.raises(InstanceError, match=message):
        MDP(**(fields | change))


FILES = [
    ("x.json", json.dumps({"outcomes": [[[["1/4", 1, 0], ["3/4", "1/2", 1]]], [[[0.5, 0, 0], [0.5, -1, None]]]], "discount": "9/10"})),
    ("x.csv", "state,next_state,probability,reward\n0,0,0.25,1\n0,1,0.75,0.5\n# a comment\n1,0,0.5,0\n1,end,0.5,-1\n"),
    ("x.tsv", "state\taction\tnext_state\tprobability\treward\n0\tonly\t0\t0.25\t1\n0\tonly\t1\t0.75\t0.5\n1\tonly\t0\t0.5\t0\n1\tonly\t\t0.5\t-1\n"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text"), FILES)
def test_formats_of_users(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    found = read_mdp(path)
    wanted = from_table(TWO, found.discount)
    for field in ("offsets", "successors", "probabilities", "rewards"):
        np.testing.assert_array_equal(getattr(found, field), getattr(wanted, field))
    assert found.discount == (0.9 if name.endswith("json") else 0.99)


def test_npz(tmp_path):
    P = np.array([[0.25, 0.75], [0.5, 0.5]])
    np.savez(tmp_path / "x.npz", transition=P, reward=np.array([1.0, 0.0]), discount=0.5)
    assert read_mdp(tmp_path / "x.npz") == from_arrays(P, [1.0, 0.0], 0.5)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.csv", "state,next_state,probability,reward\n0,0,0.25,\n", r"x.csv, line 2, column 'reward' is empty"),
        ("x.csv", "state,next_state,probability,reward\n0,0,a,1\n", r"line 2, column 'probability' is 'a', not a number"),
        ("x.csv", "state,next_state,probability,reward\n0,7,1,1\n", "next state '7' has no rows of its own"),
        ("x.csv", "state,probability,reward\n0,1,1\n", "line 1: no column 'next_state'"),
        ("x.csv", "state,action,next_state,probability,reward\n0,l,0,1,1\n0,r,1,1,0\n1,l,0,1,0\n", "state '1' has no row for action 'r'"),
        ("x.csv", "state,next_state,probability,reward\n0,0,0.4,1\n", "x.csv: the probabilities of state '0', action 'only' sum to 0.4"),
        ("x.json", '{"outcomes": [[[[1, 0, 0.5]]]]}', r"outcomes\[0\]\[0\]\[0\]\[2\] is 0.5: the next state is an integer"),
        ("x.json", '{"outcomes": [[[[1, 0]]]]}', r"outcomes\[0\]\[0\]\[0\] has 2 entries"),
        ("x.json", '{"outcomes": [[[["a", 0, 0]]]]}', r"outcomes\[0\]\[0\]\[0\]\[0\] is 'a', not a number"),
        ("x.json", '{"outcomes": [[[[1, 0, 0]]], [[[1, 0, 0]], [[1, 0, 0]]]]}', "state 1 has 2 actions, state 0 has 1"),
        ("x.json", '{"outcomes": [[[[1, 0, 0]]]], "gamma": 0.9}', "unknown field 'gamma'. Fields beside the table: discount"),
        ("x.json", '{"outcomes": 3}', "outcomes is 3, not a list"),
        ("x.json", '{"transition": [[1.0]]}', "'transition' needs 'reward' beside it"),
        ("x.json", '{"transition": [[[1.0, 0.0]]], "reward": [0]}', r"transition has shape \(1, 1, 2\), expected states x actions x states"),
        ("x.json", '{"transition": [[1.0]], "reward": [0, 1]}', r"reward has shape \(2,\), expected \(1,\), \(1, 1\) or \(1, 1, 1\)"),
        ("x.json", '{"discount": 0.9}', "none of 'outcomes', 'transition' and 'offsets' is given"),
        ("x.json", "[1, 2]", "expected an object of named fields"),
    ],
)  # fmt: skip
def test_bad_files_are_named(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InstanceError, match=message) as caught:
        read_mdp(path)
    assert name in str(caught.value)


def test_gymnasium_tables():
    lake = read_mdp(Path("gym:FrozenLake-v1"))
    assert (lake.state_count, lake.action_count, len(lake.successors)) == (16, 4, 152)
    assert lake.has_end
    assert lake.return_range() == (0.0, 1.0)
    cliff = read_mdp(Path("gym:CliffWalking-v1?is_slippery=true&discount=0.5"))
    assert (cliff.state_count, len(cliff.successors), cliff.discount, cliff.start) == (48, 576, 0.5, 36)
    for text, message in (
        ("gym:NoSuch-v1", "gym:NoSuch-v1: Gymnasium refuses it"),
        ("gym:CartPole-v1", "no transition table `P`"),
        ("gym:FrozenLake-v1?discount=2", "discount = 2.0 lies outside"),
    ):
        with pytest.raises(InstanceError, match=message):
            read_mdp(Path(text))


def test_without_gymnasium_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gymnasium", None)
    with pytest.raises(UsageError, match=r"pip install 'theorylab\[gym\]'"):
        read_mdp(Path("gym:FrozenLake-v1"))


def test_families_cover_what_breaks_wrong_algorithms():
    drawn = [random_process(np.random.default_rng(i)) for i in range(400)]
    assert any(m.has_end for m in drawn)
    assert any(m.discount == 0.99 for m in drawn)
    assert any(m.rewards.min() < 0 for m in drawn)
    assert any(len(np.unique(m.rewards)) == 1 for m in drawn), "constant rewards"
    assert any((m.probabilities > 0.999).any() and len(m.successors) > m.state_count for m in drawn), "near-deterministic rows"
    duplicates = [m for m in drawn if any(
        len(set(m.successors[m.outcomes_of(s, a)])) < m.outcomes_of(s, a).stop - m.outcomes_of(s, a).start
        for s in range(m.state_count) for a in range(m.action_count)
    )]  # fmt: skip
    assert duplicates
    stock = [random_stock_problem(np.random.default_rng(i)) for i in range(200)]
    assert {m.discount for m in stock} == {0.5, 0.9, 1.0}
    assert any(len(m.successors) == 2 * m.state_count for m in stock), "deterministic ones"
