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
from theorylab.kernels import kernel
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
        own = {name for name in used for row in rows if row.is_measure(name)}
        if len(rows) > 1 and any(not f.is_symbolic and own & set(f.names) for f in formulas):
            raise _Unlike
        arrays = {}
        for name in sorted(own):
            try:
                arrays[name] = [np.asarray(row[name], dtype=np.float64) for row in rows]
            except (TypeError, ValueError):
                raise _NoNumbers from None
            if len(rows) > 1 and len({array.shape for array in arrays[name]}) > 1:
                raise _Unlike
        axes = max((array[0].ndim for array in arrays.values()), default=0)
        for name, stack in arrays.items():
            shape = stack[0].shape
            whole = np.stack(stack) if len(stack) > 1 else stack[0]
            self._stacked[name] = whole.reshape((len(rows), *(1,) * (axes - len(shape)), *shape))

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
    seen = _compare(claim, rows, numbers.reshape(5, len(rows), -1))
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
    if numbers is None or numbers.ndim != 3 or numbers.shape[2] < 3:
        return None
    measured, bound, _, low, high = numbers[:, 0]
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


def _numbers(claim: Claim, rows: Sequence[Names]) -> Any:
    """(5, trials, ...): measured, bound, slack and both ends of the range, of one shape; None where nothing was measured."""
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
    numbers = np.empty((5, *shape))
    for i, array in enumerate((measured, bound, slack, low, high)):
        numbers[i] = array
    return numbers


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


#: What `_tally` may find unusable in a trial, and columns of what it counts.
RANGE_IS_NAN, SLACK_IS_BAD, BOUND_IS_BAD, MEASURE_IS_BAD = range(1, 5)
FAULT, FAULT_AT, OUTSIDE_AT, TELLING, EMPTY, TIES, BEYOND, ABOVE, TIGHTEST_AT = range(9)

#: Relations as `_tally` takes them.
RELATIONS = {"<=": 1, ">=": -1, "==": 0}


@kernel
def _tally(numbers, relation, bound_may_be_infinite, counts, tightness):  # type: ignore[no-untyped-def]
    """Every entry of every trial compared once: counts (trials, 9), tightness (trials,), -inf where there is none.

    numbers   (5, trials, entries): measured, bound, slack, low, high
    relation  1: <=, -1: >=, 0: ==

    A trial is unusable where anything is NaN, or infinite but in the range and in the bound of a rate without constant; what is named is the measure
    before its bound before its slack. An entry is empty where the bound allows all of the range. Ratios are read only where their denominator is far from
    zero. A slack of rounding is granted to the range.
    """
    for k in range(numbers.shape[1]):
        counts[k, :] = 0
        counts[k, OUTSIDE_AT] = -1
        best, best_error = -np.inf, -np.inf
        for i in range(numbers.shape[2]):
            measured, bound, slack, low, high = (
                numbers[0, k, i],
                numbers[1, k, i],
                numbers[2, k, i],
                numbers[3, k, i],
                numbers[4, k, i],
            )
            fault = 0
            if not math.isfinite(measured):
                fault = MEASURE_IS_BAD
            elif math.isnan(bound) or (math.isinf(bound) and not bound_may_be_infinite):
                fault = BOUND_IS_BAD
            elif not math.isfinite(slack):
                fault = SLACK_IS_BAD
            elif math.isnan(low) or math.isnan(high):
                fault = RANGE_IS_NAN
            if fault > counts[k, FAULT]:
                counts[k, FAULT], counts[k, FAULT_AT] = fault, i
            if counts[k, OUTSIDE_AT] < 0 and (measured < low - slack or measured > high + slack):
                counts[k, OUTSIDE_AT] = i
            if relation == 0:
                excess = abs(measured - bound)
                counts[k, TELLING] += 1
                counts[k, BEYOND] += excess > slack
                counts[k, ABOVE] += excess > 0.0
                if excess - slack > best_error:
                    best_error = excess - slack
                    counts[k, TIGHTEST_AT] = i
                continue
            excess = (measured - bound) * relation
            if (bound >= high) if relation > 0 else (bound <= low):
                counts[k, EMPTY] += 1
                continue
            counts[k, TELLING] += 1
            counts[k, BEYOND] += excess > slack
            counts[k, TIES] += abs(excess) <= slack
            counts[k, ABOVE] += excess > 0.0
            top, bottom = (measured, bound) if relation > 0 else (bound, measured)
            if bottom > NOISE * slack and top / bottom > best:
                best = top / bottom
                counts[k, TIGHTEST_AT] = i
        tightness[k] = best


def _fault(claim: Claim, fault: int, entry: int, numbers: Any) -> str:
    """What makes a trial's numbers no data, in words."""
    if fault == RANGE_IS_NAN:
        return "its declared range is NaN"
    what, row = {
        MEASURE_IS_BAD: (f"measure {claim.measure!r}", 0),
        BOUND_IS_BAD: ("its bound", 1),
        SLACK_IS_BAD: ("its slack", 2),
    }[fault]
    return f"{what} is {numbers[row, entry]} at entry {entry}"


def _outside(claim: Claim, entry: int, numbers: Any) -> str:
    """That the measure leaves the range that it is said never to leave."""
    return (
        f"measure {claim.measure!r} is {numbers[0, entry]:.9g} at entry {entry}, outside its declared range "
        f"[{numbers[3, entry]:.6g}, {numbers[4, entry]:.6g}]"
    )


