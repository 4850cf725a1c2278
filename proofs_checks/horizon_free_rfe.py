"""Reward-free exploration: constants of the sum and of the lower bound, truncation, powers, divergences of coins, ellipsoids.

Source: Zhang, Zhang, Gu, "Optimal Horizon-Free Reward-Free Exploration for Linear Mixture MDPs", arXiv 2303.10165.
"""

from __future__ import annotations

from typing import Any

import sympy
from sympy import Matrix, Rational, log, sqrt, symbols

from theorylab.proof import Boxes, Identity, Products, Proofs, Rising

proofs = Proofs("horizon-free-rfe")


@proofs.step(
    twin=Rational(896, 2752), supports=["the-last-step-gives-2752", "certificates-add-up-to-little", "few-episodes-are-enough"]
)
def constants_of_the_last_step(k: Any) -> list[Identity]:
    """2 * 32^2 + 2 * 352 = 2752 and 32^2 + 2 * 352 = 1728. The twin is the constant that is displayed, 896."""
    return [Identity(2 * 32**2 + 2 * 352, k * 2752), Identity(32**2 + 2 * 352, k * 1728)]


@proofs.step(twin=Rational(6, 10), supports=["the-last-step-gives-1728", "the-last-step-gives-2752"])
def roots_are_bounded(k: Any) -> list[Products]:
    """y^2 <= a y + b implies y^2 <= a^2 + 2 b, and so y^2 <= 2 a^2 + 2 b: the difference is (a - y)^2 + 2 (a y + b - y^2). At 0.6 of it the first fails."""
    a, b, y = symbols("a b y", nonnegative=True)
    given = [a, b, a * y + b - y**2]
    first = Products(
        y**2, k * (a**2 + 2 * b), [(1, a - y, []), (2, 1, [2])], given=given, ranges={a: (0, 1), b: (0, 2), y: (0, 2)}
    )
    second = Products(y**2, 2 * a**2 + 2 * b, [(1, a - y, []), (2, 1, [2]), (1, a, [])], given=given, ranges={y: (0, 2)})
    return [first, second]


@proofs.step(twin=Rational(101, 100), supports=["bayes-regret-is-large", "nobody-does-better"])
def hard_family_is_scaled_to_one(k: Any) -> list[Identity]:
    """With alpha^2 = 1 / (1 + n D), beta^2 = D / (1 + n D): alpha^2 + n beta^2 = 1 and ||theta||^2 = 1 / alpha^2 + n D^2 / beta^2 = (1 + n D)^2, n = d - 1."""
    n, D = symbols("n D", positive=True)
    alpha, beta = 1 / (1 + n * D), D / (1 + n * D)
    return [Identity(alpha + n * beta, k), Identity(1 / alpha + n * D**2 / beta, k * (1 + n * D) ** 2)]


@proofs.step(
    twin=Rational(101, 100), supports=["bayes-regret-is-large", "nobody-does-better", "nobody-does-better-in-many-tries"]
)
def constant_of_the_lower_bound(k: Any) -> Identity:
    """With D = sqrt(1 / (6 K)) / (4 sqrt(2)), n D / 2 = n / (16 sqrt(3 K))."""
    n, K = symbols("n K", positive=True)
    return Identity(n / 2 * sqrt(1 / (6 * K)) / (4 * sqrt(2)), k * n / (16 * sqrt(3 * K)))


@proofs.step(twin=Rational(99, 100), supports=["certificates-hold", "wrong-models-cost-little"])
def truncation_doubles_at_most(k: Any) -> list[Products]:
    """min(1, 2x) <= 2 min(1, x) for x >= 0: on [0, 1/2] both sides are 2x, on [1/2, 1] it is 1 <= 2x, from 1 on 1 <= 2."""
    x = sympy.Symbol("x", nonnegative=True)
    half = Rational(1, 2)
    return [
        Products(2 * x, k * 2 * x, [], given=[x, half - x], ranges={x: (0, half)}),
        Products(1, k * 2 * x, [(2, 1, [0])], given=[x - half, 1 - x], ranges={x: (half, 1)}),
        Products(1, k * 2, [(1, 1, [])], given=[x - 1], ranges={x: (1, 3)}),
    ]


