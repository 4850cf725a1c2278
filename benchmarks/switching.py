"""Last-switch-dependent bandits: planner rounds per second beside plain C and NumPy, relaxations, and the published experiments.

    python -m benchmarks.switching [--write]

Each row plays the same cycles and offsets for the same rounds; totals agree to the last bit with C and to rounding with NumPy before anything is timed.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from theorylab_plugins.lsd_bandits.algorithm import draw
from theorylab_plugins.lsd_bandits.blocks import delays_of, greedy, learned_totals
from theorylab_plugins.lsd_bandits.instances import published_main, published_supplement

from benchmarks.race import Row, agree, best_of, named
from theorylab.problems.record import Array
from theorylab.solvers import switching

ROUNDS, C_ROUNDS, NUMPY_ROUNDS, SEEDS = 5, 5_000_000, 20_000, 30
OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "switching.md"

C_SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int main(int argc, char **argv) {
    int K, m; long rounds;
    FILE *f = fopen(argv[1], "r");
    if (fscanf(f, "%d %d %ld", &K, &m, &rounds) != 3) return 1;
    int w = 2 * m + 1;
    double *mu = malloc(sizeof(double) * K * w);
    long *r = malloc(sizeof(long) * K), *s = malloc(sizeof(long) * K), *ph = malloc(sizeof(long) * K), *st = malloc(sizeof(long) * K);
    for (int i = 0; i < K * w; i++) if (fscanf(f, "%lf", mu + i) != 1) return 1;
    for (int i = 0; i < K; i++) { if (fscanf(f, "%ld %ld %ld", r + i, s + i, ph + i) != 3) return 1; st[i] = 1; }
    double *paid = malloc(sizeof(double) * rounds);
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (long t = 0; t < rounds; t++) {
        int chosen = -1; double best = -1;
        for (int i = 0; i < K; i++) {
            long v = m; int plays = 0;
            if (r[i] == 0) { v = -m; plays = 1; }
            else if (r[i] > 0) {
                long at = ph[i];
                v = at == 0 ? -s[i] : at <= r[i] ? at : r[i] - at;
                plays = at >= r[i];
                ph[i] = at + 1 < r[i] + s[i] ? at + 1 : 0;
            }
            if (plays && mu[i * w + v + m] > best) { best = mu[i * w + v + m]; chosen = i; }
        }
        paid[t] = chosen >= 0 ? mu[chosen * w + st[chosen] + m] : 0;
        for (int i = 0; i < K; i++) {
            if (i == chosen) st[i] = st[i] > 0 ? -1 : st[i] - 1 < -m ? -m : st[i] - 1;
            else st[i] = st[i] < 0 ? 1 : st[i] + 1 > m ? m : st[i] + 1;
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    double total = 0;
    for (long t = 0; t < rounds; t++) total += paid[t];
    printf("%.17g %.9g\n", total, b.tv_sec - a.tv_sec + 1e-9 * (b.tv_nsec - a.tv_nsec));
    return 0;
}
"""


def numpy_total(table: Array, cycle: Any, offset: Any, rounds: int) -> float:
    """The planner in NumPy, arms at once, a round at a time."""
    K, m = len(table), (table.shape[1] - 1) // 2
    rest, play = cycle[:, 0], cycle[:, 1]
    phase, state, arms, total = offset.copy(), np.ones(K, dtype=np.int64), np.arange(K), 0.0
    for _ in range(rounds):
        virtual = np.where(rest == 0, -m, np.where(phase == 0, -play, np.where(phase <= rest, phase, rest - phase)))
        turn = (rest == 0) | ((rest > 0) & (phase >= rest))
        worth = np.where(turn & (rest >= 0), table[arms, np.clip(virtual, -m, m) + m], -1.0)
        chosen = int(worth.argmax()) if turn.any() else -1
        if chosen >= 0:
            total += table[chosen, state[chosen] + m]
        phase = np.where(phase + 1 < rest + play, phase + 1, 0)
        is_played = arms == chosen
        state = np.where(
            is_played, np.where(state > 0, -1, np.maximum(state - 1, -m)), np.where(state < 0, 1, np.minimum(state + 1, m))
        )
    return total


