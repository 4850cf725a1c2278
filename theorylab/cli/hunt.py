"""`theorylab hunt`: the search for the tightest instance and for counterexamples."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path
from typing import Any

import click

from theorylab.cli.ledger_option import keep_finding, ledger_option
from theorylab.cli.options import Setting, probability

HUNTED = Path(".theorylab") / "hunt"


class Budget(click.ParamType):
    """`60s`, `5m`, or a number of instances."""

    name = "60s|N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m)?", value)
        if not match or float(match[1]) <= 0:
            self.fail(f"{value!r}: write 60s, 5m, or a number of instances.", param, ctx)
        amount = float(match[1]) * (60.0 if match[2] == "m" else 1.0)
        return ("seconds", amount) if match[2] else ("examples", int(amount))


@click.command("hunt", short_help="Search for the tightest instance or a counterexample.")
@click.argument("plugin")
@click.option("--claim", "claims", multiple=True, metavar="NAME", help="Only this claim; may be repeated.")
@click.option(
    "--budget", type=Budget(), default="60s", show_default=True, help="How long to search, or how many instances to try."
)
@click.option("--drop", multiple=True, metavar="ASSUMPTION", help="Hunt without this assumption: is it needed?")
@click.option("--seed", "root_seed", type=click.IntRange(min=0), default=0, show_default=True, help="Root of all random streams.")
@click.option(
    "--alpha", type=float, default=1e-6, show_default=True, callback=probability, help="False-alarm probability of REFUTED."
)
@click.option("--set", "settings", multiple=True, type=Setting(), help="A parameter of the run, as in --set steps=1000.")
@click.option("--format", "style", type=click.Choice(["table", "json"]), default="table", show_default=True)
@ledger_option
def hunt_command(
    plugin: str,
    claims: tuple[str, ...],
    budget: tuple[str, float],
    drop: tuple[str, ...],
    style: str,
    ledger: str | None,
    **options: Any,
) -> int:
    """Search PLUGIN's family for the instance on which each claim is tightest, and for one that violates it.

    A violation is shrunk to a small instance with readable numbers, confirmed (exactly, or on fresh seeds), and saved as a file that
    `theorylab check PLUGIN --instance FILE` replays. What earlier hunts found is kept under .theorylab and is where the next starts.

    Exits with 1 if a claim that should hold was refuted. With --drop, a counterexample shows that the assumption is needed.
    """
    from theorylab.registry import find
    from theorylab.report.console import command_line, console, wants_progress
    from theorylab.report.hunt_report import hunt_document, print_hunt
    from theorylab.report.json_report import to_text
    from theorylab.run.hunt import hunt
    from theorylab.run.records import Request

    err = console(sys.stderr)
    request = Request(locator=find(plugin), claims=claims, drop=drop, **options)
    kind, amount = budget
    arguments: dict[str, Any] = {"examples": int(amount)} if kind == "examples" else {"budget_s": amount}
    arguments["database"] = HUNTED / "examples" / Path(plugin).stem
    if wants_progress():
        with err.status("hunting") as status:
            result = hunt(request, **arguments, told=lambda n, text: status.update(f"{text}: {n} instances tried"))
    else:
        result = hunt(request, **arguments)
    result = dataclasses.replace(result, finds=tuple(save(result, found) for found in result.finds))
    status_code = exit_status(result)
    document = hunt_document(result, command_line(), status_code)
    if not result.dropped:
        keep_finding(request.locator, result.plugin, "hunt", document, ledger)
    if style == "json":
        print(to_text(document))
    else:
        print_hunt(result, console())
    return status_code


def save(result: Any, found: Any) -> Any:
    """Write the counterexample, confirmed or not, or else the tightest instance, and note the file."""
    from theorylab.problems.record import Instance, save_instance

    instance = found.instance if found.instance is not None else found.tightest
    if not isinstance(instance, Instance):
        return found
    kind = "" if found.instance is None else "-unconfirmed" if found.verdict is None else "-counterexample"
    path = HUNTED / f"{result.plugin}-{found.claim}{kind}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_instance(instance, path)
    except OSError as error:
        print(f"Warning: {path} could not be written: {error}.", file=sys.stderr)
        return found
    return dataclasses.replace(found, file=path)


def exit_status(result: Any) -> int:
    """1 if a claim fell that should hold, 3 if the plugin broke on some instance, else 0. A dropped assumption gates nothing."""
    if result.interrupted:
        return int(result.interrupted)
    if result.problems:
        return 3
    fell = any(found.verdict is not None and not found.verdict.as_expected for found in result.finds)
    return 1 if fell and not result.dropped else 0
