"""Markov decision processes from users' files and from Gymnasium.

.csv, .tsv   columns state, action, next_state, probability, reward: one row an outcome; an empty next_state, or `end`, ends the episode.
             Without a column `action` it is a Markov chain with rewards
.json        the fields of MDP; or `outcomes[s][a] = [[probability, reward, next state], ...]`, numbers or fractions such as "1/3";
             or `transition` (S, A, S) and `reward` (S,), (S, A) or (S, A, S); `discount` beside them
.npz         the arrays of any of these but the nested outcomes
gym:ID       a Gymnasium environment with a transition table: gym:FrozenLake-v1, gym:CliffWalking-v1?is_slippery=true&discount=0.95
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from theorylab.errors import InstanceError, UsageError
from theorylab.problems.mdp import END, MDP, from_arrays, from_table
from theorylab.problems.record import build_instance, read_fields
from theorylab.problems.tables import column_names, is_table, read_table

#: Discount where a source names none.
DISCOUNT = 0.99

GYM = "gym:"

_STATE, _ACTION, _NEXT = ("state", "s"), ("action", "a"), ("next_state", "next", "successor", "s'")
_PROBABILITY, _REWARD, _END = ("probability", "p", "weight", "count"), ("reward", "r"), ("", "end", "terminal", "none", "-1")


def read_mdp(path: Path) -> MDP:
    """A validated MDP from a file or from Gymnasium. Raises InstanceError naming the source, the field, the index and the fix."""
    if str(path).startswith(GYM):
        return _from_gym(str(path).removeprefix(GYM))
    if is_table(path):
        return _from_csv(path)
    data = read_fields(path)
    for name in ("states", "actions"):
        if name in data:
            data[name] = tuple(map(str, data[name]))
    try:
        if "outcomes" in data:
            return _build(from_table, _parsed(data.pop("outcomes")), data)
        if "transition" in data:
            if "reward" not in data:
                raise InstanceError("'transition' needs 'reward' beside it: (S,), (S, A) or (S, A, S).")
            return _build(lambda t, d, **more: from_arrays(t, more.pop("reward"), d, **more), data.pop("transition"), data)
    except InstanceError as error:
        raise InstanceError(f"{path}: {error}") from None
    if "offsets" not in data:
        raise InstanceError(f"{path}: none of 'outcomes', 'transition' and 'offsets' is given: there is no transition table.")
    return build_instance(MDP, data, str(path))


def _build(make: Any, table: Any, data: dict[str, Any]) -> MDP:
    data.pop("kind", None)
    discount = data.pop("discount", DISCOUNT)
    unknown = [name for name in data if name not in ("states", "actions", "reward", "start")]
    if unknown:
        raise InstanceError(f"unknown field {unknown[0]!r}. Fields beside the table: discount, states, actions, start.")
    discount = _number(discount, "discount")
    result: MDP = make(table, discount, **data)
    return result


def _number(value: Any, where: str) -> float:
    if isinstance(value, str):
        try:
            return float(Fraction(value))
        except (ValueError, ZeroDivisionError):
            raise InstanceError(f"{where} is {value!r}, not a number.") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InstanceError(f"{where} is {value!r}, not a number.")
    return float(value)


def _parsed(table: Any) -> list[list[list[tuple[float, float, int | None]]]]:
    """Nested lists with every number read, or an error that says where there is none."""

    def listed(value: Any, where: str) -> list[Any]:
        if not isinstance(value, list):
            raise InstanceError(f"{where} is {value!r}, not a list.")
        return value

    out = []
    for s, actions in enumerate(listed(table, "outcomes")):
        row = []
        for a, outcomes in enumerate(listed(actions, f"outcomes[{s}]")):
            triples = []
            for i, outcome in enumerate(listed(outcomes, f"outcomes[{s}][{a}]")):
                where = f"outcomes[{s}][{a}][{i}]"
                if len(listed(outcome, where)) != 3:
                    raise InstanceError(f"{where} has {len(outcome)} entries: write [probability, reward, next state].")
                p, r, to = outcome
                if to is not None and (isinstance(to, bool) or not isinstance(to, int)):
                    raise InstanceError(f"{where}[2] is {to!r}: the next state is an integer, or null where the episode ends.")
                triples.append((_number(p, f"{where}[0]"), _number(r, f"{where}[1]"), to))
            row.append(triples)
        out.append(row)
    return out


def _from_csv(path: Path) -> MDP:
    lines = read_table(path, "outcomes, with columns state, action, next_state, probability, reward")
    header = column_names(lines[0][1])

    def column(names: tuple[str, ...]) -> int | None:
        return next((i for i, cell in enumerate(header) if cell in names), None)

    def needed(names: tuple[str, ...]) -> int:
        found = column(names)
        if found is None:
            raise InstanceError(f"{path}, line {lines[0][0]}: no column {names[0]!r}. Columns: {', '.join(header)}.")
        return found

    state, to, reward = needed(_STATE), needed(_NEXT), needed(_REWARD)
    action, probability = column(_ACTION), column(_PROBABILITY)
    outcomes: dict[tuple[str, str], list[tuple[float, float, str]]] = {}
    states: dict[str, None] = {}
    actions: dict[str, None] = {}
    for number, row in lines[1:]:
        where = f"{path}, line {number}"
        pair = (_cell(row, state), _cell(row, action) if action is not None else "only")
        if not all(pair):
            raise InstanceError(f"{where}: the {'state' if not pair[0] else 'action'} is empty.")
        p = 1.0 if probability is None else _value(row, probability, f"{where}, column {header[probability]!r}")
        r = _value(row, reward, f"{where}, column {header[reward]!r}")
        states.setdefault(pair[0])
        actions.setdefault(pair[1])
        outcomes.setdefault(pair, []).append((p, r, _cell(row, to)))
    index = {name: i for i, name in enumerate(states)}
    table = []
    for s in states:
        missing = next((a for a in actions if (s, a) not in outcomes), None)
        if missing is not None:
            raise InstanceError(f"{path}: state {s!r} has no row for action {missing!r}: all states need the same actions.")
        table.append([[(p, r, _next(to, index, path)) for p, r, to in outcomes[s, a]] for a in actions])
    try:
        return from_table(table, DISCOUNT, states=tuple(states), actions=tuple(actions))
    except InstanceError as error:
        raise InstanceError(f"{path}: {error}") from None


def _cell(row: list[str], column: int) -> str:
    return row[column] if column < len(row) else ""


def _value(row: list[str], column: int, where: str) -> float:
    text = _cell(row, column)
    if not text:
        raise InstanceError(f"{where} is empty.")
    return _number(text, where)


def _next(name: str, index: dict[str, int], path: Path) -> int:
    if name in index:
        return index[name]
    if name.lower() in _END:
        return END
    raise InstanceError(f"{path}: next state {name!r} has no rows of its own. Add them, or write `end` where the episode ends.")


def _from_gym(text: str) -> MDP:
    """An environment of Gymnasium by id; what stands after `?` goes to `gymnasium.make`, but for `discount`."""
    try:
        import gymnasium
    except ImportError:
        raise UsageError("gym: needs Gymnasium. Install it with: pip install 'theorylab[gym]'") from None
    name, _, query = text.partition("?")
    options = {key: _option(value) for key, value in parse_qsl(query, keep_blank_values=True)}
    discount = options.pop("discount", DISCOUNT)
    try:
        environment: Any = gymnasium.make(name, **options).unwrapped
    except Exception as error:  # Gymnasium has many kinds of them, all with a sentence
        raise InstanceError(f"{GYM}{text}: Gymnasium refuses it: {error}") from None
    table = getattr(environment, "P", None)
    if not isinstance(table, dict):
        raise InstanceError(f"{GYM}{text}: this environment has no transition table `P`. The toy-text ones have.")
    start = int(np.argmax(getattr(environment, "initial_state_distrib", [1.0])))
    outcomes = [
        [[(p, float(r), END if ended else int(to)) for p, to, r, ended in table[s][a]] for a in range(len(table[s]))]
        for s in range(len(table))
    ]
    try:
        return from_table(outcomes, _number(discount, "discount"), start=start)
    except InstanceError as error:
        raise InstanceError(f"{GYM}{text}: {error}") from None


def _option(text: str) -> Any:
    """True, false, a number, or the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text
