"""Instances as people like to read them: exact fractions where the floats are fractions with a small denominator."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from theorylab.problems.record import Instance, to_fields

#: Denominators up to 2^20 print as fractions; finer dyadics as a power of two offset would be no easier to read than the float.
LARGEST_DENOMINATOR = 2**20


def number(x: float) -> str:
    """`3/8` for 0.375, `0.1` for the float nearest to 0.1: exact, and read back to the same float."""
    if not np.isfinite(x):
        return repr(float(x))
    fraction = Fraction(float(x))
    if fraction.denominator == 1:
        return str(fraction.numerator)
    return str(fraction) if fraction.denominator <= LARGEST_DENOMINATOR else repr(float(x))


def _nested(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return "[" + ", ".join(_nested(v) for v in value) + "]" if value.ndim else number(float(value))
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_nested(v) for v in value) + "]"
    if isinstance(value, str):
        return value
    return number(float(value))


def lines(instance: Any) -> list[str]:
    """One line per field; default labels are left out."""
    if not isinstance(instance, Instance):
        return [repr(instance)]
    out = []
    for name, value in to_fields(instance).items():
        if isinstance(value, tuple) and all(isinstance(v, str) and v.split(" ")[-1].isdigit() for v in value):
            continue
        out.append(f"{name} = {_nested(value)}")
    return out
