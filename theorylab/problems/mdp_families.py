"""Families of small Markov decision processes: declared distributions and hypothesis strategies.

`random_process(rng)` and `processes()`: up to five states, near-deterministic to uniform rows, duplicate and ending outcomes, acyclic ones
whose returns can be enumerated, discounts up to 0.99. `random_stock_problem(rng)` and `stock_problems()`: up to three states, two actions
and two outcomes each, with numbers that are simple fractions, for rational arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from theorylab.problems.mdp import END, MDP, from_table

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

DISCOUNTS = (0.2, 0.5, 0.8, 0.9, 0.95, 0.99)
STOCK_DISCOUNTS = (0.5, 0.9, 1.0)
STOCK_REWARDS = ((-2.0, -1.0, 0.0, 1.0, 2.0), (0.0, 1.0), (-1.0 / 3.0, 5.0 / 7.0, 0.0))


def _rewards(rng: np.random.Generator, count: int) -> np.ndarray:
    law = int(rng.integers(4))
    if law == 0:
        return rng.integers(0, 2, count).astype(np.float64)
    if law == 1:
        return rng.uniform(-1.0, 1.0, count)
    if law == 2:
        return np.full(count, float(rng.integers(0, 2)))
    return rng.uniform(0.0, 1.0, count)


def random_process(rng: np.random.Generator) -> MDP:
    """1 to 5 states, 1 or 2 actions, rewards in [-1, 1], discount < 1. A third of them only go forward and end."""
    S, A = int(rng.integers(1, 6)), int(rng.integers(1, 3))
    forward = rng.random() < 0.35
    concentration = float(rng.choice([0.1, 1.0, 10.0]))
    by_pair = rng.random() < 0.5  # one reward for a state and action, or one for each outcome
    table = []
    for s in range(S):
        row = []
        for _ in range(A):
            k = int(rng.integers(1, 4 if forward else 6))
            if forward:
                to = [int(x) if x < S else END for x in rng.integers(s + 1, S + 2, k)]
            else:
                ends = rng.random() < 0.15
                to = [END if ends and rng.random() < 0.3 else int(x) for x in rng.integers(0, S, k)]
            p = rng.dirichlet(np.full(k, concentration)) if k > 1 else np.ones(1)
            p = np.maximum(p, 1e-12)
            r = np.repeat(_rewards(rng, 1), k) if by_pair else _rewards(rng, k)
            row.append(list(zip((p / p.sum()).tolist(), r.tolist(), to, strict=True)))
        table.append(row)
    return from_table(table, float(rng.choice(DISCOUNTS)))


def random_stock_problem(rng: np.random.Generator) -> MDP:
    """1 to 3 states, 2 actions, 1 or 2 outcomes with weights in ratios of 1..5, discount 1/2, 9/10 or 1."""
    S, rewards = int(rng.integers(1, 4)), STOCK_REWARDS[int(rng.integers(3))]
    deterministic = rng.random() < 0.15
    table = []
    for _ in range(S):
        row = []
        for _ in range(2):
            k = 1 if deterministic else int(rng.integers(1, 3))
            weights = rng.integers(1, 6, k)
            row.append(
                [
                    (w / weights.sum(), float(rng.choice(rewards)), END if rng.random() < 0.1 else int(rng.integers(S)))
                    for w in weights
                ]
            )
        table.append(row)
    return from_table(table, float(rng.choice(STOCK_DISCOUNTS)))


def processes(*, max_states: int = 4, max_actions: int = 2) -> SearchStrategy[MDP]:
    """A hypothesis strategy that shrinks towards one state, one action, a certain outcome, reward 0 and discount 1/2."""
    from hypothesis import strategies as st

    reward = st.one_of(st.integers(0, 8).map(lambda k: k / 8), st.floats(-1.0, 1.0, allow_subnormal=False))
    return _tables(st.sampled_from([0.5, 0.2, 0.8, 0.9, 0.95, 0.99]), reward, max_states, st.integers(1, max_actions), 3)


def stock_problems(*, max_states: int = 3) -> SearchStrategy[MDP]:
    """A hypothesis strategy that shrinks towards one state, certain outcomes, reward 0 and discount 1/2."""
    from hypothesis import strategies as st

    reward = st.sampled_from([0.0, 1.0, -1.0, 2.0, -2.0, 5.0 / 7.0, -1.0 / 3.0])
    return _tables(st.sampled_from(STOCK_DISCOUNTS), reward, max_states, st.just(2), 2)


def _tables(
    discount: SearchStrategy[float], reward: SearchStrategy[float], max_states: int, actions: SearchStrategy[int], max_outcomes: int
) -> SearchStrategy[MDP]:  # fmt: skip
    from hypothesis import strategies as st

    @st.composite
    def draw_mdp(draw: st.DrawFn) -> MDP:
        S, A = draw(st.integers(1, max_states)), draw(actions)
        table = []
        for _ in range(S):
            row = []
            for _ in range(A):
                weights = [draw(st.integers(1, 5)) for _ in range(draw(st.integers(1, max_outcomes)))]
                row.append([(w / sum(weights), draw(reward), draw(st.integers(-1, S - 1))) for w in weights])
            table.append(row)
        return from_table(table, draw(discount))

    return draw_mdp()
