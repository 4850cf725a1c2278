"""Last-switch-dependent bandits: what an arm pays depends on how long it has rested, or how long it has been played.

The state of an arm is r > 0 after r rounds of rest, and -s < 0 after s rounds of play; m stands for "m or more" on both sides, 0 is no state. Playing
an arm at rest takes it to -1, a rest after play to 1.

Letters: K arms, m the largest number of rounds that is told apart.
Source: Laforgue, Clerici, Cesa-Bianchi, Gilad-Bachrach, "A Last Switch Dependent Analysis of Satiation and Seasonality in Bandits", arXiv 2110.11819.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from theorylab.errors import InstanceError
from theorylab.problems.record import Array, Instance, build_instance, read_fields
from theorylab.problems.tables import column_names, is_table, read_table


@dataclass(frozen=True, eq=False)
class SwitchBandit(Instance):
    """A last-switch-dependent bandit.

    payoff  (K, 2 m) mean payoffs in [0, 1] in the states -m, ..., -1, 1, ..., m
    arms    labels
    """

    kind: ClassVar[str] = "switch-bandit"

    payoff: Array
    arms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        payoff = self.frozen_array("payoff", (None, None), low=0.0, high=1.0)
        if payoff.shape[1] % 2:
            raise InstanceError(
                f"payoff has {payoff.shape[1]} columns: there are as many states of rest as of play, write -m, ..., -1, 1, ..., m."
            )
        self.set_labels("arms", len(payoff), "arm")

    @property
    def arm_count(self) -> int:
        """K."""
        return len(self.payoff)

    @property
    def memory(self) -> int:
        """m."""
        return int(self.payoff.shape[1]) // 2

    @cached_property
    def table(self) -> Array:
        """(K, 2 m + 1) payoff in state tau at column tau + m; the column of 0 is not used."""
        return np.insert(self.payoff, self.memory, 0.0, axis=1)

    @property
    def largest(self) -> float:
        """Largest mean payoff."""
        return float(self.payoff.max())

    @property
    def is_monotone(self) -> bool:
        """Whether no arm pays less after a longer rest, or after a shorter play; -1 pays at most what 1 does."""
        return bool((np.diff(self.payoff, axis=1) >= 0.0).all())

    def __repr__(self) -> str:
        return f"SwitchBandit({self.arm_count} arms, memory {self.memory}, {self.digest()})"


def recharging(delays: Array) -> SwitchBandit:
    """A bandit whose arms pay by the rounds since they were last played: delays (K, D), D >= 2, the last of them for D and more."""
    delays = np.asarray(delays, dtype=np.float64)
    if delays.ndim != 2 or delays.shape[1] < 2:
        raise InstanceError(f"delays has shape {delays.shape}, expected arms x at least 2 delays.")
    m = delays.shape[1] - 1
    return SwitchBandit(np.hstack((np.repeat(delays[:, :1], m, axis=1), delays[:, 1:])))


def read_switch_bandit(path: Path) -> SwitchBandit:
    """A bandit from `.csv`, `.tsv`, `.json` or `.npz`. Raises InstanceError naming file, line, column and the fix.

    Tables have a row for each arm: `arm, -2, -1, 1, 2` (payoffs by state), or `arm, delay 1, delay 2, ...` (by rounds since the last play). JSON and NPZ
    hold the fields of SwitchBandit, or `delays` in place of `payoff`.
    """
    if is_table(path):
        return _from_table(path)
    data = read_fields(path)
    if "arms" in data:
        data["arms"] = tuple(map(str, data["arms"]))
    if "delays" in data:
        if "payoff" in data:
            raise InstanceError(f"{path}: both 'payoff' and 'delays' are given. Keep one.")
        try:
            data["payoff"] = recharging(np.asarray(data.pop("delays"), dtype=np.float64)).payoff
        except (InstanceError, ValueError, TypeError) as error:
            raise InstanceError(f"{path}: delays: {error}") from None
    result: SwitchBandit = build_instance(SwitchBandit, data, str(path))
    return result


def _from_table(path: Path) -> SwitchBandit:
    lines = read_table(path, "payoffs, one row for each arm, one column for each state")
    where, header = f"{path}, line {lines[0][0]}", column_names(lines[0][1])
    if header[0] not in ("arm", "name", "action"):
        raise InstanceError(f"{where}: the first column must be 'arm', found {header[0]!r}.")
    by_delay = header[1:] == [f"delay_{k}" for k in range(1, len(header))]
    m = (len(header) - 1) // 2
    if not by_delay and (len(header) < 3 or header[1:] != [str(tau) for tau in (*range(-m, 0), *range(1, m + 1))]):
        raise InstanceError(
            f"{where}: columns must be the states -m, ..., -1, 1, ..., m in order, or 'delay 1', 'delay 2', ...; found {', '.join(header[1:])}."
        )
    rows, labels = [], []
    for number, row in lines[1:]:
        if len(row) != len(header):
            raise InstanceError(f"{path}, line {number}: {len(row)} cells for {len(header)} columns.")
        values = []
        for name, text in zip(header[1:], row[1:], strict=True):
            try:
                values.append(float(text))
            except ValueError:
                raise InstanceError(f"{path}, line {number}, column {name!r}: {text!r} is not a number.") from None
        labels.append(row[0])
        rows.append(values)
    if not rows:
        raise InstanceError(f"{path}: no row of an arm.")
    try:
        table = recharging(np.array(rows)).payoff if by_delay else np.array(rows)
        return SwitchBandit(table, tuple(labels))
    except InstanceError as error:
        raise InstanceError(f"{path}: {error}") from None
