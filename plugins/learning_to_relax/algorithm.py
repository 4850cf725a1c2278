"""SOR with its bounds, and Tsallis-INF by Newton's method.

SOR(w): x += (D / w + L)^(-1) (b - A x) from 0 until the residual is below eps. C_w = I - A (D / w + L)^(-1) is what a sweep does to the residual.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from theorylab.kernels import copy_into, kernel
from theorylab.problems.record import Array

from . import plugin
from .instances import Tuning

ACCURACY = 1e-8

#: Relaxation parameters that are tried.
PARAMETERS = (0.8, 1.0, 1.1, 1.25, 1.5, 1.7, 1.9)

#: Newton steps for the normaliser: they converge from one side, quadratically.
NEWTON_STEPS = 100


@dataclass(frozen=True)
class Variant:
    """What is really done. The defaults are right; mutants change one of them.

    transient  whether the transient growth of a sweep's powers counts in the bound on iterations
    rate       Tsallis-INF's rate times sqrt(rounds): sqrt(8) for the best constant
    weighted   whether losses are divided by probabilities
    sign       of the losses
    steps      Newton steps for the normaliser
    """

    transient: bool = True
    rate: float = math.sqrt(8.0)
    weighted: bool = True
    sign: float = 1.0
    steps: int = NEWTON_STEPS


def sweep_matrix(A: Array, w: float) -> Array:
    """(n, n) C_w."""
    M = np.diag(np.diag(A)) / w + np.tril(A, -1)
    return np.eye(len(A)) - A @ np.linalg.inv(M)


def sor_iterations(A: Array, b: Array, w: float) -> int:
    """Sweeps until the residual is below ACCURACY of the right side, counted by the residual's own recursion."""
    from scipy.linalg import solve_triangular

    M = np.diag(np.diag(A)) / w + np.tril(A, -1)
    x, count = np.zeros(len(b)), 0
    while np.linalg.norm(b - A @ x) >= ACCURACY * np.linalg.norm(b):
        x = x + solve_triangular(M, b - A @ x, lower=True)
        count += 1
    return count


def jacobi_radius(A: Array) -> float:
    """Spectral radius of I - D^(-1) A."""
    scale = 1.0 / np.sqrt(np.diag(A))
    return float(np.abs(np.linalg.eigvalsh(np.eye(len(A)) - scale[:, None] * A * scale)).max())


def sor_radius(beta: float, w: float) -> float:
    """Spectral radius of C_w for consistently ordered A with real Jacobi spectrum (Young)."""
    inside = w * w * beta * beta - 4.0 * (w - 1.0)
    return w - 1.0 if inside < 0.0 else (w * beta + math.sqrt(inside)) ** 2 / 4.0


@lru_cache(maxsize=256)
def sor_measures(tuning: Tuning, transient: bool) -> dict[str, Any]:
    """Iterations beside their bound, and spectral radii by eigenvalues beside the formula: the same for all seeds."""
    A, b = tuning.matrix, tuning.right
    beta = jacobi_radius(A)
    best = 1.0 + (beta / (1.0 + math.sqrt(1.0 - beta * beta))) ** 2
    taken, bound, radius, formula = [], [], [], []
    for w in PARAMETERS:
        C, rho, k = sweep_matrix(A, w), sor_radius(beta, w), sor_iterations(A, b, w)
        if abs(w - best) > 0.02:  # at the best parameter C_w is defective: eigenvalues are known to the square root of rounding
            radius.append(float(np.abs(np.linalg.eigvals(C)).max()))
            formula.append(rho)
        if k < 2 or rho <= 0.0:
            continue
        grown = float(np.linalg.norm(np.linalg.matrix_power(C, k - 1), 2)) ** (1.0 / (k - 1))
        tau = max((grown - rho) / (1.0 - rho), 0.0) if transient else 0.0
        if rho + tau * (1.0 - rho) < 1.0:
            taken.append(float(k))
            bound.append(1.0 + math.log(ACCURACY) / math.log(rho + tau * (1.0 - rho)))
    return {
        "iterations": np.array(taken),
        "iteration_bound": np.array(bound),
        "radius": np.array(radius),
        "radius_formula": np.array(formula),
    }


