"""`@kernel`: Numba compilation that releases the GIL and keeps machine code on disk under a name that cannot lie.

Numba's own cache looks at one file only: after an edit of a helper in another file it runs yesterday's code. Here the cache
folder is named by the digest of every source that takes part (the kernel's file, the files of all kernels and constants it
refers to, and the versions of Python, numpy and numba), and a cache that cannot be read or written costs a compilation, never the run.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher

_LOCK = threading.Lock()

_LISTENERS: dict[str, Callable[[], None]] = {}

#: Seconds after which a process stops waiting for another one to compile a kernel, and does it itself.
PATIENCE = 120.0


def when_compiling(who: str, call: Callable[[], None] | None) -> None:
    """Have `call` called once, when a kernel is about to be compiled because no cache holds it: that takes seconds, and people wonder. None: no more."""
    _LISTENERS.pop(who, None)
    if call is not None:
        _LISTENERS[who] = call


def _tell() -> None:
    while _LISTENERS:
        _LISTENERS.popitem()[1]()


def cache_root() -> Path | None:
    """Where compiled kernels live, or None when caching is off (THEORYLAB_CACHE=off)."""
    chosen = os.environ.get("THEORYLAB_CACHE", "")
    if chosen.lower() in {"off", "0", "none"}:
        return None
    if chosen:
        return Path(chosen) / "kernels"
    from platformdirs import user_cache_path

    return user_cache_path("theorylab") / "kernels"


def participating_digest(function: Callable[..., Any]) -> str:
    """Digest of all that the machine code of `function` depends on."""
    files: set[str] = set()
    constants: set[str] = set()
    seen: set[int] = set()
    todo = [function]
    while todo:
        f = todo.pop()
        if id(f) in seen:
            continue
        seen.add(id(f))
        files.add(f.__code__.co_filename)
        names = f.__code__.co_names
        values = [f.__globals__.get(name) for name in names]
        values += [cell.cell_contents for cell in f.__closure__ or ()]
        for module in [value for value in values if isinstance(value, ModuleType)]:
            values += [getattr(module, name, None) for name in names]  # helper.FACTOR, helper.inner(x)
        for value in values:
            if isinstance(value, Dispatcher):
                todo.append(value.py_func)
            elif isinstance(value, FunctionType) and not value.__module__.startswith(("numpy", "math")):
                files.add(value.__code__.co_filename)  # a function with machine code of its own: said in its file
            elif isinstance(value, (bool, int, float, complex, str, tuple, np.ndarray, np.generic)):
                constants.add(f"{f.__qualname__}:{value!r}")
    state = hashlib.sha256(f"{sys.version}|{np.__version__}|{numba.__version__}|{platform.machine()}".encode())
    for name in sorted(files):
        path = Path(name)
        state.update(path.read_bytes() if path.is_file() else name.encode())
    for constant in sorted(constants):
        state.update(constant.encode())
    return state.hexdigest()[:24]


class _DigestCache:
    """Stands in for Numba's cache object: finds the folder at the first compilation, when all names are defined."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._cache: FunctionCache | None = None
        self._tried = False
        self._claims: dict[Any, int] = {}  # open lock files, by signature

    def _open(self) -> FunctionCache | None:
        if not self._tried:
            self._tried = True
            root = cache_root()
            if root is not None:
                with _LOCK:
                    config: Any = numba.config
                    before = config.CACHE_DIR
                    try:
                        folder = root / participating_digest(self._function)
                        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                        config.CACHE_DIR = str(folder)
                        self._cache = FunctionCache(self._function)
                    except Exception:  # a cache that cannot be made is no cache
                        self._cache = None
                    finally:
                        config.CACHE_DIR = before
        return self._cache

    @property
    def cache_path(self) -> str | None:
        cache = self._open()
        return cache.cache_path if cache is not None else None

    def enable(self) -> None:
        """Part of Numba's interface; the digest decides."""

    def disable(self) -> None:
        """Part of Numba's interface; the digest decides."""

    def flush(self) -> None:
        if (cache := self._open()) is not None:
            cache.flush()

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        cache, found = self._open(), None
        if cache is not None:
            try:
                found = cache.load_overload(signature, target_context)
            except Exception:  # damaged file: compile anew and write over it
                try:
                    cache.flush()
                except OSError:
                    self._cache = None
        if found is None and cache is not None and self._claim(signature, Path(cache.cache_path)):
            with suppress(Exception):  # another process has compiled it while this one waited
                found = cache.load_overload(signature, target_context)
        if found is None:
            _tell()
        else:
            self._release(signature)
        return found

    def save_overload(self, signature: Any, data: Any) -> None:
        if (cache := self._open()) is not None:
            try:
                cache.save_overload(signature, data)
            except Exception:  # full disk, read-only folder: the compiled code in memory is good
                self._cache = None
        self._release(signature)

    def _claim(self, signature: Any, folder: Path) -> bool:
        """Take the lock of this kernel and signature, or wait for whoever compiles it; whether there was a wait. The system frees the locks of the dead."""
        try:
            import fcntl

            name = hashlib.sha256(f"{self._function.__module__}.{self._function.__qualname__}|{signature}".encode()).hexdigest()[
                :24
            ]
            lock = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except (ImportError, OSError):  # no locks here: at worst a kernel is compiled twice
            return False
        self._claims[signature] = lock
        waited, until = False, time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                waited = True
                time.sleep(0.02)
            else:
                break
        return waited

    def _release(self, signature: Any) -> None:
        if (lock := self._claims.pop(signature, None)) is not None:
            os.close(lock)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile `function` with Numba: nopython, GIL released, strict floating point, cached by digest."""
    dispatcher: Any = numba.njit(nogil=True, error_model="numpy")(function)
    if isinstance(dispatcher, Dispatcher):  # a plain function when NUMBA_DISABLE_JIT is set
        setattr(dispatcher, "_cache", _DigestCache(function))  # noqa: B010 - Numba offers no public door
        template = dispatcher.get_call_template

        def without_literals(args: Any, kws: Any) -> Any:
            """One variant for all whole numbers: Numba would compile another for each constant that a caller writes."""
            return template(tuple(map(types.unliteral, args)), {name: types.unliteral(kind) for name, kind in kws.items()})

        setattr(dispatcher, "get_call_template", without_literals)  # noqa: B010
    return dispatcher


@kernel
def copy_into(target, source):  # type: ignore[no-untyped-def]
    """target[...] = source, of one shape, in one dimension or in two.

    In kernels in place of that assignment: with it comes what Numba says of shapes that do not fit, two to four seconds of compilation in every process.
    """
    if target.ndim == 1:
        for i in range(len(target)):
            target[i] = source[i]
    else:
        for i in range(len(target)):
            for j in range(target.shape[1]):
                target[i, j] = source[i, j]
