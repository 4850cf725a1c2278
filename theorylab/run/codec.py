"""What the ledger keeps, as plain data and back, bit for bit (JSON prints floats shortest-exact). No pickle: a ledger is data."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from theorylab.picture import Curve, Panel, Picture
from theorylab.registry import Locator
from theorylab.run.records import Observation, Request, Suspect, TrialResult

_FIELDS = tuple(f.name for f in fields(Observation))
_DEFAULTS = tuple(getattr(Observation(), name) for name in _FIELDS)


def encode(result: TrialResult) -> bytes:
    """A finished trial, without its place in a plan."""
    body = {name: _plain(observation) for name, observation in result.observations.items()}
    return zlib.compress(json.dumps([result.digest, body], separators=(",", ":")).encode(), 1)


def decode(payload: bytes, subject: int, seed: int) -> TrialResult:
    """The trial again, at its place in a plan. Raises ValueError if the bytes are none of ours."""
    try:
        digest, body = json.loads(zlib.decompress(payload))
        return TrialResult(subject, seed, {name: _observation(row) for name, row in body.items()}, digest=digest)
    except (zlib.error, json.JSONDecodeError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"no trial result: {error}") from None


def _plain(observation: Observation) -> list[Any]:
    """Fields in order, defaults at the end left out."""
    values = [getattr(observation, name) for name in _FIELDS]
    while values and values[-1] == _DEFAULTS[len(values) - 1]:
        values.pop()
    return [_suspect(value) for value in values]


def _suspect(value: Any) -> Any:
    if isinstance(value, Suspect):
        return [value.index, value.measured, value.bound, value.slack]
    return [_suspect(v) for v in value] if isinstance(value, tuple) else value


def _observation(row: list[Any]) -> Observation:
    values: dict[str, Any] = {}
    for name, value in zip(_FIELDS, row, strict=False):
        if name == "suspects":
            value = tuple(Suspect(*entry) for entry in value)
        elif name == "tightest":
            value = None if value is None else Suspect(*value)
        elif isinstance(value, list):
            value = tuple(value)
        values[name] = value
    return Observation(**values)


def encode_measures(measures: Mapping[str, Any]) -> bytes:
    """All that a run returned, as float64: names and shapes, then the numbers. Raises ValueError for what is no number."""
    try:
        arrays = {name: np.asarray(value, dtype="<f8") for name, value in measures.items()}
    except (TypeError, ValueError) as error:
        raise ValueError(f"a measure is no array of numbers: {error}") from None
    head = json.dumps([[name, list(array.shape)] for name, array in arrays.items()]).encode()
    return len(head).to_bytes(4, "little") + head + b"".join(array.tobytes() for array in arrays.values())


def decode_measures(payload: bytes) -> dict[str, Any]:
    """The measures again."""
    size = int.from_bytes(payload[:4], "little")
    out, at = {}, 4 + size
    for name, shape in json.loads(payload[4:at]):
        count = math.prod(shape)
        out[name] = np.frombuffer(payload, dtype="<f8", count=count, offset=at).reshape(shape)
        at += 8 * count
    return out


def picture_from_json(data: Mapping[str, Any]) -> Picture:
    """A picture again, from what `dataclasses.asdict` made of it. Raises TypeError or KeyError if it is none of ours."""
    panels = []
    for panel in data["panels"]:
        curves = tuple(Curve(**{name: _tuples(value) for name, value in curve.items()}) for curve in panel["curves"])
        rest = {name: _tuples(value) for name, value in panel.items() if name != "curves"}
        panels.append(Panel(curves=curves, **rest))
    return Picture(data["name"], data["title"], tuple(panels), data["caption"])


def request_to_json(request: Request) -> dict[str, Any]:
    """A request as plain data."""
    return asdict(request)


def request_from_json(data: Mapping[str, Any]) -> Request:
    """The request again. Raises ValueError if the data are of another version of theorylab."""
    known = {f.name for f in fields(Request)}
    if set(data) - known:
        raise ValueError(f"unknown options {sorted(set(data) - known)}")
    values = {name: _tuples(value) for name, value in data.items() if name != "locator"}
    return Request(locator=Locator(**data["locator"]), **values)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def seeds_to_json(seeds: Sequence[int]) -> list[list[int]]:
    """Seeds as ranges [first, last + 1]."""
    ranges: list[list[int]] = []
    for seed in [(seeds.start, seeds.stop)] if isinstance(seeds, range) and seeds else [(s, s + 1) for s in seeds]:
        if ranges and ranges[-1][1] == seed[0]:
            ranges[-1][1] = seed[1]
        else:
            ranges.append(list(seed))
    return ranges


def seeds_from_json(ranges: Sequence[Sequence[int]]) -> Iterator[range]:
    """The ranges again, in order."""
    return (range(first, end) for first, end in ranges)
