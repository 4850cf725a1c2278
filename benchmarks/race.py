"""Contenders in turn, and what comes of it: rows of one table."""

from __future__ import annotations

import contextlib
import io
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any

#: Rounds in which every contender has its turn.
ROUNDS = 5

#: Seconds of one turn: the fastest call within them counts. A call that takes longer counts once.
TURN_S = 0.15


@dataclass(frozen=True)
class Row:
    """A peer beside theorylab on the same work.

    ratio, least, most   the peer's time over theorylab's in the same round: above 1 theorylab is faster. Median and extremes over rounds
    seconds              theorylab's, the median over rounds
    agreement            how far the two answers are apart, compared before anything was timed
    target               the ratio that is wanted; None where the peer does other work, or less of it, and is shown for comparison alone
    note                 what the row needs said
    """

    group: str
    work: str
    peer: str
    ratio: float
    least: float
    most: float
    seconds: float
    agreement: str
    target: float | None = 1.0
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Whether the ratio is what is wanted; None where nothing is."""
        return None if self.target is None else self.ratio >= self.target


@dataclass(frozen=True)
class Peer:
    """A contender: its name with its version, one call, how its answer agrees."""

    name: str
    call: Callable[[], Any]
    agreement: str
    target: float | None = 1.0
    note: str = ""
    seconds: Callable[[], float] | None = None  # for programs that time themselves: the seconds of one call


class Disagreement(SystemExit):
    """Two contenders did not compute the same: nothing is timed."""


def agree(name: str, error: float, allowed: float, what: str = "values") -> str:
    """`values agree to 1e-9`, or the end of the benchmark."""
    if not error <= allowed:
        raise Disagreement(f"{name}: {what} differ by {error:.2g}, allowed are {allowed:.2g}.")
    return f"{what} agree to {max(error, 1e-16):.0e}"


def best_of(call: Callable[[], Any], turn_s: float = TURN_S) -> float:
    """The fastest of as many calls as fit into the time."""
    fastest, spent = math.inf, 0.0
    while spent < turn_s:
        start = time.perf_counter()
        call()
        took = time.perf_counter() - start
        fastest, spent = min(fastest, took), spent + took
    return fastest


def race(group: str, work: str, ours: Callable[[], Any], peers: Sequence[Peer], *, rounds: int = ROUNDS) -> list[Row]:
    """Every contender in turn, round by round; a row per peer. All have been called before: their answers were compared."""
    ours()
    own: list[float] = []
    theirs: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for _ in range(rounds):
        own.append(best_of(ours))
        for peer in peers:
            theirs[peer.name].append(peer.seconds() if peer.seconds is not None else best_of(peer.call))
    rows = []
    for peer in peers:
        ratios = [other / mine for other, mine in zip(theirs[peer.name], own, strict=True)]
        rows.append(
            Row(
                group,
                work,
                peer.name,
                median(ratios),
                min(ratios),
                max(ratios),
                median(own),
                peer.agreement,
                peer.target,
                peer.note,
            )
        )
        print(f"{group:14} {work:62} {peer.name:52} {median(ratios):10.3g}", flush=True)
    return rows


def usable(package: str, module: str | None = None) -> str | None:
    """`package version` of a peer that is installed and can be imported, else None; why not is said."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # some peers greet
            import_module(module or package)
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return None
    except ImportError as error:
        print(f"{package} is left out: {error}.")
        return None


def named(package: str) -> str:
    """`package version` of what is a dependency."""
    return f"{package} {version(package)}"
