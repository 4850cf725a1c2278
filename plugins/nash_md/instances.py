"""Reference games, the declared distribution and the hypothesis strategy, users' files, and what their owners want to know."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from theorylab.plugin import Answer
from theorylab.problems.preference_families import preference_games, random_game
from theorylab.problems.preference_files import read_preference_game
from theorylab.problems.preference_game import PreferenceGame, from_reference

from . import plugin

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

ROCK_PAPER_SCISSORS = [[0.5, 1.0, 0.0], [0.0, 0.5, 1.0], [1.0, 0.0, 0.5]]
GAMES = Path(__file__).parent / "games"

plugin.sample(random_game)
plugin.reader(read_preference_game)


@plugin.instances
def games() -> SearchStrategy[PreferenceGame]:
    """Small games with readable numbers."""
    return preference_games(max_actions=4, max_prompts=2)


def cycle(win: float) -> list[list[float]]:
    """Three actions, each beating the next with the same probability."""
    return [[0.5, win, 1 - win], [1 - win, 0.5, win], [win, 1 - win, 0.5]]


def _shipped(file: str, tau: float) -> Callable[[], PreferenceGame]:
    return lambda: read_preference_game(GAMES / file).replace(tau=tau)


def _four_dice() -> PreferenceGame:
    """Four dice, each beating the next with probability 2/3: enumerated, not typed."""
    dice = np.array([[4, 4, 4, 4, 0, 0], [3] * 6, [6, 6, 2, 2, 2, 2], [5, 5, 5, 1, 1, 1]])
    wins = (dice[:, None, :, None] > dice[None, :, None, :]).mean(axis=(2, 3))
    ties = (dice[:, None, :, None] == dice[None, :, None, :]).mean(axis=(2, 3))
    return from_reference(wins + ties / 2, [0.4, 0.3, 0.2, 0.1], 0.1)


def _raters() -> PreferenceGame:
    """Three types of raters: the Bradley-Terry optimum jumps with the share of the first type, the equilibrium does not."""
    eps = 0.1
    p12, p02, p01 = 1 / 3 - eps / 4, 2 / 3 + eps / 4, 1 / 3 + eps / 2
    table = [[0.5, p01, p02], [1 - p01, 0.5, p12], [1 - p02, 1 - p12, 0.5]]
    return from_reference(table, [0.5, 0.3, 0.2], 0.05)


def _contextual() -> PreferenceGame:
    """Two prompts of unequal weight: one cyclic, one with a clear winner, each with its own reference."""
    winner = [[0.5, 0.8, 0.9], [0.2, 0.5, 0.6], [0.1, 0.4, 0.5]]
    return PreferenceGame(
        np.array([ROCK_PAPER_SCISSORS, winner]),
        np.log([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]),
        0.25,
        np.array([0.75, 0.25]),
    )


plugin.reference("rock-paper-scissors", lambda: from_reference(ROCK_PAPER_SCISSORS, [0.7, 0.2, 0.1], 0.5))
plugin.reference("rock-paper-scissors-low-tau", lambda: from_reference(ROCK_PAPER_SCISSORS, [0.7, 0.2, 0.1], 0.05))
plugin.reference("uniform-rock-paper-scissors", lambda: PreferenceGame(np.array(ROCK_PAPER_SCISSORS), None, 0.3))
plugin.reference("dice", lambda: from_reference(cycle(5 / 9), [0.6, 0.3, 0.1], 0.1))
plugin.reference("four-dice", _four_dice)
plugin.reference("noisy", lambda: from_reference([[0.5, 0.9, 0.6], [0.1, 0.5, 0.8], [0.4, 0.2, 0.5]], [0.2, 0.3, 0.5], 0.3))
plugin.reference("raters", _raters)
plugin.reference("two-actions", lambda: from_reference([[0.5, 0.9], [0.1, 0.5]], [0.25, 0.75], 0.5))
plugin.reference("late-start", lambda: from_reference([[0.5, 1.0], [0.0, 0.5]], [0.5, 0.5], 1.0))
plugin.reference("underdog", lambda: from_reference([[0.5, 1.0], [0.0, 0.5]], [1e-4, 1.0 - 1e-4], 0.1))
plugin.reference("contextual", _contextual)
plugin.reference("minneapolis-2021", _shipped("minneapolis-2021.csv", 0.01))
plugin.reference("language-models", _shipped("language-models.csv", 0.05))


@plugin.answer
def equilibrium_and_speed(game: PreferenceGame, *, steps: int, mixing: float) -> list[Answer]:
    """The equilibrium by label, what an opponent can gain, and the steps to a given divergence."""
    from theorylab.solvers import games
    from theorylab.solvers.programs import minimax_winner

    solution = games.regularised_equilibrium(game).log_policy
    assert game.log_reference is not None
    answers = []
    for x, prompt in enumerate(game.prompts):
        winner = minimax_winner(game.preference[x]).policy
        order = np.argsort(-solution[x], kind="stable")
        rows = tuple(
            (
                game.actions[y],
                float(np.exp(solution[x, y])),
                float(winner[y]),
                float(np.exp(game.log_reference[x, y])),
            )
            for y in order
        )
        suffix = f" at {prompt}" if len(game.prompts) > 1 else ""
        free = games.exploitability(game, solution)
        answers.append(
            Answer(
                f"Equilibrium{suffix} (tau = {game.tau:g})",
                ("action", "equilibrium", "without KL term", "reference"),
                rows,
                f"Exploitability of the equilibrium: an opponent free of any KL term wins {0.5 + free:.6f} of comparisons "
                f"({free:.3g} above 1/2){', averaged over prompts' if len(game.prompts) > 1 else ''}."
                if x == len(game.prompts) - 1
                else "",
            )
        )
    answers.append(_speed(game, np.asarray(solution)))
    return answers


def _speed(game: PreferenceGame, solution: np.ndarray) -> Answer:
    """Steps that Nash-MD takes to KL targets, beside the steps after which the theorem promises them."""
    from theorylab.solvers import games

    from .algorithm import Variant, theorem_rates

    assert game.log_reference is not None
    most = max(200, min(20_000, 40_000_000 // game.preference.size))
    trace = Variant().descend(game, game.log_reference, theorem_rates(most, game.tau), Variant().opponent)
    divergence = np.array([games.kl(game, solution, policy) for policy in trace.log_policies])
    # The KL is not monotone: "reached" means that it stays below from there on.
    rows = []
    for target in (1e-1, 1e-2, 1e-3, 1e-4, 1e-6):
        above = np.flatnonzero(divergence > target)
        first = 0 if above.size == 0 else int(above[-1]) + 1
        taken = str(first) if first <= most else f"more than {most}"
        promised, sharp = (math.ceil(c / (game.tau**2 * target)) - 1 for c in (8.0, 0.5))
        rows.append((f"{target:g}", taken, f"{max(promised, 1):,}", f"{max(sharp, 1):,}"))
    return Answer(
        "Steps until KL(equilibrium, policy) stays below a target",
        ("KL target (nats)", "Nash-MD takes", "Theorem 1 promises", "sharp form promises"),
        tuple(rows),
        f"Start: the reference policy; steps 2 / (tau (t + 2)); {most} steps were run.",
    )
