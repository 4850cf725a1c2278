"""Inequalities on a box by interval arithmetic: the box is cut until each piece shows the sign, all rounding outwards."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar

import sympy
from mpmath import iv

from theorylab.proof.exact import as_text, enclosure, from_text, is_zero, statement_digest, told
from theorylab.proof.products import violation
from theorylab.proof.steps import Certificate, Finding

#: Digits of the intervals, and pieces after which the box is given up.
DIGITS, MOST_PIECES = 20, 6_000

Piece = tuple[tuple[Fraction, Fraction], ...]


def _fraction(x: Any) -> Fraction:
    value = sympy.Rational(x)
    return Fraction(int(value.p), int(value.q))


@dataclass(frozen=True)
class Boxes:
    """function >= 0 on a box {symbol: (low, high)} of rationals.

    zeros   for one variable: (point, order) where the function and its derivatives below that order are 0; pieces that touch the point are decided by
            the derivative of that order (Taylor), so that the sign there need not come out of rounding
    """

    function: Any
    box: Mapping[Any, tuple[Any, Any]] = field(default_factory=dict)
    zeros: Sequence[tuple[Any, int]] = ()
    kind: ClassVar[str] = "inequality"

    def digest_text(self) -> str:
        ends = [e for s, pair in self.box.items() for e in (s, *pair)]
        return statement_digest(self.function, *ends)

    def _symbols(self) -> list[Any]:
        return list(self.box)

    def _whole(self) -> Piece:
        return tuple((_fraction(low), _fraction(high)) for low, high in self.box.values())

    def _range(self, expression: Any, piece: Piece) -> Any:
        point = {}
        before = iv.dps
        iv.dps = DIGITS
        try:
            for s, (low, high) in zip(self._symbols(), piece, strict=True):
                point[s] = iv.mpf([(iv.mpf(low.numerator) / low.denominator).a, (iv.mpf(high.numerator) / high.denominator).b])
        finally:
            iv.dps = before
        return enclosure(expression, point, DIGITS)

    def _shows(self, piece: Piece) -> bool:
        """Whether interval arithmetic shows the sign on a piece: by the value, by the value in the middle and the slope, or at a zero."""
        f = sympy.sympify(self.function)
        try:
            if self._range(f, piece).a >= 0:
                return True
            middle = {s: (low + high) / 2 for s, (low, high) in zip(self._symbols(), piece, strict=True)}
            value = enclosure(f, middle, DIGITS)
            for s, (low, high) in zip(self._symbols(), piece, strict=True):
                half = (high - low) / 2
                value += self._range(sympy.diff(f, s), piece) * iv.mpf([-1, 1]) * iv.mpf(half.numerator) / half.denominator
            if self._symbols() and value.a >= 0:
                return True
        except (ValueError, ZeroDivisionError, TypeError):
            return False
        return any(self._shows_at(piece, *zero) for zero in self.zeros)

    def _shows_at(self, piece: Piece, zero: Any, order: int) -> bool:
        """f(x) = f^(n)(y) (x - zero)^n / n! with y between, if all lower derivatives are 0 there."""
        (x,), ((low, high),) = self._symbols(), piece
        left, right = bool(zero >= low), bool(zero <= high)
        if not (left and right):
            return False
        derivative = self._range(sympy.diff(self.function, x, order), piece)
        if order % 2 == 0:
            return bool(derivative.a >= 0)
        if zero == low:
            return bool(derivative.a >= 0)
        return bool(zero == high) and bool(derivative.b <= 0)

    def find(self) -> Certificate:
        if self._false_point() is not None:
            return {"pieces": []}
        open_pieces, closed = [self._whole()], []
        while open_pieces:
            piece = open_pieces.pop()
            if self._shows(piece):
                closed.append(piece)
                continue
            if len(open_pieces) + len(closed) >= MOST_PIECES or not piece:
                return {"pieces": []}
            widest = max(range(len(piece)), key=lambda i: piece[i][1] - piece[i][0])
            low, high = piece[widest]
            halves = ((low, (low + high) / 2), ((low + high) / 2, high))
            open_pieces += [(*piece[:widest], half, *piece[widest + 1 :]) for half in halves]
        return {"pieces": [[[as_text(low), as_text(high)] for low, high in piece] for piece in closed]}

    def _false_point(self) -> Any:
        return violation(self.function, (), self.box)

    def verify(self, certificate: Certificate) -> Finding:
        point = self._false_point()
        if point is not None:
            return Finding("FALSE", f"it fails at {told(point) or 'once numbers are put in'}")
        x = self._symbols()[0] if self.box else None
        for zero, order in self.zeros:
            f = sympy.sympify(self.function)
            if not all(is_zero((sympy.diff(f, x, n) if n else f).subs(x, zero)) for n in range(order)):
                return Finding("UNPROVED", f"{zero} is no zero of order {order}")
        pieces: list[Piece] = [tuple((from_text(a), from_text(b)) for a, b in piece) for piece in certificate["pieces"]]
        if not pieces:
            return Finding("UNPROVED", f"the sign does not show on {MOST_PIECES:,} pieces")
        if not _covers(pieces, self._whole()):
            return Finding("UNPROVED", "the pieces do not cover the box")
        if not all(self._shows(piece) for piece in pieces):
            return Finding("UNPROVED", "the sign does not show on a piece")
        return Finding("VERIFIED", f"interval arithmetic on {len(pieces):,} piece{'s' if len(pieces) > 1 else ''}")


def _covers(pieces: Sequence[Piece], whole: Piece) -> bool:
    """Whether pieces fill the box: they do not overlap inside, lie within it, and their volumes add up to its own."""

    def volume(piece: Piece) -> Fraction:
        out = Fraction(1)
        for low, high in piece:
            out *= high - low
        return out

    def overlaps(p: Piece, q: Piece) -> bool:
        return all(max(a, c) < min(b, d) for (a, b), (c, d) in zip(p, q, strict=True))

    inside = all(w[0] <= p[0] < p[1] <= w[1] for piece in pieces for p, w in zip(piece, whole, strict=True))
    if not inside or sum(map(volume, pieces)) != volume(whole):
        return False
    if len(whole) == 1:
        ends = sorted(piece[0] for piece in pieces)
        return all(a[1] == b[0] for a, b in itertools.pairwise(ends))
    return not any(overlaps(p, q) for p, q in itertools.combinations(pieces, 2))
