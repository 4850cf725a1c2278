"""What there is to see of each claim: the measured quantity beside its bound, from what the ledger holds. Data, not lines.

Every number that a report draws is made here, so that the reports compute nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from theorylab.picture import Curve, Panel, Picture, mean_curve, quantile_curve
from theorylab.run.records import Observation, Trace, TrialResult

#: (instance label, instance digest, result) of every trial, in the order of the plan.
Trials = Iterable[tuple[str, str, TrialResult]]

#: Places along x at which a band is computed.
MOST_PLACES = 24

#: Runs that a band is made of.
MOST_RUNS = 2000

#: Instances that are drawn one by one; of more, those closest to their bound.
MOST_INSTANCES = 150

#: Quotient of largest and smallest value from which an axis is logarithmic.
WIDE = 30.0

#: On a logarithmic axis, zeros lie this factor below the smallest other value,
FLOOR = 0.1

#: and nothing lies lower than this factor below the largest: what is smaller is as good as zero.
DEPTH = 1e-16

RANKED = "instance, closest to what is allowed first"

BAND = "The band holds the mean at each place with 95 % confidence, whatever the law of the runs."


@dataclass
class _Instance:
    """What is known of a claim on one instance: its tightest entry, and sums over its runs."""

    ratio: float = -math.inf
    measured: float = math.nan
    bound: float = math.nan
    slack: float = math.nan
    first: Observation | None = None
    count: int = 0
    total: Any = 0.0
    is_one_bound: bool = True

    def add(self, o: Observation) -> None:
        s = o.tightest
        if s is not None:
            error = abs(s.measured - s.bound) / max(s.slack, 1e-300)  # of an identity, which has no other ratio
            ratio = o.tightness if o.tightness is not None else error
            if ratio > self.ratio:
                self.ratio, self.measured, self.bound, self.slack = ratio, s.measured, s.bound, s.slack
        if o.values:
            self.first = self.first or o
            if len(o.values) == len(self.first.values):
                self.count += 1
                self.total = self.total + np.array(o.values)
                self.is_one_bound = self.is_one_bound and o.bounds == self.first.bounds


@dataclass
class _Claim:
    row: Mapping[str, Any]
    instances: dict[str, _Instance] = field(default_factory=dict)

    @property
    def mode(self) -> str:
        return str(self.row["mode"])

    @property
    def measure(self) -> str:
        return str(self.row.get("measure") or "measured")


def charts(
    rows: Sequence[Mapping[str, Any]], trials: Callable[[], Trials], traces: Mapping[str, Trace] | None = None
) -> dict[str, Picture]:
    """A picture for every claim that said something.

    rows    claims as the report has them (`plugins[0].claims` of its document)
    trials  gone through twice: sums first, then the runs of the instances that are drawn
    traces  tightest trials entry by entry, by claim, where they were looked at
    """
    traces = traces or {}
    claims = {row["name"]: _Claim(row) for row in rows}
    for label, _, result in trials():
        for name, o in result.observations.items():
            if name in claims and o.applies and o.problem is None:
                claims[name].instances.setdefault(label, _Instance()).add(o)
    wanted = {name: chosen for name, claim in claims.items() if (chosen := _instances_of(claim))}
    values: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    if wanted:
        for label, _, result in trials():
            for name, labels in wanted.items():
                seen = result.observations.get(name)
                kept = values.setdefault((name, label), []) if label in labels else None
                if seen is not None and kept is not None and seen.applies and seen.problem is None and len(kept) < MOST_RUNS:
                    kept.append(seen.values)
    out: dict[str, Picture] = {}
    for name, claim in claims.items():
        if name in wanted:
            picture = _statistical(claim, {label: np.array(values[name, label]) for label in wanted[name]}, traces.get(name))
        elif name in traces and claim.mode == "always":
            picture = _traced(claim, traces[name])
        else:
            picture = _points(claim)
        if picture is not None:
            out[name] = picture
    return out


def _instances_of(claim: _Claim) -> list[str]:
    """Instances whose runs are drawn: of a claim with one entry the closest to the bound, of one with many the closest alone."""
    if claim.mode not in ("on-average", "with-probability", "at-rate"):
        return []
    fit = {label: one for label, one in claim.instances.items() if one.count and one.is_one_bound}
    ordered = sorted(fit, key=lambda label: -_closeness(claim, fit[label]))
    if not ordered:
        return []
    first = fit[ordered[0]].first
    entries = len(first.values) if first is not None else 0
    if claim.mode == "with-probability" and entries < 2:
        return []  # its tightest entries say all there is
    return ordered[:1] if entries >= 2 else ordered[:MOST_INSTANCES]


def _closeness(claim: _Claim, one: _Instance) -> float:
    """Largest mean / bound over entries that say something; -inf where none does."""
    assert one.first is not None
    mean, bounds = one.total / one.count, np.array(one.first.bounds)
    lows, highs = np.array(one.first.lows), np.array(one.first.highs)
    lower = claim.row["relation"] == ">="
    telling = (bounds > lows if lower else bounds < highs) & np.isfinite(bounds)
    top, bottom = (bounds, mean) if lower else (mean, bounds)
    good = telling & (bottom > 0.0)
    return float(np.max(top[good] / bottom[good])) if good.any() else -math.inf


# -- pictures ---------------------------------------------------------------------------------------------------------------------------------


def _is_wide(*columns: Any) -> bool:
    """Whether an axis with these values is better logarithmic: none negative, and far apart."""
    every = np.concatenate([np.ravel(c) for c in columns])
    every = every[np.isfinite(every)]
    positive = every[every > 0.0]
    return bool(positive.size and (every >= 0.0).all() and positive.max() > WIDE * positive.min())


@dataclass(frozen=True)
class _Scale:
    """The y axis. On a logarithmic one what is smaller than the floor lies there."""

    is_log: bool
    floor: float
    remark: str

    @staticmethod
    def of(measured: Any, *others: Any) -> _Scale:
        every = np.concatenate([np.ravel(c) for c in (measured, *others)])
        positive = every[np.isfinite(every) & (every > 0.0)]
        if not (_is_wide(every) and bool((np.asarray(measured) > 0.0).any())):
            return _Scale(False, -math.inf, "")
        floor = max(FLOOR * float(positive.min()), DEPTH * float(positive.max()))
        return _Scale(True, floor, " Smaller values lie at the lower edge." if (every < floor).any() else "")

    def __call__(self, column: Any) -> tuple[float, ...]:
        return tuple(np.maximum(np.asarray(column, dtype=np.float64), self.floor).tolist())


def _points(claim: _Claim) -> Picture | None:
    """A point for each instance: its tightest entry beside the bound there, the tightest instance first."""
    found = {label: one for label, one in claim.instances.items() if math.isfinite(one.measured) and math.isfinite(one.bound)}
    if not found:
        return None
    labels = sorted(found, key=lambda label: -found[label].ratio)[:MOST_INSTANCES]
    kept = [found[label] for label in labels]
    is_identity = claim.row["relation"] == "=="
    y = np.array([abs(one.measured - one.bound) if is_identity else one.measured for one in kept])
    bound = np.array([one.slack if is_identity else one.bound for one in kept])
    x = tuple(float(i) for i in range(1, len(kept) + 1))
    scale = _Scale.of(y, bound)
    curves = [
        Curve("error" if is_identity else claim.measure, x, scale(y), role="points"),
        Curve("rounding error that is allowed" if is_identity else "bound", x, scale(bound), role="limits"),
    ]
    if math.isfinite(kept[0].ratio):
        curves.append(Curve(f"closest: {labels[0]}", x[:1], scale(y[:1]), role="mark"))
    what = f"error of {claim.measure}" if is_identity else claim.measure
    panel = Panel(
        "",
        RANKED,
        what,
        tuple(curves),
        log_y=scale.is_log,
    )
    more = f" Of {len(found)} instances the first {len(labels)}." if len(found) > len(labels) else ""
    return Picture(claim.row["name"], claim.row["name"], (panel,), f"Each instance at its tightest entry.{more}{scale.remark}")


def _traced(claim: _Claim, trace: Trace) -> Picture:
    """The tightest trial entry by entry: a line along what grows, points where entries have no order."""
    x, measured, bound = np.array(trace.x), np.array(trace.measured), np.array(trace.bounds)
    low, high = np.array(trace.lows), np.array(trace.highs)
    is_lower = claim.row["relation"] == ">="
    empty = bound <= low if is_lower else bound >= high
    log_x = bool((x > 0.0).all()) and _is_wide(x)
    scale = _Scale.of(measured, bound)
    top, bottom = (bound, measured) if is_lower else (measured, bound)
    ratio = np.divide(top, bottom, out=np.full(x.shape, -math.inf), where=(bottom > 0.0) & ~empty)
    at = int(np.argmax(ratio))
    xs, has_order = tuple(trace.x), trace.x_label != "entry"
    curves = [
        Curve(claim.measure, xs, scale(measured), role="measured" if has_order else "points"),
        Curve("bound", xs, scale(bound), role="bound" if has_order else "limits"),
    ]
    ends = low if is_lower else high
    if empty.any() and np.isfinite(ends).all():
        curves.append(Curve("end of what is possible", xs, scale(ends), role="guide"))
    if math.isfinite(ratio[at]):
        curves.append(Curve("tightest", (xs[at],), scale(measured[at : at + 1]), role="mark"))
    says_from = _says_from(x, empty)
    panel = Panel("", trace.x_label, claim.measure, tuple(curves), log_x=log_x, log_y=scale.is_log, says_from=says_from)
    caption = f"The tightest run: instance {trace.label}, seed {trace.seed}.{scale.remark}"
    return Picture(claim.row["name"], claim.row["name"], (panel,), caption)


def _says_from(x: Any, empty: Any) -> float | None:
    """Where the bound starts to say something, if it is empty before and nowhere after."""
    if not empty.any():
        return None
    if empty.all():
        return float(x[-1])
    first = int(np.argmin(empty))
    return float(x[first]) if first > 0 and not empty[first:].any() else None


def _statistical(claim: _Claim, values: Mapping[str, Any], trace: Trace | None) -> Picture | None:
    """Means with their bands, or quantiles of runs, beside the bound."""
    labels = list(values)
    if claim.instances[labels[0]].first is None:
        return None
    runs = values[labels[0]]
    return _along(claim, labels[0], runs, trace) if runs.shape[1] >= 2 else _means(claim, values)


def _along(claim: _Claim, label: str, runs: Any, trace: Trace | None) -> Picture:
    """One instance: mean (or median) over its runs at each checkpoint."""
    first = claim.instances[label].first
    assert first is not None
    size = runs.shape[1]
    x_label, x = "checkpoint", np.arange(size, dtype=np.float64)
    if len(first.grid) == size:
        x_label, x = "n", np.array(first.grid)
    elif trace is not None and len(trace.x) == size and trace.x_label != "entry":
        x_label, x = trace.x_label, np.array(trace.x)
    at = np.arange(size)
    if size > MOST_PLACES:
        at = np.unique(np.geomspace(1, size, MOST_PLACES).astype(np.int64)) - 1
        at = np.union1d(at, [size - 1])
    x, runs = x[at], runs[:, at]
    bound, low, high = (np.array(column)[at] for column in (first.bounds, first.lows, first.highs))
    name, count = claim.measure, f"{len(runs)} runs"
    if claim.mode == "with-probability":
        curve, words = quantile_curve(f"{name}, median of {count}", x, runs, share=0.9), "The band holds 90 % of the runs."
    elif np.isfinite(low).all() and np.isfinite(high).all() and len(runs) > 1:
        curve, words = mean_curve(f"{name}, mean of {count}", x, runs, low, high), BAND
    else:  # without a range no band is certain
        curve, words = quantile_curve(f"{name}, median of {count}", x, runs, share=0.9), "The band holds 90 % of the runs."
    log_x = bool((x > 0.0).all()) and _is_wide(x)
    finite = np.isfinite(bound)
    scale = _Scale.of(curve.y, bound[finite])
    assert curve.low is not None
    assert curve.high is not None
    xs = tuple(x.tolist())
    curves = [Curve(curve.label, xs, scale(curve.y), scale(curve.low), scale(curve.high))]
    empty = (bound <= low if claim.row["relation"] == ">=" else bound >= high) & finite
    if finite.any():
        curves.append(Curve("bound", tuple(x[finite].tolist()), scale(bound[finite]), role="bound"))
    elif claim.mode == "at-rate" and claim.row.get("bound_value") is not None and (x > 0.0).all():
        slope = float(claim.row["bound_value"])
        start = curve.y[-1] * (x / x[-1]) ** slope
        curves.append(Curve(f"slope {slope:g}, as claimed", xs, scale(start), role="guide"))
    panel = Panel(
        "", x_label, name, tuple(curves), log_x=log_x, log_y=scale.is_log,
        says_from=_says_from(x, empty) if finite.all() else None,
    )  # fmt: skip
    caption = f"The instance closest to its bound: {label}. {words}{scale.remark}"
    return Picture(claim.row["name"], claim.row["name"], (panel,), caption)


def _means(claim: _Claim, values: Mapping[str, Any]) -> Picture:
    """The mean on each instance with its band, beside the bound there; closest to the bound first."""
    number, mean, below, above, bounds = [], [], [], [], []
    for i, (label, runs) in enumerate(values.items(), 1):
        first = claim.instances[label].first
        assert first is not None
        low, high = first.lows[0], first.highs[0]
        banded = math.isfinite(low) and math.isfinite(high) and len(runs) > 1
        curve = mean_curve("", (0.0,), runs, low, high) if banded else quantile_curve("", (0.0,), runs, share=0.9)
        assert curve.low is not None
        assert curve.high is not None
        number.append(float(i))
        mean.append(float(runs.mean()))
        below.append(min(curve.low[0], mean[-1]))
        above.append(max(curve.high[0], mean[-1]))
        bounds.append(first.bounds[0])
    scale = _Scale.of(mean, bounds)
    curves = (
        Curve(f"{claim.measure}, mean over runs", tuple(number), scale(mean), scale(below), scale(above), role="points"),
        Curve("bound", tuple(number), scale(bounds), role="limits"),
    )
    panel = Panel("", RANKED, claim.measure, curves, log_y=scale.is_log)
    caption = f"The closest: {next(iter(values))}. {BAND}{scale.remark}"
    return Picture(claim.row["name"], claim.row["name"], (panel,), caption)
