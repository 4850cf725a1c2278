"""Values of Markov decision processes, enclosed: modified policy iteration that stops on certified bounds.

The stopping rule is MacQueen's: with d = T v - v, the optimal value lies between T v + discount / (1 - discount) min d and the same with max d.
Bounds shrink much faster than the sup-norm of d, so it stops tens of times earlier than a rule on the norm, and it is a proof.

Letters: S states, A actions, N outcomes.
Source: Puterman, "Markov Decision Processes", section 6.6.3 (MacQueen 1966) and section 6.5 (modified policy iteration).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theorylab.errors import SolverError
from theorylab.kernels import kernel
from theorylab.problems.mdp import END, MDP
from theorylab.problems.record import Array

#: Pairs of evaluation sweeps of the current policy between two improvements.
EVALUATION_PAIRS = 3

#: Share of states whose action may still change while the policy is evaluated: evaluating one that will be dropped is lost work.
SETTLED = 0.02


@dataclass(frozen=True)
class Values:
    """low, high (S,): the optimal value lies between them; policy (S,) greedy for them; iterations: improvements made."""

    low: Array
    high: Array
    policy: NDArray[np.int64]
    iterations: int

    @property
    def value(self) -> Array:
        """(S,) the middle of the enclosure."""
        return np.asarray(0.5 * (self.low + self.high))

    @property
    def error(self) -> float:
        """Half the width of the widest enclosure: the value is known to this, in every state."""
        return float(0.5 * (self.high - self.low).max())


@kernel
def improve_sparse(value, out, policy, action_count, offsets, successors, weights, mean_reward):  # type: ignore[no-untyped-def]
    """out (S,) = T value, policy (S,) greedy for it; weights are discount times probability. Returns least and largest T value - value, and the
    number of states whose action changed."""
    least, largest, changes = np.inf, -np.inf, 0
    pair = np.int64(0)
    for s in range(len(value)):
        best, chosen = -np.inf, 0
        for a in range(action_count):
            begin, end = offsets[pair], offsets[pair + 1]
            even, odd = mean_reward[pair], 0.0  # two sums: additions of one wait for each other
            k = begin
            while k + 1 < end:
                even += weights[k] * value[successors[k]]
                odd += weights[k + 1] * value[successors[k + 1]]
                k += 2
            if k < end:
                even += weights[k] * value[successors[k]]
            if even + odd > best:
                best, chosen = even + odd, a
            pair += 1
        changes += policy[s] != chosen
        out[s], policy[s] = best, chosen
        least, largest = min(least, best - value[s]), max(largest, best - value[s])
    return least, largest, changes


@kernel
def evaluate_sparse(value, other, policy, sweeps, room, action_count, offsets, successors, weights, mean_reward):  # type: ignore[no-untyped-def]
    """value (S,) after so many pairs of evaluation sweeps of the policy, by way of other (S,).

    All states at once: sweeps that use what they have just computed shrink the span of the differences, which the bounds rest on, far less.
    The rows of the policy are copied side by side first (room: ends, successors, weights): rows picked out of all come too slowly.
    """
    ends, to, w = room
    n = 0
    for s in range(len(value)):
        pair = s * action_count + policy[s]
        for k in range(offsets[pair], offsets[pair + 1]):
            to[n], w[n] = successors[k], weights[k]
            n += 1
        ends[s] = n
    for _ in range(sweeps):
        for back in range(2):
            source, target = (other, value) if back else (value, other)
            k = 0
            for s in range(len(value)):
                even, odd, end = mean_reward[s * action_count + policy[s]], 0.0, ends[s]
                while k + 1 < end:
                    even += w[k] * source[to[k]]
                    odd += w[k + 1] * source[to[k + 1]]
                    k += 2
                if k < end:
                    even += w[k] * source[to[k]]
                    k += 1
                target[s] = even + odd


def _enclosed(out: Array, least: float, largest: float, discount: float, has_end: bool) -> tuple[Array, Array]:
    """MacQueen's bounds around T v. After the end of an episode nothing changes: a zero belongs among the differences."""
    if has_end:
        least, largest = min(least, 0.0), max(largest, 0.0)
    factor = discount / (1.0 - discount)
    return out + factor * least, out + factor * largest


