"""Inequalities in one variable by derivatives: zero at a point, and the n-th derivative has one sign by its mere form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import sympy

from theorylab.proof.exact import Range, is_zero, statement_digest, symbols_of, told
from theorylab.proof.products import violation
from theorylab.proof.steps import Certificate, Finding


@dataclass(frozen=True)
class Rising:
    """function >= 0 for all values of `variable`, or, if `upwards`, for those from `start` on.

    It and its first `order - 1` derivatives are 0 at `start`, and its derivative of that order is `derivative`, which sympy sees not to be negative from
    the signs of its symbols alone (even order on both sides, any order upwards). `between`: another zero; then the second derivative is minus
    `derivative`, and the function is at least 0 between the two zeros, being concave.
    """

    function: Any
    variable: Any
    start: Any
    derivative: Any
    order: int = 2
    upwards: bool = False
    between: Any = None
    ranges: Mapping[Any, Range] = field(default_factory=dict)
    kind: ClassVar[str] = "inequality"

    def digest_text(self) -> str:
        ends = (self.start, self.derivative, self.order, self.between if self.between is not None else self.start)
        return statement_digest(self.function, self.variable, *ends)

    def find(self) -> Certificate:
        return {"derivative": str(self.derivative), "order": self.order, "zero": str(self.start)}

    def verify(self, certificate: Certificate) -> Finding:
        f, x = sympy.sympify(self.function), self.variable
        given = []
        if self.between is not None:
            given = [x - self.start, self.between - x]
        elif self.upwards:
            given = [x - self.start]
        point = violation(f, given, self.ranges)
        if point is not None:
            return Finding("FALSE", f"it fails at {told(point)}")
        derivative = sympy.sympify(self.derivative)
        if not derivative.is_nonnegative:
            return Finding("UNPROVED", f"the sign of {derivative} cannot be seen from its form")
        if self.between is not None:
            zeros = [f.subs(x, self.start), f.subs(x, self.between), sympy.diff(f, x, 2) + derivative]
        else:
            if self.order % 2 and not self.upwards:
                return Finding("UNPROVED", "an odd derivative tells only of one side")
            zeros = [sympy.diff(f, x, n).subs(x, self.start) if n else f.subs(x, self.start) for n in range(self.order)]
            zeros.append(sympy.diff(f, x, self.order) - derivative)
        if not all(is_zero(z) for z in zeros):
            return Finding("UNPROVED", "a derivative is not what it should be")
        shape = "concave between two zeros" if self.between is not None else f"derivative of order {self.order} is not negative"
        extra = "" if symbols_of(f) == [x] else ", for all values of the other symbols"
        return Finding("VERIFIED", f"{shape}{extra}")
