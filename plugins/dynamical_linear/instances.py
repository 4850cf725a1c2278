"""Linear systems with actions: the published one, those on which the printed epoch length fails, random ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from theorylab.errors import InstanceError
from theorylab.problems.record import Array, Instance

from . import plugin

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True, eq=False)
class DynamicalBandit(Instance):
    """x_(t+1) = A x_t + B u_t + noise, y_t = <omega, x_t> + <theta, u_t> + noise; x is hidden, y is earned.

    transition (n, n) A; control (n, d) B; observation (n,) omega; direct (d,) theta; actions (N, d); start (n,) the first state
    noise   every component of both noises is this or its negative
    radius  in (0, 1), at least the spectral radius of A
    ridge   regulariser of the regression
    """

    kind: ClassVar[str] = "dynamical-bandit"

    transition: Array
    control: Array
    observation: Array
    direct: Array
    actions: Array
    start: Array
    noise: float = 0.0
    radius: float = 0.5
    ridge: float = 1.0

    def __post_init__(self) -> None:
        control = self.frozen_array("control", (None, None))
        n, d = control.shape
        self.frozen_array("transition", (n, n))
        self.frozen_array("observation", (n,))
        self.frozen_array("direct", (d,))
        self.frozen_array("actions", (None, d))
        self.frozen_array("start", (n,))
        for name, low in (("noise", -1.0), ("radius", 0.0), ("ridge", 0.0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not low < value < np.inf or value < 0.0:
                raise InstanceError(f"{name} = {value!r} must be a {'nonnegative' if low < 0.0 else 'positive'} number.")
            object.__setattr__(self, name, float(value))
        largest = float(np.abs(np.linalg.eigvals(self.transition)).max())
        if not largest - 1e-12 <= self.radius < 1.0:
            raise InstanceError(f"radius = {self.radius!r} must lie between the spectral radius {largest:.6g} and 1.")

    @cached_property
    def growth(self) -> float:
        """Phi: the largest norm of A^k over radius^k."""
        power, best = np.eye(len(self.start)), 1.0
        for _ in range(2_000):
            power = power @ (self.transition / self.radius)
            size = float(np.linalg.norm(power, 2))
            best = max(best, size)
            if size < 1e-3 or not np.isfinite(size):
                break
        return best

    @cached_property
    def effect(self) -> Array:
        """(d,) h = theta + B^T (I - A)^(-T) omega: what an action earns in the long run is <h, u>."""
        inverse = np.linalg.inv(np.eye(len(self.start)) - self.transition)
        return np.asarray(self.direct + self.control.T @ inverse.T @ self.observation)

    def __repr__(self) -> str:
        return f"DynamicalBandit({len(self.start)} states, {len(self.actions)} actions, radius={self.radius:g}, {self.digest()})"


@plugin.sample
def random_system(rng: np.random.Generator) -> DynamicalBandit:
    """1 to 3 states, 1 to 3 dimensions of actions; diagonal or full A; little or much noise."""
    n, d, radius = int(rng.integers(1, 4)), int(rng.integers(1, 4)), float(rng.choice([0.01, 0.2, 0.5, 0.8]))
    A = np.diag(rng.uniform(-radius, radius, n)) if rng.random() < 0.5 else rng.normal(size=(n, n))
    largest = float(np.abs(np.linalg.eigvals(A)).max())
    A = A * min(1.0, 0.9 * radius / largest) if largest > 0.0 else A
    actions = rng.uniform(-1.0, 1.0, (int(rng.integers(2, 6)), d))
    return DynamicalBandit(
        A, rng.normal(size=(n, d)), rng.normal(size=n), rng.normal(size=d), actions, np.zeros(n), float(rng.choice([0.0, 0.01, 1.0])), radius,
        float(rng.choice([1.0, 10.0])),
    )  # fmt: skip


@plugin.instances
def small_systems() -> SearchStrategy[DynamicalBandit]:
    """One state, one dimension, readable numbers."""
    from hypothesis import strategies as st

    @st.composite
    def draw(draw: st.DrawFn) -> DynamicalBandit:
        radius = draw(st.sampled_from([0.5, 0.25, 0.125]))
        control, direct = draw(st.integers(-2, 2)), draw(st.integers(-2, 2))
        return DynamicalBandit(
            np.array([[radius]]), np.array([[float(control)]]), np.ones(1), np.array([float(direct)]), np.array([[1.0], [-1.0]]), np.zeros(1), 0.0,
            radius,
        )  # fmt: skip

    return draw()


@plugin.assumption
def at_rest(bandit: DynamicalBandit) -> bool:
    """The state begins at 0, and the ridge is at least the square of the largest action."""
    return bool((bandit.start == 0.0).all() and bandit.ridge >= (np.linalg.norm(bandit.actions, axis=1) ** 2).max())


def published(noise: float = 0.01, ridge: float = 9.2) -> DynamicalBandit:
    """The paper's simulated system: the vertices of a budget polytope."""
    actions = np.array([[1.0, 0.5, 0.0], [1.0, 0.0, 0.5], [0.5, 1.0, 0.0], [0.5, 0.0, 1.0], [0.0, 1.0, 0.5], [0.0, 0.5, 1.0]])
    return DynamicalBandit(
        np.diag([0.2, 0.0, 0.1]), np.diag([0.45, 0.0, 0.1]), np.array([1.0, 0.0, 0.1]), np.array([0.0, 0.5, 0.1]), actions, np.zeros(3), noise,
        0.2, ridge,
    )  # fmt: skip


def lingering(radius: float, ridge: float) -> DynamicalBandit:
    """One state that starts far off, actions 1 and -1 in turn: what an epoch inherits from the last one has always the same sign."""
    return DynamicalBandit(
        np.array([[radius]]),
        np.ones((1, 1)),
        np.ones(1),
        np.zeros(1),
        np.array([[1.0], [-1.0]]),
        np.array([-1.0 / (1.0 - radius)]),
        0.0,
        radius,
        ridge,
    )


plugin.reference("published", published)
plugin.reference("noisy", lambda: published(20.0, 1.5))
plugin.reference("lingering", lambda: lingering(0.01, 10.0))
plugin.reference("lingering-less", lambda: lingering(0.1, 10.0))
