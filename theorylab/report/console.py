"""The console report: a table that fits 80 columns, then what needs words, then one line that is enough by itself."""

from __future__ import annotations

import os
import shlex
import sys
from collections import Counter
from collections.abc import Mapping
from typing import IO, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from theorylab.plugin import Answer
from theorylab.report.json_report import report_document
from theorylab.report.words import found, is_refuted_as_expected, next_step
from theorylab.report.words import number as _number
from theorylab.run.audit import Audit
from theorylab.run.records import Report

#: Claims that the last line names one by one.
MOST_NAMED = 12

STYLES = {
    "SUPPORTED": "green", "CONSISTENT": "cyan", "REFUTED": "bold red", "INCONCLUSIVE": "yellow", "VACUOUS": "dim",
    "ERROR": "bold magenta",
}  # fmt: skip


def is_utf8(stream: IO[str]) -> bool:
    """Whether the stream can show every letter."""
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "") == "utf8"


def console(stream: IO[str] | None = None) -> Console:
    """A console on the stream (stdout by default): colour only on a terminal, ASCII where the terminal has no UTF-8."""
    stream = stream or sys.stdout
    if not is_utf8(stream) and hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")
    return Console(file=stream, highlight=False, soft_wrap=False, emoji=False)


def plain_table(stream: IO[str]) -> Table:
    """A table without a frame, in ASCII where the stream has no other letters."""
    return Table(box=box.SIMPLE_HEAD if is_utf8(stream) else box.ASCII, pad_edge=False, show_edge=False)


def print_report(report: Report, out: Console, *, verbose: bool = False) -> None:
    """The whole report of a check that has just been made."""
    for answer in report.answers:
        print_answer(answer, out)
    # The exit status is the command's business and is not printed.
    print_document(report_document(report, 0), out, verbose=verbose)


def print_document(document: Mapping[str, Any], out: Console, *, verbose: bool = False) -> None:
    """The verdicts of a report, new or from a ledger."""
    (plugin,) = document["plugins"]
    table = plain_table(out.file)
    table.add_column("claim", no_wrap=True, overflow="ellipsis")
    table.add_column("verdict", no_wrap=True)
    has_steps = any(claim.get("proof_steps") for claim in plugin["claims"])  # reports of older runs have none
    table.add_column("ratio" if has_steps else "measured/bound", justify="right")
    table.add_column("tried" if has_steps else "instances", justify="right")
    if has_steps:
        table.add_column("steps", justify="right")
    for claim in plugin["claims"]:
        shown = Text(claim["verdict"], style=STYLES[claim["verdict"]])
        if is_refuted_as_expected(claim):
            shown = Text("REFUTED*", style="green")
        ratio = "=" if claim["relation"] == "==" and claim["instances"] else _number(claim["tightness"])
        row: list[str | Text] = [escape(claim["name"]), shown, ratio, f"{claim['instances']}"]
        if has_steps:
            steps = claim.get("proof_steps")
            row.append(f"{steps['verified']}/{steps['of']}" if steps else "")
        table.add_row(*row)
    out.print(table)
    if has_steps:
        waiting = any(s["verified"] < s["of"] for claim in plugin["claims"] if (s := claim.get("proof_steps")))
        again = f"; theorylab prove {plugin['name']} checks them" if waiting else ""
        out.print(f"ratio: measured/bound. tried: instances. steps: of the proof, verified by machine{again}.\n", style="dim")
    if any(map(is_refuted_as_expected, plugin["claims"])):
        out.print("* a statement that is false as printed or as commonly read: its refutation is expected.\n", style="dim")
    told: set[str] = set()
    broken = Counter(claim["reason"] for claim in plugin["claims"] if claim["verdict"] == "ERROR")
    for claim in plugin["claims"]:
        alike = broken[claim["reason"]] if claim["verdict"] == "ERROR" else 0
        if alike > 1 and not verbose and claim["reason"] not in told:  # one fault, said once
            out.print(
                f"[{STYLES['ERROR']}]ERROR[/] {alike} claims, [bold]{escape(claim['name'])}[/] among them: {escape(claim['reason'])}"
            )
            if claim["counterexample"] is not None:
                out.print(f"  Again: {escape(claim['counterexample']['again'])}", soft_wrap=True)
            out.print()
            told.add(claim["reason"])
        elif alike and claim["reason"] in told:
            continue
        elif verbose or claim["verdict"] != "SUPPORTED":
            _details(claim, out, verbose)
    out.print(escape(found(document)))
    why, command = next_step(document)
    out.print(f"Next. {escape(why)}:")
    out.print(f"  {escape(command)}", soft_wrap=True)  # in one line, to be copied
    for digest in plugin["digests"]:
        out.print(f"Digest of the trial's measures: {digest}")
    out.print(last_line(document), style="bold" if all(c["as_expected"] for c in plugin["claims"]) else "bold red")


