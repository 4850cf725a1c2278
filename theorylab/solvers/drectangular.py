"""Planning against an adversary that moves each factor of a linear MDP on its own: exact dynamic programming, by penalties or within balls.

Q_h(s, a) = <phi(s, a), theta_h + nu_h>, nu_(h, i) = inf_p { E_p V_(h+1) + strength D(p, mu_(h, i)) } (or inf over a ball), V_h = max_a Q_h.

Letters: H steps, S states, A actions, d features. Kinds of adversaries are those of `theorylab.solvers.robust`.
Source: Tang, Liu, Xu, "Robust Offline Reinforcement Learning with Linearly Structured f-Divergence Regularization", arXiv 2411.18612; Liu, Xu,
"Minimax Optimal and Computationally Efficient Algorithms for Distributionally Robust Offline Reinforcement Learning", arXiv 2403.09621.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theorylab.kernels import copy_into, kernel
from theorylab.problems.linear_mdp import LinearMDP
from theorylab.problems.record import Array
from theorylab.solvers.robust import inner

Policy = NDArray[np.int64]

#: No adversary: the nominal model.
NOMINAL = -1

#: The metric, its order and the room that only Wasserstein's adversary needs.
_NO_METRIC = (np.zeros((1, 1)), np.zeros((1, 1), dtype=np.int64), np.zeros((4, 1)))


@kernel
def plan_backwards(kind, strength, features, theta, factors, action_count, fixed, out, metric, near, room):  # type: ignore[no-untyped-def]
    """Values from the last step to the first; `fixed` (H, S) is a policy to be followed, or -1 for the best action."""
    value, policy, nu, worst = out
    H, S = fixed.shape
    value[H] = 0.0
    for h in range(H - 1, -1, -1):
        order = np.argsort(value[h + 1])
        for i in range(factors.shape[1]):
            if kind < 0:
                copy_into(worst[h, i], factors[h, i])
                nu[h, i] = factors[h, i] @ value[h + 1]
            else:
                nu[h, i] = inner(kind, strength[h, i], value[h + 1], factors[h, i], order, metric, near, room, worst[h, i])
        for s in range(S):
            best, chosen = -np.inf, 0
            for a in range(action_count):
                if fixed[h, s] >= 0 and a != fixed[h, s]:
                    continue
                q = 0.0
                for i in range(factors.shape[1]):
                    q += features[s * action_count + a, i] * (theta[h, i] + nu[h, i])
                if q > best:
                    best, chosen = q, a
            value[h, s], policy[h, s] = best, chosen


@dataclass(frozen=True)
class RobustPlan:
    """value (H + 1, S), policy (H, S), nu (H, d) worst expectations of the factors, worst (H, d, S) where they are attained."""

    value: Array
    policy: Policy
    nu: Array
    worst: Array


def plan(model: LinearMDP, kind: int, strength: Array | float, policy: Policy | None = None) -> RobustPlan:
    """The best policy against an adversary and its worst-case value, or the worst-case value of `policy` (H, S).

    kind: a penalty or ball of `theorylab.solvers.robust` but Wasserstein's, or NOMINAL; strength (H, d) or a number: its price or radius.
    """
    H, S, d = model.horizon, model.state_count, model.dimension
    fixed = np.full((H, S), -1) if policy is None else np.ascontiguousarray(policy, dtype=np.int64)
    out = np.zeros((H + 1, S)), np.zeros((H, S), dtype=np.int64), np.zeros((H, d)), np.zeros((H, d, S))
    plan_backwards(
        kind, np.array(np.broadcast_to(np.asarray(strength, dtype=np.float64), (H, d))), model.pairs, model.theta, np.array(model.factors),
        model.action_count, fixed, out, *_NO_METRIC,
    )  # fmt: skip
    return RobustPlan(*out)


@kernel
def worst_of(kind, strength, value, factors, metric, near, room, nu, worst):  # type: ignore[no-untyped-def]
    """nu (H, d) and worst (H, d, S) of values (H + 1, S) that are given."""
    for h in range(len(nu)):
        order = np.argsort(value[h + 1])
        for i in range(nu.shape[1]):
            nu[h, i] = inner(kind, strength, value[h + 1], factors[h, i], order, metric, near, room, worst[h, i])


def worst_factors(factors: Array, kind: int, strength: float, value: Array) -> tuple[Array, Array]:
    """(nu (H, d), worst (H, d, S)) of factors (H, d, S) against values (H + 1, S): step h faces those of step h + 1."""
    nu, worst = np.zeros(factors.shape[:2]), np.zeros(factors.shape)
    worst_of(kind, float(strength), np.array(value), np.array(factors), *_NO_METRIC, nu, worst)
    return nu, worst


@kernel
def sum_backwards(kind, radius, features, policy, factors, amounts, total, value, metric, near, room, worst):  # type: ignore[no-untyped-def]
    """total (S,) of amounts (H, S, A) along a policy; kind < 0: where `factors` are played, else largest over balls around them."""
    H, d, S = factors.shape
    A = amounts.shape[2]
    mean = np.empty(d)
    total[:] = 0.0
    for h in range(H - 1, -1, -1):
        for s in range(S):
            value[s] = -total[s]
        order = np.argsort(value)
        for i in range(d):
            if kind < 0:
                mean[i] = factors[h, i] @ total
            else:
                mean[i] = -inner(kind, radius[h], value, factors[h, i], order, metric, near, room, worst)
        for s in range(S):
            a = policy[h, s]
            total[s] = amounts[h, s, a]
            for i in range(d):
                total[s] += features[s * A + a, i] * mean[i]


def expected_sum(model: LinearMDP, policy: Policy, factors: Array, amounts: Array) -> Array:
    """(S,) sum over steps of the mean of amounts (H, S, A) along a policy (H, S), from each state, where factors (H, d, S) are played."""
    return _summed(model, policy, NOMINAL, np.zeros(model.horizon), factors, amounts)


def largest_sum(model: LinearMDP, policy: Policy, kind: int, radius: Array, amounts: Array) -> Array:
    """(S,) the same sum, largest over all factors within radius (H,) of the nominal ones, step by step; kind: a ball."""
    return _summed(model, policy, kind, radius, model.factors, amounts)


def _summed(model: LinearMDP, policy: Policy, kind: int, radius: Array, factors: Array, amounts: Array) -> Array:
    total, value, worst = np.zeros((3, model.state_count))
    sum_backwards(
        kind, np.array(radius), model.pairs, policy, np.array(factors), np.array(amounts), total, value, *_NO_METRIC, worst
    )
    return total


def rectangular_value(model: LinearMDP, kind: int, strength: float) -> Array:
    """(H + 1, S) the best value where the adversary may move every state's and action's law on its own, at the same price."""
    S, A = model.state_count, model.action_count
    value = np.zeros((model.horizon + 1, S))
    for h in range(model.horizon - 1, -1, -1):
        nu, _ = worst_factors(model.transition(h)[None], kind, strength, np.stack((value[h + 1], value[h + 1])))
        value[h] = (model.pairs @ model.theta[h] + nu[0]).reshape(S, A).max(axis=1)
    return value
