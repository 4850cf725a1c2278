"""R2PVI: the paper's experiments as tables, run times beside the constrained methods, and inner solvers beside cvxpy and bisection.

    python -m benchmarks.r2pvi [--write]

Times are ratios of three rounds in turn; before that both sides are compared. `--write` puts everything into docs/r2pvi.md.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from theorylab_plugins.r2pvi import experiments
from theorylab_plugins.r2pvi.experiments import Put
from theorylab_plugins.r2pvi.instances import simulated
from theorylab_plugins.robust_vi.algorithm import DIVERGENCES

from benchmarks.robust import seconds_for
from theorylab.kernels import kernel
from theorylab.solvers import programs, robust
from theorylab.solvers.offline import CHI, KL, KL_BALL, MEAN, TV, TV_BALL, Visits, pessimistic_values

ROUNDS = 3
OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "r2pvi.md"
BLOCKED, UPS = (0.0, 0.5, 1.0), (0.2, 0.4, 0.6, 0.8, 1.0)
DATA_SETS = 100
START = 99.17022004702574

#: The released notebook's averages of test episodes (Tang, Liu, Xu, arXiv 2411.18612); the strengths of its three R2PVI curves are not given.
NOTEBOOK = {
    "PEVI": (6.2788, 5.0204, 2.1995, 0.2949, 0.0),
    "R2PVI-TV, a": (4.769, 4.319, 2.211, 0.572, 0.0),
    "R2PVI-TV, b": (3.798, 3.304, 2.121, 0.870, 0.0),
    "R2PVI-TV, c": (1.407, 1.318, 1.140, 0.877, 0.553),
}

#: Seconds of the released code by the same notebook, N = 1000: features -> (PEVI, R2PVI-TV, R2PVI-KL, DRPVI, DRVI-L).
RELEASED_SECONDS = {
    30: (0.804, 1.078, 1.041, 1.702, 1.643),
    60: (1.838, 1.953, 1.786, 3.493, 4.120),
    120: (5.558, 4.975, 6.306, 16.662, 16.195),
}


def cells(values: Any) -> str:
    """Numbers of a row."""
    return " | ".join(f"{x:.3f}" for x in values)


def simulated_table() -> list[str]:
    """Means over data sets of exact values in three target environments."""
    learners: list[tuple[str, Callable[[bool], experiments.Learner]]] = [("PEVI", lambda published: experiments.plain_learner)]
    for strength in (0.1, 1.0):
        for kind, name in ((TV, "TV"), (KL, "KL"), (CHI, "chi2")):
            learners.append(
                (
                    f"R2PVI-{name}, strength {strength:g}",
                    lambda p, k=kind, x=strength: experiments.robust_learner(k, x, published=p),
                )
            )
    for kind, name in ((TV_BALL, "DRPVI"), (KL_BALL, "DRVI-L")):
        learners += [
            (f"{name}, radius {radius:g}", lambda p, k=kind, x=radius: experiments.ball_learner(k, x, published=p))
            for radius in (0.3, 0.5)
        ]
    lines = [
        "| learner | "
        + " | ".join(f"stated, q = {q:g}" for q in BLOCKED)
        + " | "
        + " | ".join(f"released, q = {q:g}" for q in BLOCKED)
        + " |"
    ]
    lines.append("| --- |" + " --- |" * (2 * len(BLOCKED)))
    for name, make in learners:
        both = [
            experiments.blocked_values(make(published), BLOCKED, replications=DATA_SETS).mean(axis=0)
            for published in (False, True)
        ]
        lines.append(f"| {name} | {cells(both[0])} | {cells(both[1])} |")
        print(lines[-1], flush=True)
    return lines


def put_table() -> list[str]:
    """The same for the option, beside the notebook's numbers."""
    put = Put.of(START)
    learners = [("PEVI", MEAN, 0.0), ("R2PVI-TV, strength 5", TV, 5.0), ("R2PVI-TV, strength 3", TV, 3.0), ("R2PVI-TV, strength 1", TV, 1.0),
                ("DRPVI, radius 0.05", TV_BALL, 0.05), ("DRPVI, radius 0.1", TV_BALL, 0.1), ("DRPVI, radius 0.2", TV_BALL, 0.2)]  # fmt: skip
    lines = ["| learner | " + " | ".join(f"p = {p:g}" for p in UPS) + " |", "| --- |" + " --- |" * len(UPS)]
    for name, kind, strength in learners:
        found = experiments.put_values(kind, strength, UPS, put, replications=DATA_SETS).mean(axis=0)
        lines.append(f"| {name} | {cells(found)} |")
        print(lines[-1], flush=True)
    lines.append(f"| best exercise rule | {cells(put.value(None, p) for p in UPS)} |")
    lines += [f"| {name}, released notebook | {cells(values)} |" for name, values in NOTEBOOK.items()]
    return lines


