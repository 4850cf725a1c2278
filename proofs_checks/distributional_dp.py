"""Planning with a stock: the stock's account, clipped utilities, CVaR's dual, optimality by going through all small problems.

Source: Pires, Rowland, Borsa, Guo, Khetarpal, Barreto, Abel, Munos, Dabney, "Optimizing Return Distributions with Distributional Dynamic Programming", arXiv 2501.13028.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import sympy
from sympy import Matrix, Rational, symbols

from theorylab.proof import Cases, Identity, Products, Proofs

proofs = Proofs("distributional-dp")


@proofs.step(twin=Rational(101, 100), supports=["stock-keeps-account"])
def stocks_keep_account(k: Any) -> list[Identity]:
    """With c_(n+1) = (c_n + R_(n+1)) / gamma, c_0 + sum over j < n of gamma^j R_(j+1) = gamma^n c_n, n = 1 to 6."""
    g, c = sympy.Symbol("gamma", positive=True), sympy.Symbol("c0", real=True)
    R = symbols("R1:7", real=True)
    out, stock = [], c
    for n in range(1, 7):
        stock = (stock + k * R[n - 1]) / g
        out.append(Identity(c + sum(g**j * R[j] for j in range(n)), g**n * stock))
    return out


@proofs.step(
    twin=Rational(101, 100), supports=["stock-keeps-account", "utilities-indifferent-to-discount", "value-iteration-is-optimal"]
)
def backups_hand_on_the_stock(k: Any) -> Identity:
    """c + R + gamma G' = gamma (c' + G') with c' = (c + R) / gamma: what a utility that is indifferent to the discount sees of a return."""
    g = sympy.Symbol("gamma", positive=True)
    c, R, G = symbols("c R G", real=True)
    return Identity(c + R + g * G, g * (k * (c + R) / g + G))


@proofs.step(twin=Rational(99, 100), supports=["cvar-is-optimal"])
def cvar_weights_are_optimal(k: Any) -> Cases:
    """CVaR of a law, in fractions: weights w with 0 <= w <= p / tau that sum to 1 have a mean that no threshold's lower bound b - E(b - X)_+ / tau exceeds, and
    one threshold attains it: zero gap for 12 laws and 4 levels. The twin takes off a per cent of the weights."""

    def cases(data: Any) -> Iterable[tuple[Any, bool]]:
        laws = [
            ([Fraction(a, 6), Fraction(b, 6), Fraction(6 - a - b, 6)], [Fraction(x) for x in xs])
            for (a, b), xs in itertools.product(((1, 2), (2, 2), (3, 1), (1, 1)), ((-1, 0, 2), (0, 1, 5), (-3, -2, 7)))
        ]
        for (p, x), tau in itertools.product(laws, (Fraction(1, 10), Fraction(1, 4), Fraction(1, 2), Fraction(1))):
            left, w = Fraction(1), []
            for share in p:
                w.append(min(left, share / tau))
                left -= w[-1]
            w = [Fraction(str(k)) * y for y in w]
            dual = sum((a * b for a, b in zip(w, x, strict=True)), Fraction(0))
            primal = max(b - sum((q * max(b - y, Fraction(0)) for q, y in zip(p, x, strict=True)), Fraction(0)) / tau for b in x)
            yield f"law {list(map(str, p))} on {list(map(str, x))}, level {tau}", sum(w) == 1 and dual == primal

    return Cases(f"zero duality gap of CVaR, weights times {k}", cases)


HALF, STOCK = Fraction(1, 2), Fraction(5, 4)


def utility(x: Fraction) -> Fraction:
    """-|x|: as near to 0 as can be. It is indifferent to the discount, and not monotone, so that the best action depends on the stock."""
    return -abs(x)


def small_problems() -> Iterable[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Rewards of two actions in two states, and where the two actions of the first state lead: to state 0, to 1, or to either."""
    return itertools.product(itertools.product((-1, 0, 1), repeat=4), itertools.product((0, 1, 2), repeat=2))


#: Laws of the next state.
KERNELS = {0: ((0, Fraction(1)),), 1: ((1, Fraction(1)),), 2: ((0, HALF), (1, HALF))}


