"""Mirror descent in preference games, in log space: Nash-MD, self-play (online mirror descent), Hedge, and their kin.

One step from policy pi at rate eta: mix the policy geometrically with an anchor, `m = pi^(1 - pull) anchor^pull / Z`, take the
win rates r against an opponent, and tilt a base policy by `exp(eta r)`. Nash-MD: pull = eta tau, base and opponent the mixture.
Source: Munos et al., arXiv 2312.00886, section 6; Zhang et al., "Iterative Nash Policy Optimization", arXiv 2407.00617 (self-play).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theorylab.errors import InstanceError
from theorylab.kernels import kernel
from theorylab.problems.preference_game import PreferenceGame
from theorylab.problems.record import Array
from theorylab.solvers.games import log_softmax_kernel, win_rates_kernel

#: What a step can start from or play against. The last three are wrong for every algorithm here; mutants use them.
MIXTURE, POLICY, REFERENCE, PREVIOUS_MIXTURE, ARITHMETIC = range(5)


@dataclass(frozen=True)
class Trace:
    """log_policies (T + 1, [N,] X, n): pi_0 .. pi_T; log_mixtures (T, [N,] X, n): the mixture used at each step."""

    log_policies: Array
    log_mixtures: Array


@kernel
def _choose(code, mixture, policy, reference, previous, pull, out):  # type: ignore[no-untyped-def]
    if code == 0:
        out[:] = mixture
    elif code == 1:
        out[:] = policy
    elif code == 2:
        out[:] = reference
    elif code == 3:
        out[:] = previous
    else:
        for i in range(out.size):
            out[i] = np.log((1.0 - pull) * np.exp(policy[i]) + pull * np.exp(reference[i]))


@kernel
def _descent_kernel(losses, log_reference, log_start, pull, rate, base, opponent, anchor, policies, mixtures):  # type: ignore[no-untyped-def]
    """Row b of the starts plays the game of prompt b % X: a batch of seeds is more rows."""
    steps = pull.size
    rows, n = log_start.shape
    prompts = losses.shape[0]
    z = np.empty(n)
    r = np.empty(n)
    foe = np.empty(n)
    for b in range(rows):
        x = b % prompts
        policies[0, b] = log_start[b]
        for t in range(steps):
            policy = policies[t, b]
            mixture = mixtures[t, b]
            previous = mixtures[max(t - 1, 0), b]
            pole = log_reference[x]
            if anchor == 1 and t > 0:
                pole = policies[t - 1, b]
            if pull[t] == 1.0:  # not 0 * log pi: the start may have zeros
                z[:] = pole
            else:
                for i in range(n):
                    z[i] = (1.0 - pull[t]) * policy[i] + pull[t] * pole[i]
            log_softmax_kernel(z, mixture)
            _choose(opponent, mixture, policy, log_reference[x], previous, pull[t], foe)
            win_rates_kernel(losses[x], foe, r)
            _choose(base, mixture, policy, log_reference[x], previous, pull[t], z)
            for i in range(n):
                z[i] += rate[t] * r[i]
            log_softmax_kernel(z, policies[t + 1, b])


@kernel
def _settle_kernel(losses, log_reference, pull, rate, opponent, most, tolerance, policy):  # type: ignore[no-untyped-def]
    """Constant steps from the reference until no log-probability moves by more than the tolerance; steps used, -1 if never."""
    n = policy.size
    mixture = np.empty(n)
    z = np.empty(n)
    r = np.empty(n)
    new = np.empty(n)
    policy[:] = log_reference
    for t in range(most):
        for i in range(n):
            z[i] = (1.0 - pull) * policy[i] + pull * log_reference[i]
        log_softmax_kernel(z, mixture)
        if opponent == 1:
            win_rates_kernel(losses, policy, r)
        else:
            win_rates_kernel(losses, mixture, r)
        for i in range(n):
            z[i] = mixture[i] + rate * r[i]
        log_softmax_kernel(z, new)
        moved = 0.0
        for i in range(n):
            moved = max(moved, abs(new[i] - policy[i]))
            policy[i] = new[i]
        if moved <= tolerance:
            return t + 1
    return -1


def losses_of(preference: Array) -> Array:
    """(X, n, n) contiguous with `losses[x, z, y] = P[x, y, z]`: the layout the kernels sweep."""
    return np.ascontiguousarray(preference.transpose(0, 2, 1))


def mirror_descent(
    game: PreferenceGame,
    log_start: Array,
    pull: Array,
    rate: Array,
    *,
    base: int = MIXTURE,
    opponent: int = MIXTURE,
    anchor: int = 0,
    preference: Array | None = None,
) -> Trace:
    """Every iterate of a mirror descent in the game.

    log_start   (X, n), or (N, X, n) for a batch of N seeds: log of the first policies; may hold -inf where pull[0] = 1
    pull, rate  (T,)    exponent of the anchor, in [0, 1], and learning rate, per step
    anchor      0: the reference, 1: the previous iterate
    preference  (X, n, n) played instead of the game's table, if given

    With a batch the iterates have shape (T + 1, N, X, n), equal to the bit to N separate calls.
    Cost O(T N X n^2); memory O(T N X n). The GIL is released: threads may share the seeds.
    """
    if pull.shape != rate.shape:
        raise InstanceError(f"pull has {pull.size} steps, rate {rate.size}: they must agree.")
    shape, n = log_start.shape, game.action_count
    if log_start.ndim not in (2, 3) or shape[-2:] != game.preference.shape[:2]:
        raise InstanceError(f"log_start has shape {shape}, expected {game.preference.shape[:2]}, after a seed axis at most.")
    starts = np.ascontiguousarray(log_start).reshape(-1, n)
    policies = np.empty((pull.size + 1, *starts.shape))
    mixtures = np.empty((pull.size, *starts.shape))
    losses = losses_of(game.preference if preference is None else preference)
    _descent_kernel(
        losses,
        game.log_reference,
        starts,
        pull,
        rate,
        base,
        opponent,
        anchor,
        policies,
        mixtures,
    )
    return Trace(policies.reshape(-1, *shape), mixtures.reshape(-1, *shape))


def constant_step_limit(
    game: PreferenceGame,
    pull: float,
    rate: float,
    *,
    opponent: int = MIXTURE,
    most: int = 20_000,
    tolerance: float = 1e-13,
) -> Array | None:
    """(X, n) where constant steps from the reference settle, or None if some prompt does not within `most` steps."""
    assert game.log_reference is not None
    log_policy = np.empty_like(game.log_reference)
    losses = losses_of(game.preference)
    for x in range(log_policy.shape[0]):
        if _settle_kernel(losses[x], game.log_reference[x], pull, rate, opponent, most, tolerance, log_policy[x]) < 0:
            return None
    return log_policy
