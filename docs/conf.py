"""Sphinx: `sphinx-build -W docs docs/_build`. Pages of plugins and the findings are generated from the plugins themselves."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from generate import write_pages

import theorylab

project = "theorylab"
author = "the theorylab authors"
release = version = theorylab.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "theorylab"
exclude_patterns = ["_build"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
suppress_warnings = ["myst.xref_missing"]  # links to READMEs beside the code lead out of these pages


def keep_lines(app: object, what: str, name: str, item: object, options: object, lines: list[str]) -> None:
    """Docstrings are plain text, laid out by hand: they are shown as they stand, line by line."""
    text = []
    for line in lines:
        escaped = line.replace("\\", "\\\\")
        for letter in "*`|_":
            escaped = escaped.replace(letter, f"\\{letter}")
        text.append(f"| {escaped}" if line.strip() else "|")
    lines[:] = text


def setup(app: object) -> None:
    """Pages that are made from the plugins are written before any is read."""
    app.connect("builder-inited", lambda app: write_pages(Path(app.srcdir)))  # type: ignore[attr-defined]
    app.connect("autodoc-process-docstring", keep_lines)  # type: ignore[attr-defined]
