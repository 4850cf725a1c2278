"""What the ledger holds, for people: the list of runs, the difference of two, tables for other programs."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from theorylab.errors import LedgerError, UsageError
from theorylab.run.codec import seeds_from_json
from theorylab.run.ledger import Ledger, RunRow, is_alive

#: Relative change of measured / bound that `diff` shows.
DRIFT = 1e-9

#: Columns of an export: one line per trial and claim.
COLUMNS = (
    "run", "plugin", "claim", "instance", "instance_digest", "seed", "applies", "entries", "vacuous", "beyond", "tightness", "measured",
    "bound", "failed", "values", "bounds", "measures_digest",
)  # fmt: skip


def status_of(row: RunRow) -> str:
    """finished, running, or interrupted: a run whose process is gone was interrupted."""
    return "interrupted" if row.status == "running" and not is_alive(row) else row.status


def print_runs(rows: Sequence[RunRow], table: Table, out: Console) -> None:
    """One line a run, the latest first."""
    for column in ("run", "when", "status", "verdicts", "command"):
        table.add_column(column, no_wrap=column != "command", overflow="fold")
    for row in rows:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(row.started))
        counts = row.document["summary"] if row.document else {}
        found = ", ".join(f"{count} {status.lower()}" for status, count in counts.items() if count)
        table.add_row(row.id, when, status_of(row), found, escape(row.command))
    out.print(table)


def document_of(row: RunRow) -> Mapping[str, Any]:
    """The report of a run. Raises LedgerError if it has none yet."""
    if row.document is None:
        raise LedgerError(
            f"Run {row.id} has no report: it is {status_of(row)}. Go on with: theorylab check {row.plugin} --resume", 2
        )
    return row.document


def difference(first: RunRow, second: RunRow) -> dict[str, Any]:
    """What changed from one run to another: verdicts, tightness, what they were made of, time."""
    documents = [document_of(row) for row in (first, second)]
    claims = [{claim["name"]: claim for claim in document["plugins"][0]["claims"]} for document in documents]
    if first.plugin != second.plugin:
        raise UsageError(f"Run {first.id} is of {first.plugin}, run {second.id} of {second.plugin}: there is nothing to compare.")
    verdicts, drift = [], []
    for name in [*claims[0], *(n for n in claims[1] if n not in claims[0])]:
        before, after = (side.get(name) for side in claims)
        words = [side["verdict"] if side else "absent" for side in (before, after)]
        if words[0] != words[1]:
            verdicts.append({"claim": name, "before": words[0], "after": words[1]})
        old, new = (side["tightness"] if side else None for side in (before, after))
        if old is not None and new is not None and abs(new - old) > DRIFT * max(abs(old), abs(new)):
            drift.append({"claim": name, "before": old, "after": new})
    made_of = [row.about["versions"] | {"plugin source": row.about["plugin_source"]} for row in (first, second)]
    changed = {
        name: {"before": made_of[0].get(name), "after": made_of[1].get(name)}
        for name in sorted(set(made_of[0]) | set(made_of[1]))
        if made_of[0].get(name) != made_of[1].get(name)
    }
    seconds = [document["seconds"] for document in documents]
    return {
        "first": first.id, "second": second.id, "verdicts": verdicts, "tightness": drift, "changed": changed,
        "seconds": {"before": seconds[0], "after": seconds[1]},
    }  # fmt: skip


def print_difference(found: Mapping[str, Any], out: Console) -> None:
    """The difference in words."""
    for name, pair in found["changed"].items():
        out.print(f"{name}: {pair['before']} -> {pair['after']}", markup=False)
    for row in found["verdicts"]:
        out.print(f"{row['claim']}: {row['before']} -> {row['after']}", style="bold", markup=False)
    for row in found["tightness"]:
        out.print(f"{row['claim']}: measured/bound {row['before']:.6g} -> {row['after']:.6g}", markup=False)
    if not found["verdicts"]:
        out.print("No verdict changed.")
    seconds = found["seconds"]
    out.print(f"{found['first']} took {seconds['before']:.1f} s, {found['second']} {seconds['after']:.1f} s.")


def trial_rows(ledger: Ledger, row: RunRow) -> Iterator[dict[str, Any]]:
    """A line per kept trial and claim, in the order of the plan."""
    for label, digest, result in ledger.trials_of(row):
        for claim, seen in result.observations.items():
            tightest = seen.tightest
            yield {
                "run": row.id, "plugin": row.plugin, "claim": claim, "instance": label, "instance_digest": digest, "seed": result.seed,
                "applies": seen.applies, "entries": seen.entries, "vacuous": seen.vacuous, "beyond": seen.beyond,
                "tightness": seen.tightness, "measured": tightest.measured if tightest else None,
                "bound": tightest.bound if tightest else None, "failed": seen.failed,
                "values": list(seen.values), "bounds": list(seen.bounds), "measures_digest": result.digest,
            }  # fmt: skip


#: Columns of an export of measures: one line per trial, measure and entry.
MEASURE_COLUMNS = ("run", "plugin", "instance", "instance_digest", "seed", "measure", "entry", "value")


def measure_rows(ledger: Ledger, row: RunRow) -> Iterator[dict[str, Any]]:
    """A line per kept measure and entry, in the order of the plan. Raises LedgerError if none was kept."""
    found = False
    for subject in row.about["subjects"]:
        for seeds in seeds_from_json(subject["seeds"]):
            for seed, measures in ledger.measures_of(row.about["context"], subject["key"], seeds):
                found = True
                for name, array in measures.items():
                    for entry, value in enumerate(array.ravel().tolist()):
                        yield {
                            "run": row.id, "plugin": row.plugin, "instance": subject["label"], "instance_digest": subject["digest"],
                            "seed": seed, "measure": name, "entry": entry, "value": value,
                        }  # fmt: skip
    if not found:
        raise LedgerError(f"No measures of run {row.id} were kept. Run it with --keep-measures.", 2)


def write_csv(rows: Iterator[dict[str, Any]], columns: Sequence[str], stream: IO[str]) -> None:
    """Lists are JSON inside their cell; floats are exact."""
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: json.dumps(value) if isinstance(value, list) else value for name, value in row.items()})


def write_json(rows: Iterator[dict[str, Any]], row: RunRow, stream: IO[str]) -> None:
    """One document: what the run was made of, its report, its trials."""
    body = {"run": row.id, "about": dict(row.about), "report": row.document, "trials": list(rows)}
    json.dump(body, stream, indent=1, allow_nan=True)
    stream.write("\n")


def write_parquet(rows: Iterator[dict[str, Any]], path: str) -> None:
    """Columns of a Parquet file. Raises UsageError without pyarrow."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UsageError("Parquet needs pyarrow. Install it with: pip install 'theorylab[parquet]'") from None
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
