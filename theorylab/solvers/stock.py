"""Stock-augmented dynamic programming on a grid of stocks: objectives that are read off the whole distribution of the return.

The state is (s, c) with stock c' = (c + r) / discount, rounded to the grid at every step; the objective is E f(c + G). Outside the
interval from minus the highest to minus the lowest return f sees only one of its two slopes: there the best action no longer depends on the
stock, and a finite grid is enough although stocks grow.

Letters: S states, A actions, C stocks, m atoms.
Sources: Avila Pires et al., "Optimizing Return Distributions with Distributional Dynamic Programming", arXiv 2501.13028; Bauerle, Ott,
"Markov Decision Processes with Average-Value-at-Risk criteria", 2011 (the outer maximisation for CVaR).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theorylab.errors import SolverError
from theorylab.kernels import kernel
from theorylab.problems.mdp import END, MDP
from theorylab.problems.record import Array
from theorylab.solvers.quantile import take_quantiles

#: How laws are kept on a grid: as weights on even atoms, or as equally likely quantiles.
CATEGORICAL, QUANTILE = range(2)


@dataclass(frozen=True)
class Utility:
    """f(x) = up x for x >= 0, down x for x < 0, plus jump where x >= 0.

    f(x) = x is (1, 1), min(x, 0) is (0, 1), -|x| is (-1, 1), reaching a target is (0, 0, jump 1). On an infinite horizon the objectives that
    this method solves are, up to monotone maps and for continuous ones, those without a jump.
    """

    up: float
    down: float
    jump: float = 0.0

    def __call__(self, x: Array) -> Array:
        return np.where(x >= 0.0, self.up * x + self.jump, self.down * x)

    @property
    def lipschitz(self) -> float:
        """The largest slope; infinite with a jump."""
        return float(max(abs(self.up), abs(self.down))) if self.jump == 0.0 else float("inf")

    def factor(self, discount: float) -> float:
        """a with f(discount x) = a f(x). Raises SolverError if there is none."""
        if self.jump != 0.0 and (self.up != 0.0 or self.down != 0.0) and discount < 1.0:
            raise SolverError("A utility with slopes and a jump ranks laws differently after discounting: keep one of the two.")
        return discount if self.jump == 0.0 else 1.0


@dataclass(frozen=True)
class StockGrid:
    """C even stocks from `low`, `step` apart."""

    low: float
    step: float
    count: int

    @property
    def stocks(self) -> Array:
        """(C,)"""
        return np.asarray(self.low + self.step * np.arange(self.count, dtype=np.float64))

    @staticmethod
    def around(mdp: MDP, count: int) -> StockGrid:
        """The stocks at which the objective can still go either way: from minus the highest return to minus the lowest."""
        low, high = mdp.return_range()
        if not np.isfinite(low + high):
            raise SolverError("With discount 1 returns have no bound: give the grid of stocks.")
        low, high = min(low, 0.0), max(high, 0.0)  # what is cut off after n steps earns nothing more
        if high - low < 1e-9:
            low, high = low - 0.5, high + 0.5
        return StockGrid(-high, (high - low) / (count - 1), count)

    def index(self, stock: Array) -> NDArray[np.int64]:
        """The nearest grid points; ends are clipped."""
        return np.clip(np.floor((stock - self.low) / self.step + 0.5), 0, self.count - 1).astype(np.int64)


def _outcomes(mdp: MDP) -> tuple[Any, ...]:
    """An MDP as the kernels take it."""
    return mdp.discount, mdp.action_count, mdp.offsets, mdp.successors, mdp.probabilities, mdp.rewards


@kernel
def value_sweep(value, out, policy, grid, utility, factor, is_split, problem):  # type: ignore[no-untyped-def]
    """out (S + 1, C) = factor max_a sum p value(s', c'); row S is the utility itself, the value after the end; policy (S, C).

    Beyond the grid the value goes on with the slope that the utility has there; between grid points it is that of the nearest, or, if
    is_split, interpolated. Returns the largest change.
    """
    low, step = grid
    up, down, _ = utility
    discount, action_count, offsets, successors, probabilities, rewards = problem
    C = value.shape[1]
    S = value.shape[0] - 1
    largest = 0.0
    for s in range(S):
        for i in range(C):
            best, chosen = -np.inf, 0
            for a in range(action_count):
                total = 0.0
                for k in range(offsets[s * action_count + a], offsets[s * action_count + a + 1]):
                    x = ((low + step * i + rewards[k]) / discount - low) / step
                    to = successors[k] if successors[k] != END else S
                    if x < 0.0:
                        total += probabilities[k] * (value[to, 0] + down * step * x)
                    elif x > C - 1.0:
                        total += probabilities[k] * (value[to, C - 1] + up * step * (x - (C - 1.0)))
                    elif is_split:
                        cell = min(int(x), C - 2)
                        total += probabilities[k] * (value[to, cell] + (x - cell) * (value[to, cell + 1] - value[to, cell]))
                    else:
                        total += probabilities[k] * value[to, int(x + 0.5)]
                if a == 0 or total > best + 1e-12 * (1.0 + abs(best)):
                    best, chosen = total, a
            out[s, i], policy[s, i] = factor * best, chosen
            largest = max(largest, abs(out[s, i] - value[s, i]))
    for i in range(C):
        out[S, i] = value[S, i]
    return largest


@dataclass(frozen=True)
class StockValues:
    """value (S, C) of the rounded recursion; policies: (steps, S, C), the first is played with all steps left, or (1, S, C) for an endless
    run; change: the largest one of the last sweep."""

    grid: StockGrid
    value: Array
    policies: NDArray[np.int8]
    change: float


def stock_values(
    mdp: MDP, utility: Utility, grid: StockGrid, *, steps: int | None = None, accuracy: float = 1e-10, is_split: bool = False
) -> StockValues:
    """max over policies of E f(c + G) at every state and stock, for `steps` steps, or endlessly (discount < 1, no jump).

    Stocks go to the nearest grid point, or, if is_split, to one of both neighbours at random so that their mean is kept. For f of degree 1,
    Lipschitz with constant L, either costs at most L step discount / (2 (1 - discount)). Nearest points drift: where rewards are small
    against the step a stock may never move. Split stocks do not: what is accounted for has the mean of what is earned.
    """
    factor = utility.factor(mdp.discount)
    if steps is None and (mdp.discount >= 1.0 or utility.jump != 0.0):
        raise SolverError("An endless run needs a discount below 1 and a utility without a jump: say how many steps.")
    if mdp.action_count > 127:
        raise SolverError(f"{mdp.action_count} actions: at most 127 fit.")
    S = mdp.state_count
    value = np.tile(utility(grid.stocks), (S + 1, 1))
    out, policy = np.empty_like(value), np.zeros((S, grid.count), dtype=np.int8)
    slopes, outcomes = (utility.up, utility.down, utility.jump), _outcomes(mdp)
    kept, change, done = [], np.inf, 0
    # The change shrinks by the discount: what is left to come is at most discount / (1 - discount) times the last.
    enough = accuracy * (1.0 - mdp.discount) / mdp.discount
    while (done < steps) if steps is not None else change > enough:
        change = value_sweep(value, out, policy, (grid.low, grid.step), slopes, factor, is_split, outcomes)
        value, out, done = out, value, done + 1
        if steps is not None:
            kept.append(policy.copy())
    policies = np.array(kept[::-1]) if steps is not None else policy[None]
    return StockValues(grid, value[:S], policies, float(change))


# -- laws -----------------------------------------------------------------------------------------------------------------------


@kernel
def law_sweep(laws, out, policy, is_fixed, kind, atoms, grid, utility, room, problem):  # type: ignore[no-untyped-def]
    """out (S, C, m) = projected backup of laws (S, C, m) under policy (S, C), which is made greedy first unless is_fixed.

    kind CATEGORICAL: laws are weights on atoms (m,), even; QUANTILE: laws are sorted quantiles. room: three arrays for the backup of
    one action. Returns the largest change of any entry and of the objective, and whether the policy changed.
    """
    low, step = grid
    up, down, jump = utility
    discount, action_count, offsets, successors, probabilities, rewards = problem
    x, w, trial = room
    S, C, m = laws.shape
    largest, changed = 0.0, False
    spacing = atoms[1] - atoms[0] if kind == CATEGORICAL else 1.0
    for s in range(S):
        for i in range(C):
            stock = low + step * i
            best, chosen = -np.inf, 0
            for a in range(action_count):
                if is_fixed and a != policy[s, i]:
                    continue
                n = 0
                for j in range(m):
                    trial[j] = 0.0
                for k in range(offsets[s * action_count + a], offsets[s * action_count + a + 1]):
                    to, r, p = successors[k], rewards[k], probabilities[k]
                    if to == END:
                        x[n], w[n] = r, p
                        n += 1
                    else:
                        at = ((stock + r) / discount - low) / step
                        at = int(min(max(at, 0.0), C - 1.0) + 0.5)
                        for j in range(m):
                            if kind == CATEGORICAL:
                                x[n], w[n] = r + discount * atoms[j], p * laws[to, at, j]
                            else:
                                x[n], w[n] = r + discount * laws[to, at, j], p / m
                            n += 1
                worth = 0.0
                if kind == CATEGORICAL:
                    for j in range(n):
                        y = min(max((x[j] - atoms[0]) / spacing, 0.0), m - 1.0)
                        cell = min(int(y), m - 2)
                        trial[cell] += w[j] * (1.0 - (y - cell))
                        trial[cell + 1] += w[j] * (y - cell)
                    for j in range(m):
                        y = stock + atoms[j]
                        worth += trial[j] * (up * y + jump if y >= 0.0 else down * y)
                else:
                    take_quantiles(x, w, np.argsort(x[:n]), trial)
                    for j in range(m):
                        y = stock + trial[j]
                        worth += (up * y + jump if y >= 0.0 else down * y) / m
                if best == -np.inf or worth > best + 1e-12 * (1.0 + abs(best)):
                    best, chosen = worth, a
                    for j in range(m):
                        out[s, i, j] = trial[j]
            changed = changed or policy[s, i] != chosen
            policy[s, i] = chosen
            for j in range(m):
                largest = max(largest, abs(out[s, i, j] - laws[s, i, j]))
    return largest, changed


@dataclass(frozen=True)
class StockLaws:
    """laws (S, C, m): weights on `atoms`, or quantiles; policy (S, C); value (S, C): E f(c + G) of these laws."""

    grid: StockGrid
    atoms: Array
    laws: Array
    policy: NDArray[np.int8]
    value: Array


class StockLawIteration:
    """Distributional value and policy iteration on a grid of stocks, with laws kept as categories or as quantiles."""

    def __init__(self, mdp: MDP, utility: Utility, grid: StockGrid, kind: int, atoms: Array) -> None:
        """atoms (m,): the even grid of categorical laws; for quantiles only their number matters."""
        self.mdp, self.utility, self.grid, self.kind, self.atoms = mdp, utility, grid, kind, np.asarray(atoms, dtype=np.float64)
        S, m = mdp.state_count, len(atoms)
        self.laws = np.zeros((S, grid.count, m))
        if kind == CATEGORICAL:
            from theorylab.solvers.categorical import point_laws

            self.laws[:] = point_laws(self.atoms, 1)[0]
        self.policy = np.zeros((S, grid.count), dtype=np.int8)
        self._out = np.empty_like(self.laws)
        room = int(np.diff(mdp.offsets).max()) * max(m, 1)
        self._room = np.empty(room), np.empty(room), np.empty(m)

    def sweep(self, *, is_fixed: bool = False) -> tuple[float, bool]:
        """One sweep, greedy or under the present policy; the largest change and whether the policy changed."""
        u = self.utility
        largest, changed = law_sweep(
            self.laws, self._out, self.policy, is_fixed, self.kind, self.atoms, (self.grid.low, self.grid.step), (u.up, u.down, u.jump),
            self._room, _outcomes(self.mdp),
        )  # fmt: skip
        self.laws, self._out = self._out, self.laws
        return float(largest), bool(changed)

    def value_iteration(self, sweeps: int) -> StockLaws:
        """The laws after so many greedy sweeps."""
        for _ in range(sweeps):
            self.sweep()
        return self.result()

    def policy_iteration(self, *, sweeps: int, most: int = 100) -> StockLaws:
        """Policies greedy for laws evaluated by so many sweeps, until the objective gains nothing more in any (s, c).

        Raises SolverError after `most` policies: with rounded stocks or projected laws they may go round.
        """
        for _ in range(most):
            for _ in range(sweeps):
                self.sweep(is_fixed=True)
            before, laws, policy = self.result(), self.laws.copy(), self.policy.copy()
            self.sweep()
            if (self.result().value <= before.value + 1e-9 * (1.0 + np.abs(before.value))).all():
                self.laws, self.policy = laws, policy
                return self.result()
        raise SolverError(f"Policy iteration on the stock grid found no policy that is greedy for itself within {most} rounds.")

    def result(self) -> StockLaws:
        """The present laws and policy, with the objective's value."""
        stocks = self.grid.stocks[:, None]
        if self.kind == CATEGORICAL:
            value = (self.laws * self.utility(stocks + self.atoms)).sum(axis=2)
        else:
            value = self.utility(stocks + self.laws).mean(axis=2)
        return StockLaws(self.grid, self.atoms, self.laws.copy(), self.policy.copy(), value)


