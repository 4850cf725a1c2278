"""Calibration of every decision procedure: realised false alarms at the boundary of its hypothesis, and power.

    python -m benchmarks.calibration                 10,000 experiments per cell, writes docs/calibration.md (minutes)
    python -m benchmarks.calibration --experiments 500 --no-write

Experiments are vectorised; `same_as_library` asserts that what is vectorised here is what the library decides with.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import special, stats

from theorylab.statistics import betting, binomial, grid, many, rates
from theorylab.statistics.sequential import FailureTest, Levels, MeanTest

LEVELS = (0.05, 0.01, 0.001)
OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "calibration.md"
HORIZON = 1000  # anytime tests are looked at after every observation up to here
FIXED = 200  # sample size of the fixed-sample tests
Sampler = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]


@dataclass(frozen=True)
class Null:
    """A distribution on [0, 1] with mean exactly `mean`."""

    name: str
    mean: float
    sample: Sampler
    is_binary: bool


NULLS = (
    Null("Bernoulli(0.1)", 0.1, lambda rng, shape: (rng.random(shape) < 0.1).astype(float), True),
    Null("Bernoulli(0.5)", 0.5, lambda rng, shape: (rng.random(shape) < 0.5).astype(float), True),
    Null("P(X=1) = 0.005", 0.005, lambda rng, shape: (rng.random(shape) < 0.005).astype(float), True),
    Null("P(X=0) = 0.005", 0.995, lambda rng, shape: (rng.random(shape) < 0.995).astype(float), True),
    Null("Beta(0.2, 1.8)", 0.1, lambda rng, shape: rng.beta(0.2, 1.8, shape), False),
    Null("uniform", 0.5, lambda rng, shape: rng.random(shape), False),
)


# -- running log e-values for a batch of experiments (E, n) -> (E, n) -----------------------------------------------------


def grid_path(x: np.ndarray, mean: float) -> np.ndarray:
    """The grid mixture against E[x] <= mean."""
    top = np.full(x.shape, -np.inf)
    total = np.zeros(x.shape)
    paths = []
    for bet in grid.BETS:
        path = np.cumsum(np.log1p(bet * (x / mean - 1.0)), axis=1)
        paths.append(path)
        np.maximum(top, path, out=top)
    for path in paths:
        total += np.exp(path - top)
    return top + np.log(total) - math.log(grid.BETS.size)


def plug_in_path(x: np.ndarray, mean: float, alpha: float) -> np.ndarray:
    """Plug-in bets against E[x] <= mean."""
    t = np.arange(1, x.shape[1] + 1)
    means = (0.5 + np.cumsum(x, axis=1)) / (t + 1)
    variances = (0.25 + np.cumsum((x - means) ** 2, axis=1)) / (t + 1)
    previous = np.concatenate([np.full((x.shape[0], 1), 0.25), variances[:, :-1]], axis=1)
    bets = np.minimum(np.sqrt(2.0 * math.log(1.0 / alpha) / (previous * t * np.log1p(t))), 0.5 / mean)
    return np.cumsum(np.log1p(bets * (x - mean)), axis=1)


def binomial_path(x: np.ndarray, delta: float, *, above: bool = True) -> np.ndarray:
    """The binomial mixture against P(fail) <= delta (above) or >= delta."""
    k, n = np.cumsum(x, axis=1), np.arange(1, x.shape[1] + 1)
    a, b = 1.0, 1.0 / delta - 1.0
    tail = special.betaincc if above else special.betainc
    with np.errstate(divide="ignore"):
        posterior = special.betaln(a + k, b + n - k) + np.log(tail(a + k, b + n - k, delta))
        normaliser = special.betaln(a, b) + np.log(tail(a, b, delta))
    return posterior - normaliser - k * math.log(delta) - (n - k) * math.log1p(-delta)


def same_as_library(rng: np.random.Generator) -> None:
    """The vectorised forms and the library's must agree, or the table would be about something else."""
    x = (rng.random((3, 40)) < 0.3).astype(float)
    levels = Levels(math.inf, 0.01)
    for row in range(3):
        mean_test = MeanTest(0.2, 0.0, 1.0, levels).update(x[row])
        assert math.isclose(grid_path(x, 0.2)[row, -1], mean_test.log_e_refute, rel_tol=1e-9)
        assert math.isclose(grid_path(1 - x, 0.8)[row, -1], mean_test.log_e_support, rel_tol=1e-9)
        failures = FailureTest(0.2, levels).update(x[row] > 0)
        assert math.isclose(binomial_path(x, 0.2)[row, -1], failures.log_e_refute, rel_tol=1e-9)
        assert math.isclose(binomial_path(x, 0.2, above=False)[row, -1], failures.log_e_support, rel_tol=1e-9)
        assert math.isclose(plug_in_path(x, 0.2, 0.05)[row, -1], betting.log_wealth_up(x[row], 0.2, 0.05)[-1], rel_tol=1e-9)


