"""Linear and convex programs through cvxpy, returned with primal, dual and residuals: oracles, never inside a loop."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from theorylab.errors import SolverError
from theorylab.problems.preference_game import PreferenceGame
from theorylab.problems.record import Array

#: Tolerances of the solvers for worst expectations. Tighter ones are met less and less often; these leave errors of about 1e-8.
TIGHT = 1e-9


@dataclass(frozen=True)
class MatrixGameSolution:
    """policy (n,) maximin policy; dual (n,) the opponent's; value of the game on P - 1/2 (0 for preferences); residual:
    largest violation of the optimality conditions, in units of the largest |P - 1/2|."""

    policy: Array
    dual: Array
    value: float
    residual: float


def minimax_winner(preference: Array) -> MatrixGameSolution:
    """A policy that no action beats on average (von Neumann winner), by linear programming (HiGHS).

    preference (n, n). Equilibria need not be unique: compare exploitabilities, not policies. The table is scaled by the largest
    |P - 1/2|: unscaled, gaps of 1e-6 drown in the solver's tolerance.
    Raises SolverError unless the status is optimal and the residual below 1e-7.
    """
    import cvxpy as cp

    skew = np.asarray(preference, dtype=np.float64) - 0.5
    scale = float(np.abs(skew).max())
    n = skew.shape[0]
    if scale == 0.0:
        uniform = np.full(n, 1.0 / n)
        return MatrixGameSolution(uniform, uniform, 0.0, 0.0)
    policy, value = cp.Variable(n, nonneg=True), cp.Variable()
    losing = (skew / scale) @ policy <= value
    problem = cp.Problem(cp.Minimize(value), [losing, cp.sum(policy) == 1])
    problem.solve(solver=cp.HIGHS)
    if problem.status != cp.OPTIMAL:
        raise SolverError(f"HiGHS stopped with status {problem.status!r} on a matrix game of {n} actions.")
    p = np.maximum(np.asarray(policy.value), 0.0)
    q = np.maximum(np.asarray(losing.dual_value), 0.0)
    p, q = p / p.sum(), q / q.sum()
    residual = float(max((skew @ p).max(), -(skew.T @ q).min()) / scale)
    if residual > 1e-7:
        raise SolverError(f"HiGHS left a residual of {residual:.3g} on a matrix game of {n} actions (asked 1e-7).")
    return MatrixGameSolution(p, q, float(np.asarray(value.value)) * scale, residual)


@dataclass(frozen=True)
class ConvexSolution:
    """policy (X, n); value of the program (1/2 at the equilibrium); solver status."""

    policy: Array
    value: float


def regularised_equilibrium_program(game: PreferenceGame) -> ConvexSolution:
    """The regularised equilibrium as a convex program, independent of Newton's method; value error about 2e-9.

    minimise over the simplex: tau KL(x, mu) + tau logsumexp(log mu + P x / tau); the optimum is 1/2.
    """
    import cvxpy as cp

    assert game.log_reference is not None
    assert game.prompt_weights is not None
    policy, value = np.empty_like(game.log_reference), 0.0
    for x, log_mu in enumerate(game.log_reference):
        p = cp.Variable(log_mu.size, nonneg=True)
        cost = game.tau * (cp.sum(-cp.entr(p)) - log_mu @ p) + game.tau * cp.log_sum_exp(
            log_mu + game.preference[x] @ p / game.tau
        )
        problem = cp.Problem(cp.Minimize(cost), [cp.sum(p) == 1])
        problem.solve(solver=cp.CLARABEL)
        if problem.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE) or not math.isfinite(problem.value):
            raise SolverError(f"CLARABEL stopped with status {problem.status!r} on prompt {x}.")
        policy[x] = p.value
        value += game.prompt_weights[x] * problem.value
    return ConvexSolution(policy, float(value))


@dataclass(frozen=True)
class TailSolution:
    """value: CVaR; weights (n,) of the worst share, dual: the quantile at which it ends; residual: the largest violation of a constraint
    and of strong duality, in units of the largest |atom|."""

    value: float
    weights: Array
    dual: float
    residual: float


def cvar_of_law(atoms: Array, weights: Array, level: float) -> TailSolution:
    """CVaR of a finite law at `level` by linear programming: min sum w x over 0 <= w <= p / level, sum w = 1.

    Raises SolverError unless the status is optimal and the residual below 1e-7.
    """
    import cvxpy as cp

    x = np.asarray(atoms, dtype=np.float64)
    scale = float(np.abs(x).max()) or 1.0
    limit = np.asarray(weights, dtype=np.float64) / level
    chosen = cp.Variable(len(x), nonneg=True)
    total, capped = cp.sum(chosen) == 1, chosen <= limit
    problem = cp.Problem(cp.Minimize((x / scale) @ chosen), [total, capped])
    problem.solve(solver=cp.HIGHS)
    if problem.status != cp.OPTIMAL:
        raise SolverError(f"HiGHS stopped with status {problem.status!r} on the CVaR of {len(x)} atoms.")
    w = np.asarray(chosen.value)
    quantile = -float(total.dual_value)
    # The dual: max over q of q - sum (p / level) (q - x)_+; its best q is an atom, wherever the solver's sign convention puts it.
    candidates = np.array([quantile, -quantile])
    duals = candidates - (limit * np.maximum(candidates[:, None] - x / scale, 0.0)).sum(axis=1)
    best = int(np.argmax(duals))
    residual = max(abs(float(problem.value) - float(duals[best])), abs(w.sum() - 1.0), float((w - limit).max()), float(-w.min()))
    if not residual < 1e-7:
        raise SolverError(f"The linear program for CVaR left a residual of {residual:.2g}.")
    return TailSolution(float(problem.value) * scale, w, float(candidates[best]) * scale, residual)


def worst_expectation(
    divergence: str, value: Array, weight: Array, *, radius: float | None = None, strength: float | None = None, metric: Array | None = None
) -> float:  # fmt: skip
    """inf {E_p V: D(p, q) <= radius}, or inf {E_p V + strength D(p, q)}, by a convex program: the primal problem as it is stated.

    divergence: "tv", "kl", "chi2" or "w1" (with metric (n, n)). Values are scaled to range 1, which moves mass at the same rates.
    Raises SolverError unless the status is optimal.
    """
    import cvxpy as cp

    v, q = np.asarray(value, dtype=np.float64), np.asarray(weight, dtype=np.float64)
    low, scale = float(v.min()), float(np.ptp(v)) or 1.0
    v = (v - low) / scale
    support = q > 0.0
    p = cp.Variable(len(q), nonneg=True)
    constraints = [cp.sum(p) == 1]
    if divergence in ("kl", "chi2"):
        constraints += [p[~support] == 0] if (~support).any() else []
        inside, base = p[support], q[support]
        D = (
            cp.sum(cp.rel_entr(inside, base))
            if divergence == "kl"
            else cp.sum_squares(cp.multiply(inside - base, 1.0 / np.sqrt(base)))
        )
    elif divergence == "tv":
        D = 0.5 * cp.norm1(p - q)
    else:
        plan = cp.Variable((len(q), len(q)), nonneg=True)
        constraints += [cp.sum(plan, axis=1) == q, cp.sum(plan, axis=0) == p]
        D = cp.sum(cp.multiply(plan, np.asarray(metric)))
    if radius is not None:
        constraints.append(radius >= D)
        goal = v @ p
    else:
        assert strength is not None
        goal = v @ p + strength / scale * D
    problem = cp.Problem(cp.Minimize(goal), constraints)
    if divergence in ("tv", "w1"):
        problem.solve(solver=cp.HIGHS, primal_feasibility_tolerance=TIGHT, dual_feasibility_tolerance=TIGHT)
    else:
        problem.solve(solver=cp.CLARABEL, tol_gap_abs=TIGHT, tol_gap_rel=TIGHT, tol_feas=TIGHT)
    if problem.status != cp.OPTIMAL:
        raise SolverError(f"The convex program for {divergence} stopped with status {problem.status!r}.")
    return low + scale * float(problem.value)