@kernel
def tsallis(scores, rate, start, steps, p):  # type: ignore[no-untyped-def]
    """p_i = 4 / (rate (scores_i - x))^2 with x such that they sum to 1; returns x. start: an x at which they sum to 1 or more, below all scores."""
    x = start
    for _ in range(steps):
        total = slope = 0.0
        for i in range(len(scores)):
            half = 2.0 / (rate * (scores[i] - x))
            p[i] = half * half
            total += p[i]
            slope += p[i] * half
        if abs(total - 1.0) <= 1e-14:
            break
        x -= (total - 1.0) / (rate * slope)
    return x


@kernel
def learn(losses, rounds, rate, anytime, weighted, sign, steps, rng, seen, p):  # type: ignore[no-untyped-def]
    """(regret in mean losses against the best fixed setting, largest |sum p - 1|); anytime: the rate of round t is 2 / sqrt(t).

    seen, p (d,): scores and probabilities of the last round.
    """
    stretches, d = losses.shape
    scores, suffered, off = np.zeros(d), 0.0, 0.0
    total = np.zeros(d)
    for t in range(rounds):
        now = losses[t * stretches // rounds]
        step = 2.0 / math.sqrt(t + 1.0) if anytime else rate
        tsallis(scores, step, scores.min() - 2.0 / step, steps, p)
        mass = p.sum()
        off = max(off, abs(mass - 1.0))
        u, below, arm = rng.random() * mass, 0.0, d - 1
        for i in range(d):
            below += p[i]
            if u < below:
                arm = i
                break
        for i in range(d):
            suffered += p[i] / mass * now[i]
        copy_into(seen, scores)
        scores[arm] += sign * now[arm] / (p[arm] if weighted else 1.0)
        total += now
    return suffered - total.min(), off


def regularised(scores: Array, rate: float) -> Array:
    """(d,) the minimiser of <p, scores> - (4 / rate) sum sqrt(p) over distributions, by a root that is bracketed: p_i = 4 / (rate (scores_i - x))^2."""
    from scipy.optimize import brentq

    low = scores.min()
    x = brentq(
        lambda x: float((4.0 / (rate * (scores - x)) ** 2).sum()) - 1.0,
        low - 2.0 * math.sqrt(len(scores)) / rate,
        low - 2.0 / rate,
        xtol=1e-14,
        rtol=1e-15,
    )
    return np.asarray(4.0 / (rate * (scores - x)) ** 2)


def measure(tuning: Tuning, rng: np.random.Generator, variant: Variant) -> dict[str, Any]:
    """All measures of one trial."""
    rounds, d = tuning.rounds, tuning.losses.shape[1]

    def learned(rate: float, anytime: bool) -> tuple[float, float, Array, Array]:
        seen, p = np.empty(d), np.empty(d)
        regret, off = learn(tuning.losses, rounds, rate, anytime, variant.weighted, variant.sign, variant.steps, rng, seen, p)
        return regret, off, seen, p

    fixed, off, seen, p = learned(variant.rate / math.sqrt(rounds), False)
    anytime, printed = learned(0.0, True)[0], learned(1.0 / math.sqrt(rounds), False)[0]
    return sor_measures(tuning, variant.transient) | {
        "fixed_regret": fixed, "anytime_regret": anytime, "printed_regret": printed, "normaliser_error": off, "probabilities": p, "regularised": regularised(seen, math.sqrt(8.0 / rounds)), "head_start": _head_start(tuning), "length": float(rounds), "settings": float(d),
    }  # fmt: skip


def _head_start(tuning: Tuning) -> float:
    """By how much the best setting of each round beats the best fixed one: no learner's regret is below minus that."""
    which = np.arange(tuning.rounds) * len(tuning.losses) // tuning.rounds
    spent = np.bincount(which, minlength=len(tuning.losses))
    return float((spent @ tuning.losses).min() - spent @ tuning.losses.min(axis=1))


@plugin.run()
def run(tuning: Tuning, rng: np.random.Generator) -> dict[str, Any]:
    """Sweeps with several parameters, and three learners."""
    return measure(tuning, rng, Variant())
