"""Laws of returns on a grid: hat functions, projections, bounds on fixed points.

Sources: Rowland, Bellemare, Dabney, Munos, Teh, "An Analysis of Categorical Distributional Reinforcement Learning", arXiv 1802.08163; Bellemare, Dabney, Rowland,
"Distributional Reinforcement Learning", MIT Press 2023.
"""

from __future__ import annotations

from typing import Any

import sympy
from sympy import Rational, sqrt, symbols

from theorylab.proof import Identity, Products, Proofs

proofs = Proofs("categorical-dp")


@proofs.step(twin=Rational(101, 100), supports=["projection-keeps-shortfalls", "projection-keeps-means"])
def shortfalls_are_linear_between_atoms(k: Any) -> list[Identity]:
    """An atom x between grid points a and b goes to them with weights (b - x) / (b - a) and (x - a) / (b - a): means stay, and so does (q - x)_+ for q at least b."""
    a, x, b, q = symbols("a x b q", real=True)
    low, high = (b - x) / (b - a), (x - a) / (b - a)
    ranges = {a: (-3, -2), x: (-1, 1), b: (2, 3), q: (3, 4)}
    return [
        Identity(low * a + high * b, k * x, ranges=ranges),
        Identity(low * (q - a) + high * (q - b), q - k * x, ranges=ranges),
    ]


@proofs.step(twin=Rational(101, 100), supports=["fixed-point-cramer", "fixed-point-cramer-sharp"])
def two_forms_of_the_bound(k: Any) -> Identity:
    """S = (h + sqrt(h^2 + 2 A))^2 solves S = 2 A + 2 h sqrt(S)."""
    h, A = symbols("h A", positive=True)
    root = h + sqrt(h**2 + 2 * A)
    return Identity(sympy.expand(root**2), sympy.expand(2 * A + 2 * k * h * root))


@proofs.step(twin=Rational(99, 100), supports=["fixed-point-cramer", "fixed-point-cramer-sharp"])
def root_of_a_sum(k: Any) -> Products:
    """h + sqrt(h^2 + 2 A) <= 2 h + sqrt(2 A): with a = sqrt(2 A), (h + a)^2 - (h^2 + a^2) = 2 h a."""
    h, a = symbols("h a", nonnegative=True)
    return Products(h**2 + a**2, k * (h + a) ** 2, [(2, 1, [0, 1])], given=[h, a])


@proofs.step(twin=Rational(9, 10), supports=["projection-error", "projection-error-sharp", "spread-on-tight-grids"])
def variance_of_bounded_laws(k: Any) -> Products:
    """The variance of three values in [0, d] is at most d^2 / 4: the difference is (mean - d / 2)^2 + sum p x (d - x)."""
    d = sympy.Symbol("d", positive=True)
    x, p, q = symbols("x1:4", nonnegative=True), sympy.Symbol("p1", nonnegative=True), sympy.Symbol("p2", nonnegative=True)
    weights = [p, q, 1 - p - q]
    mean = sum(w * y for w, y in zip(weights, x, strict=True))
    variance = sum(w * y**2 for w, y in zip(weights, x, strict=True)) - mean**2
    given = [*weights, *x, *(d - y for y in x), d]
    terms: list[Any] = [(1, mean - d / 2, [])]
    terms += [(1, 1, [i, 3 + i, 6 + i]) for i in range(3)]
    return Products(
        variance, k * d**2 / 4, terms, given=given, ranges={d: (0, 1), **dict.fromkeys(x, (0, 1)), p: (0, 1), q: (0, 1)}
    )


@proofs.step(twin=Rational(99, 100), supports=["projection-error-w1", "fixed-point-w1"])
def splitting_costs_half_a_gap(k: Any) -> Products:
    """2 t (1 - t) <= 1/2: the difference is 2 (t - 1/2)^2."""
    t = sympy.Symbol("t", real=True)
    return Products(2 * t * (1 - t), k * Rational(1, 2), [(2, t - Rational(1, 2), [])])


@proofs.step(twin=Rational(101, 100), source="triangle inequality with weights")
def weighted_difference(k: Any) -> Identity:
    """p - l m = (1 - l) p + l (p - m): so ||p - l m||_1 <= 1 - l + l ||p - m||_1."""
    p, m, l = symbols("p m l", real=True)  # noqa: E741
    return Identity(p - l * m, (1 - l) * p + k * l * (p - m))
