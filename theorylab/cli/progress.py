"""What a person sees while a check runs: on stderr, and moving only on a terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from rich.console import Console

from theorylab.run.records import Plan
from theorylab.run.trials import Watcher


class ConsoleWatcher(Watcher):
    """Prints the plan first; shows a bar on a terminal."""

    def __init__(self, out: Console, moving: bool) -> None:
        self.out, self.moving = out, moving
        self._progress: Any = None
        self._task: Any = None

    def __enter__(self) -> ConsoleWatcher:
        from theorylab.kernels import when_compiling
        from theorylab.progress import when_told

        when_compiling("console", self.compiling)
        when_told(self.told)
        return self

    def compiling(self) -> None:
        """A kernel is compiled, which takes longer than a whole check will later."""
        self.out.print("Compiling for the first time: this takes some seconds, once.", style="dim")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        from theorylab.progress import when_told

        when_told(None)
        if self._progress is not None:
            self._progress.stop()

    def planned(self, plan: Plan) -> None:
        self.out.print(f"{plan.plugin}: {' '.join(plan.remarks)}", markup=False)
        if self.moving:
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self._progress = Progress(*columns, console=self.out, transient=True)
            self._progress.start()
            self._task = self._progress.add_task("compiling and running", total=plan.trials)

    def ran(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress.update(self._task, completed=done, description="running")

    def told(self, text: str) -> None:
        """How far a single long run has come."""
        if self._progress is not None:
            self._progress.update(self._task, description=text)

    def replaying(self) -> None:
        if self._progress is not None:
            self._progress.update(self._task, description="replaying suspects exactly")
