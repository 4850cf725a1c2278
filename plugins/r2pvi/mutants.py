"""Broken variants of the learners, and the claims that must refute each. Those marked so are in code that was published with a paper."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from theorylab.problems.linear_mdp import LinearMDP
from theorylab.solvers import offline, robust
from theorylab.solvers.drectangular import NOMINAL
from theorylab.solvers.offline import CHI, KL, MEAN, TV, TV_BALL, Rules, Visits

from . import plugin
from .algorithm import measure
from .judging import Variant
from .modelling import Planner, model_measures


def _mutant(name: str, description: str, variant: Variant, refuted_by: Sequence[str]) -> None:
    def broken(mdp: LinearMDP, rng: np.random.Generator, *, samples: int) -> dict[str, Any]:
        return measure(mdp, rng, samples, variant)

    plugin.mutant(name=name, refuted_by=refuted_by, description=description)(broken)


def _planner(name: str, description: str, planner: Planner, refuted_by: Sequence[str]) -> None:
    def broken(mdp: LinearMDP, rng: np.random.Generator, *, samples: int) -> dict[str, Any]:
        return model_measures(mdp, rng, planner)

    plugin.mutant(name=name, refuted_by=refuted_by, description=description)(broken)


def replaced(right: int, wrong: int) -> Callable[[int], int]:
    """One estimator in the place of another."""
    return lambda kind: wrong if kind == right else kind


def scaled(right: int, factor: float) -> Callable[[int, float], float]:
    """The price or radius of one estimator times a factor."""
    return lambda kind, strength: factor * strength if kind == right else strength


def inverted(kind: int, strength: float) -> float:
    """1 / strength for KL."""
    return 1.0 / strength if kind == KL else strength


def swapped(kind: int) -> int:
    """KL and chi-squared exchanged."""
    exchanged = {robust.KL_PENALTY: robust.CHI_PENALTY, robust.CHI_PENALTY: robust.KL_PENALTY}
    return exchanged.get(kind, kind)


def ruled(**changes: Any) -> Callable[[Rules], Rules]:
    """Other rules."""
    return lambda rules: rules._replace(**changes)


def shaped(shape: int) -> Callable[[Rules], Rules]:
    """Another shape of R2PVI's penalty; PEVI keeps its own."""
    return lambda rules: rules._replace(shape=shape) if rules.shape == offline.SUM else rules


def averaged(visits: Visits) -> Visits:
    """Counts divided by the number of runs."""
    return dataclasses.replace(visits, count=visits.count / visits.count[: visits.offsets[1]].sum())


def shifted(visits: Visits) -> Visits:
    """The last step's data are used at every step."""
    begin, end = int(visits.offsets[-2]), int(visits.offsets[-1])
    H, n = visits.horizon, end - begin
    return Visits(
        np.arange(H + 1) * n,
        np.tile(visits.pair[begin:end], H),
        np.tile(visits.successor[begin:end], H),
        np.tile(visits.count[begin:end], H),
    )


EXACT = "closed-forms-are-exact"
FORMULA, TV_COUNTS, KL_COUNTS, CHI_COUNTS = (
    "values-follow-the-formulas",
    "exact-counts-tv",
    "exact-counts-kl",
    "exact-counts-chi2",
)
BALL_COUNTS, MEAN_COUNTS = "exact-counts-ball", "exact-counts-mean"
HOPE, HOPE_PEVI = "small-errors-make-pessimists", "small-errors-make-pessimists-pevi"
ERRORS = {name: [f"errors-folds-{name}", f"errors-shared-{name}"] for name in ("tv", "kl", "chi2")}

# -- planning ---------------------------------------------------------------------------------------------------------------------------------

