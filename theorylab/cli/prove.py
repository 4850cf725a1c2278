"""`theorylab prove`: the steps of proofs that a machine checks."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from theorylab.proof.run import Result
    from theorylab.proof.steps import Proofs

COLOURS = {"VERIFIED": "green", "UNPROVED": "yellow", "FALSE": "bold red"}


@click.command("prove", short_help="Check the steps of a plugin's proofs by machine.")
@click.argument("plugins", nargs=-1, metavar="PLUGIN...")
@click.option("--all", "everything", is_flag=True, help="All plugins that have proof steps.")
@click.option("--step", "steps", multiple=True, metavar="NAME", help="Only this step; may be repeated.")
@click.option(
    "--certificates",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write certificates there, one JSON file a plugin.",
)
@click.option(
    "--verify",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Verify certificates from there, without any solver or search.",
)
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--verbose", is_flag=True, help="What each step says, and the claims that rest on it.")
def prove_command(
    plugins: tuple[str, ...],
    everything: bool,
    steps: tuple[str, ...],
    certificates: Path | None,
    verify: Path | None,
    style: str,
    verbose: bool,
) -> int:
    """Check the proof steps of PLUGIN.

    VERIFIED: an identity that algebra reduces to 0 and random exact points confirm; an inequality with a certificate that exact or outward-rounded arithmetic
    verifies; a finite statement gone through case by case. UNPROVED: no certificate was found, or it does not hold in exact arithmetic. FALSE: there is a point
    where the step fails.

    A solver's word is never the proof: what it proposes is rounded to fractions and verified. Exits with 0 if every step is verified, with 1 otherwise.
    """
    from theorylab.errors import UsageError
    from theorylab.proof import run as proving
    from theorylab.registry import find, load

    if everything == bool(plugins):
        raise UsageError("Name plugins, or say --all.")
    if verify is not None and certificates is not None:
        raise UsageError("--certificates writes and --verify reads: choose one.")
    chosen = list(proving.with_proofs()) if everything else list(dict.fromkeys(plugins))
    documents: list[dict[str, Any]] = []
    status = 0
    for name in chosen:
        proofs = proving.load_proofs(name)
        proving.check_claims(proofs, load(find(name)))
        unknown = [s for s in steps if s not in proofs.steps]
        if unknown and not everything and len(chosen) == 1:
            raise UsageError(f"{name} has no proof step {unknown[0]!r}. It has: {', '.join(proofs.steps)}.")
        kept = proving.read_certificates(verify / f"{name}.json") if verify is not None else None
        results = []
        for step in proofs.steps.values():
            if steps and step.name not in steps:
                continue
            if kept is None:
                result = proving.prove_step(step)
            elif step.name in kept:
                result = proving.verify_step(step, kept[step.name])
            else:
                raise UsageError(
                    f"{verify}/{name}.json has no certificate for step {step.name!r}. Run `prove --certificates` again."
                )
            results.append(result)
            if style == "table":
                _show(name, result, len(results) == 1, verbose)
        if certificates is not None:
            proving.save_certificates(proofs, results, certificates)
        if not steps:
            _remember(proofs, results)
        documents.append(_document(name, results))
        if any(r.status != "VERIFIED" for r in results):
            status = 1
    if style == "json":
        from theorylab.report.json_report import to_text

        print(to_text({"schema": 1, "plugins": documents, "exit_status": status}))
    else:
        _summarise(documents, certificates)
    return status


def _remember(proofs: Proofs, results: Sequence[Result]) -> None:
    from theorylab.proof.run import KEPT, remember

    try:
        remember(proofs, results, KEPT)
    except OSError as error:
        print(f"Warning: {KEPT} cannot be written ({error}); reports of `check` will not show these steps.", file=sys.stderr)


def _document(name: str, results: Sequence[Result]) -> dict[str, Any]:
    return {
        "name": name,
        "steps": [
            {
                "name": r.step.name, "kind": r.kind, "status": r.status, "detail": r.detail, "seconds": round(r.seconds, 3), "statement": r.step.statement,
                "claims": list(r.step.supports), "source": r.step.source, "certificates": list(r.certificates),
            }
            for r in results
        ],
    }  # fmt: skip


def _show(name: str, result: Result, is_first: bool, verbose: bool) -> None:
    from rich.markup import escape
    from rich.padding import Padding

    from theorylab.report.console import console

    out, step = console(), result.step
    if is_first:
        out.print(f"[bold]{name}[/]")
    out.print(f"  [{COLOURS[result.status]}]{result.status}[/] {step.name} [dim]({result.kind}, {result.seconds:.2f} s)[/]")
    if verbose or result.status != "VERIFIED":
        out.print(Padding(escape(" ".join(step.statement.split())), (0, 0, 0, 6)))
    out.print(Padding(escape(result.detail), (0, 0, 0, 6)), style="dim")
    if verbose and step.supports:
        out.print(Padding(escape("rests on it: " + ", ".join(step.supports)), (0, 0, 0, 6)), style="dim")


def _summarise(documents: Sequence[dict[str, Any]], certificates: Path | None) -> None:
    rows = [step for document in documents for step in document["steps"]]
    counts = {status: sum(row["status"] == status for row in rows) for status in ("VERIFIED", "UNPROVED", "FALSE")}
    parts = ", ".join(f"{count} {status}" for status, count in counts.items() if count or status == "VERIFIED")
    where = f" Certificates: {certificates}." if certificates is not None else ""
    print(f"{len(rows)} step{'s' if len(rows) != 1 else ''}: {parts}. {sum(row['seconds'] for row in rows):.1f} s.{where}")
