"""The trials of a plan: looked up in the ledger, or run, and kept the moment a block is done."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any

from theorylab import __version__
from theorylab.backend import find_backend
from theorylab.errors import Interrupted, LedgerError, PluginError
from theorylab.plugin import Plugin
from theorylab.problems.record import Instance, to_json
from theorylab.registry import Locator
from theorylab.run.codec import request_to_json, seeds_to_json
from theorylab.run.context import NUMERICS, context_digest, source_digest, subject_key
from theorylab.run.execute import execute, pool_of
from theorylab.run.judge import InOrder, slices
from theorylab.run.ledger import Ledger
from theorylab.run.plan import jobs
from theorylab.run.records import Job, Plan, Request, TrialResult, Verdict
from theorylab.run.worker import Work

#: Runs up to which a report of statistical claims lists the digest of each.
MOST_DIGESTS = 100_000


class Watcher:
    """What a check tells of its progress; this one keeps quiet."""

    def planned(self, plan: Plan) -> None:
        """The plan is made."""

    def ran(self, done: int, total: int) -> None:
        """So many runs of so many are finished."""

    def replaying(self) -> None:
        """A suspect entry was replayed."""


class Trials:
    """The trials of a plan: looked up in the ledger, or run and kept."""

    def __init__(self, plugin: Plugin, request: Request, plan: Plan, work: Work, watcher: Watcher, ledger: Ledger | None) -> None:
        self.plugin, self.request, self.plan, self.work, self.watcher, self.ledger = plugin, request, plan, work, watcher, ledger
        self.keys: list[str] = []
        self.context = ""
        self.done = self.stored = self.known_count = 0
        self._open = ExitStack()
        self._connected: Any = None
        self._processes: Any = None
        self.is_repeated = False  # whether one trial was run twice to see that it agrees with itself
        if ledger is not None:
            self.context = context_digest(request.locator, work)
            self.keys = [subject_key(subject) for subject in plan.subjects]

    def __enter__(self) -> Trials:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._open.__exit__(kind, error, trace)

    def _client(self) -> Any:
        """The client of the cluster, connected at the first block and kept until the last; None without a cluster."""
        if self.request.cluster is not None and self._connected is None:
            from theorylab.run.cluster import client_of

            self._connected = self._open.enter_context(client_of(self.request.cluster))
        return self._connected

    def _pool(self) -> Any:
        """Worker processes, started at the first block and kept until the last; None where threads do the work."""
        if self.request.workers and self.request.cluster is None and self._processes is None:
            self._processes = self._open.enter_context(pool_of(self.request.workers, self.request.memory_mib))
        return self._processes

    def begin(self, command: str) -> str | None:
        """Note the run in the ledger; its id there."""
        if self.ledger is None:
            return None
        subjects = [
            {
                "label": s.label,
                "origin": s.origin,
                "digest": s.digest,
                "key": key,
                "seeds": seeds_to_json(s.seeds),
            }
            for s, key in zip(self.plan.subjects, self.keys, strict=True)
        ]
        about = {
            "request": request_to_json(self.request), "versions": versions(self.request.locator), "plugin_source": source_digest(self.request.locator),
            "context": self.context, "claims": list(self.plan.claims), "subjects": subjects, "pid": os.getpid(), "host": platform.node(),
        }  # fmt: skip
        texts = {s.digest: json.dumps(to_json(s.instance)) for s in self.plan.subjects if isinstance(s.instance, Instance)}
        return self.ledger.begin(self.plan.plugin, command, self.context, about, texts)

    def run(self, seeds: range | None = None) -> list[TrialResult]:
        """Results of all trials, or of those with these seeds, in the order of the plan."""
        asked = jobs(self.plan, self._chunk(), max(self.request.workers, 2), seeds)
        known = {(r.subject, r.seed): r for job in asked for r in self._known(job)}
        found = list(known.values())
        missing = [Job(j.subject, tuple(s for s in j.seeds if (j.subject, s) not in known)) for j in asked]
        missing = [job for job in missing if job.seeds]
        self.known_count += len(found)
        self.done += len(found)
        if found:
            self.watcher.ran(self.done, self.plan.trials)
        twice = missing[0] if missing and not self.is_repeated else None
        blocks = [*missing, Job(twice.subject, twice.seeds[:1])] if twice else missing
        try:
            results = execute(
                self.plugin, self.request.locator, self.plan, blocks, self.work, workers=self.request.workers,
                timeout_s=self.request.timeout_s, pool=self._pool(), client=self._client(), finished=self._finished,
            )  # fmt: skip
        except Interrupted as stop:
            raise Interrupted(in_order([*found, *_without_repeats(stop.results)]), stop.status) from None
        except LedgerError as error:
            raise LedgerError(
                f"{error} {self.stored} of {self.plan.trials} runs are kept. Make room, then: "
                f"theorylab check {self.plan.target} --resume"
            ) from None
        if twice is not None:
            self.is_repeated = True
            self._compare(twice, results)
        return in_order([*found, *_without_repeats(results)])

    def _chunk(self) -> int | None:
        """Seeds of a block: as many as the backend takes at once, unless the user said how many."""
        locator = self.request.locator
        if self.request.chunk is None and locator.backend:
            return find_backend(locator.backend).width(locator.device)
        return self.request.chunk

    def _known(self, job: Job) -> list[TrialResult]:
        """The trials of a block that the ledger has."""
        if self.ledger is None or not self.request.use_cache:
            return []
        return self.ledger.lookup(
            self.context, self.keys[job.subject], job.subject, job.seeds, self.plan.claims, with_measures=self.work.keep_measures
        )

    def _finished(self, results: Sequence[TrialResult]) -> None:
        self.done += len(results)
        if self.ledger is not None:
            self.stored += self.ledger.store(self.context, [(self.keys[r.subject], r) for r in results])
        self.watcher.ran(min(self.done, self.plan.trials), self.plan.trials)

    def _compare(self, twice: Job, results: Sequence[TrialResult]) -> None:
        """The same trial, run in a block and alone, must agree to the last bit."""
        pair = [r for r in results if (r.subject, r.seed) == (twice.subject, twice.seeds[0])]
        if len({r.digest for r in pair if r.problem is None}) > 1:
            if self.ledger is not None:
                self.ledger.forget(self.context)
            where = f"instance {self.plan.subjects[twice.subject].label}, seed {twice.seeds[0]}"
            raise PluginError(
                f"{self.plan.plugin}: the same trial ({where}) was run twice and gave different measures. "
                "Take all randomness from `rng`, keep no state between runs, and let no seed of a batch depend on the others."
            )


def in_order(results: Sequence[TrialResult]) -> list[TrialResult]:
    """Trials in the order of the plan."""
    return sorted(results, key=lambda r: (r.subject, r.seed))


def _without_repeats(results: Sequence[TrialResult]) -> list[TrialResult]:
    """One result per trial, whichever of two was finished first: they agree, unless one fell to an accident, and then the other counts."""
    kept = {(r.subject, r.seed): r for r in sorted(results, key=lambda r: (r.problem is None, r.problem or ""))}.values()
    return [replace(r, measures=None) if r.measures is not None else r for r in kept]  # they are in the ledger now


def run_in_order(
    plugin: Plugin, plan: Plan, trials: Trials, deadline: float | None = None
) -> tuple[dict[str, Verdict], list[str], int, list[TrialResult]]:
    """Batches of seeds until each statistical claim is decided; each batch is judged and forgotten, unless there are claims on single runs.

    Returns the verdicts of the statistical claims, the digests of the trials (none beyond MOST_DIGESTS), the exit status of an interruption or 0,
    and the results for the claims on single runs.
    """
    running = {name: InOrder(plugin.claims[name], plan) for name in plan.claims if plugin.claims[name].is_statistical}
    kept: list[TrialResult] = []
    most = max((max(subject.seeds, default=-1) for subject in plan.subjects), default=-1) + 1
    digests: dict[tuple[int, int], str] = {}
    interrupted = 0
    for part, is_look in slices(most):
        try:
            results = trials.run(part)
        except Interrupted as stop:
            results, interrupted = stop.results, stop.status
        for one in running.values():
            one.add(results, is_look=is_look)
        if len(running) < len(plan.claims):
            kept += results
        if plan.trials <= MOST_DIGESTS:
            digests |= {(r.subject, r.seed): r.digest for r in results}
        if (
            interrupted
            or all(one.is_decided for one in running.values())
            or (deadline is not None and time.monotonic() > deadline)
        ):
            break
    verdicts = {name: one.verdict() for name, one in running.items()}
    return verdicts, [digests[trial] for trial in sorted(digests)], interrupted, kept


def versions(locator: Locator) -> dict[str, str]:
    """What the numbers depend on."""
    from importlib.metadata import version

    names = NUMERICS if not locator.backend else (*NUMERICS, *find_backend(locator.backend).packages)
    return {
        "theorylab": __version__,
        "python": platform.python_version(),
        **{n: version(n) for n in names},
        "platform": sys.platform,
    }
