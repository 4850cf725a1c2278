"""The compiled-code cache: never yesterday's code, never a crash."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from theorylab.kernels import copy_into, kernel

from .conftest import ROOT

CALLER = """
from theorylab.kernels import kernel
from helper import inner, FACTOR

@kernel
def outer(x):
    return inner(x) * FACTOR

if __name__ == "__main__":
    print(outer(1.0), outer.stats.cache_hits[outer.signatures[0]] if outer.stats.cache_hits else 0)
"""

HELPER = """
from theorylab.kernels import kernel

FACTOR = {factor}

@kernel
def inner(x):
    return x + {shift}
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "caller.py").write_text(textwrap.dedent(CALLER))
    cache = tmp_path / "cache"

    def run(shift=1.0, factor=10.0, **env):
        (tmp_path / "helper.py").write_text(textwrap.dedent(HELPER.format(shift=shift, factor=factor)))
        environment = {**os.environ, "THEORYLAB_CACHE": str(cache), "PYTHONDONTWRITEBYTECODE": "1", **env}
        out = subprocess.run(
            [sys.executable, "caller.py"],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        value, hits = out.stdout.split()
        return float(value), int(hits)

    run.cache = cache
    return run


def test_second_process_loads_what_the_first_compiled(project):
    assert project() == (20.0, 0)
    assert project() == (20.0, 1)


def test_an_edited_helper_in_another_file_is_seen(project):
    assert project() == (20.0, 0)
    assert project(shift=2.0) == (30.0, 0)
    assert project(factor=100.0)[0] == 200.0
    assert project() == (20.0, 1)


def test_an_edited_helper_is_seen_through_its_module_too(project, tmp_path):
    text = (tmp_path / "caller.py").read_text()
    text = text.replace("from helper import inner, FACTOR", "import helper").replace(
        "inner(x) * FACTOR", "helper.inner(x) * helper.FACTOR"
    )
    (tmp_path / "caller.py").write_text(text)
    assert project() == (20.0, 0)
    assert project(shift=2.0)[0] == 30.0
    assert project(factor=100.0)[0] == 200.0
    assert project() == (20.0, 1)


def test_a_damaged_cache_is_recompiled(project):
    project()
    files = [f for f in project.cache.rglob("*") if f.is_file()]
    assert files
    for file in files:
        file.write_bytes(b"garbage")
    assert project() == (20.0, 0)


def test_no_cache_and_a_cache_that_cannot_be_made(project, tmp_path):
    assert project(THEORYLAB_CACHE="off") == (20.0, 0)
    (tmp_path / "file").write_text("a file where the folder should be")
    assert project(THEORYLAB_CACHE=str(tmp_path / "file")) == (20.0, 0)


def test_cache_folders_are_private(project):
    project()
    folders = list((project.cache / "kernels").iterdir())
    assert folders
    assert all(f.stat().st_mode & 0o077 == 0 for f in folders)


def test_whoever_waits_for_a_compilation_is_told_once(command, tmp_path):
    env = {"THEORYLAB_CACHE": str(tmp_path)}
    first = command("check", "pav", "--seeds", 1, env=env)
    assert first.stderr.count("Compiling for the first time") == 1
    again = command("check", "pav", "--seeds", 1, env=env)
    assert "Compiling" not in again.stderr


# -- side by side ---------------------------------------------------------------------------------------------------------

SIDE = """
import sys, time
from theorylab.kernels import kernel, when_compiling
compiled = []
when_compiling("test", lambda: compiled.append(1))

@kernel
def slow(x):
    total = 0.0
    for k in range(10):
        total += x * k
    return total

print(slow(2.0), len(compiled))
"""


def test_a_kernel_that_another_process_is_compiling_is_waited_for_and_loaded(tmp_path):
    """The lock is held here in the other's place; what is in the cache when it is freed is loaded, not compiled."""
    import fcntl
    import time

    script = tmp_path / "side.py"
    script.write_text(SIDE)
    env = os.environ | {"THEORYLAB_CACHE": str(tmp_path / "cache")}
    first = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True, check=True)
    assert first.stdout.split() == ["90.0", "1"]
    (lock,) = (tmp_path / "cache").rglob("*.lock")
    kept = {path: path.read_bytes() for path in lock.parent.iterdir() if path != lock}
    for path in kept:
        path.unlink()
    with lock.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        started = time.monotonic()
        second = subprocess.Popen([sys.executable, str(script)], env=env, stdout=subprocess.PIPE, text=True)
        time.sleep(3.0)
        assert second.poll() is None, "it did not wait"
        for path, content in kept.items():  # the other process has finished
            path.write_bytes(content)
    out, _ = second.communicate(timeout=60)
    assert time.monotonic() - started >= 3.0
    assert out.split() == ["90.0", "0"]


