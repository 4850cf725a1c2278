"""Laws of returns from a generative model: constants of the limits, the variance of the hard chain, a resolvent.

Source: Rowland, Wenliang, Munos, Lyle, Tang, Dabney, "Near-Minimax-Optimal Distributional Reinforcement Learning with a Generative Model", arXiv 2402.07598.
"""

from __future__ import annotations

from typing import Any

import sympy
from sympy import Matrix, Rational, symbols

from theorylab.proof import Identity, Proofs

proofs = Proofs("dcfp")


@proofs.step(twin=Rational(101, 100), supports=["first-order-error", "first-order-error-by-variance"])
def constants_of_the_limit(k: Any) -> Identity:
    """(1 + sqrt(g)) / (4 (1 - sqrt(g)) (1 - g)) = ((1 + sqrt(g)) / (2 (1 - g)))^2; s stands for sqrt(g)."""
    s = sympy.Symbol("s", positive=True)
    return Identity((1 + s) / (4 * (1 - s) * (1 - s**2)), k * ((1 + s) / (2 * (1 - s**2))) ** 2)


@proofs.step(twin=Rational(101, 100), supports=["hard-chain-variance"])
def variance_of_the_hard_chain(k: Any) -> Identity:
    """Of the plug-in mean 1 / (1 - g P) with P a share of N tosses of p = (4 g - 1) / (3 g): g^2 p (1 - p) / (1 - g p)^4 = (9/256)(4 g - 1) / (1 - g)^3."""
    g = sympy.Symbol("g", positive=True)
    p = (4 * g - 1) / (3 * g)
    return Identity(g**2 * p * (1 - p) / (1 - g * p) ** 4, k * Rational(9, 256) * (4 * g - 1) / (1 - g) ** 3)


@proofs.step(twin=-1, supports=["first-order-error", "first-order-error-by-variance"])
def resolvents(k: Any) -> Identity:
    """(I - sqrt(g) P)^-1 (I - g P) = I + (sqrt(g) - g)(I - sqrt(g) P)^-1 P for two states; multiplied by I - sqrt(g) P, s = sqrt(g)."""
    s = sympy.Symbol("s", positive=True)
    P = Matrix(2, 2, symbols("p1:5", real=True))
    return Identity(sympy.eye(2) - s**2 * P, sympy.eye(2) - s * P + k * (s - s**2) * P)


@proofs.step(twin=-1, supports=["solution-is-nonnegative", "first-order-error"])
def resolvents_are_sums_of_powers(k: Any) -> list[Identity]:
    """(I - A)(I + A + ... + A^(n-1)) = I - A^n, n = 1 to 4, two states: a resolvent of a nonnegative matrix is a limit of nonnegative sums."""
    A = Matrix(2, 2, symbols("a1:5", nonnegative=True))
    one = sympy.eye(2)
    return [Identity((one - A) * sum((A**j for j in range(1, n)), one), one - k * A**n) for n in (1, 2, 3, 4)]
