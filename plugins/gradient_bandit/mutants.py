"""Broken variants of the algorithm and of exact ascent, and the claims that must refute each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from theorylab.problems.bandit import Bandit

from . import plugin
from .algorithm import EXACT_STEP, Variant, measure
from .exact_gradient import DECAYING, FROZEN, NATURAL, NEGATED, NO_VALUE, ROOT, SHRUNK, TWICE_VALUE
from .precise import replay
from .simulate import MEAN, NEIGHBOUR
from .updates import (
    CLIPPED,
    FLIPPED,
    IMPORTANCE,
    IN_PLACE,
    NO_MAXIMUM,
    NO_ONE_MINUS,
    NOTHING_SUBTRACTED,
    PLUS_SIGN,
    PULLED_ONLY,
    SINGLE,
    STALE,
    TEMPERED,
)


def _mutant(name: str, description: str, variant: Variant, refuted_by: Sequence[str] = (), survives: str | None = None) -> None:
    def broken(bandit: Bandit, rngs: Sequence[np.random.Generator], *, horizon: int, step_size: float) -> dict[str, Any]:
        return measure(bandit, rngs, horizon, step_size, variant)

    plugin.mutant(
        name=name, refuted_by=refuted_by, survives=survives, description=description, precisely=partial(replay, variant=variant)
    )(broken)


BOTH = ["unbiased", "unbiased-with-baseline"]
SUMS = ["zero-sum", "zero-sum-with-baseline", "zero-sum-on-the-path"]
IDENTITIES = [*BOTH, "progress-identity", "second-moment", "second-moment-with-baseline"]

_mutant("plus-sign", "The arms not pulled gain eta x pi instead of losing it.", Variant(form=PLUS_SIGN), [*BOTH, *SUMS])
_mutant(
    "pulled-only", "Only the pulled arm moves, by eta x (1 - pi).", Variant(form=PULLED_ONLY),
    [*BOTH, *SUMS, "second-moment", "second-moment-with-baseline"],
)  # fmt: skip
_mutant(
    "no-one-minus", "The pulled arm moves by eta x instead of eta x (1 - pi).", Variant(form=NO_ONE_MINUS),
    [*IDENTITIES, *SUMS, "step-norm", "noise-sharp", "weak-exploration", "two-arm-odds", "two-arm-inverse-odds"],
)  # fmt: skip
_mutant(
    "nothing-subtracted", "The pulled arm moves by eta x, the others not at all.", Variant(form=NOTHING_SUBTRACTED),
    [*IDENTITIES, *SUMS, "step-norm", "noise-sharp"],
)  # fmt: skip
_mutant(
    "importance-weighted", "The reward is divided by the probability of the arm: natural gradient.", Variant(form=IMPORTANCE),
    ["unbiased", "second-moment", "step-norm", "noise", "growth", "growth-five", "growth-sqrt", "growth-with-baseline",
     "smooth-iterates", "smooth-iterates-larger-step"],
)  # fmt: skip
_mutant(
    "sign-flipped", "The reward's sign is flipped.", Variant(form=FLIPPED),
    ["unbiased", "progress-identity", "progress", "progress-larger-step", "quadratic-recursion", "best-logit-supermartingale", "two-arm-inverse-odds", "gap-falls-on-average", "best-logit-floor",
     "best-logit-floor-with-baseline", "last-iterate-from-regret", "rate-from-the-first-gap"],
)  # fmt: skip
_mutant(
    "rewards-clipped", "Rewards below 0 count as 0.", Variant(form=CLIPPED),
    ["unbiased", "second-moment", "progress-identity", "best-logit-supermartingale"],
)  # fmt: skip
_mutant(
    "tempered-policy",
    "The update uses softmax(theta / 2).",
    Variant(form=TEMPERED),
    ["unbiased", "second-moment", "progress-identity"],
)
_mutant("stale-policy", "The update uses the policy of one pull before.", Variant(form=STALE), ["unbiased", "second-moment"])
_mutant("in-place", "The policy is recomputed while the logits are being updated.", Variant(form=IN_PLACE), ["zero-sum"])
_mutant("single-precision", "The policy is computed in single precision.", Variant(form=SINGLE), ["unbiased", "shift-invariant"])
_mutant(
    "no-maximum", "The exponentials are taken without subtracting the maximum.", Variant(form=NO_MAXIMUM), ["shift-invariant"]
)
_mutant(
    "uniform-exploration", "A tenth of the pulls are uniform; the update does not know.", Variant(mix=0.1),
    ["unbiased", "progress-identity", "arms-follow-the-policy"],
)  # fmt: skip
_mutant(
    "scaled-uniform",
    "The uniform is multiplied by 1.02 before it chooses an arm.",
    Variant(scale=1.02),
    ["arms-follow-the-policy"],
)
_mutant(
    "baseline-contains-reward", "The running mean contains the reward it is compared with.", Variant(contains=True),
    ["unbiased-with-baseline", "second-moment-with-baseline"],
)  # fmt: skip
_mutant(
    "step-doubled", "The step size is twice the one declared.", Variant(faster=2.0),
    ["unbiased", "second-moment", "progress-identity", "step-norm", "noise-sharp"],
)  # fmt: skip
_mutant("step-decays", "The step size falls like 1 / sqrt(t).", Variant(decays=True), ["two-arm-regret", "progress-martingale"])
_mutant("mean-rewards", "Rewards are replaced by their means.", Variant(pays=MEAN), ["rewards-follow-their-laws"])
_mutant("neighbours-rewards", "Rewards come from the next arm.", Variant(pays=NEIGHBOUR), ["rewards-follow-their-means"])
_mutant(
    "other-stream", "Pulls are chosen with 1 - u in place of u.", Variant(scale=0.0),
    survives="1 - u is as uniform as u: the same algorithm on another stream.",
)  # fmt: skip
_mutant("exact-no-value", "Exact ascent moves along pi r instead of pi (r - f).", Variant(exact=NO_VALUE), ["exact-zero-sum"])
_mutant(
    "exact-natural", "Exact ascent moves along r - f.", Variant(exact=NATURAL),
    ["exact-zero-sum", "exact-lower-bound", "exact-lower-bound-explicit"],
)  # fmt: skip
_mutant("exact-root", "Exact ascent moves along sqrt(pi) (r - f).", Variant(exact=ROOT), ["exact-lower-bound-explicit"])
_mutant(
    "exact-twice-value", "Exact ascent moves along pi (r - 2 f).", Variant(exact=TWICE_VALUE), ["exact-zero-sum", "exact-rate"]
)
_mutant(
    "exact-negated", "Exact descent.", Variant(exact=NEGATED),
    ["exact-monotone", "exact-best-arm-only-gains", "exact-uniform-rate", "exact-uniform-regret"],
)  # fmt: skip
_mutant(
    "exact-decaying", "The step of exact ascent falls like 1 / t.", Variant(exact=DECAYING), ["exact-rate", "exact-uniform-rate"]
)
_mutant(
    "exact-step-thirty-times", "Exact ascent takes steps of 12 instead of 2/5.", Variant(exact_step=30 * EXACT_STEP),
    ["exact-lower-bound-explicit"],
)  # fmt: skip
_mutant("mdp-occupancy-not-normalised", "The policy gradient lacks 1 / (1 - discount).", Variant(mdp=SHRUNK), ["mdp-lojasiewicz"])
_mutant("mdp-negated", "The policy gradient's sign is flipped.", Variant(mdp=NEGATED), ["mdp-smoothness"])
_mutant("mdp-frozen", "The policy never moves.", Variant(mdp=FROZEN), ["mdp-rate"])
_mutant(
    "gradient-of-neighbour", "The checks use the gradient of the neighbouring arm's means.", Variant(oracle="neighbour"),
    ["unbiased", "smooth-iterates", "smooth-iterates-larger-step", "smooth-iterates-any-step"],
)  # fmt: skip
_mutant(
    "likeliest-for-best", "The checks take the probability of the likeliest arm for that of the best.", Variant(oracle="likeliest"),
    ["lojasiewicz", "lojasiewicz-sharp"],
)  # fmt: skip
_mutant("hessian-without-value", "The checks leave f out of the Hessian.", Variant(oracle="no-value"), ["hessian"])
_mutant("rewards-unscaled", "The checks do not bring rewards to [0, 1].", Variant(oracle="unscaled"), ["exact-smoothness"])