@proofs.step(twin=-1, supports=["variances-are-estimated", "certificates-add-up-to-little"])
def powers_factor(k: Any) -> list[Identity]:
    """x^(2^(m+1)) - y^(2^(m+1)) = (x - y) prod over i <= m of (x^(2^i) + y^(2^i)), m = 0 to 3. The printed minus signs are the twin."""
    x, y = symbols("x y", real=True)
    out = []
    for m in range(4):
        product = x - y
        for i in range(m + 1):
            product *= x ** (2**i) + k * y ** (2**i)
        out.append(Identity(x ** (2 ** (m + 1)) - y ** (2 ** (m + 1)), product))
    return out


@proofs.step(twin=Rational(99, 100), supports=["certificates-add-up-to-little"])
def powers_differ_little(k: Any) -> list[Products]:
    """x^2 - y^2 <= 2 (x - y) and x^4 - y^4 <= 4 (x - y) for 0 <= y <= x <= 1."""
    x, y = symbols("x y", nonnegative=True)
    given = [x - y, 1 - x, 1 - y, x, y, 1 + x, 1 + y]
    first = Products(x**2 - y**2, k * 2 * (x - y), [(1, 1, [0, 1]), (1, 1, [0, 2])], given=given, ranges={x: (0, 1), y: (0, 1)})
    terms = [(2, 1, [0, 1, 5]), (2, 1, [0, 2, 6]), (1, x, [0, 1]), (1, x, [0, 2]), (1, y, [0, 1]), (1, y, [0, 2])]
    second = Products(x**4 - y**4, k * 4 * (x - y), terms, given=given, ranges={x: (0, 1), y: (0, 1)})
    return [first, second]


@proofs.step(twin=Rational(101, 100), supports=["bayes-regret-is-large", "nobody-does-better"])
def divergence_of_coins(k: Any) -> list[Any]:
    """KL(Ber(p) || Ber(q)) <= p^2 / q + (1 - p)^2 / (1 - q) - 1 = (p - q)^2 / (q (1 - q)), by log t <= t - 1."""
    p, q = symbols("p q", positive=True)
    t = sympy.Symbol("t", positive=True)
    logarithm = Rising(t - 1 - log(t), t, 1, 1 / t**2, ranges={t: (0, 5)})
    return [logarithm, Identity(p**2 / q + (1 - p) ** 2 / (1 - q) - 1, k * (p - q) ** 2 / (q * (1 - q)))]


@proofs.step(twin=Rational(3, 8), supports=["bayes-regret-is-large", "nobody-does-better"])
def divergence_of_an_episode(k: Any) -> Boxes:
    """q (1 - q) >= 1 / 24 for q in [3/4, 5/4] of 1/6, so that one sign is told by at most (2 D)^2 / (q (1 - q)) <= 16 D^2 / delta in an episode, delta = 1/6. The twin's
    constant would need 1 / 9."""
    q = sympy.Symbol("q", real=True)
    return Boxes(q * (1 - q) - 1 / (24 * sympy.sympify(k)), {q: (Rational(1, 8), Rational(5, 24))})


@proofs.step(twin=Rational(99, 100), supports=["values-are-optimistic"])
def maximum_over_an_ellipsoid(k: Any) -> list[Any]:
    """(x . u)^2 <= ||x||^2 in the inverse times ||u||^2 in the matrix L L', 2 features: with a = L^-1 x and b = L' u it is Lagrange's identity; and c + beta Sigma^-1 x /
    ||x|| attains x . c + beta ||x||."""
    a1, a2, b1, b2 = symbols("a1 a2 b1 b2", real=True)
    cauchy = Products(
        (a1 * b1 + a2 * b2) ** 2, k * (a1**2 + a2**2) * (b1**2 + b2**2), [(1, a1 * b2 - a2 * b1, [])], ranges=dict.fromkeys((a1, a2, b1, b2), (-2, 2))
    )  # fmt: skip
    s, t, u = symbols("s t u", positive=True)
    inverse = Matrix([[s, 0], [t, u]]) * Matrix([[s, t], [0, u]])  # any positive definite one
    x, c, beta = Matrix(symbols("x1:3", positive=True)), Matrix(symbols("c1:3", real=True)), sympy.Symbol("beta", positive=True)
    size = sqrt((x.T * inverse * x)[0])
    best = c + beta * inverse * x / size
    return [cauchy, Identity((x.T * best)[0], (x.T * c)[0] + beta * size)]


@proofs.step(twin=Rational(7, 10), supports=["determinants-rarely-jump"])
def logarithm_of_sixteen(k: Any) -> Boxes:
    """log 16 > 2: an episode in which a determinant grows sixteenfold takes more than 2 from the sum of logarithms."""
    return Boxes(k * log(sympy.Integer(16)) - 2)
