"""exp() that a compiler can turn into vector operations: the library's own is a call per number, which takes most of the time of a softmax."""

from __future__ import annotations

import numpy as np

from theorylab.kernels import kernel

#: Smallest argument: below it the result is 0 where the library still has subnormal numbers.
LOWEST = -708.0

#: log 2 in two parts: the first has so few digits that its product with a whole number up to 1,100 is exact.
LN2_HIGH, LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
LOG2_E = 1.4426950408889634

#: 1.5 * 2^52: added to a number, it leaves the nearest whole number in the last bits.
ROUNDER = 6755399441055744.0


@kernel
def exp_below(x):  # type: ignore[no-untyped-def]
    """exp(x) for x <= 0, to one unit in the last place; 0 below LOWEST; NaN stays NaN.

    x = k log 2 + r with |r| <= log(2) / 2: Taylor's polynomial of degree 13 for exp(r), whose error is below 5e-18, and 2^k put together from bits.
    """
    inside = LOWEST if x < LOWEST else x
    t = inside * LOG2_E + ROUNDER
    k = t - ROUNDER
    r = (inside - k * LN2_HIGH) - k * LN2_LOW
    p = 1.6059043836821613e-10  # 1 / 13!
    p = p * r + 2.08767569878681e-09
    p = p * r + 2.505210838544172e-08
    p = p * r + 2.755731922398589e-07
    p = p * r + 2.7557319223985893e-06
    p = p * r + 2.48015873015873e-05
    p = p * r + 0.0001984126984126984
    p = p * r + 0.001388888888888889
    p = p * r + 0.008333333333333333
    p = p * r + 0.041666666666666664
    p = p * r + 0.16666666666666666
    p = p * r + 0.5
    power = np.int64((np.float64(t).view(np.int64) + 1023) << 52).view(np.float64)
    value = power + power * (r * r * p + r)
    return 0.0 if x < LOWEST else value
