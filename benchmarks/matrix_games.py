"""Matrix games of two players and sum zero, to an exploitability of 1e-3 and of 1e-10 of the range of the payoffs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import linprog

from benchmarks.race import Disagreement, Peer, Row, named, race, usable
from theorylab.solvers.matrix_games import solve

GROUP = "matrix games"

#: Actions of each player.
SIZES = (10, 100, 1_000)


def exploitability(payoff: np.ndarray, x: Any, y: Any) -> float:
    """What both players could gain, over the range of the payoffs: the measure of every contender."""
    x, y = (np.maximum(np.asarray(z, dtype=float), 0.0) for z in (x, y))
    x, y = x / x.sum(), y / y.sum()
    return float(((payoff @ y).max() - (x @ payoff).min()) / np.ptp(payoff))


def highs(payoff: np.ndarray, method: str) -> tuple[Any, Any]:
    """Both strategies from one linear program: the row player's is in its dual variables."""
    m, n = payoff.shape
    found = linprog(
        np.r_[np.zeros(n), 1.0], A_ub=np.c_[payoff, -np.ones(m)], b_ub=np.zeros(m), A_eq=[np.r_[np.ones(n), 0.0]], b_eq=[1.0],
        bounds=[(0, None)] * n + [(None, None)], method=method,
    )  # fmt: skip
    return -found.ineqlin.marginals, found.x[:n]


def minmax(payoff: np.ndarray) -> tuple[Any, Any]:
    """QuantEcon's simplex."""
    from quantecon.optimize import minmax as solved

    _, x, y = solved(payoff)
    return x, y


def lemke_howson(payoff: np.ndarray) -> tuple[Any, Any]:
    """QuantEcon's complementary pivoting."""
    from quantecon.game_theory import NormalFormGame, Player, lemke_howson

    return tuple(lemke_howson(NormalFormGame([Player(payoff), Player(-payoff.T)]), max_iter=10**6))


def nashpy_program(payoff: np.ndarray) -> tuple[Any, Any]:
    """Nashpy's linear programs."""
    import nashpy

    return tuple(nashpy.Game(payoff).linear_program())


def open_spiel_program(payoff: np.ndarray) -> tuple[Any, Any]:
    """OpenSpiel's linear program."""
    import pyspiel
    from open_spiel.python.algorithms import lp_solver

    x, y, _, _ = lp_solver.solve_zero_sum_matrix_game(pyspiel.create_matrix_game(payoff, -payoff))
    return np.ravel(x), np.ravel(y)


def open_spiel_matching(payoff: np.ndarray) -> tuple[Any, Any]:
    """OpenSpiel's regret matching, until its average is at 1e-3."""
    import pyspiel
    from open_spiel.python.algorithms import regret_matching

    game = pyspiel.create_matrix_game(payoff, -payoff)
    iterations = 200
    while True:
        x, y = regret_matching.regret_matching([payoff, -payoff], iterations=iterations)
        if exploitability(payoff, x, y) <= 1e-3 or iterations > 10**5:
            del game
            return x, y
        iterations *= 2


def peers_of(n: int, goal: float) -> list[tuple[str, Callable[[np.ndarray], tuple[Any, Any]]]]:
    """Those that finish within half a minute at this size."""
    scipy = named("scipy")
    found: list[tuple[str, Callable[[np.ndarray], tuple[Any, Any]]]] = [
        (f"{scipy}, HiGHS dual simplex", lambda A: highs(A, "highs-ds")),
        (f"{scipy}, HiGHS interior point", lambda A: highs(A, "highs-ipm")),
    ]
    if label := usable("quantecon"):
        found += [(f"{label}, minmax", minmax), (f"{label}, lemke_howson", lemke_howson)]
    if n <= 100:
        if label := usable("nashpy"):
            found.append((f"{label}, linear program", nashpy_program))
        if label := usable("open-spiel", "pyspiel"):
            found.append((f"{label}, linear program", open_spiel_program))
            if goal >= 1e-3 and n <= 10:
                found.append((f"{label}, regret matching", open_spiel_matching))
    return found


def rows(*, quick: bool = False) -> list[Row]:
    """Random symmetric games."""
    out: list[Row] = []
    for n in SIZES[:2] if quick else SIZES:
        table = np.random.default_rng(n).standard_normal((n, n))
        payoff = table - table.T
        for goal in (1e-3, 1e-10):

            def ours(payoff: np.ndarray = payoff, goal: float = goal) -> Any:
                return solve(payoff, accuracy=goal)

            work = f"{n} actions, exploitability {goal:g}"
            found = ours()
            if exploitability(payoff, found.row, found.column) > goal:
                raise Disagreement(f"theorylab, {work}: {exploitability(payoff, found.row, found.column):.2g}.")
            peers = []
            for name, function in peers_of(n, goal):

                def call(function: Any = function, payoff: np.ndarray = payoff) -> Any:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        return function(payoff)

                reached = exploitability(payoff, *call())
                is_there = reached <= goal
                peers.append(
                    Peer(
                        name,
                        call,
                        f"exploitability {reached:.0e}",
                        1.0 if is_there else None,
                        "" if is_there else "does not get there",
                    )
                )
            out += race(GROUP, work, ours, peers, rounds=3 if n >= 1_000 else 5)
    return out
