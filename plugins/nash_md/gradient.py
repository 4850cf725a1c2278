"""The policy-gradient form of Nash-MD: the score-function estimator, enumerated over all pairs, against exact derivatives.

Estimate for y ~ pi, y' ~ opponent: grad log pi(y) (P(y > y') - 1/2 - tau log(pi(y) / mu(y))). Its expectation must be the
gradient of P_tau(pi > opponent) in the logits, the opponent held still; the derivatives here are by complex steps, which have
no cancellation. Source: arXiv 2312.00886, section 7.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from theorylab.problems.preference_game import PreferenceGame
from theorylab.problems.record import Array
from theorylab.solvers import games

from .oracle import Oracle

COMPLEX_STEP = 1e-30  # any size does: the error is of order step^2


def log_softmax(z: Any) -> Any:
    """Log-probabilities over the last axis, real or complex."""
    shifted = z - z.real.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def opponent_of(log_policy: Array, log_reference: Array, mixing: float, kind: str) -> Array:
    """(n,) log of pi^(1 - mixing) mu^mixing / Z; some mutants play against something else."""
    if kind == "opponent-is-policy":
        return log_policy
    if kind == "mixing-swapped":
        mixing = 1.0 - mixing
    if kind == "arithmetic-opponent":
        return np.log((1.0 - mixing) * np.exp(log_policy) + mixing * np.exp(log_reference))
    return log_softmax((1.0 - mixing) * log_policy + mixing * log_reference)


def estimate_terms(table: Array, log_policy: Array, log_reference: Array, tau: float, mixing: float, kind: str) -> Array:
    """(n, n) the factor of grad log pi(y) for the pair (y, y')."""
    ratio = log_policy - log_reference
    penalty = {
        "no-kl-term": 0.0 * ratio,
        "kl-sign-flipped": -ratio,
        "kl-against-mixture": log_policy - opponent_of(log_policy, log_reference, mixing, "correct"),
        "reverse-kl": -np.exp(log_reference - log_policy),
    }.get(kind, ratio)
    baseline = 0.0 if kind == "no-baseline" else 0.5
    return np.asarray(table - baseline - tau * penalty[:, None])


def enumerated_gradient(
    table: Array, log_policy: Array, log_reference: Array, tau: float, mixing: float, kind: str = "correct"
) -> Array:
    """(n,) the estimator's expectation in the logits, summed over every pair (y, y') of responses."""
    policy = np.exp(log_policy)
    opponent = np.exp(opponent_of(log_policy, log_reference, mixing, kind))
    factor = estimate_terms(table, log_policy, log_reference, tau, mixing, kind)
    score = np.eye(policy.size) - policy[None, :]  # score[y] = grad log pi(y)
    gradient = np.einsum("y,z,yz,yk->k", policy, opponent, factor, score)
    if kind == "gradient-through-opponent":
        flow = (1.0 - mixing) * (np.diag(opponent) - np.outer(opponent, opponent))
        gradient = gradient + flow @ (table.T @ policy)
    return np.asarray(gradient)


def complex_step_gradient(function: Any, log_policy: Array) -> Array:
    """(n,) derivative of `function(log_policy)` in the logits, to rounding."""
    n = log_policy.size
    out = np.empty(n)
    for k in range(n):
        z = log_policy.astype(np.complex128)
        z[k] += 1j * COMPLEX_STEP
        out[k] = function(log_softmax(z)).imag / COMPLEX_STEP
    return out


def gradient_measures(game: PreferenceGame, log_policy: Array, mixing: float, kind: str, oracle: Oracle) -> dict[str, Any]:
    """The largest errors over prompts of the gradient statements."""
    tau, mu = game.tau, game.log_reference
    assert mu is not None
    bias, slope, stationary, reach, scale = 0.0, 0.0, 0.0, 0.0, 0.0
    target = oracle.equilibrium(game, tau / (1.0 - mixing))
    gains = np.einsum("xyz,xz->xy", game.preference - 0.5, np.exp(target))
    fixed = log_softmax(mu + gains / tau)
    for x, (table, log_pi, log_mu) in enumerate(zip(game.preference, log_policy, mu, strict=True)):
        opponent = log_softmax((1.0 - mixing) * log_pi + mixing * log_mu)
        wins = table @ np.exp(opponent)

        def value(log_p: Array, wins: Array = wins, log_mu: Array = log_mu) -> Any:
            return np.sum(np.exp(log_p) * (wins - tau * (log_p - log_mu)))

        own = opponent_of(log_pi, log_mu, mixing, kind)

        def divergence(log_p: Array, own: Array = own) -> Any:
            return np.sum(np.exp(log_p) * (log_p - own))

        enumerated = enumerated_gradient(table, log_pi, log_mu, tau, mixing, kind)
        bias = max(bias, float(np.abs(enumerated - complex_step_gradient(value, log_pi)).max()))
        policy, ratio = np.exp(log_pi), log_pi - log_mu
        predicted = mixing * policy * (ratio - policy @ ratio)
        slope = max(slope, float(np.abs(complex_step_gradient(divergence, log_pi) - predicted).max()))
        at_fixed = enumerated_gradient(table, fixed[x], log_mu, tau, mixing, kind)
        stationary = max(stationary, float(np.abs(at_fixed).max()))
        factors = estimate_terms(table, log_pi, log_mu, tau, mixing, kind)
        reach = max(reach, float(np.abs(factors).max() * (1.0 - policy.min())))
        scale = max(scale, float(np.abs(ratio).max()))
    return {
        "gradient_bias": bias,
        "kl_gradient_error": slope,
        "gradient_at_fixed_point": stationary,
        "estimate_reach": reach,
        "policy_log_ratio": scale,
        "gradient_fixed_point_kl": games.kl(game, oracle.equilibrium(game), fixed),
    }
