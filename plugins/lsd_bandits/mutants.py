"""Broken planners, relaxations and learners, and the claims that must refute each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from theorylab.problems.record import Array
from theorylab.problems.switch_bandit import SwitchBandit
from theorylab.solvers import switching
from theorylab.solvers.switching import LOWEST, Relaxation, all_draws, relaxation

from . import plugin
from .algorithm import learning_measures, string_measures
from .planning import Variant, exact_measures


def _mutant(name: str, description: str, variant: Variant, refuted_by: Sequence[str] = (), survives: str | None = None) -> None:
    def broken(bandit: SwitchBandit, rng: np.random.Generator, *, rounds: int) -> dict[str, Any]:
        exact = exact_measures(bandit, variant) | string_measures(bandit, rng)
        return exact if variant.label == 0 else learning_measures(bandit, rng, rounds, variant)

    plugin.mutant(name=name, refuted_by=refuted_by, survives=survives, description=description)(broken)


def revalued(table: Array, shift: int, first: bool) -> Relaxation:
    """A relaxation that reads the wrong state: the first play of a run as the second, or every later one as the next."""
    m = (table.shape[1] - 1) // 2
    reward = np.zeros((len(table), m * m + 1))
    for i, mu in enumerate(table):
        for c, (r, s) in enumerate(switching.cycles(m)):
            if r == 0:
                reward[i, c] = mu[0]
            else:
                reward[i, c] = mu[m - 1] if first else mu[r + m]
                reward[i, c] += sum(mu[max(m - j - shift, 0)] for j in range(1, s))
    return relaxation(table, reward=reward)


def spread_out(table: Array) -> Relaxation:
    """A solution inside: a little of every cycle is mixed in."""
    found, m = relaxation(table), (table.shape[1] - 1) // 2
    catalogue = switching.cycles(m)
    little = np.full_like(found.rate, 1.0) / (len(table) * catalogue.sum())
    rate = 0.99 * found.rate + 0.01 * little
    return Relaxation(float((switching.rewards(table) * rate).sum()), rate)


SHARE, FINITE, OCCUPATIONS, DUAL = (
    "planner-earns-its-share",
    "planner-earns-its-share-in-finite-time",
    "cycles-are-occupations",
    "cycles-have-a-dual-in-one-price",
)
BEATEN, OPTIMUM = "no-policy-beats-the-relaxation", "optimum-is-below-the-relaxation"

_mutant("offsets-zero", "All arms begin their cycles together.", Variant(draws=partial(all_draws, offsets=False)), [SHARE])
_mutant(
    "drawn-by-rate",
    "Cycles are drawn with their rate, not with length times rate.",
    Variant(draws=partial(all_draws, by_rate=True)),
    [SHARE, FINITE],
)
_mutant("rests-too-short", "Every rest is a round shorter than planned.", Variant(shorten=1), [SHARE, FINITE])
_mutant("lowest-arm", "Of the arms whose turn it is the first one is played.", Variant(rule=LOWEST), [SHARE])
_mutant(
    "filler",
    "The best arm is played where none has its turn.",
    Variant(filler=True),
    ["actual-states-dominate-virtual-ones", SHARE],
)
_mutant(
    "length-too-long", "Cycles count as a round longer.", Variant(relax=partial(relaxation, length_error=1)), [OCCUPATIONS, DUAL, OPTIMUM, BEATEN],
)  # fmt: skip
_mutant(
    "length-too-short",
    "Cycles count as a round shorter.",
    Variant(relax=partial(relaxation, length_error=-1)),
    [OCCUPATIONS, DUAL],
)
_mutant(
    "no-capacity",
    "Any number of arms may be played in a round.",
    Variant(relax=partial(relaxation, with_capacity=False)),
    [OCCUPATIONS, DUAL],
)
_mutant("no-arm-rows", "Cycles of an arm may overlap.", Variant(relax=partial(relaxation, with_arms=False)), [OCCUPATIONS, DUAL])
_mutant(
    "first-play-misread",
    "The first play of a run pays as the second.",
    Variant(relax=partial(revalued, shift=0, first=True)),
    [OCCUPATIONS, DUAL, OPTIMUM],
)
_mutant(
    "satiation-shifted",
    "Later plays pay as the ones after them.",
    Variant(relax=partial(revalued, shift=1, first=False)),
    [OCCUPATIONS, DUAL],
)
_mutant("not-a-vertex", "A little of every cycle is mixed in.", Variant(relax=spread_out), ["relaxation-is-sparse", OCCUPATIONS])
_mutant("thinned-by-half", "RunPlanner keeps half of the arms.", Variant(beta=0.5), ["run-planner-thins-by-a-quarter"])
_mutant("no-thinning", "RunPlanner keeps every arm.", Variant(beta=1.0), ["run-planner-earns-an-eighth-in-the-long-run"])
_mutant(
    "one-coin",
    "One coin decides for all arms.",
    Variant(coins=False),
    ["run-planner-earns-an-eighth-in-the-long-run", "run-planner-earns-an-eighth"],
)
_mutant("rest-mislabelled", "What was seen in a state is taken for the next one.", Variant(label=1), ["exploration-is-accurate"])
_mutant(
    "blocks-assume-rest",
    "First plays of a block count as if the arm were fully rested.",
    Variant(assume=True),
    ["blocks-are-below-cycles"],
)
_mutant("blocks-never-idle", "Strings play an arm in every round.", Variant(idle=False), ["short-cycles-are-nearly-optimal"])
_mutant(
    "blocks-unwarmed", "The first repetition is taken for the lasting one.", Variant(warmed=False), ["no-cycle-beats-the-optimum"]
)
_mutant(
    "actual-payoffs", "Arms are compared by their actual payoffs.", Variant(rule=switching.ACTUAL),
    survives="it is a rule with the same guarantee, and is claimed as such",
)  # fmt: skip
