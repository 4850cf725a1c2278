"""Seeds that a verdict costs: theorylab's sequential tests beside a fixed-sample test of the same error and power, planned with full knowledge."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import binom

from theorylab.statistics.sequential import FailureTest, Levels

GROUP = "seeds"

#: Error of a refutation, as one of ten claims of a run at 1e-6; power of the fixed-sample test.
ALPHA, POWER = 1e-7, 0.9

#: Allowed share of failing runs, and true shares.
CASES = ((0.05, 0.1), (0.05, 0.2), (0.1, 0.5), (0.01, 0.05))

#: Runs between two looks, as `check` has them.
BATCH = 32


def fixed_sample(allowed: float, true: float) -> int:
    """Fewest runs with which an exact binomial test of this error has this power. Source: the binomial law, by search."""

    def power(n: int) -> float:
        critical = int(binom.isf(ALPHA, n, allowed)) + 1  # P(X >= critical) <= ALPHA if the claim holds
        return float(binom.sf(critical - 1, n, true))

    low, high = 1, 1
    while power(high) < POWER:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    while any(power(n) < POWER for n in range(high, high + 50)):  # the power is not quite monotone
        high += 1
    return high


def sequential(allowed: float, true: float, repetitions: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """Runs used until the claim is refuted, per repetition; `most` where it was not."""
    levels = Levels(math.log(1.0 / ALPHA), 0.01)
    used = np.full(repetitions, most)
    for k in range(repetitions):
        failed = rng.random(most) < true
        test = FailureTest(allowed, levels)
        for start in range(0, most, BATCH):
            part = failed[start : start + BATCH]
            test = test.update(part, np.zeros(part.size, dtype=bool))
            if test.decision() == "refuted":
                used[k] = start + part.size
                break
    return used


def table(*, quick: bool = False) -> list[str]:
    """Lines of Markdown."""
    repetitions = 40 if quick else 400
    rng = np.random.default_rng(0)
    lines = [
        "| allowed share | true share | fixed sample | sequential: median | mean | 90 % of the runs end by | mean over fixed |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for allowed, true in CASES:
        n = fixed_sample(allowed, true)
        used = sequential(allowed, true, repetitions, 20 * n, rng)
        middle, late = np.quantile(used, [0.5, POWER])
        lines.append(
            f"| {allowed:g} | {true:g} | {n:,} | {middle:,.0f} | {used.mean():,.0f} | {late:,.0f} | {used.mean() / n:.2f} |"
        )
        print(lines[-1], flush=True)
    return lines
