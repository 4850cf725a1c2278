"""Returns in rational arithmetic: exact laws, the stock-augmented recursions, and brute force over policies that remember everything.

A law is a dictionary from value to probability. Stock augmentation carries the pair (s, c) with c' = (c + r) / discount, so that
c_0 + (discounted rewards of n steps) = discount^n c_n; the objective is always read off the total, c + G.
For small problems: the number of reachable pairs grows like the number of discounted reward sums.

Source: Avila Pires et al., "Optimizing Return Distributions with Distributional Dynamic Programming", arXiv 2501.13028.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise, product
from typing import Any

from theorylab.problems.mdp import END, ExactTable

Law = Mapping[Fraction, Fraction]
Functional = Callable[[Law], Fraction]
Utility = Callable[[Fraction], Fraction]

ZERO, ONE = Fraction(0), Fraction(1)
POINT: Law = {ZERO: ONE}


def mix(parts: Iterable[tuple[Fraction, Law]]) -> dict[Fraction, Fraction]:
    """The mixture of laws with these weights."""
    out: dict[Fraction, Fraction] = {}
    for weight, law in parts:
        for x, p in law.items():
            out[x] = out.get(x, ZERO) + weight * p
    return out


def moved(law: Law, shift: Fraction, scale: Fraction = ONE) -> dict[Fraction, Fraction]:
    """The law of shift + scale X."""
    out: dict[Fraction, Fraction] = {}
    for x, p in law.items():
        y = shift + scale * x
        out[y] = out.get(y, ZERO) + p
    return out


def mean(law: Law) -> Fraction:
    """E X."""
    return sum((x * p for x, p in law.items()), ZERO)


def variance(law: Law) -> Fraction:
    """Var X."""
    m = mean(law)
    return sum(((x - m) ** 2 * p for x, p in law.items()), ZERO)


def expected(utility: Utility) -> Functional:
    """The expected utility U_f: nu -> E f(X)."""
    return lambda law: sum((utility(x) * p for x, p in law.items()), ZERO)


def cvar(law: Law, level: Fraction) -> Fraction:
    """Mean of the worst `level` share, the atom at the boundary split."""
    left, total = level, ZERO
    for x in sorted(law):
        taken = min(law[x], left)
        total, left = total + taken * x, left - taken
        if left == ZERO:
            break
    return total / level


def w1(first: Law, second: Law) -> Fraction:
    """Wasserstein-1 distance: the area between the distribution functions."""
    points = sorted({*first, *second})
    area, gap = ZERO, ZERO
    for x, following in pairwise(points):
        gap += first.get(x, ZERO) - second.get(x, ZERO)
        area += abs(gap) * (following - x)
    return area


def winf(first: Law, second: Law) -> Fraction:
    """Wasserstein-infinity distance: the largest move of the quantile coupling."""
    left, right = sorted(first.items()), sorted(second.items())
    i = j = 0
    p, q, largest = left[0][1], right[0][1], ZERO
    while i < len(left) and j < len(right):
        largest = max(largest, abs(left[i][0] - right[j][0]))
        taken = min(p, q)
        p, q = p - taken, q - taken
        if p == ZERO:
            i += 1
            p = left[i][1] if i < len(left) else ZERO
        if q == ZERO:
            j += 1
            q = right[j][1] if j < len(right) else ZERO
    return largest


# -- without stock --------------------------------------------------------------------------------------------------------------


def return_laws(table: ExactTable, discount: Fraction, steps: int, policy: list[list[Fraction]]) -> list[Law]:
    """Law of the return of `steps` steps from each state under a stationary policy (S, A)."""
    laws: list[Law] = [POINT] * len(table)
    for _ in range(steps):
        laws = [
            mix(
                (weight * p, moved(POINT if to == END else laws[to], r, discount))
                for weight, outcomes in zip(policy[s], table[s], strict=True)
                if weight > ZERO
                for p, r, to in outcomes
            )
            for s in range(len(table))
        ]
    return laws


def history_laws(table: ExactTable, discount: Fraction, steps: int, state: int) -> list[Law]:
    """Every law of the return of `steps` steps that a deterministic policy can have that remembers all that happened.

    Brute force: after its first step such a policy is, for each outcome, such a policy of one step less.
    """
    memory: dict[tuple[int, int], list[Law]] = {}

    def achievable(n: int, s: int) -> list[Law]:
        if n == 0 or s == END:
            return [POINT]
        if (n, s) not in memory:
            found: dict[frozenset[tuple[Fraction, Fraction]], Law] = {}
            for outcomes in table[s]:
                for chosen in product(*(achievable(n - 1, to) for _, _, to in outcomes)):
                    law = mix((p, moved(rest, r, discount)) for (p, r, _), rest in zip(outcomes, chosen, strict=True))
                    found[frozenset(law.items())] = law
            memory[n, s] = list(found.values())
        return memory[n, s]

    return achievable(steps, state)


def policies_without_memory(table: ExactTable, discount: Fraction, steps: int, state: int) -> list[Law]:
    """Laws of the return of all deterministic policies that see the state and the step, but not what was earned."""
    S, A = len(table), len(table[0])
    found = []
    for choice in product(range(A), repeat=S * steps):
        laws: list[Law] = [POINT] * S
        for n in range(steps):
            laws = [
                mix((p, moved(POINT if to == END else laws[to], r, discount)) for p, r, to in table[s][choice[n * S + s]])
                for s in range(S)
            ]
        found.append(laws[state])
    return found


# -- with stock -----------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stock:
    """How an agent keeps its stock and reads its objective; mutants change one of them.

    update  (c, r, discount) -> c'
    total   (c, law of G) -> the law that the objective judges
    """

    update: Callable[[Fraction, Fraction, Fraction], Fraction] = lambda c, r, discount: (c + r) / discount
    total: Callable[[Fraction, Law], Law] = lambda c, law: moved(law, c)


@dataclass
class StockIteration:
    """Distributional value iteration on the stock-augmented problem: laws eta_n(s, c), and the actions that made them.

    start   the law from which every (s, c) begins, eta_0
    tables are filled as they are asked for
    """

    table: ExactTable
    discount: Fraction
    objective: Functional
    stock: Stock = field(default_factory=Stock)
    start: Law = field(default_factory=lambda: POINT)
    _laws: dict[tuple[int, int, Fraction], Law] = field(default_factory=dict)
    _actions: dict[tuple[int, int, Fraction], int] = field(default_factory=dict)

    def law(self, n: int, s: int, c: Fraction) -> Law:
        """eta_n(s, c)."""
        if s == END:
            return POINT
        if n == 0:
            return self.start
        if (n, s, c) not in self._laws:
            best: Fraction | None = None
            for a in range(len(self.table[s])):
                candidate = self.after(n - 1, s, c, a)
                worth = self.objective(self.stock.total(c, candidate))
                if best is None or worth > best:  # the lowest action on ties
                    best = worth
                    self._laws[n, s, c], self._actions[n, s, c] = candidate, a
        return self._laws[n, s, c]

    def after(self, n: int, s: int, c: Fraction, a: int) -> Law:
        """The law of playing `a` at (s, c) and going on with eta_n."""
        update = self.stock.update
        return mix((p, moved(self.law(n, to, update(c, r, self.discount)), r, self.discount)) for p, r, to in self.table[s][a])

    def action(self, n: int, s: int, c: Fraction) -> int:
        """The action greedy for eta_{n-1} at (s, c)."""
        self.law(n, s, c)
        return self._actions[n, s, c]

    def value(self, n: int, s: int, c: Fraction) -> Fraction:
        """F_K eta_n (s, c): the objective of the true total, whatever the agent believes."""
        return self.objective(moved(self.law(n, s, c), c))


def follow(
    table: ExactTable, discount: Fraction, action: Callable[[int, int, Fraction], int], steps: int, s: int, c: Fraction,
    memory: dict[Any, Law] | None = None, update: Callable[[Fraction, Fraction, Fraction], Fraction] = Stock().update,
) -> Law:  # fmt: skip
    """Law of the return of `steps` steps from (s, c) under `action(steps left, s, c)`."""
    memory = {} if memory is None else memory
    if steps == 0 or s == END:
        return POINT
    if (steps, s, c) not in memory:
        memory[steps, s, c] = mix(
            (p, moved(follow(table, discount, action, steps - 1, to, update(c, r, discount), memory, update), r, discount))
            for p, r, to in table[s][action(steps, s, c)]
        )
    return memory[steps, s, c]


def scalar_value(
    table: ExactTable, discount: Fraction, utility: Utility, degree_factor: Fraction, steps: int, s: int, c: Fraction,
    memory: dict[Any, Fraction] | None = None,
) -> Fraction:  # fmt: skip
    """V_n(s, c) = a max_a sum p V_{n-1}(s', (c + r) / discount), V_0 = f, for f(discount x) = a f(x), f(0) = 0; no laws at all.

    After the end of an episode nothing is earned and the total stays, so the stock goes on growing: V_n(end, c) = f(c).
    """
    memory = {} if memory is None else memory
    if steps == 0 or s == END:
        return utility(c)
    if (steps, s, c) not in memory:
        memory[steps, s, c] = degree_factor * max(
            sum(
                (
                    p * scalar_value(table, discount, utility, degree_factor, steps - 1, to, (c + r) / discount, memory)
                    for p, r, to in outcomes
                ),
                ZERO,
            )
            for outcomes in table[s]
        )
    return memory[steps, s, c]


def cvar_by_stock(
    table: ExactTable, discount: Fraction, level: Fraction, steps: int, s: int, targets: Iterable[Fraction], stock: Stock | None = None
) -> tuple[Fraction, Fraction, Law]:  # fmt: skip
    """(CVaR, q, law): the best CVaR of the return over all policies, by the outer maximisation over q of the shortfall's stock problem.

    targets: candidates for q; the maximum is attained at an atom of some policy's return.
    """
    iteration = StockIteration(table, discount, expected(lambda x: min(x, ZERO)), stock or Stock())
    best: tuple[Fraction, Fraction] | None = None
    for q in targets:
        worth = q + iteration.value(steps, s, -q) / level
        if best is None or worth > best[0]:
            best = (worth, q)
    assert best is not None
    return *best, iteration.law(steps, s, -best[1])
