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
    _draw_panels(picture, fig, rows, columns)
    fig.suptitle(picture.title, fontsize=12)
    if picture.caption:
        fig.supxlabel(_wrapped(picture.caption, 88 * columns), fontsize=8, color="#444444")
    return fig


def _draw_panels(picture: Picture, fig: Any, rows: int, columns: int) -> None:
    axes = fig.subplots(rows, columns, squeeze=False)
    for panel, axis in zip(picture.panels, axes.flat, strict=False):
        _draw(panel, axis)
    for axis in axes.flat[len(picture.panels) :]:
        axis.set_visible(False)


#: Colours of a page's own style sheet, by the colours they are drawn with: an SVG inside a page follows it into the dark.
INK = "#010203"
PAGE_COLOURS = {
    INK: "currentColor",
    "#000000": "currentColor",
    "#b0b0b0": "var(--grid)",
    **{c.lower(): f"var(--c{i})" for i, c in enumerate(COLOURS[:-1])},
}


_DIGITS = re.compile(r"-?\d+\.\d{2,}")


def _tenths(number: re.Match[str]) -> str:
    """Tenths of a point are fine enough, and half as long."""
    return f"{float(number[0]):.1f}".rstrip("0").rstrip(".")


def _without_bare_groups(text: str) -> str:
    """A group that says nothing of what is in it is left out."""
    kept: list[bool] = []

    def tag(match: re.Match[str]) -> str:
        if match[0] == "</g>":
            return match[0] if kept.pop() else ""
        kept.append(match[0] != "<g>")
        return match[0] if kept[-1] else ""

    return re.sub(r"<g(?: [^>]*)?>|</g>", tag, text)


def svg(picture: Picture, name: str) -> str:
    """The panels as an SVG element for a page: no title or caption (the page says them), letters as text, colours from the page.

    name: unlike that of any other on the page, since SVG elements of one page share their ids
    """
    require_matplotlib()
    import io

    import matplotlib as mpl
    from matplotlib.figure import Figure

    columns = min(2, len(picture.panels))
    rows = math.ceil(len(picture.panels) / columns)
    settings: dict[Any, Any] = {"svg.hashsalt": name, "svg.fonttype": "none", "path.simplify_threshold": 0.5}
    settings |= dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK)
    with mpl.rc_context(settings):
        fig = Figure(figsize=(WIDTH_INCHES * columns, 0.9 * HEIGHT_INCHES * rows), facecolor="none")
        _draw_panels(picture, fig, rows, columns)
        width, height = fig.get_size_inches()
        # Margins by hand, in inches: a layout engine takes ten times as long.
        fig.subplots_adjust(0.68 / width, 0.5 / height, 1.0 - 0.1 / width, 1.0 - 0.3 / height, 0.2, 0.3)
        for axis in fig.axes:
            axis.set_facecolor("none")
        stream = io.StringIO()
        fig.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r' (?:width|height)="[0-9.]+pt"', "", text, count=2)
    text = re.sub(
        r' id="(?:figure|axes|patch|line2d|text|matplotlib\.axis|xtick|ytick|legend|PolyCollection|FillBetweenPolyCollection|PathCollection|LineCollection)_\d+"',
        "",
        text,
    )
    for drawn, shown in PAGE_COLOURS.items():
        text = re.sub(re.escape(drawn), shown, text, flags=re.IGNORECASE)
    text = re.sub(r"font-family: [^;]*; ", "", text)  # the page's own letters
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)  # it would hold for the whole page
    text = text.replace(' transform="rotate(-0 ', ' data-t="(').replace("; stroke-width: 0.8; stroke-linecap: square", "")
    text = re.sub(r' data-t="[^"]*"', "", text)
    text = re.sub(r' (?:d|x|y|points|transform|viewBox)="[^"]*"', lambda attribute: _DIGITS.sub(_tenths, attribute[0]), text)
    text = re.sub(r"\s*\n\s*(?=[A-Za-z])", "", _without_bare_groups(text))  # the steps of a path
    text = re.sub(r"\s*\n\s*", "\n", text)
    text = text.replace("xlink:href", "href").replace(' xmlns:xlink="http://www.w3.org/1999/xlink"', "")
    return text.replace("<svg ", f'<svg role="img" aria-label="{name}" ', 1)


def _wrapped(text: str, width: int) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(text, width))


def _draw(panel: Panel, axis: Any) -> None:
    for is_log, name in ((panel.log_x, "x"), (panel.log_y, "y")):
        if is_log:
            _logarithmic(axis, name)
    colours: dict[str, str] = {}
    for curve in panel.curves:
        # Runs of one label share a colour and one entry in the legend; a bound is black.
        if curve.role in ("measured", "run", "points") and curve.label not in colours:
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
    for x, y, words in panel.texts:
        axis.annotate(words, (x, y), (0, 6 if y > 0.0 else -12), textcoords="offset points", ha="center", fontsize=8)
    if not panel.log_x and all(float(x).is_integer() for curve in panel.curves for x in curve.x):
        axis.xaxis.get_major_locator().set_params(integer=True)
    axis.set_title(panel.title, fontsize=10)
    if panel.is_map:
        axis.set_aspect("equal", anchor="W")
        axis.set_axis_off()
        axis.margins(0.12)
    axis.set_xlabel(panel.x_label)
    axis.set_ylabel(panel.y_label)
    axis.grid(alpha=0.25)
    axis.spines[["top", "right"]].set_visible(False)
    beside = {"loc": "upper left", "bbox_to_anchor": (0.8, 1.0)} if panel.is_map else {}
    axis.legend(fontsize=7, frameon=False, **beside)


def _logarithmic(axis: Any, name: str) -> None:
    """Powers of ten in plain letters: mathematical ones take most of the time of a drawing."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    getattr(axis, f"set_{name}scale")("log")
    side = getattr(axis, f"{name}axis")
    side.set_major_locator(LogLocator(numticks=7))
    side.set_minor_locator(NullLocator())
    side.set_major_formatter(FuncFormatter(lambda value, place: f"{value:g}"))


def _line(curve: Curve, axis: Any, colour: str, dashes: str, label: str) -> None:
    if curve.role == "outline":
        axis.plot(curve.x, curve.y, color="#000000", lw=0.8)
        return
    if curve.role == "mark":
        axis.plot(
            curve.x, curve.y, color=COLOURS[1], label=label or None, ls="", marker="*", ms=11, mec="#000000", mew=0.6, zorder=5
        )
        return
    if curve.role == "limits":
        axis.plot(curve.x, curve.y, color="#000000", label=label or None, ls="", marker="_", ms=7, mew=1.6)
        return
    if curve.role == "points":
        axis.plot(curve.x, curve.y, color=colour, label=label or None, ls="", marker="o", ms=4, alpha=0.8)
        if curve.low is not None and curve.high is not None:
            axis.vlines(curve.x, curve.low, curve.high, color=colour, lw=1.0, alpha=0.8)
        return
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