def _compare(claim: Claim, rows: Sequence[Names], numbers: Any) -> list[Observation]:
    counts, tightness = np.empty((len(rows), 9), dtype=np.int64), np.empty(len(rows))
    _tally(numbers, RELATIONS[claim.relation], isinstance(claim.mode, AtRate), counts, tightness)
    statistical, probable, is_identity = (
        not claim.mode.is_pathwise,
        isinstance(claim.mode, WithProbability),
        claim.relation == "==",
    )
    out = []
    for k, (found, ratio) in enumerate(zip(counts.tolist(), tightness.tolist(), strict=True)):
        if found[FAULT]:
            out.append(Observation(problem=_fault(claim, found[FAULT], found[FAULT_AT], numbers[:, k])))
            continue
        entries, empty, over, at = found[TELLING], found[EMPTY], found[BEYOND], found[TIGHTEST_AT]
        has_ratio = not is_identity and math.isfinite(ratio)
        columns: dict[str, Any] = {}
        if statistical:
            measured, bound, _, low, high = numbers[:, k]
            # What rounding carried over an end of the range is put back: the tests of means take no value outside.
            kept = {"values": np.clip(measured, low, high), "bounds": bound, "lows": low, "highs": high}
            columns = {name: tuple(array.tolist()) for name, array in kept.items()}
        out.append(
            Observation(
                entries=entries,
                vacuous=empty,
                ties=found[TIES],
                suspects=_suspects(claim, numbers[:, k]) if over else (),
                beyond=over,
                tightness=ratio if has_ratio else None,
                tightest=_entry(at, numbers[:, k]) if has_ratio or is_identity else None,
                failed=bool(found[ABOVE]) if probable else False,
                tied=bool(found[TIES] and not over) if probable else False,
                informative_from=informative_from(claim, rows[k]) if empty else None,
                problem=_outside(claim, found[OUTSIDE_AT], numbers[:, k]) if found[OUTSIDE_AT] >= 0 else None,
                **columns,
            )
        )
    return out


def _suspects(claim: Claim, numbers: Any) -> tuple[Suspect, ...]:
    """The first entries beyond the slack, and the worst."""
    measured, bound, slack, low, high = numbers
    sign = RELATIONS[claim.relation]
    excess = (measured - bound) * sign if sign else np.abs(measured - bound)
    empty = bound >= high if sign > 0 else bound <= low if sign < 0 else np.zeros(measured.shape, dtype=bool)
    beyond = ~empty & (excess > slack)
    worst = int(np.argmax(np.where(beyond, excess / np.maximum(slack, 1e-300), -1.0)))
    chosen = sorted({worst, *map(int, np.flatnonzero(beyond)[: MOST_SUSPECTS - 1])})
    return tuple(_entry(i, numbers) for i in chosen)


def _entry(i: int, numbers: Any) -> Suspect:
    return Suspect(i, *numbers[:3, i].tolist())


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


#: Powers of two among which the start is looked for, and parts into which a bracket is cut at a time.
LEAST_POWER, MOST_POWER, PARTS = -40, 996, 64


def _first_informative(claim: Claim, names: Names) -> float | None:
    """The start, among powers of two and then in ever finer parts of a bracket; many places at a time, since a call costs more than its numbers."""
    others = [
        np.ndim(names[name])
        for name in {*claim.bound.names, *(claim.within.names if claim.within is not None else ())} - {claim.along}
        if name in names
    ]
    axes = max(others, default=0)

    def says_something(places: Any) -> Any:
        x = places.reshape(-1, *(1,) * axes)
        at = _Override(names, claim.along, x)
        low, high = claim.within(at) if claim.within is not None else (-math.inf, math.inf)
        value = claim.bound(at)
        telling = np.asarray(value > low if claim.relation == ">=" else value < high)
        shape = np.broadcast_shapes(telling.shape, x.shape)
        return np.broadcast_to(telling, shape).reshape(len(places), -1).all(axis=1)

    try:
        powers = np.exp2(np.arange(LEAST_POWER, MOST_POWER + 1.0))
        telling = says_something(powers)
        first = -LEAST_POWER + int(np.argmax(telling[-LEAST_POWER:]))  # from 1 on
        if not telling[first]:
            return None
        if first == -LEAST_POWER:  # it may say something from below 1 on
            while first > 0 and telling[first - 1]:
                first -= 1
        if first == 0:
            return float(powers[0])
        bottom, top = powers[first - 1], powers[first]
        while top - bottom > 1e-9 * top:
            inside = np.linspace(bottom, top, PARTS + 1)[1:]
            telling = says_something(inside)
            telling[-1] = True
            first = int(np.argmax(telling))
            bottom, top = (inside[first - 1] if first else bottom), inside[first]
    except (KeyError, ValueError, TypeError, ZeroDivisionError, OverflowError):
        return None
    return float(top)


class _Override(Mapping[str, Any]):
    def __init__(self, names: Mapping[str, Any], name: str | None, value: Any) -> None:
        self._names, self._name, self._value = names, name, value

    def __getitem__(self, name: str) -> Any:
        return self._value if name == self._name else self._names[name]

    def __iter__(self) -> Any:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
