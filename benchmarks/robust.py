"""Worst expectations: theorylab's closed forms and one-dimensional duals beside the convex program they replace.

    python -m benchmarks.robust [--write]

Each row solves the same problem both ways, three rounds in turn; before that both values are compared, to a stated 1e-5 of the range.
`--write` puts the table into docs/robust.md.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
from theorylab_plugins.robust_vi.algorithm import DIVERGENCES

from benchmarks.race import Peer, Row, agree, best_of, named, race
from theorylab.errors import SolverError
from theorylab.solvers import programs, robust

ROUNDS = 3
OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "robust.md"


def problem(kind: int, n: int) -> tuple[Callable[[], float], Callable[[], float]]:
    """(theorylab, convex program): values spread over [0, 1], weights from a flat Dirichlet law, a strength at which the adversary bites."""
    rng = np.random.default_rng(n)
    value, weight, metric = rng.random(n), rng.dirichlet(np.ones(n)), robust.index_metric(n) / n
    strength = 0.1 if kind <= robust.W1_BALL else 0.2
    order, near = np.argsort(value, kind="stable"), np.argsort(metric, axis=1, kind="stable")
    room, worst = np.empty((4, n * n)), np.empty(n)
    limit = {"radius": strength} if kind <= robust.W1_BALL else {"strength": strength}

    def ours() -> float:
        return float(robust.inner(kind, strength, value, weight, order, metric, near, room, worst))

    def program() -> float:
        return programs.worst_expectation(DIVERGENCES[kind % 4], value, weight, metric=metric, **limit)

    return ours, program


def rows(*, quick: bool = False) -> list[Row]:
    """The same, for the table of all benchmarks."""
    out: list[Row] = []
    for kind in range(8):
        for n in (10,) if quick else (10, 100):
            ours, program = problem(kind, n)
            name = named("cvxpy")
            try:
                words = agree(f"{robust.NAMES[kind]}, {n} states", abs(ours() - program()), 1e-5)
            except SolverError:
                continue  # the page on robust planning says which programs have no certified answer
            out += race(
                "robust",
                f"worst expectation, {robust.NAMES[kind]}, {n} states",
                ours,
                [Peer(name, program, words)],
                rounds=ROUNDS,
            )
    return out


def row(kind: int, n: int) -> str:
    """One line of the table."""
    ours, program = problem(kind, n)
    try:
        gap = abs(ours() - program())
    except SolverError as error:
        return f"| {robust.NAMES[kind]} | {n} | {1e6 * best_of(ours):.2f} | the solver gives no certified answer: {error} | |"
    if gap > 1e-5:
        raise SystemExit(f"{robust.NAMES[kind]}, {n} states: the two values differ by {gap:.2g}.")
    ratios, own = [], []
    for _ in range(ROUNDS):
        own.append(best_of(ours))
        ratios.append(best_of(program, 0.01) / own[-1])
    return f"| {robust.NAMES[kind]} | {n} | {1e6 * median(own):.2f} | {median(ratios):,.0f} | {min(ratios):,.0f} .. {max(ratios):,.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write {OUTPUT.name} in docs")
    options = parser.parse_args()
    lines = []
    for kind in range(8):
        for n in (10, 100) if "W1" in robust.NAMES[kind] else (10, 100, 1000):
            lines.append(row(kind, n))
            print(lines[-1], flush=True)
    if options.write:
        head = [
            "# Worst expectations: closed forms beside convex programs",
            "",
            f"Made by `python -m benchmarks.robust --write`: {ROUNDS} rounds in turn. Python {platform.python_version()}, {os.cpu_count()} cores, "
            f"{platform.machine()}, numba {version('numba')}, cvxpy {version('cvxpy')} (HiGHS for total variation and Wasserstein, CLARABEL else).",
            "Both values agree to 1e-5 of the range. Sorting the states, done once for a sweep, is not in theorylab's time.",
            "",
            "| adversary | states | theorylab, microseconds | cvxpy takes so many times longer | least .. most |",
            "| --- | --- | --- | --- | --- |",
        ]
        OUTPUT.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
