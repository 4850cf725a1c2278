"""One step of natural policy gradient with the base policy's and the prover's advantages; everything is exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from theorylab.problems.record import Array

from . import plugin
from .instances import ProverTree


@dataclass(frozen=True)
class Variant:
    """What is really done. The defaults are right; mutants change one of them.

    aligned   sign of the alignment in the first-order gain
    own       whether that gain counts the base policy's own variance, or the prover's
    twice     times the gain of the step
    sign      of the right side of the bound by the prover's advantages
    worst     whether K tries count as all of them succeeding
    visits    whether visits are those of the new policy
    power     of K in what Best-of-K multiplies variances by at most
    """

    aligned: float = 1.0
    own: bool = True
    twice: float = 1.0
    sign: float = -1.0
    worst: bool = False
    visits: bool = True
    power: int = 2


def values(tree: ProverTree, policy: Array) -> tuple[Array, Array]:
    """(V (N,), Q (N, A)) of a policy at the inner nodes."""
    N, A = policy.shape
    V, Q = np.concatenate((np.zeros(N), tree.reward)), np.zeros((N, A))
    for s in range(N - 1, -1, -1):
        Q[s] = V[s * A + 1 : s * A + A + 1]
        V[s] = policy[s] @ Q[s]
    return V[:N], Q


def visits(policy: Array, start: Array) -> Array:
    """(N,) how often each inner node is met in an episode, the start included."""
    N, A = policy.shape
    d = start.copy()
    for s in range(N):
        children = np.arange(s * A + 1, s * A + A + 1)
        inside = children < N
        d[children[inside]] += d[s] * policy[s][inside]
    return d


def measure(tree: ProverTree, rng: np.random.Generator, variant: Variant) -> dict[str, Any]:
    """All measures of one tree."""
    base, g, K = tree.base, tree.gain, int(rng.integers(2, 9))
    (V, Q), (Vm, Qm) = values(tree, base), values(tree, tree.prover)
    own, other = Q - V[:, None], Qm - Vm[:, None]
    weights = np.log(base) + variant.twice * g * (own + other)
    new = np.exp(weights - weights.max(axis=1, keepdims=True))
    new /= new.sum(axis=1, keepdims=True)
    after, _ = values(tree, new)
    d = visits(new if variant.visits else base, tree.start)
    # Means under the base policy; own has mean 0, other has not.
    variance = (base * own**2).sum(axis=1)
    prover_variance = (base * other**2).sum(axis=1) - (base * other).sum(axis=1) ** 2
    alignment = (base * own * other).sum(axis=1)
    gained = (variance if variant.own else prover_variance) + variant.aligned * alignment
    root = np.eye(len(V))[0]
    from_root = visits(new if variant.visits else base, root)
    tries = Q**K if variant.worst else 1.0 - (1.0 - Q) ** K
    slope = K * (1.0 - Q.max(axis=1)) ** (K - 1)
    spread = (base * Q**2).sum(axis=1) - V**2
    mean_tries = (base * tries).sum(axis=1)
    return {
        "improvement": float(tree.start @ (after - V)), "by_advantages": float(d @ (new * own).sum(axis=1)),
        "first_order_gap": abs(float(root @ (after - V)) - g * float(from_root @ gained)), "depth": float(tree.depth), "gain": g,
        "by_prover": variant.sign * float(d @ ((new - base) * other).sum(axis=1)),
        "printed": g * float(tree.start @ (prover_variance + alignment)), "tries_variance": (base * tries**2).sum(axis=1) - mean_tries**2,
        "least_tries_variance": slope**2 * spread, "most_tries_variance": K**variant.power * spread, "tries_alignment": (base * Q * tries).sum(axis=1) - V * mean_tries,
        "least_tries_alignment": slope * spread,
    }  # fmt: skip


@plugin.run(draws_instance=True)
def run(tree: ProverTree, rng: np.random.Generator) -> dict[str, Any]:
    """One step of improvement; a random number of tries for Best-of-K."""
    return measure(tree, rng, Variant())
