"""Exact softmax policy gradient: deterministic ascent on a bandit with rewards in [0, 1], and on small discounted MDPs.

Source: Mei, Xiao, Szepesvari, Schuurmans, "On the Global Convergence Rates of Softmax Policy Gradient Methods", ICML 2020,
arXiv 2005.06392.
"""

from __future__ import annotations

import math

import numpy as np

from theorylab.kernels import copy_into, kernel

from .one_step import gradient_of
from .updates import CORRECT, policy_of

#: What an exact step does. PLAIN is theta += eta pi o (r - f); each other form has one mistake.
PLAIN, NO_VALUE, NATURAL, ROOT, TWICE_VALUE, NEGATED, DECAYING = range(7)

#: The same on MDPs: occupancies that do not sum to one, and no step at all.
SHRUNK, FROZEN = range(7, 9)


@kernel
def ascend(start, rewards, eta, form, checkpoints, stars, theta, gap, regret, lowest):  # type: ignore[no-untyped-def]
    """Ascent for T = checkpoints[-1] steps from `start` (K,).

    At each checkpoint, before its step: theta (C, K), gap delta_t, regret delta_1 + .. + delta_t, lowest (C,) min_{s <= t} pi_s(a*), the
    optimal arms `stars` taken together. Returns the largest rise of delta in one step, and the largest fall of pi(a*).
    """
    K = start.size
    current = start.copy()
    policy, rest, gradient = np.empty(K), np.empty(K), np.empty(K)
    best = rewards.max()
    total, least, rise, fall = 0.0, 1.0, -np.inf, -np.inf
    last_delta = last_star = 0.0
    at = 0
    for t in range(1, checkpoints[-1] + 1):
        policy_of(current, CORRECT, policy, rest)
        delta = star = value = 0.0
        for a in range(K):
            delta += policy[a] * (best - rewards[a])
            value += policy[a] * rewards[a]
            if stars[a]:
                star += policy[a]
        total += delta
        least = min(least, star)
        if t > 1:
            rise = max(rise, delta - last_delta)
            fall = max(fall, last_star - star)
        last_delta, last_star = delta, star
        if t == checkpoints[at]:
            copy_into(theta[at], current)
            gap[at], regret[at], lowest[at] = delta, total, least
            at += 1
        gradient_of(policy, rewards, gradient)
        step = eta / t if form == DECAYING else eta
        for a in range(K):
            if form == NO_VALUE:
                direction = policy[a] * rewards[a]
            elif form == NATURAL:
                direction = rewards[a] - value
            elif form == ROOT:
                direction = math.sqrt(policy[a]) * (rewards[a] - value)
            elif form == TWICE_VALUE:
                direction = policy[a] * (rewards[a] - 2.0 * value)
            elif form == NEGATED:
                direction = -gradient[a]
            else:
                direction = gradient[a]
            current[a] += step * direction
    return rise, fall


@kernel
def mdp_quantities(theta, transition, reward, discount, start, policy, gradient, value, form):  # type: ignore[no-untyped-def]
    """The softmax policy of theta (S, A): fills policy and gradient (S, A) of V(start), and value (S,); returns the occupancy (S,).

    gradient(s, a) = d(s) pi(a|s) A(s, a) / (1 - discount), d the normalised discounted occupancy from `start`.
    Source: the policy gradient theorem, in the form of arXiv 2005.06392, Lemma 1.
    """
    S, A = theta.shape
    rest = np.empty(A)
    chain, gain = np.zeros((S, S)), np.zeros(S)
    for s in range(S):
        policy_of(theta[s], CORRECT, policy[s], rest)
        for a in range(A):
            gain[s] += policy[s, a] * reward[s, a]
            for z in range(S):
                chain[s, z] += policy[s, a] * transition[s, a, z]
    visits = np.linalg.inv(np.eye(S) - discount * chain)  # from each state to each, discounted
    copy_into(value, visits @ gain)
    occupancy = (1.0 - discount) * (visits.T @ start)
    for s in range(S):
        for a in range(A):
            action_value = reward[s, a]
            for z in range(S):
                action_value += discount * transition[s, a, z] * value[z]
            gradient[s, a] = occupancy[s] * policy[s, a] * (action_value - value[s])
            if form != SHRUNK:
                gradient[s, a] /= 1.0 - discount
            if form == NEGATED:
                gradient[s, a] = -gradient[s, a]
    return occupancy


@kernel
def ascend_mdp(theta, transition, reward, discount, start, eta, best_action, steps, form, values, lowest):  # type: ignore[no-untyped-def]
    """Ascent on V(start); values (T, S) of the policies, lowest (T,) = min over states and steps so far of pi(a*(s)|s)."""
    S, A = theta.shape
    current = theta.copy()
    policy, gradient = np.empty((S, A)), np.empty((S, A))
    least = 1.0
    for t in range(steps):
        mdp_quantities(current, transition, reward, discount, start, policy, gradient, values[t], form)
        for s in range(S):
            least = min(least, policy[s, best_action[s]])
        lowest[t] = least
        if form != FROZEN:
            current += eta * gradient
