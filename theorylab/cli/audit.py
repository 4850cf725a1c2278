"""`theorylab audit`: can the claims fail?"""

from __future__ import annotations

import dataclasses
import sys
import time
from typing import Any

import click

from theorylab.cli.ledger_option import keep_finding, ledger_option
from theorylab.cli.options import backend_options, running_options


@click.command("audit", short_help="Print the kill matrix.")
@click.argument("plugin")
@click.option("--seeds", type=click.IntRange(min=1), default=16, show_default=True, help="Seeds per mutant.")
@click.option("--mutant", "mutants", multiple=True, metavar="NAME", help="Only this mutant; may be repeated.")
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@ledger_option
@backend_options
@running_options
def audit_command(
    plugin: str,
    seeds: int,
    mutants: tuple[str, ...],
    style: str,
    ledger: str | None,
    backend: str | None,
    device: str,
    **options: Any,
) -> int:
    """Run every broken variant (mutant) of PLUGIN in the algorithm's place: each must be refuted, by the claims that say so.

    Exits with 1 when a mutant survives or a claim refutes none, unless the plugin states the reason.
    """
    from theorylab.registry import find_with
    from theorylab.report.console import command_line, console, print_audit, wants_progress
    from theorylab.report.json_report import audit_document, to_text
    from theorylab.run.audit import audit
    from theorylab.run.records import Request

    started = time.monotonic()
    err = console(sys.stderr)
    request = Request(locator=find_with(plugin, backend, device), seeds=seeds, **options)
    if wants_progress():
        with err.status("auditing") as status:
            result = audit(request, lambda mutant: status.update(f"auditing: {mutant}"), mutants)
    else:
        result = audit(request, mutants=mutants)
    result = dataclasses.replace(result, seconds=time.monotonic() - started)
    code = result.stopped or (0 if result.is_clean else 1)
    document = audit_document(result, command_line(), code)
    if not (mutants or request.claims or result.left):  # a part of the matrix is no matrix
        keep_finding(request.locator, result.plugin, "audit", document, ledger)
    if style == "json":
        print(to_text(document))
    else:
        print_audit(result, console())
    if result.left:
        rest = " ".join(f"--mutant {name}" for name in result.left)
        err.print(f"Stopped. Go on with: theorylab audit {request.locator.target} --seeds {seeds} {rest}", soft_wrap=True)
    return code