def _details(claim: Mapping[str, Any], out: Console, verbose: bool) -> None:
    out.print(f"[{STYLES[claim['verdict']]}]{claim['verdict']}[/] [bold]{escape(claim['name'])}[/]: {escape(claim['statement'])}")
    out.print(f"  {escape(claim['reason'])}")
    if verbose and claim.get("tightest_on"):
        out.print(f"  tightest on {escape(claim['tightest_on'])}: measured/bound {_number(claim['tightness'])}", style="dim")
    if verbose:
        out.print(f"  {claim['provenance']}; source: {escape(claim['source'])}; {claim['mode']}", style="dim")
    if claim["counterexample"] is not None and not claim["as_expected"]:
        out.print(f"  {escape(claim['counterexample']['shown'])}")
        out.print(f"  Again: {escape(claim['counterexample']['again'])}", soft_wrap=True)
    out.print()


def last_line(document: Mapping[str, Any]) -> str:
    """What was found, in one line."""
    (plugin,) = document["plugins"]
    refuted = sum(map(is_refuted_as_expected, plugin["claims"]))
    parts = []
    for status, count in document["summary"].items():
        if status == "REFUTED" and count == refuted:
            parts += [f"{count} REFUTED as expected"] if count else []
        elif count:
            parts.append(f"{count} {status}")
    wrong = [claim["name"] for claim in plugin["claims"] if not claim["as_expected"]]
    named = wrong if len(wrong) <= MOST_NAMED else [*wrong[:MOST_NAMED], f"{len(wrong) - MOST_NAMED} more"]
    verdict = "everything as expected" if not wrong else f"not as expected: {', '.join(named)}"
    if document["interrupted"]:
        verdict = "interrupted, judged by the runs that were finished; " + verdict
    if document.get("unfinished"):
        verdict = f"time is up, {document['unfinished']:,} runs were left out; {verdict}"
    kept = f" Run {document['run']}." if document["run"] else ""
    return (
        f"{plugin['name']}: {', '.join(parts)}; {verdict}. "
        f"False alarms of the whole run: at most {document['alpha']:g}. {document['seconds']:.1f} s.{kept}"
    )


def print_answer(answer: Answer, out: Console) -> None:
    """A table for the owner of the instance."""
    table = plain_table(out.file)
    table.title, table.title_justify, table.title_style = answer.title, "left", "bold"
    for i, column in enumerate(answer.columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=i == 0, overflow="ellipsis")
    for row in answer.rows:
        table.add_row(*(f"{cell:.6f}" if isinstance(cell, float) else escape(str(cell)) for cell in row))
    out.print(table)
    if answer.remark:
        out.print(escape(answer.remark))
    out.print()


def print_audit(result: Audit, out: Console) -> None:
    """The kill matrix: a column per mutant, numbered below."""
    mutants = list(next(iter(result.matrix.values()), {}))
    width = max(map(len, result.matrix), default=0)
    tens = "".join(str((i + 1) // 10) if (i + 1) >= 10 else " " for i in range(len(mutants)))
    ones = "".join(str((i + 1) % 10) for i in range(len(mutants)))
    out.print(" " * (width + 2) + tens + "\n" + " " * (width + 2) + ones, soft_wrap=True)
    for claim, row in result.matrix.items():
        marks = "".join("x" if row[m] else "." for m in mutants)
        out.print(f"{claim:<{width}}  {marks}  {sum(row.values()):>3}", soft_wrap=True)
    out.print()
    for i, mutant in enumerate(mutants, 1):
        killers = sum(row[mutant] for row in result.matrix.values())
        reason = f"  ({result.excused[mutant]})" if mutant in result.excused else ""
        out.print(f"{i:>3} {mutant}: refuted by {killers}{escape(reason)}", soft_wrap=True)
    out.print()
    for claim, reason in result.excused.items():
        if claim in result.matrix:
            out.print(f"{claim} refutes none: {escape(reason)}")
    for mutant in result.survivors:
        out.print(f"SURVIVOR {mutant}: no claim refutes it.", style="bold red")
    for claim in result.toothless:
        out.print(f"TOOTHLESS {claim}: it refutes no mutant.", style="bold red")
    for mutant, claim in result.missed:
        out.print(f"MISSED {mutant} x {claim}: not as the plugin says.", style="bold red")
    for claim in result.false_alarms:
        out.print(f"FALSE ALARM {claim}: refuted with the algorithm itself.", style="bold red")
    full = "the kill matrix is full" if result.is_clean else "not as expected"
    if result.left:
        full = f"interrupted, {len(result.left)} mutants are left" + ("" if result.is_clean else "; not as expected")
    refuted = sum(any(row[m] for row in result.matrix.values()) for m in mutants)
    out.print(
        f"{result.plugin}: {refuted} of {len(mutants)} mutants refuted, {len(result.matrix)} claims; {full}. {result.seconds:.1f} s",
        style="bold" if result.is_clean else "bold red",
    )


def command_line() -> str:
    """The command as the user typed it."""
    return shlex.join(["theorylab", *sys.argv[1:]])


def wants_progress() -> bool:
    """Progress is for terminals only."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
