"""Objectives that are read off the law of the total c + G, in rational arithmetic, and which conditions each of them meets."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from theorylab.solvers.exact_returns import ONE, ZERO, Functional, Law, Utility, cvar, expected, mean, variance
from theorylab.solvers.stock import Utility as Slopes


@dataclass(frozen=True)
class Objective:
    """An expected utility. degree d: f(gamma x) = gamma^d f(x), which makes it indifferent to the discount; None: it is not. slopes: the same
    utility for the grid solvers, where it has two slopes."""

    name: str
    utility: Utility
    degree: int | None
    slopes: Slopes | None = None

    def factor(self, discount: Fraction) -> Fraction:
        """a with f(discount x) = a f(x)."""
        assert self.degree is not None, self.name
        return discount**self.degree

    @property
    def functional(self) -> Functional:
        """nu -> E f(X)."""
        return expected(self.utility)


MEAN = Objective("mean", lambda x: x, 1, Slopes(1.0, 1.0))
SHORTFALL = Objective("shortfall", lambda x: min(x, ZERO), 1, Slopes(0.0, 1.0))
HOMEOSTASIS = Objective("distance to 0", lambda x: -abs(x), 1, Slopes(-1.0, 1.0))
ASYMMETRIC = Objective("losses count three times", lambda x: x if x >= ZERO else 3 * x, 1, Slopes(1.0, 3.0))
TARGET = Objective("target reached", lambda x: ONE if x >= ZERO else ZERO, 0)
QUADRATIC = Objective("squared distance to 0", lambda x: -x * x, 2)
CUBIC = Objective("cube", lambda x: x * x * x, 3)
CLIPPED = Objective("clipped at 1", lambda x: min(x, ONE), None)

#: All of them; the last is solved by the method only without discounting.
ALL = (MEAN, SHORTFALL, HOMEOSTASIS, ASYMMETRIC, TARGET, QUADRATIC, CUBIC, CLIPPED)
HOMOGENEOUS = tuple(o for o in ALL if o.degree is not None)
LIPSCHITZ = (MEAN, SHORTFALL, HOMEOSTASIS, ASYMMETRIC)

LEVELS = (Fraction(1, 10), Fraction(1, 4), Fraction(1, 2), Fraction(9, 10), ONE)


def cvar_half(law: Law) -> Fraction:
    """CVaR at level 1/2: not indifferent to mixtures."""
    return cvar(law, Fraction(1, 2))


def mean_less_variance(law: Law) -> Fraction:
    """Mean less three variances: not indifferent to mixtures."""
    return mean(law) - 3 * variance(law)


def positive(law: Law) -> Fraction:
    """P(X > 0): indifferent to mixtures and to the discount, but not continuous."""
    return sum((p for x, p in law.items() if x > ZERO), ZERO)
