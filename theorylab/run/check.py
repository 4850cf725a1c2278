"""The pipeline of `theorylab check`: plan, run what is not known, confirm, judge."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from theorylab.errors import Interrupted, stop_status
from theorylab.plugin import Plugin
from theorylab.registry import load
from theorylab.run.ahead import ahead
from theorylab.run.confirm import confirm
from theorylab.run.judge import judge_in_order
from theorylab.run.ledger import Ledger
from theorylab.run.pictures import pictures
from theorylab.run.plan import make_plan
from theorylab.run.records import Confirmation, Plan, Report, Request, TrialResult, Verdict
from theorylab.run.traces import traces
from theorylab.run.trials import Trials, Watcher, in_order, run_in_order, versions
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
    work = Work(plan.claims, plan.parameters, plan.root_seed, dropped=plan.dropped, keep_measures=request.keep_measures)
    trials = Trials(plugin, request, plan, work, watcher, ledger)
    run_id = trials.begin(command)
    claims = [plugin.claims[name] for name in plan.claims]
    deadline = started + request.time_budget_s if request.time_budget_s is not None else None
    with trials, ahead(request.locator, plugin):
        # Where a run is dear, claims on single runs are content with the runs that the others need.
        few = bool(request.locator.backend) and any(claim.is_statistical for claim in claims)
        if plugin.algorithm.draws_instance or (any(claim.mode.is_pathwise for claim in claims) and not few):
            verdicts, digests, interrupted = _all_at_once(plugin, plan, work, trials, watcher, deadline)
        else:
            verdicts, digests, interrupted = _in_order(plugin, plan, work, trials, watcher, deadline)
    is_late = deadline is not None and time.monotonic() > deadline
    answers: tuple[Any, ...] = ()
    if request.instance is not None and plugin.answers is not None and not interrupted:
        answers = tuple(plugin.answers(plan.subjects[0].instance, **plan.parameters))
    drawn = pictures(plugin, plan) if request.with_pictures and not interrupted else ()
    traced = traces(plugin, plan, verdicts) if request.with_traces and not interrupted else {}
    return Report(
        plan=plan,
        plugin_title=plugin.title,
        plugin_source=plugin.source,
        assumptions={name: " ".join((holds.__doc__ or "").split()) for name, holds in plugin.assumptions.items()},
        claims={name: plugin.claims[name] for name in plan.claims},
        verdicts=verdicts,
        answers=answers,
        command=command,
        seconds=time.monotonic() - started,
        digests=tuple(digests),
        versions=versions(request.locator),
        pictures=drawn,
        traces=traced,
        run_id=run_id,
        known_trials=trials.known_count,
        interrupted=interrupted,
        unfinished=max(plan.trials - trials.done, 0) if is_late and not interrupted else 0,
    )


def doubling(plan: Plan, deadline: float, clock: Callable[[], float] = time.monotonic) -> Iterator[range]:
    """Seeds 0, 1 and 2, 3 to 6, ...: every instance is seen once before any is seen often, which tells most in least time.

    No slice is longer than the time that is left allows at the speed of the one before, and after the deadline there is none.
    """
    most = max((max(subject.seeds, default=-1) for subject in plan.subjects), default=-1) + 1
    begin, length = 0, 1
    while begin < most and (begin == 0 or clock() < deadline):
        started = clock()
        yield range(begin, min(begin + length, most))
        begin, now = begin + length, clock()
        fits = (deadline - now) / max(now - started, 1e-9) * length
        length = max(1, min(2 * length, int(fits)))


def _all_at_once(
    plugin: Plugin, plan: Plan, work: Work, trials: Trials, watcher: Watcher, deadline: float | None
) -> tuple[tuple[Verdict, ...], list[str], int]:
    """All trials, suspects replayed exactly, every claim judged; verdicts, digests, exit status of an interruption or 0."""
    interrupted = 0
    results: list[TrialResult] = []
    for part in doubling(plan, deadline) if deadline is not None else [None]:
        try:
            results += trials.run(part)
        except Interrupted as stop:
            results += stop.results
            interrupted = stop.status
        if interrupted:
            break
    results = in_order(results)
    confirmations, stopped = _confirmed(plugin, plan, work, results, watcher)
    interrupted = interrupted or stopped
    verdicts = tuple(judge_in_order(plugin.claims[name], plan, results, confirmations.get(name, ())) for name in plan.claims)
    return verdicts, [result.digest for result in results], interrupted


def _in_order(
    plugin: Plugin, plan: Plan, work: Work, trials: Trials, watcher: Watcher, deadline: float | None
) -> tuple[tuple[Verdict, ...], list[str], int]:
    """Batches until the statistical claims are decided; claims on single runs speak of the runs that this took."""
    decided, digests, interrupted, kept = run_in_order(plugin, plan, trials, deadline)
    kept = in_order(kept)
    confirmations, stopped = _confirmed(plugin, plan, work, kept, watcher)
    verdicts = tuple(
        decided[name] if name in decided else judge_in_order(plugin.claims[name], plan, kept, confirmations.get(name, ()))
        for name in plan.claims
    )
    return verdicts, digests, interrupted or stopped


def _confirmed(
    plugin: Plugin, plan: Plan, work: Work, results: list[TrialResult], watcher: Watcher
) -> tuple[dict[str, list[Confirmation]], int]:
    """What exact replay says of the suspects, and the exit status of an interruption or 0: suspects that were not replayed leave their claims inconclusive."""
    try:
        return confirm(plugin, plan, work, results, watcher.replaying), 0
    except KeyboardInterrupt as stop:
        return {}, stop_status(stop)
