"""Softmax gradient bandits: gradients, Hessians, noise and growth, one-variable lemmas.

Source: Mei et al., "Stochastic Gradient Succeeds for Bandits", arXiv 2402.17235; Mei et al., "On the Global Convergence Rates of Softmax Policy Gradient
Methods", arXiv 2005.06392.
"""

from __future__ import annotations

import itertools
from typing import Any

import sympy
from sympy import Rational, exp, sqrt, symbols

from theorylab.proof import Boxes, Identity, Products, Proofs, Rising

proofs = Proofs("gradient-bandit")


def simplex(n: int) -> list[Any]:
    """n probabilities, the last one 1 minus the others."""
    free = list(symbols(f"pi1:{n}", nonnegative=True))
    return [*free, 1 - sum(free)]


def probabilities(n: int) -> list[Any]:
    """n free symbols, which are to sum to 1."""
    return list(symbols(f"pi1:{n + 1}", nonnegative=True))


def rewards(n: int) -> list[Any]:
    """n means."""
    return list(symbols(f"r1:{n + 1}", real=True))


def gradient(pi: list[Any], r: list[Any]) -> list[Any]:
    """pi_a (r_a - pi . r)."""
    mean = sum(p * x for p, x in zip(pi, r, strict=True))
    return [p * (x - mean) for p, x in zip(pi, r, strict=True)]


@proofs.step(twin=Rational(101, 100), supports=["hessian", "smooth-iterates"])
def hessian_form(k: Any) -> list[Identity]:
    """y' H y = sum g_i y_i^2 - 2 (g . y)(pi . y) = E_pi[(y - E y)^2 (r - E r)], H the Hessian of the mean reward in the logits; 2, 3, 4 arms."""
    out = []
    for n in (2, 3, 4):
        free, r, y = probabilities(n), rewards(n), symbols(f"y1:{n + 1}", real=True)
        g = gradient(free, r)
        last = {free[-1]: 1 - sum(free[:-1])}
        flow = [[free[i] * ((1 if i == j else 0) - free[j]) for j in range(n)] for i in range(n)]  # d pi_i / d theta_j
        form = sum(
            y[i] * y[j] * sum(sympy.diff(g[i], free[a]) * flow[a][j] for a in range(n)) for i in range(n) for j in range(n)
        )
        mean_y = sum(p * x for p, x in zip(free, y, strict=True))
        short = sum(g[i] * y[i] ** 2 for i in range(n)) - 2 * k * sum(g[i] * y[i] for i in range(n)) * mean_y
        mean_r = sum(p * x for p, x in zip(free, r, strict=True))
        third = sum(free[i] * (y[i] - mean_y) ** 2 * (r[i] - mean_r) for i in range(n))
        out += [Identity(form, short, given=last), Identity(short, third, given=last)]
    return out


@proofs.step(twin=Rational(101, 100), supports=["zero-sum", "zero-sum-on-the-path", "progress-identity"])
def gradient_sums_to_zero(k: Any) -> list[Identity]:
    """sum_a g_a = 0, and a step d of the logits gains sum g_a (e^d_a - 1) / (1 + sum pi_b (e^d_b - 1)); w_a = e^d_a; 2 and 3 arms."""
    out = []
    for n in (2, 3):
        pi, r, w = simplex(n), rewards(n), symbols(f"w1:{n + 1}", positive=True)
        g = gradient(pi, r)
        total = sum(p * x for p, x in zip(pi, w, strict=True))
        after = sum(p * x * y for p, x, y in zip(pi, w, r, strict=True)) / total
        before = sum(p * y for p, y in zip(pi, r, strict=True))
        gain = (
            k * sum(x * (y - 1) for x, y in zip(g, w, strict=True)) / (1 + sum(p * (y - 1) for p, y in zip(pi, w, strict=True)))
        )
        ranges = {p: (0, Rational(1, n)) for p in pi[:-1]}
        out += [Identity(sum(g), (k - 1) * r[0]), Identity(after - before, gain, ranges=ranges)]
    return out


@proofs.step(twin=-1, supports=["unbiased", "unbiased-with-baseline"])
def estimates_are_unbiased(k: Any) -> list[Identity]:
    """E[(r_A - B)(1{a = A} - pi_a)] = pi_a (r_a - pi . r) for any baseline B; 2 and 3 arms."""
    out = []
    B = sympy.Symbol("B", real=True)
    for n in (2, 3):
        pi, r = simplex(n), rewards(n)
        for a in range(n):
            mean = sum(pi[A] * (r[A] - B) * ((1 if a == A else 0) - k * pi[a]) for A in range(n))
            out.append(Identity(mean, gradient(pi, r)[a]))
    return out


