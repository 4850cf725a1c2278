"""Matrix games against linear programs, closed forms and their own certificates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from theorylab.errors import SolverError
from theorylab.solvers.matrix_games import SMALL, solve


def value_by_program(payoff):
    """max v with x' A >= v, by HiGHS."""
    m, n = payoff.shape
    found = linprog(
        np.r_[np.zeros(m), -1.0], A_ub=np.c_[-payoff.T, np.ones(n)], b_ub=np.zeros(n), A_eq=[np.r_[np.ones(m), 0.0]], b_eq=[1.0],
        bounds=[(0, None)] * m + [(None, None)],
    )  # fmt: skip
    assert found.success
    return -found.fun


def certified(payoff, found):
    """The enclosure, computed anew from the strategies alone."""
    for weights in (found.row, found.column):
        assert weights.min() >= 0.0
        assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    low, high = (found.row @ payoff).min(), (payoff @ found.column).max()
    scale = np.abs(payoff).max() + 1.0
    assert found.low == pytest.approx(low, abs=1e-13 * scale)
    assert found.high == pytest.approx(high, abs=1e-13 * scale)
    return high - low


tables = st.integers(1, 6).flatmap(
    lambda m: st.integers(1, 6).flatmap(
        lambda n: st.lists(st.integers(-4, 4), min_size=m * n, max_size=m * n).map(
            lambda v: np.array(v, dtype=float).reshape(m, n)
        )
    )
)


@given(tables)
def test_small_tables_of_whole_numbers_which_are_full_of_ties(payoff):
    found = solve(payoff)
    assert certified(payoff, found) <= 1e-10 * np.ptp(payoff)
    assert found.value == pytest.approx(value_by_program(payoff), abs=1e-7)


@pytest.mark.parametrize("n", [2, 10, 60])
@pytest.mark.parametrize("law", ["skew", "wide", "tall", "tiny", "shifted"])
def test_random_tables(n, law):
    rng = np.random.default_rng(n)
    table = rng.standard_normal((n, n))
    payoff = {
        "skew": table - table.T, "wide": rng.random((n, 2 * n)), "tall": rng.random((2 * n, n)), "tiny": 1e-9 * table, "shifted": 1e4 + table,
    }[law]  # fmt: skip
    found = solve(payoff)
    assert certified(payoff, found) <= 1e-10 * np.ptp(payoff) + 1e-15 * np.abs(payoff).max()
    centre = payoff.mean()
    exact = np.ptp(payoff) * value_by_program((payoff - centre) / np.ptp(payoff)) + centre
    assert found.value == pytest.approx(exact, abs=1e-7 * np.ptp(payoff))
    if law == "skew":
        assert abs(found.value) <= 1e-9


def test_closed_forms():
    rock_paper_scissors = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    assert solve(rock_paper_scissors).row == pytest.approx([1 / 3] * 3)
    found = solve(
        np.array([[3.0, -1.0], [-2.0, 4.0]])
    )  # x = (d - c, a - b) / (a + d - b - c), value = (a d - b c) / (a + d - b - c)
    assert found.row == pytest.approx([0.6, 0.4])
    assert found.column == pytest.approx([0.5, 0.5])
    assert found.value == pytest.approx(1.0)
    saddle = solve(np.array([[1.0, 2.0], [0.0, 3.0]]))
    assert (saddle.value, saddle.row.tolist(), saddle.column.tolist()) == (1.0, [1.0, 0.0], [1.0, 0.0])
    assert solve(np.full((3, 4), 7.0)).value == 7.0


@pytest.mark.parametrize("n", [320, 500])
def test_large_games_by_regret_matching_and_by_pivots_agree(n):
    rng = np.random.default_rng(n)
    payoff = rng.random((n, n))
    assert payoff.size > SMALL
    rough, fine = solve(payoff, accuracy=1e-3), solve(payoff)
    assert certified(payoff, rough) <= 1e-3 * np.ptp(payoff)
    assert certified(payoff, fine) <= 1e-10 * np.ptp(payoff)
    assert rough.low <= fine.value <= rough.high
    assert fine.exploitability < 1e-12


def test_what_is_no_game_is_refused():
    with pytest.raises(SolverError, match=r"not an array of shape \(3,\)"):
        solve(np.ones(3))
    with pytest.raises(SolverError, match="infinite or no number"):
        solve(np.array([[1.0, np.nan], [0.0, 1.0]]))
    with pytest.raises(SolverError, match="infinite or no number"):
        solve(np.full((SMALL, 2), np.inf), accuracy=1e-3)
    with pytest.raises(SolverError, match="was asked for"):
        solve(np.random.default_rng(0).random((30, 30)), accuracy=1e-30)
    with pytest.raises(SolverError, match="within 3 pivots"):
        solve(np.random.default_rng(0).random((30, 30)), most=3)
    with pytest.raises(SolverError, match="within 40 rounds"):
        solve(np.random.default_rng(0).random((400, 400)), accuracy=1e-4, most=40)