# -- false alarms ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """Alarms of one procedure on one null, per level."""

    null: str
    procedure: str
    experiments: int
    alarms: tuple[int, ...]


def _alarms(peaks: np.ndarray) -> tuple[int, ...]:
    return tuple(int((peaks >= math.log(1.0 / alpha)).sum()) for alpha in LEVELS)


def _batched(experiments: int, size: int, work: Callable[[int], Sequence[tuple[int, ...]]]) -> list[tuple[int, ...]]:
    """Sum alarms over batches of experiments: memory stays flat."""
    total: np.ndarray | None = None
    for start in range(0, experiments, size):
        part = np.array(work(min(size, experiments - start)))
        total = part if total is None else total + part
    assert total is not None
    return [tuple(map(int, row)) for row in total]


def mean_rows(null: Null, experiments: int, rng: np.random.Generator) -> list[Row]:
    """Procedures for means, both sides, on one null."""
    names = [
        "grid mixture, any time (used)", "grid mixture, support side (used)", "plug-in bets, any time", "Chernoff, fixed n",
        "Hoeffding, fixed n", "empirical Bernstein, fixed n",
    ]  # fmt: skip
    if null.is_binary:
        names += [
            "binomial mixture, any time (used)",
            "binomial mixture, support side (used)",
            "exact binomial, fixed n",
            "likelihood ratio of a point, any time",
        ]

    def work(size: int) -> list[tuple[int, ...]]:
        x = null.sample(rng, (size, HORIZON))
        out = [_alarms(grid_path(x, null.mean).max(axis=1)), _alarms(grid_path(1.0 - x, 1.0 - null.mean).max(axis=1))]
        out.append(tuple(int((plug_in_path(x, null.mean, a).max(axis=1) >= math.log(1 / a)).sum()) for a in LEVELS))
        fixed = x[:, :FIXED]
        means = fixed.mean(axis=1)
        unique, inverse = np.unique(means, return_inverse=True)
        chernoff = np.array([betting.chernoff_p(m, FIXED, null.mean) for m in unique])[inverse]
        hoeffding = np.array([betting.hoeffding_p(m, FIXED, null.mean) for m in unique])[inverse]
        out.append(tuple(int((chernoff <= a).sum()) for a in LEVELS))
        out.append(tuple(int((hoeffding <= a).sum()) for a in LEVELS))
        variance = fixed.var(axis=1, ddof=1)
        out.append(
            tuple(
                int(
                    (
                        means - np.sqrt(2 * variance * math.log(2 / a) / FIXED) - 7 * math.log(2 / a) / (3 * (FIXED - 1))
                        > null.mean
                    ).sum()
                )
                for a in LEVELS
            )
        )
        if null.is_binary:
            out.append(_alarms(binomial_path(x, null.mean).max(axis=1)))
            out.append(_alarms(binomial_path(x, null.mean, above=False).max(axis=1)))
            p = np.array([binomial.exact_p(int(k), FIXED, null.mean) for k in range(FIXED + 1)])
            found = p[fixed.sum(axis=1).astype(int)]
            out.append(tuple(int((found <= a).sum()) for a in LEVELS))
            k, n = np.cumsum(x, axis=1), np.arange(1, HORIZON + 1)
            other = min(2.0 * null.mean, 0.5 * (1.0 + null.mean))
            ratio = k * math.log(other / null.mean) + (n - k) * math.log((1.0 - other) / (1.0 - null.mean))
            out.append(_alarms(ratio.max(axis=1)))
        return out

    counts = _batched(experiments, 500, work)
    return [Row(null.name, name, experiments, alarms) for name, alarms in zip(names, counts, strict=True)]