_planner(
    "price-doubled",
    "The adversary pays twice the price.",
    Planner(price=lambda price: 2.0 * price),
    [EXACT, "worst-factors-attain"],
)
_planner("price-cut", "The adversary pays a hundredth of the price.", Planner(price=lambda price: 0.01 * price), [
    EXACT, "worst-factors-attain", "kl-costs-little", "chi2-costs-little", "adversary-pays-at-most-the-range", "no-policy-is-better",
    "factors-are-less-conservative",
])  # fmt: skip
_planner("no-adversary", "The nominal model.", Planner(adversary=lambda kind: NOMINAL), [
    "other-factors-are-no-worse", "regularised-is-below-constrained", "total-variation-levels-values",
    "balls-shrink-the-range",
])  # fmt: skip
_planner(
    "kl-and-chi2-swapped", "One divergence in the place of the other.", Planner(adversary=swapped), ["kl-is-below-chi2", "worst-factors-attain"],
)  # fmt: skip
_planner("answers-inflated", "Worst expectations times 1.5.", Planner(answer=lambda nu: 1.5 * nu), [
    "backup-is-nonexpansive", "backup-moves-with-shifts",
])  # fmt: skip
_planner(
    "answers-turned",
    "Worst expectations with their sign turned.",
    Planner(answer=lambda nu: -nu),
    ["backup-is-monotone", "backup-moves-with-shifts"],
)
_planner("no-rewards", "Plans are made without rewards.", Planner(model=lambda model: model.replace(theta=0.0 * model.theta)), [
    "constrained-is-below-regularised", "worst-factors-attain", "no-policy-is-better",
])  # fmt: skip
_planner("full-rewards", "Plans are made for the largest rewards.", Planner(model=lambda model: model.replace(theta=0.0 * model.theta + 1.0)), [
    "adversaries-do-not-help", "worst-factors-attain",
])  # fmt: skip
_planner("known-rewards", "The learner of the lower bound sees rewards without noise.", Planner(knows=True), ["lower-bound"])

# -- total variation ------------------------------------------------------------------------------------------------------------------------

_mutant("tv-cut-from-below", "max(V, min V + strength) in place of min.", Variant(kind=replaced(TV, offline.TV_ABOVE)), [
    TV_COUNTS, FORMULA, *ERRORS["tv"], "suboptimality-folds-tv", "published-beta-tv",
])  # fmt: skip
_mutant("tv-half-strength", "Half the price.", Variant(strength=scaled(TV, 0.5)), [TV_COUNTS, FORMULA, "errors-folds-tv"])
_mutant(
    "tv-in-l1", "The price is on l1, which is twice total variation.", Variant(strength=scaled(TV, 2.0)), [TV_COUNTS, FORMULA]
)
_mutant(
    "tv-forgets-the-smallest", "Values are cut at the strength, not at the strength above the smallest.",
    Variant(kind=replaced(TV, offline.TV_LOW)), [TV_COUNTS, FORMULA],
)  # fmt: skip
_mutant("tv-no-adversary", "Values are not cut.", Variant(kind=replaced(TV, MEAN)), [TV_COUNTS, FORMULA, "errors-folds-tv"])
_mutant(
    "tv-sampled-smallest", "The smallest value is looked for among sampled next states only (published code).",
    Variant(rules=ruled(sampled=True)), [TV_COUNTS],
)  # fmt: skip

# -- Kullback-Leibler ------------------------------------------------------------------------------------------------------------------------

_mutant("kl-friend", "+ strength log E exp(+ V / strength).", Variant(kind=replaced(KL, offline.KL_UP)), [KL_COUNTS, FORMULA])
_mutant("kl-strength-inverted", "1 / strength in place of the strength.", Variant(strength=inverted), [KL_COUNTS, FORMULA])
_mutant(
    "kl-high-floor", "Means of exp(-V / strength) below exp(-1 / strength) are not believed.", Variant(rules=ruled(log_floor=1.0)),
    [KL_COUNTS, FORMULA],
)  # fmt: skip

# -- chi-squared -----------------------------------------------------------------------------------------------------------------------------

