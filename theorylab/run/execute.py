"""Run the blocks of a plan: in threads of this process, or in worker processes that may die without taking the run along."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from theorylab import progress
from theorylab.errors import Interrupted, stop_status
from theorylab.plugin import Plugin
from theorylab.registry import Locator
from theorylab.run.records import Job, Plan, TrialResult
from theorylab.run.worker import Work, pack, run_block, run_block_in_worker, shared_state, start_worker

Finished = Callable[[Sequence[TrialResult]], None]

#: Added to every deadline: the first block of a worker also pays for imports and compilation.
GRACE_S = 60.0


def execute(
    plugin: Plugin,
    locator: Locator,
    plan: Plan,
    blocks: Sequence[Job],
    work: Work,
    *,
    workers: int = 0,
    timeout_s: float | None = None,
    memory_mib: int | None = None,
    pool: Any = None,
    client: Any = None,
    finished: Finished = lambda results: None,
) -> list[TrialResult]:
    """Results in the order of the plan, whatever the order of completion. `finished` is told of each block as it is done.

    workers    0: threads of this process; n: so many processes
    timeout_s  per trial; needs processes, since nothing interrupts a kernel from inside
    memory_mib address space of a worker process
    pool       of worker processes from `pool_of`, for callers that execute more than once; else one is made and closed here
    client     of a Dask cluster, in the place of processes
    """
    done: list[TrialResult] = []
    progress.begin()
    with contextlib.ExitStack() as stack:
        if client is not None:
            from theorylab.run.cluster import cluster_blocks

            source = cluster_blocks(locator, plan, blocks, work, client)
        elif workers:
            pool = pool or stack.enter_context(pool_of(workers, memory_mib))
            source = _processes(pool, locator, plan, blocks, work, timeout_s)
        else:
            source = _threads(plugin, plan, blocks, work)
        stack.callback(source.close)  # whatever stops us, what has not begun does not begin
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))  # a plugin that prints must not spoil the result
        try:
            for results in source:
                done += results
                finished(results)
        except KeyboardInterrupt as stop:
            raise Interrupted(_sorted(done), stop_status(stop)) from None
    return _sorted(done)


def _sorted(results: list[TrialResult]) -> list[TrialResult]:
    return sorted(results, key=lambda result: (result.subject, result.seed))


def _threads(plugin: Plugin, plan: Plan, blocks: Sequence[Job], work: Work) -> Generator[list[TrialResult]]:
    pool = ThreadPoolExecutor(max_workers=os.cpu_count() or 1)
    try:
        world = shared_state()
        futures = [pool.submit(run_block, plugin, work, plan.subjects[job.subject], job, world) for job in blocks]
        for future in as_completed(futures):
            yield future.result()
    except BaseException:
        progress.ask_to_stop()  # before the blocks that are running are waited for
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def pool_of(workers: int, memory_mib: int | None) -> Iterator[Any]:
    """Worker processes, gone afterwards: at once if anything went wrong."""
    from multiprocessing import get_context

    from pebble import ProcessPool

    pool = ProcessPool(max_workers=workers, context=get_context("spawn"), initializer=start_worker, initargs=[memory_mib])
    try:
        yield pool
        pool.close()
    except BaseException:
        pool.stop()
        raise
    finally:
        pool.join(timeout=5)


def _processes(
    pool: Any, locator: Locator, plan: Plan, blocks: Sequence[Job], work: Work, timeout_s: float | None
) -> Generator[list[TrialResult]]:
    again: set[tuple[int, int]] = set()

    def schedule(job: Job) -> Any:
        limit = None if timeout_s is None else GRACE_S + timeout_s * len(job.seeds)
        return pool.schedule(run_block_in_worker, args=[locator, pack(work, plan.subjects[job.subject], job)], timeout=limit)

    pending = {schedule(job): job for job in blocks}
    try:
        while pending:
            future = next(as_completed(pending))
            job = pending.pop(future)
            problem = _failure(future, timeout_s)
            if problem is None:
                yield future.result()
            elif len(job.seeds) == 1 and (job.subject, job.seeds[0]) not in again:
                again.add((job.subject, job.seeds[0]))  # it may have been the machine's fault: once more
                pending[schedule(job)] = job
            elif len(job.seeds) == 1:
                yield [TrialResult(job.subject, job.seeds[0], problem=problem)]
            else:  # halve the block until the guilty seed is alone
                middle = len(job.seeds) // 2
                for half in (job.seeds[:middle], job.seeds[middle:]):
                    smaller = Job(job.subject, half)
                    pending[schedule(smaller)] = smaller
    except BaseException:
        pool.stop()
        raise


def _failure(future: Any, timeout_s: float | None) -> str | None:
    """Why a block gave no results, or None if it did."""
    from pebble import ProcessExpired

    try:
        future.result()
    except ProcessExpired as death:
        code = death.exitcode
        return f"the worker process was killed (signal {-code})" if code < 0 else f"the worker process exited with status {code}"
    except (TimeoutError, FutureTimeout):
        return f"timed out: no result within {timeout_s:g} s"
    except CancelledError:
        return "cancelled"
    return None
