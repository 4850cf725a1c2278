"""Mirror descent in preference games, in log space: Nash-MD, self-play (online mirror descent), Hedge, and their kin.

One step from policy pi at rate eta: mix the policy geometrically with an anchor, `m = pi^(1 - pull) anchor^pull / Z`, take the
win rates r against an opponent, and tilt a base policy by `exp(eta r)`. Nash-MD: pull = eta tau, base and opponent the mixture.
Source: Munos et al., arXiv 2312.00886, section 6; Zhang et al., "Iterative Nash Policy Optimization", arXiv 2407.00617 (self-play).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from theorylab.errors import InstanceError
from theorylab.kernels import copy_into, kernel
from theorylab.problems.preference_game import PreferenceGame
from theorylab.problems.record import Array
from theorylab.solvers.elementary import exp_below, fma

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
        copy_into(out, mixture)
    elif code == 1:
        copy_into(out, policy)
    elif code == 2:
        copy_into(out, reference)
    elif code == 3:
        copy_into(out, previous)
    else:
        for i in range(out.size):
            out[i] = np.log((1.0 - pull) * np.exp(policy[i]) + pull * np.exp(reference[i]))


@kernel
def _win_rates(losses, p, r):  # type: ignore[no-untyped-def]
    """r (B, n) = win rates against p (B, n), row b in the game of prompt b % X.

    Four columns at a time stay in registers, for two rows at once where they play one game: each number of the table that is read is used twice. A row's
    sum runs over its columns in one order, whatever rows are beside it.
    """
    rows, n = p.shape
    prompts = losses.shape[0]
    r[:] = 0.0
    b = 0
    while b < rows:
        x = b % prompts
        pair = prompts == 1 and b + 1 < rows
        k = 0
        while k + 3 < n:
            p0, p1, p2, p3 = p[b, k], p[b, k + 1], p[b, k + 2], p[b, k + 3]
            if pair:
                q0, q1, q2, q3 = p[b + 1, k], p[b + 1, k + 1], p[b + 1, k + 2], p[b + 1, k + 3]
                for y in range(n):
                    l0, l1, l2, l3 = losses[x, k, y], losses[x, k + 1, y], losses[x, k + 2, y], losses[x, k + 3, y]
                    r[b, y] = fma(p3, l3, fma(p2, l2, fma(p1, l1, fma(p0, l0, r[b, y]))))
                    r[b + 1, y] = fma(q3, l3, fma(q2, l2, fma(q1, l1, fma(q0, l0, r[b + 1, y]))))
            else:
                for y in range(n):
                    l0, l1, l2, l3 = losses[x, k, y], losses[x, k + 1, y], losses[x, k + 2, y], losses[x, k + 3, y]
                    r[b, y] = fma(p3, l3, fma(p2, l2, fma(p1, l1, fma(p0, l0, r[b, y]))))
            k += 4
        while k < n:
            for row in range(b, b + 2 if pair else b + 1):
                p0 = p[row, k]
                for y in range(n):
                    r[row, y] = fma(p0, losses[x, k, y], r[row, y])
            k += 1
        b += 2 if pair else 1


@kernel
def _descent_kernel(losses, log_reference, log_start, pull, rate, base, opponent, anchor, policies, mixtures):  # type: ignore[no-untyped-def]
    """Row b of the starts plays the game of prompt b % X: a batch of seeds is more rows.

    Step by step for all rows, so that what is written lies side by side; softmax is written out, since a helper that takes arrays counts their references
    in the innermost loops.
    """
    rows, n = log_start.shape
    prompts = losses.shape[0]
    z, other, p, r = np.empty(n), np.empty(n), np.empty((rows, n)), np.empty((rows, n))
    copy_into(policies[0], log_start)
    for t in range(pull.size):
        a, eta = pull[t], rate[t]
        for b in range(rows):
            x = b % prompts
            if a == 1.0 or (anchor == 1 and t > 0):
                for i in range(n):
                    pole = policies[t - 1, b, i] if anchor == 1 and t > 0 else log_reference[x, i]
                    # not 0 * log pi: the start may have zeros
                    z[i] = pole if a == 1.0 else (1.0 - a) * policies[t, b, i] + a * pole
            else:  # the common case by itself: with choices inside it is not done on vectors
                for i in range(n):
                    z[i] = (1.0 - a) * policies[t, b, i] + a * log_reference[x, i]
            top = z[0]
            for i in range(1, n):
                top = max(top, z[i])
            for i in range(n):
                p[b, i] = exp_below(z[i] - top)
            total = 0.0
            for i in range(n):
                total += p[b, i]
            shift, share = top + math.log(total), 1.0 / total
            for i in range(n):
                mixtures[t, b, i] = z[i] - shift
                p[b, i] *= share
            if opponent != MIXTURE:
                _choose(opponent, mixtures[t, b], policies[t, b], log_reference[x], mixtures[max(t - 1, 0), b], a, other)
                for i in range(n):
                    p[b, i] = exp_below(other[i])
        _win_rates(losses, p, r)
        for b in range(rows):
            if base == MIXTURE:
                for i in range(n):
                    z[i] = mixtures[t, b, i] + eta * r[b, i]
            else:
                _choose(
                    base, mixtures[t, b], policies[t, b], log_reference[b % prompts], mixtures[max(t - 1, 0), b], a, other
                )  # fmt: skip
                for i in range(n):
                    z[i] = other[i] + eta * r[b, i]
            top = z[0]
            for i in range(1, n):
                top = max(top, z[i])
            for i in range(n):
                other[i] = exp_below(z[i] - top)
            total = 0.0
            for i in range(n):
                total += other[i]
            shift = top + math.log(total)
            for i in range(n):
                policies[t + 1, b, i] = z[i] - shift


@kernel
def _settle_kernel(losses, log_reference, pull, rate, opponent, most, tolerance, policy):  # type: ignore[no-untyped-def]
    """Constant steps from the reference until no log-probability moves by more than the tolerance; steps used, -1 if never."""
    n = policy.size
    mixture, p, r = np.empty(n), np.empty(n), np.empty(n)
    copy_into(policy, log_reference)
    for t in range(most):
        top = -np.inf
        for i in range(n):
            mixture[i] = (1.0 - pull) * policy[i] + pull * log_reference[i]
            top = max(top, mixture[i])
        for i in range(n):
            p[i] = exp_below(mixture[i] - top)
        total = 0.0
        for i in range(n):
            total += p[i]
        shift, share = top + math.log(total), 1.0 / total
        for i in range(n):
            mixture[i] -= shift
            p[i] = exp_below(policy[i]) if opponent == POLICY else p[i] * share
            r[i] = 0.0
        for k in range(n):
            for y in range(n):
                r[y] += p[k] * losses[k, y]
        top = -np.inf
        for i in range(n):
            mixture[i] += rate * r[i]
            top = max(top, mixture[i])
        for i in range(n):
            p[i] = exp_below(mixture[i] - top)
        total = 0.0
        for i in range(n):
            total += p[i]
        shift = top + math.log(total)
        moved = 0.0
        for i in range(n):
            new = mixture[i] - shift
            moved = max(moved, abs(new - policy[i]))
            policy[i] = new
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
