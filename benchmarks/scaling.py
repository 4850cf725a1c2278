"""How the time of a check falls with workers: threads, processes and Dask workers of this machine, on the gradient bandit.

    python -m benchmarks.scaling [--seeds N] [--horizon T] [--write]

Each row runs the same plan; the reports are compared and must be the same to the last bit. Start-up of processes is included: it is
what a user waits for. `--write` puts the table into docs/scaling.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path
from typing import Any

from theorylab.registry import find
from theorylab.run.check import check
from theorylab.run.records import Request

OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "scaling.md"

#: What is asked: a claim that no budget decides, so that every row does all of the work.
CLAIM, INSTANCE = "gap-falls-on-average", "tiny-gap"


def measure(seeds: int, horizon: int) -> list[str]:
    """The table's lines."""
    locator = find("gradient-bandit")
    ways: list[tuple[str, dict[str, Any]]] = [(f"threads of one process, {os.cpu_count()} cores", {})]
    ways += [(f"{n} worker process{'es' if n > 1 else ''}", {"workers": n}) for n in (1, 2, 4)]
    ways += [(f"Dask, {n} worker{'s' if n > 1 else ''}", {"cluster": f"local:{n}"}) for n in (1, 2, 4)]
    lines, base, reports = [], 0.0, set()
    for name, options in ways:
        request = Request(
            locator, seeds=seeds, claims=(CLAIM,), instance=INSTANCE, settings=(("horizon", str(horizon)),), chunk=64, **options
        )
        started = time.perf_counter()
        report = check(request, "benchmark")
        seconds = time.perf_counter() - started
        reports.add((report.verdicts, report.digests))
        if options.get("workers") == 1:
            base = seconds
        lines.append(f"| {name} | {seconds:.1f} | {base / seconds:.2f} |" if base else f"| {name} | {seconds:.1f} | |")
        print(lines[-1], flush=True)
    if len(reports) != 1:
        raise SystemExit("The reports differ: this must not be.")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4000)
    parser.add_argument("--horizon", type=int, default=10_000)
    parser.add_argument("--write", action="store_true", help=f"write {OUTPUT.name} in docs")
    options = parser.parse_args()
    lines = measure(options.seeds, options.horizon)
    if options.write:
        head = [
            "# Workers",
            "",
            f"Made by `python -m benchmarks.scaling --write`: {options.seeds:,} runs of the gradient bandit, {options.horizon:,} pulls each, on",
            f"{os.cpu_count()} cores ({platform.machine()}, Python {platform.python_version()}). Seconds include the start of the workers; the",
            "speed is relative to one worker process. All reports are the same to the last bit.",
            "",
            "| how | seconds | speed |",
            "| --- | --- | --- |",
        ]
        OUTPUT.write_text("\n".join([*head, *lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
