"""Linear systems to be relaxed, and losses to be learned from."""

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
class Tuning(Instance):
    """A system A x = b, and a schedule of losses.

    matrix  (n, n) symmetric and positive definite
    right   (n,)
    losses  (P, d) in [0, 1]: the losses of d settings, in P stretches of the same length
    rounds  how long is learned
    """

    kind: ClassVar[str] = "tuning"

    matrix: Array
    right: Array
    losses: Array
    rounds: int = 2_000

    def __post_init__(self) -> None:
        matrix = self.frozen_array("matrix", (None, None))
        n = len(matrix)
        self.frozen_array("right", (n,))
        if matrix.shape != (n, n) or np.abs(matrix - matrix.T).max() > 1e-12 * np.abs(matrix).max():
            raise InstanceError("matrix must be square and symmetric.")
        if np.linalg.eigvalsh(matrix)[0] <= 0.0:
            raise InstanceError("matrix must be positive definite: its least eigenvalue is not above 0.")
        if not np.abs(self.right).max() > 0.0:
            raise InstanceError("right must not be 0: there is nothing to solve.")
        self.frozen_array("losses", (None, None), low=0.0, high=1.0)
        if isinstance(self.rounds, bool) or not isinstance(self.rounds, (int, np.integer)) or self.rounds < len(self.losses):
            raise InstanceError(
                f"rounds = {self.rounds!r} must be an integer of at least {len(self.losses)}, one for each stretch."
            )
        object.__setattr__(self, "rounds", int(self.rounds))

    def __repr__(self) -> str:
        return f"Tuning({len(self.right)} unknowns, {self.losses.shape[1]} settings, {self.rounds} rounds, {self.digest()})"


def chain(n: int, diagonal: float) -> Array:
    """(n, n) tridiagonal -1, diagonal, -1."""
    return diagonal * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)


def grid(n: int, shift: float) -> Array:
    """(n^2, n^2) five-point Laplacian plus a multiple of the identity."""
    one = chain(n, 2.0)
    return np.kron(one, np.eye(n)) + np.kron(np.eye(n), one) + shift * np.eye(n * n)


def one_good(d: int) -> Array:
    """(1, d) the first setting costs 0, all others 1."""
    losses = np.ones((1, d))
    losses[0, 0] = 0.0
    return losses


def late(d: int) -> Array:
    """(4, d) the last setting is good from the second quarter on, the first one before."""
    losses = np.ones((4, d))
    losses[0, 0] = 0.0
    losses[1:, -1] = 0.0
    return losses


@plugin.sample
def random_tuning(rng: np.random.Generator) -> Tuning:
    """Grids and chains, shifted a little or much; losses in one to four stretches."""
    matrix = (
        grid(int(rng.integers(2, 7)), float(rng.uniform(0.01, 2.0)))
        if rng.random() < 0.5
        else chain(int(rng.integers(2, 12)), float(rng.uniform(2.0, 5.0)))
    )
    losses = rng.random((int(rng.integers(1, 5)), int(rng.choice([2, 5, 10]))))
    return Tuning(matrix, rng.normal(0.0, 1.0, len(matrix)), np.round(losses) if rng.random() < 0.5 else losses)


@plugin.instances
def small_tunings() -> SearchStrategy[Tuning]:
    """Two or three unknowns, two settings."""
    from hypothesis import strategies as st

    @st.composite
    def draw(draw: st.DrawFn) -> Tuning:
        n = draw(st.integers(2, 3))
        right = [draw(st.integers(1, 3)) for _ in range(n)]
        losses = [[draw(st.sampled_from([0.0, 1.0, 0.5])) for _ in range(2)] for _ in range(draw(st.integers(1, 2)))]
        return Tuning(chain(n, draw(st.sampled_from([4.0, 3.0, 2.5]))), np.array(right, dtype=float), np.array(losses), 200)

    return draw()


plugin.reference("chain-3", lambda: Tuning(chain(3, 4.0), np.array([1.0, 2.0, 3.0]), one_good(10)))
plugin.reference("chain-4", lambda: Tuning(chain(4, 2.0), np.array([1.0, 0.0, 0.0, 1.0]), late(10)))
plugin.reference("grid", lambda: Tuning(grid(10, 0.05), np.ones(100), np.linspace(0.4, 0.6, 10)[None]))
plugin.reference("many-settings", lambda: Tuning(chain(2, 4.0), np.ones(2), one_good(200), 20_000))
