"""All benchmarks beside what one would use instead, in one run: one table, one plot.

    python -m benchmarks [--only GROUP] [--quick] [--write]

Contenders are timed in turn; a row is the peer's time over theorylab's of the same round (above 1 theorylab is faster): median [least .. most].
Before anything is timed the answers are compared. Peers that are not installed are left out: pip install quantecon mdpsolver pymdptoolbox
nashpy open_spiel mabwiser ville. `--write` puts the table into docs/benchmarks.md and the plot beside it.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import (
    bandits,
    distributional,
    growth,
    matrix_games,
    means,
    nash_sweep,
    planning,
    robust,
    startup,
    stopping,
    switching,
)
from benchmarks.race import Row, named

DOCS = Path(__file__).resolve().parent.parent / "docs"

#: What is raced, by the name that --only takes.
RACES: dict[str, tuple[Callable[..., list[Row]], ...]] = {
    "planning": (planning.rows,),
    "bandits": (bandits.rows, switching.rows),
    "matrix-games": (matrix_games.rows,),
    "nash-md": (nash_sweep.rows,),
    "laws": (distributional.rows,),
    "robust": (robust.rows,),
    "statistics": (means.rows,),
    "start-up": (startup.rows,),
}

#: Other tables: their heading, what is said of them, and what makes them.
TABLES: dict[str, tuple[str, str, Callable[..., list[str]]]] = {
    "wait": (
        "What a user waits for",
        "Seconds from the command to its report; the first check compiles its kernels.",
        startup.table,
    ),
    "growth": (
        "Growth",
        "The power of the size by which cost grows, fitted to four sizes. Below 1 there is a fixed cost that large sizes do not feel.",
        growth.table,
    ),
    "memory": (
        "Memory",
        "The largest memory of a whole check of the gradient bandit, in a process of its own.",
        growth.memory_table,
    ),
    "cores": ("Cores", "The same seeds on one thread and on all.", growth.cores_table),
    "seeds": (
        "Seeds that a refutation costs",
        f"A share of failing runs is claimed to be at most `allowed`, and is larger. The fixed-sample test is exact and was planned for the true share with power "
        f"{stopping.POWER:g}; the sequential test knows nothing of it, is looked at every {stopping.BATCH} runs and stops when it is sure. Both err with probability {stopping.ALPHA:g} at most.",
        stopping.table,
    ),
}


#: What is known of rows that may miss their target, by the beginning of their work.
LIMITS = {
    "gradient bandit, 2 arms": "Each pull waits for the one before; the C loop draws with xoshiro256+, theorylab with NumPy's PCG64, and keeps what the claims ask for.",
    "20 seeds, 200 actions": "The rounds spread from below to above what is wanted: two cores of a shared machine.",
    "theorylab list": "Finding the entry points of more than a hundred installed packages.",
}


def missed_lines(rows: Sequence[Row]) -> list[str]:
    """The rows that are not as wanted, with what is known of the reason."""
    lines = []
    for row in rows:
        if row.is_met is False:
            reason = next((words for work, words in LIMITS.items() if row.work.startswith(work)), "")
            lines.append(
                f"- {row.work}, {row.peer}: {row.ratio:.3g} ({row.least:.3g} .. {row.most:.3g}), wanted {row.target:g}. {reason}".rstrip()
            )
    return lines


def markdown(rows: Sequence[Row], tables: dict[str, list[str]]) -> str:
    """The page."""
    met = [row for row in rows if row.is_met is not None]
    missed = [row for row in met if not row.is_met]
    lines = [
        "# Benchmarks",
        "",
        "Made by `python -m benchmarks --write`. Contenders in turn; the peer's time over theorylab's of the same round, so that above 1 theorylab is faster: median, least and most. Answers were",
        "compared before anything was timed. Where nothing is wanted, the peer does other work, or does not get there, and is shown for comparison.",
        f"Python {platform.python_version()}, {os.cpu_count()} cores ({platform.machine()}), {named('numpy')}, {named('scipy')}, {named('numba')}.",
        "",
        f"{len(met) - len(missed)} of {len(met)} rows are as wanted{'; these are not:' if missed else '.'}",
        "",
        *([*missed_lines(rows), ""] if missed else []),
        "![ratios of all rows](benchmarks.png)",
        "",
        "| work | theorylab, s | beside | times as long | least .. most | wanted | answers |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        wanted = "" if row.target is None else f"{row.target:g}" if row.is_met else f"**{row.target:g}**"
        note = f" ({row.note})" if row.note else ""
        lines.append(
            f"| {row.work} | {row.seconds:.2g} | {row.peer}{note} | {row.ratio:.3g} | {row.least:.3g} .. {row.most:.3g} | {wanted} | {row.agreement} |"
        )
    for name, made in tables.items():
        heading, words, _ = TABLES[name]
        lines += ["", f"## {heading}", "", words, "", *made]
    return "\n".join([*lines, ""])


def replaced(page: str, name: str, made: list[str]) -> str:
    """The page with one of its other tables made anew."""
    heading, words, _ = TABLES[name]
    before, _, rest = page.partition(f"## {heading}\n")
    after = rest.partition("\n## ")
    return "\n".join([f"{before}## {heading}", "", words, "", *made, ""]) + (f"\n## {after[2]}" if after[1] else "")


def plot(rows: Sequence[Row], path: Path) -> None:
    """A dot for each row with the spread of its rounds, on a logarithmic axis."""
    from matplotlib.figure import Figure

    fig = Figure(figsize=(10.0, 0.24 * len(rows) + 1.2), layout="constrained")
    axis: Any = fig.subplots()
    for y, row in enumerate(rows):
        colour = "#666666" if row.is_met is None else "#009E73" if row.is_met else "#D55E00"
        axis.plot([row.least, row.most], [y, y], color=colour, lw=2.0)
        axis.plot(row.ratio, y, "o", color=colour, ms=4)
    axis.axvline(1.0, color="#000000", lw=0.8)
    axis.set_xscale("log")
    axis.set_yticks(range(len(rows)), [f"{row.work}: {row.peer}" for row in rows], fontsize=6)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlabel(
        "the peer's time over theorylab's (right of 1 theorylab is faster)\ngrey: other work, or not as far", fontsize=8
    )
    axis.grid(axis="x", alpha=0.25)
    fig.savefig(path, dpi=110, metadata={"Software": "theorylab"})


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=[*RACES, *TABLES], help="only this part; may be repeated")
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds: does it run?")
    parser.add_argument("--write", action="store_true", help="write benchmarks.md and benchmarks.png in docs")
    options = parser.parse_args()
    if options.write and (options.quick or set(options.only or ()) & set(RACES)):
        parser.error("--write wants all races of one run: leave --quick out, and name no race with --only")
    wanted = options.only or [*RACES, *TABLES]
    rows = [row for name, made in RACES.items() if name in wanted for make in made for row in make(quick=options.quick)]
    tables = {}
    for name, (heading, _, make) in TABLES.items():
        if name in wanted:
            print(f"\n{heading}", flush=True)
            tables[name] = make(quick=options.quick)
    for row in rows:
        if row.is_met is False:
            print(
                f"Not as wanted: {row.work}, {row.peer}: {row.ratio:.3g} [{row.least:.3g} .. {row.most:.3g}], wanted {row.target:g}"
            )
    if options.write and options.only:
        page = (DOCS / "benchmarks.md").read_text(encoding="utf-8")
        for name, made in tables.items():
            page = replaced(page, name, made)
        (DOCS / "benchmarks.md").write_text(page, encoding="utf-8")
    elif options.write:
        (DOCS / "benchmarks.md").write_text(markdown(rows, tables), encoding="utf-8")
        plot(rows, DOCS / "benchmarks.png")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("Stopped: nothing was written.", file=sys.stderr)
        sys.exit(130)
