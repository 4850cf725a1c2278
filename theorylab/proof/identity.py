"""Identities: both sides are given, algebra reduces the difference to zero, and random exact points confirm it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import sympy

from theorylab.proof.exact import (
    Point,
    Range,
    as_text,
    from_text,
    is_zero,
    random_points,
    sign_at,
    statement_digest,
    symbols_of,
    told,
)
from theorylab.proof.steps import Certificate, Finding

#: Points at which both sides are compared.
POINTS = 8


@dataclass(frozen=True)
class Identity:
    """left == right, numbers or matrices, for all values of the symbols.

    given   replacements made on both sides first: what is assumed, such as pi3 -> 1 - pi1 - pi2
    ranges  where points are drawn, for symbols of which (-1, 1), or (0, 1) if they are not negative, will not do
    """

    left: Any
    right: Any
    given: Mapping[Any, Any] = field(default_factory=dict)
    ranges: Mapping[Any, Range] = field(default_factory=dict)
    kind: ClassVar[str] = "identity"

    def _pairs(self) -> list[tuple[Any, Any]]:
        """Numbers against numbers, entry by entry."""
        left, right = (x.subs(self.given) if hasattr(x, "subs") else sympy.sympify(x) for x in (self.left, self.right))
        if isinstance(left, sympy.MatrixBase):
            return list(zip(left, sympy.Matrix(right), strict=True))
        return [(left, right)]

    def digest_text(self) -> str:
        return statement_digest(*(side for pair in self._pairs() for side in pair))

    def find(self) -> Certificate:
        pairs = self._pairs()
        symbols = symbols_of(*(side for pair in pairs for side in pair))
        points = random_points(symbols, self.ranges, POINTS if symbols else 1, self.digest_text())
        return {"points": [{s.name: as_text(v) for s, v in p.items()} for p in points]}

    def verify(self, certificate: Certificate) -> Finding:
        pairs = self._pairs()
        symbols = {s.name: s for s in symbols_of(*(side for pair in pairs for side in pair))}
        points: list[Point] = [{symbols[name]: from_text(v) for name, v in p.items()} for p in certificate["points"]]
        if len(points) < (POINTS if symbols else 1) or any(set(p) != set(symbols.values()) for p in points):
            return Finding("UNPROVED", "too few points, or points that leave symbols open")
        for point in points:
            for left, right in pairs:
                sign = sign_at(left - right, point)
                if sign:
                    return Finding("FALSE", f"the sides differ at {told(point) or 'once numbers are put in'}")
                if sign is None:
                    return Finding("UNPROVED", f"a side cannot be evaluated at {told(point)}")
        if not all(is_zero(left - right) for left, right in pairs):
            return Finding("UNPROVED", "algebra does not reduce the difference to 0")
        return Finding("VERIFIED", f"difference 0; equal at {len(points)} rational point{'s' if len(points) > 1 else ''}")
