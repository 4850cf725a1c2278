"""Broken steps and bounds, and the claims that must refute each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from . import plugin
from .algorithm import Variant, measure
from .instances import ProverTree


def _mutant(name: str, description: str, variant: Variant, refuted_by: Sequence[str]) -> None:
    def broken(tree: ProverTree, rng: np.random.Generator) -> dict[str, Any]:
        return measure(tree, rng, variant)

    plugin.mutant(name=name, refuted_by=refuted_by, description=description)(broken)


FIRST = "improvement-is-variance-and-alignment"

_mutant("alignment-subtracted", "The alignment with a minus, as the appendix ends.", Variant(aligned=-1.0), [FIRST])
_mutant(
    "provers-variance",
    "The prover's variance in place of the base policy's own (the printed theorem).",
    Variant(own=False),
    [FIRST],
)
_mutant("step-doubled", "The step is twice as large.", Variant(twice=2.0), [FIRST])
_mutant(
    "sign-of-the-proof",
    "The bound by the prover's advantages without its minus (the printed proof).",
    Variant(sign=1.0),
    ["improvement-by-the-prover"],
)
_mutant("all-of-k", "K tries count if all succeed.", Variant(worst=True), ["best-of-k-spreads", "best-of-k-is-aligned"])
_mutant("old-visits", "The old policy's visits.", Variant(visits=False), ["improvement-is-by-advantages"])
_mutant("spread-like-k", "Best-of-K multiplies variances by K at most.", Variant(power=1), ["best-of-k-spreads-at-most"])