def test_another_process_begins_at_the_other_end_once_something_must_be_compiled(monkeypatch, tmp_path):
    import numpy as np

    from theorylab.kernels import _tell
    from theorylab.plugin import Plugin
    from theorylab.registry import Locator
    from theorylab.run import ahead

    plugin = Plugin("pieces", api=1, title="t", source="s")
    done = []
    plugin.reference("one", np.float64(1.0))
    plugin.run()(lambda item, rng: {"x": 0.0})
    plugin.claim("x", holds=__import__("theorylab").Always(), source="s")(lambda: 1)

    @plugin.parts
    def pieces(item, rng):
        return [lambda: done.append("first"), lambda: 1 / 0, lambda: done.append("last")]

    ahead.work_backwards(plugin)
    assert done == ["last", "first"]

    class Started:
        def __init__(self, command, **options):
            done.append(command[2])

        def kill(self):
            done.append("killed")

        def wait(self):
            pass

    monkeypatch.setenv("THEORYLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(ahead.subprocess, "Popen", Started)
    monkeypatch.setattr(ahead.os, "cpu_count", lambda: 2)
    done.clear()
    with ahead.ahead(Locator("pieces", "x:y", "test"), plugin):
        assert done == []
        _tell()
        _tell()
        assert done == ["theorylab.run.ahead"]
    assert done == ["theorylab.run.ahead", "killed"]
    with ahead.ahead(Locator("pieces", "x:y", "test"), plugin):
        pass
    _tell()
    assert len(done) == 2


def test_constants_make_no_variants():
    @kernel
    def plus(x, k):
        return x + k

    @kernel
    def caller(x):
        return plus(x, 1) + plus(x, 2) + plus(x, k=3)

    assert caller(1.0) == 9.0
    assert len(plus.signatures) == 1


def test_arrays_are_copied_by_loops():
    """An assignment of slices compiles what Numba says of shapes that do not fit, in every process; so does `solve`, which copies its right-hand side."""
    found = []
    for folder in ("theorylab", "plugins"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for function in ast.walk(ast.parse(file.read_text())):
                if not (isinstance(function, ast.FunctionDef) and "kernel" in map(ast.unparse, function.decorator_list)):
                    continue
                for node in ast.walk(function):
                    is_slice = (
                        isinstance(node, ast.Assign)
                        and any(isinstance(part, ast.Slice) for target in node.targets for part in ast.walk(target))
                        and not isinstance(node.value, (ast.Constant, ast.UnaryOp))
                    )
                    is_solve = isinstance(node, ast.Call) and ast.unparse(node.func) == "np.linalg.solve"
                    if is_slice or is_solve:
                        found.append(f"{file.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    assert not found, found


def test_copies_in_one_dimension_and_two():
    for shape in [(4,), (3, 5)]:
        source, target = np.random.default_rng(0).normal(size=shape), np.zeros(shape)
        source.setflags(write=False)
        copy_into(target, source)
        assert np.array_equal(target, source)
