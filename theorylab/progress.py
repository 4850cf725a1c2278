"""What long work tells whoever watches, one line that replaces the one before, and what it is told: to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable

_LISTENERS: list[Callable[[str], None]] = []


def when_told(call: Callable[[str], None] | None) -> None:
    """Have `call` told from now on; None: nobody."""
    _LISTENERS[:] = [call] if call is not None else []


def tell(text: str) -> None:
    """Say how far a single run has come. Nobody may be listening: worker processes are not watched."""
    for listener in _LISTENERS:
        listener(text)


_STOP = threading.Event()


def begin() -> None:
    """Nobody has asked to stop yet."""
    _STOP.clear()


def ask_to_stop() -> None:
    """Ctrl-C has reached the main thread: long runs in other threads are to keep what they have and end."""
    _STOP.set()


def asked_to_stop() -> bool:
    """Whether a long run should end."""
    return _STOP.is_set()
