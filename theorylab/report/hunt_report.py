"""What the hunt found, for people and for machines."""

from __future__ import annotations

import math
import shlex
from typing import Any

from rich.console import Console
from rich.markup import escape

from theorylab.problems import readable
from theorylab.report.console import plain_table
from theorylab.report.words import number as _number
from theorylab.run.hunt import Find, Hunt


def again(result: Hunt, found: Find) -> str:
    """The command that replays a find."""
    words = ["theorylab", "check", result.target, "--claim", found.claim, "--instance", str(found.file)]
    if result.plans.get(found.claim) is not None and result.plans[found.claim].root_seed:
        words += ["--seed", str(result.plans[found.claim].root_seed)]
    for name in sorted(result.dropped):
        words += ["--drop", name]
    return shlex.join(words)


def outcome(found: Find) -> str:
    """One word: what became of the claim."""
    if found.verdict is None:
        return "none found" if found.instance is None else "not confirmed"
    return found.verdict.status


def print_hunt(result: Hunt, out: Console) -> None:
    """A row per claim, the counterexamples in full, and one line that is enough by itself."""
    table = plain_table(out.file)
    table.add_column("claim", no_wrap=True, overflow="ellipsis")
    table.add_column("tightest found", justify="right")
    table.add_column("counterexample")
    for found in result.finds:
        table.add_row(escape(found.claim), _number(found.tightness), outcome(found))
    out.print(table)
    for found in result.finds:
        if found.instance is not None:
            reason = (
                found.verdict.reason
                if found.verdict is not None
                else "seen to be violated, and the hunt was stopped before that was confirmed."
            )
            out.print(f"[bold red]{outcome(found).upper()}[/] [bold]{escape(found.claim)}[/]: {escape(reason)}")
            for line in readable.lines(found.instance):
                out.print(f"  {escape(line)}", soft_wrap=True)
            if found.file is not None:
                out.print(f"  Again: {escape(again(result, found))}", soft_wrap=True)
            out.print()
    for problem, instance in result.problems[:1]:
        out.print(f"[bold magenta]ERROR[/] {escape(problem)} on {escape(repr(instance))}")
        for line in readable.lines(instance):
            out.print(f"  {escape(line)}", soft_wrap=True)
    fallen = [f.claim for f in result.finds if f.verdict is not None and f.verdict.status == "REFUTED"]
    words = f"refuted: {', '.join(fallen)}" if fallen else "no counterexample found (which proves nothing)"
    if result.dropped:
        names = ", ".join(sorted(result.dropped))
        words = f"without {names}, {words}" + (": the assumption is needed" if fallen else "")
    if result.interrupted:
        words = f"interrupted; {words}"
    out.print(f"{result.plugin}: {result.examples} instances tried; {words}. {result.seconds:.1f} s", style="bold")


def hunt_document(result: Hunt, command: str, exit_status: int) -> dict[str, Any]:
    """The finds as plain data."""
    return {
        "schema": 1,
        "command": command,
        "plugin": result.plugin,
        "examples": result.examples,
        "dropped": sorted(result.dropped),
        "claims": [
            {
                "name": found.claim,
                "tightness": found.tightness,
                "history": [[tried, tightness] for tried, tightness in found.history if math.isfinite(tightness)],
                "verdict": found.verdict.status if found.verdict is not None else None,
                "reason": found.verdict.reason if found.verdict is not None else None,
                "file": str(found.file) if found.file is not None else None,
                "again": again(result, found) if found.file is not None else None,
            }
            for found in result.finds
        ],
        "problems": [problem for problem, _ in result.problems],
        "exit_status": exit_status,
    }
