"""The pipeline of `theorylab check`: plan, execute, confirm, judge."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Sequence
from typing import Any

from theorylab import __version__
from theorylab.errors import stop_status
from theorylab.plugin import Plugin
from theorylab.registry import load
from theorylab.run.confirm import confirm
from theorylab.run.execute import Interrupted, execute
from theorylab.run.judge import is_decided, judge_in_order, looks
from theorylab.run.pictures import pictures
from theorylab.run.plan import jobs, make_plan
from theorylab.run.records import Confirmation, Job, Plan, Report, Request, TrialResult
from theorylab.run.worker import Work


class Watcher:
    """What a check tells of its progress; this one keeps quiet."""

    def planned(self, plan: Plan) -> None:
        """The plan is made."""

    def ran(self, done: int, total: int) -> None:
        """So many runs of so many are finished."""

    def replaying(self) -> None:
        """A suspect entry was replayed."""


def check(request: Request, command: str, watcher: Watcher | None = None) -> Report:
    """Check a plugin's claims. Raises TheorylabError for what is wrong before anything runs."""
    watcher = watcher or Watcher()
    started = time.monotonic()
    plugin = load(request.locator)
    plan = make_plan(request, plugin)
    watcher.planned(plan)
    for name in plan.claims:  # compile the formulas once, before threads share them
        plugin.claims[name].bound.prepare()
    work = Work(plan.claims, plan.parameters, plan.root_seed, dropped=plan.dropped)
    interrupted = 0
    try:
        results = run_batches(plugin, request, plan, work, watcher)
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
        interrupted=interrupted,
    )


def run_batches(plugin: Plugin, request: Request, plan: Plan, work: Work, watcher: Watcher) -> list[TrialResult]:
    """All trials; or, where every claim is statistical, batches of seeds until each claim is decided."""
    claims = [plugin.claims[name] for name in plan.claims]
    total = plan.trials

    def execute_some(blocks: Sequence[Job], before: int) -> list[TrialResult]:
        return execute(
            plugin,
            request.locator,
            plan,
            blocks,
            work,
            workers=request.workers,
            timeout_s=request.timeout_s,
            progress=lambda done: watcher.ran(before + done, total),
        )

    if any(claim.mode.is_pathwise for claim in claims):
        return execute_some(jobs(plan, request.chunk, max(request.workers, 2)), 0)
    results: list[TrialResult] = []
    most = max((max(subject.seeds, default=-1) for subject in plan.subjects), default=-1) + 1
    done = 0
    for n in looks(most):
        try:
            results += execute_some(jobs(plan, request.chunk, max(request.workers, 2), range(done, n)), len(results))
        except Interrupted as stop:
            raise Interrupted(sorted([*results, *stop.results], key=lambda r: (r.subject, r.seed)), stop.status) from None
        results.sort(key=lambda r: (r.subject, r.seed))
        done = n
        if all(is_decided(claim, plan, results) for claim in claims):
            break
    return results


def versions() -> dict[str, str]:
    """What the numbers depend on."""
    from importlib.metadata import version

    names = ("numpy", "scipy", "numba", "sympy")
    return {
        "theorylab": __version__,
        "python": platform.python_version(),
        **{n: version(n) for n in names},
        "platform": sys.platform,
    }
