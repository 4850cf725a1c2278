"""Reward-free exploration: episodes against horizon, accuracy and features; moments; speed beside NumPy.

    python -m benchmarks.exploration [--write]

The speed rows first run both programs on the same random words and compare Gram matrices to 1e-9.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
from theorylab_plugins.horizon_free_rfe.algorithm import FAST, stretched
from theorylab_plugins.horizon_free_rfe.baselines import ucrl_rfe
from theorylab_plugins.horizon_free_rfe.exploring import HOME, UNIT, Rules
from theorylab_plugins.horizon_free_rfe.formulas import constants
from theorylab_plugins.horizon_free_rfe.instances import random_mixture
from theorylab_plugins.horizon_free_rfe.runs import Variant, exploration

from theorylab.problems.linear_mixture import LinearMixture

OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "exploration.md"

SEEDS, MOST, REPLAN = 3, 40_000, 1.1
HORIZONS, BASELINE_HORIZONS = (10, 30, 100, 300, 1000), (3, 10, 30, 100)
ACCURACIES, FEATURES = (1.0, 0.5, 0.25, 0.125, 0.0625), (2, 3, 4, 6, 8)
SPEED_ROUNDS, SPEED_EPISODES = 5, 30


def kernels() -> LinearMixture:
    """4 states, 2 actions, 2 kernels, 4 rewards."""
    return random_mixture(np.random.default_rng(3), 4, 2, 2, 10, 4, kinds=("average",))


def needed(
    problem: LinearMixture, seed: int, target: float, most: int, *, scale: float = FAST, weights: int = HOME, moments: int = 0
) -> float:
    """Episodes until every certificate is at most `target`, or infinity."""
    variant = Variant(Rules(weights=weights), moments=moments)
    found = exploration(
        problem, np.random.default_rng(seed), most, scale=scale, target=target, replan=REPLAN, variant=variant, judging=False
    )
    return float(found.episodes) if found.episodes < most else np.inf


def shown(values: list[float], most: int) -> str:
    """Least and largest of some runs."""
    low, high = min(values), max(values)
    if not np.isfinite(low):
        return f"> {most:,}"
    return f"{low:,.0f}" if low == high else f"{low:,.0f} to {high:,.0f}" if np.isfinite(high) else f"{low:,.0f} to > {most:,}"


def slope(x: list[float], runs: list[list[float]]) -> str:
    """Of log episodes in log x, over what was not broken off."""
    kept = [(a, float(np.mean(r))) for a, r in zip(x, runs, strict=True) if np.isfinite(r).all()]
    if len(kept) < 2:
        return ""
    a, b = np.log(np.array(kept)).T
    return f"{np.polyfit(a, b, 1)[0]:.2f}"


def horizon_rows() -> list[str]:
    """Episodes to a certificate of 1/2."""
    rows = []
    for label, weights, most, moments, scale, horizons in (
        ("variance weights", HOME, MOST, 0, FAST, HORIZONS),
        ("the same, 0.001 of the radius", HOME, MOST, 0, 1e-3, HORIZONS[:4]),
        ("1 moment", HOME, 12_000, 1, FAST, HORIZONS[:3]),
        ("2 moments", HOME, 12_000, 2, FAST, HORIZONS),
        ("3 moments", HOME, 12_000, 3, FAST, HORIZONS),
        ("unit weights", UNIT, 25_000, 0, FAST, HORIZONS[:3]),
    ):
        runs = [
            [needed(stretched(kernels(), H, np.random.default_rng((9, i))), i, 0.5, most, weights=weights, moments=moments, scale=scale) for i in range(SEEDS)]
            for H in horizons
        ]  # fmt: skip
        cells = [shown(r, most) for r in runs] + [""] * (len(HORIZONS) - len(horizons))
        rows.append(f"| {label} | {' | '.join(cells)} | {slope(list(map(float, horizons)), runs)} |")
    return rows


def baseline_row() -> str:
    """UCRL-RFE at a fifth of its radius, until it is certain of half of the horizon."""
    runs = []
    for H in BASELINE_HORIZONS:
        found = [
            ucrl_rfe(stretched(kernels(), H, np.random.default_rng((9, i))), np.random.default_rng(i), MOST, scale=0.2, target=0.5).episodes
            for i in range(2)
        ]  # fmt: skip
        runs.append([float(k) if k < MOST else np.inf for k in found])
    cells = " | ".join(shown(r, MOST) for r in runs)
    return f"| UCRL-RFE | {cells} | {slope(list(map(float, BASELINE_HORIZONS)), runs)} |"


def other_rows() -> tuple[str, str]:
    """Along accuracies and features."""
    by_accuracy = [
        [needed(stretched(kernels(), 30, np.random.default_rng((9, i))), i, eps, MOST) for i in range(2)] for eps in ACCURACIES
    ]
    wide = [[needed(random_mixture(np.random.default_rng(i), 8, 2, d, 20, 4), i, 0.5, MOST) for i in range(3)] for d in FEATURES]
    first = f"| {' | '.join(shown(r, MOST) for r in by_accuracy)} | {slope([1 / e for e in ACCURACIES], by_accuracy)} |"
    return first, f"| {' | '.join(shown(r, MOST) for r in wide)} | {slope(list(map(float, FEATURES)), wide)} |"


def numpy_rollouts(problem: LinearMixture, episodes: int, rng: np.random.Generator) -> np.ndarray:
    """Episodes under a fixed policy that regress on a fixed function, NumPy: the moment estimator of one series, with running inverses."""
    c = constants(problem, episodes, scale=FAST)
    H, S, A, d, M = problem.horizon, problem.state_count, problem.action_count, problem.dimension, c.moments
    phi, cumulative = problem.features.reshape(S * A, d, S), np.cumsum(problem.transition, axis=1)
    value = np.linspace(0.0, 1.0, S)
    powers = np.array([value ** (2.0**m) for m in range(M)])
    gram = np.repeat(c.ridge * np.eye(d)[None], M, axis=0)
    moment = np.zeros((M, d))
    for k in range(episodes):
        dot = np.linalg.inv(gram)
        center = np.einsum("mij,mj->mi", dot, moment)
        running, beta, s = dot.copy(), c.radii[k], problem.start
        for _ in range(H):
            x = powers @ phi[s * A].T
            there = int(np.searchsorted(cumulative[s * A], rng.random(), side="right"))
            size = np.sqrt(np.einsum("mi,mij,mj->m", x, dot, x))
            mean = np.clip(np.einsum("mi,mi->m", x, center), 0.0, 1.0)
            raw = np.ones(M)
            raw[:-1] = mean[1:] - mean[:-1] ** 2 + np.minimum(1.0, 2 * beta * size[:-1]) + np.minimum(1.0, beta * size[1:])
            image = np.einsum("mij,mj->mi", running, x)
            square = np.einsum("mi,mi->m", x, image)
            sigma = np.maximum(np.maximum(c.gamma**2 * np.sqrt(square), raw), c.alpha**2)
            gram += x[:, :, None] * x[:, None, :] / sigma[:, None, None]
            moment += x * (powers[:, there] / sigma)[:, None]
            running -= image[:, :, None] * image[:, None, :] / (sigma + square)[:, None, None]
            s = there
    return gram


def kernel_rollouts(problem: LinearMixture, episodes: int, rng: np.random.Generator) -> np.ndarray:
    """The same by the plugin's kernel, which fills two series: both regress on the same function."""
    from theorylab_plugins.horizon_free_rfe.exploring import fresh_series, fresh_tally, roll_out, room, settle

    c = constants(problem, episodes, scale=FAST)
    H, S = problem.horizon, problem.state_count
    series, scratch = fresh_series(problem.dimension, c.moments, c.ridge), room(problem.dimension, S, c.moments)
    tally = fresh_tally(episodes, c.moments, 0, problem.rewards.shape)
    value, policy, cumulative = (
        np.tile(np.linspace(0.0, 1.0, S), (H + 1, 1)),
        np.zeros((H, S), dtype=np.int64),
        np.cumsum(problem.transition, axis=1),
    )
    for k in range(episodes):
        settle(series, problem.theta)
        roll_out(
            problem.sparse, problem.transition, cumulative, problem.start, policy, value, value, series, c.radii[k], c.alpha, c.gamma, Rules(),
            problem.theta, scratch, tally, rng,
        )  # fmt: skip
    return series.gram[0]


