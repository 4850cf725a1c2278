"""Offline data from users' files: runs of some policy, from which a linear MDP is fitted and kept beside the counts.

.csv, .tsv, .parquet   columns step, state, action, reward, next_state: one row a transition; an empty next_state, or `end`, ends the episode.
                       `data.csv?features=map.csv` reads features from a second table with columns state, action and one for each feature;
                       rows are nonnegative and sum to 1. Without it every state and action has a feature of its own.
.json, .npz            the fields of LinearMDP

The fitted model is one of largest likelihood. Rewards are averaged for each step, state and action, and moved to [0, 1].
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np

from theorylab.errors import InstanceError, UsageError
from theorylab.problems.linear_mdp import MAX_ENTRIES, LinearMDP
from theorylab.problems.record import Array, build_instance, read_fields
from theorylab.problems.tables import column_names, is_table, read_table

COLUMNS = ("step", "state", "action", "reward", "next_state")

_OTHER_NAMES = {
    "t": "step", "h": "step", "time": "step", "s": "state", "a": "action", "r": "reward", "next": "next_state", "successor": "next_state",
    "s'": "next_state",
}  # fmt: skip

_END = ("", "end", "terminal", "none")

#: Label of the state after an episode has ended.
END_STATE = "(end)"

#: Bad rows that are named one by one.
MOST_NAMED = 5

#: Rounds of the fit of factors to data, and the change of the mean log-likelihood at which it ends.
ROUNDS, SETTLED = 2_000, 1e-10


@dataclass(frozen=True)
class _Rows:
    """Transitions, column by column."""

    step: list[int]
    state: list[str]
    action: list[str]
    reward: list[float]
    successor: list[str]


def read_offline(path: Path) -> LinearMDP:
    """A validated LinearMDP with its data from a file. Raises InstanceError naming file, row, column and the fix."""
    text, _, query = str(path).partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    source = Path(text)
    if unknown := [name for name in options if name != "features"]:
        raise InstanceError(f"{path}: unknown option {unknown[0]!r}. The one there is: ?features=map.csv")
    if is_table(source) or source.suffix.lower() == ".parquet":
        rows = _checked(source, _columns(source))
        return _fitted(source, rows, Path(options["features"]) if "features" in options else None)
    data = read_fields(source)
    for name in ("states", "actions"):
        if name in data:
            data[name] = tuple(map(str, data[name]))
    result: LinearMDP = build_instance(LinearMDP, data, str(source))
    return result


# -- rows ---------------------------------------------------------------------------------------------------------------------------------


def _columns(path: Path) -> list[tuple[str, Sequence[str]]]:
    """(where, cells of COLUMNS as text) for every row."""
    if path.suffix.lower() == ".parquet":
        return _from_parquet(path)
    lines = read_table(path, "transitions, with columns step, state, action, reward, next_state")
    at = _positions(f"{path}, line {lines[0][0]}", column_names(lines[0][1]))
    return [(f"line {number}", [row[i] if i < len(row) else "" for i in at]) for number, row in lines[1:]]


def _positions(where: str, header: Sequence[str]) -> list[int]:
    names = [_OTHER_NAMES.get(name, name) for name in header]
    for name in COLUMNS:
        if name not in names:
            raise InstanceError(f"{where}: no column {name!r}. Columns: {', '.join(header)}.")
    return [names.index(name) for name in COLUMNS]


def _from_parquet(path: Path) -> list[tuple[str, Sequence[str]]]:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise UsageError("Parquet needs pyarrow. Install it with: pip install 'theorylab[parquet]'") from None
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise InstanceError(f"{path}: no such file.") from None
    except Exception as error:  # a damaged file fails in many ways, all of them the file's
        raise InstanceError(f"{path} is no readable Parquet file: {error}") from None
    at = _positions(str(path), column_names(table.column_names))
    columns = [["" if cell is None else str(cell) for cell in table.column(i).to_pylist()] for i in at]
    return [(f"row {number}", cells) for number, cells in enumerate(zip(*columns, strict=True))]


def _checked(path: Path, rows: Iterable[tuple[str, Sequence[str]]]) -> _Rows:
    """The rows as numbers and labels, or an error that names the bad ones."""
    problems: list[str] = []
    out = _Rows([], [], [], [], [])
    for where, (step, state, action, reward, successor) in rows:
        trouble = _trouble(step, state, action, reward)
        if trouble:
            problems.append(f"{where}, {trouble}")
            continue
        out.step.append(int(float(step)))
        out.state.append(state)
        out.action.append(action)
        out.reward.append(float(reward))
        out.successor.append(END_STATE if successor.lower() in _END else successor)
    if problems:
        more = f"; and {len(problems) - MOST_NAMED} more bad rows" if len(problems) > MOST_NAMED else ""
        raise InstanceError(f"{path}: {'; '.join(problems[:MOST_NAMED])}{more}. Mend them or leave them out.")
    if not out.step:
        raise InstanceError(f"{path} has no transition: rows of step, state, action, reward, next_state are expected.")
    first, last = min(out.step), max(out.step)
    if missing := set(range(first, last + 1)) - set(out.step):
        raise InstanceError(f"{path}: no row of step {min(missing)}, though there are steps {first} to {last}.")
    return out


def _trouble(step: str, state: str, action: str, reward: str) -> str | None:
    """What is wrong with a row, or None."""
    try:
        if float(step) != int(float(step)):
            return f"column 'step': {step!r} is no whole number"
    except (ValueError, OverflowError):
        return f"column 'step': {step!r} is no whole number"
    if not state or not action:
        return f"column {'state' if not state else 'action'!r} is empty"
    try:
        if not math.isfinite(float(reward)):
            return f"column 'reward': {reward!r} is not finite"
    except ValueError:
        return f"column 'reward': {reward!r} is not a number"
    return None


# -- the fit ------------------------------------------------------------------------------------------------------------------------------


def _fitted(path: Path, rows: _Rows, feature_file: Path | None) -> LinearMDP:
    states = list(dict.fromkeys([*rows.state, *rows.successor]))
    if END_STATE in states:  # the last one, whatever came first
        states.remove(END_STATE)
        states.append(END_STATE)
    actions = list(dict.fromkeys(rows.action))
    S, A, first = len(states), len(actions), min(rows.step)
    H = max(rows.step) - first + 1
    row_of, column_of = {s: i for i, s in enumerate(states)}, {a: i for i, a in enumerate(actions)}
    known = None if feature_file is None else _feature_table(feature_file, states, actions)
    width = S * A if known is None else known.shape[2]
    if H * width * S > MAX_ENTRIES or S * A * width > MAX_ENTRIES:
        raise InstanceError(
            f"{path}: {S:,} states, {A:,} actions, {H:,} steps and {width:,} features are too many for dense tables "
            f"({MAX_ENTRIES:,} entries). Give fewer features: {path}?features=map.csv"
        )
    features = np.eye(S * A).reshape(S, A, S * A) if known is None else known
    seen = Counter(
        (h - first, row_of[s], column_of[a], row_of[to])
        for h, s, a, to in zip(rows.step, rows.state, rows.action, rows.successor, strict=True)
    )
    visits = np.array([(*key, count) for key, count in sorted(seen.items())], dtype=np.int64)
    low, high = _reward_range(rows.reward, has_end=END_STATE in row_of)
    total, times = np.zeros((H, S, A)), np.zeros((H, S, A))
    for h, s, a, r in zip(rows.step, rows.state, rows.action, rows.reward, strict=True):
        total[h - first, row_of[s], column_of[a]] += (r - low) / (high - low)
        times[h - first, row_of[s], column_of[a]] += 1.0
    if END_STATE in row_of:
        total[:, row_of[END_STATE]], times[:, row_of[END_STATE]] = (0.0 - low) / (high - low), 1.0
    theta = np.array([_reward_weights(features, total[h], times[h]) for h in range(H)])
    factors = _factors(features, visits, H, row_of.get(END_STATE))
    opening = Counter(s for h, s in zip(rows.step, rows.state, strict=True) if h == first)
    try:
        return LinearMDP(
            features, factors, theta, start=row_of[opening.most_common(1)[0][0]], states=tuple(states), actions=tuple(actions),
            reward_low=low, reward_high=high, visits=visits,
        )  # fmt: skip
    except InstanceError as error:
        raise InstanceError(f"{path}: {error}") from None


def _reward_range(rewards: Sequence[float], *, has_end: bool) -> tuple[float, float]:
    """(low, high) that rewards of 0 and 1 stand for: 0 and 1 themselves where they lie between; 0 is earned after the end."""
    low, high = min(rewards), max(rewards)
    if has_end:
        low, high = min(low, 0.0), max(high, 0.0)
    if low >= 0.0 and high <= 1.0:
        return 0.0, 1.0
    return (low, high) if low < high else (low, low + 1.0)


def _feature_table(path: Path, states: Sequence[str], actions: Sequence[str]) -> Array:
    """(S, A, d) features from a table with a row for each state and action; what comes after the end has a feature of its own."""
    lines = read_table(path, "features, with columns state, action and one for each feature")
    header = [_OTHER_NAMES.get(name, name) for name in column_names(lines[0][1])]
    for name in ("state", "action"):
        if name not in header:
            raise InstanceError(f"{path}, line {lines[0][0]}: no column {name!r}. Columns: {', '.join(header)}.")
    state, action = header.index("state"), header.index("action")
    numbers = [i for i in range(len(header)) if i not in (state, action)]
    if not numbers:
        raise InstanceError(f"{path}, line {lines[0][0]}: no column of a feature beside state and action.")
    found: dict[tuple[str, str], list[float]] = {}
    for number, row in lines[1:]:
        where = f"{path}, line {number}"
        values = []
        for i in numbers:
            text = row[i] if i < len(row) else ""
            try:
                values.append(float(text))
            except ValueError:
                raise InstanceError(f"{where}, column {header[i]!r}: {text!r} is not a number.") from None
            if not 0.0 <= values[-1] <= 1.0:
                raise InstanceError(f"{where}, column {header[i]!r}: {text} lies outside [0, 1]: features live on the simplex.")
        if abs(sum(values) - 1.0) > 1e-6:
            raise InstanceError(
                f"{where}: the features sum to {sum(values):.9g}, not 1. Divide by the sum, or add a feature for the rest."
            )
        key = (row[state], row[action])
        if key in found:
            raise InstanceError(f"{where}: state {key[0]!r}, action {key[1]!r} has a row already.")
        found[key] = values
    has_end = END_STATE in states
    out = np.zeros((len(states), len(actions), len(numbers) + has_end))
    for s, name in enumerate(states):
        for a, label in enumerate(actions):
            if name == END_STATE:
                out[s, a, -1] = 1.0
            elif (name, label) in found:
                values = found[name, label]
                out[s, a, : len(numbers)] = np.array(values) / sum(values)
            else:
                raise InstanceError(f"{path}: no row for state {name!r}, action {label!r}, which the data name.")
    return out


def _reward_weights(features: Array, total: Array, times: Array) -> Array:
    """(d,) weights in [0, 1] of mean rewards, by least squares; 0 for features that were never seen."""
    seen = times.ravel() > 0.0
    if not seen.any():
        return np.zeros(features.shape[2])
    rows, mean = features.reshape(-1, features.shape[2])[seen], (total.ravel()[seen] / times.ravel()[seen])
    if ((rows == 1.0).sum(axis=1) == 1).all():  # one feature a pair: the mean itself
        at = rows.argmax(axis=1)
        weight = np.bincount(at, weights=times.ravel()[seen], minlength=features.shape[2])
        sums = np.bincount(at, weights=mean * times.ravel()[seen], minlength=features.shape[2])
        return np.clip(np.divide(sums, weight, out=np.zeros_like(sums), where=weight > 0.0), 0.0, 1.0)
    from scipy.optimize import lsq_linear

    root = np.sqrt(times.ravel()[seen])
    return np.clip(lsq_linear(rows * root[:, None], mean * root, bounds=(0.0, 1.0)).x, 0.0, 1.0)


def _factors(features: Array, visits: np.ndarray, H: int, end: int | None) -> Array:
    """(H, d, S) factors of largest likelihood, by expectation-maximisation; even over all states where a feature was never seen."""
    S, A, d = features.shape
    pairs = features.reshape(S * A, d)
    out = np.full((H, d, S), 1.0 / S)
    for h in range(H):
        at = visits[visits[:, 0] == h]
        if end is not None:  # after the end nothing happens; that needs no data
            at = np.vstack((at, [(h, end, a, end, 1) for a in range(A)]))
        phi, to, count = pairs[at[:, 1] * A + at[:, 2]], at[:, 3], at[:, 4].astype(np.float64)
        reached = (phi > 0.0).any(axis=0)
        before = -np.inf
        for _ in range(ROUNDS):
            share = phi * out[h][:, to].T  # (n, d)
            likelihood = share.sum(axis=1)
            sums = np.zeros((S, d))
            np.add.at(sums, to, share * (count / likelihood)[:, None])
            fresh = sums.sum(axis=0)
            out[h][reached] = (sums / np.where(fresh > 0.0, fresh, 1.0)).T[reached]
            now = float(count @ np.log(likelihood)) / float(count.sum())
            if now - before <= SETTLED:
                break
            before = now
    out[out < 1e-15] = 0.0
    return np.asarray(out / out.sum(axis=2, keepdims=True))
