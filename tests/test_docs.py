"""The pages: every block of code in them runs, the tutorial is followed word for word, and what is generated says what the plugins say."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from theorylab.registry import find, load

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md") if path.name != "findings.md")

BLOCK = re.compile(r"^```(\{code-block\} python|python|sh|toml)\n(.*?)^```", re.S | re.M)


def blocks(page):
    """(language, caption, code) in order."""
    for language, body in BLOCK.findall((DOCS / page).read_text(encoding="utf-8")):
        caption = ""
        if body.startswith(":caption:"):
            first, _, body = body.partition("\n")
            caption = first.removeprefix(":caption:").strip()
        yield language.split()[-1], caption, body.strip("\n") + "\n"


def test_the_tutorial_word_for_word(tmp_path, monkeypatch):
    """Files are made as their captions say, commands are run in order, and what the text says of them happens."""
    said = iter(
        [
            ("theorylab check ./curvature.py", 1, "REFUTED curvature-is-small"),
            ("theorylab hunt ./curvature.py --budget 5s", None, "curvature-is-small 1.15 REFUTED"),
            ("theorylab check ./curvature.py", 0, "1 SUPPORTED; everything as expected"),
            ("theorylab audit ./curvature.py", 0, "the kill matrix is full"),
        ]
    )
    for language, caption, code in blocks("tutorial.md"):
        if language == "sh":
            command, status, found = next(said)
            assert code.strip() == command
            done = subprocess.run(
                [sys.executable, "-m", *command.split()], capture_output=True, text=True, cwd=tmp_path, timeout=300, env={**os.environ, "COLUMNS": "200"}
            )  # fmt: skip
            assert status is None or done.returncode == status, done.stdout + done.stderr
            assert found in " ".join(done.stdout.split()), done.stdout
        elif caption == "curvature.py":
            (tmp_path / "curvature.py").write_text(code)
        elif caption == "curvature.py, the claim":
            old = (tmp_path / "curvature.py").read_text()
            replaced = re.sub(r"@plugin\.claim\(.*?(?=\n\n\n@plugin\.mutant)", lambda _, code=code: code.strip(), old, flags=re.S)
            assert replaced != old
            (tmp_path / "curvature.py").write_text(replaced)
        elif language == "toml":
            (tmp_path / "pyproject.toml").write_text(code)
        else:
            exec(compile(code, "tutorial.md", "exec"), {})
    assert next(said, None) is None
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=300,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("page", [page for page in PAGES if page != "tutorial.md"])
def test_other_pages_run(page):
    """Blocks of Python run; blocks of commands would need to be told what to expect, so only the tutorial has any."""
    for language, _, code in blocks(page):
        assert language == "python"
        exec(compile(code, page, "exec"), {})


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_page_says_what_its_plugin_says(generate):
    plugin = load(find("nash-md"))
    page = generate.plugin_page(plugin, {"nash-md-step": {"verdict": "SUPPORTED", "tightness": 0.55, "instances": 113}})
    for name in (*plugin.claims, *plugin.mutants):
        assert name in page
    assert "$$\\text{kl} \\le" in page or "\\le" in page
    assert "SUPPORTED on 113 instances, measured / bound up to 0.55" in page
    assert "Machine-checked steps of its proof: geometric-mixtures, three-points" in page


def test_findings_are_all_claims_that_must_be_refuted(generate):
    plugins = [load(locator) for locator in generate.built_in()]
    page = generate.findings_page(plugins)
    false = [(p.name, c.name) for p in plugins for c in p.claims.values() if c.expected == "refuted"]
    assert len(false) >= 20
    for plugin, claim in false:
        assert f"theorylab check {plugin} --claim {claim}" in page


def test_measurements_belong_to_claims_that_exist(generate):
    import json

    measured = json.loads(generate.MEASURED.read_text())
    for name, rows in measured.items():
        assert set(rows) == set(load(find(name)).claims), f"{name}: run python docs/generate.py --measure"


def test_pages_build_without_a_warning(tmp_path):
    pytest.importorskip("sphinx", reason="pip install 'theorylab[docs]'")
    source = tmp_path / "docs"
    shutil.copytree(DOCS, source, ignore=shutil.ignore_patterns("_build"))
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", str(source), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "the-last-step-gives-896" in (tmp_path / "out" / "findings.html").read_text()
