"""Last-switch-dependent bandits: domination of virtual states, independent arms, thinning, certificates of optimality in fractions.

Source: Foussoul, Goyal, Papadigenopoulos, Zeevi, "Last Switch Dependent Bandits with Monotone Payoff Functions", arXiv 2306.00338.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from fractions import Fraction
from functools import partial
from typing import Any

import sympy
from sympy import Rational, symbols

from theorylab.proof import Cases, Products, Proofs

proofs = Proofs("lsd-bandits")

#: Memory up to which all states are gone through.
MOST_MEMORY = 12

#: Payoffs by state -m..-1, 1..m of two small problems: 1 after a rest of 1 and 2 rounds; three arms that tire.
SMALL: dict[str, list[list[Fraction]]] = {
    "one round and two rounds": [[Fraction(x) for x in row] for row in ([0, 0, 1, 1], [0, 0, 0, 1])],
    "three arms": [[Fraction(x, 10) for x in row] for row in ([0, 1, 3, 10], [2, 2, 5, 7], [1, 1, 1, 8])],
}


def moved(state: int, is_played: bool, m: int) -> int:
    """The next state: rounds of rest, or minus rounds of play, up to m."""
    if is_played:
        return -1 if state > 0 else max(state - 1, -m)
    return 1 if state < 0 else min(state + 1, m)


@proofs.step(
    twin=-1, supports=["actual-states-dominate-virtual-ones", "planner-earns-its-share", "planner-earns-its-share-in-finite-time"]
)
def domination_is_kept(k: Any) -> Cases:
    """If an arm's actual state is at least its virtual one, and it is played only if it is played virtually, so it is a round later: all states, memory up to 12.
    The twin has the order of states turned."""

    def cases(data: Any) -> Iterable[tuple[Any, bool]]:
        for m in range(1, MOST_MEMORY + 1):
            states = [s for s in range(-m, m + 1) if s]
            for actual, virtual in itertools.product(states, repeat=2):
                for played, drawn in ((False, False), (False, True), (True, True)):
                    if k * actual >= k * virtual:
                        yield (
                            f"memory {m}, states {actual}, {virtual}",
                            k * moved(actual, played, m) >= k * moved(virtual, drawn, m),
                        )

    return Cases(f"domination of states is kept, order {k}", cases)


@proofs.step(twin=Rational(101, 100), supports=["virtual-plays-pay-their-share", "planner-earns-its-share"])
def two_arms_rarely_meet(k: Any) -> Products:
    """p + q - p q >= (3/4)(p + q) for p + q <= 1: the difference is ((p - q)^2 + (p + q)(1 - p - q)) / 4."""
    p, q = symbols("p q", nonnegative=True)
    given = [p, q, 1 - p - q, p + q]
    return Products(
        k * Rational(3, 4) * (p + q), p + q - p * q, [(Rational(1, 4), p - q, []), (Rational(1, 4), 1, [2, 3])], given=given
    )


@proofs.step(twin=Rational(101, 100), supports=["virtual-plays-pay-their-share", "planner-earns-its-share"])
def three_arms_rarely_meet(k: Any) -> list[Products]:
    """1 - (1 - p)(1 - q)(1 - r) >= (19/27)(p + q + r) for p + q + r <= 1: by the inequality of means for 1 - p, 1 - q, 1 - r, and P (1 - P)(8 - P) / 27 >= 0."""
    a, b, c = symbols("a b c", nonnegative=True)
    half, squares = Rational(1, 2), [(a, b), (b, c), (c, a)]
    terms = [(half, x - y, [i]) for x, y in squares for i in range(3)] + [(3, b - c, [0]), (3, c - a, [1]), (3, a - b, [2])]
    means = Products(27 * a * b * c, (a + b + c) ** 3, terms, given=[a, b, c], ranges=dict.fromkeys((a, b, c), (0, 1)))
    P = sympy.Symbol("P", nonnegative=True)
    given = [P, 1 - P, 8 - P]
    sums = Products(
        k * Rational(19, 27) * P, 1 - (1 - P / 3) ** 3, [(Rational(1, 27), 1, [0, 1, 2])], given=given, ranges={P: (0, 1)}
    )
    return [means, sums]


@proofs.step(
    twin=Rational(99, 100),
    supports=["run-planner-earns-an-eighth", "run-planner-earns-an-eighth-in-the-long-run", "run-planner-thins-by-a-quarter"],
)
def a_quarter_is_best(k: Any) -> Products:
    """b (1 - 2 b) <= 1/8, with equality at b = 1/4: the difference is 2 (b - 1/4)^2."""
    b = sympy.Symbol("b", real=True)
    return Products(b * (1 - 2 * b), k * Rational(1, 8), [(2, b - Rational(1, 4), [])])


# -- certificates -------------------------------------------------------------------------------------------------------------------------------


def cycles(m: int) -> list[tuple[int, int]]:
    """(rest, play); (0, 1) is play for ever."""
    return [(r, s) for r in range(1, m + 1) for s in range(1, m + 1)] + [(0, 1)]


def cycle_reward(row: list[Fraction], m: int, rest: int, play: int) -> Fraction:
    """What a cycle earns."""
    if rest == 0:
        return row[0]
    return row[m + rest - 1] + sum((row[m - j] for j in range(1, play)), Fraction(0))


def _relaxed(table: list[list[Fraction]]) -> dict[str, Any]:
    """Price of a play, value of each arm, and rates of cycles: a solver's, as fractions."""
    import numpy as np

    from theorylab.solvers.switching import relaxation

    m = len(table[0]) // 2
    found = relaxation(np.array([[*map(float, row[:m]), 0.0, *map(float, row[m:])] for row in table]))  # there is no state 0
    rates = [[str(Fraction(float(x)).limit_denominator(10_000)) for x in row] for row in found.rate]
    return {"price": str(Fraction(_price(table)).limit_denominator(10_000)), "rates": rates}


