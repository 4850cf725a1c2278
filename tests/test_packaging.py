"""The distribution: what lands where, and the README's own words."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from .conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
README = (ROOT / "README.md").read_text()


def packages_on_disk():
    homes = {"theorylab": "theorylab", "plugins": "theorylab_plugins", "proofs_checks": "theorylab_proofs"}
    for folder, name in homes.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            yield ".".join([name, *init.parent.relative_to(ROOT / folder).parts])


def test_every_package_is_in_the_wheel():
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(packages_on_disk())


def test_the_top_level_is_the_agreed_one():
    fixed = {"pyproject.toml", "theorylab", "plugins", "proofs_checks", "tests", "cli.py", "README.md"}
    beside = {"benchmarks", "docs", ".ci"}
    tracked = {p.name for p in ROOT.iterdir() if not p.name.startswith(".") and not p.name.endswith(".egg-info")} - {
        "build",
        "dist",
    }
    assert fixed <= tracked
    assert tracked - fixed - beside == set()


def test_the_version_is_one():
    import theorylab

    assert theorylab.__version__ == PROJECT["project"]["version"]


def test_every_dependency_says_what_it_is_for():
    text = (ROOT / "pyproject.toml").read_text()
    block = text[text.index("\ndependencies = [") : text.index("\n]", text.index("\ndependencies = ["))]
    for line in block.splitlines()[2:]:
        assert re.search(r'">?=?.*",\s+# \w+|".*",\s+# \w+', line), line


def test_the_readme_has_two_commands():
    commands = re.findall(r"```sh\n(.*?)\n```", README, re.S)
    assert len(commands) == 2
    assert commands[0].endswith("theorylab check nash-md --seeds 100")
    assert "pytest" in commands[1]
    assert all("\n" not in c for c in commands)


def test_the_readmes_plugin_passes_its_own_check_and_audit(command, tmp_path):
    code = re.findall(r"```python\n(.*?)```", README, re.S)
    (tmp_path / "coin.py").write_text(next(block for block in code if 'Plugin("coin"' in block))
    checked = command("check", "./coin.py", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "1 SUPPORTED; everything as expected" in " ".join(checked.stdout.split())
    audited = command("audit", "./coin.py", cwd=tmp_path)
    assert audited.returncode == 0, audited.stdout
    assert "the kill matrix is full" in audited.stdout


def test_the_readmes_bound_holds():
    code = re.findall(r"```python\n(.*?)```", README, re.S)
    namespace: dict = {}
    exec(compile(next(block for block in code if "assert_bound" in block), "README.md", "exec"), namespace)
    namespace["test_values_are_bounded"]()


def test_the_readmes_proof_step_is_verified_and_its_twin_refuted():
    from theorylab.proof.run import prove_step

    code = re.findall(r"```python\n(.*?)```", README, re.S)
    namespace: dict = {}
    exec(compile(next(block for block in code if "Proofs" in block), "README.md", "exec"), namespace)
    (step,) = namespace["proofs"].steps.values()
    assert step.supports == ("variance-is-at-most-a-quarter",), "the claim of the plugin above"
    assert prove_step(step).status == "VERIFIED"
    assert prove_step(step, step.twin).status == "FALSE"


def test_the_readmes_check_in_python_runs_as_it_stands(tmp_path, monkeypatch):
    code = re.findall(r"```python\n(.*?)```", README, re.S)
    monkeypatch.chdir(tmp_path)
    exec(compile(next(block for block in code if "theorylab.check(" in block), "README.md", "exec"), {})
    assert (tmp_path / "last-iterate.png").read_bytes()[:4] == b"\x89PNG"
    assert "nash-md-last-iterate" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_readme_names_every_command_and_status(command):
    from theorylab.cli import COMMANDS

    for name in COMMANDS:
        assert f"theorylab {name}" in README
    assert "13 named games" in README


def test_the_checkout_runs_without_installation_of_the_script():
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "cli.py", "list"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "nash-md" in done.stdout


def test_sources_name_no_path_of_the_machine_they_were_written_on():
    own = {str(ROOT), str(Path.home())}
    pattern = re.compile("|".join([*map(re.escape, own), r"/home/\w+", r"/Users/\w+"]))
    for folder in ("theorylab", "plugins", "proofs_checks", "tests", "benchmarks", "docs"):
        for file in (ROOT / folder).rglob("*.py"):
            if file.name != "test_packaging.py":
                assert not pattern.search(file.read_text()), file
