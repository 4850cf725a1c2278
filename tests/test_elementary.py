"""The exponential against the library's and against 40 digits."""

from __future__ import annotations

import math

import mpmath
import numpy as np

from theorylab.kernels import kernel
from theorylab.solvers.elementary import LOWEST, exp_below, fma


def test_it_is_the_exponential_to_one_unit_in_the_last_place():
    rng = np.random.default_rng(0)
    places = np.concatenate(
        [-(10.0 ** rng.uniform(-20, 2.85, 4000)), -np.log(2.0) * (np.arange(1, 1020) + 0.5), -np.log(2.0) * np.arange(0, 1020)]
    )
    for x in places[places >= LOWEST].tolist():
        found = float(exp_below(x))
        with mpmath.workdps(40):
            exact = mpmath.exp(mpmath.mpf(x))
            assert abs(mpmath.mpf(found) - exact) <= 1.0 * math.ulp(float(exact)), x


def test_ends():
    assert exp_below(0.0) == 1.0
    assert exp_below(-0.0) == 1.0
    assert abs(exp_below(LOWEST) - math.exp(LOWEST)) <= math.ulp(math.exp(LOWEST))
    assert exp_below(np.nextafter(LOWEST, -np.inf)) == 0.0
    assert exp_below(-1e300) == 0.0
    assert exp_below(-np.inf) == 0.0
    assert math.isnan(exp_below(math.nan))


def test_products_are_added_with_one_rounding_in_kernels_and_outside():
    """Where a b is just beyond what a double holds: rounded twice, half of these would differ."""

    @kernel
    def compiled(a, b, c):
        return fma(a, b, c)

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=500), rng.normal(size=500)
    differ = 0
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        with mpmath.workprec(200):
            exact = float(mpmath.mpf(x) * mpmath.mpf(y) - mpmath.mpf(x * y))
        assert compiled(x, y, -x * y) == fma(x, y, -x * y) == exact
        differ += exact != 0.0
    assert differ > 400
    for case in [
        (0.0, 1.0, -0.0),
        (-0.0, 1.0, -0.0),
        (2.0, 3.0, -6.0),
        (math.inf, 1.0, 1.0),
        (1e308, 10.0, -math.inf),
        (1e308, -10.0, 1.0),
    ]:
        assert compiled(*case) == fma(*case)
        assert math.copysign(1.0, compiled(*case)) == math.copysign(1.0, fma(*case))
    assert math.isnan(compiled(math.inf, 0.0, 1.0))
    assert math.isnan(fma(math.inf, 0.0, 1.0))
