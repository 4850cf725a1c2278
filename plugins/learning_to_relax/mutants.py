"""Broken bounds and learners, and the claims that must refute each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import plugin
from .algorithm import Variant, measure
from .instances import Tuning


def _mutant(name: str, description: str, variant: Variant, refuted_by: Sequence[str]) -> None:
    def broken(tuning: Tuning, rng: np.random.Generator) -> dict[str, Any]:
        return measure(tuning, rng, variant)

    plugin.mutant(name=name, refuted_by=refuted_by, description=description)(broken)


_mutant("no-transient", "The transient growth of powers is ignored.", Variant(transient=False), ["iterations-are-bounded"])
_mutant("unweighted", "Losses are not divided by probabilities.", Variant(weighted=False), ["regret-with-the-right-rate"])
_mutant(
    "gains",
    "Losses are taken for gains.",
    Variant(sign=-1.0),
    ["regret-with-the-right-rate", "regret-at-any-time"],
)
_mutant("one-newton-step", "The normaliser gets one step.", Variant(steps=1), ["probabilities-sum-to-one"])
_mutant("rate-doubled", "Twice the rate.", Variant(rate=2.0 * 8.0**0.5), ["probabilities-are-regularised"])
