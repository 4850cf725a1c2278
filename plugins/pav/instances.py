"""Trees with a reward at each leaf, a base policy, a prover, and a distribution of starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from theorylab.errors import InstanceError
from theorylab.problems.record import Array, Instance

from . import plugin

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True, eq=False)
class ProverTree(Instance):
    """A complete tree, level by level: the children of node s are s A + 1, ..., s A + A; the last level are leaves.

    base    (N, A) policy at the N inner nodes, all positive
    prover  (N, A) another policy
    reward  (A^depth,) in [0, 1], earned at the leaves
    start   (N,) distribution of the node in which an episode begins
    gain    step of the natural policy gradient
    """

    kind: ClassVar[str] = "prover-tree"

    base: Array
    prover: Array
    reward: Array
    start: Array
    gain: float = 0.01

    def __post_init__(self) -> None:
        base = self.frozen_array("base", (None, None), low=1e-300, high=1.0)
        N, A = base.shape
        self.frozen_array("prover", (N, A), low=0.0, high=1.0)
        if A < 2 or (A**self.depth - 1) // (A - 1) != N:
            raise InstanceError(
                f"base has {N} nodes with {A} actions: a complete tree has 1 + A + A^2 + ... inner nodes, A >= 2."
            )
        self.frozen_array("reward", (A**self.depth,), low=0.0, high=1.0)
        self.frozen_array("start", (N,), low=0.0, high=1.0)
        for name in ("base", "prover", "start"):
            off = np.abs(getattr(self, name).sum(axis=-1) - 1.0)
            if off.max() > 1e-9:
                raise InstanceError(
                    f"{name} must sum to 1{'' if name == 'start' else ' at every node'}: it is off by {off.max():.2g}."
                )
        if isinstance(self.gain, bool) or not isinstance(self.gain, (int, float)) or not 0.0 < self.gain < 100.0:
            raise InstanceError(f"gain = {self.gain!r} must lie between 0 and 100.")
        object.__setattr__(self, "gain", float(self.gain))

    @property
    def depth(self) -> int:
        """Actions from the root to a leaf."""
        N, A = self.base.shape
        return round(float(np.log(N * (A - 1) + 1) / np.log(A)))

    def __repr__(self) -> str:
        return f"ProverTree(depth {self.depth}, {self.base.shape[1]} actions, gain={self.gain:g}, {self.digest()})"


@plugin.sample
def random_tree(rng: np.random.Generator) -> ProverTree:
    """Depth 1 to 5, two or three actions, policies from even to nearly certain, rewards 0 or 1, gains from 0.001 to 3."""
    A, depth = int(rng.integers(2, 4)), int(rng.integers(1, 5))
    N = (A**depth - 1) // (A - 1)
    base, prover = (np.maximum(rng.dirichlet(np.full(A, float(rng.choice([0.2, 1.0, 5.0]))), N), 1e-9) for _ in range(2))
    start = rng.dirichlet(np.ones(N)) if rng.random() < 0.5 else np.eye(N)[0]
    reward = (rng.random(A**depth) < rng.uniform(0.05, 0.95)).astype(np.float64)
    base, prover = (p / p.sum(axis=1, keepdims=True) for p in (base, prover))
    return ProverTree(base, prover, reward, start, float(10.0 ** rng.uniform(-3.0, 0.5)))


@plugin.instances
def small_trees() -> SearchStrategy[ProverTree]:
    """Depth one or two, two actions, readable probabilities."""
    from hypothesis import strategies as st

    @st.composite
    def draw(draw: st.DrawFn) -> ProverTree:
        depth = draw(st.integers(1, 2))
        N = 2**depth - 1

        def policy() -> np.ndarray:
            first = np.array([draw(st.integers(1, 7)) / 8.0 for _ in range(N)])
            return np.column_stack((first, 1.0 - first))

        reward = [float(draw(st.integers(0, 1))) for _ in range(2**depth)]
        return ProverTree(policy(), policy(), np.array(reward), np.eye(N)[0], draw(st.sampled_from([0.125, 0.5, 1.0])))

    return draw()


def torn(e: float, gain: float = 1e-3, *, root_only: bool = False) -> ProverTree:
    """Two steps. Whichever way the first goes, one action of the second earns 1; the base policy finds it with probability e. The prover takes the
    right one after the first way and the wrong one after the second: it knows much of the first step, and nothing that helps the base policy."""
    base = np.array([[0.5, 0.5], [e, 1.0 - e], [e, 1.0 - e]])
    prover = np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])
    return ProverTree(
        base, prover, np.array([1.0, 0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0]) if root_only else np.full(3, 1.0 / 3.0), gain
    )


plugin.reference("torn", lambda: torn(0.1))
plugin.reference("torn-more", lambda: torn(0.01))
plugin.reference("torn-most", lambda: torn(1e-4))
plugin.reference("torn-from-the-root", lambda: torn(0.1, 0.1, root_only=True))
