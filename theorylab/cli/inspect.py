"""`theorylab list`, `show` and `doctor`: what there is."""

from __future__ import annotations

import sys

import click

from theorylab.cli.ledger_option import ledger_option, ledger_path
from theorylab.cli.options import backend_options


@click.command("list", short_help="List the plugins that are installed.")
def list_command() -> int:
    """Every plugin that is installed, one a line; a broken one is a row that says why. Exits with 0 all the same."""
    from theorylab.errors import PluginError
    from theorylab.registry import import_plugin, installed, local

    rows = []
    for locator in [*installed(), *local()]:
        try:
            # The plugin object alone is imported, not its rooms: listing stays fast.
            rows.append((locator.name, import_plugin(locator).title))
        except PluginError as error:
            rows.append((locator.name, f"BROKEN ({locator.origin}): {error}"))
        except Exception as error:
            rows.append((locator.name, f"BROKEN ({locator.origin}): {type(error).__name__}: {error}"))
    width = max((len(name) for name, _ in rows), default=0)
    for name, title in rows:
        print(f"{name:<{width}}  {title}")
    if not rows:
        print("No plugin is installed. `pip install theorylab` brings the built-in ones.", file=sys.stderr)
    return 0


@click.command("show", short_help="Show a plugin's theorems.")
@click.argument("plugin")
@click.option("--latex", is_flag=True, help="Bounds as LaTeX.")
@click.option("--seeds", type=click.IntRange(min=1), default=100, show_default=True, help="Say what so many seeds can decide.")
@backend_options
def show_command(plugin: str, latex: bool, seeds: int, backend: str | None, device: str) -> int:
    """What PLUGIN is about: source, parameters, named instances, every claim with its statement, bound and source, mutants."""
    from theorylab.registry import find_with, load
    from theorylab.run.plan import make_plan
    from theorylab.run.records import Request

    locator = find_with(plugin, backend, device)
    found = load(locator)
    print(f"{found.name}: {found.title}\n{found.source}\n")
    limits = found.algorithm.limits
    settings = ", ".join(
        f"{name} = {value}" + (f" in {limits[name]}" if name in limits else "")
        for name, value in found.algorithm.parameters.items()
    )
    print(f"Parameters (--set NAME=VALUE): {settings or 'none'}")
    print(f"Named instances (--instance NAME): {', '.join(found.references) or 'none'}\n")
    print("Claims")
    for claim in found.claims.values():
        expected = ", expected to be refuted" if claim.expected == "refuted" else ""
        print(f"  {claim.name}  [{claim.mode.label}, {claim.provenance}{expected}]")
        for line in claim.statement.splitlines():
            print(f"      {line}")
        if claim.bound.is_symbolic and claim.bound.expression is not None:
            sign = {"<=": "<=", ">=": ">=", "==": "="}[claim.relation]
            shown = claim.bound.latex() if latex else claim.bound.expression
            print(f"      {claim.measure} {sign} {shown}")
        print(f"      source: {claim.source}")
        if claim.assumes:
            print(f"      assumes: {', '.join(claim.assumes)}")
    print(f"\nWhat {seeds} seeds can decide")
    for remark in make_plan(Request(locator, seeds=seeds), found).remarks:
        print(f"  {remark}")
    print("\nMutants")
    for mutant in found.mutants.values():
        fate = f"survives: {mutant.survives}" if mutant.survives else f"refuted by {', '.join(mutant.refuted_by)}"
        print(f"  {mutant.name}: {mutant.description} ({fate})")
    return 0


#: What an optional package is for, and what brings it.
OPTIONAL = {
    "distributed": ("runs on a cluster", "pip install 'theorylab[dask]'"),
    "matplotlib": ("plots", "pip install 'theorylab[report]'"),
    "jinja2": ("pages", "pip install 'theorylab[report]'"),
    "latex2mathml": ("mathematics on pages", "pip install 'theorylab[report]'"),
    "pandas": ("frames", "pip install 'theorylab[pandas]'"),
    "pytest": ("running the tests", "pip install 'theorylab[test]'"),
}


