"""DynLin-UCB: epochs long enough for the hidden state to forget, a regression on their last rounds, optimism.

A seed draws the noise. Besides the algorithm's own actions, two actions are played in turn: confidence must hold for any actions that do not look ahead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from theorylab.kernels import copy_into, kernel

from . import plugin
from .instances import DynamicalBandit

#: How an epoch's length is rounded, and who chooses actions.
FLOOR, CEIL = range(2)
OPTIMIST, ALTERNATING, MYOPIC = range(3)

#: Rounding of quotients of logarithms: ln 25 / ln 5 is 2.
GUARD = 1e-12

#: Length of random strings of actions.
STRING = 60


@dataclass(frozen=True)
class Variant:
    """What the algorithm really does. The defaults are right; mutants change one of them.

    length    times the radius by which epochs are made long: 0 makes them all of one round
    every     whether the regression takes every round of an epoch
    noiseless whether the noise is left out of the confidence radius
    lagged    whether effects that arrive later are counted
    power     of 1 / (1 - rho) in the limit of transients
    """

    length: float = 1.0
    every: bool = False
    noiseless: bool = False
    lagged: bool = True
    power: int = 2


def constants(bandit: DynamicalBandit, *, noiseless: bool = False) -> tuple[float, float, float, float]:
    """(c1, c2, s2, largest norm of an action) of the confidence radius. The state's norm is bounded by what it really can be, noise included."""
    U, Omega = float(np.linalg.norm(bandit.actions, axis=1).max()), float(np.linalg.norm(bandit.observation))
    size, Theta = float(np.linalg.norm(bandit.control, 2)), float(np.linalg.norm(bandit.direct))
    rho, Phi = bandit.radius, bandit.growth
    noise = 0.0 if noiseless else bandit.noise
    driven = (size * U + noise * math.sqrt(len(bandit.start))) / (1.0 - rho)
    state = Phi * max(float(np.linalg.norm(bandit.start)), driven)
    c1 = U * Omega * Phi * (U * size / (1.0 - rho) + state)
    return c1, Theta + Omega * size * Phi / (1.0 - rho), noise**2 * (1.0 + Omega**2 * Phi**2 / (1.0 - rho**2)), U


@kernel
def confidence(t, c1, c2, s2, U, ridge, dimension, delta):  # type: ignore[no-untyped-def]
    """beta_t, the radius of the confidence set after t rounds."""
    noise = 2.0 * s2 * (math.log(1.0 / delta) + dimension / 2.0 * math.log(1.0 + t * U * U / (dimension * ridge)))
    return c1 / math.sqrt(ridge) * math.log(math.e * (t + 1.0)) + c2 * math.sqrt(ridge) + math.sqrt(noise)


@kernel
def play(  # type: ignore[no-untyped-def]
    A, B, omega, theta, actions, start, noise, rho, ridge, rounds, rounding, who, every, h, c1, c2, s2, U, delta, forgets, rng
):  # fmt: skip
    """(total reward, largest ||h_hat - h||_V / beta at the end of an epoch, sum of (1 + H_m)^2, epochs, largest m forgets^H_m)."""
    n, d = B.shape
    x, fresh, V, b = start.copy(), np.empty(n), ridge * np.eye(d), np.zeros(d)
    total, worst, t, m, squares, left = 0.0, 0.0, 0, 0, 0.0, 0.0
    while t < rounds:
        m += 1
        inverse = np.linalg.inv(V)
        estimate = inverse @ b
        beta = confidence(t + 1.0, c1, c2, s2, U, ridge, d, delta)
        chosen, top = m % 2, -np.inf
        if who != ALTERNATING:
            for k in range(len(actions)):
                u = actions[k]
                index = theta @ u if who == MYOPIC else estimate @ u + beta * math.sqrt(max(u @ (inverse @ u), 0.0))
                if index > top:
                    chosen, top = k, index
        u = actions[chosen]
        extra = 0
        if rho > 0.0:
            exact = math.log(float(m)) / math.log(1.0 / rho)
            extra = math.floor(exact + GUARD) if rounding == FLOOR else math.ceil(exact - GUARD)
        squares += (1.0 + extra) ** 2
        left = max(left, m * forgets**extra)
        y = 0.0
        for k in range(1 + extra):
            if t == rounds:
                break
            y = omega @ x + theta @ u + (noise if rng.random() < 0.5 else -noise)
            total += y
            t += 1
            for i in range(n):
                fresh[i] = A[i] @ x + B[i] @ u + (noise if rng.random() < 0.5 else -noise)
            copy_into(x, fresh)
            if every or k == extra:
                for i in range(d):
                    b[i] += u[i] * y
                    for j in range(d):
                        V[i, j] += u[i] * u[j]
        gap = np.linalg.inv(V) @ b - h
        beta = confidence(float(t), c1, c2, s2, U, ridge, d, delta)
        worst = max(worst, math.sqrt(max(gap @ (V @ gap), 0.0)) / beta)
    return total, worst, squares, m, left


