"""Pictures as data: what a plugin wants to be seen, without a word on how it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

#: measured: a quantity with its band. bound: what a theorem says of it. guide: a line to compare with. run: one run among many.
#: points: no line between them. limits: a bound for each point. mark: one point that the label speaks of. outline: without a place in the legend.
Role = Literal["measured", "bound", "guide", "run", "points", "limits", "mark", "outline"]


@dataclass(frozen=True)
class Curve:
    """A line. x, y and, where there is a band, low and high: sequences of the same length."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    role: Role = "measured"


@dataclass(frozen=True)
class Panel:
    """One pair of axes. `says_from`: where along x the bound starts to say something; what is left of it is shaded.

    is_map: both axes have one scale and no ticks. texts: (x, y, words) beside places.
    """

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    log_x: bool = False
    log_y: bool = False
    says_from: float | None = None
    is_map: bool = False
    texts: tuple[tuple[float, float, str], ...] = ()


@dataclass(frozen=True)
class Picture:
    """Panels side by side. `name` becomes the file's, the caption says what there is to see and what the bands mean."""

    name: str
    title: str
    panels: tuple[Panel, ...]
    caption: str = ""


def mean_curve(
    label: str, x: Any, values: np.ndarray, low: Any, high: Any, *, confidence: float = 0.95, role: Role = "measured"
) -> Curve:
    """The mean over runs with a band that holds the true mean at each x, at this confidence, whatever the law of the values.

    values (N, C), one row per run, known to lie in [low, high] (numbers, or one per x). The band is that of a betting test.
    """
    import numpy as np

    from theorylab.statistics import grid

    low, high = np.broadcast_to(low, values.shape[1:]), np.broadcast_to(high, values.shape[1:])
    alpha = (1.0 - confidence) / 2.0
    ends = []
    for j in range(values.shape[1]):
        width = float(high[j] - low[j]) or 1.0
        unit = np.clip((values[:, j] - low[j]) / width, 0.0, 1.0)
        ends.append((low[j] + width * grid.lower_bound(unit, alpha), low[j] + width * grid.upper_bound(unit, alpha)))
    below, above = zip(*ends, strict=True)
    return Curve(label, tuple(map(float, x)), tuple(values.mean(axis=0).tolist()), tuple(below), tuple(above), role)


def quantile_curve(label: str, x: Any, values: np.ndarray, *, share: float = 0.8) -> Curve:
    """The median run with a band that holds this share of the runs at each x: what one run looks like, not where the mean is.

    values (N, C), one row per run.
    """
    import numpy as np

    below, middle, above = np.quantile(values, [(1.0 - share) / 2.0, 0.5, (1.0 + share) / 2.0], axis=0).tolist()
    return Curve(label, tuple(map(float, x)), tuple(middle), tuple(below), tuple(above))


def simplex_map(title: str, corners: Sequence[str], paths: Sequence[Curve]) -> Panel:
    """Policies over three actions as places in a triangle. Each path has x (C,) and y (C,): probabilities of the second and third action."""
    height = 3.0**0.5 / 2.0
    ends = ((0.0, 0.0), (1.0, 0.0), (0.5, height))
    outline = Curve("", (0.0, 1.0, 0.5, 0.0), (0.0, 0.0, height, 0.0), role="outline")
    placed = [
        Curve(
            c.label,
            tuple(second + third / 2.0 for second, third in zip(c.x, c.y, strict=True)),
            tuple(third * height for third in c.y),
            role=c.role,
        )
        for c in paths
    ]
    texts = tuple((x, y, name) for (x, y), name in zip(ends, corners, strict=True))
    return Panel(title, "", "", (outline, *placed), is_map=True, texts=texts)
