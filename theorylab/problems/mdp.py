"""Finite Markov decision processes, sparse throughout: a list of outcomes for each state and action.

An outcome is (probability, reward, next state); next state -1 ends the episode, after which nothing is earned. All states have the
same actions. A Markov reward process is one with a single action.

Letters: S states, A actions, N outcomes in all; pair s * A + a.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from theorylab.errors import InstanceError
from theorylab.problems.record import Array, Instance, float_array

Integers = NDArray[np.int64]

#: Next state of an outcome that ends the episode.
END = -1

#: Largest |sum - 1| of the probabilities of a pair that is mended by dividing: what is left after printing nine digits.
SUM_TOLERANCE = 1e-9

#: Outcomes accepted: 24 bytes each, and a solver keeps a few copies.
MAX_OUTCOMES = 50_000_000

#: (probability, reward, next state) in exact arithmetic, by state and action.
ExactTable = list[list[list[tuple[Fraction, Fraction, int]]]]


@dataclass(frozen=True, eq=False)
class MDP(Instance):
    """A finite Markov decision process.

    offsets        (S A + 1,) integers: outcomes of pair k are those from offsets[k] to offsets[k + 1]
    successors     (N,) integers in -1..S-1: next states, -1 where the episode ends
    probabilities  (N,) of the outcomes; those of a pair sum to 1
    rewards        (N,)
    discount       in (0, 1]
    action_count   A
    start          the state in which episodes begin, for those who ask about one
    states, actions  labels
    """

    kind: ClassVar[str] = "mdp"

    offsets: Integers
    successors: Integers
    probabilities: Array
    rewards: Array
    discount: float = 0.9
    action_count: int = 1
    start: int = 0
    states: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if np.size(self.successors) > MAX_OUTCOMES:
            raise InstanceError(f"{np.size(self.successors)} outcomes, at most {MAX_OUTCOMES} fit. Drop states or actions.")
        A = self.action_count
        if isinstance(A, bool) or not isinstance(A, (int, np.integer)) or A < 1:
            raise InstanceError(f"action_count = {A!r} must be an integer of at least 1.")
        object.__setattr__(self, "action_count", int(A))
        offsets, successors = self._integers("offsets"), self._integers("successors")
        if len(offsets) < 2 or (len(offsets) - 1) % A:
            raise InstanceError(f"offsets has {len(offsets)} entries, expected states x {A} actions + 1.")
        if offsets[0] != 0 or offsets[-1] != len(successors) or (np.diff(offsets) < 0).any():
            raise InstanceError(f"offsets must rise from 0 to the number of outcomes, {len(successors)}.")
        self.check_index("start", self.state_count, "state")
        self.set_labels("states", self.state_count, "state")
        self.set_labels("actions", A, "action")
        if (np.diff(offsets) == 0).any():
            k = int(np.argmax(np.diff(offsets) == 0))
            raise InstanceError(f"{self.pair_name(k)} has no outcome. Add one, or let the episode end there (next state -1).")
        bad = (successors < END) | (successors >= self.state_count)
        if bad.any():
            i = int(np.argmax(bad))
            raise InstanceError(
                f"successors[{i}] = {successors[i]}: next states are 0 to {self.state_count - 1}, or -1 where the episode ends."
            )
        self.frozen_array("rewards", (len(successors),))
        self._normalise(offsets)
        if isinstance(self.discount, bool) or not isinstance(self.discount, (int, float)):
            raise InstanceError(f"discount is {self.discount!r}, not a number.")
        if not 0.0 < self.discount <= 1.0:
            raise InstanceError(f"discount = {self.discount!r} lies outside (0, 1].")
        object.__setattr__(self, "discount", float(self.discount))

    def _integers(self, name: str) -> Integers:
        values = float_array(getattr(self, name), name)
        if values.ndim != 1 or not (np.isfinite(values).all() and (values == np.floor(values)).all()):
            raise InstanceError(f"{name} must be a list of integers.")
        integers = values.astype(np.int64)
        integers.flags.writeable = False
        object.__setattr__(self, name, integers)
        return integers

    def _normalise(self, offsets: Integers) -> None:
        """Keep rows as they are up to 1e-12 (so that files round-trip), divide by their sum up to SUM_TOLERANCE."""
        probabilities = self.frozen_array("probabilities", (len(self.successors),), low=0.0, high=1.0)
        sums = np.add.reduceat(probabilities, offsets[:-1])
        worst = int(np.argmax(np.abs(sums - 1.0)))
        if abs(sums[worst] - 1.0) > SUM_TOLERANCE:
            raise InstanceError(
                f"the probabilities of {self.pair_name(worst)} sum to {sums[worst]:.12g}, not 1 (tolerance {SUM_TOLERANCE:g}). "
                "Divide by the sum if these are counts."
            )
        if abs(sums[worst] - 1.0) > 1e-12:
            divided = probabilities / np.repeat(sums, np.diff(offsets))
            divided.flags.writeable = False
            object.__setattr__(self, "probabilities", divided)

    @property
    def state_count(self) -> int:
        """S, the number of states."""
        return (len(self.offsets) - 1) // self.action_count

    @property
    def has_end(self) -> bool:
        """Whether some outcome ends the episode."""
        return bool((self.successors == END).any())

    @property
    def reward_bound(self) -> float:
        """Largest |reward| of any outcome."""
        return float(np.abs(self.rewards).max())

    def return_range(self) -> tuple[float, float]:
        """(low, high): no return of a whole run lies outside, whatever the policy. Infinite where the discount is 1.

        A run that ends after n steps earns a mean of what an endless run of its rewards would earn and of its last reward.
        """
        goes_on = self.successors != END
        if self.discount < 1.0:
            values = np.concatenate((self.rewards[~goes_on], self.rewards[goes_on] / (1.0 - self.discount)))
        else:
            values = np.array([-np.inf, np.inf])
        return float(values.min()), float(values.max())

    def pair_name(self, k: int) -> str:
        """State and action of a pair, for people."""
        return f"state {self.states[k // self.action_count]!r}, action {self.actions[k % self.action_count]!r}"

    def outcomes_of(self, state: int, action: int) -> slice:
        """Where the outcomes of a state and an action are."""
        k = state * self.action_count + action
        return slice(int(self.offsets[k]), int(self.offsets[k + 1]))

    def under(self, policy: Array) -> MDP:
        """The Markov reward process of a policy (S, A): one action, outcomes weighted by the policy, impossible ones left out."""
        weight = np.repeat(np.asarray(policy, dtype=np.float64).ravel(), np.diff(self.offsets)) * self.probabilities
        keep = weight > 0.0
        ends = np.concatenate(([0], np.cumsum(keep)))[self.offsets]
        return MDP(
            ends[:: self.action_count],
            self.successors[keep],
            weight[keep],
            self.rewards[keep],
            self.discount,
            1,
            self.start,
            self.states,
        )

    def transition_matrix(self) -> Array:
        """(S A, S) dense: probability of each next state; rows of pairs that may end sum to less than 1."""
        S = self.state_count
        out = np.zeros(((len(self.offsets) - 1), S))
        pair = np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))
        inside = self.successors != END
        np.add.at(out, (pair[inside], self.successors[inside]), self.probabilities[inside])
        return out

    def expected_rewards(self) -> Array:
        """(S A,) mean reward of each pair."""
        return np.asarray(np.add.reduceat(self.probabilities * self.rewards, self.offsets[:-1]))

    def __repr__(self) -> str:
        return f"MDP({self.state_count} states, {self.action_count} actions, discount={self.discount:g}, {self.digest()})"


def from_table(table: Sequence[Sequence[Sequence[Sequence[Any]]]], discount: float, **more: Any) -> MDP:
    """An MDP from `table[s][a] = [(probability, reward, next state), ...]`; next state -1 or None ends the episode."""
    offsets, successors, probabilities, rewards = [0], [], [], []
    width = len(table[0]) if len(table) else 0
    for s, actions in enumerate(table):
        if len(actions) != width or width == 0:
            raise InstanceError(
                f"state {s} has {len(actions)} actions, state 0 has {width}: all states need the same, at least 1."
            )
        for a, outcomes in enumerate(actions):
            for i, outcome in enumerate(outcomes):
                if len(outcome) != 3:
                    raise InstanceError(
                        f"outcomes[{s}][{a}][{i}] has {len(outcome)} entries: write [probability, reward, next state]."
                    )
                probabilities.append(outcome[0])
                rewards.append(outcome[1])
                successors.append(END if outcome[2] is None else outcome[2])
            offsets.append(len(successors))
    p, r = (np.array([float(x) for x in column]) for column in (probabilities, rewards))
    return MDP(np.array(offsets), np.array(successors, dtype=np.int64), p, r, float(discount), width, **more)


def from_arrays(transition: Any, reward: Any, discount: float, **more: Any) -> MDP:
    """An MDP from dense arrays: transition (S, A, S), or (S, S) for one action; reward (S,), (S, A) or (S, A, S)."""
    transition, reward = float_array(transition, "transition"), float_array(reward, "reward")
    if transition.ndim == 2:
        transition = transition[:, None, :]
    if transition.ndim != 3 or transition.shape[0] != transition.shape[2] or 0 in transition.shape:
        raise InstanceError(f"transition has shape {transition.shape}, expected states x actions x states.")
    S, A = transition.shape[:2]
    shapes = {(S,): reward.reshape(-1, 1, 1) if reward.ndim == 1 else None, (S, A): reward[..., None], (S, A, S): reward}
    if reward.shape not in shapes:
        raise InstanceError(f"reward has shape {reward.shape}, expected ({S},), ({S}, {A}) or ({S}, {A}, {S}).")
    full = np.broadcast_to(shapes[reward.shape], transition.shape)
    keep = transition != 0.0
    offsets = np.concatenate(([0], np.cumsum(keep.sum(axis=2).ravel())))
    return MDP(offsets, np.nonzero(keep)[2], transition[keep], full[keep], discount, A, **more)


def exact(x: float) -> Fraction:
    """The simplest fraction that the float stands for: 1/3 for 0.333..., 9/10 for 0.9; the float's own value if none is simple."""
    simple = Fraction(x).limit_denominator(10**6)
    return simple if float(simple) == x else Fraction(x)


def exact_table(mdp: MDP) -> ExactTable:
    """Outcomes in exact arithmetic, duplicates merged. Each number is the simplest fraction that its float stands for; rows are
    divided by their sum where the fractions do not add to 1."""
    table: ExactTable = []
    for s in range(mdp.state_count):
        row = []
        for a in range(mdp.action_count):
            at = mdp.outcomes_of(s, a)
            merged: dict[tuple[Fraction, int], Fraction] = {}
            for p, r, to in zip(mdp.probabilities[at], mdp.rewards[at], mdp.successors[at], strict=True):
                if p > 0.0:
                    key = (exact(float(r)), int(to))
                    merged[key] = merged.get(key, Fraction(0)) + exact(float(p))
            total = sum(merged.values(), Fraction(0))
            row.append([(p / total, r, to) for (r, to), p in merged.items()])
        table.append(row)
    return table
