"""Reference problems, the declared distribution and the hypothesis strategy, users' data, and what their owners want to know."""

from __future__ import annotations

import numpy as np

from theorylab.plugin import Answer
from theorylab.problems.linear_mdp import LinearMDP
from theorylab.problems.offline_files import read_offline
from theorylab.problems.record import Array
from theorylab.problems.small_families import linear_mdps

from . import plugin

#: Strengths that owners of a problem are shown: the smaller, the cheaper it is for the adversary to change the dynamics.
STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0)

plugin.reader(read_offline)


def _rows(rng: np.random.Generator, shape: tuple[int, ...], n: int) -> Array:
    """Distributions over n places: nearly certain to nearly uniform, a third of the time single points."""
    if rng.random() < 0.3:
        return np.eye(n)[rng.integers(0, n, shape)]
    rows = rng.dirichlet(np.full(n, float(rng.choice([0.1, 0.5, 1.0, 5.0]))), shape) if n > 1 else np.ones((*shape, 1))
    rows[rows < 1e-12] = 0.0
    return np.asarray(rows / rows.sum(axis=-1, keepdims=True))


@plugin.sample
def random_model(rng: np.random.Generator) -> LinearMDP:
    """2 to 7 states, 2 to 4 actions, 1 to 5 features, 1 to 5 steps; strengths from 0.03 to 30."""
    S, A, d, H = (int(rng.integers(low, high + 1)) for low, high in ((2, 7), (2, 4), (1, 5), (1, 5)))
    theta = rng.integers(0, 2, (H, d)).astype(np.float64) if rng.random() < 0.3 else rng.random((H, d))
    return LinearMDP(
        _rows(rng, (S, A), d), _rows(rng, (H, d), S), theta, float(10.0 ** rng.uniform(-1.5, 1.5)), float(rng.uniform(0.05, 0.9)),
        int(rng.integers(S)),
    )  # fmt: skip


plugin.instances(linear_mdps)


# -- named problems ---------------------------------------------------------------------------------------------------------------------


def simulated(strength: float = 1.0, *, delta: float = 0.3, norm: float = 0.2, blocked: float | None = None) -> LinearMDP:
    """The simulated linear MDP of the papers: three stages, a failure and a goal; sixteen actions that trade one for the other.

    delta, norm   w(a) = delta + norm / 4 sum_j a_j is the share of an action that goes for the goal at once
    blocked       the target environments: no slip at the first step, but the goal is missed with this probability
    """
    actions = np.array(np.meshgrid(*[[-1.0, 1.0]] * 4, indexing="ij")).reshape(4, -1).T
    w = delta + norm / 4.0 * actions.sum(axis=1)
    features = np.zeros((5, 16, 4))
    for s in range(3):
        features[s, :, s], features[s, :, 3] = 1.0 - w, w
    features[3, :, 2] = features[4, :, 3] = 1.0
    factors = np.zeros((3, 4, 5))
    slip, missed = (0.001, 0.0) if blocked is None else (0.0, blocked)
    factors[0, 0, 1], factors[0, 0, 3] = 1.0 - slip, slip
    factors[0, 3, 4], factors[0, 3, 3] = 1.0 - missed, missed
    factors[1, 1, 2], factors[1, 1, 3] = 0.999, 0.001
    factors[1, 2, 3] = factors[1, 3, 4] = 1.0
    factors[0, 1, 2] = factors[0, 2, 3] = factors[1, 0, 1] = 1.0  # never used: the features of stage h are those of its own step
    factors[2] = factors[1]
    theta = np.zeros((3, 4))
    theta[1:, 3] = 1.0
    labels = tuple("(" + ",".join(f"{int(a):+d}" for a in row) + ")" for row in actions)
    return LinearMDP(features, factors, theta, strength, states=("x1", "x2", "x3", "fail", "goal"), actions=labels)


def hard_family(d: int, horizon: int, samples: float, signs: Array) -> LinearMDP:
    """A member of the family of the lower bound: which of 2^d actions earns most is known from noisy rewards only; signs (H, d) in {-1, 1}."""
    actions = np.array(np.meshgrid(*[[0.0, 1.0]] * d, indexing="ij")).reshape(d, -1).T
    features = np.zeros((2, 2**d, d + 2))
    features[0, :, :d], features[0, :, d] = actions / d, 1.0 - actions.sum(axis=1) / d
    features[1, :, d + 1] = 1.0
    factors = np.zeros((horizon, d + 2, 2))
    factors[:, :-1, 0] = factors[:, -1, 1] = 1.0
    step = d**1.5 / np.sqrt(2.0 * samples)
    theta = np.zeros((horizon, d + 2))
    theta[:, :d], theta[:, d] = step * (np.asarray(signs) + 1.0) / 2.0, step / 2.0
    return LinearMDP(features, factors, theta)


def _two_stage(strength: float) -> LinearMDP:
    """The safe action earns little; the other one earns much where the dynamics are as they were seen."""
    features = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]] * 2, [[1.0, 0.0, 0.0]] * 2])
    factors = np.array([[[0.0, 0.4, 0.6], [0.1, 0.9, 0.0], [0.0, 1.0, 0.0]]] * 2)
    return LinearMDP(features, factors, np.array([[0.3, 0.0, 1.0], [0.3, 0.0, 1.0]]), strength, states=("start", "good", "poor"))


def _ordinary(strength: float, seed: int, shape: tuple[int, int, int, int]) -> LinearMDP:
    S, A, d, H = shape
    rng = np.random.default_rng(seed)
    return LinearMDP(
        rng.dirichlet(np.ones(d), (S, A)), rng.dirichlet(np.full(S, 0.5), (H, d)), np.round(rng.random((H, d)), 3), strength
    )


def _off_support() -> LinearMDP:
    """Every next state that is ever seen is worth 1, and there is a state worth 0 that total variation can reach all the same."""
    return LinearMDP(
        np.eye(2)[:, None, :], np.array([[[0.0, 1.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]), np.array([[0.0, 0.0], [0.0, 1.0]]), 0.5,
        start=1,
    )  # fmt: skip


plugin.reference("simulated", simulated)
plugin.reference("two-stage", lambda: _two_stage(0.5))
plugin.reference("two-stage-cheap", lambda: _two_stage(0.1))
plugin.reference("ordinary", lambda: _ordinary(1.0, 1, (5, 3, 4, 4)))
plugin.reference("off-support", _off_support)


@plugin.answer
def robust_policies(mdp: LinearMDP, *, samples: int) -> list[Answer]:
    """What a robust policy is worth by the strength of the adversary, from data where there are any, else from the model."""
    from .learning import strengths_table

    return strengths_table(mdp, STRENGTHS)
