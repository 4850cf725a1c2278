"""The one door for plugins: find them, import the one that is named, in isolation, and say what is wrong with the others."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import shlex
import sys
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from theorylab.errors import PluginError, UnknownPluginError, UsageError, describe
from theorylab.plugin import Plugin

GROUP = "theorylab.plugins"


@dataclass(frozen=True)
class Locator:
    """Where a plugin is: an installed entry point (`module:object`) or a Python file; and the machine that it runs on."""

    name: str
    value: str
    origin: str  # distribution and version, or "file"
    backend: str = ""  # none: the plugin itself, else what a backend has in its place
    device: str = ""  # of the backend

    @property
    def is_file(self) -> bool:
        return self.origin == "file"

    @property
    def target(self) -> str:
        """What follows `theorylab check` on a command line."""
        if self.is_file:
            return shlex.quote(self.value)
        if self.backend:
            return f"{self.name.removesuffix(f'-{self.backend}')} --backend {self.backend} --device {self.device}"
        return self.name


def installed() -> list[Locator]:
    """Every plugin that an installed distribution offers, by name; nothing is imported."""
    found: list[Locator] = []
    origins: dict[Any, str] = {None: "unknown distribution"}
    for entry in entry_points(group=GROUP):
        dist = entry.dist
        if dist is not None and dist not in origins:  # each look at a distribution's name reads and parses its metadata
            about = dist.metadata
            origins[dist] = f"{about['Name']} {about['Version']}"
        found.append(Locator(entry.name, entry.value, origins[dist]))
    return sorted(set(found), key=lambda locator: (locator.name, locator.origin))


def local() -> list[Locator]:
    """Every plugin in the files that the project or `--plugins` names. Files are read, not run: a plugin is where `Plugin("name", ...)` is written."""
    from theorylab.config import plugin_files

    return [Locator(name, str(path), "file") for path in plugin_files() for name in _names_in(path)]


def _names_in(path: Path) -> list[str]:
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return [path.stem]  # importing it will say what is wrong
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Plugin" and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                names.append(first.value)
    return names


def find(name: str) -> Locator:
    """The plugin called `name`, or the file of that path. Raises UnknownPluginError with the nearest name."""
    if name.endswith(".py") or "/" in name or "\\" in name:
        path = Path(name)
        if not path.is_file():
            raise UsageError(f"{name}: no such file. A plugin file ends in .py.")
        return Locator(path.stem, str(path.resolve()), "file")
    everything = [*installed(), *local()]
    matches = [locator for locator in everything if locator.name == name]
    if len(matches) > 1:
        owners = " and ".join(locator.value if locator.is_file else locator.origin for locator in matches)
        raise PluginError(f"A plugin {name!r} is offered twice: by {owners}. Uninstall or rename one of them.")
    if matches:
        return matches[0]
    names = sorted({locator.name for locator in everything})
    close = difflib.get_close_matches(name, names, 1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise UnknownPluginError(f"No plugin {name!r}.{hint} Installed: {', '.join(names) or 'none'}.")


def find_with(name: str, backend: str | None, device: str) -> Locator:
    """The plugin called `name`, or what a backend has in its place. Raises UsageError where it has nothing, or no such device."""
    if backend is None:
        if device != "auto":
            raise UsageError(f"--device {device} needs --backend: the plugins themselves run on the processor.")
        return find(name)
    from theorylab.backend import find_backend, room_of

    machine, locator = find_backend(backend), find(name)
    room = None if locator.is_file else room_of(machine, locator.value.partition(":")[0])
    if room is None:
        have = [other.name for other in installed() if room_of(machine, other.value.partition(":")[0])]
        raise UsageError(f"{name} has nothing for the backend {backend!r}. These plugins have: {', '.join(have) or 'none'}.")
    return Locator(f"{locator.name}-{backend}", f"{room}:plugin", locator.origin, backend, machine.device(device))


def load(locator: Locator) -> Plugin:
    """Import a plugin and see that it is whole. Raises PluginError that names the fault and its place."""
    try:
        plugin = _from_file(Path(locator.value)) if locator.is_file else import_plugin(locator)
        plugin.claims  # noqa: B018 - imports the rooms and validates the whole
    except PluginError:
        raise
    except Exception as error:
        raise PluginError(f"Plugin {locator.name!r} ({locator.origin}) cannot be imported: {describe(error)}.") from error
    return plugin


def import_plugin(locator: Locator) -> Plugin:
    """The plugin object of an entry point, its rooms not yet imported; that of a file, whole."""
    if locator.is_file:
        return _from_file(Path(locator.value))
    module_name, _, attribute = locator.value.partition(":")
    plugin = getattr(importlib.import_module(module_name), attribute or "plugin")
    if not isinstance(plugin, Plugin):
        raise PluginError(f"Plugin {locator.name!r}: {locator.value} is a {type(plugin).__name__}, not a theorylab.Plugin.")
    if plugin.name != locator.name:
        raise PluginError(f"The entry point is called {locator.name!r}, its plugin {plugin.name!r}. Make them agree.")
    return plugin


def _from_file(path: Path) -> Plugin:
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # so that the file may import its neighbours, as it may when run by itself
    name = f"theorylab_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} is no Python file.")
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    plugins = [value for value in vars(module).values() if isinstance(value, Plugin)]
    if len(plugins) != 1:
        raise PluginError(f"{path} defines {len(plugins)} plugins, expected one `plugin = Plugin(...)`.")
    return plugins[0]
