"""Hypothesis strategies for linear MDPs, linear mixtures and switch bandits: small, with readable numbers, so that what is found can be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from theorylab.problems.linear_mdp import LinearMDP
from theorylab.problems.linear_mixture import LinearMixture, mixture
from theorylab.problems.switch_bandit import SwitchBandit

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


def linear_mdps() -> SearchStrategy[LinearMDP]:
    """Two or three states with readable numbers."""
    from hypothesis import strategies as st

    @st.composite
    def draw(draw: st.DrawFn) -> LinearMDP:
        S, A, d, H = draw(st.integers(2, 3)), draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 3))

        def row(n: int) -> list[float]:
            weights = [draw(st.integers(0, 4)) for _ in range(n)]
            return [w / sum(weights) for w in weights] if sum(weights) else [float(i == 0) for i in range(n)]

        return LinearMDP(
            np.array([[row(d) for _ in range(A)] for _ in range(S)]),
            np.array([[row(S) for _ in range(d)] for _ in range(H)]),
            np.array([[draw(st.sampled_from([0.0, 1.0, 0.5])) for _ in range(d)] for _ in range(H)]),
            draw(st.sampled_from([1.0, 0.1, 0.3, 3.0])),
            draw(st.sampled_from([0.5, 0.1, 0.9])),
        )

    return draw()


def linear_mixtures(*, max_states: int = 4, max_features: int = 3, max_steps: int = 4) -> SearchStrategy[LinearMixture]:
    """Small mixtures of kernels with round probabilities, and a reward."""
    from hypothesis import strategies as st

    @st.composite
    def draw(draw: st.DrawFn) -> LinearMixture:
        S, A, d = draw(st.integers(1, max_states)), draw(st.integers(1, 2)), draw(st.integers(1, max_features))
        H = draw(st.integers(1, max_steps))

        def row(n: int) -> list[float]:
            weights = [draw(st.integers(0, 4)) for _ in range(n)]
            return [w / sum(weights) for w in weights] if sum(weights) else [float(i == 0) for i in range(n)]

        kernels = np.array([[[row(S) for _ in range(A)] for _ in range(S)] for _ in range(d)])
        reward = np.array([[draw(st.sampled_from([0.0, 1.0, 0.5])) for _ in range(A)] for _ in range(S)])
        when = draw(st.integers(0, H - 1))
        rewards = np.zeros((1, H, S, A))
        rewards[0, when] = reward
        return mixture(kernels, np.array(row(d)), rewards)

    return draw()


def switch_bandits() -> SearchStrategy[SwitchBandit]:
    """One or two arms with readable payoffs."""
    from hypothesis import strategies as st

    @st.composite
    def draw(draw: st.DrawFn) -> SwitchBandit:
        K, m = draw(st.integers(1, 2)), draw(st.integers(1, 2))
        rows = [[draw(st.integers(0, 8)) / 8.0 for _ in range(2 * m)] for _ in range(K)]
        if draw(st.booleans()):
            rows = [sorted(row) for row in rows]
        return SwitchBandit(np.array(rows))

    return draw()
