"""Linear Markov decision processes of finite horizon with features on the simplex, and how strong their adversary is.

The next state's law is a mixture of d factors, P_h(. | s, a) = sum_i phi_i(s, a) mu_(h, i)(.), and rewards are r_h(s, a) = <phi(s, a), theta_h>. An
adversary may change each factor on its own (d-rectangular), for a price or within a radius.

Letters: H steps, S states, A actions, d features; pair s * A + a.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from theorylab.errors import InstanceError
from theorylab.problems.record import Array, Instance, float_array

#: Largest |sum - 1| of features or of a factor that is mended by dividing: what is left after printing nine digits.
SUM_TOLERANCE = 1e-9

#: Entries of a dense factor table: 8 bytes each, and solvers keep a few copies.
MAX_ENTRIES = 20_000_000


@dataclass(frozen=True, eq=False)
class LinearMDP(Instance):
    """A linear MDP with an adversary.

    features   (S, A, d) nonnegative, summing to 1 for each state and action
    factors    (H, d, S) distributions over next states
    theta      (H, d) in [0, 1]: rewards are <features, theta>
    strength   what it costs the adversary to move a factor by a divergence of 1
    radius     how far it may move a factor, where it is given a ball instead
    start      the state in which episodes begin
    states, actions  labels
    reward_low, reward_high  what rewards of 0 and 1 are in their owner's units
    visits     (n, 5) integers: step, state, action, next state and how often that was seen; empty where there are no data
    """

    kind: ClassVar[str] = "linear-mdp"

    features: Array
    factors: Array
    theta: Array
    strength: float = 1.0
    radius: float = 0.2
    start: int = 0
    states: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    reward_low: float = 0.0
    reward_high: float = 1.0
    visits: NDArray[np.int64] | tuple[()] = ()

    def __post_init__(self) -> None:
        for name in ("features", "factors"):
            if np.size(getattr(self, name)) > MAX_ENTRIES:
                raise InstanceError(f"{name} has {np.size(getattr(self, name)):,} entries, at most {MAX_ENTRIES:,} fit.")
        features = self.frozen_array("features", (None, None, None), low=0.0, high=1.0)
        S, A, d = features.shape
        factors = self.frozen_array("factors", (None, d, S), low=0.0, high=1.0)
        self._normalise("features")
        self._normalise("factors")
        self.frozen_array("theta", (len(factors), d), low=0.0, high=1.0)
        for name in ("strength", "radius"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 < value < np.inf:
                raise InstanceError(f"{name} = {value!r} must be a positive number.")
            object.__setattr__(self, name, float(value))
        for name in ("reward_low", "reward_high"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
                raise InstanceError(f"{name} = {value!r} must be a finite number.")
            object.__setattr__(self, name, float(value))
        if self.reward_low >= self.reward_high:
            raise InstanceError(f"reward_low = {self.reward_low!r} must be below reward_high = {self.reward_high!r}.")
        if self.radius > 1.0:
            raise InstanceError(f"radius = {self.radius!r}: the total variation of two distributions is at most 1.")
        self.check_index("start", S, "state")
        self.set_labels("states", S, "state")
        self.set_labels("actions", A, "action")
        self._check_visits(len(factors), S, A)

    def _normalise(self, name: str) -> None:
        """Keep rows as they are up to 1e-12 (so that files round-trip), divide by their sum up to SUM_TOLERANCE."""
        rows: Array = getattr(self, name)
        sums = rows.sum(axis=-1)
        worst = np.unravel_index(int(np.argmax(np.abs(sums - 1.0))), sums.shape)
        if abs(sums[worst] - 1.0) > SUM_TOLERANCE:
            raise InstanceError(
                f"{name}[{', '.join(map(str, worst))}] sums to {sums[worst]:.12g}, not 1 (tolerance {SUM_TOLERANCE:g}). Divide by the sum."
            )
        if abs(sums[worst] - 1.0) > 1e-12:
            divided = rows / sums[..., None]
            divided.flags.writeable = False
            object.__setattr__(self, name, divided)

    def _check_visits(self, H: int, S: int, A: int) -> None:
        rows = float_array(self.visits if np.size(self.visits) else np.zeros((0, 5)), "visits")
        if rows.ndim != 2 or rows.shape[1] != 5:
            raise InstanceError(f"visits has shape {rows.shape}, expected rows of step, state, action, next state, count.")
        if not (np.isfinite(rows).all() and (rows == np.floor(rows)).all()):
            raise InstanceError("visits must be whole numbers.")
        for column, (name, count) in enumerate((("step", H), ("state", S), ("action", A), ("next state", S))):
            bad = (rows[:, column] < 0) | (rows[:, column] >= count)
            if bad.any():
                i = int(np.argmax(bad))
                raise InstanceError(f"visits[{i}]: {name} {rows[i, column]:g} lies outside 0 to {count - 1}.")
        if (rows[:, 4] < 1).any():
            raise InstanceError(f"visits[{int(np.argmax(rows[:, 4] < 1))}]: the count must be at least 1.")
        visits = rows.astype(np.int64)
        visits.flags.writeable = False
        object.__setattr__(self, "visits", visits)

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
        return len(self.factors)

    @property
    def pairs(self) -> Array:
        """(S A, d) features by pair."""
        return self.features.reshape(-1, self.dimension)

    def transition(self, step: int) -> Array:
        """(S A, S) nominal law of the next state."""
        return np.asarray(self.pairs @ self.factors[step])

    def __repr__(self) -> str:
        return (
            f"LinearMDP({self.state_count} states, {self.action_count} actions, {self.dimension} features, horizon {self.horizon}, "
            f"strength={self.strength:g}, {self.digest()})"
        )


def tabular(transition: Array, reward: Array, **more: object) -> LinearMDP:
    """A finite MDP as a linear one: transition (H, S, A, S), reward (H, S, A) in [0, 1]; every pair has a feature of its own."""
    H, S, A, _ = transition.shape
    features = np.eye(S * A).reshape(S, A, S * A)
    return LinearMDP(features, transition.reshape(H, S * A, S), reward.reshape(H, S * A), **more)  # type: ignore[arg-type]