def speed_rows() -> list[str]:
    """Steps per second, two regressions of M moments each."""
    rows = []
    for S, A, d, H in ((4, 2, 2, 100), (10, 3, 4, 100), (20, 5, 8, 100)):
        problem = random_mixture(np.random.default_rng(0), S, A, d, H, 1)
        mine, theirs = (f(problem, SPEED_EPISODES, np.random.default_rng(1)) for f in (kernel_rollouts, numpy_rollouts))
        scale = np.sqrt(np.einsum("mii,mjj->mij", theirs, theirs))
        assert np.abs(mine - theirs).max() <= 1e-9 * scale.max(), "the two programs differ"
        ratios, speeds = [], []
        for _ in range(SPEED_ROUNDS):
            begin = time.perf_counter()
            kernel_rollouts(problem, SPEED_EPISODES, np.random.default_rng(1))
            middle = time.perf_counter()
            numpy_rollouts(problem, SPEED_EPISODES, np.random.default_rng(1))
            end = time.perf_counter()
            ratios.append(2.0 * (end - middle) / (middle - begin))  # two series against one
            speeds.append(SPEED_EPISODES * H / (middle - begin))
        M = constants(problem, SPEED_EPISODES).moments
        rows.append(
            f"| {S}, {A}, {d}, {M} | {median(speeds) / 1e3:,.0f} | {median(ratios):,.0f} ({min(ratios):,.0f} .. {max(ratios):,.0f}) |"
        )
    return rows


