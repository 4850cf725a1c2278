"""The base of every instance: a frozen record that validates itself, prints exactly, and goes to files and back.

Files are data: JSON (numbers, strings, nested lists) and NPZ without pickle. Nothing read from a file is evaluated.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from theorylab.errors import InstanceError
from theorylab.files import write_whole

Array = NDArray[np.float64]


class Instance:
    """Base of instances. Subclasses are `@dataclass(frozen=True, eq=False)`, set `kind`, and validate in `__post_init__`."""

    kind: ClassVar[str] = "instance"

    @property
    def size(self) -> int:
        """How many numbers describe it: small instances make the better counterexamples."""
        return sum(int(np.size(value)) for value in to_fields(self).values())

    def digest(self) -> str:
        """Sixteen hexadecimal digits that depend on every bit of every field, and on nothing else."""
        state = hashlib.sha256(self.kind.encode())
        for name, value in to_fields(self).items():
            state.update(f"|{name}|{np.shape(value)}|".encode())
            array = np.asarray(value)
            state.update(array.tobytes() if array.dtype.kind in "fiub" else json.dumps(value).encode())
        return state.hexdigest()[:16]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.digest() == other.digest()

    def __hash__(self) -> int:
        return hash(self.digest())

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, validated anew."""
        return type(self)(**{**to_fields(self), **changes})

    def frozen_array(self, name: str, shape: tuple[int | None, ...], *, low: float = -math.inf, high: float = math.inf) -> Array:
        """Replace field `name` by a read-only float64 copy of that shape (None: any length >= 1), finite, in [low, high]."""
        array = float_array(getattr(self, name), name)
        if array.ndim != len(shape) or any(want not in (None, have) for want, have in zip(shape, array.shape, strict=True)):
            wanted = " x ".join("any" if s is None else str(s) for s in shape)
            raise InstanceError(f"{name} has shape {array.shape}, expected {wanted}.")
        if 0 in array.shape:
            raise InstanceError(f"{name} has shape {array.shape}: every length must be at least 1.")
        check_entries(array, name, low, high)
        array.flags.writeable = False
        object.__setattr__(self, name, array)
        return array

    def set_labels(self, name: str, count: int, word: str) -> None:
        """Replace field `name` by a tuple of `count` different strings; where it is empty, by `word 0`, `word 1`, ..."""
        given = getattr(self, name)
        labels = tuple(f"{word} {i}" for i in range(count)) if given is None or len(given) == 0 else tuple(given)
        if len(labels) != count:
            raise InstanceError(f"{name}: {len(labels)} labels for {count} {word}s.")
        if not all(isinstance(label, str) for label in labels):
            raise InstanceError(f"{name}: labels must be strings.")
        if len(set(labels)) != count:
            twice = next(label for label in labels if labels.count(label) > 1)
            raise InstanceError(f"{name}: the label {twice!r} occurs twice.")
        object.__setattr__(self, name, labels)

    def check_index(self, name: str, count: int, word: str) -> None:
        """Raise InstanceError unless field `name` is an integer from 0 to count - 1."""
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 0 <= value < count:
            raise InstanceError(f"{name} = {value!r} must be a {word}, 0 to {count - 1}.")
        object.__setattr__(self, name, int(value))


def float_array(value: Any, name: str) -> Array:
    """A float64 copy of nested numbers. Raises InstanceError naming the first entry that is no number."""
    # numpy would read None as NaN and "0.5" as a number: nested lists are looked through first.
    if not isinstance(value, np.ndarray) and (culprit := _first_non_number(value, name)):
        raise InstanceError(culprit)
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InstanceError(f"{name} is not a rectangular array of numbers: {error}.") from None


def _first_non_number(value: Any, name: str) -> str | None:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        return None
    if isinstance(value, (list, tuple, np.ndarray)):
        for i, entry in enumerate(value):
            if culprit := _first_non_number(entry, f"{name}[{i}]"):
                return culprit
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        return f"{name} is {value!r}, not a number."
    return None


def check_entries(array: Array, name: str, low: float = -math.inf, high: float = math.inf) -> None:
    """Raise InstanceError naming the first entry that is not finite or lies outside [low, high]."""
    good = np.isfinite(array) & (array >= low) & (array <= high)
    if not good.all():
        index = tuple(map(int, np.argwhere(~good)[0]))
        place = f"{name}[{', '.join(map(str, index))}]" if index else name
        value = float(array[index])
        if not math.isfinite(value):
            raise InstanceError(f"{place} is {value}: every entry must be a finite number.")
        raise InstanceError(f"{place} = {value!r} lies outside [{low:g}, {high:g}].")


def to_fields(instance: Instance) -> dict[str, Any]:
    """Fields in the order of declaration: arrays, numbers, tuples of strings."""
    assert is_dataclass(instance)
    return {f.name: getattr(instance, f.name) for f in fields(instance)}


def to_json(instance: Instance) -> dict[str, Any]:
    """Plain data that JSON keeps exactly (floats print shortest-exact)."""
    return {"kind": instance.kind} | {
        name: value.tolist() if isinstance(value, np.ndarray) else list(value) if isinstance(value, tuple) else value
        for name, value in to_fields(instance).items()
    }


def save_instance(instance: Instance, path: Path) -> None:
    """Write JSON, one field a line. The file appears whole or not at all."""
    body = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in to_json(instance).items())
    write_whole(path, "{\n" + body + "\n}\n")


def read_fields(path: Path) -> dict[str, Any]:
    """Fields of a JSON or NPZ file, unvalidated. Raises InstanceError naming the file."""
    try:
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return {name: _plain(archive[name]) for name in archive.files}
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise InstanceError(f"{path}: no such file.") from None
    except OSError as error:
        raise InstanceError(f"{path} cannot be read: {error.strerror or error}.") from None
    except json.JSONDecodeError as error:
        raise InstanceError(f"{path}, line {error.lineno}, column {error.colno}: not JSON ({error.msg}).") from None
    except Exception as error:  # a damaged or malicious archive fails in many ways, all of them the file's
        raise InstanceError(f"{path} is no readable {path.suffix[1:] or 'JSON'} file: {error}") from None
    if not isinstance(data, dict):
        raise InstanceError(f"{path}: expected an object of named fields, found {type(data).__name__}.")
    return data


def _plain(array: np.ndarray) -> Any:
    if array.dtype.kind in "OV":
        raise InstanceError("object arrays are refused: store numbers and strings only.")
    return array.tolist() if array.dtype.kind in "US" or array.ndim == 0 else array


def build_instance(cls: type[Instance], data: Mapping[str, Any], where: str) -> Any:
    """An instance of `cls` from named fields. Errors name `where`, the field and the fix."""
    data = dict(data)
    kind = data.pop("kind", cls.kind)
    if kind != cls.kind:
        raise InstanceError(f"{where} holds a {kind!r}, expected a {cls.kind!r}.")
    known = [f.name for f in fields(cls)]  # type: ignore[arg-type]
    for name in data:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise InstanceError(f"{where}: unknown field {name!r}.{hint} Fields: {', '.join(known)}.")
    try:
        return cls(**data)
    except InstanceError as error:
        raise InstanceError(f"{where}: {error}") from None
    except TypeError as error:
        raise InstanceError(f"{where}: {str(error).replace('__init__()', cls.kind)}.") from None


def load_instance(cls: type[Instance], path: Path) -> Any:
    """An instance of `cls` from a JSON or NPZ file."""
    return build_instance(cls, read_fields(path), str(path))
