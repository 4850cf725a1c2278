"""What can go wrong that is not a defect of theorylab: each message names the thing, its value and the fix."""

from __future__ import annotations

from typing import Any


class TheorylabError(Exception):
    """Shown to the user as one message, without a traceback."""

    exit_status = 2


class Terminated(KeyboardInterrupt):
    """SIGTERM: stop as for Ctrl-C, but say so in the exit status."""


class Interrupted(Exception):
    """Ctrl-C or SIGTERM arrived among trials; `results` were finished by then."""

    def __init__(self, results: list[Any], status: int) -> None:
        super().__init__("interrupted")
        self.results, self.status = results, status


#: What a stage that reports what it has so far is stopped by.
STOPS = (KeyboardInterrupt, Interrupted)


def stop_status(stop: BaseException) -> int:
    """Exit status after an interruption: 130 for Ctrl-C, 143 for SIGTERM."""
    if isinstance(stop, Interrupted):
        return stop.status
    return 143 if isinstance(stop, Terminated) else 130


class UsageError(TheorylabError):
    """A wrong command line: nothing was run."""


class InstanceError(TheorylabError):
    """An instance, or a file that should hold one, breaks the rules of its problem."""


class PluginError(TheorylabError):
    """A plugin cannot be found, cannot be imported or breaks the contract."""

    exit_status = 3


class UnknownPluginError(PluginError):
    """No plugin of that name: the user's mistake, not the plugin's."""

    exit_status = 2


class SolverError(TheorylabError):
    """A solver stopped without the certificate that it owes."""

    exit_status = 3


class LedgerError(TheorylabError):
    """The ledger cannot be read or written. Status 2 where a command only wanted to look, 3 where a run was stopped by it."""

    def __init__(self, message: str, exit_status: int = 3) -> None:
        super().__init__(message)
        self.exit_status = exit_status


def describe(error: BaseException) -> str:
    """Kind, message and innermost place of an exception that somebody else's code raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""
    return f"{type(error).__name__}: {error}{place}"
