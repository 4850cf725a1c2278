"""Broken learners, and the claims that must refute each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import plugin
from .algorithm import Variant, measure
from .instances import DynamicalBandit


def _mutant(name: str, description: str, variant: Variant, refuted_by: Sequence[str]) -> None:
    def broken(bandit: DynamicalBandit, rng: np.random.Generator, *, rounds: int) -> dict[str, Any]:
        return measure(bandit, rng, rounds, variant)

    plugin.mutant(name=name, refuted_by=refuted_by, description=description)(broken)


_mutant(
    "epochs-of-one-round",
    "Every epoch is one round: a plain linear bandit.",
    Variant(length=0.0),
    ["confidence-for-actions-in-turn"],
)
_mutant(
    "noise-forgotten",
    "The confidence radius leaves the noise out.",
    Variant(noiseless=True),
    ["confidence-with-epochs-rounded-up"],
)
_mutant(
    "effects-forgotten",
    "What arrives later is not counted.",
    Variant(lagged=False),
    ["rewards-add-up-by-action", "constant-actions-are-nearly-optimal"],
)
_mutant("forgets-too-fast", "Transients are bounded with 1 / (1 - rho).", Variant(power=1), ["transients-are-bounded"])
_mutant(
    "every-round",
    "The regression takes every round of an epoch, not the last one.",
    Variant(every=True),
    ["confidence-for-actions-in-turn"],
)
_mutant("epochs-a-little-short", "Epochs are made for a radius a tenth smaller.", Variant(length=0.9), ["epochs-are-long-enough"])
