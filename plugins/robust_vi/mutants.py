"""Broken variants of the worst expectations, and the claims that must refute each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from theorylab.problems.mdp import MDP
from theorylab.solvers.robust import (
    CHI_BALL,
    CHI_PENALTY,
    KL_BALL,
    KL_PENALTY,
    LOW_TV_PENALTY,
    SIGNED_CHI_BALL,
    TV_BALL,
    TV_PENALTY,
    W1_BALL,
    W1_PENALTY,
)

from . import plugin
from .algorithm import Variant, measure


def _mutant(name: str, description: str, variant: Variant, refuted_by: Sequence[str]) -> None:
    def broken(mdp: MDP, rng: np.random.Generator, *, sweeps: int) -> dict[str, Any]:
        return measure(mdp, rng, sweeps, variant)

    plugin.mutant(name=name, refuted_by=refuted_by, description=description)(broken)


def scaled(factor: float, *kinds: int) -> Callable[[int, float], float]:
    """Radii or strengths of some kinds times a factor; a total variation radius stays at most 1."""

    def strength(kind: int, asked: float) -> float:
        changed = factor * asked if kind in kinds else asked
        return min(changed, 1.0) if kind == TV_BALL else changed

    return strength


def swapped(kind: int) -> int:
    """The KL penalty where the ball was asked for."""
    return KL_PENALTY if kind == KL_BALL else kind


def unsigned(kind: int) -> int:
    """The chi-squared ball without the condition that probabilities are nonnegative."""
    return SIGNED_CHI_BALL if kind == CHI_BALL else kind


def cut_low(kind: int) -> int:
    """The total variation penalty that forgets the smallest value."""
    return LOW_TV_PENALTY if kind == TV_PENALTY else kind


EXACT, CONVERGE = "closed-forms-are-exact", "sweeps-converge"
FEASIBLE, ATTAINS, WEAK, STRONG = (
    "worst-distribution-is-feasible", "worst-distribution-attains", "balls-are-above-their-lagrangians", "balls-are-their-best-lagrangian",
)  # fmt: skip

_mutant(
    "chi2-may-be-negative", "The chi-squared ball forgets that probabilities are nonnegative.", Variant(kind=unsigned),
    [EXACT, FEASIBLE, "worst-is-above-the-smallest", WEAK],
)  # fmt: skip
_mutant(
    "tv-radius-is-l1",
    "The radius is taken for l1, which is twice total variation.",
    Variant(strength=scaled(0.5, TV_BALL)),
    [EXACT, STRONG],
)
_mutant("tv-radius-doubled", "Twice the radius.", Variant(strength=scaled(2.0, TV_BALL)), [EXACT, FEASIBLE, WEAK])
_mutant("tv-penalty-doubled", "The penalty is on l1.", Variant(strength=scaled(2.0, TV_PENALTY)), [EXACT, ATTAINS, WEAK])
_mutant(
    "friend", "The best expectation in place of the worst.", Variant(sign=-1),
    [EXACT, "worst-is-below-the-mean", "kl-is-below-chi2", CONVERGE, "last-change-bounds-the-error", "nominal-case-is-no-worse"],
)  # fmt: skip
_mutant("kl-penalty-for-the-ball", "The KL penalty where the ball is asked for.", Variant(kind=swapped), [EXACT, STRONG, ATTAINS])
_mutant("kl-strength-inverted", "1 / strength in place of the strength.",
        Variant(strength=lambda kind, asked: 1.0 / asked if kind == KL_PENALTY else asked), [EXACT, ATTAINS, "kl-gap-is-small"])  # fmt: skip
_mutant(
    "chi2-with-half",
    "The divergence carries a factor 1/2.",
    Variant(strength=scaled(0.5, CHI_PENALTY)),
    [EXACT, ATTAINS, "chi2-gap-is-small"],
)
_mutant("chi2-ball-with-half", "The same for the ball.", Variant(strength=scaled(2.0, CHI_BALL)), [EXACT, FEASIBLE])
_mutant("w1-radius-doubled", "Twice the Wasserstein radius.", Variant(strength=scaled(2.0, W1_BALL)), [EXACT, WEAK])
_mutant("w1-penalty-halved", "Half the Wasserstein penalty.", Variant(strength=scaled(0.5, W1_PENALTY)), [EXACT, STRONG])
_mutant(
    "small-radius", "A fiftieth less radius for total variation, KL and chi-squared.", Variant(strength=scaled(0.98, TV_BALL, KL_BALL, CHI_BALL)), [EXACT],
)  # fmt: skip
_mutant(
    "discountless-kl", "KL values far too pessimistic: a thousandth of the strength.", Variant(strength=scaled(1e-3, KL_PENALTY)),
    [EXACT, "kl-gap-is-small", "last-change-bounds-the-error"],
)  # fmt: skip
_mutant(
    "tv-cut-low", "Values are cut at the strength, not at the strength above the smallest.", Variant(kind=cut_low),
    [EXACT, "worst-moves-with-shifts", "backup-moves-with-shifts", "tv-is-idle-beyond-the-range"],
)  # fmt: skip
_mutant(
    "next-action", "The action after the best one is taken.", Variant(action=lambda policy, actions: (policy + 1) % actions),
    ["greedy-policy-is-good"],
)  # fmt: skip
