"""Tables from users' text files: CSV, TSV, semicolons; comments, empty lines and a byte-order mark are forgiven."""

from __future__ import annotations

import csv
from pathlib import Path

from theorylab.errors import InstanceError

#: Numbered lines of cells without surrounding blanks.
Lines = list[tuple[int, list[str]]]


def is_table(path: Path) -> bool:
    """Whether the name says that the file is a table of text."""
    return path.suffix.lower() in {".csv", ".tsv"}


def read_table(path: Path, expected: str) -> Lines:
    """The lines of a table that hold anything. Raises InstanceError naming the file; `expected` says what belongs into it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InstanceError(f"{path}: no such file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InstanceError(f"{path} cannot be read as UTF-8 text: {error}.") from None
    first = text.partition("\n")[0]
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ";" if first.count(";") > first.count(",") else ","
    lines = [(i, [cell.strip() for cell in row]) for i, row in enumerate(csv.reader(text.splitlines(), delimiter=delimiter), 1)]
    lines = [(i, row) for i, row in lines if any(row) and not row[0].startswith("#")]
    if not lines:
        raise InstanceError(f"{path} is empty: expected {expected}.")
    return lines


def column_names(row: list[str]) -> list[str]:
    """Cells of a header as they are compared: lower case, underscores."""
    return [cell.lower().replace(" ", "_") for cell in row]