@proofs.step(twin=Rational(79, 100), supports=["growth-five", "second-moment", "growth"])
def spread_near_a_corner(k: Any) -> list[Products]:
    """sum_a pi_a (1 - pi_a)^2 <= (5/4)(1 - pi_1), 2 to 4 arms: the difference is sum over a > 1 of pi_a ((1/2 - pi_1)^2 + pi_a (2 - pi_a)). The twin's factor is
    below the 4/5 that an almost certain arm needs."""
    out = []
    for n in (2, 3, 4):
        others = list(symbols(f"pi2:{n + 1}", nonnegative=True))
        first = 1 - sum(others)
        left = first * (1 - first) ** 2 + sum(p * (1 - p) ** 2 for p in others)
        given = [*others, first, *(2 - p for p in others)]
        terms = [(1, Rational(1, 2) - first, [i]) for i in range(n - 1)] + [(1, p, [n + i]) for i, p in enumerate(others)]
        out.append(Products(left, k * Rational(5, 4) * (1 - first), terms, given=given, ranges=dict.fromkeys(others, (0, 1))))
    return out


@proofs.step(twin=Rational(99, 100), supports=["second-moment", "step-norm"])
def squares_of_the_others(k: Any) -> list[Products]:
    """sum over b != a of pi_b^2 <= (1 - pi_a)^2: the difference is twice the sum of products; 3 and 4 arms."""
    out = []
    for n in (3, 4):
        others = list(symbols(f"pi2:{n + 1}", nonnegative=True))
        pairs = list(itertools.combinations(range(n - 1), 2))
        out.append(
            Products(sum(p**2 for p in others), k * sum(others) ** 2, [(2, 1, list(pair)) for pair in pairs], given=others, ranges=dict.fromkeys(others, (0, 1)))
        )  # fmt: skip
    return out


@proofs.step(twin=Rational(101, 100), supports=["growth-sqrt"])
def second_moment_of_directions(k: Any) -> list[Identity]:
    """sum_a pi_a (1 - 2 pi_a + ||pi||^2) = 1 - ||pi||^2; 2 to 4 arms."""
    out = []
    for n in (2, 3, 4):
        pi = simplex(n)
        square = sum(p**2 for p in pi)
        out.append(Identity(sum(p * (1 - 2 * p + square) for p in pi), 1 - k * square))
    return out


@proofs.step(twin=Rational(101, 100), supports=["growth-sqrt", "growth", "growth-five"])
def variance_by_gaps(k: Any) -> list[Identity]:
    """Var_pi(r) - (D^2 / 2)(1 - ||pi||^2) = sum over i < j of pi_i pi_j ((r_i - r_j)^2 - D^2): not negative if no gap is below D; 2 to 4 arms."""
    out = []
    D = sympy.Symbol("D", positive=True)
    for n in (2, 3, 4):
        pi, r = simplex(n), rewards(n)
        mean = sum(p * x for p, x in zip(pi, r, strict=True))
        variance = sum(p * (x - mean) ** 2 for p, x in zip(pi, r, strict=True))
        right = sum(pi[i] * pi[j] * ((r[i] - r[j]) ** 2 - D**2) for i, j in itertools.combinations(range(n), 2))
        out.append(Identity(variance - k * D**2 / 2 * (1 - sum(p**2 for p in pi)), right))
    return out


@proofs.step(twin=Rational(101, 100), supports=["growth", "growth-five"])
def variance_by_one_arm(k: Any) -> Products:
    """Var_pi(r) >= D^2 pi_1 (1 - pi_1) if arm 1 is at least D better than 2 and 3: a sum of products of what is given."""
    p2, p3, D, u, v = symbols("pi2 pi3 D u v", nonnegative=True)  # r_1 - r_2 = D + u, r_1 - r_3 = D + v
    p1 = 1 - p2 - p3
    r = [D + u + v, v, u]
    mean = p1 * r[0] + p2 * r[1] + p3 * r[2]
    variance = p1 * (r[0] - mean) ** 2 + p2 * (r[1] - mean) ** 2 + p3 * (r[2] - mean) ** 2
    terms = [(1, u, [0, 1]), (2, 1, [0, 1, 3, 4]), (1, v, [0, 2]), (2, 1, [0, 2, 3, 5]), (1, u - v, [1, 2])]
    return Products(
        k * D**2 * p1 * (1 - p1),
        variance,
        terms,
        given=[p1, p2, p3, D, u, v],
        ranges={p2: (0, Rational(1, 2)), p3: (0, Rational(1, 2))},
    )


