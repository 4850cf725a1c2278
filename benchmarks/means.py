"""Anytime-valid statements about a mean: theorylab's tests and bounds beside the libraries for confidence sequences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.race import Disagreement, Peer, Row, named, race, usable
from theorylab.statistics import grid
from theorylab.statistics.sequential import Levels, MeanTest

GROUP = "statistics"

ALPHA = 0.01

#: Observations, their law Beta(2, 6) with mean 1/4; what is tested is a mean of at most 0.3.
COUNT, MEAN, BOUND = 2_000, 0.25, 0.3

#: Candidates for the mean in the recursion of betting confidence sequences.
CANDIDATES = 1_000


def capital_recursion(x: np.ndarray, alpha: float) -> tuple[float, float]:
    """The hedged capital of every candidate, observation by observation, as published code computes a betting confidence sequence.

    Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", arXiv 2010.09686, section 4.4 (hedged, predictable plug-in).
    """
    m = (np.arange(CANDIDATES) + 0.5) / CANDIDATES
    up, down = np.zeros(CANDIDATES), np.zeros(CANDIDATES)
    total, squares = 0.5, 0.25
    inside = np.ones(CANDIDATES, dtype=bool)
    for t, value in enumerate(x.tolist(), 1):
        mean, variance = total / t, squares / t
        bet = np.sqrt(2.0 * np.log(2.0 / alpha) / (variance * t * np.log1p(t)))
        up += np.log1p(np.minimum(bet, 0.5 / m) * (value - m))
        down += np.log1p(-np.minimum(bet, 0.5 / (1.0 - m)) * (value - m))
        inside &= np.maximum(up, down) < np.log(2.0 / alpha)
        total += value
        squares += (value - mean) ** 2
    kept = m[inside]
    return float(kept[0]), float(kept[-1])


def holds(name: str, interval: tuple[float, float], widest: float) -> str:
    """That an interval holds the mean and is about as narrow as it should be, or the end of the benchmark."""
    low, high = interval
    if not (low <= MEAN <= high and high - low <= widest):
        raise Disagreement(f"{name}: [{low:.4f}, {high:.4f}] for a mean of {MEAN}.")
    return f"interval of width {high - low:.4f}"


def rows(*, quick: bool = False) -> list[Row]:
    """A test of one bound; an interval after all observations."""
    x = np.random.default_rng(0).beta(2.0, 6.0, COUNT)
    levels = Levels(np.log(1.0 / ALPHA), ALPHA)
    out: list[Row] = []

    def interval() -> tuple[float, float]:
        return grid.lower_bound(x, ALPHA / 2.0), grid.upper_bound(x, ALPHA / 2.0)

    own = interval()
    holds("theorylab", own, 0.1)
    peers = []
    field: list[tuple[str, Callable[[], tuple[float, float]], str]] = [
        (
            f"{named('numpy')}, capital of {CANDIDATES:,} candidates",
            lambda: capital_recursion(x, ALPHA),
            "the recursion of confseq",
        )
    ]
    if label := usable("ville"):
        import ville

        def sequence(kind: Any) -> tuple[float, float]:
            made = kind(alpha=ALPHA).fit(x)
            return float(np.ravel(made.lower_)[-1]), float(np.ravel(made.upper_)[-1])

        field += [
            (f"{label}, BettingCS", lambda: sequence(ville.BettingCS), ""),
            (f"{label}, EmpiricalBernsteinCS", lambda: sequence(ville.EmpiricalBernsteinCS), "a closed form, and wider"),
        ]
    for name, call, note in field:
        words = holds(name, call(), 0.2)
        closed = "closed form" in note
        peers.append(Peer(name, call, f"{words}, theorylab's {own[1] - own[0]:.4f}", None if closed else 1.0, note))
    out += race(GROUP, f"interval for a mean, {COUNT:,} observations", interval, peers, rounds=3 if quick else 5)

    def test() -> MeanTest:
        return MeanTest(BOUND, 0.0, 1.0, levels).update(x)

    if test().decision() != "supported":
        raise Disagreement("theorylab: the test of a bound that holds did not support it.")
    peers = []
    for name, call, note in field:
        high = call()[1]
        if not high < BOUND and "closed form" not in note:
            raise Disagreement(f"{name}: upper end {high:.4f}, not below {BOUND}.")
        peers.append(Peer(name, call, f"upper end {high:.4f} below {BOUND}", None if "closed form" in note else 1.0, note))
    return out + race(GROUP, f"is a mean below a bound, {COUNT:,} observations", test, peers, rounds=3 if quick else 5)
