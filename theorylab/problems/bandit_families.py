"""Families of bandits: `random_bandit(rng)`, a declared distribution, and `bandits()`, a hypothesis strategy.

Both cover what breaks wrong algorithms: 2 to 100 arms, gaps from 1 down to 2^-20, tied arms, deterministic, two-point, Bernoulli,
many-valued and clipped Gaussian rewards, rewards that are all of one sign, and first policies from uniform to all but certain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from theorylab.problems.bandit import Bandit, bernoulli, clipped_gaussian, two_point
from theorylab.problems.record import Array

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

#: Widest span of first logits: the rarest arm still has a probability above the smallest normal float.
WIDEST_START = 600.0


def _random_means(rng: np.random.Generator, arms: int) -> Array:
    """(K,) means in [-1, 1]: spread out, a single good arm, or nearly tied; ties now and then."""
    law = int(rng.integers(5))
    if law == 0:
        means = rng.uniform(-1.0, 1.0, arms)
    elif law == 1:  # one arm ahead of equals that differ a little
        means = rng.uniform(-0.8, 0.5) - 2.0 ** -rng.uniform(0.0, 20.0) * rng.permutation(arms) / arms
    elif law == 2:  # gaps of one size
        means = rng.uniform(-0.5, 0.5) + 2.0 ** -rng.uniform(1.0, 20.0) * rng.permutation(arms) / arms
    elif law == 3:  # extremes
        means = rng.choice([-1.0, 1.0, 0.0], arms)
    else:  # ties among the worse arms
        means = np.full(arms, rng.uniform(-1.0, 0.0))
        means[int(rng.integers(arms))] += 2.0 ** -rng.uniform(0.0, 12.0)
    return np.clip(means, -1.0, 1.0)


def _random_start(rng: np.random.Generator, arms: int) -> Array:
    law = int(rng.integers(6))
    if law < 3:
        return np.zeros(arms)
    if law == 3:
        return rng.normal(0.0, 1.0, arms)
    if law == 4:
        return rng.normal(0.0, 10.0, arms)
    near_vertex = np.zeros(arms)
    near_vertex[int(rng.integers(arms))] = rng.uniform(5.0, WIDEST_START)
    return near_vertex


def random_bandit(rng: np.random.Generator) -> Bandit:
    """A bandit from the declared family: 2 to 100 arms, R in {1/2, 1, 1, 4}."""
    arms = int(rng.choice([2, 2, 2, 3, 3, 4, 5, 8, 15, 40, 100]))
    bound = float(rng.choice([0.5, 1.0, 1.0, 4.0]))
    means, start = _random_means(rng, arms), _random_start(rng, arms)
    law = int(rng.integers(5))
    if law == 0:
        return Bandit(bound * means, reward_bound=bound, start=start)
    if law == 1:
        return bernoulli((1.0 + means) / 2.0, start=start)
    if law == 2:
        return two_point(bound * means, bound, start=start)
    if law == 3:
        return clipped_gaussian(bound * means, bound * rng.uniform(0.02, 1.0, arms), bound, start=start)
    atoms = np.clip(bound * (means[:, None] + rng.uniform(-0.5, 0.5, (arms, 3))), -bound, bound)
    weights = rng.dirichlet(np.ones(3), arms)
    return Bandit(atoms, weights / weights.sum(axis=1, keepdims=True), reward_bound=bound, start=start)


def bandits(*, max_arms: int = 5) -> SearchStrategy[Bandit]:
    """A hypothesis strategy that shrinks towards two arms, deterministic rewards, R = 1 and a uniform start."""
    from hypothesis import strategies as st

    mean = st.one_of(
        st.integers(0, 16).map(lambda k: (k + 1) // 2 * (-1) ** k / 8),  # 0 first, then eighths outwards
        st.integers(1, 20).map(lambda k: 2.0**-k),
        st.floats(-1.0, 1.0, allow_subnormal=False),
    )
    logit = st.one_of(st.integers(-3, 3), st.integers(-60, 60), st.integers(-int(WIDEST_START), 0)).map(float)

    @st.composite
    def draw_bandit(draw: st.DrawFn) -> Bandit:
        arms = draw(st.integers(2, max_arms))
        means = np.array([draw(mean) for _ in range(arms)])
        bound = draw(st.sampled_from([1.0, 0.5, 2.0, 8.0, 16.0]))
        start = np.array([draw(logit) for _ in range(arms)]) if draw(st.booleans()) else np.zeros(arms)
        kind = draw(st.integers(0, 3))
        if kind == 0:
            return Bandit(bound * means, reward_bound=bound, start=start)
        if kind == 1:
            return two_point(bound * means, bound, start=start)
        if kind == 2:
            return bernoulli((1.0 + means) / 2.0, start=start)
        return clipped_gaussian(bound * means, np.full(arms, bound / 4.0), bound, start=start)

    return draw_bandit()
