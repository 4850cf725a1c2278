"""The tests that decide a claim on one instance, as frozen states: `update(observations) -> state`, `decision()`.

Each asks two one-sided questions with error budgets of their own: is the claim refuted (evidence against "the claim
is true"), is it supported (evidence against "the claim is false")? Both are anytime-valid, so a decision may be taken
after every batch. A refutation needs the log e-value `refute_at`; support needs `log(1 / alpha_support)`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from theorylab.statistics import betting, binomial, grid, many, rates
from theorylab.statistics.grid import Array

Decision = Literal["refuted", "supported"] | None


@dataclass(frozen=True)
class Levels:
    """Error budgets of one test."""

    refute_at: float  # log e-value from which "refuted" may be said
    alpha_support: float  # error of "supported"

    @property
    def support_at(self) -> float:
        return math.log(1.0 / self.alpha_support)


def _decide(log_e_refute: float, log_e_support: float, levels: Levels) -> Decision:
    """Refutation wins: both at once has a probability of at most the sum of the two levels."""
    if log_e_refute >= levels.refute_at:
        return "refuted"
    return "supported" if log_e_support >= levels.support_at else None


def _zeros() -> Array:
    return np.zeros(grid.BETS.size)


@dataclass(frozen=True)
class MeanTest:
    """`E[x] <= bound` for x in [low, high]; `high` may be infinite, then the claim can be refuted but not supported."""

    bound: float
    low: float
    high: float
    levels: Levels
    n: int = 0
    total: float = 0.0
    exceeded: bool = False  # a positive value under a bound of zero: certain refutation, no bet needed
    _up: Array = field(default_factory=_zeros, repr=False)
    _down: Array = field(default_factory=_zeros, repr=False)

    def __post_init__(self) -> None:
        if math.isnan(self.bound) or math.isnan(self.low) or math.isnan(self.high):
            raise ValueError("bound and range of a mean test must be numbers, not NaN")
        if not math.isfinite(self.low) or not self.low < self.high:
            raise ValueError(f"range [{self.low}, {self.high}] must have a finite lower end below its upper end")

    @property
    def is_vacuous(self) -> bool:
        """No outcome in the range could exceed the bound."""
        return self.bound >= self.high

    def update(self, observations: ArrayLike) -> MeanTest:
        """The state after more observations. Raises ValueError on NaN and on values outside the range."""
        x = np.asarray(observations, dtype=np.float64).ravel()
        inside = (x >= self.low) & (x <= self.high)
        if not inside.all():
            index = int(np.flatnonzero(~inside)[0])
            raise ValueError(f"observation {self.n + index} is {x[index]!r}, outside [{self.low}, {self.high}]")
        if x.size == 0 or self.is_vacuous:
            return replace(self, n=self.n + x.size, total=self.total + float(x.sum()))
        shifted, mean = x - self.low, self.bound - self.low
        exceeded, up = self.exceeded, self._up
        if mean <= 0.0:
            exceeded = exceeded or mean < 0.0 or bool((shifted > 0.0).any())
        else:
            up = up + grid.bet_sums(shifted, mean)
        down = self._down
        if math.isfinite(self.high):
            down = down + grid.bet_sums(self.high - x, self.high - max(self.bound, self.low))
        return replace(self, n=self.n + x.size, total=self.total + float(x.sum()), exceeded=exceeded, _up=up, _down=down)

    @property
    def log_e_refute(self) -> float:
        """log e-value against the claim."""
        return math.inf if self.exceeded else grid.mix(self._up)

    @property
    def log_e_support(self) -> float:
        """log e-value against `E[x] >= bound`; never more than 0 without a finite upper end."""
        return grid.mix(self._down) if math.isfinite(self.high) else -math.inf

    def decision(self) -> Decision:
        return _decide(self.log_e_refute, self.log_e_support, self.levels)


@dataclass(frozen=True)
class PlugInTest:
    """`E[x] <= bound` for x in [0, 1] with plug-in bets: tighter than the grid for one fixed level and a few hundred observations.

    Its bets depend on the order of the observations, so it decides no verdict here; it is for authors who know their order.
    """

    bound: float
    levels: Levels
    x: tuple[float, ...] = ()

    def update(self, observations: ArrayLike) -> PlugInTest:
        """The state after more observations, in the order given."""
        return replace(self, x=(*self.x, *grid.check_unit(observations).ravel().tolist()))

    @property
    def log_e_refute(self) -> float:
        return float(betting.log_wealth_up(self.x, self.bound, math.exp(-self.levels.refute_at))[-1]) if self.x else 0.0

    @property
    def log_e_support(self) -> float:
        return float(betting.log_wealth_down(self.x, self.bound, self.levels.alpha_support)[-1]) if self.x else 0.0

    def decision(self) -> Decision:
        return _decide(self.log_e_refute, self.log_e_support, self.levels)


@dataclass(frozen=True)
class FailureTest:
    """`P(fail) <= delta`. A run whose event is a tie is no failure when refuting and a failure when supporting."""

    delta: float
    levels: Levels
    n: int = 0
    failures: int = 0
    ties: int = 0

    @property
    def is_vacuous(self) -> bool:
        return self.delta >= 1.0

    def update(self, failed: ArrayLike, tied: ArrayLike | None = None) -> FailureTest:
        """The state after more runs: booleans, one per run."""
        events = np.asarray(failed)
        if events.dtype != np.bool_:
            raise ValueError(f"failures must be booleans, got {events.dtype}")
        ties = np.zeros_like(events) if tied is None else np.asarray(tied, dtype=np.bool_)
        return replace(
            self,
            n=self.n + events.size,
            failures=self.failures + int((events & ~ties).sum()),
            ties=self.ties + int(ties.sum()),
        )

    @property
    def log_e_refute(self) -> float:
        if self.is_vacuous or self.n == 0:
            return 0.0
        if self.delta <= 0.0:
            return math.inf if self.failures else 0.0
        return binomial.log_e_above(self.failures, self.n, self.delta)

    @property
    def log_e_support(self) -> float:
        if self.is_vacuous or self.n == 0 or self.delta <= 0.0:
            return 0.0
        return binomial.log_e_below(self.failures + self.ties, self.n, self.delta)

    def decision(self) -> Decision:
        return _decide(self.log_e_refute, self.log_e_support, self.levels)


@dataclass(frozen=True)
class PointAlternativeTest:
    """`P(fail) <= delta` against one named failure probability: the most powerful test if that is the truth. Never supports."""

    delta: float
    alternative: float
    levels: Levels
    n: int = 0
    failures: int = 0

    def update(self, failed: ArrayLike) -> PointAlternativeTest:
        """The state after more runs: booleans, one per run."""
        events = np.asarray(failed, dtype=np.bool_)
        return replace(self, n=self.n + events.size, failures=self.failures + int(events.sum()))

    @property
    def log_e_refute(self) -> float:
        return binomial.log_likelihood_ratio(self.failures, self.n, self.delta, self.alternative)

    def decision(self) -> Decision:
        return _decide(self.log_e_refute, -math.inf, self.levels)


@dataclass(frozen=True)
class RateTest:
    """`E[Y_n]` falls like n^-exponent on a grid: refuted through stated bounds or the doubling form, never supported.

    n         (J,) grid
    bounds    (J,) the stated constant's bounds, inf where there are none
    lows, highs  (J,) declared range of Y; where its lower end is unknown nothing is refuted
    doubling  tolerance of `E[Y_2n] <= 2^-exponent (1 + doubling) E[Y_n]`, or None; needs finite `highs`
    """

    n: Array
    exponent: float
    bounds: Array
    lows: Array
    highs: Array
    doubling: float | None
    levels: Levels
    values: Array | None = None

    def update(self, values: ArrayLike) -> RateTest:
        """The state after more seeds: (seeds, J)."""
        rows = np.asarray(values, dtype=np.float64).reshape(-1, self.n.size)
        return replace(self, values=rows if self.values is None else np.concatenate([self.values, rows]))

    @property
    def log_e_refute(self) -> float:
        """log of the mean e-value over grid points and doublings; 0 where nothing finite could be refuted."""
        if self.values is None:
            return 0.0
        evidence = []
        for j in range(self.n.size):
            # Without a declared lower end nothing is known of what a mean may be.
            if math.isfinite(self.lows[j]) and math.isfinite(self.bounds[j]) and self.bounds[j] < self.highs[j]:
                test = MeanTest(self.bounds[j], self.lows[j], self.highs[j], self.levels)
                evidence.append(test.update(self.values[:, j]).log_e_refute)
        if self.doubling is not None:
            evidence += self._doublings(self.doubling)
        return many.log_mean(evidence) if evidence else 0.0

    def _doublings(self, tolerance: float) -> list[float]:
        assert self.values is not None
        found = []
        for j in range(self.n.size - 1):
            top = float(self.highs[j])
            doubles = abs(self.n[j + 1] / self.n[j] - 2.0) < 1e-9
            if doubles and math.isfinite(top) and min(self.lows[j], self.lows[j + 1]) >= 0.0:
                pair = self.values[:, j], self.values[:, j + 1]
                x, bound = rates.doubling_observations(*pair, self.exponent, tolerance, top)
                # x leaves [0, 1] only if Y leaves [0, top]: then the declared range is wrong, and update says so
                found.append(MeanTest(bound, 0.0, 1.0, self.levels).update(x).log_e_refute)
        return found

    def slope(self) -> rates.Slope:
        """The log-log slope of the means, with its interval over seeds. Raises ValueError where there is none."""
        return rates.log_log_slope(self.n, self.values if self.values is not None else np.empty((0, self.n.size)))

    def decision(self) -> Decision:
        return "refuted" if self.log_e_refute >= self.levels.refute_at else None


@dataclass(frozen=True)
class PathwiseTest:
    """`measured <= bound` at every entry: one confirmed violation refutes, with no error; counts are what is known else."""

    entries: int = 0
    ties: int = 0
    suspects: int = 0  # entries beyond the rounding error: a matter for exact replay
    confirmed: int = 0

    def update(self, margins: ArrayLike, slack: ArrayLike) -> PathwiseTest:
        """`margins` bound - measured, `slack` the rounding error of each, >= 0. NaN raises."""
        m, s = np.broadcast_arrays(np.asarray(margins, np.float64), np.asarray(slack, np.float64))
        if np.isnan(m).any() or np.isnan(s).any():
            raise ValueError("NaN among margins: the run is an error, not data")
        return replace(
            self,
            entries=self.entries + m.size,
            ties=self.ties + int((np.abs(m) <= s).sum()),
            suspects=self.suspects + int((m < -s).sum()),
        )

    def confirm(self, count: int) -> PathwiseTest:
        """The state after exact replay confirmed `count` of the suspects."""
        return replace(self, confirmed=self.confirmed + count)

    def decision(self) -> Decision:
        if self.confirmed:
            return "refuted"
        return "supported" if self.entries and not self.suspects else None