# -- CVaR -----------------------------------------------------------------------------------------------------------------------

#: f(x) = min(x, 0): what falls short of the target.
SHORTFALL = Utility(0.0, 1.0)


def best_target(values: StockValues, state: int, level: float) -> tuple[float, int]:
    """(CVaR, index of the stock): the outer maximisation of q + V(s, -q) / level over the q that are on the grid."""
    worth = -values.grid.stocks + values.value[state] / level
    i = int(np.argmax(worth))
    return float(worth[i]), i


@kernel
def _add(out, mass, x, low, spacing):  # type: ignore[no-untyped-def]
    """Project a point mass on an even grid."""
    y = min(max((x - low) / spacing, 0.0), len(out) - 1.0)
    cell = min(int(y), len(out) - 2)
    out[cell] += mass * (1.0 - (y - cell))
    out[cell + 1] += mass * (y - cell)


@kernel
def follow_stock(mass, fresh, policies, stocks, start_stock, laws, grid, lowest, out, steps, problem):  # type: ignore[no-untyped-def]
    """out: the law, on atoms from `lowest` on as far apart as those of the grid (m,), of the return of the stock policies from mass (S, C).

    The total c_0 + G is discount^t times the stock, so the stock itself keeps account; split stocks leave the account the mean of
    what is earned. Where it leaves its grid the rest of the run
    follows laws (S, m) on the same grid, and so does what is still under way after the last step.
    """
    low, step = stocks
    discount, action_count, offsets, successors, probabilities, rewards = problem
    S, C = mass.shape
    m = len(grid)
    spacing = grid[1] - grid[0]
    weight = 1.0
    for t in range(steps):
        fresh[:] = 0.0
        for s in range(S):
            for i in range(C):
                p = mass[s, i]
                if p <= 0.0:
                    continue
                pair = s * action_count + policies[min(t, len(policies) - 1), s, i]
                for k in range(offsets[pair], offsets[pair + 1]):
                    q = p * probabilities[k]
                    after = low + step * i + rewards[k]  # discount times the new stock
                    x = (after / discount - low) / step
                    if successors[k] == END:
                        _add(out, q, weight * after - start_stock, lowest, spacing)
                    elif x < 0.0 or x > C - 1.0:
                        for j in range(m):
                            if laws[successors[k], j] > 0.0:
                                _add(
                                    out,
                                    q * laws[successors[k], j],
                                    weight * (after + discount * grid[j]) - start_stock,
                                    lowest,
                                    spacing,
                                )
                    else:  # split so that the mean of the total is kept
                        cell = min(int(x), C - 2)
                        fresh[successors[k], cell] += q * (1.0 - (x - cell))
                        fresh[successors[k], cell + 1] += q * (x - cell)
        mass, fresh = fresh, mass
        weight *= discount
    for s in range(S):
        for i in range(C):
            if mass[s, i] > 0.0:
                for j in range(m):
                    if laws[s, j] > 0.0:
                        _add(out, mass[s, i] * laws[s, j], weight * (low + step * i + grid[j]) - start_stock, lowest, spacing)


def stock_policy_law(
    mdp: MDP, values: StockValues, state: int, stock: int, afterwards: Array, grid: Array, steps: int, margin: int = 0
) -> tuple[Array, Array]:  # fmt: skip
    """(atoms, weights): the law of the return from `state` under the policies of `values`, started with stock number `stock`.

    afterwards (S, m): laws of the return, on the even grid (m,), of the policy that takes over where the stock no longer matters. The atoms are
    the grid with `margin` cells more at either end, for what split stocks put beyond the range; what is farther out is clipped.
    """
    mass = np.zeros((mdp.state_count, values.grid.count))
    mass[state, stock] = 1.0
    spacing = float(grid[1] - grid[0])
    atoms = grid[0] + spacing * np.arange(-margin, len(grid) + margin)
    out = np.zeros(len(atoms))
    follow_stock(
        mass, np.zeros_like(mass), values.policies, (values.grid.low, values.grid.step), float(values.grid.stocks[stock]), afterwards, grid,
        float(atoms[0]), out, steps, _outcomes(mdp),
    )  # fmt: skip
    return atoms, out
