"""`theorylab check`: the main job."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from theorylab.cli.ledger_option import ledger_option, ledger_path
from theorylab.cli.options import Duration, SeedCount, Trial, backend_options, drawing_options, probability, running_options


@click.command("check", short_help="Check what a plugin's theorems say.")
@click.argument("plugin")
@click.option(
    "--seeds",
    type=SeedCount(),
    default=100,
    show_default=True,
    help="Budget of seeds, or as many as the claims need.",
)
@click.option("--instance", metavar="FILE|NAME", help="Check one instance: a file of yours, or a named one.")
@click.option(
    "--replay", type=Trial(), help="Run one trial again, bit for bit, as an instance (name, drawn-N or file) and its seed."
)
@click.option("--confidence", type=float, default=0.99, show_default=True, callback=probability,
              help="What SUPPORTED asks for, per instance.")  # fmt: skip
@click.option("--format", "style", type=click.Choice(["table", "json", "github"]), default="table", show_default=True,
              help="github: annotations, and a table in the job's summary.")  # fmt: skip
@click.option("--junit", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write JUnit XML there, too.")
@click.option(
    "--time-budget",
    "time_budget_s",
    type=Duration(),
    metavar="TIME",
    help="Begin nothing new after this, as in 5m; judge what was finished.",
)
@backend_options
@drawing_options
@click.option("--strict", is_flag=True, help="Exit with 4 if a claim is inconclusive or vacuous.")
@click.option(
    "--cluster", metavar="ADDRESS", help="Run on Dask: tcp://HOST:PORT, a scheduler file, or local:N. Never changes a result."
)
@click.option("--resume", is_flag=True, help="Go on with the last run of PLUGIN that was interrupted, with its options.")
@click.option("--keep-measures", is_flag=True, help="Keep all that the runs return in the ledger, for export.")
@click.option("--no-cache", is_flag=True, help="Run again what the ledger knows.")
@ledger_option
@click.option("-v", "--verbose", is_flag=True, help="Say of every claim what it states and what was found.")
@running_options
def check_command(
    plugin: str,
    seeds: int | str,
    instance: str | None,
    style: str,
    strict: bool,
    verbose: bool,
    plots: Path | None,
    page: Path | None,
    resume: bool,
    no_cache: bool,
    ledger: str | None,
    junit: Path | None,
    backend: str | None,
    device: str,
    **options: Any,
) -> int:
    """Check the claims of PLUGIN (a name, or a file my_plugin.py) on its named instances and on drawn ones.

    \b
    SUPPORTED     held on every instance tested, at the stated confidence
    CONSISTENT    not refuted, and within 10 % of the bound
    REFUTED       a violation was confirmed; the counterexample is saved
    INCONCLUSIVE  too few seeds, or too close to rounding; says what would decide
    VACUOUS       the bound allows everything at this scale; says from where it does not
    """
    from theorylab.checked import PAGE, Run, conclude, exit_status, save_counterexamples, with_proof_steps
    from theorylab.cli.progress import ConsoleWatcher
    from theorylab.errors import UsageError
    from theorylab.registry import find_with
    from theorylab.report.console import command_line, console, print_report, wants_progress
    from theorylab.report.json_report import to_text
    from theorylab.run.check import check
    from theorylab.run.ledger import Ledger
    from theorylab.run.records import Request
    from theorylab.run.trials import Watcher

    if options["replay"] is not None and instance is not None:
        raise UsageError("--replay names the instance itself: leave --instance out.")
    if options["timeout_s"] is not None and not options["workers"]:
        raise UsageError("--timeout needs --workers: nothing can interrupt a kernel from inside its own process.")
    if options["memory_mib"] is not None and not options["workers"]:
        raise UsageError("--memory needs --workers: it would limit this process, compiler and all.")
    if options["cluster"] is not None:
        from theorylab.run.cluster import require_dask

        require_dask()
        if options["workers"] or options["timeout_s"] is not None:
            raise UsageError("--cluster has workers of its own: leave --workers and --timeout out.")
    is_drawn = page is not None or plots is not None
    request = Request(
        locator=find_with(plugin, backend, device), seeds=None if seeds == "auto" else int(seeds), instance=instance, with_pictures=is_drawn, with_traces=is_drawn,
        use_cache=not no_cache, **options,
    )  # fmt: skip
    where = ledger_path(ledger)
    if options["keep_measures"] and where is None:
        raise UsageError("--keep-measures needs a ledger: leave --ledger off out.")
    # What is drawn comes from the ledger: with --ledger off, from one in memory.
    store = Ledger.open(where) if where is not None or is_drawn else None
    if resume:
        request = resumed(request, store, where)
    if is_drawn:  # what is missing is said before the run, not after it
        from theorylab.report.plots import require_matplotlib

        require_matplotlib()
    if page is not None:
        from theorylab.report.page import require_jinja, require_place

        require_jinja()
        require_place(page)
    watcher = ConsoleWatcher(console(sys.stderr), wants_progress()) if style == "table" or wants_progress() else None
    with watcher or nullcontext():
        report = check(request, command_line(), watcher or Watcher(), store)
    report = with_proof_steps(save_counterexamples(report))
    status = exit_status(report, strict)
    document = conclude(report, status, store)
    drawn = (
        Run(document, store, store.run(report.run_id)) if is_drawn and store is not None and report.run_id is not None else None
    )
    document = {name: value for name, value in document.items() if name != PAGE}
    if junit is not None:
        from theorylab.report.junit import save_junit

        save_junit(document, junit)
    if style == "json":
        print(to_text(document))
    elif style == "github":
        from theorylab.report.console import last_line
        from theorylab.report.github import print_github

        print_github(document, last_line(document))
    else:
        print_report(report, console(), verbose=verbose)
    if drawn is not None:  # after the verdicts, which a full disk does not take away
        draw(drawn, page, plots)
    if store is not None and store.trouble and where is not None:
        print(f"Warning: {store.trouble}", file=sys.stderr)
    if report.interrupted and store is not None and where is not None and not store.trouble:
        print(f"Go on with: theorylab check {report.plan.target} --resume", file=sys.stderr)
    return status


def resumed(asked: Any, store: Any, where: Path | None) -> Any:
    """The request of the last unfinished run of this plugin; how it is run (workers, limits, plots) may be chosen anew."""
    import dataclasses

    from theorylab.errors import UsageError
    from theorylab.run.codec import request_from_json
    from theorylab.run.ledger import is_alive

    if store is None:
        raise UsageError("--resume needs a ledger: leave --ledger off out.")
    for row in store.runs():
        stored = row.about["request"]
        if stored["locator"] == dataclasses.asdict(asked.locator) and row.is_unfinished and not is_alive(row):
            try:
                request = request_from_json(stored)
            except (ValueError, TypeError) as error:
                raise UsageError(
                    f"Run {row.id} cannot be resumed: it was begun by another version of theorylab ({error})."
                ) from None
            print(f"Going on with run {row.id}: {row.command}", file=sys.stderr)
            return dataclasses.replace(
                request, workers=asked.workers, timeout_s=asked.timeout_s, cluster=asked.cluster, memory_mib=asked.memory_mib, with_pictures=asked.with_pictures, with_traces=asked.with_traces,
                use_cache=True,
            )  # fmt: skip
    raise UsageError(f"No run of {asked.locator.name} was interrupted in {where}. `theorylab runs` lists what there is.")


def draw(run: Any, page: Path | None, plots: Path | None) -> None:
    """Write the page and the plots that were asked for, and say where they are."""
    if plots is not None:
        files = run.save_plots(plots)
        print(f"{len(files)} files in {plots}" if files else f"{run.plugin} has no figure for this.", file=sys.stderr)
    if page is not None:
        run.save_html(page)
        print(f"The report is in {page}", file=sys.stderr)
