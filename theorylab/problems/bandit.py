"""Stochastic bandits with bounded rewards: arms of finite support and clipped Gaussian arms.

Letters: K arms, J atoms per arm, R the bound on rewards: every reward lies in [-R, R].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from theorylab.errors import InstanceError
from theorylab.problems.record import Array, Instance, float_array

#: Largest |sum - 1| of a reward law: what is left after printing fifteen digits.
SUM_TOLERANCE = 1e-9

#: Arms times atoms accepted: an exact expectation visits K times as many numbers.
MAX_ENTRIES = 1_000_000

#: Nodes by which the density of a clipped Gaussian arm is replaced in exact expectations.
QUADRATURE_NODES = 40


@dataclass(frozen=True, eq=False)
class Bandit(Instance):
    """A bandit, and the logits from which a policy starts.

    atoms         (K, J) or (K,)  reward values of each arm; one column for deterministic arms
    weights       (K, J)          their probabilities; rows sum to 1. Default: all on the first column
    deviations    (K,)            where positive, the arm pays N(atoms[a, 0], deviations[a]^2) clipped to [-R, R]. Default 0
    reward_bound  float > 0       R. Default: the largest |reward|, 1 if all are 0
    start         (K,)            theta_1, the logits of the first policy. Default 0: uniform
    labels                        names of the arms
    """

    kind: ClassVar[str] = "bandit"

    atoms: Array
    weights: Array | None = None
    deviations: Array | None = None
    reward_bound: float | None = None
    start: Array | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if np.ndim(self.atoms) == 1:
            object.__setattr__(self, "atoms", float_array(self.atoms, "atoms")[:, None])
        atoms = self.frozen_array("atoms", (None, None))
        K, J = atoms.shape
        if K < 2:
            raise InstanceError("atoms has one row: a bandit needs at least 2 arms.")
        if atoms.size > MAX_ENTRIES:
            raise InstanceError(f"atoms has {atoms.size} entries, at most {MAX_ENTRIES} fit. Merge equal rewards.")
        if self.weights is None:
            if J > 1:
                raise InstanceError(f"atoms has {J} columns: weights must say how likely each is.")
            object.__setattr__(self, "weights", np.ones((K, 1)))
        weights = self.frozen_array("weights", (K, J), low=0.0, high=1.0)
        sums = weights.sum(axis=1)
        if (np.abs(sums - 1.0) > SUM_TOLERANCE).any():
            a = int(np.argmax(np.abs(sums - 1.0)))
            raise InstanceError(f"weights[{a}] sums to {sums[a]:.12g}, not 1. Divide by the sum if these are counts.")
        object.__setattr__(self, "deviations", np.zeros(K) if self.deviations is None else self.deviations)
        deviations = self.frozen_array("deviations", (K,), low=0.0)
        self._validate_gaussian(weights, deviations)
        self._validate_bound(atoms, weights, deviations)
        object.__setattr__(self, "start", np.zeros(K) if self.start is None else self.start)
        self.frozen_array("start", (K,))
        self.set_labels("labels", K, "arm")

    def _validate_gaussian(self, weights: Array, deviations: Array) -> None:
        for a in np.flatnonzero(deviations > 0.0):
            if weights[a, 0] != 1.0:
                raise InstanceError(f"deviations[{a}] > 0 makes arm {a} Gaussian: put all its weight on atoms[{a}, 0], its mean.")
        if self.reward_bound is None and (deviations > 0.0).any():
            raise InstanceError("reward_bound is missing: Gaussian rewards are clipped to [-reward_bound, reward_bound].")

    def _validate_bound(self, atoms: Array, weights: Array, deviations: Array) -> None:
        paid = (weights > 0.0) & (deviations == 0.0)[:, None]
        largest = float(np.abs(atoms[paid]).max()) if paid.any() else 0.0
        bound = self.reward_bound if self.reward_bound is not None else (largest or 1.0)
        if isinstance(bound, bool) or not isinstance(bound, (int, float)):
            raise InstanceError(f"reward_bound is {bound!r}, not a number.")
        if not (math.isfinite(bound) and bound > 0.0):
            raise InstanceError(
                f"reward_bound = {bound!r} must be positive and finite: rewards lie in [-reward_bound, reward_bound]."
            )
        if largest > bound:
            a, j = map(int, np.argwhere(paid & (np.abs(atoms) == largest))[0])
            raise InstanceError(f"atoms[{a}, {j}] = {atoms[a, j]:g} lies outside [-{bound:g}, {bound:g}]. Raise reward_bound.")
        object.__setattr__(self, "reward_bound", float(bound))

    @property
    def arm_count(self) -> int:
        """K, the number of arms."""
        return self.atoms.shape[0]

    @cached_property
    def law(self) -> tuple[Array, Array]:
        """Values and probabilities (K, J') of a finite reward law: the arms' own, or a quadrature of a clipped Gaussian.

        The quadrature is a reward law in [-R, R] itself, so that statements about all such laws hold of it without any error.
        Its moments are those of the Gaussian to 1e-13 R (tested).
        """
        assert self.weights is not None
        assert self.deviations is not None
        gaussian = np.flatnonzero(self.deviations > 0.0)
        if gaussian.size == 0:
            return self.atoms, self.weights / self.weights.sum(axis=1, keepdims=True)
        width = max(self.atoms.shape[1], QUADRATURE_NODES + 2)
        values, masses = np.zeros((self.arm_count, width)), np.zeros((self.arm_count, width))
        for a in range(self.arm_count):
            if self.deviations[a] > 0.0:
                x, p = clipped_gaussian_law(float(self.atoms[a, 0]), float(self.deviations[a]), float(self.reward_bound or 0.0))
            else:
                x, p = self.atoms[a], self.weights[a] / self.weights[a].sum()
            values[a, : x.size], masses[a, : x.size] = x, p
        return values, masses

    @cached_property
    def means(self) -> Array:
        """(K,) r(a), the mean reward of each arm."""
        values, masses = self.law
        return np.asarray((values * masses).sum(axis=1))

    @cached_property
    def gaps(self) -> Array:
        """(K,) r* - r(a)."""
        return np.asarray(self.means.max() - self.means)

    @property
    def best_arm(self) -> int:
        """The first arm of largest mean."""
        return int(self.means.argmax())

    @property
    def best_gap(self) -> float:
        """r* minus the best mean of another arm; 0 if the optimum is tied."""
        ordered = np.sort(self.means)
        return float(ordered[-1] - ordered[-2])

    @property
    def smallest_gap(self) -> float:
        """Smallest |r(a) - r(b)| over all pairs; 0 if any two means tie."""
        return float(np.diff(np.sort(self.means)).min())

    @property
    def largest_gap(self) -> float:
        """r* - min r."""
        return float(np.ptp(self.means))

    def __repr__(self) -> str:
        return f"Bandit({self.arm_count} arms, best gap {self.best_gap:.3g}, R={self.reward_bound:g}, {self.digest()})"


def clipped_gaussian_law(mean: float, deviation: float, bound: float) -> tuple[Array, Array]:
    """Nodes and masses of N(mean, deviation^2) clipped to [-bound, bound]: both ends, and Gauss-Legendre nodes between."""
    from scipy.special import ndtr

    low, high = (-bound - mean) / deviation, (bound - mean) / deviation
    # Nine deviations hold all but 1e-18 of the mass; in a narrower interval all nodes go where the density is.
    left, right = max(low, -9.0), min(high, 9.0)
    ends = np.array([ndtr(low), ndtr(-high)])
    if right <= left:  # no density inside: every draw is clipped
        return np.array([-bound, bound]), ends / ends.sum()
    nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE_NODES)
    z = 0.5 * (right - left) * nodes + 0.5 * (right + left)
    masses = 0.5 * (right - left) * weights * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    values = np.concatenate([[-bound], np.clip(mean + deviation * z, -bound, bound), [bound]])
    masses = np.concatenate([ends[:1], masses, ends[1:]])
    return values, masses / masses.sum()


def deterministic(rewards: Any, reward_bound: float | None = None, **fields: Any) -> Bandit:
    """Arms that always pay the same."""
    return Bandit(float_array(rewards, "rewards"), reward_bound=reward_bound, **fields)


def two_point(means: Any, reward_bound: float = 1.0, **fields: Any) -> Bandit:
    """Arms that pay +R or -R with the given means: the largest variance there is."""
    means = float_array(means, "means")
    share = _share("means", means, -reward_bound, reward_bound)
    atoms = np.tile([-reward_bound, reward_bound], (means.size, 1))
    return Bandit(atoms, np.stack([1.0 - share, share], axis=1), reward_bound=reward_bound, **fields)


def bernoulli(means: Any, **fields: Any) -> Bandit:
    """Arms that pay 1 or 0."""
    means = float_array(means, "means")
    share = _share("means", means, 0.0, 1.0)
    return Bandit(np.tile([0.0, 1.0], (means.size, 1)), np.stack([1.0 - share, share], axis=1), reward_bound=1.0, **fields)


def clipped_gaussian(means: Any, deviations: Any, reward_bound: float = 1.0, **fields: Any) -> Bandit:
    """Arms that pay N(mean, deviation^2) clipped to [-R, R]; the means are those before clipping."""
    means = float_array(means, "means")
    spread = np.broadcast_to(float_array(deviations, "deviations"), means.shape).copy()
    return Bandit(means[:, None], deviations=spread, reward_bound=reward_bound, **fields)


def _share(name: str, values: Array, low: float, high: float) -> Array:
    """Where each value lies in [low, high], as a share. Raises InstanceError naming the first that does not."""
    if values.ndim != 1:
        raise InstanceError(f"{name} has shape {values.shape}, expected one number per arm.")
    bad = ~((values >= low) & (values <= high))
    if bad.any():
        a = int(np.argmax(bad))
        raise InstanceError(f"{name}[{a}] = {values[a]:g} lies outside [{low:g}, {high:g}].")
    return np.asarray((values - low) / (high - low))
