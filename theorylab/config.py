"""`[tool.theorylab]` of the nearest pyproject.toml: plugins that are not installed, and what pytest is to check."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from theorylab.errors import UsageError

#: Folders or files with plugins, from `--plugins`, for this process and those that it starts.
VARIABLE = "THEORYLAB_PLUGINS"


@dataclass(frozen=True)
class Config:
    """What a project says.

    plugins  files or folders with plugins, relative to the pyproject.toml
    check    plugins whose claims pytest checks
    seeds    budget of seeds for that
    strict   whether claims that stay undecided or say nothing fail there
    """

    path: Path | None = None
    plugins: tuple[str, ...] = ()
    check: tuple[str, ...] = ()
    seeds: int = 100
    strict: bool = False


def _strings(value: Any) -> tuple[str, ...] | None:
    return tuple(value) if isinstance(value, list) and all(isinstance(x, str) for x in value) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 1 else None


#: Keys, what reads them, and what they must be.
_KEYS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "plugins": (_strings, "a list of files or folders"),
    "check": (_strings, "a list of plugin names"),
    "seeds": (_count, "a whole number of at least 1"),
    "strict": (lambda value: value if isinstance(value, bool) else None, "true or false"),
}


def read_config(start: Path | None = None) -> Config:
    """The configuration that holds in a folder. Raises UsageError naming file, key and the fix."""
    folder = (start or Path.cwd()).resolve()
    for path in (parent / "pyproject.toml" for parent in (folder, *folder.parents)):
        if path.is_file():
            return _read(path)
    return Config()


def _read(path: Path) -> Config:
    import tomllib  # not where there is nothing to read

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {}).get("theorylab")
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.") from None
    if table is None:
        return Config(path)
    found: dict[str, Any] = {}
    for key, value in table.items():
        if key not in _KEYS:
            close = difflib.get_close_matches(key, _KEYS, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"{path}, [tool.theorylab]: unknown key {key!r}.{hint} Keys: {', '.join(_KEYS)}.")
        reader, wanted = _KEYS[key]
        found[key] = reader(value)
        if found[key] is None:
            raise UsageError(f"{path}, [tool.theorylab]: {key} = {value!r} must be {wanted}.")
    return Config(path, **found)


def plugin_files() -> list[Path]:
    """Python files that may hold plugins: those that the project names, and those of `--plugins`. Raises UsageError for one that is not there."""
    config = read_config()
    places = [(config.path.parent / p, f"{config.path}, [tool.theorylab] plugins") for p in config.plugins] if config.path else []
    places += [(Path(p), "--plugins") for p in os.environ.get(VARIABLE, "").split(os.pathsep) if p]
    files: list[Path] = []
    for place, said in places:
        if place.is_dir():
            files += sorted(place.glob("*.py"))
        elif place.is_file():
            files.append(place)
        else:
            raise UsageError(f"{said}: {place} is neither a file nor a folder.")
    return list(dict.fromkeys(file.resolve() for file in files))
