"""Sweeps of categorical distributional DP and value iteration: theorylab, what else one would write, QuantEcon, and the machine's limits.

    python -m benchmarks.distributional [--write]

Contenders are timed in turn, five rounds, and given as time over theorylab's of the same round: median [least, most]; below 1 is faster
than theorylab. Before that, each contender's result is compared with theorylab's. `--write` puts the tables into docs/distributional.md.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.race import Peer, Row, agree, best_of, race
from theorylab.kernels import kernel
from theorylab.problems.mdp import MDP
from theorylab.problems.record import Array
from theorylab.solvers import categorical
from theorylab.solvers.categorical import Backup

ROUNDS = 5
OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "distributional.md"

Contender = tuple[str, Callable[[], Any]]


def random_process(states: int, actions: int, successors: int, seed: int = 0, discount: float = 0.9) -> MDP:
    """Uniform successors, Dirichlet probabilities, a reward in [0, 1] for each state and action."""
    rng = np.random.default_rng(seed)
    pairs = states * actions
    p = rng.dirichlet(np.ones(successors), pairs)
    return MDP(
        np.arange(pairs + 1) * successors, rng.integers(0, states, pairs * successors), p.ravel(),
        np.repeat(rng.random(pairs), successors), discount, actions,
    )  # fmt: skip


# -- other ways to write a sweep -------------------------------------------------------------------------------------------------


@kernel
def scatter_each(laws, out, offsets, successors, probabilities, rewards, discount, low, spacing):  # type: ignore[no-untyped-def]
    """One projection for each successor: the plain compiled loop."""
    S, m = laws.shape
    for s in range(S):
        for j in range(m):
            out[s, j] = 0.0
        for k in range(offsets[s], offsets[s + 1]):
            w, to, r = probabilities[k], successors[k], rewards[k]
            for j in range(m):
                x = min(max((r + discount * (low + spacing * j) - low) / spacing, 0.0), m - 1.0)
                i = min(int(x), m - 2)
                share = x - i
                out[s, i] += w * laws[to, j] * (1.0 - share)
                out[s, i + 1] += w * laws[to, j] * share


@kernel
def scatter_once(laws, out, mixed, groups, outcomes, first, successors, weights, discount):  # type: ignore[no-untyped-def]
    """Successors added up first, one scatter for each reward."""
    S, m = laws.shape
    for s in range(S):
        for j in range(m):
            out[s, j] = 0.0
        for g in range(groups[s], groups[s + 1]):
            for j in range(m):
                mixed[j] = 0.0
            for k in range(outcomes[g], outcomes[g + 1]):
                w, to = weights[k], successors[k]
                for j in range(m):
                    mixed[j] += w * laws[to, j]
            for j in range(m):
                x = first[g] + discount * j
                i = min(int(x), m - 2)
                part = (x - i) * mixed[j]
                out[s, i] += mixed[j] - part
                out[s, i + 1] += part


@kernel
def table_once(laws, out, mixed, groups, outcomes, index, share, successors, weights):  # type: ignore[no-untyped-def]
    """The same with places and shares looked up."""
    S, m = laws.shape
    for s in range(S):
        for j in range(m):
            out[s, j] = 0.0
        for g in range(groups[s], groups[s + 1]):
            for j in range(m):
                mixed[j] = 0.0
            for k in range(outcomes[g], outcomes[g + 1]):
                w, to = weights[k], successors[k]
                for j in range(m):
                    mixed[j] += w * laws[to, j]
            for j in range(m):
                i, part = index[g, j], share[g, j] * mixed[j]
                out[s, i] += mixed[j] - part
                out[s, i + 1] += part


@kernel
def no_projection(laws, out, groups, outcomes, successors, weights):  # type: ignore[no-untyped-def]
    """Successors added up and nothing else: what reading them costs."""
    S, m = laws.shape
    for s in range(S):
        for j in range(m):
            out[s, j] = 0.0
        for g in range(groups[s], groups[s + 1]):
            for k in range(outcomes[g], outcomes[g + 1]):
                w, to = weights[k], successors[k]
                for j in range(m):
                    out[s, j] += w * laws[to, j]


def numpy_vectorised(process: MDP, grid: Array, laws: Array) -> Callable[[], Array]:
    """All successors and atoms in one bincount; places are worked out beforehand."""
    S, m = laws.shape
    index, share = categorical.cells(process.rewards[:, None] + process.discount * grid, grid)
    state = np.repeat(np.arange(S), np.diff(process.offsets))[:, None] * m
    place = np.concatenate(((state + index).ravel(), (state + index + 1).ravel()))

    def sweep() -> Array:
        mass = process.probabilities[:, None] * laws[process.successors]
        upper = mass * share
        return np.bincount(place, np.concatenate(((mass - upper).ravel(), upper.ravel())), minlength=S * m).reshape(S, m)

    return sweep


def numpy_loop(process: MDP, grid: Array, laws: Array) -> Callable[[], Array]:
    """A Python loop over successors, NumPy over atoms."""
    S, m = laws.shape

    def sweep() -> Array:
        out = np.zeros((S, m))
        for s in range(S):
            for k in range(process.offsets[s], process.offsets[s + 1]):
                index, share = categorical.cells(process.rewards[k] + process.discount * grid, grid)
                mass = process.probabilities[k] * laws[process.successors[k]]
                np.add.at(out[s], index, mass * (1.0 - share))
                np.add.at(out[s], index + 1, mass * share)
        return out

    return sweep


def matrix_sweep(process: MDP, grid: Array, laws: Array, *, dense: bool) -> Callable[[], Array]:
    """The whole sweep as one matrix."""
    matrix, constant = categorical.operator(process, grid)
    whole = matrix.toarray() if dense else matrix
    return lambda: (whole @ laws.ravel() + constant).reshape(laws.shape)


def evaluated(mdp: MDP) -> MDP:
    """The process of the uniform policy."""
    return mdp.under(np.full((mdp.state_count, mdp.action_count), 1.0 / mdp.action_count))


def sweep_contenders(process: MDP, grid: Array, laws: Array, names: Sequence[str]) -> list[Contender]:
    """Contenders by name; each does one sweep of `laws` and returns the result."""
    backup = Backup.of(process, grid)
    run = categorical.Sweeper(backup, laws)
    m = len(grid)
    out, mixed = np.empty_like(laws), np.empty(m)
    place = backup.first[:, None] + process.discount * np.arange(m)
    index = np.minimum(place.astype(np.int64), m - 2)
    share = place - index

    def ours() -> Array:
        run.laws, run.out = laws, out
        run.step()
        return out

    def into(function: Any, *arguments: Any) -> Callable[[], Array]:
        def call() -> Array:
            function(laws, out, *arguments)
            return out

        return call

    b, p = backup, process
    everything: dict[str, Callable[[], Callable[[], Array]]] = {
        "theorylab": lambda: ours,
        "compiled, one scatter per successor": lambda: into(
            scatter_each, p.offsets, p.successors, p.probabilities, p.rewards, p.discount, grid[0], grid[1] - grid[0]
        ),
        "compiled, successors added first": lambda: into(scatter_once, mixed, b.groups, b.outcomes, b.first, b.successors, b.weights, p.discount),
        "compiled, places looked up": lambda: into(table_once, mixed, b.groups, b.outcomes, index, share, b.successors, b.weights),
        "limit: successors added, not projected": lambda: into(no_projection, b.groups, b.outcomes, b.successors, b.weights),
        f"NumPy {np.__version__}, one bincount": lambda: numpy_vectorised(process, grid, laws),
        f"NumPy {np.__version__}, loop over successors": lambda: numpy_loop(process, grid, laws),
        "SciPy CSR matrix": lambda: matrix_sweep(process, grid, laws, dense=False),
        "dense matrix": lambda: matrix_sweep(process, grid, laws, dense=True),
    }  # fmt: skip
    return [(name, everything[name]()) for name in everything if any(name.startswith(n) for n in names)]


# -- timing -------------------------------------------------------------------------------------------------------------------------


def compared(contenders: Sequence[Contender]) -> list[tuple[str, float, float, float, float]]:
    """(name, median, least and most ratio to the first, seconds) of each, timed in turn."""
    times: dict[str, list[float]] = {name: [] for name, _ in contenders}
    for _ in range(ROUNDS):
        for name, call in contenders:
            times[name].append(best_of(call))
    base = times[contenders[0][0]]
    rows = []
    for name, _ in contenders:
        ratios = [own / reference for own, reference in zip(times[name], base, strict=True)]
        rows.append((name, median(ratios), min(ratios), max(ratios), median(times[name])))
    return rows


def table(head: str, rows: Sequence[tuple[str, float, float, float, float]]) -> list[str]:
    """Lines of Markdown."""
    lines = ["", head, "", "| contender | time | least .. most | seconds |", "| --- | --- | --- | --- |"]
    lines += [f"| {name} | {mid:.3g} | {low:.3g} .. {high:.3g} | {seconds:.3g} |" for name, mid, low, high, seconds in rows]
    print("\n".join(lines), flush=True)
    return lines


def sweep_table(states: int, atoms: int, names: Sequence[str]) -> list[str]:
    """Sweeps at one size: 4 actions, 5 successors."""
    process, grid = evaluated(random_process(states, 4, 5)), np.linspace(0.0, 10.0, atoms)
    laws = np.random.default_rng(1).dirichlet(np.ones(atoms), states)
    contenders = sweep_contenders(process, grid, laws, ["theorylab", *names])
    wanted = contenders[0][1]().copy()
    for name, call in contenders:
        error = float(np.abs(call() - wanted).max())
        if not name.startswith("limit") and error > 1e-12:
            raise SystemExit(f"{name}: differs from theorylab's sweep by {error:.2g}.")
    return table(f"## Sweep: {states:,} states, 4 actions, 5 successors, {atoms} atoms", compared(contenders))


def rows(*, quick: bool = False) -> list[Row]:
    """The same, for the table of all benchmarks; the compiled ways are theorylab's own, left behind."""
    out: list[Row] = []
    for states in (500,) if quick else (500, 10_000):
        process, grid = evaluated(random_process(states, 4, 5)), np.linspace(0.0, 10.0, 51)
        laws = np.random.default_rng(1).dirichlet(np.ones(51), states)
        (_, ours), *others = sweep_contenders(
            process,
            grid,
            laws,
            ["theorylab", "NumPy", "SciPy"] if states <= 500 else ["theorylab", "SciPy", f"NumPy {np.__version__}, one"],
        )
        wanted = ours().copy()
        peers = [Peer(name, call, agree(name, float(np.abs(call() - wanted).max()), 1e-12, "laws")) for name, call in others]
        out += race("laws of returns", f"sweep, {states:,} states, 4 actions, 5 successors, 51 atoms", ours, peers)
    return out


