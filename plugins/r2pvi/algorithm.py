"""Pessimistic values from sampled runs, and what is measured of them; every suboptimality is exact, since the model is known here.

A seed draws a behaviour policy and, for 1, 100, 10^4, ... runs, the counts of what they saw. `folds`: every step has runs of its own; `shared`:
one set of runs serves all steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from theorylab.errors import InstanceError
from theorylab.problems.linear_mdp import LinearMDP
from theorylab.problems.record import Array
from theorylab.solvers import robust
from theorylab.solvers.drectangular import RobustPlan, largest_sum, plan, worst_factors
from theorylab.solvers.offline import (
    KL,
    MEAN,
    TV_BALL,
    Visits,
    occupancy,
    sample_folds,
    sample_visits,
)

from . import bounds, plugin
from .baselines import baseline_measures
from .formulas import formula_measures
from .judging import DELTA, RIDGE, Certain, Judged, Variant, gram_inverses, worthwhile
from .modelling import ADVERSARY, BALL, NAMES, Planner, model_measures

#: Runs that stand for exact counts, and the largest estimation error of a factor (square root of the inverse's diagonal) that is looked at then.
ENDLESS, RESOLVED = 1e10, 1e-3

#: Numbers of runs along which the rate is looked at.
RATE_SAMPLES = tuple(float(2**k) * 1e5 for k in range(6))


def sizes(samples: int) -> Array:
    """Numbers of runs: 1, 100, 10^4, ..., up to `samples`."""
    if samples < 1:
        raise InstanceError(f"samples = {samples} must be at least 1.")
    return np.asarray(100.0 ** np.arange(int(np.log10(samples) / 2.0 + 1e-9) + 1))


def measure(mdp: LinearMDP, rng: np.random.Generator, samples: int, variant: Variant) -> dict[str, Any]:
    """What is measured of learning from data, for the algorithm or a broken variant of it."""
    behaviour = rng.dirichlet(np.ones(mdp.action_count), mdp.state_count)
    plans = {kind: plan(mdp, ADVERSARY[kind], mdp.strength) for kind in NAMES}
    counts = sizes(samples)
    met = occupancy(mdp, behaviour)
    data = {
        "folds": [sample_folds(mdp, met, int(K), rng) for K in counts],
        "shared": [sample_visits(mdp, behaviour, int(K), rng) for K in counts],
    }
    out: dict[str, Any] = {"samples": counts, "horizon": float(mdp.horizon)} | population_measures(mdp, variant)
    known = Certain()
    for kind, name in NAMES.items():
        for mode, tables in data.items():
            out |= {
                f"{mode}_{k}_{name}": v for k, v in promised(mdp, kind, mode, counts, tables, plans[kind], variant, known).items()
            }
        for K, visits in zip(counts, data["shared"], strict=True):
            smaller = bounds.shared(kind, mdp.dimension, mdp.horizon, K, mdp.strength, DELTA) * 10.0 ** -rng.uniform(0.0, 3.0)
            known.add(Judged(mdp, kind, variant.learn(mdp, kind, visits, smaller), smaller, plans[kind]))
        out |= published_measures(mdp, kind, data["shared"], plans[kind], variant)
    out |= known.measures()
    out |= coverage_measures(mdp, rng, behaviour, plans)
    out |= baseline_measures(mdp, rng, counts, data, variant)
    out |= formula_measures(mdp, rng, data, variant)
    return out | rate_measures(mdp, plans, rng, variant)


@plugin.run(samples=10**8)
def run(mdp: LinearMDP, rng: np.random.Generator, *, samples: int) -> dict[str, Any]:
    """Offline data of 1, 100, ... runs, up to `samples`, and what is learned from them."""
    return model_measures(mdp, rng, Planner()) | measure(mdp, rng, samples, Variant())


@plugin.parts
def pieces(mdp: LinearMDP, rng: np.random.Generator, *, samples: int) -> list[Callable[[], Any]]:
    """The run's pieces, in its order."""
    behaviour = np.full((mdp.state_count, mdp.action_count), 1.0 / mdp.action_count)
    visits = sample_visits(mdp, behaviour, 100, rng)
    kind = next(iter(NAMES))

    def plans() -> dict[int, RobustPlan]:
        return {kind: plan(mdp, ADVERSARY[kind], mdp.strength) for kind in NAMES}

    return [
        lambda: model_measures(mdp, rng, Planner()),
        lambda: population_measures(mdp, Variant()),
        lambda: coverage_measures(mdp, rng, behaviour, plans()),
        lambda: Variant().learn(mdp, kind, visits, 1.0),
    ]


# -- what is learned from data ------------------------------------------------------------------------------------------------------------


def promised(
    model: LinearMDP,
    kind: int,
    mode: str,
    counts: Array,
    tables: list[Visits],
    best: RobustPlan,
    variant: Variant,
    known: Certain,
) -> dict[str, Any]:
    """Errors and suboptimality at each number of runs with the derived penalties, whose failures are shared out evenly among the sizes."""
    derived = bounds.folds if mode == "folds" else bounds.shared
    errors, losses, sums, largest = [], [], [], []
    for K, visits in zip(counts, tables, strict=True):
        beta = derived(kind, model.dimension, model.horizon, K, model.strength, DELTA / len(counts), RIDGE)
        judged = Judged(model, kind, variant.learn(model, kind, visits, beta), beta, best)
        known.add(judged)
        errors.append(judged.worst_entry())
        losses.append(float((best.value[0] - judged.policy_value[0])[model.start]))
        sums.append(float(judged.phat_sum[model.start]))
        largest.append(float(judged.largest_sum[model.start]))
    if model.horizon == 1 and kind != KL:
        return {}  # nothing is earned later: all errors and penalties are 0
    error, allowed = np.array(errors).T
    return {"error": error, "allowed": allowed, "subopt": np.array(losses), "phat": np.array(sums), "sup": np.array(largest)}


