"""Linear mixture Markov decision processes of finite horizon, with a list of rewards that are to be planned for.

The next state's law is a combination of d known kernels with unknown weights, P(s' | s, a) = sum_i features_i(s' | s, a) theta_i, the same at every
step. Features may be signed measures. A value function V has the coordinates psi_V(s, a) = sum_s' features(s' | s, a) V(s'), and P V = <psi_V, theta>.

Letters: N rewards, H steps, S states, A actions, d features; pair s * A + a.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from theorylab.errors import InstanceError
from theorylab.problems.mdp import END, MDP
from theorylab.problems.record import Array, Instance, float_array

#: Entries of a dense table: 8 bytes each, and solvers keep a few copies.
MAX_ENTRIES = 20_000_000

#: Rounding that norms, laws and totals may show.
ROUNDING = 1e-9


class Features(NamedTuple):
    """Features as kernels read them: those of pair k are `active[offsets[k]:offsets[k + 1]]`, each with a row of S numbers."""

    offsets: NDArray[np.int64]
    active: NDArray[np.int64]
    rows: Array


@dataclass(frozen=True, eq=False)
class LinearMixture(Instance):
    """A linear mixture MDP and rewards.

    features  (S, A, d, S), scaled such that ||psi_V(s, a)||_2 <= 1 for all V from 0 to 1
    theta     (d,) weights: features combined are the law of the next state
    rewards   (N, H, S, A) nonnegative, at most 1 in total along every path
    bound     B >= ||theta||_2, known to the learner
    start     the state in which episodes begin
    states, actions, names  labels of states, actions and rewards
    scales, lows  (N,) what a total of 1 and a reward of 0 at every step are in their owner's units: total = scale * V + H * low
    model     (d,) another kernel's weights, or empty: an estimate to compare with the truth
    grams     (3, d, d) Gram matrices, or empty: two for uncertainty, the second at least the first, and one for optimism
    """

    kind: ClassVar[str] = "linear-mixture"

    features: Array
    theta: Array
    rewards: Array
    bound: float = 1.0
    start: int = 0
    states: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    scales: Array | tuple[()] = ()
    lows: Array | tuple[()] = ()
    model: Array | tuple[()] = ()
    grams: Array | tuple[()] = ()

    def __post_init__(self) -> None:
        for name in ("features", "rewards"):
            if np.size(getattr(self, name)) > MAX_ENTRIES:
                raise InstanceError(f"{name} has {np.size(getattr(self, name)):,} entries, at most {MAX_ENTRIES:,} fit.")
        shape = self.frozen_array("features", (None, None, None, None)).shape
        S, A, d = shape[:3]
        if shape[3] != S:
            raise InstanceError(f"features has shape {shape}, expected states x actions x features x states.")
        self.frozen_array("theta", (d,))
        N = len(self.frozen_array("rewards", (None, None, S, A), low=0.0, high=1.0 + ROUNDING))
        self.check_index("start", S, "state")
        self.set_labels("states", S, "state")
        self.set_labels("actions", A, "action")
        self.set_labels("names", N, "reward")
        for name, default in (("scales", 1.0), ("lows", 0.0)):
            if np.size(getattr(self, name)) == 0:
                object.__setattr__(self, name, np.full(N, default))
            self.frozen_array(name, (N,))
        for name, wanted in (("model", (d,)), ("grams", (3, d, d))):
            if np.size(getattr(self, name)):
                self.frozen_array(name, wanted)
            else:
                object.__setattr__(self, name, ())
        self._check_norms()
        self._check_law("theta", self.theta)
        if np.size(self.model):
            self._check_law("model", np.asarray(self.model))
        self._check_totals()

    def _check_norms(self) -> None:
        if isinstance(self.bound, bool) or not isinstance(self.bound, (int, float)) or not 0.0 < self.bound < np.inf:
            raise InstanceError(f"bound = {self.bound!r} must be a positive number.")
        object.__setattr__(self, "bound", float(self.bound))
        norm = float(np.linalg.norm(self.theta))
        if norm > self.bound * (1.0 + ROUNDING):
            raise InstanceError(f"||theta|| = {norm:.9g} exceeds bound = {self.bound:.9g}. Give a larger bound.")
        each = np.maximum(np.maximum(self.features, 0.0).sum(axis=3), np.maximum(-self.features, 0.0).sum(axis=3))
        largest = float(np.sqrt((each**2).sum(axis=2)).max())
        if largest > 1.0 + ROUNDING:
            raise InstanceError(
                f"features: ||psi_V|| may reach {largest:.6g} for some V from 0 to 1, at most 1 is allowed. Divide features by {largest:.6g}, "
                "and multiply theta and bound by it."
            )

    def _check_law(self, name: str, weights: Array) -> None:
        law = np.einsum("saij,i->saj", self.features, weights)
        if law.min() < -ROUNDING:
            at = tuple(map(int, np.unravel_index(int(law.argmin()), law.shape)))
            raise InstanceError(
                f"{name}: the probability of state {at[2]} after state {at[0]}, action {at[1]} comes out as {law.min():.9g}."
            )
        off = np.abs(law.sum(axis=2) - 1.0)
        if off.max() > ROUNDING:
            s, a = map(int, np.unravel_index(int(off.argmax()), off.shape))
            raise InstanceError(f"{name}: probabilities after state {s}, action {a} sum to {law[s, a].sum():.12g}, not 1.")

    def _check_totals(self) -> None:
        possible = self.transition.reshape(self.state_count, self.action_count, -1) > 0.0
        most = largest_totals(self.rewards, possible)
        if most.max() > 1.0 + ROUNDING:
            n = int(most.argmax())
            raise InstanceError(
                f"rewards[{n}]: some path earns {most[n]:.9g} in total, at most 1 is allowed. Divide the rewards by it (and note it in scales)."
            )

    @property
    def state_count(self) -> int:
        """S."""
        return int(self.features.shape[0])

    @property
    def action_count(self) -> int:
        """A."""
        return int(self.features.shape[1])

    @property
    def dimension(self) -> int:
        """d."""
        return int(self.features.shape[2])

    @property
    def horizon(self) -> int:
        """H."""
        return int(self.rewards.shape[1])

    @cached_property
    def transition(self) -> Array:
        """(S A, S) law of the next state, rounding errors mended."""
        law = np.einsum("saij,i->saj", self.features, self.theta).reshape(-1, self.state_count)
        law = np.where(law < 1e-15, 0.0, law)
        return np.asarray(law / law.sum(axis=1, keepdims=True))

    @cached_property
    def sparse(self) -> Features:
        """The features of each pair that are not zero."""
        flat = self.features.reshape(-1, self.dimension, self.state_count)
        used = (flat != 0.0).any(axis=2)
        offsets = np.concatenate(([0], np.cumsum(used.sum(axis=1)))).astype(np.int64)
        return Features(offsets, np.nonzero(used)[1].astype(np.int64), np.ascontiguousarray(flat[used]))

    def __repr__(self) -> str:
        return (
            f"LinearMixture({self.state_count} states, {self.action_count} actions, {self.dimension} features, horizon {self.horizon}, "
            f"{len(self.rewards)} rewards, {self.digest()})"
        )


def largest_totals(rewards: Array, possible: NDArray[np.bool_]) -> Array:
    """(N,) the largest total of rewards (N, H, S, A) along any path from any state and step; possible (S, A, S)."""
    value = np.zeros((len(rewards), rewards.shape[2]))
    for h in reversed(range(rewards.shape[1])):
        ahead = np.where(possible[None], value[:, None, None, :], -np.inf).max(axis=3)
        value = (rewards[:, h] + ahead).max(axis=2)
    return np.asarray(value.max(axis=1))


def mixture(kernels: Array, weights: Array, rewards: Array, **more: object) -> LinearMixture:
    """A mixture of proper kernels (d, S, A, S) with weights (d,) on the simplex, scaled as the theory wants it: B = sqrt(d)."""
    root = np.sqrt(len(weights))
    return LinearMixture(np.transpose(kernels, (1, 2, 0, 3)) / root, root * np.asarray(weights), rewards, float(root), **more)  # type: ignore[arg-type]


def tabular(transition: Array, rewards: Array, **more: object) -> LinearMixture:
    """A finite MDP (S, A, S) as a mixture: which next states are possible is known, how likely they are is not. One feature for each."""
    S, A, _ = transition.shape
    possible = transition > 0.0
    width = float(np.sqrt(possible.sum(axis=2).max()))
    places = np.argwhere(possible)
    features = np.zeros((S, A, len(places), S))
    features[places[:, 0], places[:, 1], np.arange(len(places)), places[:, 2]] = 1.0 / width
    return LinearMixture(features, width * transition[possible], rewards, width * float(np.sqrt(S * A)), **more)  # type: ignore[arg-type]


def from_mdp(mdp: MDP, rewards: Array | None = None, *, horizon: int, **more: object) -> LinearMixture:
    """A user's MDP with rewards (N, H, S', A), S' = S + 1 where episodes may end: after the end nothing happens.

    Where the outcomes of all pairs have the same probabilities in the order in which they are listed (slipping to the left, not at all, to the right),
    those few numbers are what is unknown; else every possible next state of every pair has a probability of its own.
    """
    S, A = mdp.state_count, mdp.action_count
    ends = bool((mdp.successors == END).any())
    total = S + ends
    table = [[(mdp.probabilities[at], mdp.successors[at]) for a in range(A) for at in [mdp.outcomes_of(s, a)]] for s in range(S)]
    labels = tuple(mdp.states) + (("(end)",) if ends else ())
    more = {"start": mdp.start, "states": labels, "actions": tuple(mdp.actions)} | more
    transition = np.zeros((total, A, total))
    if ends:
        transition[S, :, S] = 1.0
    for s in range(S):
        for a in range(A):
            p, to = table[s][a]
            np.add.at(transition[s, a], np.where(to == END, S, to), p)
    transition /= transition.sum(axis=2, keepdims=True)
    if rewards is None:
        rewards = visiting_rewards(transition, horizon, mdp.start)[0]
    shared = _shared_outcomes(table)
    if shared is None:
        return tabular(transition, rewards, **more)
    kernels = np.zeros((len(shared), total, A, total))
    if ends:
        kernels[:, S, :, S] = 1.0
    for s in range(S):
        for a in range(A):
            to = np.where(table[s][a][1] == END, S, table[s][a][1])
            kernels[np.arange(len(shared)), s, a, to if len(to) > 1 else to[0]] = 1.0
    return mixture(kernels, shared, rewards, **more)


def _shared_outcomes(table: list[list[tuple[Array, NDArray[np.int64]]]]) -> Array | None:
    """The probabilities that all pairs with more than one outcome have in common, in order; [1] if no pair has; None if they differ."""
    several = [p for row in table for p, _ in row if len(p) > 1]
    if not several:
        return np.ones(1)
    if any(len(p) != len(several[0]) or np.abs(p - several[0]).max() > 1e-12 for p in several):
        return None
    return np.asarray(several[0] / several[0].sum())


def visiting_rewards(transition: Array, horizon: int, start: int) -> tuple[Array, list[int]]:
    """Rewards (N, H, S, A) that pay for being in a state at the last step, one for each state that can be reached, and these states."""
    S, A, _ = transition.shape
    reached = {start}
    now = {start}
    for _ in range(horizon - 1):
        now = {int(t) for s in now for t in np.flatnonzero((transition[s] > 0.0).any(axis=0))}
        if now <= reached and len(reached) == S:
            break
        reached |= now
    goals = sorted(reached)
    rewards = np.zeros((len(goals), horizon, S, A))
    for n, s in enumerate(goals):
        rewards[n, -1, s] = 1.0
    return rewards, goals


def normalised(reward: Array, possible: NDArray[np.bool_]) -> tuple[Array, float, float]:
    """(reward (H, S, A) with totals of at most 1, scale, low): reward = scale * normalised + low."""
    reward = float_array(reward, "reward")
    low = min(float(reward.min()), 0.0)
    moved = reward - low
    most = float(largest_totals(moved[None], possible)[0])
    scale = most if most > 0.0 else 1.0
    return moved / scale, scale, low
