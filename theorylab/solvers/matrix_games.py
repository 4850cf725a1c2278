"""Matrix games with two players and sum zero: an equilibrium with its certificate, by the simplex method or by regret matching.

The row player gets `payoff[i, j]` and maximises. Letters: m rows, n columns, x (m,) and y (n,) mixed strategies. Any pair (x, y) encloses the
value of the game: min_j (x' A)_j <= value <= max_i (A y)_i. The width of the enclosure is the sum of what both players could still gain.

Source: Dantzig, "A proof of the equivalence of the programming problem and the game problem" (1951), in condensed tableaus; Tammelin, "Solving
large imperfect information games using CFR+" (arXiv 1407.5042) for regret matching+, with alternating updates and linear averages.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from theorylab.errors import SolverError
from theorylab.kernels import kernel
from theorylab.problems.record import Array

#: Entries up to which the simplex method is faster than regret matching even where little accuracy is asked for.
SMALL = 90_000

#: Pivots without progress after which ties are broken by Bland's rule, which cannot cycle.
STALLED = 60

#: Rounds of regret matching between two looks at the enclosure.
LOOK = 20


@dataclass(frozen=True)
class MatrixEquilibrium:
    """row (m,), column (n,): mixed strategies; low <= value of the game <= high, by these strategies alone; iterations: pivots or rounds."""

    row: Array
    column: Array
    low: float
    high: float
    iterations: int

    @property
    def value(self) -> float:
        """The middle of the enclosure."""
        return 0.5 * (self.low + self.high)

    @property
    def exploitability(self) -> float:
        """What both players together could still gain: the width of the enclosure."""
        return self.high - self.low


@kernel
def _pivot(table, norms, row, r, j):  # type: ignore[no-untyped-def]
    """The variable of column j enters in row r; norms (n + 1,) = 1 + the squared length of each column above the last row; row (n + 1,) is room."""
    rows, columns = table.shape[0] - 1, table.shape[1]
    p = 1.0 / table[r, j]
    for k in range(columns):
        row[k] = table[r, k] * p  # apart from the table: else each sum would wait for the one before
    row[j] = p
    for i in range(rows):
        if i != r:
            f = table[i, j]
            table[i, j] = 0.0
            for k in range(columns):
                new = table[i, k] - f * row[k]
                table[i, k] = new
                norms[k] += new * new
    f = table[rows, j]
    table[rows, j] = 0.0
    for k in range(columns):
        table[rows, k] -= f * row[k]
        table[r, k] = row[k]


@kernel
def _enclosure(payoff, x, y):  # type: ignore[no-untyped-def]
    """min_j (x' A)_j and max_i (A y)_i."""
    m, n = payoff.shape
    columns, high = np.zeros(n), -np.inf
    for i in range(m):
        total = 0.0
        for j in range(n):
            total += payoff[i, j] * y[j]
        high = max(high, total)
        if x[i] != 0.0:
            for j in range(n):
                columns[j] += x[i] * payoff[i, j]
    return columns.min(), high


@kernel
def _simplex(payoff, most):  # type: ignore[no-untyped-def]
    """(x, y, low, high, spread, pivots): strategies, their enclosure, the range of the payoffs (nan if one is no number), pivots or -1 if `most` were too few.

    max sum w, A w <= 1, w >= 0 with A shifted to be positive: y = w / sum w, and the dual variables give x. Columns of the tableau are the variables
    outside the basis, so that a pivot touches m n numbers and no more. The steepest edge enters, whose length costs little while the tableau is in
    hand; among equal ratios the largest pivot is taken; a run that stalls goes on by Bland's rule.
    """
    m, n = payoff.shape
    x, y = np.zeros(m), np.zeros(n)
    low = high = payoff[0, 0]
    total = 0.0
    for i in range(m):
        for j in range(n):
            low, high = min(low, payoff[i, j]), max(high, payoff[i, j])
            total += payoff[i, j]
    if not math.isfinite(total) or not math.isfinite(high - low):
        return x, y, low, high, np.nan, -1
    spread = high - low
    scale = 1.0 / (high - low) if high > low else 1.0
    table = np.empty((m + 1, n + 1))
    for i in range(m):
        for j in range(n):
            table[i, j] = 1.0 + (payoff[i, j] - low) * scale
        table[i, n] = 1.0
    for j in range(n):
        table[m, j] = -1.0
    table[m, n] = 0.0
    norms, row = np.ones(n + 1), np.empty(n + 1)
    for i in range(m):
        for j in range(n):
            norms[j] += table[i, j] * table[i, j]
    basic = np.arange(n, n + m)  # variables below n are w, the others slacks
    outside = np.arange(n)
    pivots = stalled = 0
    best = 0.0
    while pivots < most:
        enter, steepest = -1, 0.0
        for j in range(n):
            d = table[m, j]
            if d < -1e-12:
                if stalled < STALLED:
                    if d * d > steepest * norms[j]:
                        enter, steepest = j, d * d / norms[j]
                elif enter < 0 or outside[j] < outside[enter]:
                    enter = j
        if enter < 0:
            break
        leave, least, size = -1, np.inf, 0.0
        for i in range(m):
            f = table[i, enter]
            if f > 1e-11:
                ratio = max(table[i, n], 0.0) / f
                if ratio < least - 1e-13 * least or (
                    ratio <= least + 1e-13 * least and (f > size if stalled < STALLED else basic[i] < basic[leave])
                ):
                    leave, least, size = i, min(ratio, least), f
        if leave < 0:
            return x, y, low, high, spread, -1
        for j in range(n + 1):
            norms[j] = 1.0 + (table[leave, j] / table[leave, enter]) ** 2
        norms[enter] = 1.0 + 1.0 / table[leave, enter] ** 2
        _pivot(table, norms, row, leave, enter)
        basic[leave], outside[enter] = outside[enter], basic[leave]
        pivots += 1
        stalled = stalled + 1 if table[m, n] <= best * (1.0 + 1e-14) else 0
        best = max(best, table[m, n])
    if pivots >= most:
        return x, y, low, high, spread, -1
    for i in range(m):
        if basic[i] < n:
            y[basic[i]] = max(table[i, n], 0.0)
    for j in range(n):
        if outside[j] >= n:
            x[outside[j] - n] = max(table[m, j], 0.0)
    x /= x.sum()
    y /= y.sum()
    low, high = _enclosure(payoff, x, y)
    return x, y, low, high, spread, pivots


def _equalising(payoff: Array) -> Array:
    """(k,) the weights that make all rows of a square table pay the same. Raises LinAlgError if there are none."""
    k = len(payoff)
    system, right = np.zeros((k + 1, k + 1)), np.zeros(k + 1)
    system[:k, :k], system[:k, k], system[k, :k], right[k] = payoff, -1.0, 1.0, 1.0
    return np.asarray(np.linalg.solve(system, right)[:k])


def _polished(payoff: Array, x: Array, y: Array) -> tuple[Array, Array] | None:
    """Strategies with the same supports whose payoffs there are equal to rounding; None where the supports determine none."""
    rows, columns = np.flatnonzero(x > 0.0), np.flatnonzero(y > 0.0)
    if rows.size != columns.size:
        return None
    inner = payoff[np.ix_(rows, columns)]
    try:
        one, other = _equalising(inner.T), _equalising(inner)
    except np.linalg.LinAlgError:
        return None
    if not min(one.min(), other.min()) >= 0.0:
        return None
    new_x, new_y = np.zeros_like(x), np.zeros_like(y)
    new_x[rows], new_y[columns] = one, other
    return new_x, new_y


@kernel
def _matching(payoff, x_regret, y_regret, x, y, x_sum, y_sum, start, rounds):  # type: ignore[no-untyped-def]
    """Rounds start + 1 to start + rounds of regret matching+, players in turn; adds to linearly weighted sums of strategies."""
    m, n = payoff.shape
    gain, loss = np.empty(m), np.empty(n)
    for t in range(start + 1, start + rounds + 1):
        total = 0.0
        for j in range(n):
            total += y_regret[j]
        for j in range(n):
            y[j] = y_regret[j] / total if total > 0.0 else 1.0 / n
        mean = 0.0
        for i in range(m):
            even = odd = 0.0
            third = fourth = 0.0
            j = 0
            while j + 3 < n:  # four sums: additions of one wait for each other
                even += payoff[i, j] * y[j]
                odd += payoff[i, j + 1] * y[j + 1]
                third += payoff[i, j + 2] * y[j + 2]
                fourth += payoff[i, j + 3] * y[j + 3]
                j += 4
            while j < n:
                even += payoff[i, j] * y[j]
                j += 1
            gain[i] = (even + odd) + (third + fourth)
            mean += x[i] * gain[i]
        total = 0.0
        for i in range(m):
            x_regret[i] = max(x_regret[i] + gain[i] - mean, 0.0)
            total += x_regret[i]
        for i in range(m):
            x[i] = x_regret[i] / total if total > 0.0 else 1.0 / m
        for j in range(n):
            loss[j] = 0.0
        for i in range(m):
            if x[i] != 0.0:
                for j in range(n):
                    loss[j] += x[i] * payoff[i, j]
        mean = 0.0
        for j in range(n):
            mean += y[j] * loss[j]
        for j in range(n):
            y_regret[j] = max(y_regret[j] + mean - loss[j], 0.0)
            y_sum[j] += t * y[j]
        for i in range(m):
            x_sum[i] += t * x[i]


def solve(payoff: Array, *, accuracy: float = 1e-10, most: int = 200_000) -> MatrixEquilibrium:
    """An equilibrium of the game in which the row player gets payoff (m, n), with exploitability at most `accuracy` times the range of the payoffs.

    Raises SolverError for payoffs that are no finite table, and where `most` pivots or rounds do not get there (rounding sets in near 1e-15).
    """
    table = np.ascontiguousarray(payoff, dtype=np.float64)
    if table.ndim != 2 or table.size == 0:
        raise SolverError(f"A matrix game needs a table of payoffs, not an array of shape {table.shape}.")
    if table.size > SMALL and accuracy >= 1e-4:
        return _by_matching(table, accuracy, most)
    x, y, low, high, spread, pivots = _simplex(table, most)
    _require_numbers(spread)
    if pivots < 0:
        raise SolverError(f"The simplex method did not end within {most:,} pivots. Ask for less accuracy: accuracy=1e-4.")
    wanted = accuracy * spread
    if high - low > wanted and (better := _polished(table, x, y)) is not None:
        narrower = _enclosure(table, *better)
        if narrower[1] - narrower[0] < high - low:
            (x, y), (low, high) = better, narrower
    if not high - low <= wanted:
        raise SolverError(f"The simplex method came to an exploitability of {high - low:.2g}; {wanted:.2g} was asked for.")
    return MatrixEquilibrium(x, y, low, high, pivots)


def _require_numbers(spread: float) -> None:
    if not math.isfinite(spread):
        raise SolverError("A payoff of the matrix game is infinite or no number.")


def _by_matching(table: Array, accuracy: float, most: int) -> MatrixEquilibrium:
    m, n = table.shape
    spread = float(table.max()) - float(table.min())
    _require_numbers(spread)
    wanted = accuracy * spread
    x_regret, y_regret, x, y, x_sum, y_sum = (
        np.zeros(m),
        np.zeros(n),
        np.full(m, 1.0 / m),
        np.full(n, 1.0 / n),
        np.zeros(m),
        np.zeros(n),
    )
    for start in range(0, most, LOOK):
        _matching(table, x_regret, y_regret, x, y, x_sum, y_sum, start, LOOK)
        row, column = x_sum / x_sum.sum(), y_sum / y_sum.sum()
        low, high = _enclosure(table, row, column)
        if high - low <= wanted:
            return MatrixEquilibrium(row, column, float(low), float(high), start + LOOK)
    raise SolverError(f"Regret matching did not come to an exploitability of {wanted:.2g} within {most:,} rounds.")
