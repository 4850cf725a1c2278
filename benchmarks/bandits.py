"""Pulls per second of the gradient bandit: theorylab, a plain C loop, NumPy, and what bandit libraries offer.

    python -m benchmarks.bandits [--pulls N] [--write]

Every row does the same work: softmax of K logits, one arm by inverse cdf, one reward +-1, the update, the exact regret summed. Contenders
are timed in turn, five rounds, and given as the ratio to the C loop of the same round: median [least, most]. Before that, the mean
regret of each is compared with theorylab's. `--write` puts the table into docs/bandits.md.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from theorylab_plugins.gradient_bandit.algorithm import Arms, Variant

from benchmarks.race import Row, usable
from theorylab.problems.bandit import Bandit, two_point

ETA, ROUNDS, CHECK_PULLS, CHECK_RUNS = 0.05, 5, 300, 400
ARMS = (2, 10, 100)
OURS = "theorylab, 1 thread"
OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "bandits.md"

C_SOURCE = r"""
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
static uint64_t s[4];
static inline uint64_t rotl(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
static inline double uniform(void) {           /* xoshiro256+, inlined */
    uint64_t r = s[0] + s[3], t = s[1] << 17;
    s[2] ^= s[0]; s[3] ^= s[1]; s[1] ^= s[2]; s[0] ^= s[3]; s[2] ^= t; s[3] = rotl(s[3], 45);
    return (r >> 11) * 0x1.0p-53;
}
static uint64_t splitmix(uint64_t *x) {
    uint64_t z = (*x += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9; z = (z ^ (z >> 27)) * 0x94d049bb133111eb; return z ^ (z >> 31);
}
int main(int argc, char **argv) {
    int K = atoi(argv[1]); long T = atol(argv[2]), runs = atol(argv[3]); double eta = atof(argv[4]);
    double theta[256], w[256], pi[256], gap[256], minus[256];
    struct timespec a, b;
    clock_gettime(CLOCK_MONOTONIC, &a);
    double sum = 0, squares = 0;
    for (long run = 0; run < runs; run++) {
        uint64_t seed = 12345 + run;
        for (int i = 0; i < 4; i++) s[i] = splitmix(&seed);
        double regret = 0;
        for (int i = 0; i < K; i++) {
            double mean = .5 - (double)i / (K - 1);
            theta[i] = 0; gap[i] = .5 - mean; minus[i] = (1 - mean) / 2;
        }
        for (long t = 0; t < T; t++) {
            double top = theta[0], Z = 0, delta = 0;
            for (int i = 1; i < K; i++) if (theta[i] > top) top = theta[i];
            for (int i = 0; i < K; i++) { w[i] = exp(theta[i] - top); Z += w[i]; }
            for (int i = 0; i < K; i++) { pi[i] = w[i] / Z; delta += pi[i] * gap[i]; }
            regret += delta;
            double target = uniform() * Z, below = w[0];
            int arm = 0;
            while (arm < K - 1 && below <= target) below += w[++arm];
            double x = uniform() < minus[arm] ? -1.0 : 1.0;
            for (int i = 0; i < K; i++) theta[i] -= eta * x * pi[i];
            theta[arm] += eta * x;
        }
        sum += regret; squares += regret * regret;
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("%.17g %.17g %.9g\n", sum / runs, squares / runs, b.tv_sec - a.tv_sec + 1e-9 * (b.tv_nsec - a.tv_nsec));
    return 0;
}
"""


@dataclass(frozen=True)
class Contender:
    """run(bandit, pulls, runs) -> (mean regret, its standard error, seconds). `share` of the pulls that the others get."""

    name: str
    run: Callable[[Bandit, int, int], tuple[float, float, float]]
    share: float = 1.0


def arms_of(count: int) -> Bandit:
    """Means from 1/2 down to -1/2, rewards +-1."""
    return two_point(np.linspace(0.5, -0.5, count))


def _summary(regrets: np.ndarray, seconds: float) -> tuple[float, float, float]:
    spread = regrets.std(ddof=1) if regrets.size > 1 else 0.0
    return float(regrets.mean()), float(spread / math.sqrt(regrets.size)), seconds


def theorylab_runs(bandit: Bandit, pulls: int, runs: int, threads: int = 1) -> tuple[float, float, float]:
    """The plugin's own kernel, seeds on threads."""
    arms, points = Arms.of(bandit), np.array([1, pulls])

    def one(seed: int) -> float:
        return float(arms.simulate(np.random.default_rng(seed), ETA, points, Variant()).regret[-1])

    started = time.perf_counter()
    if threads == 1:
        regrets = [one(seed) for seed in range(runs)]
    else:
        with ThreadPoolExecutor(threads) as pool:
            regrets = list(pool.map(one, range(runs)))
    return _summary(np.array(regrets), time.perf_counter() - started)


def c_runs(program: Path) -> Callable[[Bandit, int, int], tuple[float, float, float]]:
    """The plain C loop, timed from inside."""

    def run(bandit: Bandit, pulls: int, runs: int) -> tuple[float, float, float]:
        command = [str(program), str(bandit.arm_count), str(pulls), str(runs), str(ETA)]
        mean, square, seconds = map(float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
        return mean, math.sqrt(max(square - mean * mean, 0.0) / runs), seconds

    return run


def compiled(folder: Path) -> Path | None:
    """The C loop, or None without a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    (folder / "loop.c").write_text(C_SOURCE, encoding="utf-8")
    subprocess.run([compiler, "-O3", "-march=native", "loop.c", "-lm", "-o", "loop"], cwd=folder, check=True)
    return folder / "loop"


def numpy_batched(bandit: Bandit, pulls: int, runs: int) -> tuple[float, float, float]:
    """All runs as one array."""
    assert bandit.weights is not None
    rng, K = np.random.default_rng(0), bandit.arm_count
    minus, rows = bandit.weights[:, 0], np.arange(runs)
    theta, regret = np.zeros((runs, K)), np.zeros(runs)
    started = time.perf_counter()
    for _ in range(pulls):
        w = np.exp(theta - theta.max(axis=1, keepdims=True))
        pi = w / w.sum(axis=1, keepdims=True)
        regret += pi @ bandit.gaps
        arm = np.minimum((pi.cumsum(axis=1) <= rng.random((runs, 1))).sum(axis=1), K - 1)
        x = np.where(rng.random(runs) < minus[arm], -1.0, 1.0)
        theta -= ETA * x[:, None] * pi
        theta[rows, arm] += ETA * x
    return _summary(regret, time.perf_counter() - started)


def numpy_looped(bandit: Bandit, pulls: int, runs: int) -> tuple[float, float, float]:
    """One run after the other, a Python loop over pulls."""
    assert bandit.weights is not None
    rng, K, regrets = np.random.default_rng(0), bandit.arm_count, []
    started = time.perf_counter()
    for _ in range(runs):
        theta, regret = np.zeros(K), 0.0
        for _ in range(pulls):
            w = np.exp(theta - theta.max())
            pi = w / w.sum()
            regret += float(pi @ bandit.gaps)
            arm = min(int(np.searchsorted(pi.cumsum(), rng.random(), side="right")), K - 1)
            x = -1.0 if rng.random() < bandit.weights[arm, 0] else 1.0
            theta -= ETA * x * pi
            theta[arm] += ETA * x
        regrets.append(regret)
    return _summary(np.array(regrets), time.perf_counter() - started)


def mabwiser_runs(bandit: Bandit, pulls: int, runs: int) -> tuple[float, float, float]:
    """MABWiser's softmax policy (of mean rewards: it has no gradient bandit), predict and partial_fit per pull."""
    from mabwiser.mab import MAB, LearningPolicy

    assert bandit.weights is not None
    rng, arms = np.random.default_rng(0), list(range(bandit.arm_count))
    started = time.perf_counter()
    for seed in range(runs):
        mab = MAB(arms, LearningPolicy.Softmax(tau=1.0), seed=seed)
        mab.fit(arms, [0.0] * len(arms))
        for _ in range(pulls):
            arm = mab.predict()
            mab.partial_fit([arm], [-1.0 if rng.random() < bandit.weights[arm, 0] else 1.0])
    return math.nan, math.nan, time.perf_counter() - started


def smpybandits_runs(bandit: Bandit, pulls: int, runs: int) -> tuple[float, float, float]:
    """SMPyBandits' softmax policy (of mean rewards), choice and getReward per pull."""
    from SMPyBandits.Policies import Softmax

    assert bandit.weights is not None
    rng = np.random.default_rng(0)
    started = time.perf_counter()
    for _ in range(runs):
        policy = Softmax(bandit.arm_count, temperature=1.0)
        policy.startGame()
        for _ in range(pulls):
            arm = policy.choice()
            policy.getReward(arm, 0.0 if rng.random() < bandit.weights[arm, 0] else 1.0)
    return math.nan, math.nan, time.perf_counter() - started


def contenders(program: Path | None) -> list[Contender]:
    """The C loop first: the others are measured against it."""
    cores = os.cpu_count() or 1
    out = [Contender("C, -O3 -march=native, plain loop", c_runs(program))] if program is not None else []
    out += [
        Contender(OURS, theorylab_runs),
        Contender(f"theorylab, {cores} threads", lambda b, pulls, runs: theorylab_runs(b, pulls, runs, cores)),
        Contender(
            f"NumPy {np.__version__}, all runs as one array", lambda b, pulls, runs: numpy_batched(b, pulls * runs // 1000, 1000)
        ),
        Contender(f"NumPy {np.__version__}, Python loop", numpy_looped, share=0.01),
    ]
    if label := usable("mabwiser", "mabwiser.mab"):
        out.append(Contender(f"{label}, its softmax policy", mabwiser_runs, share=0.0005))
    if label := usable("SMPyBandits", "SMPyBandits.Policies"):
        out.append(Contender(f"{label}, its softmax policy", smpybandits_runs, share=0.002))
    return out


def check_answers(field: list[Contender], bandit: Bandit) -> None:
    """Every contender that runs the same algorithm has the same mean regret, to five standard errors."""
    mean, error, _ = theorylab_runs(bandit, CHECK_PULLS, CHECK_RUNS)
    for contender in field:
        if contender.name.startswith("NumPy") and "array" in contender.name:
            other, spread, _ = numpy_batched(bandit, CHECK_PULLS, CHECK_RUNS)
        else:
            other, spread, _ = contender.run(bandit, CHECK_PULLS, CHECK_RUNS if contender.share >= 0.01 else 1)
        if math.isfinite(other) and abs(other - mean) > 5.0 * math.hypot(error, spread):
            raise SystemExit(f"{contender.name}: mean regret {other:.4f}, theorylab's is {mean:.4f} +- {error:.4f}.")


def speeds_of(field: list[Contender], bandit: Bandit, pulls: int) -> dict[str, list[float]]:
    """Pulls per second of each contender, in turn, round by round."""
    speeds: dict[str, list[float]] = {c.name: [] for c in field}
    runs = 64
    for _ in range(ROUNDS):
        for c in field:
            each = max(20, int(pulls * c.share * (10 / max(bandit.arm_count, 10)) / runs))
            _, _, seconds = c.run(bandit, each, runs)
            speeds[c.name].append(each * runs / seconds)
    return speeds


def measure(pulls: int) -> list[str]:
    """The table's lines."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        program = compiled(Path(folder))
        if program is None:
            print("No C compiler found: ratios are to theorylab on one thread.")
        field = contenders(program)
        for arms in ARMS:
            bandit = arms_of(arms)
            check_answers(field, bandit)
            speeds = speeds_of(field, bandit, pulls)
            base = speeds[field[0].name]
            for c in field:
                ratios = [own / reference for own, reference in zip(speeds[c.name], base, strict=True)]
                row = f"| {arms} | {c.name} | {median(ratios):.3g} | {min(ratios):.3g} .. {max(ratios):.3g} | {median(speeds[c.name]):.3g} |"
                print(row, flush=True)
                lines.append(row)
    return lines


def rows(*, quick: bool = False) -> list[Row]:
    """The same, for the table of all benchmarks: a plain C loop may be as fast, and a tenth faster."""
    out: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        field = contenders(compiled(Path(folder)))
        for arms in ARMS[1:2] if quick else ARMS:
            bandit = arms_of(arms)
            check_answers(field, bandit)
            speeds = speeds_of(field, bandit, 400_000 if quick else 4_000_000)
            own = speeds[OURS]
            for c in field:
                if c.name == OURS:
                    continue
                ratios = [mine / other for mine, other in zip(own, speeds[c.name], strict=True)]
                is_own, is_softmax = c.name.startswith("theorylab"), "softmax" in c.name
                target = 0.9 if c.name.startswith("C,") else None if is_own or is_softmax else 1.0
                words = "another update" if is_softmax else "mean regrets agree to five standard errors"
                out.append(
                    Row("bandits", f"gradient bandit, {arms} arms, per pull", c.name, median(ratios), min(ratios), max(ratios),
                        1.0 / median(own), words, target)
                )  # fmt: skip
                print(f"{'bandits':14} {out[-1].work:62} {c.name:52} {median(ratios):10.3g}", flush=True)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pulls", type=int, default=4_000_000, help="pulls per contender, K and round (K = 10)")
    parser.add_argument("--write", action="store_true", help=f"write {OUTPUT.name} in docs")
    options = parser.parse_args()
    lines = measure(options.pulls)
    if options.write:
        head = [
            "# Gradient bandit: pulls per second",
            "",
            f"Made by `python -m benchmarks.bandits --write`: {ROUNDS} rounds, contenders in turn, speed over that of the first row of the same",
            f"round. Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}. Mean regrets agree to five standard errors.",
            "The libraries' softmax policies do another update (a softmax of mean rewards): their row is what a user of them pays per pull.",
            "",
            "| K | contender | speed | least .. most | pulls/s |",
            "| --- | --- | --- | --- | --- |",
        ]
        OUTPUT.parent.mkdir(exist_ok=True)
        OUTPUT.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