def bandwidth() -> str:
    """What the machine copies, and what a sweep at full size touches."""
    a = np.ones(25_000_000)
    b = np.empty_like(a)
    speed = 2 * a.nbytes / best_of(lambda: np.copyto(b, a)) / 1e9
    return f"Copying a large array moves {speed:.0f} GB/s."


def growth() -> list[str]:
    """A straight line through the times of four sizes, along each of them."""
    base = {"states": 2_000, "actions": 4, "successors": 5, "atoms": 51}
    lines = [
        "", "## Growth of a sweep", "", "2,000 states, 4 actions, 5 successors, 51 atoms, and one of them longer. The straight line's R^2 says how linear",
        "the growth is; its value at size 0 is what does not depend on that size (the projection does not depend on the number of successors).", "",
        "| along | from | to | longest over shortest | R^2 of a straight line | share that does not grow, shortest |", "| --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for along, values in {
        "states": (2_000, 4_000, 8_000, 16_000), "actions": (2, 4, 8, 16), "successors": (5, 10, 20, 40), "atoms": (51, 101, 201, 401),
    }.items():  # fmt: skip
        seconds = []
        for value in values:
            size = base | {along: value}
            process = evaluated(random_process(size["states"], size["actions"], size["successors"]))
            grid = np.linspace(0.0, 10.0, size["atoms"])
            run = categorical.Sweeper(
                Backup.of(process, grid), np.random.default_rng(1).dirichlet(np.ones(size["atoms"]), size["states"])
            )
            run.step()
            seconds.append(min(best_of(run.step, 0.3) for _ in range(3)))
        slope, fixed = np.polyfit(values, seconds, 1)
        left = np.array(seconds) - (fixed + slope * np.array(values))
        fit = 1.0 - float((left**2).sum() / ((np.array(seconds) - np.mean(seconds)) ** 2).sum())
        lines.append(
            f"| {along} | {values[0]:,} | {values[-1]:,} | {seconds[-1] / seconds[0]:.2f} | {fit:.4f} | {max(fixed, 0.0) / seconds[0]:.2f} |"
        )
    print("\n".join(lines), flush=True)
    return lines


def installed(package: str) -> str:
    """A version, or nothing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write {OUTPUT.name} in docs")
    options = parser.parse_args()
    compiled = ["compiled", "limit", f"NumPy {np.__version__}, one", "SciPy"]
    lines = sweep_table(10_000, 51, compiled)
    lines += sweep_table(500, 51, [*compiled, "NumPy"])
    lines += sweep_table(64, 51, [*compiled, "dense"])
    lines += ["", bandwidth()]
    lines += growth()
    if options.write:
        head = [
            "# Distributional dynamic programming: sweeps",
            "",
            f"Made by `python -m benchmarks.distributional --write`: {ROUNDS} rounds, contenders in turn, time over theorylab's of the same round",
            f"(above 1 is slower than theorylab), one thread. Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}, numba {installed('numba')}. Results",
            "agree to 1e-12.",
        ]
        OUTPUT.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
