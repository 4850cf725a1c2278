"""Rounding error of float sums: the filter of pathwise claims. It may err both ways, so it never refutes.

Source: Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition, sections 3.1 and 4.2.
"""

from __future__ import annotations

import math

UNIT_ROUNDOFF = 2.0**-53


def gamma(n: int) -> float:
    """n u / (1 - n u): relative error of n rounded operations in a row."""
    nu = n * UNIT_ROUNDOFF
    if nu >= 1.0:
        raise ValueError(f"{n} roundings leave no correct digit")
    return nu / (1.0 - nu)


def pairwise_gamma(n: int) -> float:
    """The same for a pairwise sum of n terms."""
    return gamma(max(1, math.ceil(math.log2(max(n, 2)))))


def recursion_error(per_step: float, lipschitz: float, steps: int) -> float:
    """Error after `steps` of x -> f(x) with this Lipschitz constant <= 1 and rounding error `per_step` each."""
    if lipschitz > 1.0:
        raise ValueError(f"lipschitz={lipschitz}: an expanding recursion has no useful bound")
    if lipschitz == 1.0:
        return steps * per_step
    return per_step * -math.expm1(steps * math.log(lipschitz)) / (1.0 - lipschitz) if lipschitz > 0.0 else per_step
