"""What a trial's result depends on besides its instance and seed, as one digest: the key of the ledger's trials."""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Iterable
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import theorylab
from theorylab.backend import find_backend
from theorylab.registry import Locator
from theorylab.run.records import Subject
from theorylab.run.worker import Work

#: Packages whose versions may change the last bit of a result.
NUMERICS = ("numpy", "scipy", "numba", "sympy")


def context_digest(locator: Locator, work: Work) -> str:
    """The fingerprint, and all that the work says but its claims: those are kept by name."""
    state = hashlib.sha256()
    parts = [
        fingerprint(locator),
        json.dumps(dict(sorted(work.parameters.items())), default=repr),
        str(work.root_seed),
        str(work.mutant),
        ",".join(sorted(work.dropped)),
        str(work.stream),
    ]
    for part in parts:
        state.update(part.encode() + b"\x00")
    return state.hexdigest()[:16]


def fingerprint(locator: Locator) -> str:
    """Sources of theorylab and of the plugin, versions, machine: two processes that agree in it compute the same bits."""
    parts = [
        _folder_digest(str(Path(theorylab.__file__).parent)),
        source_digest(locator),
        platform.machine(),
        sys.version,
        *(version(name) for name in NUMERICS),
        *_backend_parts(locator),
    ]
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:16]


def _backend_parts(locator: Locator) -> list[str]:
    """Sources of the backend, and versions of what it runs on."""
    if not locator.backend:
        return []
    backend = find_backend(locator.backend)
    file = sys.modules[type(backend).__module__].__file__
    return [_folder_digest(str(Path(file).parent)) if file else "", *(version(name) for name in backend.packages)]


def source_digest(locator: Locator) -> str:
    """Digest of the plugin's sources: its package, or its file with the neighbours that it imported."""
    if not locator.is_file:
        module = sys.modules.get(locator.value.partition(":")[0])
        file = getattr(module, "__file__", None)
        return _folder_digest(str(Path(file).parent)) if file else "unknown"
    path = Path(locator.value)
    neighbours = {path}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and Path(file).parent == path.parent and Path(file).suffix == ".py":
            neighbours.add(Path(file))
    return _files_digest(sorted(neighbours), path.parent)


@lru_cache(maxsize=16)
def _folder_digest(folder: str) -> str:
    root = Path(folder)
    return _files_digest(sorted(p for p in root.rglob("*") if p.is_file() and p.suffix in {".py", ".csv", ".json"}), root)


def _files_digest(files: Iterable[Path], root: Path) -> str:
    state = hashlib.sha256()
    for file in files:
        state.update(str(file.relative_to(root)).encode() + b"\x00" + file.read_bytes() + b"\x00")
    return state.hexdigest()[:16]


def subject_key(subject: Subject) -> str:
    """The instance, and what of its origin decides which claims speak of it."""
    label = subject.label if subject.origin == "reference" else ""
    return f"{subject.digest}|{subject.origin}|{label}|{int(subject.pathwise_only)}"
