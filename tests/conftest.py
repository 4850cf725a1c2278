"""Shared by all tests: where things are, and how to run the real command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent
PLUGINS = Path(__file__).resolve().parent / "plugins"

# A process that a shell started in the background ignores Ctrl-C, and so would every process that it starts: the tests that
# interrupt one need the usual disposition.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The first Numba call compiles: a deadline would show as a flaky failure. Derandomised, so that CI repeats what was seen here.
settings.register_profile("theorylab", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("theorylab")


@pytest.fixture(scope="session")
def command():
    """`command("check", "nash-md", ...)` runs the real command line; returns the finished process."""

    def call(*arguments, cwd=None, env=None, timeout=300):
        # What an earlier test has run is not known to this one, unless it asks for a ledger.
        environment = {**os.environ, "THEORYLAB_LEDGER": "off", **(env or {})}
        environment.pop("COLUMNS", None)
        return subprocess.run(
            [sys.executable, "-m", "theorylab", *map(str, arguments)], capture_output=True, text=True, cwd=cwd,
            env=environment, timeout=timeout, encoding="utf-8", errors="replace",
        )  # fmt: skip

    return call


@pytest.fixture(scope="session")
def living():
    """`living(group)`: processes of a group that still run; the dead that nobody has waited for do not count."""

    def find(group):
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
            except OSError:
                continue
            if int(pgrp) == group and state not in "ZX":
                found.append(stat.parent.name)
        return found

    return find
