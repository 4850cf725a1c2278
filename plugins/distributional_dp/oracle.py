"""The stock problem as an ordinary decision process on a fine grid of stocks, in NumPy: what the kernels are measured against."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from theorylab.problems.mdp import END, MDP
from theorylab.problems.record import Array
from theorylab.solvers.stock import StockGrid, Utility


class GridProblem:
    """Tables of next stocks for every (s, c, a, outcome); the value beyond the grid goes on with the utility's slope.

    With discount 1/2, whole-numbered rewards and a step that divides 1 no stock is ever rounded, and values are exact.
    """

    def __init__(self, mdp: MDP, grid: StockGrid, utility: Utility) -> None:
        self.mdp, self.grid, self.utility = mdp, grid, utility
        self.factor = utility.factor(mdp.discount)
        stocks = grid.stocks
        position = (stocks[None, :] + mdp.rewards[:, None]) / mdp.discount
        x = (position - grid.low) / grid.step
        self.index = np.clip(np.floor(x + 0.5), 0, grid.count - 1).astype(np.int64)
        below, above = np.minimum(x, 0.0), np.maximum(x - (grid.count - 1), 0.0)
        self.extra = grid.step * (utility.down * below + utility.up * above)
        self.final = utility(stocks)

    def action_values(self, value: Array) -> Array:
        """(S, A, C) from value (S, C)."""
        full = np.vstack((value, self.final))  # the last row is the end of the episode, which END = -1 picks
        outcome = self.mdp.probabilities[:, None] * (full[self.mdp.successors[:, None], self.index] + self.extra)
        pairs = np.add.reduceat(outcome, self.mdp.offsets[:-1], axis=0)
        return np.asarray(self.factor * pairs.reshape(self.mdp.state_count, self.mdp.action_count, -1))

    def values(self, steps: int) -> list[Array]:
        """(S, C) optimal values of 0, 1, ..., `steps` steps."""
        out = [np.tile(self.final, (self.mdp.state_count, 1))]
        for _ in range(steps):
            out.append(self.action_values(out[-1]).max(axis=1))
        return out

    def limit(self, value: Array, policy: NDArray[np.int64] | None = None, accuracy: float = 1e-12) -> Array:
        """(S, C) the endless value, optimal or of a stationary policy (S, C); discount < 1, no jump."""
        discount = self.mdp.discount
        sweeps = int(np.ceil(np.log(accuracy / (1.0 + np.abs(self.grid.low))) / np.log(discount))) + 1
        for _ in range(sweeps):
            q = self.action_values(value)
            value = q.max(axis=1) if policy is None else np.take_along_axis(q, policy[:, None, :], axis=1)[:, 0]
        return value


assert END == -1  # action_values() picks the row of the end by it