def document() -> str:
    """The page."""
    accuracy, features = other_rows()
    return "\n".join(
        [
            "# Exploration without rewards: horizons, accuracies, features, speed",
            "",
            f"Made by `python -m benchmarks.exploration --write`. Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}, "
            f"numba {version('numba')}, numpy {version('numpy')}.",
            "",
            "## Episodes against the horizon",
            "",
            "4 states, 2 actions, 2 kernels, 4 rewards spread evenly over the steps, totals of at most 1. Episodes until all certificates 2 W are at most 1/2, at 0.0003 of "
            f"the theorem's radius (a practical choice; the theorem's own says nothing below 10^15 episodes), new plans when episodes have grown by a tenth; {SEEDS} runs.",
            "",
            f"| weights | {' | '.join(f'H = {H}' for H in HORIZONS)} | slope |",
            "| --- | " + "--- | " * (len(HORIZONS) + 1),
            *horizon_rows(),
            "",
            "UCRL-RFE at a fifth of its radius, until what any policy may lose is at most half of the horizon (rewards up to 1 at every step). Slopes can be compared, levels "
            "cannot.",
            "",
            f"| | {' | '.join(f'H = {H}' for H in BASELINE_HORIZONS)} | slope |",
            "| --- | " + "--- | " * (len(BASELINE_HORIZONS) + 1),
            baseline_row(),
            "",
            "## Episodes against accuracy and features",
            "",
            "Certificates to be reached, H = 30:",
            "",
            f"| {' | '.join(f'{e:g}' for e in ACCURACIES)} | slope in 1 / accuracy |",
            "| " + "--- | " * (len(ACCURACIES) + 1),
            accuracy,
            "",
            "Kernels that are mixed, 8 states, H = 20, to a certificate of 1/2:",
            "",
            f"| {' | '.join(f'd = {d}' for d in FEATURES)} | slope |",
            "| " + "--- | " * (len(FEATURES) + 1),
            features,
            "",
            "## Speed",
            "",
            "Steps of an episode, each with two series of M weighted regressions. NumPy does all moments of a series at once. Gram matrices agree to 1e-9.",
            "",
            "| states, actions, kernels, moments | thousand steps/s | NumPy takes so many times longer |",
            "| --- | --- | --- |",
            *speed_rows(),
            "",
        ]
    )  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--write", action="store_true", help="write docs/exploration.md")
    text = document()
    if parser.parse_args().write:
        OUTPUT.write_text(text, encoding="utf-8")
    print(text)
