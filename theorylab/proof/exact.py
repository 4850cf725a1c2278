"""Exact arithmetic for verifiers: fractions as text, sympy expressions at rational points, intervals that enclose."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import sympy
from mpmath import iv

#: Decimal digits of intervals at points, and the width below which two sides that overlap are called equal.
DIGITS, CLOSE = 60, Fraction(1, 10**40)

#: A point: symbols and their values.
Point = dict[sympy.Symbol, Fraction]
Range = tuple[Any, Any]


def as_text(x: Fraction) -> str:
    """`-3/7`, or `2`."""
    return str(x)


def from_text(text: str) -> Fraction:
    """The fraction that a certificate states. Raises ValueError for anything else."""
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is no fraction")
    return Fraction(text)


def rational(x: Fraction) -> sympy.Rational:
    """For sympy."""
    return sympy.Rational(x.numerator, x.denominator)


def statement_digest(*parts: Any) -> str:
    """Sixteen digits that depend on every symbol of a statement."""
    return hashlib.sha256("|".join(map(sympy.srepr, map(sympy.sympify, parts))).encode()).hexdigest()[:16]


def enclosure(expression: sympy.Expr, point: Mapping[sympy.Symbol, Any], digits: int = DIGITS) -> Any:
    """An mpmath interval that holds the value; symbols may have Fractions or intervals for values."""
    before = iv.dps
    iv.dps = digits
    try:
        values = {s: iv.mpf(v.numerator) / v.denominator if isinstance(v, Fraction) else v for s, v in point.items()}
        return _walk(sympy.sympify(expression), values)
    finally:
        iv.dps = before


def _walk(e: sympy.Expr, values: Mapping[sympy.Symbol, Any]) -> Any:
    """Interval arithmetic over an expression tree, each operation rounded outwards."""
    if e.is_Symbol:
        return values[e]
    if e.is_Rational:
        return iv.mpf(int(e.p)) / int(e.q)
    if e is sympy.E:
        return iv.e
    if e is sympy.pi:
        return iv.pi
    if e.is_Add:
        total = iv.mpf(0)
        for part in e.args:
            total += _walk(part, values)
        return total
    if e.is_Mul:
        product = iv.mpf(1)
        for part in e.args:
            product *= _walk(part, values)
        return product
    if isinstance(e, sympy.exp):
        return iv.exp(_walk(e.args[0], values))
    if e.is_Pow:
        base, power = e.args
        if base is sympy.E:
            return iv.exp(_walk(power, values))
        inner = _walk(base, values)
        if power.is_Integer:
            return inner ** int(power)
        if power == sympy.Rational(1, 2):
            return iv.sqrt(inner)
        if power == sympy.Rational(-1, 2):
            return 1 / iv.sqrt(inner)
        return iv.exp(_walk(power, values) * iv.log(inner))
    if isinstance(e, sympy.log):
        return iv.log(_walk(e.args[0], values))
    raise ValueError(f"{type(e).__name__} has no interval form here")


def sign_at(expression: sympy.Expr, point: Point) -> int | None:
    """1, 0 or -1: the exact sign at a rational point; 0 for an interval around 0 narrower than CLOSE; None where nothing can be told."""
    value = sympy.sympify(expression).subs({s: rational(v) for s, v in point.items()})
    if value.is_Rational:
        return int(sympy.sign(value))
    try:
        box = enclosure(expression, point)
    except (ValueError, ZeroDivisionError, TypeError):
        return None
    if box.a > 0:
        return 1
    if box.b < 0:
        return -1
    return 0 if box.b - box.a < iv.mpf(CLOSE.numerator) / CLOSE.denominator else None


def random_points(
    symbols: Sequence[sympy.Symbol], ranges: Mapping[sympy.Symbol, Range], count: int, seed: str, *, ends: bool = False
) -> Iterator[Point]:
    """Rational points with small denominators, the same ones every time for the same seed. ends: often at or next to the ends of ranges."""
    rng = random.Random(seed)
    for _ in range(count):
        point = {}
        for s in symbols:
            low, high = ranges.get(s, (0, 1) if s.is_nonnegative else (-1, 1))
            low, high = (Fraction(int(sympy.Rational(x).p), int(sympy.Rational(x).q)) for x in (low, high))
            d = rng.choice((7, 13, 60, 997))
            at = rng.choice((0, 1, d - 1, d)) if ends and rng.random() < 0.3 else rng.randint(1, d - 1)
            point[s] = low + (high - low) * Fraction(at, d)
        yield point


def symbols_of(*expressions: Any) -> list[sympy.Symbol]:
    """Free symbols in the order of their names."""
    return sorted(set().union(*(sympy.sympify(e).free_symbols for e in expressions)), key=lambda s: s.name)


def told(point: Point) -> str:
    """A point for people."""
    return ", ".join(f"{s} = {v}" for s, v in point.items())


def is_zero(expression: Any) -> bool:
    """Whether algebra reduces it to 0: expanded over a common denominator, and simplified where functions remain."""
    e = sympy.sympify(expression)
    numerator = sympy.expand(sympy.fraction(sympy.together(sympy.expand(e)))[0])
    return bool(numerator == 0) or bool(sympy.simplify(numerator) == 0)
