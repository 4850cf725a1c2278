"""One pull of the gradient bandit: the policy, the increment of the logits, and its broken forms.

The increment itself is computed, never the difference of two stored logits: near a vertex of the simplex that difference has no
correct digit. Letters: K arms, pi the policy, A the arm pulled, x its reward, eta the step size.
"""

from __future__ import annotations

import math

import numpy as np

from theorylab.kernels import kernel

#: What an update does. CORRECT is theta += eta x (e_A - pi); each other form has one mistake.
(
    CORRECT,
    PLUS_SIGN,
    PULLED_ONLY,
    NO_ONE_MINUS,
    NOTHING_SUBTRACTED,
    IMPORTANCE,
    FLIPPED,
    CLIPPED,
    TEMPERED,
    STALE,
    IN_PLACE,
    SINGLE,
    NO_MAXIMUM,
) = range(13)


@kernel
def policy_of(theta, form, policy, rest):  # type: ignore[no-untyped-def]
    """Fill policy (K,) = softmax(theta) and rest (K,) = 1 - policy, summed without cancellation."""
    K = theta.size
    top = 0.0 if form == NO_MAXIMUM else theta.max()
    total = 0.0
    for a in range(K):
        policy[a] = math.exp(theta[a] - top)
        if form == SINGLE:
            policy[a] = np.float32(policy[a])
        total += policy[a]
    before = 0.0
    for a in range(K):
        policy[a] /= total
        if form == SINGLE:
            policy[a] = np.float32(policy[a])
        rest[a] = before
        before += policy[a]
    after = 0.0
    for a in range(K - 1, -1, -1):
        rest[a] += after
        after += policy[a]


@kernel
def increment(theta, policy, rest, earlier, arm, reward, eta, form, out):  # type: ignore[no-untyped-def]
    """Fill out (K,) with the change of the logits after `arm` paid `reward`; `earlier` is the policy of one pull before."""
    K = theta.size
    if form == FLIPPED:
        reward = -reward
    elif form == CLIPPED:
        reward = max(reward, 0.0)
    elif form == IMPORTANCE:
        reward = reward / policy[arm]
    step = eta * reward
    if form == TEMPERED:
        other, others = np.empty(K), np.empty(K)
        policy_of(0.5 * theta, CORRECT, other, others)
        for a in range(K):
            out[a] = -step * other[a]
        out[arm] = step * others[arm]
        return
    if form == IN_PLACE:
        # Each arm sees the policy of logits that the arms before it have already moved.
        total = 1.0
        for a in range(K):
            out[a] = step * (total - policy[a]) / total if a == arm else -step * policy[a] / total
            total += policy[a] * math.expm1(out[a])
        return
    for a in range(K):
        if form in (PULLED_ONLY, NOTHING_SUBTRACTED):
            out[a] = 0.0
        elif form == STALE:
            out[a] = -step * earlier[a]
        else:
            out[a] = step * policy[a] if form == PLUS_SIGN else -step * policy[a]
    if form in (NO_ONE_MINUS, NOTHING_SUBTRACTED):
        out[arm] = step
    elif form == STALE:
        out[arm] += step
    else:
        out[arm] = step * rest[arm]
