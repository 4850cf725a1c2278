"""Blocks on a Dask cluster: the same plan, the same code, the same bits, on workers that come and go."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Generator, Iterator, Sequence
from typing import Any

from theorylab.errors import PluginError, UsageError
from theorylab.registry import Locator
from theorylab.run.context import fingerprint
from theorylab.run.records import Job, Plan, TrialResult
from theorylab.run.worker import Work, pack, run_block_in_worker

#: Blocks that wait on the cluster, per worker thread: enough that none idles, few enough that memory does not grow with the plan.
AHEAD = 4

#: Workers that may die under a block before it is held to be at fault.
DEATHS = 3


def require_dask() -> None:
    """Raise UsageError, with the way out, where Dask is missing."""
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise UsageError("--cluster needs Dask. Install it with: pip install 'theorylab[dask]'") from None


def run_block_on_cluster(locator: Locator, packed: bytes, expected: str) -> list[TrialResult]:
    """A block on a worker, which first sees that its sources and versions are those of the client."""
    results = run_block_in_worker(locator, packed, is_watched=False)  # Dask's own threads draw from `random`
    found = fingerprint(locator)
    if found != expected:
        import socket

        raise PluginError(
            f"A worker on {socket.gethostname()} has other sources or versions of theorylab, {locator.name}, Python or numpy than this "
            "process: its results would differ. Install the same environment there."
        )
    return results


@contextlib.contextmanager
def client_of(address: str) -> Iterator[Any]:
    """A client of `tcp://HOST:PORT`, of a scheduler file, or of `local:N`: N worker processes of this machine, gone afterwards."""
    require_dask()
    import dask
    from distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # deaths of workers are ours to report
    dask.config.set({"distributed.scheduler.allowed-failures": DEATHS, "distributed.comm.timeouts.connect": "20s"})
    with contextlib.ExitStack() as stack:
        if address.startswith("local:"):
            count = address.removeprefix("local:")
            if not count.isdigit() or int(count) < 1:
                raise UsageError(f"--cluster {address}: write local:N with N >= 1.")
            made = LocalCluster(n_workers=int(count), threads_per_worker=1, dashboard_address=None, memory_limit=0)
            client = stack.enter_context(Client(stack.enter_context(made)))
        else:
            try:
                client = stack.enter_context(
                    Client(address) if "://" in address else Client(scheduler_file=address, timeout="20s")
                )
            except (OSError, ValueError, TimeoutError) as error:
                raise UsageError(f"--cluster {address}: no scheduler answers there ({error}).") from None
        yield client


def cluster_blocks(locator: Locator, plan: Plan, blocks: Sequence[Job], work: Work, client: Any) -> Generator[list[TrialResult]]:
    """Results block by block, as they are finished; `client` from `client_of`."""
    from distributed import KilledWorker, as_completed

    expected = fingerprint(locator)
    waiting, suspected = list(reversed(blocks)), []
    pending: dict[Any, Job] = {}

    def submit(job: Job) -> Any:
        packed = pack(work, plan.subjects[job.subject], job)
        future = client.submit(run_block_on_cluster, locator, packed, expected, pure=False, retries=0)
        pending[future] = job
        return future

    def threads() -> int:  # workers come and go
        return max(sum(client.nthreads().values()), 1)

    done = as_completed([submit(waiting.pop()) for _ in range(min(len(waiting), AHEAD * threads()))])
    for future in done:
        job, error = pending.pop(future), future.exception()
        if isinstance(error, PluginError):
            raise error
        if error is None:
            yield future.result()
        elif len(job.seeds) == 1:
            suspected.append(job)
        else:  # halve the block until the guilty seed is alone
            middle = len(job.seeds) // 2
            waiting += [Job(job.subject, job.seeds[:middle]), Job(job.subject, job.seeds[middle:])]
        future.release()
        while waiting and len(pending) < AHEAD * threads():
            done.add(submit(waiting.pop()))
    for job in suspected:  # a worker that dies takes blameless neighbours along: each runs alone once more
        future = submit(job)
        error = future.exception()
        if error is None:
            yield future.result()
        else:
            died = isinstance(error, KilledWorker)
            problem = f"{DEATHS + 1} cluster workers died under it" if died else f"the cluster failed: {error}"
            yield [TrialResult(job.subject, job.seeds[0], problem=problem)]
