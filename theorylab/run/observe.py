"""From the measures of one trial to what it says of a claim. Everything later works without the plugin."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from theorylab.claim import AtRate, Claim, Equals, WithProbability
from theorylab.formula import Formula
from theorylab.run.records import Observation, Suspect
from theorylab.statistics.rounding import UNIT_ROUNDOFF

#: A ratio is read as tightness only where its denominator is this many rounding errors away from zero: good to 0.1 %.
NOISE = 1024.0

#: Entries beyond the slack that a trial keeps for exact replay. If more are beyond it and those kept turn out harmless, the claim
#: is left inconclusive.
MOST_SUSPECTS = 8


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

    def __iter__(self) -> Any:
        return iter({*self._measures, *self._parameters, self._instance_name})

    def __len__(self) -> int:
        return len(list(iter(self)))


def observe(claim: Claim, names: Names) -> Observation:
    """What this trial says of the claim; a problem, not an exception, when its numbers cannot be used."""
    try:
        measured = np.asarray(names[claim.measure], dtype=np.float64)
    except KeyError:
        return Observation(applies=False)  # the run leaves a measure out where it has no meaning
    except (TypeError, ValueError):
        return Observation(problem=f"measure {claim.measure!r} is no array of numbers")
    try:
        stated = claim.bound(names)
        # A rate whose constant is not stated has no bound: nothing is compared, only the slope is shown.
        bound = np.full(measured.shape, math.inf) if stated is None else np.asarray(stated, dtype=np.float64)
        slack = _slack(claim, names, measured, bound)
        low, high = _range(claim, names)
        measured, bound, slack, low, high = np.broadcast_arrays(measured, bound, slack, low, high)
    except KeyError as missing:
        return Observation(problem=f"its bound needs {missing}, which is no measure, parameter or instance field")
    except ValueError as error:
        return Observation(problem=f"measure {claim.measure!r} and its bound do not fit together: {error}")
    flat = [np.atleast_1d(a).ravel() for a in (measured, bound, slack, low, high)]
    problem = _unusable(claim, *flat)
    if problem:
        return Observation(problem=problem)
    seen = _compare(claim, names, *flat)
    if isinstance(claim.mode, AtRate):
        along = claim.mode.along if isinstance(claim.mode.along, str) else claim.mode.along.name
        grid = np.atleast_1d(np.asarray(names[along], dtype=np.float64))
        seen = dataclasses.replace(seen, grid=tuple(grid.tolist()))
    return seen


def _slack(claim: Claim, names: Names, measured: Any, bound: Any) -> Any:
    if isinstance(claim.slack, Formula):
        return np.asarray(claim.slack(names), dtype=np.float64)
    if claim.slack is not None:
        return np.float64(claim.slack)
    if isinstance(claim.mode, AtRate):
        return np.float64(0.0)
    return 64.0 * UNIT_ROUNDOFF * (np.abs(measured) + np.abs(bound))


def _range(claim: Claim, names: Names) -> tuple[Any, Any]:
    if claim.within is None:
        return np.float64(-math.inf), np.float64(math.inf)
    low, high = claim.within(names)
    return np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)


def _unusable(claim: Claim, measured: Any, bound: Any, slack: Any, low: Any, high: Any) -> str | None:
    """What makes the numbers no data at all: NaN anywhere, infinity anywhere but in the bound of a rate without constant."""
    for what, array in ((f"measure {claim.measure!r}", measured), ("its bound", bound), ("its slack", slack)):
        bad = np.isnan(array) if isinstance(claim.mode, AtRate) and array is bound else ~np.isfinite(array)
        if bad.any():
            return f"{what} is {array[bad][0]} at entry {int(np.argmax(bad))}"
    if np.isnan(low).any() or np.isnan(high).any():
        return "its declared range is NaN"
    return None


def _outside(claim: Claim, measured: Any, slack: Any, low: Any, high: Any) -> str | None:
    """Whether the measure leaves the range that it is said never to leave; a slack of rounding is granted."""
    outside = (measured < low - slack) | (measured > high + slack)
    if not outside.any():
        return None
    i = int(np.argmax(outside))
    return (
        f"measure {claim.measure!r} is {measured[i]:.9g} at entry {i}, outside its declared range [{low[i]:.6g}, {high[i]:.6g}]"
    )


def _compare(claim: Claim, names: Names, measured: Any, bound: Any, slack: Any, low: Any, high: Any) -> Observation:
    if claim.relation == "==":
        excess = np.abs(measured - bound)
        vacuous = np.zeros(measured.size, dtype=bool)
        ratio = None
    elif claim.relation == ">=":
        excess, vacuous = bound - measured, bound <= low
        ratio = np.divide(bound, measured, out=np.full(measured.size, -math.inf), where=measured > NOISE * slack)
    else:
        excess, vacuous = measured - bound, bound >= high
        ratio = np.divide(measured, bound, out=np.full(measured.size, -math.inf), where=bound > NOISE * slack)
    telling = ~vacuous
    beyond = telling & (excess > slack)
    ties = telling & (np.abs(excess) <= slack) if claim.relation != "==" else np.zeros(measured.size, dtype=bool)
    suspects: tuple[Suspect, ...] = ()
    if beyond.any():
        worst = int(np.argmax(np.where(beyond, excess / np.maximum(slack, 1e-300), -1.0)))
        chosen = sorted({worst, *map(int, np.flatnonzero(beyond)[: MOST_SUSPECTS - 1])})
        suspects = tuple(_entry(i, measured, bound, slack) for i in chosen)
    tightness = tightest = None
    if ratio is not None and telling.any():
        i = int(np.argmax(np.where(telling, ratio, -math.inf)))
        if math.isfinite(ratio[i]):
            tightness, tightest = float(ratio[i]), _entry(i, measured, bound, slack)
    elif claim.relation == "==":
        tightest = _entry(int(np.argmax(excess - slack)), measured, bound, slack)
    statistical = not claim.mode.is_pathwise
    outside = _outside(claim, measured, slack, low, high)
    # What rounding carried over an end of the range is put back: the tests of means take no value outside.
    inside = np.clip(measured, low, high)
    return Observation(
        entries=int(telling.sum()),
        vacuous=int(vacuous.sum()),
        ties=int(ties.sum()),
        suspects=suspects,
        beyond=int(beyond.sum()),
        tightness=tightness,
        tightest=tightest,
        values=tuple(inside.tolist()) if statistical else (),
        bounds=tuple(bound.tolist()) if statistical else (),
        lows=tuple(low.tolist()) if statistical else (),
        highs=tuple(high.tolist()) if statistical else (),
        failed=bool((telling & (excess > 0.0)).any()) if isinstance(claim.mode, WithProbability) else False,
        tied=bool(ties.any() and not beyond.any()) if isinstance(claim.mode, WithProbability) else False,
        informative_from=informative_from(claim, names) if vacuous.any() else None,
        problem=outside,
    )


def _entry(i: int, measured: Any, bound: Any, slack: Any) -> Suspect:
    return Suspect(i, float(measured[i]), float(bound[i]), float(slack[i]))


def informative_from(claim: Claim, names: Names) -> float | None:
    """Smallest value of the growing quantity at which the bound says something, to a relative 1e-9; None if never or unknown."""
    if claim.along is None or claim.within is None or not claim.bound.is_symbolic or isinstance(claim.mode, (Equals, AtRate)):
        return None
    if claim.along not in claim.bound.names:
        return None

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