def published_measures(model: LinearMDP, kind: int, tables: list[Visits], best: RobustPlan, variant: Variant) -> dict[str, Any]:
    """Errors with the published penalties at xi = 1."""
    beta = np.full(model.horizon, bounds.published(kind, model.dimension, model.horizon, model.strength))
    entries = [Judged(model, kind, variant.learn(model, kind, visits, beta), beta, best).worst_entry() for visits in tables]
    error, allowed = np.array(entries).T
    return {f"published_error_{NAMES[kind]}": error, f"published_allowed_{NAMES[kind]}": allowed}


# -- exact counts -------------------------------------------------------------------------------------------------------------------------


def population_measures(model: LinearMDP, variant: Variant) -> dict[str, Any]:
    """Counts that equal their means, as if runs never ended: what is left is the regulariser's bias, which has a bound of its own."""
    S, A, H = model.state_count, model.action_count, model.horizon
    counts = np.array([model.transition(h).reshape(S, A, S) for h in range(H)]) * ENDLESS / (S * A)
    visits = Visits.of_table(counts)
    spread = np.sqrt(
        np.diagonal(gram_inverses(model, visits), axis1=1, axis2=2)
    )  # not the estimate's own: a wrong regulariser must not excuse itself
    out: dict[str, Any] = {}
    for kind, name in {**NAMES, TV_BALL: "ball", MEAN: "mean"}.items():
        estimate = variant.learn(model, kind, visits, 0.0)
        if kind == MEAN:
            nu = np.einsum("his,hs->hi", model.factors, estimate.value[1:]) + model.theta
            found = estimate.weights
        else:
            adversary = robust.TV_BALL if kind == TV_BALL else ADVERSARY[kind]
            nu, _ = worst_factors(model.factors, adversary, model.radius if kind == TV_BALL else model.strength, estimate.value)
            found = estimate.nu
        bias = np.sqrt(RIDGE * model.dimension) * spread
        seen = spread <= RESOLVED
        if kind == KL:  # else the bias could be all there is
            seen &= bias * np.exp(nu / model.strength) < 1.0
        out |= {
            f"population_error_{name}": np.abs(found - nu)[seen],
            f"population_bias_{name}": bias[seen],
            f"population_nu_{name}": nu[seen],
        }
    reach = np.broadcast_to(bounds.reach(H)[:, None], spread.shape)[spread <= RESOLVED]
    return out | {"population_reach": reach, "strength": model.strength, "features": float(model.dimension)}


# -- coverage -----------------------------------------------------------------------------------------------------------------------------


def coverage_measures(
    model: LinearMDP, rng: np.random.Generator, behaviour: Array, plans: dict[int, RobustPlan]
) -> dict[str, Any]:
    """For one divergence: the largest constant c of robust partial coverage that some data have, and the sum that it bounds."""
    kind, K = list(NAMES)[int(rng.integers(3))], float(rng.choice([10.0, 1e3, 1e6]))
    best = plans[kind]
    pairs, H, d = model.pairs, model.horizon, model.dimension
    counts = sample_visits(model, behaviour, int(K), rng).table(len(pairs), model.state_count).sum(axis=2)
    radius = worthwhile(kind, best, model.strength)
    least, spread = np.inf, np.zeros((H, d))
    for h in range(H):
        grown = (pairs.T * counts[h]) @ pairs
        inverse = np.linalg.pinv(grown, rcond=1e-12, hermitian=True)
        hit = np.abs(grown @ inverse - np.eye(d)).max(axis=0) < 1e-9  # which unit vectors the data span
        spread[h] = np.sqrt(np.diag(np.linalg.inv(grown + RIDGE * np.eye(d))))
        for i in range(d):
            amounts = np.zeros((H, model.state_count, model.action_count))
            amounts[h] = model.features[:, :, i] ** 2
            met = float(largest_sum(model, best.policy, BALL[kind], radius, amounts)[model.start])
            if met > 0.0:
                least = min(least, 1.0 / (K * met * inverse[i, i]) if hit[i] and inverse[i, i] > 0.0 else 0.0)
    if not 0.0 < least < np.inf:
        return {"covered_sum": np.zeros(0), "coverage": np.zeros(0), "covered_samples": K}
    total = largest_sum(model, best.policy, BALL[kind], radius, np.einsum("sai,hi->hsa", model.features, spread))
    return {"covered_sum": total[[model.start]], "coverage": np.array([least]), "covered_samples": K}


# -- rate --------------------------------------------------------------------------------------------------------------------


def rate_measures(model: LinearMDP, plans: dict[int, RobustPlan], rng: np.random.Generator, variant: Variant) -> dict[str, Any]:
    """(V* - Vhat) / V* at the start at a fixed penalty of 1, over numbers of samples that double, of all pairs alike."""
    alike = np.full((model.horizon, len(model.pairs)), 1.0 / len(model.pairs))
    tables = [sample_folds(model, alike, int(K), rng) for K in RATE_SAMPLES]
    gaps = {}
    for kind, name in NAMES.items():
        best = plans[kind].value[0, model.start]
        found = np.array([variant.learn(model, kind, visits, 1.0).value[0, model.start] for visits in tables])
        gaps[f"gap_{name}"] = np.maximum(best - found, 0.0) / best if best > 0.0 else np.zeros(0)
    return {"rate_samples": np.array(RATE_SAMPLES)} | gaps
