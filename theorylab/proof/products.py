"""Inequalities by an explicit sum of products of things that are not negative: verified by expanding, with nothing to search for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import sympy

from theorylab.proof.exact import Point, Range, is_zero, random_points, sign_at, statement_digest, symbols_of, told
from theorylab.proof.steps import Certificate, Finding

#: Points at which a false inequality is sought.
TRIALS = 2_000

#: Of them those that are looked at exactly.
MOST_EXACT = 20


def violation(expression: Any, given: Sequence[Any], ranges: Mapping[Any, Range], trials: int = TRIALS) -> Point | None:
    """A rational point where all that is given is at least 0 and the expression is negative, if random ones and their neighbours hold one."""
    symbols = symbols_of(expression, *given)
    points = list(random_points(symbols, ranges, trials if symbols else 1, "violation", ends=True))
    evaluate = sympy.lambdify(symbols, [sympy.sympify(expression), *given], modules=["math"])
    likely = []
    for point in points:  # floats choose the points that are worth exact arithmetic
        try:
            value, *rest = map(float, evaluate(*map(float, point.values())))
        except (ValueError, ZeroDivisionError, OverflowError, TypeError):
            continue
        if value < 0.0 and all(x > -1e-12 for x in rest):
            likely.append((value, point))
    for _, point in sorted(likely, key=lambda pair: pair[0])[:MOST_EXACT]:
        if all(sign_at(g, point) in (0, 1) for g in given) and sign_at(expression, point) == -1:
            return point
    return None


@dataclass(frozen=True)
class Products:
    """smaller <= larger wherever everything given is at least 0, because times * (larger - smaller) = sum of number * square * product of given things.

    given   polynomials that are at least 0 on the domain
    terms   (number, what is squared, positions in `given` of the factors)
    times   what clears the denominators: a product of symbols that are positive, or a polynomial with positive coefficients, one of them constant, in
            symbols that are given not to be negative
    equal   replacements made everywhere first
    """

    smaller: Any
    larger: Any
    terms: Sequence[tuple[Any, Any, Sequence[int]]]
    given: Sequence[Any] = ()
    times: Any = 1
    equal: Mapping[Any, Any] = field(default_factory=dict)
    ranges: Mapping[Any, Range] = field(default_factory=dict)
    kind: ClassVar[str] = "inequality"

    def _difference(self) -> Any:
        return (sympy.sympify(self.larger) - sympy.sympify(self.smaller)).subs(self.equal)

    def _given(self) -> list[Any]:
        return [sympy.sympify(g).subs(self.equal) for g in self.given]

    def digest_text(self) -> str:
        return statement_digest(self._difference(), *self._given())

    def find(self) -> Certificate:
        terms = [{"times": str(c), "square": str(s), "given": [str(self.given[i]) for i in at]} for c, s, at in self.terms]
        return {"products": terms, "denominator": str(self.times)}

    def verify(self, certificate: Certificate) -> Finding:
        """The products stand in the step itself; the certificate repeats them for readers."""
        difference, given = self._difference(), self._given()
        point = violation(difference, given, self.ranges)
        if point is not None:
            return Finding("FALSE", f"it fails at {told(point) or 'once numbers are put in'}")
        total = sympy.Integer(0)
        for number, square, factors in self.terms:
            if not bool(sympy.sympify(number) >= 0):
                return Finding("UNPROVED", f"the factor {number} is negative")
            product = sympy.sympify(number) * sympy.sympify(square).subs(self.equal) ** 2
            for i in factors:
                product *= given[i]
            total += product
        if not self._is_positive(given):
            return Finding("UNPROVED", f"nothing says that {self.times} is positive")
        if not is_zero(sympy.sympify(self.times).subs(self.equal) * difference - total):
            return Finding("UNPROVED", "the products do not add up to the difference")
        return Finding("VERIFIED", f"{len(self.terms)} products of what is not negative, expanded exactly")

    def _is_positive(self, given: Sequence[Any]) -> bool:
        if sympy.sympify(self.times).is_positive:  # of symbols that are positive, or the sides would not be defined
            return True
        times = sympy.sympify(self.times).subs(self.equal)
        if times.is_number:
            return bool(times > 0)
        symbols = symbols_of(times)
        if not all(s in given for s in symbols):
            return False
        poly = sympy.Poly(sympy.expand(times), *symbols)
        return all(c > 0 for c in poly.coeffs()) and poly.eval(dict.fromkeys(symbols, 0)) > 0
