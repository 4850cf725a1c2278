"""What may import what, and what is loaded when."""

from __future__ import annotations

import ast
import dataclasses
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from .conftest import ROOT

#: What each part of the house may import. A stage knows records and earlier stages' tools, never a later stage.
ALLOWED = {
    "errors": set(),
    "formula": {"errors"},
    "claim": {"errors", "formula"},
    "kernels": set(),
    "limits": set(),
    "plugin": {"", "claim", "errors", "formula", "limits"},
    "config": {"errors"},
    "backend": {"errors"},
    "progress": set(),
    "registry": {"backend", "config", "errors", "plugin"},
    "proof": {"errors", "files", "plugin", "proof"},
    "strategies": {"problems"},
    "files": set(),
    "problems": {"errors", "files", "problems"},
    "solvers": {"errors", "kernels", "problems", "solvers"},
    "statistics": {"statistics"},
    "picture": {"statistics"},
    "run.pictures": {"picture", "plugin", "run.records", "run.streams", "run.worker"},
    "run.records": {"picture", "registry"},
    "run.streams": set(),
    "run.examples": set(),
    "run.plan": {
        "claim",
        "errors",
        "limits",
        "plugin",
        "problems",
        "run.records",
        "run.streams",
        "run.examples",
        "statistics",
    },
    "run.observe": {"claim", "errors", "formula", "kernels", "run.records", "statistics"},
    "run.worker": {"claim", "errors", "plugin", "registry", "run.records", "run.observe", "run.streams"},
    "run.execute": {"", "errors", "progress", "plugin", "registry", "run.cluster", "run.records", "run.worker"},
    "run.cluster": {"errors", "registry", "run.context", "run.records", "run.worker"},
    "run.codec": {"picture", "registry", "run.records"},
    "run.charts": {"picture", "run.records"},
    "run.traces": {"plugin", "run.observe", "run.records", "run.streams"},
    "run.ahead": {"kernels", "plugin", "registry", "run.worker"},
    "run.context": {"", "backend", "registry", "run.records", "run.worker"},
    "run.ledger": {"errors", "run.codec", "run.records"},
    "run.trials": {
        "",
        "backend",
        "registry",
        "errors",
        "plugin",
        "problems",
        "run.cluster",
        "run.codec",
        "run.context",
        "run.execute",
        "run.judge",
        "run.ledger",
        "run.plan",
        "run.records",
        "run.worker",
    },
    "run.confirm": {"claim", "errors", "plugin", "run.records", "run.observe", "run.streams", "run.worker"},
    "run.rate": {"claim", "run.records", "statistics"},
    "run.outcome": {"claim", "run.records"},
    "run.pathwise": {"claim", "run.outcome", "run.records", "statistics"},
    "run.statistical": {"claim", "run.outcome", "run.rate", "run.records", "statistics"},
    "run.judge": {"claim", "run.outcome", "run.pathwise", "run.records", "run.statistical"},
    # Reports compute nothing: no statistics, no solvers, no judge.
    "report": {
        "errors",
        "files",
        "picture",
        "plugin",
        "problems",
        "report",
        "run.audit",
        "run.codec",
        "run.hunt",
        "run.ledger",
        "run.records",
    },
    "checked": {
        "errors",
        "picture",
        "problems",
        "proof",
        "registry",
        "report",
        "run.charts",
        "run.check",
        "run.codec",
        "run.ledger",
        "run.records",
        "run.trials",
    },
}


def parts(path: Path) -> set[str]:
    """Parts of theorylab that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "theorylab":
            inner = node.module.split(".")[1:]
            names = [
                ".".join([*inner, alias.name]) if inner in (["statistics"], ["run"], ["solvers"], []) else ".".join(inner)
                for alias in node.names
            ]
            if not inner:
                names = [alias.name if (ROOT / "theorylab" / f"{alias.name}.py").exists() else "" for alias in node.names]
        for name in names:
            head = name.split(".")[0]
            found.add(".".join(name.split(".")[:2]) if head == "run" else head)
    return found


@pytest.mark.parametrize("part", ALLOWED)
def test_data_flows_one_way(part):
    path = ROOT / "theorylab" / part.replace(".", "/")
    files = list(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    for file in files:
        extra = parts(file) - ALLOWED[part]
        assert not extra, f"{file.relative_to(ROOT)} imports {sorted(extra)}"


def test_no_core_module_names_a_plugin():
    for file in (ROOT / "theorylab").rglob("*.py"):
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            module = getattr(node, "module", None) or ""
            assert not (isinstance(node, ast.ImportFrom) and module.startswith("theorylab_plugins")), file


def test_importing_theorylab_and_showing_help_load_nothing_heavy():
    code = textwrap.dedent("""
        import sys, theorylab
        heavy = {"numpy", "numba", "scipy", "cvxpy", "sympy", "hypothesis", "torch", "rich", "mpmath", "matplotlib"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
        from theorylab.cli import run
        for arguments in (["--help"], ["--version"], ["list"]):
            assert run(arguments) == 0
            assert not heavy & set(sys.modules), (arguments, heavy & set(sys.modules))
    """)
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)


def test_everything_promised_at_the_top_is_there():
    import theorylab

    for name in theorylab.__all__:
        assert getattr(theorylab, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = theorylab.nothing


def test_records_are_frozen():
    from theorylab.run import records

    for value in vars(records).values():
        if dataclasses.is_dataclass(value):
            assert value.__dataclass_params__.frozen, value
