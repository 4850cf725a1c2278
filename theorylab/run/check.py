"""The pipeline of `theorylab check`: plan, run what is not known, confirm, judge."""

from __future__ import annotations

import time
from typing import Any

from theorylab.errors import stop_status
from theorylab.registry import load
from theorylab.run.confirm import confirm
from theorylab.run.execute import Interrupted
from theorylab.run.judge import judge_in_order
from theorylab.run.ledger import Ledger
from theorylab.run.pictures import pictures
from theorylab.run.plan import make_plan
from theorylab.run.records import Confirmation, Report, Request
from theorylab.run.trials import Trials, Watcher, run_batches, versions
from theorylab.run.worker import Work


def check(request: Request, command: str, watcher: Watcher | None = None, ledger: Ledger | None = None) -> Report:
    """Check a plugin's claims; trials are kept in the ledger, if there is one, and those it knows are not run again.

    Raises TheorylabError for what is wrong before anything runs, and for a ledger that could not be written.
    """
    watcher = watcher or Watcher()
    started = time.monotonic()
    plugin = load(request.locator)
    plan = make_plan(request, plugin)
    watcher.planned(plan)
    for name in plan.claims:  # compile the formulas once, before threads share them
        plugin.claims[name].bound.prepare()
    work = Work(plan.claims, plan.parameters, plan.root_seed, dropped=plan.dropped)
    trials = Trials(plugin, request, plan, work, watcher, ledger)
    run_id = trials.begin(command)
    interrupted = 0
    try:
        results = run_batches(plugin, plan, trials)
    except Interrupted as stop:
        results, interrupted = stop.results, stop.status
    confirmations: dict[str, list[Confirmation]] = {}
    try:
        confirmations = confirm(plugin, plan, work, results, watcher.replaying)
    except KeyboardInterrupt as stop:  # suspects that were not replayed leave their claims inconclusive
        interrupted = stop_status(stop)
    verdicts = tuple(judge_in_order(plugin.claims[name], plan, results, confirmations.get(name, ())) for name in plan.claims)
    answers: tuple[Any, ...] = ()
    if request.instance is not None and plugin.answers is not None and not interrupted:
        answers = tuple(plugin.answers(plan.subjects[0].instance, **plan.parameters))
    drawn = pictures(plugin, plan) if request.with_pictures and not interrupted else ()
    return Report(
        plan=plan,
        plugin_title=plugin.title,
        plugin_source=plugin.source,
        claims={name: plugin.claims[name] for name in plan.claims},
        verdicts=verdicts,
        answers=answers,
        command=command,
        seconds=time.monotonic() - started,
        digests=tuple(result.digest for result in results),
        versions=versions(),
        pictures=drawn,
        run_id=run_id,
        known_trials=trials.known_count,
        interrupted=interrupted,
    )
