"""Pessimistic values a second time: slowly, from the formulas as they are printed, with dense linear algebra."""

from __future__ import annotations

from typing import Any

import numpy as np

from theorylab.problems.linear_mdp import LinearMDP
from theorylab.problems.record import Array
from theorylab.solvers.offline import CHI, KL, MEAN, TV, TV_BALL, Visits

from .judging import RIDGE, Variant


def formula_measures(
    model: LinearMDP, rng: np.random.Generator, data: dict[str, list[Visits]], variant: Variant
) -> dict[str, Any]:
    """Values recomputed slowly, from the formulas as they are printed, with dense linear algebra."""
    visits = data["shared"][min(1, len(data["shared"]) - 1)]
    beta = 10.0 ** rng.uniform(-3.0, 0.0) * np.ones(model.horizon)
    found, slow = [], []
    for kind in (TV, KL, TV_BALL, MEAN):
        found.append(variant.learn(model, kind, visits, beta).value[:-1])
        slow.append(recomputed(model, kind, visits, beta))
    chi = variant.learn(model, CHI, visits, beta)
    tried, size = chi_grid(model, visits, chi.value)
    return {
        "formula_values": np.array(found), "slow_values": np.array(slow), "chi_dual": chi.nu, "chi_tried": tried, "chi_slope": size,
        "least_value": float(min(v.min() for v in found)), "value_excess": float(max((v.max(axis=1) - np.arange(model.horizon, 0, -1)).max() for v in found)),
    }  # fmt: skip


def _regression(model: LinearMDP, visits: Visits, h: int) -> tuple[Array, Array]:
    """(inverse Gram matrix (d, d), weights (d, S)) at a step, densely."""
    table = visits.table(len(model.pairs), model.state_count)[h]
    gram = (model.pairs.T * table.sum(axis=1)) @ model.pairs + RIDGE * np.eye(model.dimension)
    return np.linalg.inv(gram), np.linalg.solve(gram, model.pairs.T @ table)


def recomputed(model: LinearMDP, kind: int, visits: Visits, beta: Array) -> Array:
    """(H, S) pessimistic values for TV, KL, TV_BALL and MEAN, from the printed formulas."""
    H, value, out = model.horizon, np.zeros(model.state_count), []
    for h in range(H - 1, -1, -1):
        inverse, weights = _regression(model, visits, h)
        low, strength = value.min(), model.strength
        if kind == TV:
            nu = weights @ np.minimum(value, low + strength)
        elif kind == KL:
            nu = -strength * np.log(np.maximum(weights @ np.exp(-value / strength), np.exp(-H / strength)))
        elif kind == TV_BALL:
            cuts = np.concatenate(([0.0, float(H)], value))
            nu = np.max([weights @ np.minimum(value, a) - model.radius * (a - min(a, low)) for a in cuts], axis=0)
        else:
            nu = weights @ value
        if kind == MEAN:
            q = model.features @ (inverse @ (np.linalg.inv(inverse) - RIDGE * np.eye(len(inverse))) @ model.theta[h] + nu)
            q = q - beta[h] * np.sqrt(np.einsum("sai,ij,saj->sa", model.features, inverse, model.features))
        else:
            q = model.features @ (model.theta[h] + nu) - beta[h] * model.features @ np.sqrt(np.diag(inverse))
        value = np.clip(q, 0.0, H - h).max(axis=1)
        out.append(value)
    return np.array(out[::-1])


def chi_grid(model: LinearMDP, visits: Visits, value: Array) -> tuple[Array, Array]:
    """(H, d) the best of 2,001 cuts of the chi-squared dual, and (H, d) how far the maximum can lie above it: the slope times half a cell."""
    H, strength = model.horizon, model.strength
    cuts = np.linspace(0.0, H, 2001)
    best, missed = np.zeros((H, model.dimension)), np.zeros((H, model.dimension))
    for h in range(H):
        _, weights = _regression(model, visits, h)
        cut = np.minimum(value[h + 1][:, None], cuts)
        z, q = weights @ cut, weights @ cut**2
        best[h] = (z + np.clip(z, 0.0, H) ** 2 / (4.0 * strength) - np.clip(q, 0.0, H * H) / (4.0 * strength)).max(axis=1)
        # |dz| <= sum |w| and |dq| <= 2 H sum |w| for each unit of the cut.
        missed[h] = np.abs(weights).sum(axis=1) * (1.0 + H / strength) * (cuts[1] - cuts[0]) / 2.0
    return best, missed