def learned(
    bandit: DynamicalBandit, rounds: int, rounding: int, who: int, variant: Variant, rng: np.random.Generator
) -> tuple[float, float, float, int, float]:
    """One run."""
    c1, c2, s2, U = constants(bandit, noiseless=variant.noiseless)
    found: tuple[float, float, float, int, float] = play(
        bandit.transition, bandit.control, bandit.observation, bandit.direct, bandit.actions, bandit.start, bandit.noise,
        bandit.radius * variant.length, bandit.ridge, rounds, rounding, who, variant.every, bandit.effect, c1, c2,
        s2, U, 1.0 / rounds, bandit.radius, rng,
    )  # fmt: skip
    return found


def string_measures(bandit: DynamicalBandit, rng: np.random.Generator, variant: Variant) -> dict[str, Any]:
    """A random string of actions from x = 0 without noise, what it earns and what its actions would earn in the long run; the best string."""
    A, B, omega, theta = bandit.transition, bandit.control, bandit.observation, bandit.direct
    chosen = bandit.actions[rng.integers(0, len(bandit.actions), STRING)]
    if rng.random() < 0.5:
        chosen = np.repeat(chosen[:1], STRING, axis=0)
    x, earned = np.zeros(len(omega)), 0.0
    for u in chosen:
        earned += float(omega @ x + theta @ u)
        x = A @ x + B @ u
    effects, power = [theta.copy()], omega.copy()
    for _ in range(STRING - 1):  # h_[k]: what an action earns within its own round and the k after it
        effects.append(effects[-1] + (B.T @ power if variant.lagged else 0.0))
        power = A.T @ power
    by_time = sum(float(effects[STRING - 1 - t] @ u) for t, u in enumerate(chosen))
    best = sum(float((bandit.actions @ h).max()) for h in effects)
    long_run = float((chosen @ bandit.effect).sum())
    U, rho = float(np.linalg.norm(bandit.actions, axis=1).max()), bandit.radius
    limit = U * float(np.linalg.norm(omega)) * float(np.linalg.norm(B, 2)) * bandit.growth / (1.0 - rho) ** variant.power
    return {
        "earned": earned, "earned_by_effects": by_time, "transient": abs(earned - long_run),
        "best_transient": abs(best - STRING * float((bandit.actions @ bandit.effect).max())), "transient_limit": limit, "size": 1.0 + STRING * limit,
    }  # fmt: skip


def measure(bandit: DynamicalBandit, rng: np.random.Generator, rounds: int, variant: Variant) -> dict[str, Any]:
    """All measures of one trial."""
    own = learned(bandit, rounds, CEIL, MYOPIC if not variant.lagged else OPTIMIST, variant, rng)
    turns = learned(bandit, rounds, CEIL, ALTERNATING, variant, rng)
    printed = learned(bandit, rounds, FLOOR, ALTERNATING, variant, rng)
    payoffs = bandit.actions @ bandit.effect
    c1, c2, s2, U = constants(bandit)
    beta = confidence(float(rounds), c1, c2, s2, U, bandit.ridge, bandit.actions.shape[1], 1.0 / rounds)
    d = bandit.actions.shape[1]
    potential = math.sqrt(2.0 * d * math.log(1.0 + own[3] * U**2 / (d * bandit.ridge)))
    reach = abs(float(payoffs.max())) + float(np.linalg.norm(bandit.observation)) * bandit.growth * (
        float(np.linalg.norm(bandit.start)) + (float(np.linalg.norm(bandit.control, 2)) * U + bandit.noise * math.sqrt(len(bandit.start))) / (1.0 - bandit.radius)
    ) + float(np.linalg.norm(bandit.direct)) * U + bandit.noise  # fmt: skip
    return string_measures(bandit, rng, variant) | {
        "own_error": own[1], "left_over": own[4], "turns_error": turns[1], "printed_error": printed[1], "dynamical_regret": rounds * float(payoffs.max()) - own[0],
        "learning_bound": float(np.ptp(payoffs)) + 2.0 * beta * math.sqrt(own[2]) * potential, "rounds": float(rounds), "largest_loss": reach,
    }  # fmt: skip


@plugin.run(rounds=5_000)
def run(bandit: DynamicalBandit, rng: np.random.Generator, *, rounds: int) -> dict[str, Any]:
    """The learner, actions in turn, and strings."""
    return measure(bandit, rng, rounds, Variant())
