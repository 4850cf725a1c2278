"""Preference games from users' files: CSV tables of win rates, JSON, NPZ.

CSV comes in two styles. A *square table*, as arena leaderboards print it: labels in the first row and the first column, each
cell the share of comparisons that the row wins against the column, the diagonal empty or 0.5. A *list of pairs*: three columns
named like `model_a, model_b, win_rate`, each pair once or in both directions.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from theorylab.errors import InstanceError
from theorylab.problems.preference_game import COMPLEMENT_TOLERANCE, PreferenceGame, from_reference
from theorylab.problems.record import build_instance, float_array, read_fields
from theorylab.problems.tables import Lines, column_names, is_table, read_table

_FIRST = {"model_a", "model_1", "generator_1", "row", "a", "player", "winner_candidate", "model"}
_SECOND = {"model_b", "model_2", "generator_2", "column", "b", "opponent", "baseline"}
_RATE = {"win_rate", "winrate", "preference", "p", "probability", "rate"}


def read_preference_game(path: Path) -> PreferenceGame:
    """A validated game from `.csv`, `.json` or `.npz`. Raises InstanceError naming file, row, column and the fix.

    JSON and NPZ hold the fields of PreferenceGame; `reference` (probabilities) may stand in place of `log_reference`.
    A file without a reference policy gets the uniform one, without tau gets 0.1.
    """
    if is_table(path):
        return _read_csv(path)
    data = read_fields(path)
    if "preference" not in data:
        raise InstanceError(f"{path}: no field 'preference' (the table of win probabilities).")
    data["preference"] = _table(data["preference"], path)
    if "reference" in data:
        if "log_reference" in data:
            raise InstanceError(f"{path}: both 'reference' and 'log_reference' are given. Keep one.")
        data.pop("kind", None)
        return _with_reference(data, path)
    return build_instance(PreferenceGame, _tuples(data), str(path))


def _tuples(data: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if k in ("actions", "prompts") and isinstance(v, (list, np.ndarray)) else v for k, v in data.items()}


def _with_reference(data: dict[str, Any], path: Path) -> PreferenceGame:
    data = _tuples(data)
    reference = data.pop("reference")
    checked = build_instance(PreferenceGame, data, str(path))
    try:
        game = from_reference(
            checked.preference,
            float_array(reference, "reference"),
            checked.tau,
            actions=checked.actions,
            prompts=checked.prompts,
        )
    except InstanceError as error:
        raise InstanceError(f"{path}: {error}") from None
    return game.replace(prompt_weights=checked.prompt_weights)


def _table(value: Any, path: Path) -> Any:
    """Nested lists with the diagonal's nulls filled in."""
    if not isinstance(value, list) or not value or not isinstance(value[0], list):
        return value
    if value[0] and isinstance(value[0][0], list):
        return [_table(table, path) for table in value]
    return [[0.5 if cell is None and i == j else cell for j, cell in enumerate(row)] for i, row in enumerate(value)]


def _read_csv(path: Path) -> PreferenceGame:
    lines = read_table(path, "a table of win rates")
    header = column_names(lines[0][1])
    names = (set(header) & _FIRST, set(header) & _SECOND, set(header) & _RATE)
    if all(names):
        labels, table = _pairs(path, lines, *(header.index(sorted(found)[0]) for found in names))
    else:
        labels, table = _square(path, lines)
    try:
        return PreferenceGame(table, actions=labels)
    except InstanceError as error:
        raise InstanceError(f"{path}: {error}") from None


def _number(text: str, where: str) -> float:
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        problem = "is empty" if not text else f"is {text!r}, not a number"
        raise InstanceError(f"{where} {problem}. Every pair needs a win rate in [0, 1].") from None
    if text.endswith("%"):
        value /= 100.0
    if not 0.0 <= value <= 1.0:  # NaN fails this too
        hint = " Divide percentages by 100 or write them with %." if 1.0 < value <= 100.0 else ""
        raise InstanceError(f"{where} is {text}, outside [0, 1].{hint}")
    return value


def _square(path: Path, lines: Lines) -> tuple[tuple[str, ...], np.ndarray]:
    labels = tuple(lines[0][1][1:])
    body = lines[1:]
    if not labels or "" in labels:
        raise InstanceError(
            f"{path}, line {lines[0][0]}: the first row must name the columns after one corner cell "
            "(or name three columns model_a, model_b, win_rate)."
        )
    if len(set(labels)) != len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise InstanceError(f"{path}, line {lines[0][0]}: the column {twice!r} occurs twice.")
    if len(body) != len(labels):
        raise InstanceError(f"{path}: {len(body)} rows for {len(labels)} columns. The table must be square.")
    table = np.full((len(labels), len(labels)), 0.5)
    seen: set[str] = set()
    for number, row in body:
        name, cells = row[0], row[1:]
        if name not in labels:
            raise InstanceError(f"{path}, line {number}: row {name!r} has no column of that name.")
        if name in seen:
            raise InstanceError(f"{path}, line {number}: row {name!r} occurs twice.")
        seen.add(name)
        if len(cells) != len(labels):
            raise InstanceError(f"{path}, line {number}: row {name!r} has {len(cells)} cells for {len(labels)} columns.")
        i = labels.index(name)
        for j, cell in enumerate(cells):
            if i == j and cell.lower() in {"", "-", "nan", "na"}:
                continue
            table[i, j] = _number(cell, f"{path}, line {number}: row {name!r}, column {labels[j]!r}")
    return labels, table


def _pairs(path: Path, lines: Lines, first: int, second: int, rate: int) -> tuple[tuple[str, ...], np.ndarray]:
    labels: list[str] = []
    rates: dict[tuple[str, str], float] = {}
    for number, row in lines[1:]:
        if len(row) <= max(first, second, rate):
            raise InstanceError(f"{path}, line {number}: {len(row)} cells, the header names {len(lines[0][1])}.")
        pair = row[first], row[second]
        where = f"{path}, line {number}: row {pair[0]!r}, column {pair[1]!r}"
        if pair in rates:
            raise InstanceError(f"{where} occurs twice.")
        rates[pair] = _number(row[rate], where)
        labels += [label for label in pair if label not in labels]
    table = np.full((len(labels), len(labels)), 0.5)
    for i, a in enumerate(labels):
        for j, b in enumerate(labels):
            if (a, b) in rates:
                table[i, j] = rates[a, b]
            elif (b, a) in rates:
                table[i, j] = 1.0 - rates[b, a]
            elif a != b:
                raise InstanceError(f"{path}: no win rate for the pair row {a!r}, column {b!r}. Every pair is needed once.")
    if (np.abs(table + table.T - 1.0) > COMPLEMENT_TOLERANCE).any():
        i, j = map(int, np.argwhere(np.abs(table + table.T - 1.0) > COMPLEMENT_TOLERANCE)[0])
        raise InstanceError(
            f"{path}: row {labels[i]!r}, column {labels[j]!r}: {table[i, j]:g} and its mirror {table[j, i]:g} do not add to 1 "
            f"(tolerance {COMPLEMENT_TOLERANCE:g}). Give each pair once, or make the two agree."
        )
    return tuple(labels), table
