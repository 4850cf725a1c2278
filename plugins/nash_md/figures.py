"""Paths of policies through the triangle of three actions, and the divergence from the equilibrium beside its bounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theorylab.picture import Curve, Panel, Picture, simplex_map
from theorylab.problems.preference_game import PreferenceGame
from theorylab.problems.record import Array
from theorylab.solvers import games
from theorylab.solvers.mirror_descent import MIXTURE, POLICY

from . import plugin
from .algorithm import Variant, stable_pull, theorem_rates

#: Points of a path that are drawn, closer together at its beginning.
MOST_POINTS = 200


def _shown(count: int) -> Array:
    """Iterates that are drawn."""
    return np.unique(np.concatenate([[0], np.geomspace(1, count - 1, MOST_POINTS).astype(np.int64)]))


def _path(label: str, log_policies: Array) -> Curve:
    """Probabilities of the second and third action."""
    policies = np.exp(log_policies[_shown(len(log_policies)), 0])
    return Curve(label, tuple(policies[:, 1].tolist()), tuple(policies[:, 2].tolist()))


def _place(label: str, log_policy: Array) -> Curve:
    """One policy."""
    policy = np.exp(log_policy[0])
    return Curve(label, (float(policy[1]),), (float(policy[2]),), role="mark" if label == "equilibrium" else "points")


@plugin.figure(on=("rock-paper-scissors", "rock-paper-scissors-low-tau", "dice", "noisy"), fits_any=True)
def paths(game: PreferenceGame, rngs: Sequence[np.random.Generator], label: str, *, steps: int, mixing: float) -> list[Picture]:
    """Nash-MD with the theorem's steps and with constant ones, beside self-play, which has the same constant steps."""
    assert game.log_reference is not None
    assert game.prompt_weights is not None
    solution = Variant().oracle.equilibrium(game)
    constant = np.full(steps, stable_pull(game.tau) / game.tau)
    start = game.log_reference
    traces = {
        "Nash-MD": Variant().descend(game, start, theorem_rates(steps, game.tau), MIXTURE).log_policies,
        "Nash-MD, constant steps": Variant().descend(game, start, constant, MIXTURE).log_policies,
        "self-play, constant steps": Variant().descend(game, start, constant, POLICY).log_policies,
    }
    t = np.arange(steps + 1.0)[_shown(steps + 1)][1:]
    curves = []
    for name, log_policies in traces.items():
        kl = np.array([games.kl(game, solution, log_policies[int(at)]) for at in t])
        curves.append(Curve(name, tuple(t.tolist()), tuple(np.maximum(kl, 1e-16).tolist())))
    for words, constant_of in (
        ("Theorem 1: 8 / (tau^2 (T + 1))", 8.0),
        ("with Hoeffding's constant: 1 / (2 tau^2 (T + 1))", 0.5),
    ):
        bound = constant_of / (game.tau**2 * (t + 1.0))
        curves.append(Curve(words, tuple(t.tolist()), tuple(bound.tolist()), role="bound"))
    panels = [Panel("KL(pi*, pi_T)", "steps T", "nats", tuple(curves), log_x=True, log_y=True)]
    if game.preference.shape[:2] == (1, 3):
        places = [_place("reference policy", start), _place("equilibrium", solution)]
        panels.insert(0, simplex_map("Where the policy goes", game.actions, [*map(_path, traces, traces.values()), *places]))
    return [
        Picture(
            f"paths-{label.removesuffix('.csv')}",
            f"Nash-MD on {label}: {steps} steps from the reference policy, tau = {game.tau:g}",
            tuple(panels),
            "Constant steps lead to the equilibrium of another game, near this one's; divergences below 1e-16 are drawn there.",
        )
    ]
