"""Linear mixture MDPs from users' files: a transition table, and rewards that are given apart.

SOURCE?rewards=FILE&horizon=H   SOURCE is whatever `mdp_files` reads: .csv, .tsv, .json, .npz, or gym:ID. Without `rewards` the table's own rewards
                                are planned for; H is 50 if it is not given
rewards.csv, .tsv               columns name, state, reward and, if they matter, action and step (from 1): what an action earns; what is not listed
                                earns 0. Rows of the same name make one reward
rewards.json                    {"name": {"state": 1.0, "other state": {"action": 0.5}}}
.json, .npz                     the fields of LinearMixture; or `kernels` (d, S, A, S), `weights` (d,), `rewards` (N, H, S, A)

Rewards are moved and divided such that no path earns less than 0 or more than 1 in total.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import numpy as np

from theorylab.errors import InstanceError
from theorylab.problems.linear_mixture import LinearMixture, from_mdp, mixture, normalised
from theorylab.problems.mdp import MDP
from theorylab.problems.mdp_files import GYM, read_mdp
from theorylab.problems.record import Array, build_instance, float_array, read_fields
from theorylab.problems.tables import column_names, is_table, read_table

#: Steps of an episode where a source names none.
HORIZON = 50

#: A reward by name: (step or None, state, action or None) -> amount, with where it was said.
Amounts = dict[str, list[tuple[str, int | None, str, str | None, float]]]


def read_mixture(path: Path) -> LinearMixture:
    """A validated LinearMixture. Raises InstanceError naming file, row or field, and the fix."""
    text, _, query = str(path).partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    rewards, horizon = options.pop("rewards", None), options.pop("horizon", str(HORIZON))
    if not text.startswith(GYM):
        if options:
            raise InstanceError(f"{path}: unknown option {next(iter(options))!r}. There are: ?rewards=rewards.csv&horizon=50")
        if not is_table(Path(text)):
            data = read_fields(Path(text))
            if "features" in data or "kernels" in data:
                return _from_fields(data, text)
    elif options:
        text = f"{text}?{urlencode(options)}"
    mdp = read_mdp(Path(text))
    H = _whole(horizon, f"{path}: horizon")
    if H * mdp.state_count * mdp.action_count > 5_000_000:
        raise InstanceError(
            f"{path}: {H} steps of {mdp.state_count} states and {mdp.action_count} actions are too many to plan for."
        )
    ends = bool((mdp.successors < 0).any())
    named = {"own rewards": _own(mdp, H, ends)} if rewards is None else _given(Path(rewards), mdp, H, ends)
    possible = _possible(mdp, ends)
    for name, reward in named.items():
        if rewards is not None and not _is_paid(reward, possible, mdp.start):
            raise InstanceError(
                f"{rewards}: no path from {mdp.states[mdp.start]} meets what {name!r} pays for. States in which an episode ends are never entered: pay "
                "for the state and action before, or leave `rewards` out, which plans for the table's own."
            )
    parts = [normalised(reward, possible) for reward in named.values()]
    try:
        return from_mdp(
            mdp, np.array([p[0] for p in parts]), horizon=H, names=tuple(named), scales=np.array([p[1] for p in parts]),
            lows=np.array([p[2] for p in parts]),
        )  # fmt: skip
    except InstanceError as error:
        raise InstanceError(f"{path}: {error}") from None


def _from_fields(data: dict[str, Any], source: str) -> LinearMixture:
    for name in ("states", "actions", "names"):
        if name in data:
            data[name] = tuple(map(str, data[name]))
    if "kernels" not in data:
        result: LinearMixture = build_instance(LinearMixture, data, source)
        return result
    missing = [name for name in ("weights", "rewards") if name not in data]
    if missing:
        raise InstanceError(f"{source}: 'kernels' needs {missing[0]!r} beside it.")
    data.pop("kind", None)
    try:
        kernels, weights = float_array(data.pop("kernels"), "kernels"), float_array(data.pop("weights"), "weights")
        rewards = float_array(data.pop("rewards"), "rewards")
        if kernels.ndim != 4 or weights.shape != kernels.shape[:1]:
            raise InstanceError(
                f"kernels has shape {kernels.shape} and weights {weights.shape}: expected d x states x actions x states and d."
            )
        known = ("start", "states", "actions", "names", "scales", "lows")
        unknown = [name for name in data if name not in known]
        if unknown:
            raise InstanceError(f"unknown field {unknown[0]!r}. Fields beside kernels, weights, rewards: {', '.join(known)}.")
        return mixture(kernels, weights, rewards, **data)
    except InstanceError as error:
        raise InstanceError(f"{source}: {error}") from None


def _whole(text: str, where: str) -> int:
    try:
        value = int(text)
    except ValueError:
        raise InstanceError(f"{where} is {text!r}, not a whole number.") from None
    if value < 1:
        raise InstanceError(f"{where} = {value} must be at least 1.")
    return value


def _own(mdp: MDP, horizon: int, ends: bool) -> Array:
    """(H, S', A) the table's own expected rewards, at every step."""
    reward = mdp.expected_rewards().reshape(mdp.state_count, mdp.action_count)
    if ends:
        reward = np.vstack((reward, np.zeros((1, mdp.action_count))))
    return np.repeat(reward[None], horizon, axis=0)


def _possible(mdp: MDP, ends: bool) -> np.ndarray:
    S, A = mdp.state_count, mdp.action_count
    out = np.zeros((S + ends, A, S + ends), dtype=np.bool_)
    out[:S, :, :S] = mdp.transition_matrix().reshape(S, A, S) > 0.0
    if ends:
        pair = np.repeat(np.arange(S * A), np.diff(mdp.offsets))[mdp.successors < 0]
        out[pair // A, pair % A, S] = True
        out[S, :, S] = True
    return out


def _is_paid(reward: Array, possible: np.ndarray, start: int) -> bool:
    """Whether any path from the start earns or pays anything."""
    now = np.arange(len(possible)) == start
    for step in reward:
        if (step[now] != 0.0).any():
            return True
        now = possible[now].any(axis=(0, 1))
    return False


def _given(path: Path, mdp: MDP, horizon: int, ends: bool) -> dict[str, Array]:
    """Rewards (H, S', A) by name, in the order of the file."""
    amounts = _from_table(path) if is_table(path) else _from_json(path)
    states, actions = list(mdp.states), list(mdp.actions)
    out = {}
    for name, entries in amounts.items():
        reward = np.zeros((horizon, len(states) + ends, len(actions)))
        for where, step, state, action, value in entries:
            s = _place(state, states, f"{path}, {where}: state")
            a = slice(None) if action is None else _place(action, actions, f"{path}, {where}: action")
            if step is not None and not 1 <= step <= horizon:
                raise InstanceError(
                    f"{path}, {where}: step {step} lies outside 1 to {horizon}. Give a larger horizon, as in ?horizon={step}."
                )
            reward[slice(None) if step is None else step - 1, s, a] = value
        out[name] = reward
    return out


def _place(label: str, labels: list[str], where: str) -> int:
    """The index of a label; a bare number n stands for the n-th one, from 0, where no label reads so."""
    if label in labels:
        return labels.index(label)
    if label.isdigit() and int(label) < len(labels):
        return int(label)
    shown = ", ".join(labels[:6]) + (", ..." if len(labels) > 6 else "")
    raise InstanceError(f"{where} {label!r} is unknown. There are: {shown}.")


def _from_table(path: Path) -> Amounts:
    lines = read_table(path, "rewards, with columns name, state, reward and, if they matter, action and step")
    header = column_names(lines[0][1])
    for name in ("name", "state", "reward"):
        if name not in header:
            raise InstanceError(f"{path}, line {lines[0][0]}: no column {name!r}. Columns: {', '.join(header)}.")
    out: Amounts = {}
    for number, row in lines[1:]:
        cell = {name: row[i] if i < len(row) else "" for i, name in enumerate(header)}
        where = f"line {number}"
        step = _whole(cell["step"], f"{path}, {where}: step") if cell.get("step") else None
        value = _amount(cell["reward"], f"{path}, {where}: reward")
        out.setdefault(cell["name"], []).append((where, step, cell["state"], cell.get("action") or None, value))
    return out


def _from_json(path: Path) -> Amounts:
    data = read_fields(path)
    out: Amounts = {}
    for name, by_state in data.items():
        if not isinstance(by_state, dict):
            raise InstanceError(f"{path}, {name!r}: expected an object of states, found {json.dumps(by_state)[:40]}.")
        entries: list[tuple[str, int | None, str, str | None, float]] = []
        for state, value in by_state.items():
            by_action = value if isinstance(value, dict) else {None: value}
            entries += [
                (repr(name), None, str(state), a, _amount(v, f"{path}, {name!r}, {state!r}")) for a, v in by_action.items()
            ]
        out[str(name)] = entries
    return out


def _amount(value: Any, where: str) -> float:
    try:
        if isinstance(value, bool) or value is None:
            raise ValueError
        number = float(value)
    except (TypeError, ValueError):
        raise InstanceError(f"{where} is {value!r}, not a number.") from None
    if not np.isfinite(number):
        raise InstanceError(f"{where} is {number}: it must be finite.")
    return number
