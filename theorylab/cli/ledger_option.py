"""Where the ledger is: `--ledger FILE|off`, THEORYLAB_LEDGER, or `.theorylab/ledger.sqlite` of the current folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def ledger_option(function: F) -> F:
    """`--ledger`."""
    return click.option(
        "--ledger", metavar="FILE|off", envvar="THEORYLAB_LEDGER", show_envvar=True,
        help="Where runs are kept.  [default: .theorylab/ledger.sqlite]",
    )(function)  # fmt: skip


def ledger_path(value: str | None) -> Path | None:
    """The file, or None where nothing shall be kept."""
    from theorylab.run.ledger import DEFAULT

    chosen = value if value is not None else os.environ.get("THEORYLAB_LEDGER") or str(DEFAULT)
    return None if chosen.lower() in {"off", "none", "0"} else Path(chosen)


def keep_finding(locator: Any, plugin: str, kind: str, document: Mapping[str, Any], ledger: str | None) -> None:
    """Keep what a hunt or an audit found, for the reports of later checks; what cannot be kept costs a warning."""
    from theorylab.errors import LedgerError
    from theorylab.run.context import source_digest
    from theorylab.run.ledger import Ledger

    where = ledger_path(ledger)
    if where is None:
        return
    store = Ledger.open(where)
    try:
        store.keep_finding(plugin, kind, source_digest(locator), document["command"], document)
    except LedgerError as error:
        store.trouble = store.trouble or str(error)
    if store.trouble:
        print(f"Warning: {store.trouble}", file=sys.stderr)
    store.close()