def _ledger_health(value: str | None) -> int:
    """What this folder's ledger holds, and rows whose bytes have changed; the number of faults."""
    from theorylab.errors import LedgerError
    from theorylab.run.ledger import Ledger

    path = ledger_path(value)
    if path is None or not path.exists():
        print(f"  note     {'no ledger is kept (off)' if path is None else f'no ledger at {path} yet: check makes one'}")
        return 0
    try:
        store = Ledger.open_to_read(path)
    except LedgerError as error:
        print(f"  DAMAGED  {error} The next check sets the file aside and begins a new one.")
        return 1
    bad = store.bad_rows()
    for row in bad[:20]:
        print(f"  DAMAGED  {path}: {row.table}, {row.key}")
    if bad:
        print(f"  DAMAGED  {len(bad)} damaged rows in {path}: they are computed anew when they are needed")
    else:
        runs, trials = store.counts()
        print(f"  ok       ledger {path}: {runs} runs, {trials} trials")
    return len(bad)


def _backend_health() -> int:
    """What each backend sees; one that lacks its packages is no fault, one that cannot be imported is."""
    from theorylab.backend import backends, find_backend
    from theorylab.errors import TheorylabError, UsageError

    faults = 0
    for name in backends():
        try:
            for line in find_backend(name).health():
                print(f"  ok       backend {name}: {line}")
        except UsageError as error:
            print(f"  absent   backend {name} (optional): {error}")
        except TheorylabError as error:
            faults += 1
            print(f"  BROKEN   backend {name}: {error}")
    return faults


@click.command("doctor", short_help="Say what is installed and what is missing.")
@ledger_option
def doctor_command(ledger: str | None) -> int:
    """What is installed, where compiled kernels live, which solvers answer, which plugins are broken. Exits with 1 on a fault."""
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from theorylab import __version__
    from theorylab.kernels import cache_root
    from theorylab.registry import installed, load

    faults = 0
    print(
        f"theorylab {__version__}, Python {platform.python_version()}, {platform.machine()} {platform.system()}, {os.cpu_count()} cores"
    )
    for name in (
        "numpy",
        "scipy",
        "numba",
        "cvxpy",
        "sympy",
        "hypothesis",
        "click",
        "rich",
        "pebble",
        "platformdirs",
    ):
        try:
            print(f"  ok       {name} {version(name)}")
        except PackageNotFoundError:
            faults += 1
            print(f"  MISSING  {name}: pip install {name}")
    for name, (purpose, command) in OPTIONAL.items():
        try:
            print(f"  ok       {name} {version(name)} (optional: {purpose})")
        except PackageNotFoundError:
            print(f"  absent   {name} (optional: {purpose}): {command}")
    faults += _ledger_health(ledger)
    root = cache_root()
    if root is None:
        print("  note     compiled kernels are not kept (THEORYLAB_CACHE=off): every run compiles for some seconds")
    else:
        try:
            root.mkdir(parents=True, exist_ok=True)
            writable = os.access(root, os.W_OK)
        except OSError:
            writable = False
        print(
            f"  {'ok      ' if writable else 'WARNING '} compiled kernels: {root}{'' if writable else ' is not writable: set THEORYLAB_CACHE to a folder that is'}"
        )
    from cvxpy import installed_solvers

    solvers = installed_solvers()
    for solver in ("CLARABEL", "HIGHS"):
        if solver not in solvers:
            faults += 1
        print(f"  {'ok      ' if solver in solvers else 'MISSING '} solver {solver}")
    for locator in installed():
        try:
            plugin = load(locator)
            print(
                f"  ok       plugin {locator.name}: {len(plugin.claims)} claims, {len(plugin.mutants)} mutants ({locator.origin})"
            )
        except Exception as error:
            faults += 1
            print(f"  BROKEN   plugin {locator.name} ({locator.origin}): {error}")
    faults += _backend_health()
    print(f"{faults} fault(s)." if faults else "Everything is in order.")
    return 1 if faults else 0
