"""The console report: a table that fits 80 columns, then what needs words, then one line that is enough by itself."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from typing import IO

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from theorylab.plugin import Answer
from theorylab.report.json_report import summary
from theorylab.run.audit import Audit
from theorylab.run.records import Report, Verdict

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


def _table(stream: IO[str]) -> Table:
    return Table(box=box.SIMPLE_HEAD if is_utf8(stream) else box.ASCII, pad_edge=False, show_edge=False)


def _number(x: float | None) -> str:
    return "" if x is None else f"{x:.3g}"


def print_report(report: Report, out: Console, *, verbose: bool = False) -> None:
    """The whole report."""
    for answer in report.answers:
        print_answer(answer, out)
    table = _table(out.file)
    table.add_column("claim", no_wrap=True, overflow="ellipsis")
    table.add_column("verdict", no_wrap=True)
    table.add_column("measured/bound", justify="right")
    table.add_column("instances", justify="right")
    for verdict in report.verdicts:
        shown = Text(verdict.status, style=STYLES[verdict.status])
        if verdict.status == "REFUTED" and verdict.as_expected:
            shown = Text("REFUTED*", style="green")
        claim = report.claims[verdict.claim]
        ratio = _number(verdict.evidence.tightness)
        if claim.relation == "==" and verdict.evidence.instances:
            ratio = "="
        table.add_row(escape(verdict.claim), shown, ratio, f"{verdict.evidence.instances}")
    out.print(table)
    if any(v.status == "REFUTED" and v.as_expected for v in report.verdicts):
        out.print(
            "* a statement that is false as printed or as commonly read: its refutation is expected.\n",
            style="dim",
        )
    for verdict in report.verdicts:
        if verbose or verdict.status != "SUPPORTED":
            _details(report, verdict, out, verbose)
    if report.plan.is_replay and report.digests:
        out.print(f"Digest of the trial's measures: {report.digests[0]}")
    out.print(last_line(report), style="bold" if _all_as_expected(report.verdicts) else "bold red")


def _details(report: Report, verdict: Verdict, out: Console, verbose: bool) -> None:
    claim = report.claims[verdict.claim]
    out.print(f"[{STYLES[verdict.status]}]{verdict.status}[/] [bold]{escape(verdict.claim)}[/]: {escape(claim.statement)}")
    out.print(f"  {escape(verdict.reason)}")
    if verbose:
        out.print(f"  {claim.provenance}; source: {escape(claim.source)}; {claim.mode.label}", style="dim")
    if verdict.counterexample is not None and not verdict.as_expected:
        out.print(f"  {escape(repr(verdict.counterexample.instance))}")
        out.print(f"  Again: {escape(again(report, verdict))}", soft_wrap=True)
    out.print()


def again(report: Report, verdict: Verdict) -> str:
    """The command that shows this verdict again."""
    example = verdict.counterexample
    if example is None:
        return report.command
    words = ["theorylab", "check", shlex.quote(report.plan.target), "--claim", verdict.claim]
    where = str(example.file) if example.file is not None else example.label
    if report.claims[verdict.claim].mode.is_pathwise or verdict.status == "ERROR":
        words += ["--replay", shlex.quote(f"{where}:{example.seed}")]
    else:
        words += ["--instance", shlex.quote(where), "--seeds", str(max(len(s.seeds) for s in report.plan.subjects))]
    for name in sorted(report.plan.dropped):
        words += ["--drop", name]
    if report.plan.root_seed:
        words += ["--seed", str(report.plan.root_seed)]
    return " ".join(words)


def _all_as_expected(verdicts: Sequence[Verdict]) -> bool:
    return all(verdict.as_expected for verdict in verdicts)


def last_line(report: Report) -> str:
    """What was found, in one line."""
    counts = summary(report.verdicts)
    refuted = sum(v.status == "REFUTED" and v.as_expected for v in report.verdicts)
    parts = []
    for status, count in counts.items():
        if status == "REFUTED" and count == refuted:
            parts += [f"{count} REFUTED as expected"] if count else []
        elif count:
            parts.append(f"{count} {status}")
    wrong = [v.claim for v in report.verdicts if not v.as_expected]
    verdict = "everything as expected" if not wrong else f"not as expected: {', '.join(wrong)}"
    if report.interrupted:
        verdict = "interrupted, judged by the runs that were finished; " + verdict
    return (
        f"{report.plan.plugin}: {', '.join(parts)}; {verdict}. "
        f"False alarms of the whole run: at most {report.plan.alpha:g}. {report.seconds:.1f} s"
    )


def print_answer(answer: Answer, out: Console) -> None:
    """A table for the owner of the instance."""
    table = _table(out.file)
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
