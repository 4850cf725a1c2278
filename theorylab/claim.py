"""What a theorem says of the measures of a run: the claim, its mode, and what is expected of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from theorylab.errors import PluginError
from theorylab.formula import Formula

Provenance = Literal["stated", "derived", "unconfirmed"]
Expected = Literal["supported", "refuted"]
Relation = Literal["<=", ">=", "=="]

#: A number, or a function of named quantities that returns one per entry.
Slack = float | Callable[..., Any]


@dataclass(frozen=True)
class Always:
    """For every run and every entry. `slack`: rounding error of the float margin, absolute.

    Entries beyond the slack are replayed in interval arithmetic before they count. The default slack covers only the
    rounding of the comparison itself: 64 u (|measured| + |bound|).
    """

    slack: Slack | None = None
    label: ClassVar[str] = "always"
    is_pathwise: ClassVar[bool] = True


@dataclass(frozen=True)
class Equals:
    """An identity, or agreement with an oracle, to the stated rounding error `slack` (absolute)."""

    slack: Slack
    label: ClassVar[str] = "equals"
    is_pathwise: ClassVar[bool] = True


@dataclass(frozen=True)
class OnAverage:
    """The expectation over seeds obeys the bound, at every checkpoint."""

    label: ClassVar[str] = "on-average"
    is_pathwise: ClassVar[bool] = False


@dataclass(frozen=True)
class WithProbability:
    """At least this share of runs obeys the bound, at all checkpoints at once. `slack` as in `Always`."""

    probability: float
    slack: Slack | None = None
    label: ClassVar[str] = "with-probability"
    is_pathwise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 0.0 < self.probability < 1.0:
            raise PluginError(f"WithProbability({self.probability!r}): the probability must lie in (0, 1).")


@dataclass(frozen=True)
class Sweep:
    """Values of a run parameter or an instance field along which a rate is measured."""

    name: str
    values: tuple[float, ...]

    def __init__(self, name: str, values: Any) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "values", tuple(values))
        if len(self.values) < 2:
            raise PluginError(f"Sweep({name!r}): a rate needs at least 2 values, 5 or more to be worth reading.")


@dataclass(frozen=True)
class AtRate:
    """The expectation falls like n^-exponent along a measure (by name) or a sweep.

    With a bound (the constant is stated) every grid point is tested as an expectation: refutable. With `doubling`, a
    tolerance, `E[Y_2n] <= 2^-exponent (1 + doubling) E[Y_n]` is tested on a doubling grid: refutable. With neither the slope is
    shown and can only be consistent. A rate is never SUPPORTED.
    """

    exponent: float
    along: str | Sweep
    doubling: float | None = None
    tolerance: float = 0.1  # slope errors up to this still read as consistent
    label: ClassVar[str] = "at-rate"
    is_pathwise: ClassVar[bool] = False


Mode = Always | Equals | OnAverage | WithProbability | AtRate


@dataclass(frozen=True, eq=False, repr=False)
class Claim:
    """One promise. `measure` is the name of what is measured, `bound` what the theorem says of it."""

    name: str
    measure: str
    mode: Mode
    relation: Relation
    bound: Formula
    within: Formula | None
    statement: str
    source: str
    provenance: Provenance
    expected: Expected
    assumes: tuple[str, ...]
    along: str | None
    only: tuple[str, ...]
    toothless: str | None
    slack: Formula | float | None = field(default=None)

    @property
    def is_statistical(self) -> bool:
        """Whether a refutation spends some of the run's false-alarm probability."""
        return not self.mode.is_pathwise
