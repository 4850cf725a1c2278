"""Families of preference games: `random_game(rng)`, a declared distribution, and `preference_games()`, a hypothesis strategy.

Both cover what breaks wrong algorithms: deterministic, tied, tiny-gap, Bradley-Terry, cyclic and Condorcet tables; reference
policies from uniform to almost all mass on one action. Uniform cycles with a uniform reference hide nearly every error, so
they are rare here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from theorylab.problems.preference_game import PreferenceGame
from theorylab.problems.record import Array

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

SIZES = (1, 2, 3, 4, 5, 8, 15)


def _log_softmax(z: Array) -> Array:
    shifted = z - z.max()
    return np.asarray(shifted - math.log(np.exp(shifted).sum()))


def _random_skew(rng: np.random.Generator, n: int) -> Array:
    """(n, n) upper triangle of P - 1/2, from one of nine laws."""
    law = int(rng.integers(9))
    if law == 0:
        a = rng.uniform(-0.5, 0.5, (n, n))
    elif law == 1:
        a = rng.choice([-0.5, 0.5], (n, n))
    elif law == 2:
        a = rng.choice([-0.5, 0.0, 0.5], (n, n))
    elif law == 3:
        a = rng.uniform(-1e-6, 1e-6, (n, n))
    elif law == 4:
        a = rng.beta(0.1, 0.1, (n, n)) - 0.5
    elif law == 5:  # Bradley-Terry
        score = rng.normal(0.0, 3.0, n)
        a = 1.0 / (1.0 + np.exp(score[None, :] - score[:, None])) - 0.5
    elif law == 6:  # each action beats the next (n - 1) / 2
        ahead = (np.arange(n)[None, :] - np.arange(n)[:, None]) % n
        sign = np.where(2 * ahead < n, 1.0, -1.0)
        a = np.clip(0.4 * sign + rng.normal(0.0, 0.05, (n, n)), -0.5, 0.5)
    elif law == 7:  # a Condorcet winner
        a = rng.uniform(-0.5, 0.5, (n, n))
        a[0] = 0.5
    else:
        a = np.zeros((n, n))
    return np.asarray(np.triu(a, 1))


def _random_log_reference(rng: np.random.Generator, n: int) -> Array:
    law = int(rng.integers(5))
    if law == 0:
        return np.full(n, -math.log(n))
    if law == 1:
        return _log_softmax(np.log(np.maximum(rng.dirichlet(np.ones(n)), 1e-290)))
    if law == 2:
        return _log_softmax(np.log(np.maximum(rng.dirichlet(np.full(n, 0.05)), 1e-290)))
    if law == 3:
        return _log_softmax(rng.normal(0.0, 10.0, n))
    concentrated = np.zeros(n)
    concentrated[int(rng.integers(n))] = 30.0
    return _log_softmax(concentrated)


def random_game(rng: np.random.Generator) -> PreferenceGame:
    """A game from the declared family: up to 15 actions, one to three prompts, tau log-uniform in [0.005, 5]."""
    n = int(rng.choice(SIZES))
    prompts = int(rng.choice([1, 1, 1, 2, 3]))
    tau = float(np.exp(rng.uniform(math.log(0.005), math.log(5.0))))
    skew = np.stack([_random_skew(rng, n) for _ in range(prompts)])
    log_reference = np.stack([_random_log_reference(rng, n) for _ in range(prompts)])
    weights = rng.dirichlet(np.ones(prompts))
    preference = 0.5 + skew - skew.transpose(0, 2, 1)
    return PreferenceGame(preference, log_reference, tau, weights / weights.sum())


def preference_games(
    *, max_actions: int = 5, max_prompts: int = 2, taus: SearchStrategy[float] | None = None
) -> SearchStrategy[PreferenceGame]:
    """A hypothesis strategy that shrinks towards few actions, ties, a uniform reference and tau = 1."""
    from hypothesis import strategies as st

    win_rates = st.one_of(
        st.integers(0, 8).map(lambda k: 0.5 + (k + 1) // 2 * (-1) ** k / 8),  # 1/2 first, then eighths outwards
        st.integers(2, 40).map(lambda k: 0.5 + 2.0**-k),  # thin sets: gaps down to 2^-40
        st.floats(0.0, 1.0, allow_subnormal=False),
    )
    log_weights = st.one_of(st.integers(0, 3), st.integers(-30, 30), st.integers(-650, 0)).map(float)
    tau_values = taus if taus is not None else st.one_of(
        st.sampled_from([1.0, 0.5, 0.25, 2.0, 0.125, 4.0, 0.0625, 0.03125, 0.015625]), st.floats(0.005, 5.0)
    )  # fmt: skip

    @st.composite
    def games(draw: st.DrawFn) -> PreferenceGame:
        n = draw(st.integers(1, max_actions))
        prompts = draw(st.integers(1, max_prompts))
        preference = np.full((prompts, n, n), 0.5)
        log_reference = np.empty((prompts, n))
        for x in range(prompts):
            for i in range(n):
                for j in range(i + 1, n):
                    preference[x, i, j] = draw(win_rates)
                    preference[x, j, i] = 1.0 - preference[x, i, j]
            log_reference[x] = _log_softmax(np.array([draw(log_weights) for _ in range(n)]))
        counts = np.array([draw(st.integers(1, 4)) for _ in range(prompts)], dtype=np.float64)
        return PreferenceGame(preference, log_reference, draw(tau_values), counts / counts.sum())

    return games()
