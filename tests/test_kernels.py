"""The compiled-code cache: never yesterday's code, never a crash."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

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
