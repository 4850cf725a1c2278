"""What long work tells whoever watches: one line that replaces the one before."""

from __future__ import annotations

from collections.abc import Callable

_LISTENERS: list[Callable[[str], None]] = []


def when_told(call: Callable[[str], None] | None) -> None:
    """Have `call` told from now on; None: nobody."""
    _LISTENERS[:] = [call] if call is not None else []


def tell(text: str) -> None:
    """Say how far a single run has come. Nobody may be listening: worker processes are not watched."""
    for listener in _LISTENERS:
        listener(text)
