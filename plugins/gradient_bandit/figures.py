"""Learning curves with their bounds, and the published experiments again."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from theorylab.picture import Curve, Panel, Picture, mean_curve, quantile_curve
from theorylab.problems.bandit import Bandit
from theorylab.problems.record import Array

from . import plugin
from .algorithm import Arms, Trace, Variant, checkpoints, curvature, log_odds, log_policy, theorem_step, tuned_step
from .instances import TIE, uniform_start

Streams = Sequence[np.random.Generator]

BAND = "Bands hold the mean at each point with 95 % confidence, whatever the law of the runs."


def _runs(bandit: Bandit, rngs: Streams, eta: float, points: np.ndarray, with_baseline: bool = False) -> list[Trace]:
    arms = Arms.of(bandit)
    return [arms.simulate(rng, eta, points, Variant(), with_baseline) for rng in rngs]


def _gaps(traces: Sequence[Trace]) -> Array:
    return np.array([trace.gap for trace in traces])


def _regrets(traces: Sequence[Trace]) -> Array:
    return np.array([trace.regret for trace in traces])


def two_arm_bound(bandit: Bandit, eta: float, t: Array) -> Array | None:
    """Theorem 1 for two arms, or None where it says nothing."""
    R, gap = float(bandit.reward_bound or 1.0), bandit.best_gap
    left = gap - eta * R * R * curvature(eta * R)
    if bandit.arm_count != 2 or left <= 0.0 or not uniform_start(bandit):
        return None
    return np.asarray(np.log1p(4.0 * eta * gap * t) / (2.0 * eta) + gap / (2.0 * eta * left))


@plugin.figure(on=("two-arms", "ten-arms"), fits_any=True)
def learning_curves(bandit: Bandit, rngs: Streams, label: str, *, horizon: int, step_size: float) -> list[Picture]:
    """Instantaneous and cumulative regret at three step sizes, next to the bounds."""
    points = checkpoints(horizon)
    t = points.astype(np.float64)
    R, gap, top = float(bandit.reward_bound or 1.0), bandit.best_gap, bandit.largest_gap
    eta = tuned_step(bandit, step_size)
    runs = {f"eta = {eta:.3g}": _runs(bandit, rngs, eta, points)}
    runs[f"eta = {eta:.3g}, running mean as baseline"] = _runs(bandit, rngs, eta, points, with_baseline=True)
    if bandit.smallest_gap > TIE * R:
        slow = theorem_step(bandit)
        runs[f"eta = {slow:.3g}, the convergence theorem's"] = _runs(bandit, rngs, slow, points)
    assert bandit.start is not None
    losses = [mean_curve(name, t, _gaps(traces), 0.0, top) for name, traces in runs.items()]
    regrets = [mean_curve(name, t, _regrets(traces), 0.0, top * t) for name, traces in runs.items()]
    spread = [quantile_curve(name, t, _regrets(traces)) for name, traces in runs.items()]
    says_from = None
    if gap > TIE * R:
        odds = math.exp(log_odds(bandit.start, bandit.best_arm))
        c = 2.0 * math.expm1(2.0 * eta * R)
        losses.append(_bound("no algorithm of this kind can be below", t, gap / (1.0 + odds + c * (t - 1.0))))
        regrets.append(_bound("lower bound", t, gap / c * np.log1p(c * t / (1.0 + odds))))
    bound = two_arm_bound(bandit, eta, t) if gap > TIE * R else None
    if bound is not None:
        telling = bound < gap * t
        says_from = float(t[telling][0]) if telling.any() else float(t[-1])
        regrets.append(_bound("Theorem 1 for two arms", t, bound))
    return [
        Picture(
            f"learning-curves-{label.removesuffix('.csv')}",
            f"Gradient bandit on {label}: {len(rngs)} runs",
            (
                Panel("Regret of the next pull", "pull t", "r* - f", tuple(losses), log_x=True, log_y=True),
                Panel(
                    "Regret so far, on average", "pulls T", "regret", tuple(regrets), log_x=True, log_y=True, says_from=says_from
                ),
                Panel(
                    "Regret so far, of the median run and of 80 % of the runs",
                    "pulls T",
                    "regret",
                    tuple(spread),
                    log_x=True,
                    log_y=True,
                ),
            ),
            f"Bounds are those for the first step size. In the first two: {BAND}",
        )
    ]


def _bound(label: str, x: Array, y: Array) -> Curve:
    return Curve(label, tuple(x.tolist()), tuple(y.tolist()), role="bound")


@plugin.figure(on=("four-arms",))
def arbitrary_steps(bandit: Bandit, rngs: Streams, label: str, *, horizon: int, step_size: float) -> list[Picture]:
    """Four arms, eta in {1, 10, 100, 1000}, ten runs each: convergence for any step size, after plateaus of any length."""
    points = checkpoints(10 * horizon)
    panels = []
    for eta in (1.0, 10.0, 100.0, 1000.0):
        traces = _runs(bandit, rngs[:10], eta, points)
        curves = tuple(
            Curve("one run", tuple(points.tolist()), tuple(np.maximum(trace.gap, 1e-16).tolist()), role="run") for trace in traces
        )
        panels.append(Panel(f"eta = {eta:g}", "pull t", "r* - f", curves, log_x=True, log_y=True))
    return [
        Picture(
            "arbitrary-steps",
            "Any constant step size converges, but not on any horizon (four arms)",
            tuple(panels),
            'The setting of Figure 1 of "Small steps no more" (arXiv 2502.07141) on arms of our own; gaps below 1e-16 are drawn there.',
        )
    ]


@plugin.figure(on=("two-arms-deterministic",))
def regret_slopes(bandit: Bandit, rngs: Streams, label: str, *, horizon: int, step_size: float) -> list[Picture]:
    """Two arms with means 0 and -1/4: the regret grows like log(T) / (2 eta)."""
    points = checkpoints(10 * horizon)
    t = points.astype(np.float64)
    curves = []
    for eta in (0.05, 0.1, 0.2):
        values = _regrets(_runs(bandit, rngs, eta, points))
        curves.append(mean_curve(f"eta = {eta:g}", t, values, 0.0, bandit.largest_gap * t))
        late = t >= t[-1] / 100.0
        guide = values.mean(axis=0)[-1] + np.log(t[late] / t[-1]) / (2.0 * eta)
        curves.append(Curve("slope 1 / (2 eta)", tuple(t[late].tolist()), tuple(guide.tolist()), role="guide"))
    panel = Panel("Means 0 and -1/4, deterministic rewards", "pulls T", "regret", tuple(curves), log_x=True)
    source = (
        'Asymptotic tightness of the two-arm bound, as in "Does Stochastic Gradient really succeed for Bandits?" (NeurIPS 2025).'
    )
    return [Picture("regret-slopes", "Regret against log T", (panel,), f"{source} {BAND}")]


@plugin.figure(on=("five-arms", "ten-arms"))
def regret_by_step(bandit: Bandit, rngs: Streams, label: str, *, horizon: int, step_size: float) -> list[Picture]:
    """Regret over time for step sizes below and above the threshold at which runs get stuck."""
    points = checkpoints(5 * horizon if label == "five-arms" else 2 * horizon)
    t = points.astype(np.float64)
    panels, stuck = [], []
    curves = []
    for eta in (0.02, 0.05, 0.1, 0.2):
        traces = _runs(bandit, rngs, eta, points)
        curves.append(mean_curve(f"eta = {eta:g}", t, _regrets(traces), 0.0, bandit.largest_gap * t))
        shares = np.array([np.exp(log_policy(trace.theta)[:, bandit.best_arm]) < 0.5 for trace in traces]).mean(axis=0)
        stuck.append(Curve(f"eta = {eta:g}", tuple(t.tolist()), tuple(shares.tolist())))
    panels.append(Panel("Regret", "pulls T", "regret", tuple(curves), log_x=True, log_y=True))
    panels.append(Panel("Runs that do not favour the best arm", "pull t", "share of runs", tuple(stuck), log_x=True))
    return [
        Picture(
            f"regret-by-step-{label}",
            f"Step sizes on {label}: small ones are slow, large ones get stuck",
            tuple(panels),
            f'An experiment of "Does Stochastic Gradient really succeed for Bandits?" (NeurIPS 2025), rewards +-1. {BAND}',
        )
    ]


@plugin.figure(on=("two-optimal-arms",))
def split_of_the_optimum(bandit: Bandit, rngs: Streams, label: str, *, horizon: int, step_size: float) -> list[Picture]:
    """Two optimal arms: their probabilities sum to one in the end, and how they share it is settled never."""
    points = checkpoints(10 * horizon)
    panels: list[Panel] = []
    for eta in (1.0, 10.0):
        traces = _runs(bandit, rngs[:10], eta, points)
        curves: list[Curve] = []
        for trace in traces:
            policy = np.exp(log_policy(trace.theta))
            for name, values in (("both optimal arms", policy[:, 0] + policy[:, 1]), ("the first of them", policy[:, 0])):
                curves.append(Curve(name, tuple(points.tolist()), tuple(values.tolist()), role="run"))
        panels.append(Panel(f"eta = {eta:g}", "pull t", "probability", tuple(curves), log_x=True))
    return [
        Picture(
            "two-optimal-arms",
            "Arms with means 0.2, 0.2 and -0.1: ten runs",
            tuple(panels),
            'An experiment of "REINFORCE Converges to Optimal Policies with Any Learning Rate" (2025).',
        )
    ]
