"""Blocks on a Dask cluster: the same plan, the same code, the same bits, on workers that come and go."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import CancelledError
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

#: How long the results of a block that is done may take to arrive; then it is run again.
PATIENCE_S = 30.0

#: How long a cluster may be without any worker (a dead one takes some seconds to come back), and how often that is looked at.
GONE_S, POLL_S = 120.0, 5.0


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
    dask.config.set(
        {
            "distributed.scheduler.allowed-failures": DEATHS,
            "distributed.comm.timeouts.connect": "20s",
            "distributed.deploy.lost-worker-timeout": "2s",  # when a dead worker of `local:N` may be replaced
        }
    )
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
    from distributed import KilledWorker

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

    for _ in range(min(len(waiting), AHEAD * threads())):
        submit(waiting.pop())
    while pending:
        future = _next_done(list(pending), client)
        job = pending.pop(future)
        results, error = _outcome(future)
        if isinstance(error, PluginError):
            raise error
        if results is not None:
            yield results
        elif error is None:
            waiting.append(job)
        elif len(job.seeds) == 1:
            suspected.append(job)
        else:  # halve the block until the guilty seed is alone
            middle = len(job.seeds) // 2
            waiting += [Job(job.subject, job.seeds[:middle]), Job(job.subject, job.seeds[middle:])]
        future.release()
        while waiting and len(pending) < AHEAD * threads():
            submit(waiting.pop())
    for job in suspected:  # a worker that dies takes blameless neighbours along: each runs alone once more
        results, error = None, None
        for _ in range(DEATHS + 1):
            future = submit(job)
            _next_done([future], client)
            del pending[future]
            results, error = _outcome(future)
            if results is not None or error is not None:
                break
            future.release()
        if results is not None:
            yield results
        else:
            died = isinstance(error, KilledWorker)
            lost = f"the cluster failed: {error}" if error is not None else "the cluster lost its result time and again"
            problem = f"{DEATHS + 1} cluster workers died under it" if died else lost
            yield [TrialResult(job.subject, job.seeds[0], problem=problem)]


def _next_done(futures: Sequence[Any], client: Any) -> Any:
    """The first of the futures to be done. Raises PluginError where the cluster has had no worker for GONE_S: it would wait for ever."""
    from distributed import wait

    alone_since = None
    while True:
        try:
            done = wait(list(futures), timeout=POLL_S, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            done = set()
        except CancelledError:
            raise PluginError("The cluster's scheduler is gone. What was finished is kept: go on with --resume.") from None
        if done:
            return done.pop()
        workers = client.nthreads()
        if client.cluster is not None and len(workers) < len(client.cluster.worker_spec):
            # A worker that dies before its guardian has seen it start is not replaced by itself.
            client.cluster.scale(len(client.cluster.worker_spec))
        if workers:
            alone_since = None
        elif alone_since is None:
            alone_since = time.monotonic()
        elif time.monotonic() - alone_since > GONE_S:
            raise PluginError(f"The cluster has had no worker for {GONE_S:g} s. What was finished is kept: go on with --resume.")


def _outcome(future: Any) -> tuple[list[TrialResult] | None, BaseException | None]:
    """(results, None) or (None, error) of a future that is done; (None, None) where its results cannot be had: the worker that held them may
    have died in between, and then nobody says when they will be there again."""
    try:
        return future.result(timeout=PATIENCE_S), None
    except TimeoutError:
        return None, None
    except Exception as error:  # whatever the worker raised, or the scheduler says of its death
        return None, error
