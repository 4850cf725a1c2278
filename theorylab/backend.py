"""Backends: another machine for the same algorithms. Found through entry points, imported when asked for by name.

A backend brings, for each plugin that has one, a second plugin: the algorithm rewritten for the backend, with claims and mutants of
its own. It lies in a room beside the plugin (`neural.py` for the backend `torch`), which nobody else imports.
"""

from __future__ import annotations

import difflib
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Protocol

from theorylab.errors import PluginError, UsageError, describe

GROUP = "theorylab.backends"


class Backend(Protocol):
    """What the object that an entry point names has to offer."""

    name: str
    room: str  # module beside a plugin's `__init__` that holds the rewritten plugin, as `plugin`
    packages: tuple[str, ...]  # distributions whose versions its results depend on

    def device(self, asked: str) -> str:
        """The device that is used where `asked` (auto, cpu, cuda, ...) was asked for. Raises UsageError where there is none."""
        ...

    def width(self, device: str) -> int:
        """Seeds that are run at once on the device."""
        ...

    def health(self) -> list[str]:
        """What the backend sees of its packages and devices, a line each. Raises UsageError where it cannot run at all."""
        ...


def backends() -> list[str]:
    """Names of what is installed; nothing is imported."""
    return sorted({entry.name for entry in entry_points(group=GROUP)})


def find_backend(name: str) -> Backend:
    """The backend of that name. Raises UsageError with the nearest name, PluginError where it cannot be imported."""
    entries = list({entry.value: entry for entry in entry_points(group=GROUP) if entry.name == name}.values())
    if not entries:
        known = backends()
        close = difflib.get_close_matches(name, known, 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UsageError(f"--backend {name}: no such backend.{hint} Installed: {', '.join(known) or 'none'}.")
    if len(entries) > 1:
        owners = " and ".join(sorted(entry.value for entry in entries))
        raise PluginError(f"A backend {name!r} is offered twice: by {owners}. Uninstall one of them.")
    try:
        backend: Backend = entries[0].load()
    except Exception as error:
        raise PluginError(f"Backend {name!r} cannot be imported: {describe(error)}.") from error
    return backend


def room_of(backend: Backend, module: str) -> str | None:
    """The backend's room in the package of a plugin's module, or None if it has none."""
    try:
        found = find_spec(f"{module}.{backend.room}")
    except ImportError:  # the plugin is a single file
        return None
    return found.name if found is not None else None
