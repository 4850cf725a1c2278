"""Runs on Dask: the same bits as threads, whatever happens to the workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("distributed")

STEADY = Path(__file__).resolve().parent / "plugins" / "steady.py"
OPTIONS = ("--seeds", "120", "--chunk", "2", "--format", "json")
ENVIRONMENT = {
    **os.environ,
    "THEORYLAB_LEDGER": "off",
    "STEADY_PAUSE_S": "0.02",
    "DASK_DISTRIBUTED__WORKER__MEMORY__TERMINATE": "false",
}


def start(folder, *words):
    return subprocess.Popen(
        [sys.executable, "-m", *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )


def worker(folder):
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", "scheduler.json", "--nthreads", "1", "--no-nanny",
         "--no-dashboard"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT,
    )  # fmt: skip


def comparable(text):
    return {k: v for k, v in json.loads(text).items() if k not in ("run", "seconds", "command")}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    out, err = start(tmp_path_factory.mktemp("here"), "theorylab", "check", str(STEADY), *OPTIONS).communicate(timeout=120)
    assert out, err
    return comparable(out)


def test_a_local_cluster_computes_the_same_bits(tmp_path, expected):
    run = start(tmp_path, "theorylab", "check", str(STEADY), *OPTIONS, "--cluster", "local:2")
    out, err = run.communicate(timeout=180)
    assert run.returncode == 0, err
    assert comparable(out) == expected


def test_workers_that_die_and_join_change_nothing(tmp_path, expected):
    scheduler = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", "scheduler.json"],
        cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT,
    )  # fmt: skip
    processes = [scheduler]
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "scheduler.json").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        first, second = worker(tmp_path), worker(tmp_path)
        processes += [first, second]
        run = start(tmp_path, "theorylab", "check", str(STEADY), *OPTIONS, "--cluster", "scheduler.json")
        time.sleep(5.0)
        os.kill(first.pid, signal.SIGKILL)
        processes.append(worker(tmp_path))
        out, err = run.communicate(timeout=180)
        assert run.returncode == 0, err
        assert comparable(out) == expected
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.full  # chaos: on a machine that is busy with other things Dask may be slow to bring workers back
def test_a_block_that_kills_its_workers_is_found(tmp_path):
    from theorylab.registry import Locator, load
    from theorylab.run.check import check
    from theorylab.run.records import Request
    from theorylab.run.streams import trial_stream

    locator = Locator("steady", str(STEADY), "file")
    digest = load(locator).references["half"].digest()
    guilty = trial_stream(0, "steady", digest, 5).random()
    text = STEADY.read_text().replace(
        "    time.sleep(PAUSE_S)", f"    first = float(rng.random())\n    if abs(first - {guilty!r}) < 1e-12: os._exit(3)"
    )
    (tmp_path / "steady.py").write_text(text)
    report = check(Request(Locator("steady", str(tmp_path / "steady.py"), "file"), seeds=8, chunk=8, cluster="local:2"), "test")
    assert report.verdicts[0].status == "ERROR"
    assert "seed 5: 4 cluster workers died under it." in report.verdicts[0].reason


def test_wrong_addresses_are_refused(command):
    done = command("check", STEADY, "--cluster", "local:none")
    assert done.returncode == 2
    assert "write local:N" in done.stderr
    done = command("check", STEADY, "--cluster", "local:2", "--workers", "2")
    assert done.returncode == 2
    assert "workers of its own" in done.stderr