def _price(table: list[list[Fraction]]) -> Fraction:
    """The dual is piecewise linear in the price of a play: its least value is at a breakpoint, where an arm is indifferent."""
    m = len(table[0]) // 2
    lines = [[(cycle_reward(row, m, r, s), s, r + s) for r, s in cycles(m)] for row in table]
    points = {Fraction(0)}
    for arm in lines:
        points |= {value / plays for value, plays, _ in arm}
        for (v, p, n), (w, q, o) in itertools.combinations(arm, 2):
            if p * o != q * n:
                points.add((v * o - w * n) / (p * o - q * n))
    return min((x for x in points if x >= 0), key=lambda x: _dual(lines, x))


def _dual(lines: list[list[tuple[Fraction, int, int]]], price: Fraction) -> Fraction:
    return price + sum((max(Fraction(0), *((v - price * p) / n for v, p, n in arm)) for arm in lines), Fraction(0))


@proofs.step(twin=Rational(101, 100), supports=["cycles-have-a-dual-in-one-price", "cycles-are-occupations"])
def relaxations_are_optimal(k: Any) -> list[Cases]:
    """Weak duality in fractions, two problems: rates of cycles that keep every limit earn exactly what a price of a play allows. The twin asks for a per cent more."""
    out = []
    for name, table in SMALL.items():

        def cases(data: Any, table: list[list[Fraction]] = table) -> Iterable[tuple[Any, bool]]:
            m = len(table[0]) // 2
            catalogue = cycles(m)
            price, rates = Fraction(data["price"]), [[Fraction(x) for x in row] for row in data["rates"]]
            yield "rates are not negative", min(map(min, rates)) >= 0 and price >= 0
            for i, row in enumerate(rates):
                yield f"arm {i} has time", sum((x * (r + s) for x, (r, s) in zip(row, catalogue, strict=True)), Fraction(0)) <= 1
            yield (
                "one play a round",
                sum((x * s for row in rates for x, (_, s) in zip(row, catalogue, strict=True)), Fraction(0)) <= 1,
            )
            earned = sum(
                (
                    x * cycle_reward(t, m, r, s)
                    for row, t in zip(rates, table, strict=True)
                    for x, (r, s) in zip(row, catalogue, strict=True)
                ),
                Fraction(0),
            )
            lines = [[(cycle_reward(t, m, r, s), s, r + s) for r, s in catalogue] for t in table]
            yield "what is earned is what the price allows", earned * Fraction(1) >= _dual(lines, price) * Fraction(str(k))

        out.append(Cases(f"relaxation of {name}, factor {k}", cases, partial(_relaxed, table)))
    return out


def _graph(table: list[list[Fraction]]) -> dict[tuple[int, ...], list[tuple[Fraction, tuple[int, ...]]]]:
    """Joint states reached from rest, with what each choice earns and where it leads."""
    m, K = len(table[0]) // 2, len(table)
    graph: dict[tuple[int, ...], list[tuple[Fraction, tuple[int, ...]]]] = {}
    todo = [(m,) * K]
    while todo:
        state = todo.pop()
        if state in graph:
            continue
        graph[state] = []
        for played in range(-1, K):
            after = tuple(moved(s, i == played, m) for i, s in enumerate(state))
            s = state[played]
            earned = table[played][s + m if s < 0 else s + m - 1] if played >= 0 else Fraction(0)
            graph[state].append((earned, after))
            todo.append(after)
    return graph


def _potential(table: list[list[Fraction]]) -> dict[str, Any]:
    """Gain and potential by Karp's cycle mean and longest paths, all in fractions."""
    graph = _graph(table)
    states = sorted(graph)
    n = len(states)
    best: list[dict[tuple[int, ...], Fraction]] = [{(len(table[0]) // 2,) * len(table): Fraction(0)}]
    for _ in range(n):
        now: dict[tuple[int, ...], Fraction] = {}
        for s, total in best[-1].items():
            for earned, after in graph[s]:
                now[after] = max(now.get(after, total + earned), total + earned)
        best.append(now)
    gain = max(min((best[n][s] - best[j][s]) / (n - j) for j in range(n) if s in best[j]) for s in best[n])
    h = dict.fromkeys(states, Fraction(0))
    for _ in range(n):
        h = {s: max(h[s], max(earned - gain + h[after] for earned, after in graph[s])) for s in states}
    return {"gain": str(gain), "potential": [str(h[s]) for s in states]}


@proofs.step(
    twin=Rational(99, 100), supports=["optimum-is-below-the-relaxation", "optimum-by-two-methods", "relaxation-is-attained"]
)
def no_policy_earns_more(k: Any) -> list[Cases]:
    """r(s, a) + h(s') <= g + h(s) at every joint state and choice proves that no policy earns more than g a round: 3/4 for arms that pay after one and after two rounds of
    rest, whose relaxation is 5/6. The twin's g is a per cent less."""
    out = []
    for name, table in SMALL.items():

        def cases(data: Any, table: list[list[Fraction]] = table) -> Iterable[tuple[Any, bool]]:
            graph, gain = _graph(table), Fraction(data["gain"]) * Fraction(str(k))
            h = dict(zip(sorted(graph), map(Fraction, data["potential"]), strict=True))
            for s, choices in graph.items():
                for earned, after in choices:
                    yield f"state {s} to {after}", earned + h[after] <= gain + h[s]
            if table is SMALL["one round and two rounds"]:
                yield "the gain is 3/4", Fraction(data["gain"]) == Fraction(3, 4)

        out.append(Cases(f"potential of {name}, factor {k}", cases, partial(_potential, table)))
    return out