@dataclass(frozen=True)
class Planned:
    """A planner's problem: theorylab's kernel, NumPy's loop, and C's command line with its data."""

    ours: Callable[[int], float]
    looped: Callable[[int], float]
    command: list[str] | None


def planned(K: int, folder: Path) -> Planned:
    """K arms with memory 5 and monotone payoffs. The C loop is compiled into the folder, where there is a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    binary = folder / "planner"
    if compiler and not binary.exists():
        (folder / "planner.c").write_text(C_SOURCE)
        subprocess.run([compiler, "-O3", "-march=native", "-o", str(binary), str(folder / "planner.c")], check=True)
    rng = np.random.default_rng(K)
    table = np.insert(np.sort(rng.random((K, 10)), axis=1), 5, 0.0, axis=1)
    cycle, offset = draw(switching.relaxation(table).rate, 5, rng)

    def ours(rounds: int) -> float:
        paid, start = np.empty(rounds), np.ones(K, dtype=np.int64)
        switching.play_cycles(
            table, table, cycle, offset, start, rounds, switching.VIRTUAL, False, paid, np.zeros(0, dtype=np.int64)
        )  # fmt: skip
        return float(paid.sum())

    data = folder / f"{K}.txt"
    lines = [f"{K} 5 {C_ROUNDS}", *(" ".join(f"{x!r}" for x in row.tolist()) for row in table)]
    lines += [f"{r} {s} {o}" for (r, s), o in zip(cycle, offset, strict=True)]
    data.write_text("\n".join(lines))
    return Planned(ours, lambda rounds: numpy_total(table, cycle, offset, rounds), [str(binary), str(data)] if compiler else None)


def rows(*, quick: bool = False) -> list[Row]:
    """Rounds of the planner at 3, 10 and 50 arms: a plain C loop may be as fast, and a tenth faster."""
    out: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        for K in (10,) if quick else (3, 10, 50):
            one = planned(K, Path(folder))
            early = agree("NumPy's planner", abs(one.ours(NUMPY_ROUNDS) - one.looped(NUMPY_ROUNDS)), 1e-6, "totals")
            own, loops, others = [], [], []
            for _ in range(ROUNDS):
                started = time.perf_counter()
                total = one.ours(C_ROUNDS)
                own.append(time.perf_counter() - started)
                started = time.perf_counter()
                one.looped(NUMPY_ROUNDS)
                loops.append((time.perf_counter() - started) / NUMPY_ROUNDS * C_ROUNDS / own[-1])
                if one.command is not None:
                    printed, seconds = subprocess.run(one.command, check=True, capture_output=True, text=True).stdout.split()
                    words = agree("C's planner", abs(float(printed) / total - 1.0), 1e-6, "totals")
                    others.append(float(seconds) / own[-1])
            work, each = f"switching bandits, planner, {K} arms, per round", median(own) / C_ROUNDS
            if others:
                name = "C, -O3 -march=native, plain loop"
                out.append(Row("bandits", work, name, median(others), min(others), max(others), each, words, 0.9))
            name = f"{named('numpy')}, arms at once, a round at a time"
            out.append(Row("bandits", work, name, median(loops), min(loops), max(loops), each, early))
            for row in out[-2:]:
                print(f"{'bandits':14} {row.work:62} {row.peer:52} {row.ratio:10.3g}", flush=True)
    return out


def planner_rows() -> list[str]:
    """The same as lines of Markdown."""
    lines = [
        "| work | beside | takes so many times as long as theorylab | least .. most | million rounds/s, theorylab |",
        "| --- | --- | --- | --- | --- |",
    ]
    return lines + [
        f"| {row.work} | {row.peer} | {row.ratio:.2f} | {row.least:.2f} .. {row.most:.2f} | {1e-6 / row.seconds:.1f} |"
        for row in rows()
    ]


def relaxation_rows() -> list[str]:
    """The dual in one price beside HiGHS."""
    lines = ["| arms, memory | one price, ms | HiGHS through cvxpy takes so many times longer |", "| --- | --- | --- |"]
    for K, m in ((3, 4), (10, 10), (50, 20)):
        table = np.insert(np.random.default_rng(K).random((K, 2 * m)), m, 0.0, axis=1)
        if abs(switching.dual(table)[0] - switching.relaxation(table).value) > 1e-8:
            raise SystemExit(f"{K} arms: the two values differ.")
        own = best_of(partial(switching.dual, table))
        lines.append(f"| {K}, {m} | {1e3 * own:.3f} | {best_of(partial(switching.relaxation, table), 0.01) / own:,.0f} |")
        print(lines[-1], flush=True)
    return lines


def experiment_rows() -> list[str]:
    """Totals of the published experiments: mean (standard deviation) over seeds, beside what the released code stored for one."""
    lines = ["| experiment | algorithm | total | released code, one seed |", "| --- | --- | --- | --- |"]
    for name, bandit, rounds, (isi, comb), stored in (
        ("main: 5 arms, 3,600 rounds", published_main(), 3_600, (4, 3), (1064, 588, 542)),
        ("supplement: 2 arms, 3,300 rounds", published_supplement(), 3_300, (11, 10), (1253, 1374, 183)),
    ):
        delays = delays_of(bandit.payoff)
        ways: list[tuple[str, Callable[[int], float]]] = [
            (
                f"ISI-CombUCB1, d = {isi}",
                lambda s, D=delays, T=rounds, d=isi: float(learned_totals(D, d, T, isi=True, seed=s)[-1]),
            ),
            (
                f"CombUCB1, d = {comb}",
                lambda s, D=delays, T=rounds, d=comb: float(learned_totals(D, d, T, isi=False, seed=s)[-1]),
            ),
            ("greedy, means known", lambda s, D=delays, T=rounds: float(greedy(D, T, np.random.default_rng(s)))),
        ]
        for (way, run), old in zip(ways, stored, strict=True):
            found = np.array([run(seed) for seed in range(SEEDS)])
            lines.append(f"| {name} | {way} | {found.mean():.0f} ({found.std(ddof=1):.0f}) | {old} |")
            print(lines[-1], flush=True)
        best = switching.dual(bandit.table)[0] * rounds
        lines.append(f"| {name} | no policy earns more (relaxation) | {best:.0f} | |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write {OUTPUT.name} in docs")
    options = parser.parse_args()
    planner = planner_rows()
    relaxations, experiments = relaxation_rows(), experiment_rows()
    if options.write:
        text = [
            "# Last-switch-dependent bandits: planners beside C and NumPy, published experiments", "",
            f"Made by `python -m benchmarks.switching --write`: {ROUNDS} rounds in turn. Python {platform.python_version()}, {os.cpu_count()} cores, "
            f"{platform.machine()}, numba {version('numba')}, numpy {version('numpy')}, cvxpy {version('cvxpy')}; C with -O3 -march=native.", "",
            "## Planner", "",
            "Cycles and offsets of a relaxation's solution, memory 5. Above 1 theorylab is faster.", "", *planner, "",
            "## Relaxation", "", *relaxations, "",
            "## Published experiments", "",
            f"Laforgue, Clerici, Cesa-Bianchi, Gilad-Bachrach, arXiv 2110.11819: mean (standard deviation) over {SEEDS} seeds. Blocks are chosen by trying all "
            "strings, where the released code searches greedily.", "", *experiments, "",
        ]  # fmt: skip
        OUTPUT.write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
