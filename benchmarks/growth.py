"""How cost grows with the size of the work, how memory does not grow with seeds and horizon, and what a second core is worth."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from benchmarks.distributional import random_process
from benchmarks.nash_sweep import game_of, starts_of
from benchmarks.race import best_of
from theorylab.problems.bandit import two_point
from theorylab.solvers import dynamic_programming
from theorylab.solvers.mirror_descent import mirror_descent

#: Powers of the size by which cost grows; what is fitted may be this much above.
TOLERANCE = 0.15

MEMORY_CODE = """
import re, sys
from theorylab.registry import find
from theorylab.run.check import check
from theorylab.run.ledger import Ledger
from theorylab.run.records import Request
from pathlib import Path
request = Request(find("gradient-bandit"), seeds=int(sys.argv[1]), claims=("gap-falls-on-average",), instance="tiny-gap",
                  settings=(("horizon", sys.argv[2]),))
check(request, "benchmark", ledger=Ledger.open(Path(sys.argv[3])))
# Not getrusage: what it says of a process begins with what its parent had.
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024.0)
"""


def power(sizes: Sequence[int], make: Callable[[int], Callable[[], Any]], turn_s: float) -> tuple[float, list[float]]:
    """Slope of log seconds against log size, and the seconds."""
    seconds = []
    for size in sizes:
        call = make(size)
        call()
        seconds.append(min(best_of(call, turn_s) for _ in range(3)))
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0]), seconds


def bandit_kernel(arms: int, pulls: int) -> Callable[[], Any]:
    """A run of the gradient bandit."""
    from theorylab_plugins.gradient_bandit.algorithm import Arms, Variant

    many, points = Arms.of(two_point(np.linspace(0.5, -0.5, arms))), np.array([1, pulls])
    return lambda: many.simulate(np.random.default_rng(0), 0.05, points, Variant())


def sweep(seeds: int, actions: int, steps: int) -> Callable[[], Any]:
    """A batch of Nash-MD."""
    game, start = game_of(actions), starts_of(actions, seeds)
    eta = 2.0 / (0.1 * (np.arange(1, steps + 1) + 2.0))
    return lambda: mirror_descent(game, start, eta * 0.1, eta)


def planner(states: int, actions: int, successors: int) -> Callable[[], Any]:
    """One certified solve; its number of improvements hardly depends on the size."""
    model = dynamic_programming.Sparse.of(random_process(states, actions, successors))
    return lambda: dynamic_programming.solve(model)


def laws(atoms: int) -> Callable[[], Any]:
    """A sweep over laws of returns."""
    from benchmarks.distributional import evaluated
    from theorylab.solvers import categorical
    from theorylab.solvers.categorical import Backup

    process, grid = evaluated(random_process(2_000, 4, 5)), np.linspace(0.0, 10.0, atoms)
    run = categorical.Sweeper(Backup.of(process, grid), np.random.default_rng(1).dirichlet(np.ones(atoms), 2_000))
    return run.step


def table(*, quick: bool = False) -> list[str]:
    """Lines of Markdown: fitted powers."""
    turn = 0.05 if quick else 0.3
    lines = ["| work | along | sizes | fitted power | wanted at most |", "| --- | --- | --- | --- | --- |"]
    for work, along, sizes, make, wanted in (
        ("gradient bandit", "pulls", (2_000, 4_000, 8_000, 16_000), lambda n: bandit_kernel(10, n), 1),
        ("gradient bandit", "arms", (8, 16, 32, 64), lambda n: bandit_kernel(n, 4_000), 1),
        ("Nash-MD, 20 actions", "seeds", (25, 50, 100, 200), lambda n: sweep(n, 20, 200), 1),
        ("Nash-MD, 20 actions", "steps", (100, 200, 400, 800), lambda n: sweep(50, 20, n), 1),
        ("Nash-MD", "actions", (25, 50, 100, 200), lambda n: sweep(20, n, 100), 2),
        ("certified values", "states", (1_000, 2_000, 4_000, 8_000), lambda n: planner(n, 4, 10), 1),
        ("certified values", "actions", (2, 4, 8, 16), lambda n: planner(2_000, n, 10), 1),
        ("certified values", "successors", (5, 10, 20, 40), lambda n: planner(2_000, 4, n), 1),
        ("laws of returns, 2,000 states", "atoms", (51, 101, 201, 401), laws, 1),
    ):
        slope, _ = power(sizes, make, turn)
        verdict = "" if slope <= wanted + TOLERANCE else " **above**"
        lines.append(f"| {work} | {along} | {sizes[0]:,} to {sizes[-1]:,} | {slope:.2f}{verdict} | {wanted} |")
        print(lines[-1], flush=True)
    return lines


def memory_table(*, quick: bool = False) -> list[str]:
    """Lines of Markdown: the largest memory of a whole check, in a process of its own."""
    lines = ["| seeds | horizon | MiB |", "| --- | --- | --- |"]
    for seeds, horizon in ((200, 1_000), (200, 100_000)) if quick else ((1_000, 1_000), (30_000, 1_000), (1_000, 100_000)):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, "-c", MEMORY_CODE, str(seeds), str(horizon), f"{folder}/l.sqlite"], check=True, capture_output=True, text=True
            )  # fmt: skip
        lines.append(f"| {seeds:,} | {horizon:,} | {float(done.stdout):.0f} |")
        print(lines[-1], flush=True)
    return lines


def cores_table(*, quick: bool = False) -> list[str]:
    """Lines of Markdown: the same seeds on one thread and on all, in turn."""
    cores = os.cpu_count() or 1
    lines = [f"| seeds of | on {cores} threads so many times faster | least .. most |", "| --- | --- | --- |"]
    works: list[tuple[str, Callable[[], Any]]] = [
        ("the gradient bandit, 20,000 pulls", bandit_kernel(10, 20_000)), ("Nash-MD, 50 actions, 200 steps", sweep(4, 50, 200)),
        ("certified values, 2,000 states", planner(2_000, 4, 10)),
    ]  # fmt: skip
    for name, call in works:
        ratios, jobs = [], 64
        for _ in range(3 if quick else 7):
            start = time.perf_counter()
            for _ in range(jobs):
                call()
            alone = time.perf_counter() - start
            start = time.perf_counter()
            with ThreadPoolExecutor(cores) as pool:
                list(pool.map(lambda _, call=call: call(), range(jobs)))  # type: ignore[misc]
            ratios.append(alone / (time.perf_counter() - start))
        ratios.sort()
        lines.append(f"| {name} | {ratios[len(ratios) // 2]:.2f} | {ratios[0]:.2f} .. {ratios[-1]:.2f} |")
        print(lines[-1], flush=True)
    return lines
