"""Bandits from users' files: CSV tables of means or of rewards, JSON, NPZ.

CSV comes in four styles, told apart by the header:

    arm, mean                one row per arm; with a column `deviation` the arm is Gaussian, clipped to [-R, R]
    arm, reward              one row per observation; with a column `probability` or `count`, one row per value
    name, name, ...          one column per arm, each cell an observed reward; empty cells are left out
    0.1, 0.5, 0.3            no header, one line: means

Means without anything else are those of 0/1 rewards if they lie in [0, 1], of rewards +-R if they do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from theorylab.errors import InstanceError
from theorylab.problems.bandit import Bandit, bernoulli, clipped_gaussian, deterministic, two_point
from theorylab.problems.record import build_instance, float_array, read_fields
from theorylab.problems.tables import Lines, column_names, is_table, read_table

_ARM = ("arm", "action", "name", "label", "variant")
_MEAN = ("mean", "means", "expected_reward", "rate")
_DEVIATION = ("deviation", "sd", "std", "sigma", "standard_deviation")
_REWARD = ("reward", "payoff", "value")
_WEIGHT = ("probability", "weight", "count", "frequency", "p")

#: Kinds of reward laws that a file may name beside its means.
_LAWS: dict[str, Callable[..., Bandit]] = {"bernoulli": bernoulli, "two-point": two_point, "deterministic": deterministic}


def read_bandit(path: Path) -> Bandit:
    """A validated bandit from `.csv`, `.tsv`, `.json` or `.npz`. Raises InstanceError naming file, line, column and the fix.

    JSON and NPZ hold the fields of Bandit; `means` may stand in place of `atoms`, with `rewards` one of "bernoulli", "two-point" and
    "deterministic".
    """
    if is_table(path):
        return _read_csv(path)
    data = read_fields(path)
    if "labels" in data:
        data["labels"] = tuple(data["labels"])
    if "means" not in data:
        if "atoms" not in data:
            raise InstanceError(f"{path}: neither 'means' nor 'atoms' (the rewards of each arm).")
        return build_instance(Bandit, data, str(path))
    if "atoms" in data:
        raise InstanceError(f"{path}: both 'means' and 'atoms' are given. Keep one.")
    try:
        return _from_means(float_array(data.pop("means"), "means"), **data)
    except TypeError:
        raise InstanceError(f"{path}: beside 'means' only 'rewards', 'reward_bound', 'start' and 'labels' are known.") from None
    except InstanceError as error:
        raise InstanceError(f"{path}: {error}") from None


def _from_means(
    means: np.ndarray,
    *,
    rewards: str | None = None,
    reward_bound: float | None = None,
    start: Any = None,
    labels: tuple[str, ...] = (),
) -> Bandit:
    if rewards is not None and rewards not in _LAWS:
        raise InstanceError(f"rewards = {rewards!r} is none of {', '.join(_LAWS)}.")
    if rewards is None:
        rewards = "bernoulli" if reward_bound in (None, 1, 1.0) and ((means >= 0.0) & (means <= 1.0)).all() else "two-point"
    fields: dict[str, Any] = {"start": start, "labels": labels}
    if rewards == "two-point":
        fields["reward_bound"] = float(reward_bound) if reward_bound is not None else max(1.0, float(np.abs(means).max()))
    elif rewards == "deterministic":
        fields["reward_bound"] = reward_bound
    return _LAWS[rewards](means, **fields)


def _read_csv(path: Path) -> Bandit:
    lines = read_table(path, "a table of means or of rewards")
    header = column_names(lines[0][1])
    try:
        if len(lines) == 1 and all(_is_number(cell) for cell in header):
            return _from_means(
                np.array([_number(c, f"{path}, line {lines[0][0]}, column {i + 1}") for i, c in enumerate(header)])
            )
        if (mean := _column(header, _MEAN)) is not None:
            return _means_table(path, lines, header, mean)
        if (reward := _column(header, _REWARD)) is not None and (arm := _column(header, _ARM)) is not None:
            return _long_table(path, lines, arm, reward, _column(header, _WEIGHT))
        return _wide_table(path, lines)
    except InstanceError as error:
        raise error if str(error).startswith(str(path)) else InstanceError(f"{path}: {error}") from None


def _column(header: list[str], names: tuple[str, ...]) -> int | None:
    return next((i for i, cell in enumerate(header) if cell in names), None)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _number(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InstanceError(f"{where} {f'is {text!r}, not a number' if text else 'is empty'}.") from None
    if not math.isfinite(value):
        raise InstanceError(f"{where} is {text}: every entry must be a finite number.")
    return value


def _cell(row: list[str], column: int, where: str) -> str:
    if column >= len(row):
        raise InstanceError(f"{where} is missing: the line has {len(row)} cells.")
    return row[column]


def _means_table(path: Path, lines: Lines, header: list[str], mean: int) -> Bandit:
    arm, deviation = _column(header, _ARM), _column(header, _DEVIATION)
    labels: list[str] = []
    means: list[float] = []
    spreads: list[float] = []
    for number, row in lines[1:]:
        where = f"{path}, line {number}, column"
        means.append(_number(_cell(row, mean, f"{where} {lines[0][1][mean]!r}"), f"{where} {lines[0][1][mean]!r}"))
        labels.append(_cell(row, arm, f"{where} {lines[0][1][arm]!r}") if arm is not None else f"arm {len(labels)}")
        if deviation is not None:
            name = f"{where} {lines[0][1][deviation]!r}"
            spreads.append(_number(_cell(row, deviation, name), name))
    if deviation is None:
        return _from_means(np.array(means), labels=tuple(labels))
    bound = max(1.0, max(abs(m) for m in means))
    return clipped_gaussian(means, spreads, bound, labels=tuple(labels))


def _long_table(path: Path, lines: Lines, arm: int, reward: int, weight: int | None) -> Bandit:
    laws: dict[str, dict[float, float]] = {}
    for number, row in lines[1:]:
        where = f"{path}, line {number}, column"
        name = _cell(row, arm, f"{where} {lines[0][1][arm]!r}")
        x = _number(_cell(row, reward, f"{where} {lines[0][1][reward]!r}"), f"{where} {lines[0][1][reward]!r}")
        share = 1.0
        if weight is not None:
            at = f"{where} {lines[0][1][weight]!r}"
            share = _number(_cell(row, weight, at), at)
            if share < 0.0:
                raise InstanceError(f"{at} is {share:g}: a probability or count cannot be negative.")
        law = laws.setdefault(name, {})
        law[x] = law.get(x, 0.0) + share
    return _empirical(path, laws)


def _wide_table(path: Path, lines: Lines) -> Bandit:
    number, header = lines[0]
    if all(_is_number(cell) for cell in header):
        raise InstanceError(f"{path}, line {number}: the first row must name the arms, or columns such as 'arm' and 'mean'.")
    if len(set(header)) != len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise InstanceError(f"{path}, line {number}: the column {twice!r} occurs twice.")
    laws: dict[str, dict[float, float]] = {name: {} for name in header}
    for number, row in lines[1:]:
        if len(row) > len(header):
            raise InstanceError(f"{path}, line {number}: {len(row)} cells for {len(header)} arms.")
        for name, cell in zip(header, row, strict=False):
            if cell:
                x = _number(cell, f"{path}, line {number}, column {name!r}")
                laws[name][x] = laws[name].get(x, 0.0) + 1.0
    return _empirical(path, laws)


def _empirical(path: Path, laws: dict[str, dict[float, float]]) -> Bandit:
    """Each arm pays what was observed of it, as often as it was."""
    for name, law in laws.items():
        if sum(law.values()) <= 0.0:
            raise InstanceError(f"{path}: arm {name!r} has no reward.")
    width = max((len(law) for law in laws.values()), default=1)
    atoms, weights = np.zeros((len(laws), width)), np.zeros((len(laws), width))
    for a, law in enumerate(laws.values()):
        total = sum(law.values())
        for j, (x, count) in enumerate(sorted(law.items())):
            atoms[a, j], weights[a, j] = x, count / total
    bound = max(1.0, float(np.abs(atoms).max())) if atoms.size else 1.0
    return Bandit(atoms, weights, reward_bound=bound, labels=tuple(laws))