_mutant(
    "chi2-minimised", "The dual is minimised over cuts (published code of the simulated MDP).",
    Variant(kind=replaced(CHI, offline.CHI_LEAST)), [CHI_COUNTS, "chi2-dual-is-a-maximum", "errors-folds-chi2"],
)  # fmt: skip
_mutant("chi2-with-half", "1 / (8 strength) in the dual.", Variant(strength=scaled(CHI, 2.0)), [CHI_COUNTS])
_mutant(
    "chi2-uncut",
    "The dual without a cut.",
    Variant(kind=replaced(CHI, offline.CHI_UNCUT)),
    [CHI_COUNTS, "chi2-dual-is-a-maximum"],
)

# -- what all have in common -------------------------------------------------------------------------------------------------------------------

_mutant(
    "stale-values", "V_(h+2) in place of V_(h+1).", Variant(rules=ruled(lag=2)),
    [TV_COUNTS, KL_COUNTS, CHI_COUNTS, BALL_COUNTS, MEAN_COUNTS, FORMULA, "errors-folds-tv", "drpvi-errors"],
)  # fmt: skip
_mutant(
    "penalty-added", "The penalty is added.", Variant(rules=ruled(sign=1.0)), [HOPE, HOPE_PEVI, FORMULA],
)  # fmt: skip
_mutant("no-penalty", "beta = 0.", Variant(beta=lambda beta: 0.0 * beta), [HOPE, HOPE_PEVI, FORMULA])
_mutant(
    "penalty-in-l2", "sqrt(sum phi_i^2 (Lambda^(-1))_ii), which is smaller (published code).", Variant(rules=shaped(offline.ROOT)), [FORMULA],
)  # fmt: skip
_mutant(
    "penalty-mahalanobis", "PEVI's penalty in the place of R2PVI's.", Variant(rules=ruled(shape=offline.MAHALANOBIS)), [FORMULA]
)
_mutant(
    "small-ridge",
    "A regulariser of 0.1 (published code).",
    Variant(ridge=lambda ridge: 0.1 * ridge),
    [FORMULA, "chi2-dual-is-attained"],
)
_mutant(
    "no-lower-clip",
    "Values may fall below 0 (published code).",
    Variant(rules=ruled(floors=False)),
    [FORMULA, "values-are-nonnegative"],
)
_mutant(
    "no-upper-clip",
    "Values may rise above what is left.",
    Variant(rules=ruled(caps=False, sign=1.0)),
    ["values-are-at-most-what-is-left"],
)
_mutant("averaged-gram", "Counts are divided by the number of runs.", Variant(data=averaged), [
    TV_COUNTS, KL_COUNTS, CHI_COUNTS, FORMULA,
])  # fmt: skip
_mutant(
    "last-step-data",
    "The last step's data are used at every step.",
    Variant(data=shifted),
    [TV_COUNTS, FORMULA, "errors-folds-tv", "pevi-errors"],
)

_mutant("next-action", "The action after the best one is played.", Variant(action=lambda policy, actions: (policy + 1) % actions), [
    "suboptimality-folds-tv", "suboptimality-shared-kl", "suboptimality-sup-kl", "suboptimality-shared-chi2", "pevi-suboptimality", HOPE,
    "small-errors-make-good-policies", "small-errors-make-good-policies-drpvi",
])  # fmt: skip

# -- baselines ---------------------------------------------------------------------------------------------------------------------------------

_mutant(
    "drpvi-sign", "The radius with its sign turned.", Variant(kind=replaced(TV_BALL, offline.BALL_UP)), [BALL_COUNTS, FORMULA]
)
_mutant(
    "drpvi-without-the-smallest", "The dual without its smallest value (right only where a state is worth 0).",
    Variant(kind=replaced(TV_BALL, offline.BALL_BARE)), [BALL_COUNTS, FORMULA],
)  # fmt: skip
_mutant("drpvi-minimised", "The dual is minimised.", Variant(kind=replaced(TV_BALL, offline.BALL_LEAST)), [BALL_COUNTS, FORMULA])
_mutant("drpvi-half-radius", "Half the radius.", Variant(strength=scaled(TV_BALL, 0.5)), [BALL_COUNTS, FORMULA])
