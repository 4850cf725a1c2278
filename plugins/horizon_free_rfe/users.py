"""What owners of a model want to know: how well policies for rewards that come later do after exploring without any."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theorylab.plugin import Answer
from theorylab.problems.linear_mixture import LinearMixture, visiting_rewards
from theorylab.problems.record import Array
from theorylab.solvers.mixture import best_value, policy_value

from .exploring import Rules, plan
from .runs import Exploration, exploration

#: Episodes of exploration that are shown, at least, and by which factor they grow between plans.
EPISODES, REPLAN = 1_000, 1.1

#: Rows of the table of states.
MOST_ROWS = 12


@dataclass(frozen=True)
class Worth:
    """Of a policy for a reward, at the start, in the owner's units: the best possible value, its own, and the most it was known to lose."""

    best: float
    own: float
    promised: float


def blind_exploration(
    mixture: LinearMixture, episodes: int, scale: float, rng: np.random.Generator
) -> tuple[Exploration, list[int]]:
    """Exploration that knows none of the instance's rewards: it asks to be in each state at the end. And the states that can be reached."""
    transition = mixture.transition.reshape(mixture.state_count, mixture.action_count, -1)
    goals, reachable = visiting_rewards(transition, mixture.horizon, mixture.start)
    places = mixture.replace(rewards=goals, names=(), scales=(), lows=())
    return exploration(places, rng, episodes, scale=scale, replan=REPLAN), reachable


def planned_after(mixture: LinearMixture, found: Exploration, n: int) -> Worth:
    """Reward n of the instance, planned for after the exploration, and its policy's exact value."""
    H, S, d = mixture.horizon, mixture.state_count, mixture.dimension
    value, doubt, policy = np.empty((H + 1, S)), np.empty((H + 1, S)), np.zeros((H, S), dtype=np.int64)
    reward, radius = mixture.rewards[n], found.constants.radii[found.episodes]
    plan(mixture.sparse, reward, found.series, radius, Rules(), np.empty(d), value, doubt, policy, np.empty((H, S)))
    best, own, other = np.empty((H + 1, S)), np.empty((H + 1, S)), np.zeros((H, S), dtype=np.int64)
    best_value(mixture.transition, reward, best, other)
    policy_value(mixture.transition, reward, policy, own)
    scale, low, at = float(mixture.scales[n]), float(mixture.lows[n]) * H, mixture.start
    return Worth(low + scale * float(best[0, at]), low + scale * float(own[0, at]), scale * 2.0 * float(doubt[0, at]))


def met(found: Exploration) -> Array:
    """(S,) share of all steps that were spent in each state."""
    visits = found.tally.visits.sum(axis=1)
    return np.asarray(visits / visits.sum())


def answers(mixture: LinearMixture, episodes: int, scale: float) -> list[Answer]:
    """A table of rewards and a table of states."""
    found, reachable = blind_exploration(mixture, max(episodes, EPISODES), scale, np.random.default_rng(0))
    rows = []
    for n, name in enumerate(mixture.names):
        w = planned_after(mixture, found, n)
        rows.append((name, f"{w.best:.6g}", f"{w.own:.6g}", f"{max(w.best - w.own, 0.0):.3g}", f"{w.promised:.3g}"))
    distance = float(found.tally.distance.max())
    first = Answer(
        f"Rewards given after {found.episodes:,} episodes of {mixture.horizon} steps without any",
        ("reward", "best possible", "policy", "lost", "lost at most"),
        tuple(rows),
        f"Totals from {mixture.states[mixture.start]}. `Lost at most` is the certificate 2 W at {scale:g} of the theorem's radius, which is a practical choice and "
        f"no theorem: estimates were off by up to {distance:.2g} of that radius. {_weights(mixture)}",
    )
    share = met(found)
    order = sorted(reachable, key=lambda s: -share[s])
    shown = order[:MOST_ROWS]
    never = sum(share[s] == 0.0 for s in reachable)
    left = f" The {MOST_ROWS} most visited of them are shown." if len(order) > MOST_ROWS else ""
    second = Answer(
        "Where the exploration was", ("state", "share of steps"), tuple((mixture.states[s], f"{share[s]:.2%}") for s in shown),
        f"{len(reachable)} states can be reached, {never} of them were never met.{left}",
    )  # fmt: skip
    return [first, second]


def _weights(mixture: LinearMixture) -> str:
    """What was unknown."""
    d = mixture.dimension
    return f"{d} weight{'s' if d > 1 else ''} of the transition law {'were' if d > 1 else 'was'} unknown."
