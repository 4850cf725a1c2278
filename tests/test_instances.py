"""Reading, validating and writing instances: errors name the file, the place and the fix."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given

from theorylab.errors import InstanceError
from theorylab.problems.preference_families import preference_games, random_game
from theorylab.problems.preference_files import read_preference_game
from theorylab.problems.preference_game import PreferenceGame, from_reference
from theorylab.problems.record import load_instance, save_instance, to_json

RPS = [[0.5, 1, 0], [0, 0.5, 1], [1, 0, 0.5]]


@given(preference_games())
def test_games_of_the_family_are_valid_and_round_trip(game):
    assert np.array_equal(game.preference + game.preference.transpose(0, 2, 1), np.ones_like(game.preference))
    assert PreferenceGame(**{k: v for k, v in to_json(game).items() if k != "kind"}) == game


def test_files_round_trip_to_the_bit(tmp_path):
    for seed in range(20):
        game = random_game(np.random.default_rng(seed))
        path = tmp_path / "game with a space é.json"
        save_instance(game, path)
        assert load_instance(PreferenceGame, path).digest() == game.digest()
        assert read_preference_game(path) == game
        arrays = {k: v for k, v in to_json(game).items() if k not in ("kind", "actions", "prompts")}
        np.savez(tmp_path / "game.npz", **arrays)
        assert read_preference_game(tmp_path / "game.npz") == game


def test_digest_depends_on_every_field():
    game = from_reference(RPS, [0.7, 0.2, 0.1], 0.5)
    others = [
        game.replace(tau=0.25),
        game.replace(actions=("x", "y", "z")),
        from_reference(RPS, [0.7, 0.1, 0.2], 0.5),
        from_reference(np.array(RPS).T, [0.7, 0.2, 0.1], 0.5),
    ]
    assert len({game.digest(), *(other.digest() for other in others)}) == 5


def test_instances_are_frozen():
    game = from_reference(RPS, [0.7, 0.2, 0.1], 0.5)
    for name in ("preference", "log_reference", "prompt_weights"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(game, name)[0] = 0.3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"preference": [[0.5, float("nan")], [0.5, 0.5]]},
            r"preference\[0, 0, 1\] is nan: every entry must be a finite",
        ),
        ({"preference": [[0.5, float("inf")], [0.5, 0.5]]}, r"preference\[0, 0, 1\] is inf"),
        ({"preference": [[0.5, 1.5], [-0.5, 0.5]]}, r"preference\[0, 0, 1\] = 1.5 lies outside \[0, 1\]"),
        ({"preference": [[0.5, 0.7, 0.1], [0.3, 0.5, 0.2]]}, "2 x 3 per prompt: it must be square"),
        (
            {"preference": [[0.5, 0.7], [0.2, 0.5]]},
            "row 'action 0', column 'action 1': 0.7 and its mirror 0.2 add to 0.9",
        ),
        ({"preference": [[0.6, 0.7], [0.3, 0.5]]}, "a win rate of 0.6 against itself, not 0.5"),
        (
            {"preference": [[0.5, "x"], [0.3, 0.5]]},
            r"preference\[0\]\[1\] is 'x', not a number|not a rectangular",
        ),
        ({"preference": []}, "has shape"),
        ({"preference": RPS, "tau": 0.0}, "tau = 0.0 must be positive"),
        ({"preference": RPS, "tau": float("nan")}, "tau = nan must be positive"),
        ({"preference": RPS, "tau": "a"}, "tau is 'a', not a number"),
        ({"preference": RPS, "tau": True}, "tau is True, not a number"),
        ({"preference": RPS, "actions": ("a", "b")}, "2 labels for 3 actions"),
        ({"preference": RPS, "actions": ("a", "b", "a")}, "the label 'a' occurs twice"),
        ({"preference": RPS, "log_reference": [0.0, 0.0, 0.0]}, "the probabilities sum to 3, not 1"),
        (
            {"preference": RPS, "log_reference": [0.0, -np.inf, -np.inf]},
            "every entry must be a finite number",
        ),
        ({"preference": RPS, "prompt_weights": [0.5]}, "prompt_weights sum to 0.5, not 1"),
        ({"preference": np.full((1, 5000, 5000), 0.5)}, "has 25000000 entries, at most"),
    ],
)
def test_bad_fields_are_named(fields, message):
    with pytest.raises(InstanceError, match=message):
        PreferenceGame(**fields)


def test_reference_must_be_positive_and_sum_to_one():
    with pytest.raises(InstanceError, match=r"reference\[1\] = .*0.0.*must give every action"):
        from_reference(RPS, [1.0, 0.0, 0.0], 0.5)
    with pytest.raises(InstanceError, match="reference sums to 10"):
        from_reference(RPS, [5, 3, 2], 0.5)


ARENA = """,alpha,beta,gamma
alpha,,0.7,0.2
beta,0.3,,0.6
gamma,0.8,0.4,0.5
"""


def test_square_table(tmp_path):
    path = tmp_path / "arena.csv"
    path.write_text(ARENA)
    game = read_preference_game(path)
    assert game.actions == ("alpha", "beta", "gamma")
    assert game.preference[0, 0, 1] == 0.7
    assert game.preference[0, 1, 0] == pytest.approx(0.3)
    assert game.tau == 0.1
    assert np.allclose(np.exp(game.log_reference), 1 / 3)


def test_rows_may_come_in_another_order_and_other_delimiters(tmp_path):
    lines = ARENA.splitlines()
    (tmp_path / "shuffled.csv").write_text("\ufeff# a remark\n" + "\n".join([lines[0], lines[3], lines[1], lines[2]]))
    (tmp_path / "semicolons.csv").write_text(ARENA.replace(",", ";"))
    (tmp_path / "tabs.tsv").write_text(ARENA.replace(",", "\t"))
    (tmp_path / "percent.csv").write_text(ARENA.replace("0.7", "70%").replace("0.3", "30%"))
    (tmp_path / "original.csv").write_text(ARENA)
    original = read_preference_game(tmp_path / "original.csv")
    for name in ("shuffled.csv", "semicolons.csv", "tabs.tsv", "percent.csv"):
        assert read_preference_game(tmp_path / name) == original


def test_list_of_pairs(tmp_path):
    (tmp_path / "original.csv").write_text(ARENA)
    (tmp_path / "pairs.csv").write_text(
        "model_a,model_b,win_rate\nalpha,beta,0.7\ngamma,alpha,0.8\nbeta,gamma,0.6\ngamma,beta,0.4\n"
    )
    pairs, original = (read_preference_game(tmp_path / name) for name in ("pairs.csv", "original.csv"))
    order = [pairs.actions.index(a) for a in original.actions]
    assert np.allclose(pairs.preference[0][np.ix_(order, order)], original.preference[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (ARENA.replace("0.7", "1.7"), "line 2: row 'alpha', column 'beta' is 1.7, outside"),
        (ARENA.replace("0.7", "70"), "Divide percentages by 100"),
        (ARENA.replace("0.7", "nan"), "row 'alpha', column 'beta' is nan, outside"),
        (ARENA.replace("0.7", "seven"), "row 'alpha', column 'beta' is 'seven', not a number"),
        (ARENA.replace("0.7", ""), "row 'alpha', column 'beta' is empty"),
        (
            ARENA.replace("0.7", "0.69"),
            "row 'alpha', column 'beta': 0.69 and its mirror 0.3 add to 0.99, not 1",
        ),
        (ARENA.replace("gamma,0.8", "delta,0.8"), "line 4: row 'delta' has no column of that name"),
        (ARENA.replace("gamma,0.8", "beta,0.8"), "row 'beta' occurs twice"),
        (ARENA.replace(",alpha,beta", ",beta,beta"), "the column 'beta' occurs twice"),
        (ARENA + "delta,0.1,0.2,0.3\n", "4 rows for 3 columns. The table must be square"),
        (ARENA.replace("beta,0.3,,0.6", "beta,0.3,"), "row 'beta' has 2 cells for 3 columns"),
        (ARENA.replace("gamma,0.8,0.4,0.5", "gamma,0.8,0.4,0.6"), "a win rate of 0.6 against itself"),
        ("model_a,model_b,win_rate\na,b,0.5\nb,c,0.5\n", "no win rate for the pair row 'a', column 'c'"),
        ("model_a,model_b,win_rate\na,b,0.5\na,b,0.5\n", "line 3: row 'a', column 'b' occurs twice"),
        ("model_a,model_b,win_rate\na,b,0.5\nb,a,0.7\n", "0.5 and its mirror 0.7 do not add to 1"),
        ("model_a,model_b,win_rate\na,b\n", "line 2: 2 cells, the header names 3"),
    ],
)
def test_bad_tables_are_named(tmp_path, text, message):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(InstanceError, match=message) as caught:
        read_preference_game(path)
    assert "table.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1, column 2: not JSON"),
        ("[]", "expected an object of named fields"),
        ("{}", "no field 'preference'"),
        ('{"preference": [[0.5]], "tua": 1}', "unknown field 'tua'. Did you mean 'tau'"),
        ('{"kind": "mdp", "preference": [[0.5]]}', "holds a 'mdp', expected a 'preference-game'"),
        ('{"preference": [[0.5, "a"], [0.5, 0.5]]}', "is 'a', not a number"),
        ('{"preference": [[0.5, null], [0.5, 0.5]]}', "is None, not a number"),
        ('{"preference": [[0.5, NaN], [0.5, 0.5]]}', "is nan: every entry must be a finite"),
        ('{"preference": [[0.5]], "reference": [1], "log_reference": [0]}', "Keep one"),
        (
            '{"preference": [[0.5, 0.7], [0.3, 0.5]], "reference": [1, 0]}',
            "must give every action a positive",
        ),
        ('{"preference": [[0.5, 0.7], [0.3, 0.5]], "reference": [[0.5]]}', "reference sums to 0.5"),
        ('{"preference": [[0.5, 0.7], [0.3, 0.5]], "reference": [[1.0]]}', "log_reference has shape"),
        ('{"preference": 3}', "shape"),
        ('{"preference": {"a": 1}}', "number"),
        ('{"preference": [[0.5]], "actions": [1]}', "labels must be strings"),
    ],
)
def test_bad_json_is_named(tmp_path, text, message):
    path = tmp_path / "game.json"
    path.write_text(text)
    with pytest.raises(InstanceError, match=message) as caught:
        read_preference_game(path)
    assert "game.json" in str(caught.value)


def test_json_with_reference_and_empty_diagonal(tmp_path):
    path = tmp_path / "game.json"
    path.write_text(
        json.dumps(
            {
                "preference": [[None, 0.9], [0.1, None]],
                "reference": [0.25, 0.75],
                "tau": 0.5,
                "actions": ["a", "b"],
            }
        )
    )
    game = read_preference_game(path)
    assert game == from_reference([[0.5, 0.9], [0.1, 0.5]], [0.25, 0.75], 0.5, actions=("a", "b"))


def test_archives_with_pickles_are_refused(tmp_path):
    np.savez(tmp_path / "bad.npz", preference=np.array([[{}]], dtype=object))
    with pytest.raises(InstanceError, match=r"bad\.npz"):
        read_preference_game(tmp_path / "bad.npz")
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(InstanceError, match=r"torn\.npz"):
        read_preference_game(tmp_path / "torn.npz")


def test_missing_files_are_named(tmp_path):
    for name in ("none.csv", "none.json", "none.npz"):
        with pytest.raises(InstanceError, match="no such file"):
            read_preference_game(tmp_path / name)
