"""exp() that a compiler can turn into vector operations: the library's own is a call per number, which takes most of the time of a softmax."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numba.core import types
from numba.extending import lower_builtin, type_callable

from theorylab.kernels import kernel

#: Smallest argument: below it the result is 0 where the library still has subnormal numbers.
LOWEST = -708.0

#: log 2 in two parts: the first has so few digits that its product with a whole number up to 1,100 is exact.
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
LOG2_E = 1.4426950408889634

#: 1.5 * 2^52: added to a number, it leaves the nearest whole number in the last bits.
ROUNDER = 6755399441055744.0


def fma(a: float, b: float, c: float) -> float:
    """a b + c, rounded once: one instruction in a kernel, the same bits on every machine."""
    if not (math.isfinite(a) and math.isfinite(b)):
        return a * b + c
    exact = Fraction(a) * Fraction(b) + Fraction(c) if math.isfinite(c) else Fraction(0)
    if exact == 0:
        return a * b + c if math.isfinite(c) else c  # a zero has a sign
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


@type_callable(fma)
def _type_of_fma(context: Any) -> Any:
    return lambda a, b, c: types.float64


@lower_builtin(fma, types.float64, types.float64, types.float64)
def _lower_fma(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    return builder.fma(*arguments)


@kernel
def exp_below(x):  # type: ignore[no-untyped-def]
    """exp(x) for x <= 0, to one unit in the last place; 0 below LOWEST; NaN stays NaN.

    x = k log 2 + r with |r| <= log(2) / 2: Taylor's polynomial of degree 13 for exp(r), whose error is below 5e-18, and 2^k put together from bits.
    """
    inside = LOWEST if x < LOWEST else x
    t = inside * LOG2_E + ROUNDER
    k = t - ROUNDER
    r = fma(-k, LN2_LOW, fma(-k, LN2_HIGH, inside))
    p = 1.6059043836821613e-10  # 1 / 13!
    p = fma(p, r, 2.08767569878681e-09)
    p = fma(p, r, 2.505210838544172e-08)
    p = fma(p, r, 2.755731922398589e-07)
    p = fma(p, r, 2.7557319223985893e-06)
    p = fma(p, r, 2.48015873015873e-05)
    p = fma(p, r, 0.0001984126984126984)
    p = fma(p, r, 0.001388888888888889)
    p = fma(p, r, 0.008333333333333333)
    p = fma(p, r, 0.041666666666666664)
    p = fma(p, r, 0.16666666666666666)
    p = fma(p, r, 0.5)
    power = np.int64((np.float64(t).view(np.int64) + 1023) << 52).view(np.float64)
    value = fma(power, fma(r * r, p, r), power)
    return 0.0 if x < LOWEST else value
