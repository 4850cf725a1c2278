"""Preference games: divergences, the regularised equilibrium, exploitability.

Letters: X prompts, n actions, `P` preference, `A = P - 1/2`, `mu` reference, `tau` weight of the KL term. Policies are
log-probabilities (X, n): the probabilities themselves may lie below the smallest float.
Source: Munos et al., "Nash Learning from Human Feedback", arXiv 2312.00886, section 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from theorylab.errors import SolverError
from theorylab.kernels import copy_into, kernel
from theorylab.problems.preference_game import PreferenceGame
from theorylab.problems.record import Array
from theorylab.solvers.elementary import exp_below


@kernel
def log_softmax_kernel(z, out, p):  # type: ignore[no-untyped-def]
    """out = log softmax(z), p = softmax(z)."""
    top = z[0]
    for i in range(1, z.size):
        top = max(top, z[i])
    for i in range(z.size):  # apart from the sum: so it is done on vectors
        p[i] = exp_below(z[i] - top)
    total = 0.0
    for i in range(z.size):
        total += p[i]
    shift, share = top + math.log(total), 1.0 / total
    for i in range(z.size):
        out[i] = z[i] - shift
        p[i] *= share


@kernel
def _newton_kernel(skew, log_reference, tau, log_policy):  # type: ignore[no-untyped-def]
    """Homotopy in tau with damped Newton steps on F(z) = z - A softmax(log mu + z) / tau; returns max|F| at the end."""
    n = log_reference.size
    z = np.zeros(n)
    trial = np.zeros(n)
    p = np.zeros(n)
    residual = np.zeros(n)
    shifted = np.zeros(n)
    jacobian = np.zeros((n, n))
    level = max(tau, 1.0)
    norm = np.inf
    while True:
        goal = 1e-14 * max(1.0, 1.0 / level)
        for i in range(n):
            shifted[i] = log_reference[i] + z[i]
        log_softmax_kernel(shifted, log_policy, p)
        norm = _residual(skew, p, z, level, residual)
        for _ in range(100):
            if norm <= goal:
                break
            mean = np.zeros(n)
            for i in range(n):
                for j in range(n):
                    mean[i] += skew[i, j] * p[j]
            for i in range(n):
                for j in range(n):
                    jacobian[i, j] = -(skew[i, j] - mean[i]) * p[j] / level
                jacobian[i, i] += 1.0
            step = np.linalg.inv(jacobian) @ residual  # its rounding costs no accuracy: the next residual is computed anew
            length = 1.0
            improved = False
            for _ in range(40):
                for i in range(n):
                    trial[i] = z[i] - length * step[i]
                    shifted[i] = log_reference[i] + trial[i]
                log_softmax_kernel(shifted, log_policy, p)
                new_norm = _residual(skew, p, trial, level, residual)
                if new_norm <= norm * (1.0 - length / 10.0):
                    improved = True
                    break
                length *= 0.5
            if not improved:  # rounding has been reached: keep the better of the two
                for i in range(n):
                    shifted[i] = log_reference[i] + z[i]
                log_softmax_kernel(shifted, log_policy, p)
                norm = _residual(skew, p, z, level, residual)
                break
            copy_into(z, trial)
            norm = new_norm
        if level <= tau:
            return norm
        level = max(tau, level * 0.6)


@kernel
def _residual(skew, p, z, tau, out):  # type: ignore[no-untyped-def]
    n = z.size
    worst = 0.0
    for i in range(n):
        total = 0.0
        for j in range(n):
            total += skew[i, j] * p[j]
        out[i] = z[i] - total / tau
        worst = max(worst, abs(out[i]))
    return worst


@dataclass(frozen=True)
class Equilibrium:
    """A regularised equilibrium with its certificate.

    log_policy  (X, n)
    residual    largest error of the fixed-point equation `log pi = log mu + P pi / tau + const`, in nats
    gap         regularised exploitability minus 1/2, averaged over prompts; tau KL(policy, equilibrium) <= gap
    """

    log_policy: Array
    residual: float
    gap: float


def regularised_equilibrium(game: PreferenceGame, tau: float | None = None) -> Equilibrium:
    """The unique equilibrium of the KL-regularised game, by Newton's method with homotopy in tau.

    tau      replaces the game's, if given
    returns  Equilibrium; error of log_policy about residual * (1 + 1 / tau)

    Raises SolverError when the residual stays above 1e-10 max(1, 1/tau).
    Source: arXiv 2312.00886, Proposition 1 (uniqueness); equals the closed form for n = 2 and the convex program (tested).
    """
    tau = game.tau if tau is None else float(tau)
    if not 0.0 < tau < math.inf:  # the homotopy would never get there
        raise SolverError(f"tau = {tau:g} must be positive and finite: without regularisation there may be many equilibria.")
    reference = _reference(game)
    log_policy = np.empty_like(reference)
    worst = 0.0
    for x in range(reference.shape[0]):
        skew = np.ascontiguousarray(game.preference[x] - 0.5)
        worst = max(worst, float(_newton_kernel(skew, reference[x], tau, log_policy[x])))
    if not worst <= 1e-10 * max(1.0, 1.0 / tau):
        raise SolverError(f"The equilibrium at tau={tau:g} was not found: residual {worst:.3g}. Try a larger tau.")
    return Equilibrium(log_policy, worst, regularised_exploitability(game, log_policy, tau) - 0.5)


def _reference(game: PreferenceGame) -> Array:
    assert game.log_reference is not None
    return game.log_reference


def _weights(game: PreferenceGame) -> Array:
    assert game.prompt_weights is not None
    return game.prompt_weights


def kl(game: PreferenceGame, log_p: Array, log_q: Array) -> float:
    """KL_rho(p, q): the divergence of policies averaged over prompts, in nats. Error about 1e-16 max|log p - log q|."""
    return float(np.einsum("x,xy,xy->", _weights(game), np.exp(log_p), log_p - log_q))


def win_rate(game: PreferenceGame, log_p: Array, log_q: Array) -> float:
    """P(p > q), averaged over prompts."""
    return float(np.einsum("x,xy,xyz,xz->", _weights(game), np.exp(log_p), game.preference, np.exp(log_q)))


def win_rates(game: PreferenceGame, log_policy: Array) -> Array:
    """(X, n) P(y > policy) per prompt and action."""
    return np.asarray(np.einsum("xyz,xz->xy", game.preference, np.exp(log_policy)))


def regularised_preference(game: PreferenceGame, log_p: Array, log_q: Array) -> float:
    """P_tau(p > q) = P(p > q) - tau KL(p, mu) + tau KL(q, mu). Source: arXiv 2312.00886, section 4."""
    mu = _reference(game)
    return win_rate(game, log_p, log_q) - game.tau * kl(game, log_p, mu) + game.tau * kl(game, log_q, mu)


def regularised_exploitability(game: PreferenceGame, log_policy: Array, tau: float | None = None) -> float:
    """max_q P_tau(q > policy) >= 1/2, with equality at the equilibrium only."""
    tau = game.tau if tau is None else tau
    scores = _reference(game) + win_rates(game, log_policy) / tau
    top = scores.max(axis=1)
    best = tau * (top + np.log(np.exp(scores - top[:, None]).sum(axis=1)))
    return float(_weights(game) @ best + tau * kl(game, log_policy, _reference(game)))


def exploitability(game: PreferenceGame, log_policy: Array) -> float:
    """max_y P(y > policy) - 1/2 >= 0, averaged over prompts: what an opponent free of any KL term can gain."""
    # The win rates are summed on P - 1/2: near an equilibrium the 1/2 would swamp the gap.
    gains = np.einsum("xyz,xz->xy", game.preference - 0.5, np.exp(log_policy))
    return float(_weights(game) @ gains.max(axis=1))


def rotation_speeds(game: PreferenceGame, log_policy: Array) -> Array:
    """(X, n) moduli w of the eigenvalues +-iw of A (diag(p) - p p^T): they decide where constant steps are stable."""
    p = np.exp(log_policy)
    covariance = p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None, :]
    return np.asarray(np.abs(np.linalg.eigvals((game.preference - 0.5) @ covariance)))


def bradley_terry_rewards(preference: Array, policy: Array) -> Array:
    """(n,) population maximum-likelihood Bradley-Terry rewards, sum zero, for pairs drawn from `policy`; n actions.

    Newton's method on a strictly concave likelihood; needs every off-diagonal win rate in (0, 1) or a strongly connected
    table. Raises SolverError when the gradient stays above 1e-12.
    Source: arXiv 2312.00886, section 3 (the rewards depend on the policy unless the table is Bradley-Terry).
    """
    n = policy.size
    weights = np.outer(policy, policy) * (1.0 - np.eye(n))
    reward = np.zeros(n)
    for _ in range(200):
        chance = 1.0 / (1.0 + np.exp(reward[None, :] - reward[:, None]))
        gradient = (weights * (preference - chance)).sum(axis=1)
        if np.abs(gradient).max() <= 1e-16 + 1e-15 * weights.max():
            break
        curvature = weights * chance * (1.0 - chance)
        hessian = np.diag(curvature.sum(axis=1)) - curvature + np.full((n, n), 1.0 / n) * curvature.max()
        step = np.linalg.solve(hessian, gradient)
        reward = reward + step * min(1.0, 2.0 / max(np.abs(step).max(), 1e-300))
        reward -= reward.mean()
        if np.abs(step).max() <= 1e-15:
            break
    if np.ptp(reward) > 30.0:  # win rates within e^-30 of 0 or 1: the likelihood has no maximum that floats could tell
        raise SolverError(
            "The Bradley-Terry rewards were not found: they are infinite, because some actions win every comparison."
        )
    if not np.abs(gradient).max() <= 1e-12:
        raise SolverError(f"The Bradley-Terry rewards were not found: gradient {np.abs(gradient).max():.3g}.")
    return np.asarray(reward)
