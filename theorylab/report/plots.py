"""Pictures drawn with matplotlib: PNG for people, SVG for papers."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from theorylab.errors import UsageError
from theorylab.picture import Curve, Panel, Picture

#: Colours that stay apart for the colour-blind, and in grey (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

#: Bounds are black; where there are several, their dashes tell them apart.
BOUND_DASHES = ("--", "-.", ":")

WIDTH_INCHES, HEIGHT_INCHES = 5.6, 4.0


def require_matplotlib() -> None:
    """Raise UsageError, with the way out, where matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise UsageError("Plots need matplotlib. Install it with: pip install 'theorylab[report]'") from None


def file_name(name: str) -> str:
    """A name without what file systems and shells read as something else: instances may be called gym:ID?option=value."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-")


def figure(picture: Picture) -> Any:
    """A matplotlib figure of the picture."""
    require_matplotlib()
    from matplotlib.figure import Figure

    columns = min(2, len(picture.panels))
    rows = math.ceil(len(picture.panels) / columns)
    fig = Figure(figsize=(WIDTH_INCHES * columns, HEIGHT_INCHES * rows + 0.9), layout="constrained")
    axes = fig.subplots(rows, columns, squeeze=False)
    for panel, axis in zip(picture.panels, axes.flat, strict=False):
        _draw(panel, axis)
    for axis in axes.flat[len(picture.panels) :]:
        axis.set_visible(False)
    fig.suptitle(picture.title, fontsize=12)
    if picture.caption:
        fig.supxlabel(_wrapped(picture.caption, 88 * columns), fontsize=8, color="#444444")
    return fig


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))


def _draw(panel: Panel, axis: Any) -> None:
    if panel.log_x:
        axis.set_xscale("log")
    if panel.log_y:
        axis.set_yscale("log")
    colours: dict[str, str] = {}
    for curve in panel.curves:
        # Runs of one label share a colour and one entry in the legend; a bound is black.
        if curve.role in ("measured", "run") and curve.label not in colours:
            colours[curve.label] = COLOURS[len(colours) % (len(COLOURS) - 1)]
    shown: set[str] = set()
    bounds = 0
    for curve in panel.curves:
        dashes = ":" if curve.role == "guide" else "-"
        if curve.role == "bound":
            dashes = BOUND_DASHES[bounds % len(BOUND_DASHES)]
            bounds += 1
        _line(curve, axis, colours.get(curve.label, "#000000"), dashes, "" if curve.label in shown else curve.label)
        shown.add(curve.label)
    if panel.says_from is not None:
        left, right = axis.get_xlim()
        axis.axvspan(left, min(panel.says_from, right), color="#999999", alpha=0.15, lw=0, label="the bound says nothing yet")
        axis.set_xlim(left, right)
    axis.set_title(panel.title, fontsize=10)
    axis.set_xlabel(panel.x_label)
    axis.set_ylabel(panel.y_label)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=7, frameon=False)


def _line(curve: Curve, axis: Any, colour: str, dashes: str, label: str) -> None:
    width = {"measured": 1.6, "bound": 1.6, "guide": 1.0, "run": 0.7}[curve.role]
    axis.plot(curve.x, curve.y, color=colour, label=label or None, lw=width, ls=dashes, alpha=0.6 if curve.role == "run" else 1.0)
    if curve.low is not None and curve.high is not None:
        axis.fill_between(curve.x, curve.low, curve.high, color=colour, alpha=0.18, lw=0)


def save(pictures: Sequence[Picture], folder: Path, source: str) -> list[Path]:
    """Write each picture as PNG and SVG; `source`, the command, goes into the files. Raises UsageError if the folder cannot be used."""
    import matplotlib as mpl

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--plots {folder}: {error.strerror or error}.") from None
    written = []
    with mpl.rc_context({"svg.hashsalt": "theorylab", "svg.fonttype": "none"}):  # the same picture gives the same bytes
        for picture in pictures:
            drawn = figure(picture)
            for suffix, about in (("png", {"Software": source}), ("svg", {"Date": None, "Creator": source})):
                path = folder / f"{file_name(picture.name)}.{suffix}"
                drawn.savefig(path, dpi=150, metadata=about)
                written.append(path)
    return written
