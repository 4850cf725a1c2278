"""Quantile distributional dynamic programming: laws of returns as m equally likely atoms.

Letters: S states, A actions, m atoms per law; theta (S, m), sorted, holds the quantiles at levels (2 i - 1) / (2 m).
Source: Dabney, Rowland, Bellemare, Munos, "Distributional Reinforcement Learning with Quantile Regression", AAAI 2018.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theorylab.errors import SolverError
from theorylab.kernels import kernel
from theorylab.problems.mdp import END, MDP
from theorylab.problems.record import Array

#: Cumulative weights this close below a level count as having reached it: they are sums of up to a few hundred rounded terms.
LEVEL_SLACK = 1e-12


@kernel
def take_quantiles(atoms, weights, order, out):  # type: ignore[no-untyped-def]
    """out (m,): inf {x: F(x) >= (2 i - 1) / (2 m)} of the law with these atoms and weights, `order` sorting the atoms."""
    m = len(out)
    i, mass = 0, 0.0
    for k in order:
        mass += weights[k]
        while i < m and mass + LEVEL_SLACK >= (2.0 * i + 1.0) / (2.0 * m):
            out[i] = atoms[k]
            i += 1
    while i < m:  # weights that sum to a little less than 1
        out[i] = atoms[order[-1]]
        i += 1


@kernel
def sweep(theta, out, policy, atoms, weights, trial, discount, action_count, offsets, successors, probabilities, rewards):  # type: ignore[no-untyped-def]
    """out (S, m) = projected backup of theta (S, m) for the action of largest mean (lowest index on ties), written to policy (S,).

    atoms, weights: room for the largest number of outcomes times m; trial (m,). Returns the largest move of any quantile, and whether the
    policy changed.
    """
    S, m = theta.shape
    largest, changed = 0.0, False
    for s in range(S):
        best, chosen = -np.inf, 0
        for a in range(action_count):
            n, mean = 0, 0.0
            for k in range(offsets[s * action_count + a], offsets[s * action_count + a + 1]):
                to = successors[k]
                if to == END:
                    atoms[n], weights[n] = rewards[k], probabilities[k]
                    n += 1
                else:
                    for j in range(m):
                        atoms[n], weights[n] = rewards[k] + discount * theta[to, j], probabilities[k] / m
                        n += 1
            take_quantiles(atoms, weights, np.argsort(atoms[:n]), trial)
            for j in range(m):
                mean += trial[j] / m
            if a == 0 or mean > best + 1e-12 * (1.0 + abs(best)):  # sums of the same terms in another order are ties
                best, chosen = mean, a
                for j in range(m):
                    out[s, j] = trial[j]
        changed = changed or policy[s] != chosen
        policy[s] = chosen
        for j in range(m):
            largest = max(largest, abs(out[s, j] - theta[s, j]))
    return largest, changed


@dataclass(frozen=True)
class Quantiles:
    """theta (S, m) sorted; error: largest distance of any quantile to the fixed point; policy (S,) where one was chosen."""

    theta: Array
    error: float
    sweeps: int
    policy: NDArray[np.int64]


def project(atoms: Array, weights: Array, count: int) -> Array:
    """(m,) the quantile projection of a finite law."""
    out = np.empty(count)
    take_quantiles(
        np.asarray(atoms, dtype=np.float64), np.asarray(weights, dtype=np.float64), np.argsort(atoms, kind="stable"), out
    )
    return out


def value_iteration(
    mdp: MDP, count: int, *, accuracy: float = 1e-12, sweeps: int | None = None, start: Array | None = None
) -> Quantiles:
    """m quantiles per state, each sweep greedy in the mean; with one action this is policy evaluation.

    Stops when discount / (1 - discount) times the last move is below `accuracy`: for one action the largest distance of any quantile to the
    fixed point (the backup contracts the supremum Wasserstein-infinity distance by the discount). With several actions quantiles need
    not converge, and neither need the means, which the projection does not keep: give `sweeps`.
    """
    if sweeps is None and (mdp.action_count > 1 or mdp.discount >= 1.0):
        raise SolverError("Quantiles converge for one action and discount < 1 only: say how many sweeps.")
    S = mdp.state_count
    theta = np.zeros((S, count)) if start is None else np.sort(np.array(start, dtype=np.float64), axis=1)
    out, policy = np.empty_like(theta), np.full(S, -1, dtype=np.int64)
    room = int(np.diff(mdp.offsets).max()) * count
    atoms, weights, trial = np.empty(room), np.empty(room), np.empty(count)
    factor = mdp.discount / (1.0 - mdp.discount) if mdp.discount < 1.0 else math.inf
    error, done = math.inf, 0
    most = sweeps if sweeps is not None else 100_000
    while done < most and (sweeps is not None or error > accuracy):
        moved, _ = sweep(
            theta, out, policy, atoms, weights, trial, mdp.discount, mdp.action_count, mdp.offsets, mdp.successors, mdp.probabilities, mdp.rewards
        )  # fmt: skip
        theta, out, done, error = out, theta, done + 1, factor * float(moved)
    return Quantiles(theta, error, done, policy)


def policy_iteration(mdp: MDP, count: int, *, accuracy: float = 1e-10, most: int = 100) -> Quantiles:
    """Policies greedy in the mean of evaluated quantiles. The projection does not keep means, so policies may go round: stops at the first
    that no state improves by more than `accuracy`, or raises SolverError after `most`."""
    S, A = mdp.state_count, mdp.action_count
    policy, total = np.zeros(S, dtype=np.int64), 0
    for _ in range(most):
        found = value_iteration(mdp.under(np.eye(A)[policy]), count, accuracy=accuracy)
        total += found.sweeps
        greedy = value_iteration(mdp, count, sweeps=1, start=found.theta)
        if (greedy.theta.mean(axis=1) <= found.theta.mean(axis=1) + 10.0 * accuracy).all():
            return Quantiles(found.theta, found.error, total, policy)
        policy = greedy.policy
    raise SolverError(f"Policy iteration on {count} quantiles found no policy that is greedy for itself within {most} rounds.")
