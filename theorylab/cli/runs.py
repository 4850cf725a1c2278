"""`theorylab runs | report | diff | export`: what was run, shown again, compared, handed on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from theorylab.cli.ledger_option import ledger_option, ledger_path
from theorylab.cli.options import drawing_options


def _open(ledger: str | None) -> Any:
    from theorylab.errors import UsageError
    from theorylab.run.ledger import Ledger

    path = ledger_path(ledger)
    if path is None:
        raise UsageError("There is nothing to look at with --ledger off.")
    return Ledger.open_to_read(path)


@click.command("runs", short_help="List the runs that the ledger holds.")
@ledger_option
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
def runs_command(ledger: str | None, style: str) -> int:
    """List the runs that the ledger holds, the latest first. RUN in other commands is an id, its beginning, or `last`."""
    import json

    from theorylab.report.console import console, plain_table
    from theorylab.report.history import print_runs, status_of

    rows = _open(ledger).runs()
    if style == "json":
        listed = [
            {"run": r.id, "started": r.started, "finished": r.finished, "status": status_of(r), "plugin": r.plugin, "command": r.command,
             "summary": r.document["summary"] if r.document else None}
            for r in rows
        ]  # fmt: skip
        print(json.dumps(listed, indent=2))
    else:
        out = console()
        print_runs(rows, plain_table(out.file), out)
    return 0


@click.command("report", short_help="Show the report of a run again.")
@click.argument("run")
@ledger_option
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@drawing_options
@click.option("-v", "--verbose", is_flag=True, help="Say of every claim what it states and what was found.")
def report_command(run: str, ledger: str | None, style: str, page: Path | None, plots: Path | None, verbose: bool) -> int:
    """Show the report of RUN again, from the ledger; nothing is run. Exits with the run's own status."""
    from theorylab.checked import Run
    from theorylab.cli.check import draw
    from theorylab.report.console import console, print_document
    from theorylab.report.history import document_of
    from theorylab.report.json_report import to_text

    store = _open(ledger)
    row = store.run(run)
    kept = Run(document_of(row), store, row)
    document = kept.document
    if page is not None or plots is not None:
        draw(kept, page, plots)
    if style == "json":
        print(to_text(document))
    else:
        out = console()
        out.print(f"Run {row.id}: {row.command}", markup=False, soft_wrap=True)  # in one line, to be copied
        print_document(document, out, verbose=verbose)
    return int(document["exit_status"])


@click.command("diff", short_help="Compare two runs.")
@click.argument("first")
@click.argument("second")
@ledger_option
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
def diff_command(first: str, second: str, ledger: str | None, style: str) -> int:
    """Compare run FIRST with run SECOND: verdicts, tightness, sources and versions, time. Exits with 1 if a verdict changed."""
    import json

    from theorylab.report.console import console
    from theorylab.report.history import difference, print_difference

    store = _open(ledger)
    found = difference(store.run(first), store.run(second))
    if style == "json":
        print(json.dumps(found, indent=2))
    else:
        print_difference(found, console())
    return 1 if found["verdicts"] else 0


@click.command("export", short_help="Write a run's trials as CSV, JSON or Parquet.")
@click.argument("run")
@ledger_option
@click.option("--format", "style", type=click.Choice(["csv", "json", "parquet"]), default="csv", show_default=True)
@click.option(
    "--measures", is_flag=True, help="What the runs returned (kept with --keep-measures): a line per measure and entry."
)
@click.option("-o", "--output", metavar="FILE", help="Where to; stdout if left out (not for parquet).")
def export_command(run: str, ledger: str | None, style: str, measures: bool, output: str | None) -> int:
    """Write what every trial of RUN said of every claim: a line per trial and claim."""
    from theorylab.errors import UsageError
    from theorylab.report.history import COLUMNS, MEASURE_COLUMNS, measure_rows, trial_rows, write_csv, write_json, write_parquet

    store = _open(ledger)
    row = store.run(run)
    rows = measure_rows(store, row) if measures else trial_rows(store, row)
    try:
        if style == "parquet":
            if output is None:
                raise UsageError("--format parquet needs -o FILE.")
            write_parquet(rows, output)
            return 0
        stream = open(output, "w", encoding="utf-8", newline="") if output is not None else sys.stdout  # noqa: SIM115
        try:
            write_csv(rows, MEASURE_COLUMNS if measures else COLUMNS, stream) if style == "csv" else write_json(rows, row, stream)
        finally:
            if output is not None:
                stream.close()
    except BrokenPipeError:  # the reader has what it wanted
        raise
    except OSError as error:
        raise UsageError(f"{output}: {error.strerror or error}.") from None
    return 0
