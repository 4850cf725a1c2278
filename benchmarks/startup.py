"""What a user waits for before anything is computed: processes beside a bare interpreter, the main job warm, and the first check of all."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.race import Peer, Row, race

GROUP = "start-up"

#: Times a bare interpreter that help, version and list may take.
MOST = 5.0

#: Seconds that the main job may take warm, and the first check after an installation.
WARM_S, FIRST_S = 2.5, 20.0


def process(*arguments: str, folder: str | None = None, **environment: str) -> None:
    """Run to its end; what it says is not shown. A claim that so few seeds cannot settle is no failure of the process."""
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, cwd=folder, env={**os.environ, "THEORYLAB_LEDGER": "off", **environment}
    )  # fmt: skip
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr.decode())


def rows(*, quick: bool = False) -> list[Row]:
    """A bare interpreter as theorylab's rival: it is asked to be at least a fifth of the time."""
    out: list[Row] = []
    for arguments in (("--help",), ("--version",), ("list",), ("check", "--help")):
        bare = Peer("a bare interpreter", lambda: process("-c", "pass"), "does nothing", 1.0 / MOST)
        out += race(GROUP, f"theorylab {' '.join(arguments)}", lambda a=arguments: process("-m", "theorylab", *a), [bare])  # type: ignore[misc]
    return out


def table(*, quick: bool = False) -> list[str]:
    """Lines of Markdown: seconds from the command to its report."""
    lines = ["| what | seconds | wanted |", "| --- | --- | --- |"]

    def line(what: str, seconds: float, wanted: float | None) -> None:
        lines.append(f"| {what} | {seconds:.1f} | {f'at most {wanted:g}' if wanted is not None else ''} |")
        print(lines[-1], flush=True)

    check = ("-m", "theorylab", "check", "nash-md", "--seeds", "100")
    with tempfile.TemporaryDirectory() as folder:
        process(*check, folder=folder)
        times = []
        for _ in range(2 if quick else 5):
            start = time.perf_counter()
            process(*check, folder=folder)
            times.append(time.perf_counter() - start)
        line("check nash-md --seeds 100, warm", sorted(times)[len(times) // 2], WARM_S)
        six = ("nash-md", "gradient-bandit", "lsd-bandits", "distributional-dp", "r2pvi", "horizon-free-rfe")
        plugins = six[:1] if quick else six
        for plugin in plugins:
            cache = Path(folder) / f"cache-{plugin}"
            start = time.perf_counter()
            process("-m", "theorylab", "check", plugin, "--seeds", "2", folder=folder, THEORYLAB_CACHE=str(cache))
            line(f"check {plugin} --seeds 2, nothing compiled yet", time.perf_counter() - start, FIRST_S)
    return lines