def family_rows(experiments: int, rng: np.random.Generator) -> list[Row]:
    """Many true claims, and many instances of one true claim: any alarm in the family counts."""
    names = [
        "mean of e-values, 20 instances (used)",
        "e-Bonferroni, 50 claims (used)",
        "e-Holm, 50 claims",
        "Holm, 50 claims",
        "e-BH, 50 claims",
    ]
    log_e_of = np.array([binomial.log_e_above(k, FIXED, 0.1) for k in range(FIXED + 1)])
    p_of = np.array([binomial.exact_p(k, FIXED, 0.1) for k in range(FIXED + 1)])

    def work(size: int) -> list[tuple[int, ...]]:
        counts = rng.binomial(FIXED, 0.1, (size, 50))
        log_e, p = log_e_of[counts], p_of[counts]
        e = np.exp(log_e)
        instances = np.array([many.log_mean(row[:20]) for row in log_e])
        return [
            _alarms(instances),
            tuple(int((log_e.max(axis=1) >= many.refutation_threshold(a, 50)).sum()) for a in LEVELS),
            tuple(sum(bool(many.e_holm(row, a)[0].any()) for row in e) for a in LEVELS),
            tuple(sum(bool(many.holm(row, a)[0].any()) for row in p) for a in LEVELS),
            tuple(sum(bool(many.e_bh(row, a).any()) for row in e) for a in LEVELS),
        ]

    counts = _batched(experiments, 1000, work)
    return [Row("50 true claims, P(fail) = 0.1", name, experiments, alarms) for name, alarms in zip(names, counts, strict=True)]


def rate_rows(experiments: int, rng: np.random.Generator) -> list[Row]:
    """The slope that is shown (approximate, gates nothing) and the doubling form (sound)."""
    n = 100.0 * 2.0 ** np.arange(5)
    rows = []
    for seeds in (10, 30, 100):
        alarms = np.zeros(3, dtype=int)
        for _ in range(experiments):
            noise = rng.normal(size=(seeds, 5))
            for j in range(1, 5):
                noise[:, j] = 0.8 * noise[:, j - 1] + 0.6 * noise[:, j]
            y = n**-0.5 * np.exp(0.5 * noise - 0.125)
            _, p = rates.log_log_slope(n, y).test(-0.5)
            alarms += np.array([p <= a for a in LEVELS])
        rows.append(
            Row(f"slope -1/2, {seeds} seeds, correlated points", "slope (shown only)", experiments, tuple(map(int, alarms)))
        )

    def work(size: int) -> list[tuple[int, ...]]:
        y_n = rng.uniform(0.0, 1.0, (size, HORIZON))
        kappa = 2.0**-0.5 * 1.1
        y_2n = np.clip(kappa * y_n, 0.0, 1.0)
        x, bound = rates.doubling_observations(y_n, y_2n + kappa * (rng.random(y_n.shape) - 0.5) * 0.1, 0.5, 0.1, 1.2)
        return [_alarms(grid_path(np.clip(x, 0.0, 1.0), bound).max(axis=1))]

    (alarms_doubling,) = _batched(experiments, 500, work)
    rows.append(Row("E[Y_2n] = kappa E[Y_n]", "doubling form, any time (used)", experiments, alarms_doubling))
    return rows


# -- power -----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Power:
    """Seeds to refute a violation by `excess` at evidence e^18.42 (1e-6 over 100 claims)."""

    what: str
    excess: float
    median: float
    ninety: float


THRESHOLD = many.refutation_threshold(1e-6, 100)
POWER_CASES: tuple[tuple[str, float, Callable[[np.random.Generator, float, int], np.ndarray]], ...] = (
    ("Bernoulli, bound 0.5", 0.5, lambda rng, mean, n: (rng.random(n) < mean).astype(float)),
    ("Beta, cv 0.3, bound 0.2", 0.2, lambda rng, mean, n: _beta(rng, mean, 0.3, n)),
    ("Beta, cv 0.1, bound 0.2", 0.2, lambda rng, mean, n: _beta(rng, mean, 0.1, n)),
)


def _beta(rng: np.random.Generator, mean: float, cv: float, n: int) -> np.ndarray:
    concentration = (1.0 - mean) / (mean * cv * cv) - 1.0
    return rng.beta(mean * concentration, (1.0 - mean) * concentration, n)


