"""Where the ledger is: `--ledger FILE|off`, THEORYLAB_LEDGER, or `.theorylab/ledger.sqlite` of the current folder."""

from __future__ import annotations

import os
from collections.abc import Callable
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
