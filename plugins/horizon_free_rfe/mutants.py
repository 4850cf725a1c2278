"""Broken explorers, plans and baselines, and the claims that must refute each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from theorylab.problems.linear_mixture import LinearMixture

from . import exploring, plugin
from .algorithm import measure
from .baselines import Flaws
from .exploring import Rules
from .runs import Variant


def _mutant(
    name: str, description: str, variant: Variant, refuted_by: Sequence[str] = (), survives: str | None = None, *, peeks: bool = False
) -> None:  # fmt: skip
    def broken(mixture: LinearMixture, rng: np.random.Generator, *, episodes: int, scale: float) -> dict[str, Any]:
        return measure(mixture, rng, episodes, scale, variant, peeks=peeks)

    plugin.mutant(name=name, refuted_by=refuted_by, survives=survives, description=description)(broken)


def _rules(**changes: Any) -> Variant:
    return Variant(rules=Rules(**changes))


CONFIDENT, OPTIMISM, CERTIFIED, COVERED = (
    "practical-sets-hold",
    "values-are-optimistic",
    "certificates-hold",
    "doubt-covers-uncertainty",
)
PROVED = "confidence-sets-hold"
SHARED, CHAINED = "all-rewards-share-the-average", "chains-are-explored"

_mutant(
    "raw-variance",
    "Weights are the estimated variances, without their errors and floors.",
    _rules(weights=exploring.RAW),
    [CONFIDENT],
)
_mutant(
    "own-value",
    "The value of the state itself is taken for the next one's.",
    _rules(current=True),
    [CONFIDENT],
)
_mutant("unweighted-targets", "Targets are added without their weights.", _rules(unweighted=True), [CONFIDENT])
_mutant("swapped-centre", "Plans take one series' centre with the other one's ellipsoid.", _rules(swapped=True), [OPTIMISM])
_mutant("pessimist", "The bonus is taken off.", _rules(bonus=-1.0), [OPTIMISM])
_mutant("no-bonus", "Plans have no bonus.", _rules(bonus=0.0), [OPTIMISM])
_mutant("doubt-without-bonus", "W does not count its own errors.", _rules(cover=0.0), [COVERED])
_mutant("doubt-without-uncertainty", "W leaves out the uncertainty u.", _rules(doubt=0.0), [COVERED, CERTIFIED])
_mutant("unclipped", "Values are not kept in [0, 1].", _rules(clipped=False), ["values-are-at-most-one"])
_mutant("constant-variance", "Every variance is 0.001.", _rules(weights=exploring.CONSTANT), [CONFIDENT])
_mutant(
    "variance-without-square",
    "E V^2 - E V in the place of E V^2 - (E V)^2.",
    _rules(weights=exploring.NO_SQUARE),
    ["variances-are-estimated"],
)
_mutant(
    "unit-weights",
    "Every variance is 1: the horizon comes back.",
    _rules(weights=exploring.UNIT),
    ["four-times-the-horizon-costs-little"],
)
_mutant(
    "explore-the-known", "The reward with the smallest W is explored for.", _rules(chosen=exploring.SMALLEST), [SHARED, CHAINED]
)
_mutant("explore-the-first", "The first reward is explored for, always.", _rules(chosen=exploring.FIRST), [SHARED, CHAINED])
_mutant("wander", "Policies are drawn at random.", _rules(chosen=exploring.RANDOM), [CHAINED])
_mutant("peeks", "The learner knows the signs of the hard family.", Variant(), ["nobody-does-better-in-many-tries"], peeks=True)
_mutant("three-moments", "Three moments, however many the theorem asks for.", Variant(moments=3), ["moments-are-enough"])
_mutant(
    "radius-too-small", "The radius is a twentieth too small, as it is where the failure probability of all events is given to each.",
    Variant(floors=lambda c: replace(c, radii=c.radii * 0.95)), ["radius-is-as-stated"],
)  # fmt: skip
_mutant(
    "no-gamma",
    "No floor for directions that are new.",
    Variant(floors=lambda c: replace(c, gamma=0.0)),
    ["weights-are-as-stated"],
)
_mutant(
    "lazy",
    "New plans only when episodes have grown by a tenth: certificates hold, but sums no longer split.",
    Variant(replan=1.1),
    ["doubt-splits"],
)

_mutant("baseline-pessimist", "The baseline's bonus is taken off.", Variant(flaws=Flaws(bonus=-1.0)), ["baseline-is-optimistic"])
_mutant(
    "baseline-uncapped",
    "The baseline's values may leave [0, H].",
    Variant(flaws=Flaws(capped=False)),
    ["baseline-plans-are-good"],
)
_mutant("baseline-own-value", "The baseline regresses on the value of the state itself.", Variant(flaws=Flaws(shifted=True)), [
    "baseline-sets-hold", "weighted-baseline-sets-hold",
])  # fmt: skip
