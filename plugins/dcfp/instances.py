"""Reference processes, the declared distribution and the hypothesis strategy, and what owners of a model want to know."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from theorylab.plugin import Answer
from theorylab.problems.mdp import END, MDP, from_arrays, from_table
from theorylab.problems.mdp_families import DISCOUNTS
from theorylab.problems.mdp_files import read_mdp

from . import plugin

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

plugin.reader(read_mdp)


def evaluated(mdp: MDP) -> MDP:
    """The process of the policy that plays all actions alike."""
    if mdp.action_count == 1:
        return mdp
    return mdp.under(np.full((mdp.state_count, mdp.action_count), 1.0 / mdp.action_count))


@plugin.sample
def known_rewards(rng: np.random.Generator) -> MDP:
    """1 to 5 states with rewards in [0, 1] that depend on the state alone, near-deterministic to uniform rows, discount up to 0.99."""
    S = int(rng.integers(1, 6))
    rows = rng.dirichlet(np.full(S, float(rng.choice([0.1, 1.0, 10.0]))), S) if S > 1 else np.ones((1, 1))
    rows[rows < 1e-9] = 0.0
    rows /= rows.sum(axis=1, keepdims=True)
    reward = rng.integers(0, 2, S).astype(np.float64) if rng.random() < 0.3 else rng.random(S)
    return from_arrays(rows, reward, float(rng.choice(DISCOUNTS)))


@plugin.instances
def small_processes() -> SearchStrategy[MDP]:
    """Two or three states with readable numbers."""
    from hypothesis import strategies as st

    @st.composite
    def draw(draw: st.DrawFn) -> MDP:
        S = draw(st.integers(1, 3))
        weights = [[draw(st.integers(0, 4)) for _ in range(S)] for _ in range(S)]
        rows = [[w / sum(row) for w in row] if sum(row) else [float(s == i) for i in range(S)] for s, row in enumerate(weights)]
        reward = [draw(st.sampled_from([0.0, 1.0, 0.5])) for _ in range(S)]
        return from_arrays(rows, reward, draw(st.sampled_from([0.5, 0.2, 0.8, 0.9, 0.95])))

    return draw()


@plugin.assumption
def rewards_by_state(mdp: MDP) -> bool:
    """All outcomes of a state pay the same: only the next state is estimated."""
    process = evaluated(mdp)
    highest, lowest = (f.reduceat(process.rewards, process.offsets[:-1]) for f in (np.maximum, np.minimum))
    return bool((highest == lowest).all())


@plugin.assumption
def uncertain(mdp: MDP) -> bool:
    """Some next state is left to chance: without it the estimated model is exact at once."""
    return bool((evaluated(mdp).probabilities < 1.0).any())


def hard_chain(discount: float) -> MDP:
    """Pays 1 while alive and survives with probability (4 discount - 1) / (3 discount): the chain of the minimax lower bound."""
    p = (4.0 * discount - 1.0) / (3.0 * discount)
    return from_table([[[(p, 1.0, 0), (1.0 - p, 1.0, 1)]], [[(1.0, 0.0, 1)]]], discount)


def _random_rows(concentration: float, seed: int) -> MDP:
    rng = np.random.default_rng(seed)
    return from_arrays(rng.dirichlet(np.full(5, concentration), 5), np.round(rng.random(5), 3), 0.9)


plugin.reference("two-state", lambda: from_table([[[(0.5, 1.0, 0), (0.5, 1.0, 1)]], [[(0.5, 0.0, 0), (0.5, 0.0, 1)]]], 0.9))
plugin.reference("hard-chain", lambda: hard_chain(0.9))
plugin.reference("hard-chain-patient", lambda: hard_chain(0.99))
plugin.reference("low-random", lambda: _random_rows(0.1, 1))
plugin.reference("high-random", lambda: _random_rows(10.0, 2))
plugin.reference("separate", lambda: from_arrays(np.eye(2), [1.0, 0.25], 0.8))
plugin.reference(
    "chain", lambda: from_table([[[(0.1, float(s == 0), 0), (0.9, float(s == 0), min(s + 1, 4))]] for s in range(5)], 0.9)
)
plugin.reference(
    "ends", lambda: from_table([[[(0.7, 1.0, 0), (0.2, 1.0, 1), (0.1, 1.0, END)]], [[(0.5, 0.0, 0), (0.5, 0.0, END)]]], 0.9)
)


@plugin.answer
def samples_needed(mdp: MDP, *, samples: int, atoms: int) -> list[Answer]:
    """Samples for each state after which the explicit bound promises a W1 error, beside what the first-order error says."""
    from theorylab.solvers import categorical

    from .algorithm import DELTA, asymptotics, require_feasible

    process = evaluated(mdp)
    require_feasible(process, atoms)
    grid = categorical.default_grid(process, atoms)
    width, discount, S = float(grid[-1] - grid[0]), process.discount, process.state_count
    variance = float(asymptotics(process, grid, categorical.Outcomes.of(process, grid))["avar"].max())
    rows = []
    for share in (0.2, 0.1, 0.05, 0.02, 0.01):
        error = share * width
        crude = (discount * width / ((1.0 - discount) * error) * (0.5 + math.sqrt(math.log(S / DELTA) / 2.0))) ** 2
        # W1 <= sqrt(width) l2, and the mean square of l2 is the variance over N to first order.
        rows.append((f"{error:.4g}", f"{math.ceil(crude):,}", f"{math.ceil(width * variance / error**2):,}"))
    return [
        Answer(
            f"Samples for each state, {atoms} atoms, probability {1.0 - DELTA:g}",
            ("W1 error of all states", "proved", "mean square, first order"),
            tuple(rows),
            "The projection's own error, at most "
            f"{(grid[1] - grid[0]) / (2.0 * (1.0 - discount)):.4g}, comes on top; more atoms make it smaller.",
        )
    ]
