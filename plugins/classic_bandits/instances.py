"""Bernoulli bandits by their means: named ones, random ones, a strategy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from theorylab.problems.record import Array, Instance

from . import plugin

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True, eq=False)
class Means(Instance):
    """means (K,) of Bernoulli arms, K >= 2."""

    kind: ClassVar[str] = "bernoulli-means"

    means: Array

    def __post_init__(self) -> None:
        self.frozen_array("means", (None,), low=0.0, high=1.0)

    @property
    def gaps(self) -> Array:
        """(K,) by how much each arm is worse than the best."""
        return np.asarray(self.means.max() - self.means)

    def __repr__(self) -> str:
        return f"Means({len(self.means)} arms, {self.digest()})"


@plugin.sample
def random_means(rng: np.random.Generator) -> Means:
    """2, 5 or 20 arms: spread out, one ahead of equals, tiny gaps, certain rewards."""
    K, law = int(rng.choice([2, 5, 20])), int(rng.integers(4))
    if law == 0:
        return Means(rng.random(K))
    if law == 1:
        means = np.full(K, 0.5)
        means[rng.integers(K)] += float(rng.uniform(0.05, 0.5))
        return Means(means)
    if law == 2:
        return Means(np.where(rng.random(K) < 0.5, 0.5, 0.5 - 1e-6))
    return Means(rng.integers(0, 2, K).astype(np.float64))


@plugin.instances
def small_means() -> SearchStrategy[Means]:
    """Two or three readable means."""
    from hypothesis import strategies as st

    return st.lists(st.integers(0, 8).map(lambda k: k / 8), min_size=2, max_size=3).map(lambda means: Means(np.array(means)))


@plugin.assumption
def has_gaps(bandit: Means) -> bool:
    """No gap lies strictly between 0 and 1e-3: what is divided by a smaller one says nothing at any horizon that is run."""
    gaps = bandit.gaps
    return bool(((gaps == 0.0) | (gaps >= 1e-3)).all())


plugin.reference("one-good", lambda: Means(np.array([0.1] * 9 + [0.9])))
plugin.reference("close", lambda: Means(np.array([0.5] * 9 + [0.6])))
plugin.reference("two", lambda: Means(np.array([0.45, 0.55])))
plugin.reference("certain", lambda: Means(np.array([0.0, 1.0])))
plugin.reference("equal", lambda: Means(np.array([0.5, 0.5])))