def headline_table() -> list[str]:
    """Whole runs on the option's data: the constrained methods' time over R2PVI-TV's."""
    put = Put.of(START)
    lines = [
        "| paths | features | R2PVI-TV, ms | R2PVI-KL | R2PVI-chi2 | PEVI | DRPVI | DRVI-L | DRPVI / R2PVI-TV, released code |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for paths, d in ((1_000, 30), (10_000, 30), (1_000, 60), (1_000, 120)):
        visits, phi = put.sample(paths, 0.5, np.random.default_rng(0)), put.features(d)
        ways = {
            name: (kind, strength)
            for name, kind, strength in (
                ("tv", TV, 3.0), ("kl", KL, 3.0), ("chi2", CHI, 3.0), ("pevi", MEAN, 0.0), ("drpvi", TV_BALL, 0.1), ("drvil", KL_BALL, 0.1),
            )
        }  # fmt: skip
        times: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, (kind, strength) in ways.items():
                times[name].append(seconds_for(partial(put.learn, kind, strength, visits, features=phi), 0.1))
        base = times["tv"]
        ratios = [
            median(t / b for t, b in zip(times[name], base, strict=True)) for name in ("kl", "chi2", "pevi", "drpvi", "drvil")
        ]
        released = RELEASED_SECONDS[d]
        quoted = f"{released[3] / released[1]:.2f}" if paths == 1_000 else "1.49"
        lines.append(
            f"| {paths:,} | {d} | {1e3 * median(base):.2f} | " + " | ".join(f"{r:.2f}" for r in ratios) + f" | {quoted} |"
        )
        print(lines[-1], flush=True)
    return lines


def cvxpy_lines() -> list[str]:
    """R2PVI on the simulated MDP, and the same with a convex program for each factor, on counts that equal their means (weights are laws then)."""
    lines = [
        "| divergence | theorylab, ms | cvxpy inside takes so many times longer | largest difference of a value |",
        "| --- | --- | --- | --- |",
    ]
    model = simulated()
    S, A, H = model.state_count, model.action_count, model.horizon
    counts = np.array([model.transition(h).reshape(S, A, S) for h in range(H)]) * 1e10 / (S * A)
    visits = Visits.of_table(counts)
    table = visits.table(S * A, S)
    for kind, name in ((TV, "tv"), (KL, "kl"), (CHI, "chi2")):

        def ours(kind: int = kind) -> Any:
            return pessimistic_values(kind, 1.0, model.features, model.theta, visits, beta=1.0).value

        def theirs(name: str = name) -> Any:
            value, out = np.zeros(S), np.zeros((H + 1, S))
            for h in range(H - 1, -1, -1):
                gram = (model.pairs.T * table[h].sum(axis=1)) @ model.pairs + np.eye(model.dimension)
                weights = np.maximum(np.linalg.solve(gram, model.pairs.T @ table[h]), 0.0)
                weights[weights < 1e-9] = 0.0
                laws = weights / weights.sum(axis=1, keepdims=True)
                nu = np.array([programs.worst_expectation(name, value, law, strength=1.0) for law in laws])
                q = model.features @ (model.theta[h] + nu - np.sqrt(np.diag(np.linalg.inv(gram))))
                value = out[h] = np.clip(q, 0.0, H - h).max(axis=1)
            return out

        gap = float(np.abs(ours() - theirs()).max())
        if gap > 1e-4:
            raise SystemExit(f"{name}: values differ by {gap:.2g}")
        own, ratio = [], []
        for _ in range(ROUNDS):
            own.append(seconds_for(ours))
            ratio.append(seconds_for(theirs, 0.0) / own[-1])
        lines.append(
            f"| {name} | {1e3 * median(own):.3f} | {median(ratio):,.0f} ({min(ratio):,.0f} .. {max(ratio):,.0f}) | {gap:.1g} |"
        )
        print(lines[-1], flush=True)
    return lines


@kernel
def bisected(kind, radius, value, weight, order, metric, near, room, worst):  # type: ignore[no-untyped-def]
    """The constrained problem by golden sections over the logarithm of the multiplier, each a penalised problem."""
    golden, low, high = 0.6180339887498949, -16.0, 8.0
    x, y = high - golden * (high - low), low + golden * (high - low)
    fx = robust.inner(kind + 4, np.exp(x), value, weight, order, metric, near, room, worst) - np.exp(x) * radius
    fy = robust.inner(kind + 4, np.exp(y), value, weight, order, metric, near, room, worst) - np.exp(y) * radius
    for _ in range(50):
        if fx < fy:
            low, x, fx = x, y, fy
            y = low + golden * (high - low)
            fy = robust.inner(kind + 4, np.exp(y), value, weight, order, metric, near, room, worst) - np.exp(y) * radius
        else:
            high, y, fy = y, x, fx
            x = high - golden * (high - low)
            fx = robust.inner(kind + 4, np.exp(x), value, weight, order, metric, near, room, worst) - np.exp(x) * radius
    return max(fx, fy)


def inner_table() -> list[str]:
    """One factor: the penalised problem, the constrained one by its own solver, and by a search over multipliers; cvxpy is in docs/robust.md."""
    lines = [
        "| divergence | states | penalised, microseconds | its ball | ball by a search over multipliers | penalised by cvxpy |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for kind in range(3):
        for n in (10, 100, 1_000):
            rng = np.random.default_rng(n)
            value, weight = rng.random(n), rng.dirichlet(np.ones(n))
            rest = (
                np.argsort(value, kind="stable"),
                np.zeros((1, 1)),
                np.zeros((1, 1), dtype=np.int64),
                np.zeros((4, 1)),
                np.empty(n),
            )
            radius, strength = 0.1, 0.2
            gap = abs(robust.inner(kind, radius, value, weight, *rest) - bisected(kind, radius, value, weight, *rest))
            if gap > 1e-6:
                raise SystemExit(f"{DIVERGENCES[kind]}, {n} states: ball and search differ by {gap:.2g}.")
            calls: list[Callable[[], Any]] = [
                partial(robust.inner, kind + 4, strength, value, weight, *rest),
                partial(robust.inner, kind, radius, value, weight, *rest),
                partial(bisected, kind, radius, value, weight, *rest),
            ]
            times: list[list[float]] = [[], [], []]
            for _ in range(ROUNDS):
                for call, spent in zip(calls, times, strict=True):
                    spent.append(seconds_for(call))
            base = median(times[0])
            slow = seconds_for(partial(programs.worst_expectation, DIVERGENCES[kind], value, weight, strength=strength), 0.0)
            lines.append(
                f"| {DIVERGENCES[kind]} | {n:,} | {1e6 * base:.2f} | {median(times[1]) / base:.1f} | {median(times[2]) / base:.1f} | {slow / base:,.0f} |"
            )
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help=f"write {OUTPUT.name} in docs")
    options = parser.parse_args()
    sections = [
        ("Simulated linear MDP", f"Exact values in the target environments, means over {DATA_SETS} data sets of {experiments.SAMPLES} runs; q: how often the goal is missed.", simulated_table()),
        ("American put", f"Exact values on the lattice from {START:.2f}, means over {DATA_SETS} data sets of 1,000 paths; the notebook's are means of test episodes over 3 replications.", put_table()),
        ("Run times", "Whole runs on the option's data, as multiples of R2PVI-TV's time; the last column is the released code's ratio on its authors' machine.", headline_table()),
        ("cvxpy inside", "R2PVI on the simulated MDP with exact counts, and the same with a convex program for each factor.", cvxpy_lines()),
        ("One factor", "As multiples of the penalised problem's closed form.", inner_table()),
    ]  # fmt: skip
    if options.write:
        head = (
            f"Made by `python -m benchmarks.r2pvi --write`: times are medians of {ROUNDS} rounds in turn. Python {platform.python_version()}, {os.cpu_count()} "
            f"cores, {platform.machine()}, numba {version('numba')}, cvxpy {version('cvxpy')}."
        )
        body = [line for title, text, table in sections for line in ("", f"## {title}", "", text, "", *table)]
        OUTPUT.write_text("\n".join(["# R2PVI: experiments and times", "", head, *body, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