def seeds_to_refute(sample: Callable[[int], np.ndarray], bound: float, most: int) -> float:
    """Observations until the grid mixture reaches the threshold; inf if it does not within `most`."""
    sums, n = np.zeros(grid.BETS.size), 0
    while n < most:
        size = max(256, n // 8)
        steps = np.log1p(grid.BETS[:, None] * (sample(size)[None, :] / bound - 1.0))
        path = sums[:, None] + np.cumsum(steps, axis=1)
        log_e = grid.logsumexp(path, axis=0) - math.log(grid.BETS.size)
        hit = np.flatnonzero(log_e >= THRESHOLD)
        if hit.size:
            return float(n + hit[0] + 1)
        sums, n = path[:, -1], n + size
    return math.inf


def failures_to_refute(failure: float, delta: float, rng: np.random.Generator, most: int) -> float:
    """Runs until the binomial mixture reaches the threshold; inf if it does not within `most`."""
    k, n = 0, 0
    while n < most:
        size = max(256, n // 8)
        failed = np.cumsum(rng.random(size) < failure)
        # looked at after every 64 runs: the mixture costs two special functions a look
        looks = np.arange(63, size, 64)
        for at in looks:
            if binomial.log_e_above(k + int(failed[at]), n + int(at) + 1, delta) >= THRESHOLD:
                return float(n + at + 1)
        k, n = k + int(failed[-1]), n + size
    return math.inf


def power_rows(repetitions: int, rng: np.random.Generator) -> list[Power]:
    """Median and 90 % quantile of the seeds needed, for violations of 1, 5 and 20 %."""
    rows = []
    for what, bound, law in POWER_CASES:
        for excess in (0.01, 0.05, 0.2):
            needed = [
                seeds_to_refute(lambda n, m=bound * (1 + excess), f=law: f(rng, m, n), bound, 3_000_000)
                for _ in range(repetitions)
            ]
            rows.append(Power(f"mean: {what}", excess, float(np.median(needed)), float(np.quantile(needed, 0.9))))
    for delta in (0.05, 0.5):
        for excess in (0.01, 0.05, 0.2):
            needed = [failures_to_refute(delta * (1 + excess), delta, rng, 20_000_000) for _ in range(max(2, repetitions // 5))]
            what = f"failure probability, bound {delta}"
            rows.append(Power(what, excess, float(np.median(needed)), float(np.quantile(needed, 0.9))))
    return rows


# -- the table ----------------------------------------------------------------------------------------------------------------------


def cell(alarms: int, experiments: int) -> str:
    """Realised share with its exact 99 % interval."""
    low, high = stats.binomtest(alarms, experiments).proportion_ci(0.99, method="exact")
    return f"{alarms / experiments:.4f} [{low:.4f}, {high:.4f}]"


def markdown(rows: Sequence[Row], power: Sequence[Power], experiments: int, repetitions: int) -> str:
    """The published page."""
    lines = [
        "# Calibration",
        "",
        f"Share of {experiments:,} experiments in which a procedure says *refuted* (or *supported*, for the support sides) although the "
        "mean, or the failure probability, lies exactly on the boundary of its hypothesis, with the exact 99 % interval of that share. "
        f"Anytime tests are looked at after every one of {HORIZON:,} observations; fixed-sample tests use {FIXED}. Sound means: at most the "
        "nominal level. The procedures marked (used) decide verdicts; the others are for planning and comparison.",
        "",
        "| null | procedure | " + " | ".join(f"nominal {a:g}" for a in LEVELS) + " |",
        "| --- | --- | " + " | ".join("---" for _ in LEVELS) + " |",
    ]
    lines += [f"| {r.null} | {r.procedure} | " + " | ".join(cell(k, r.experiments) for k in r.alarms) + " |" for r in rows]
    lines += [
        "",
        "The slope test is approximate, and slightly above its level with ten seeds: it is shown and never gates a verdict.",
        "",
        "## Power",
        "",
        f"Seeds until a mean, or a failure probability, that exceeds its bound by 1, 5 or 20 % is refuted with evidence e^{THRESHOLD:.2f}, which is 1e-6 for a run of 100 "
        f"claims: median and 90 % quantile over {repetitions} repetitions ({max(2, repetitions // 5)} for failure probabilities).",
        "",
        "| what is bounded | excess | median | 90 % |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {p.what} | {p.excess:.0%} | {p.median:,.0f} | {p.ninety:,.0f} |" for p in power]
    lines += ["", "Written by `python -m benchmarks.calibration`.", ""]
    return "\n".join(lines)


def run(experiments: int, repetitions: int, seed: int) -> tuple[list[Row], list[Power]]:
    """Every row."""
    rng = np.random.default_rng(seed)
    same_as_library(rng)
    rows = [row for null in NULLS for row in mean_rows(null, experiments, rng)]
    rows += family_rows(experiments, rng) + rate_rows(experiments, rng)
    return rows, power_rows(repetitions, rng)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=10_000)
    parser.add_argument("--repetitions", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-write", action="store_true")
    options = parser.parse_args()
    started = time.monotonic()
    rows, power = run(options.experiments, options.repetitions, options.seed)
    page = markdown(rows, power, options.experiments, options.repetitions)
    print(page)
    if not options.no_write:
        OUTPUT.parent.mkdir(exist_ok=True)
        OUTPUT.write_text(page)
        print(f"{OUTPUT} written in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
