"""`theorylab new`: a plugin to start from."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

import click


@click.command("new", short_help="Write a plugin to start from.")
@click.argument("name")
@click.option(
    "--problem",
    type=click.Choice(["bandit", "game", "mdp"]),
    default="bandit",
    show_default=True,
    help="What the algorithm is for.",
)
@click.option("--package", is_flag=True, help="A folder that can be published: pyproject.toml, tests, a GitHub workflow.")
def new_command(name: str, problem: str, package: bool) -> int:
    """Write a plugin called NAME that passes `check` and `audit` as it stands: an algorithm, a claim with its constant, a mutant that the claim refutes.

    Without --package it is one file, `NAME.py` with underscores, to be checked by its path, or by its name once [tool.theorylab] in pyproject.toml lists it.
    """
    from theorylab import __version__
    from theorylab.errors import UsageError
    from theorylab.plugin import kebab
    from theorylab.registry import installed

    if name != kebab(name).lower() or not name.replace("-", "").isalnum() or not name[0].isalpha():
        raise UsageError(f"{name!r}: use lower-case letters, digits and hyphens, beginning with a letter.")
    if name in {locator.name for locator in installed()}:
        raise UsageError(f"A plugin {name!r} is installed already. Choose another name.")
    module = name.replace("-", "_")
    words = {"name": name, "module": module, "title": name.replace("-", " ").capitalize(), "version": __version__}
    code = _template(f"{problem}.py", words)
    if not package:
        _write({Path(f"{module}.py"): code})
        print(f"{module}.py holds a plugin. Next:\n  theorylab check ./{module}.py\n  theorylab audit ./{module}.py")
        return 0
    root = Path(name)
    _write(
        {
            root / "pyproject.toml": _template("pyproject.toml", words),
            root / "README.md": _template("README.md", words),
            root / "src" / module / "__init__.py": code,
            root / "tests" / "test_claims.py": _template("test_claims.py", words),
            root / ".github" / "workflows" / "theorylab.yml": _template("workflow.yml", words),
        }
    )
    print(
        f"{name}/ holds a package. Next:\n  pip install -e './{name}[test]'\n  theorylab check {name}\n  cd {name} && pytest",
        file=sys.stdout,
    )
    return 0


def _template(name: str, words: dict[str, str]) -> str:
    return (files("theorylab") / "templates" / f"{name}.txt").read_text(encoding="utf-8").format(**words)


def _write(texts: dict[Path, str]) -> None:
    """All files, or none if one is there already."""
    from theorylab.errors import UsageError

    for path in texts:
        if path.exists():
            raise UsageError(f"{path} is there already. Choose another name, or move it away.")
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