@proofs.step(twin=0, supports=["value-iteration-is-optimal", "policy-iteration-ends-optimal"])
def small_problems_are_solved(k: Any) -> Cases:
    """For all problems with 2 states, 2 actions, rewards -1, 0, 1, two steps and discount 1/2, planning with a stock earns as much of E -|c + G| as the best of all policies that
    remember. The twin forgets the stock after the first step."""

    def cases(data: Any) -> Iterable[tuple[Any, bool]]:
        for rewards, moves in small_problems():

            def last(s: int, stock: Fraction, rewards: tuple[int, ...] = rewards) -> Fraction:
                chosen = max((0, 1), key=lambda b: utility(k * stock + rewards[2 * s + b]))
                return HALF * utility(stock + rewards[2 * s + chosen])

            planned = max(sum((p * last(s, 2 * (STOCK + rewards[a])) for s, p in KERNELS[moves[a]]), Fraction(0)) for a in (0, 1))
            remembered = max(
                sum(
                    (p * utility(STOCK + rewards[a] + HALF * rewards[2 * s + later[s]]) for s, p in KERNELS[moves[a]]),
                    Fraction(0),
                )
                for a in (0, 1)
                for later in itertools.product((0, 1), repeat=2)
            )
            yield f"rewards {rewards}, moves {moves}", planned == remembered

    return Cases(f"planning with a stock on all small problems, {k}", cases)


@proofs.step(twin=Rational(99, 100), supports=["value-iteration-is-optimal"])
def stock_programs_have_no_gap(k: Any) -> Cases:
    """Occupations of stocks against values, all these problems: what the best policy's occupation earns is the value at the start, and values are at least what each action earns
    (a feasible dual): both are optimal. The twin's values are a per cent nearer to 0."""

    def cases(data: Any) -> Iterable[tuple[Any, bool]]:
        factor = Fraction(str(k))
        for rewards, moves in small_problems():
            stocks = {(s, 2 * (STOCK + r)) for s in (0, 1) for r in (-1, 0, 1)}
            earn = {(s, c, a): HALF * utility(c + rewards[2 * s + a]) for s, c in stocks for a in (0, 1)}
            later = {(s, c): factor * max(earn[s, c, a] for a in (0, 1)) for s, c in stocks}
            first = [sum((p * later[s, 2 * (STOCK + rewards[a])] for s, p in KERNELS[moves[a]]), Fraction(0)) for a in (0, 1)]
            best = max((0, 1), key=first.__getitem__)
            occupation = {(s, 2 * (STOCK + rewards[best])): p for s, p in KERNELS[moves[best]]}
            earned = sum((q * max(earn[s, c, a] for a in (0, 1)) for (s, c), q in occupation.items()), Fraction(0))
            is_feasible = all(later[s, c] >= earn[s, c, a] for s, c, a in earn)
            yield f"rewards {rewards}, moves {moves}", is_feasible and earned == max(first)

    return Cases(f"occupations and values of stocks, factor {k}", cases)


@proofs.step(twin=-1, source="Tang et al., arXiv 2402.05766: the fixed point of the operator that is projected step by step")
def the_trace_keeps_the_fixed_point(k: Any) -> Identity:
    """(T - l U) w = (I - l U) w if T w = w, for matrices T and U of two states: solving with (I - l U) gives w back."""
    l = sympy.Symbol("l", real=True)  # noqa: E741
    w = Matrix(symbols("w1:3", positive=True))
    a, b = symbols("a b", real=True)
    T = Matrix([[a, (1 - a) * w[0] / w[1]], [(1 - b) * w[1] / w[0], b]])  # T w = w
    U = Matrix(2, 2, symbols("u1:5", real=True))
    return Identity((T - l * U) * w, (sympy.eye(2) - k * l * U) * w)


@proofs.step(twin=-1, source="Farebrother et al., arXiv 2503.09817: the Gaussian path")
def gaussian_path_is_continuous(k: Any) -> Identity:
    """N(t x1, (1 - t)^2) and the velocity (x1 - x) / (1 - t) satisfy the continuity equation d_t p + d_x (p u) = 0."""
    x, x1 = symbols("x x1", real=True)
    t = sympy.Symbol("t", positive=True)
    density = sympy.exp(-((x - t * x1) ** 2) / (2 * (1 - t) ** 2)) / (1 - t)
    left = sympy.diff(density, t) + k * sympy.diff(density * (x1 - x) / (1 - t), x)
    return Identity(left, sympy.Integer(0), ranges={t: (0, Rational(1, 2))})


@proofs.step(
    twin=Rational(101, 100),
    source="Farebrother et al., arXiv 2403.03950, and Imani, White, ICML 2018: what a Gaussian histogram leaves out",
)
def histogram_remainders_are_geometric(k: Any) -> list[Any]:
    """(j + 1)^2 - j^2 = 2 j + 1 >= 2 n + 3 for j >= n + 1: exponentials e^(-c j^2) / j with j > n fall at least like a geometric series of ratio e^(-c (2 n + 3))."""
    j, n = symbols("j n", nonnegative=True)
    first = Identity((j + 1) ** 2 - j**2, 2 * k * j + 1)
    second = Products(2 * n + 3, 2 * j + 1, [(2, 1, [0])], given=[j - n - 1], ranges={j: (0, 9), n: (0, 4)})
    return [first, second]
