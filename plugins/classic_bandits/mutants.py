"""Broken algorithms, and the claims that must refute each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import plugin
from .algorithm import Variant, measure
from .instances import Means


def _mutant(name: str, description: str, variant: Variant, refuted_by: Sequence[str] = (), survives: str | None = None) -> None:
    def broken(bandit: Means, rng: np.random.Generator, *, rounds: int) -> dict[str, Any]:
        return measure(bandit, rng, rounds, variant)

    plugin.mutant(name=name, refuted_by=refuted_by, survives=survives, description=description)(broken)


_mutant(
    "pessimistic",
    "The radius is subtracted.",
    Variant(radius=-1.0),
    ["clean-ucb-without-gaps", "clean-ucb-with-gaps", "clean-elimination"],
)
_mutant("greedy", "No radius.", Variant(radius=0.0), ["clean-ucb-with-gaps"])
_mutant("radius-by-round", "The radius shrinks with the round.", Variant(by_round=True), ["clean-ucb-with-gaps"])
_mutant("radius-smaller", "A tenth less of the radius.", Variant(radius=0.9), ["arms-are-chosen-by-their-indices"])
_mutant("radius-tenfold", "Ten times the radius.", Variant(radius=10.0), ["clean-ucb-with-gaps"])
_mutant("commits-to-the-worst", "Explore-first ends with the worst arm.", Variant(commits=-1.0), ["clean-explore-first"])
_mutant("rewards-raised", "Every reward is recorded 0.3 too high.", Variant(bonus=0.3), ["means-are-known"])
_mutant("exp3-unweighted", "Losses are not divided by probabilities.", Variant(weighted=False), ["exponential-weights-lemma"])
_mutant("exp3-gains", "Losses are taken for gains.", Variant(sign=-1.0), ["exponential-weights-lemma"])
_mutant(
    "stubborn-prior", "Thompson sampling believes in 1/2 as if it had seen 2,000 pulls.", Variant(prior=1000.0),
    survives="the bound on its mean regret takes some hundred seeds to refute",
)  # fmt: skip
