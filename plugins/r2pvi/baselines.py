"""PEVI, which knows no adversary, and DRPVI, whose adversary is held in total variation balls."""

from __future__ import annotations

from typing import Any

import numpy as np

from theorylab.problems.linear_mdp import LinearMDP
from theorylab.problems.record import Array
from theorylab.solvers import robust
from theorylab.solvers.drectangular import NOMINAL, expected_sum, plan
from theorylab.solvers.offline import MEAN, TV_BALL, Visits, occupancy, sample_visits

from . import bounds
from .judging import DELTA, Judged, Variant, gram_inverses, worst_entry


def baseline_measures(
    model: LinearMDP, rng: np.random.Generator, counts: Array, data: dict[str, list[Visits]], variant: Variant
) -> dict[str, Any]:
    """PEVI without an adversary (folds), and DRPVI for the total variation ball (shared runs that play all actions alike)."""
    H, d = model.horizon, model.dimension
    nominal, ball = plan(model, NOMINAL, 0.0), plan(model, robust.TV_BALL, model.radius)
    pevi: list[tuple[float, float, float, float]] = []
    sure: dict[str, list[Array]] = {name: [] for name in ("pevi_subopt", "pevi_sum", "drpvi_subopt", "drpvi_sum")}
    hope: list[float] = []
    for K, visits in zip(counts, data["folds"], strict=True):
        beta, width = bounds.pevi(d, H, K, DELTA / len(counts)), _mahalanobis(model, visits)
        for factor in (1.0, 10.0 ** -rng.uniform(0.0, 2.5)):
            estimate = variant.learn(model, MEAN, visits, beta * factor)
            allowed = width * (beta * factor)[:, None, None]
            backup = model.theta + np.einsum("his,hs->hi", model.factors, estimate.value[1:])
            error = np.abs(np.einsum("sai,hi->hsa", model.features, estimate.weights - backup))
            entry = worst_entry(error, allowed)
            value = plan(model, NOMINAL, 0.0, estimate.policy).value
            loss, total = nominal.value[0] - value[0], expected_sum(model, nominal.policy, model.factors, allowed)
            if factor == 1.0:
                pevi.append((*entry, float(loss[model.start]), float(total[model.start])))
            if entry[0] <= entry[1]:
                sure["pevi_subopt"].append(loss)
                sure["pevi_sum"].append(total)
                hope.append(float((estimate.value - value).max()))
    uniform = np.full((model.state_count, model.action_count), 1.0 / model.action_count)
    kappa = least_eigenvalue(model, uniform)
    enough = (
        np.inf
        if kappa <= 0.0
        else max(512.0 * np.log(2.0 * d * H**2 / (DELTA / len(counts))) / kappa**2, 20449.0 * d**2 * H**2 / kappa)
    )
    drpvi: list[tuple[float, float]] = []
    for K in counts:
        visits = sample_visits(model, uniform, int(K), rng)
        full = np.full(H, bounds.drpvi(d, H, K, DELTA / len(counts)))
        for beta in (full, full * 10.0 ** -rng.uniform(0.5, 3.5)):
            judged = Judged(model, TV_BALL, variant.learn(model, TV_BALL, visits, beta), beta, ball, robust.TV_BALL)
            entry = judged.worst_entry()
            if beta is full and enough < K:
                drpvi.append(entry)
            if entry[0] <= entry[1]:
                sure["drpvi_subopt"].append(ball.value[0] - judged.policy_value[0])
                sure["drpvi_sum"].append(judged.phat_sum)
    columns = np.array(pevi).T
    entries = np.array(drpvi).reshape(-1, 2)
    return {
        "pevi_error": columns[0], "pevi_allowed": columns[1], "pevi_subopt": columns[2], "pevi_sum": columns[3],
        "drpvi_error": entries[:, 0], "drpvi_allowed": entries[:, 1], "pevi_hope": np.array(hope),
    } | {f"sure_{name}": np.array(rows) for name, rows in sure.items()}  # fmt: skip


def _mahalanobis(model: LinearMDP, visits: Visits) -> Array:
    """(H, S, A) sqrt(phi^T Lambda_h^(-1) phi)."""
    inverse = gram_inverses(model, visits)
    return np.sqrt(np.maximum(np.einsum("sai,hij,saj->hsa", model.features, inverse, model.features), 0.0))


def least_eigenvalue(model: LinearMDP, behaviour: Array) -> float:
    """min over steps of the least eigenvalue of E[phi phi^T] under the behaviour in the nominal model."""
    least = min(float(np.linalg.eigvalsh((model.pairs.T * met) @ model.pairs)[0]) for met in occupancy(model, behaviour))
    return least if least > 1e-12 else 0.0
