"""Episodes against the horizon, what is left unknown as episodes pass, and where the exploration was."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from theorylab.picture import Curve, Panel, Picture
from theorylab.problems.linear_mixture import LinearMixture
from theorylab.problems.record import Array

from . import plugin
from .algorithm import FAST, TARGET, stretched
from .baselines import ucrl_rfe
from .exploring import RANDOM, UNIT, Rules
from .runs import Variant, exploration, judged_episodes
from .users import EPISODES, blind_exploration, met

Streams = Sequence[np.random.Generator]

#: Horizons of the picture, runs for each, episodes after which nobody waits, and how large the baseline's radius is as a share of its own.
HORIZONS, BASELINE_HORIZONS, RUNS, MOST, BASELINE_SCALE = (10, 30, 100, 300), (3, 10, 30), 3, 40_000, 0.2

#: Episodes after which unit weights are no longer waited for.
MOST_UNIT = 8_000


def _needed(mixture: LinearMixture, horizon: int, rng: np.random.Generator, weights: int, most: int) -> float:
    found = exploration(
        stretched(mixture, horizon, rng), rng, most, scale=FAST, target=TARGET, replan=1.05, variant=Variant(Rules(weights=weights)), judging=False
    )  # fmt: skip
    return float(found.episodes) if found.episodes < most else np.nan


def _baseline(mixture: LinearMixture, horizon: int, rng: np.random.Generator) -> float:
    found = ucrl_rfe(stretched(mixture, horizon, rng), rng, MOST, scale=BASELINE_SCALE, target=TARGET / 2.0)
    return float(found.episodes) if found.episodes < MOST else np.nan


def _curve(label: str, horizons: Sequence[int], measured: Callable[[int, int], float]) -> Curve:
    """Means over runs, with the range of the runs as a band; where a run was broken off there is nothing."""
    values = np.array([[measured(H, i) for i in range(RUNS)] for H in horizons])
    kept = np.isfinite(values).all(axis=1)
    values, x = values[kept], tuple(float(H) for H, k in zip(horizons, kept, strict=True) if k)
    if len(x) > 1:
        label += f" (slope {np.polyfit(np.log(x), np.log(values.mean(axis=1)), 1)[0]:.2f})"
    return Curve(label, x, tuple(values.mean(axis=1)), tuple(values.min(axis=1)), tuple(values.max(axis=1)))


@plugin.figure(on=("rates",))
def episodes_against_horizon(mixture: LinearMixture, rngs: Streams, label: str, *, episodes: int, scale: float) -> list[Picture]:
    """Episodes to a fixed certificate: with the moment estimator's weights, with unit weights, and for UCRL-RFE."""
    from .exploring import HOME

    curves = (
        _curve("variance weights", HORIZONS, lambda H, i: _needed(mixture, H, np.random.default_rng((1, i)), HOME, MOST)),
        _curve("unit weights", HORIZONS, lambda H, i: _needed(mixture, H, np.random.default_rng((1, i)), UNIT, MOST_UNIT)),
        _curve("UCRL-RFE", BASELINE_HORIZONS, lambda H, i: _baseline(mixture, H, np.random.default_rng((1, i)))),
    )
    panel = Panel("episodes until every policy is known to lose little", "horizon", "episodes", curves, log_x=True, log_y=True)
    return [
        Picture(
            "episodes-against-horizon", "The cost of a longer horizon", (panel,),
            f"Four rewards that are spread evenly over the steps, totals of at most 1. Certificates of {TARGET:g} at {FAST:g} of the theorem's radius; UCRL-RFE at "
            f"{BASELINE_SCALE:g} of its own, until it is certain of half of the horizon: slopes can be compared, levels cannot. Bands are the range of {RUNS} runs.",
        )
    ]  # fmt: skip


@plugin.figure(on=("chain", "mixture"), fits_any=True)
def exploration_picture(mixture: LinearMixture, rngs: Streams, label: str, *, episodes: int, scale: float) -> list[Picture]:
    """What is left unknown as episodes pass, and where the exploration spends them, beside a random walk."""
    most = max(episodes, EPISODES)
    found = exploration(mixture, rngs[0], most, scale=scale)
    at = np.flatnonzero(judged_episodes(most)) + 1.0
    rows = min(len(at), len(found.tally.promised))
    promised = np.minimum.accumulate(found.tally.promised[:rows], axis=0)
    chosen = np.array([found.tally.promised[: k + 1].argmin(axis=0) for k in range(rows)])
    lost = np.take_along_axis(found.tally.loss[:rows], chosen, axis=0)
    x = tuple(at[:rows])
    left = Panel(
        "what policies lose, at most", "episodes", "total reward", (
            Curve("certificate, worst reward", x, tuple(promised.max(axis=1)), role="bound"),
            Curve("really lost, worst reward", x, tuple(lost.max(axis=1))),
        ), log_x=True,
    )  # fmt: skip
    blind, reachable = blind_exploration(mixture, EPISODES, scale, rngs[0])
    own = met(blind)[reachable]
    walk = exploration(mixture, rngs[0], EPISODES, scale=scale, replan=2.0, variant=Variant(Rules(chosen=RANDOM)), judging=False)
    random = met(walk)[reachable]
    order = np.argsort(-random, kind="stable")
    right = Panel(
        "where it was", "states, by how often a random walk meets them", "share of steps",
        (_steps("exploration", own[order]), _steps("random walk", random[order], guide=True)), log_y=True,
    )  # fmt: skip
    return [
        Picture(
            f"exploration-{label}", f"Exploration without rewards on {label}", (left, right),
            f"Left: certificates 2 W of the best plan so far, at {scale:g} of the theorem's radius, and what its policy loses. Right: {EPISODES:,} episodes that ask to be in "
            "each state at the end; what a random walk never meets lies to the right.",
        )
    ]  # fmt: skip


def _steps(label: str, share: Array, *, guide: bool = False) -> Curve:
    """A level for each state; below one visit in a million nothing is drawn."""
    x = tuple(edge for s in range(len(share)) for edge in (s - 0.5, s + 0.5))
    return Curve(label, x, tuple(max(float(v), 1e-6) for v in share for _ in range(2)), role="guide" if guide else "measured")
