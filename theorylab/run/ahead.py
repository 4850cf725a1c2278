"""Kernels compiled side by side: while a check compiles what it comes to first, another process begins at the other end.

Numba compiles under one lock, so that threads cannot share the work. Processes can: each keeps what it has compiled in the cache, and one that comes
to a kernel that the other is compiling waits for it and loads it. Results do not depend on any of this.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict

from theorylab.kernels import cache_root, when_compiling
from theorylab.plugin import Plugin
from theorylab.registry import Locator, load
from theorylab.run.worker import start_worker


@contextlib.contextmanager
def ahead(locator: Locator, plugin: Plugin) -> Iterator[None]:
    """While this is open, the first kernel that has to be compiled starts the other process; it ends with the check at the latest."""
    helpers: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        command = [sys.executable, "-m", "theorylab.run.ahead", json.dumps(asdict(locator))]
        with contextlib.suppress(OSError):  # it is a help, never a need
            helpers.append(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )

    if plugin.algorithm.parts is not None and cache_root() is not None and (os.cpu_count() or 1) > 1:
        when_compiling("ahead", start)
    try:
        yield
    finally:
        when_compiling("ahead", None)
        for helper in helpers:
            helper.kill()
            helper.wait()


def work_backwards(plugin: Plugin) -> None:
    """All parts of the run on the smallest named instance, the last one first. What fails here will be said where it is needed."""
    import numpy as np

    algorithm = plugin.algorithm
    assert algorithm.parts is not None
    instance = min(plugin.references.values(), key=lambda item: getattr(item, "size", 1))
    for part in reversed(algorithm.parts(instance, np.random.default_rng(0), **algorithm.parameters)):
        with contextlib.suppress(Exception):
            part()


if __name__ == "__main__":
    start_worker()  # it dies with the check
    work_backwards(load(Locator(**json.loads(sys.argv[1]))))