@dataclass(frozen=True)
class Sparse:
    """What the sweeps over sparse outcomes read; made once for an MDP that is solved more than once. Ends of episodes are left out;
    weights are discount times probability."""

    action_count: int
    offsets: NDArray[np.int64]
    successors: NDArray[np.uint32]
    weights: Array
    mean_reward: Array
    discount: float
    has_end: bool

    @staticmethod
    def of(mdp: MDP) -> Sparse:
        """The MDP as the sweeps want it."""
        _require_discount(mdp.discount)
        inside = mdp.successors != END
        return Sparse(
            mdp.action_count, np.concatenate(([0], np.cumsum(inside)))[mdp.offsets], mdp.successors[inside].astype(np.uint32),
            mdp.discount * mdp.probabilities[inside], mdp.expected_rewards(), mdp.discount, mdp.has_end,
        )  # fmt: skip


def solve(mdp: MDP | Sparse, *, accuracy: float = 1e-8, most: int = 100_000) -> Values:
    """The optimal value of a discounted MDP, enclosed to `accuracy` (sup-norm of half the width), from its sparse outcomes.

    Raises SolverError where the discount is 1, or after `most` improvements (rounding sets in near 1e-15 of the largest value).
    """
    model = mdp if isinstance(mdp, Sparse) else Sparse.of(mdp)
    arguments = model.action_count, model.offsets, model.successors, model.weights, model.mean_reward
    value = np.zeros((len(model.offsets) - 1) // model.action_count)
    room = np.empty(len(value), dtype=np.int64), np.empty_like(model.successors), np.empty_like(model.weights)
    out, policy = np.empty_like(value), np.zeros(len(value), dtype=np.int64)
    for iteration in range(1, most + 1):
        least, largest, changes = improve_sparse(value, out, policy, *arguments)
        low, high = _enclosed(out, least, largest, model.discount, model.has_end)
        if high[0] - low[0] <= 2.0 * accuracy:  # the width is the same in every state
            return Values(low, high, policy, iteration)
        value, out = out, value
        if changes <= SETTLED * len(value):
            evaluate_sparse(value, out, policy, EVALUATION_PAIRS, room, *arguments)
    raise SolverError(f"No enclosure of width {2 * accuracy:g} within {most} improvements: rounding does not allow it.")


def solve_dense(transition: Array, reward: Array, discount: float, *, accuracy: float = 1e-8, most: int = 100_000) -> Values:
    """As solve(), for dense arrays: transition (S, A, S) with rows that sum to 1, reward (S, A). Matrix products do the work."""
    _require_discount(discount)
    S, A = reward.shape
    table, rows = transition.reshape(S * A, S), np.arange(S)
    value = np.zeros(S)
    for iteration in range(1, most + 1):
        q = (table @ value).reshape(S, A)
        q *= discount
        q += reward
        policy = q.argmax(axis=1)
        out = q[rows, policy]
        least, largest = float((out - value).min()), float((out - value).max())
        low, high = _enclosed(out, least, largest, discount, has_end=False)
        if high[0] - low[0] <= 2.0 * accuracy:
            return Values(low, high, policy, iteration)
        value = out
    raise SolverError(f"No enclosure of width {2 * accuracy:g} within {most} improvements: rounding does not allow it.")


def policy_value(process: MDP) -> Array:
    """(S,) expected discounted returns of a process with one action, by a dense linear solve."""
    S = process.state_count
    return np.asarray(np.linalg.solve(np.eye(S) - process.discount * process.transition_matrix(), process.expected_rewards()))


def _require_discount(discount: float) -> None:
    if not 0.0 < discount < 1.0:
        raise SolverError(f"Enclosures need a discount below 1, not {discount:g}.")
