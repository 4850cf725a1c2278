"""Pictures as data: what a plugin wants to be seen, without a word on how it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np

#: measured: a quantity with its band. bound: what a theorem says of it. guide: a line to compare with. run: one run among many.
Role = Literal["measured", "bound", "guide", "run"]


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
    """One pair of axes. `says_from`: where along x the bound starts to say something; what is left of it is shaded."""

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    log_x: bool = False
    log_y: bool = False
    says_from: float | None = None


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