@proofs.step(twin=Rational(99, 100), supports=["two-arm-odds", "progress"])
def exponentials_lie_below_chords(k: Any) -> Rising:
    """e^(c x) - 1 <= x (e^c - 1) for x in [0, 1] and any c: concave difference, 0 at both ends."""
    c, x = symbols("c x", real=True)
    return Rising(k * x * (exp(c) - 1) - exp(c * x) + 1, x, 0, c**2 * exp(c * x), between=1, ranges={x: (0, 1), c: (-2, 2)})


@proofs.step(twin=-1, supports=["two-arm-odds", "two-arm-inverse-odds"])
def exponential_slopes_rise(k: Any) -> Rising:
    """(e^y - 1 - y) / y rises on y > 0: the numerator of its derivative, (y - 1) e^y + 1, is 0 at 0 and has derivative y e^y."""
    y = sympy.Symbol("y", nonnegative=True)
    return Rising((k * y - 1) * exp(y) + 1, y, 0, y * exp(y), order=1, upwards=True, ranges={y: (0, 5)})


@proofs.step(twin=Rational(1, 2), supports=["two-arm-regret", "two-arm-odds"])
def step_constant_is_below_an_exponential(k: Any) -> Rising:
    """(e^(2 eta) - 1 - 2 eta) / (2 eta^2) <= e^(2 eta): cleared of its denominator, value and slope are 0 at 0 and the second derivative is (16 eta + 8 eta^2)
    e^(2 eta). At half of the right side it fails for small eta."""
    e = sympy.Symbol("eta", nonnegative=True)
    f = k * 2 * e**2 * exp(2 * e) - exp(2 * e) + 1 + 2 * e
    return Rising(f, e, 0, sympy.expand((16 * e + 8 * e**2) * exp(2 * e)), upwards=True, ranges={e: (0, 1)})


@proofs.step(twin=Rational(2), supports=["progress", "quadratic-recursion"])
def half_of_the_progress_is_left(k: Any) -> Boxes:
    """1 - 3 / (5 (2 - 9 z)) >= 1/2 for z = R eta up to 4 / (40 * 2^1.5) (a little more is covered): it is 0.64 there. The twin doubles the loss."""
    z = sympy.Symbol("z", real=True)
    return Boxes(Rational(1, 2) - k * 3 / (5 * (2 - 9 * z)), {z: (0, Rational(36, 1000))})


@proofs.step(twin=Rational(99, 100), supports=["exact-smoothness"])
def curvature_of_two_arms(k: Any) -> Products:
    """p (1 - p)(1 - 2p) <= sqrt(3) / 18 on [0, 1]: the difference is 2 (p - c)^2 (d - p) with c = 1/2 - sqrt(3)/6 and d = 1/2 + sqrt(3)/3 > 1."""
    p = sympy.Symbol("p", real=True)
    c, d = Rational(1, 2) - sqrt(3) / 6, Rational(1, 2) + sqrt(3) / 3
    return Products(
        p * (1 - p) * (1 - 2 * p),
        k * sqrt(3) / 18,
        [(2, p - c, [0]), (2 * (d - 1), p - c, [])],
        given=[1 - p, p],
        ranges={p: (0, 1)},
    )


@proofs.step(twin=Rational(101, 100), supports=["quadratic-recursion", "published-rate", "exact-rate"])
def quadratic_recursions_fall_like_one_over_t(k: Any) -> Products:
    """1 / (d - c d^2) >= 1 / d + c while c d < 1: so d_t <= 1 / (1 / d_1 + c (t - 1)). With o = 1 - c d the difference is c^2 d / o."""
    c, d, o = symbols("c d o", positive=True)
    return Products(
        1 / d + k * c,
        1 / (d * o),
        [(1, c, [0, 0])],
        given=[d, o, c],
        times=d * o,
        equal={o: 1 - c * d},
        ranges={c: (0, 1), d: (0, 1)},
    )
