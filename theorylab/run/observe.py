"""From the measures of one trial to what it says of a claim. Everything later works without the plugin."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from theorylab.claim import AtRate, Claim, Equals, WithProbability
from theorylab.errors import describe
from theorylab.formula import Formula
from theorylab.run.records import Observation, Suspect, Trace
from theorylab.statistics.rounding import UNIT_ROUNDOFF

#: A ratio is read as tightness only where its denominator is this many rounding errors away from zero: good to 0.1 %.
NOISE = 1024.0

#: Entries beyond the slack that a trial keeps for exact replay. If more are beyond it and those kept turn out harmless, the claim
#: is left inconclusive.
MOST_SUSPECTS = 8

#: Entries of a trial that are drawn.
MOST_DRAWN = 120


class Names(Mapping[str, Any]):
    """Names that a bound may use: measures, then parameters, then what the instance has, then the instance itself."""

    def __init__(self, instance_name: str, instance: Any, parameters: Mapping[str, Any], measures: Mapping[str, Any]) -> None:
        self._instance_name, self._instance = instance_name, instance
        self._parameters, self._measures = parameters, measures

    def __getitem__(self, name: str) -> Any:
        if name in self._measures:
            return self._measures[name]
        if name in self._parameters:
            return self._parameters[name]
        if name == self._instance_name:
            return self._instance
        if not name.startswith("_") and hasattr(self._instance, name):
            return getattr(self._instance, name)
        raise KeyError(name)

    def is_measure(self, name: str) -> bool:
        """Whether the run returned it."""
        return name in self._measures

    def __iter__(self) -> Any:
        return iter({*self._measures, *self._parameters, self._instance_name})

    def __len__(self) -> int:
        return len(list(iter(self)))


def observe(claim: Claim, rows: Sequence[Names]) -> list[Observation]:
    """What each trial says of the claim, all trials of one instance; a problem, not an exception, when numbers cannot be used.

    Trials are taken together: formulas are evaluated once on arrays with a leading trial axis. Where that cannot be done (shapes
    that differ, a bound that is a plain function of measures, anything that raises), each trial is looked at alone.
    """
    if not rows:
        return []
    try:
        with np.errstate(all="ignore"):  # what overflows or is no number is named below, as a problem of its trial
            return _together(claim, rows)
    except Exception:
        if len(rows) > 1:
            return [observe(claim, [names])[0] for names in rows]
        return [_alone(claim, rows[0])]


class _Unlike(Exception):
    """The trials cannot be stacked."""


def _alone(claim: Claim, names: Names) -> Observation:
    """The observation of a trial whose numbers do not fit together: what is wrong with them."""
    try:
        with np.errstate(all="ignore"):
            return _together(claim, [names])[0]
    except KeyError as missing:
        return Observation(problem=f"its bound needs {missing}, which is no measure, parameter or instance field")
    except _NoNumbers:
        return Observation(problem=f"measure {claim.measure!r} is no array of numbers")
    except ValueError as error:
        return Observation(problem=f"measure {claim.measure!r} and its bound do not fit together: {error}")
    except Exception as error:
        return Observation(problem=f"its bound raised {describe(error)}")


class _NoNumbers(Exception):
    """A measure is no array of numbers."""


class _Stacked(Mapping[str, Any]):
    """The names of several trials: measures have a leading trial axis, and as many axes after it as the largest of them."""

    def __init__(self, claim: Claim, rows: Sequence[Names]) -> None:
        self._first, self._stacked = rows[0], {}
        functions = [claim.bound, claim.within, claim.slack]
        formulas = [f for f in functions if isinstance(f, Formula)]
        used = {claim.measure}.union(*(f.names for f in formulas))
        own = {name for name in used if any(row.is_measure(name) for row in rows)}
        if len(rows) > 1 and any(not f.is_symbolic and own & set(f.names) for f in formulas):
            raise _Unlike
        arrays = {}
        for name in sorted(own):
            try:
                arrays[name] = [np.asarray(row[name], dtype=np.float64) for row in rows]
            except (TypeError, ValueError):
                raise _NoNumbers from None
            if len({array.shape for array in arrays[name]}) > 1:
                raise _Unlike
        axes = max((array[0].ndim for array in arrays.values()), default=0)
        for name, stack in arrays.items():
            shape = stack[0].shape
            self._stacked[name] = np.stack(stack).reshape((len(rows), *(1,) * (axes - len(shape)), *shape))

    def __getitem__(self, name: str) -> Any:
        return self._stacked[name] if name in self._stacked else self._first[name]

    def __iter__(self) -> Any:
        return iter({*self._stacked, *self._first})

    def __len__(self) -> int:
        return len(list(iter(self)))

    def evaluate(self, formula: Formula) -> Any:
        """The formula on all trials; a plain function is called with the values as the plugin knows them."""
        return formula(self if formula.is_symbolic else self._first)


def _together(claim: Claim, rows: Sequence[Names]) -> list[Observation]:
    numbers = _numbers(claim, rows)
    if numbers is None:
        return [Observation(applies=False) for _ in rows]
    flat = [a.reshape(len(rows), -1) for a in numbers]
    problems = _unusable(claim, *flat)
    seen = _compare(claim, rows, problems, *flat)
    if isinstance(claim.mode, AtRate):
        along = claim.mode.along if isinstance(claim.mode.along, str) else claim.mode.along.name
        for i, row in enumerate(rows):
            grid = np.atleast_1d(np.asarray(row[along], dtype=np.float64))
            seen[i] = dataclasses.replace(seen[i], grid=tuple(grid.tolist()))
    return seen


def trace(claim: Claim, row: Names, label: str, seed: int) -> Trace | None:
    """The trial entry by entry, to be drawn; None where its entries are no sequence of at least three usable numbers."""
    try:
        with np.errstate(all="ignore"):
            numbers = _numbers(claim, [row])
    except Exception:  # what is wrong with it is said by its observation
        return None
    if numbers is None or numbers[0].ndim != 2 or numbers[0].shape[1] < 3:
        return None
    measured, bound, _, low, high = (a[0] for a in numbers)
    if not (np.isfinite(measured).all() and np.isfinite(bound).all()):
        return None
    x_label, x = "entry", np.arange(measured.size, dtype=np.float64)
    along = np.ravel(row[claim.along]) if claim.along is not None and claim.along in row else np.empty(0)
    if along.size == measured.size and claim.along is not None:
        x_label, x = claim.along, along.astype(np.float64)
    at = _shown(measured, bound, claim.relation)
    columns = (tuple(a[at].tolist()) for a in (x, measured, bound, low, high))
    return Trace(claim.name, label, seed, x_label, *columns)


def _shown(measured: Any, bound: Any, relation: str) -> Any:
    """Entries that are drawn: all, or MOST_DRAWN of a long trial, closer together at its beginning, the tightest among them."""
    if measured.size <= MOST_DRAWN:
        return np.arange(measured.size)
    at = np.unique(np.geomspace(1, measured.size, MOST_DRAWN).astype(np.int64)) - 1
    top, bottom = (bound, measured) if relation == ">=" else (measured, bound)
    tightest = int(np.argmax(np.divide(top, bottom, out=np.full(measured.shape, -math.inf), where=bottom > 0.0)))
    return np.union1d(at, [tightest])


def _numbers(claim: Claim, rows: Sequence[Names]) -> list[Any] | None:
    """Measured, bound, slack and both ends of the range, of one shape with a leading trial axis; None where nothing was measured."""
    if all(claim.measure not in row for row in rows):  # the run leaves a measure out where it has no meaning
        return None
    names = _Stacked(claim, rows)
    measured = np.asarray(names[claim.measure], dtype=np.float64)
    if measured.size == 0:  # nothing was there to be measured
        return None
    stated = names.evaluate(claim.bound)
    # A rate whose constant is not stated has no bound: nothing is compared, only the slope is shown.
    bound = np.full(measured.shape, math.inf) if stated is None else np.asarray(stated, dtype=np.float64)
    slack = _slack(claim, names, measured, bound)
    low, high = _range(claim, names)
    shape = np.broadcast_shapes(measured.shape, bound.shape, slack.shape, low.shape, high.shape)
    if len(shape) == 0 or shape[0] != len(rows):  # a measure that is an instance field
        shape = (len(rows), *shape)
    return [np.broadcast_to(a, shape) for a in (measured, bound, slack, low, high)]


def _slack(claim: Claim, names: _Stacked, measured: Any, bound: Any) -> Any:
    if isinstance(claim.slack, Formula):
        return np.asarray(names.evaluate(claim.slack), dtype=np.float64)
    if claim.slack is not None:
        return np.float64(claim.slack)
    if isinstance(claim.mode, AtRate):
        return np.float64(0.0)
    return 64.0 * UNIT_ROUNDOFF * (np.abs(measured) + np.abs(bound))


def _range(claim: Claim, names: _Stacked) -> tuple[Any, Any]:
    if claim.within is None:
        return np.float64(-math.inf), np.float64(math.inf)
    low, high = names.evaluate(claim.within)
    return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)


def _unusable(claim: Claim, measured: Any, bound: Any, slack: Any, low: Any, high: Any) -> list[str | None]:
    """Per trial, what makes its numbers no data: NaN anywhere, infinity anywhere but in the bound of a rate without constant."""
    problems: list[str | None] = [None] * len(measured)
    if (np.isnan(low) | np.isnan(high)).any():
        for i in np.flatnonzero((np.isnan(low) | np.isnan(high)).any(axis=1)):
            problems[i] = "its declared range is NaN"
    # In reverse, so that what is named is the measure before its bound before its slack.
    for what, array in (("its slack", slack), ("its bound", bound), (f"measure {claim.measure!r}", measured)):
        bad = np.isnan(array) if isinstance(claim.mode, AtRate) and array is bound else ~np.isfinite(array)
        if bad.any():
            for i in np.flatnonzero(bad.any(axis=1)):
                entry = int(np.argmax(bad[i]))
                problems[i] = f"{what} is {array[i, entry]} at entry {entry}"
    return problems


def _outside(claim: Claim, measured: Any, slack: Any, low: Any, high: Any) -> dict[int, str]:
    """By trial, whether the measure leaves the range that it is said never to leave; a slack of rounding is granted."""
    outside = (measured < low - slack) | (measured > high + slack)
    said = {}
    for k in np.flatnonzero(outside.any(axis=1)) if outside.any() else ():
        i = int(np.argmax(outside[k]))
        said[int(k)] = (
            f"measure {claim.measure!r} is {measured[k, i]:.9g} at entry {i}, outside its declared range "
            f"[{low[k, i]:.6g}, {high[k, i]:.6g}]"
        )
    return said


def _compare(
    claim: Claim,
    rows: Sequence[Names],
    problems: Sequence[str | None],
    measured: Any,
    bound: Any,
    slack: Any,
    low: Any,
    high: Any,
) -> list[Observation]:
    if claim.relation == "==":
        excess = np.abs(measured - bound)
        vacuous = np.zeros(measured.shape, dtype=bool)
        ratio = None
    elif claim.relation == ">=":
        excess, vacuous = bound - measured, bound <= low
        ratio = np.divide(bound, measured, out=np.full(measured.shape, -math.inf), where=measured > NOISE * slack)
    else:
        excess, vacuous = measured - bound, bound >= high
        ratio = np.divide(measured, bound, out=np.full(measured.shape, -math.inf), where=bound > NOISE * slack)
    telling = ~vacuous
    beyond = telling & (excess > slack)
    ties = telling & (np.abs(excess) <= slack) if claim.relation != "==" else np.zeros(measured.shape, dtype=bool)
    above = telling & (excess > 0.0)
    statistical = not claim.mode.is_pathwise
    outside = _outside(claim, measured, slack, low, high)
    # What rounding carried over an end of the range is put back: the tests of means take no value outside.
    inside = np.clip(measured, low, high)
    if ratio is not None:
        tightness = np.where(telling, ratio, -math.inf)
        tight = tightness.argmax(axis=1)
    else:
        tight = (excess - slack).argmax(axis=1)
    # Counted for all trials at once: a few array operations per claim, not per trial.
    counts = [array.sum(axis=1).tolist() for array in (telling, vacuous, ties, beyond, above)]
    probable = isinstance(claim.mode, WithProbability)
    out = []
    for k, (entries, empty, tied, over, failed) in enumerate(zip(*counts, strict=True)):
        if (problem := problems[k]) is not None:
            out.append(Observation(problem=problem))
            continue
        at, best = int(tight[k]), None
        has_ratio = ratio is not None and entries and math.isfinite(tightness[k, at])
        if has_ratio or claim.relation == "==":
            best = _entry(at, measured[k], bound[k], slack[k])
        out.append(
            Observation(
                entries=entries,
                vacuous=empty,
                ties=tied,
                suspects=_suspects(beyond[k], excess[k], measured[k], bound[k], slack[k]) if over else (),
                beyond=over,
                tightness=float(tightness[k, at]) if has_ratio else None,
                tightest=best,
                values=tuple(inside[k].tolist()) if statistical else (),
                bounds=tuple(bound[k].tolist()) if statistical else (),
                lows=tuple(low[k].tolist()) if statistical else (),
                highs=tuple(high[k].tolist()) if statistical else (),
                failed=bool(failed) if probable else False,
                tied=bool(tied and not over) if probable else False,
                informative_from=informative_from(claim, rows[k]) if empty else None,
                problem=outside.get(k),
            )
        )
    return out


def _suspects(beyond: Any, excess: Any, measured: Any, bound: Any, slack: Any) -> tuple[Suspect, ...]:
    worst = int(np.argmax(np.where(beyond, excess / np.maximum(slack, 1e-300), -1.0)))
    chosen = sorted({worst, *map(int, np.flatnonzero(beyond)[: MOST_SUSPECTS - 1])})
    return tuple(_entry(i, measured, bound, slack) for i in chosen)


def _entry(i: int, measured: Any, bound: Any, slack: Any) -> Suspect:
    return Suspect(i, float(measured[i]), float(bound[i]), float(slack[i]))


#: Answers of `informative_from`: seeds of one instance mostly ask the same question. Forgotten when it outgrows its size.
_STARTS: dict[tuple[Any, ...], float | None] = {}
MOST_STARTS = 10_000


def informative_from(claim: Claim, names: Names) -> float | None:
    """Smallest value of the growing quantity at which the bound says something, to a relative 1e-9; None if never or unknown."""
    if claim.along is None or claim.within is None or not claim.bound.is_symbolic or isinstance(claim.mode, (Equals, AtRate)):
        return None
    if claim.along not in claim.bound.names:
        return None
    asked = sorted({*claim.bound.names, *claim.within.names} - {claim.along})
    try:
        key = (claim.bound, *((name, np.asarray(names[name], dtype=np.float64).tobytes()) for name in asked))
    except (KeyError, TypeError, ValueError):
        return None
    if key not in _STARTS:
        if len(_STARTS) >= MOST_STARTS:
            _STARTS.clear()
        _STARTS[key] = _first_informative(claim, names)
    return _STARTS[key]


def _first_informative(claim: Claim, names: Names) -> float | None:
    def says_something(x: float) -> bool:
        at = _Override(names, claim.along, x)
        low, high = claim.within(at) if claim.within is not None else (-math.inf, math.inf)
        value = claim.bound(at)
        return bool(np.all(value > low)) if claim.relation == ">=" else bool(np.all(value < high))

    try:
        top = 1.0
        while not says_something(top):
            top *= 2.0
            if top > 1e300:
                return None
        bottom = top / 2.0
        while top <= 1.0 and top > 1e-12 and says_something(top / 2.0):  # it may say something from below 1 on
            top /= 2.0
        bottom = top / 2.0
        while top - bottom > 1e-9 * top:
            middle = 0.5 * (top + bottom)
            top, bottom = (middle, bottom) if says_something(middle) else (top, middle)
    except (KeyError, ValueError, TypeError, ZeroDivisionError, OverflowError):
        return None
    return top


class _Override(Mapping[str, Any]):
    def __init__(self, names: Mapping[str, Any], name: str | None, value: Any) -> None:
        self._names, self._name, self._value = names, name, value

    def __getitem__(self, name: str) -> Any:
        return self._value if name == self._name else self._names[name]

    def __iter__(self) -> Any:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
