"""One exploration, and what is kept of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from theorylab.problems.linear_mixture import LinearMixture
from theorylab.problems.record import Array

from .baselines import Flaws
from .exploring import Rules, Series, Tally, explore, fresh_series, fresh_tally, room
from .formulas import DELTA, Constants, constants


@dataclass(frozen=True)
class Variant:
    """What the learners really do. The defaults are right; mutants change one of them.

    rules    the kernels'
    moments  how many, or 0 for as many as the theorem asks for
    floors   the constants, from the right ones
    replan   by which factor episodes grow between plans
    flaws    the baselines'
    """

    rules: Rules = field(default_factory=Rules)
    moments: int = 0
    floors: Callable[[Constants], Constants] = lambda found: found
    replan: float = 1.0
    flaws: Flaws = field(default_factory=Flaws)


@dataclass(frozen=True)
class Exploration:
    """What is known after an exploration.

    episodes     how many there were
    certificate  (N,) least W found for each reward; twice that bounds what its policy loses
    policies     (N, H, S)
    series       the regressions
    tally        what was met on the way; rows of plans that were judged only
    """

    episodes: int
    certificate: Array
    policies: NDArray[np.int64]
    series: Series
    tally: Tally
    constants: Constants


def judged_episodes(K: int) -> NDArray[np.bool_]:
    """(K,) episodes whose plans are looked at: the first ones all, then ever fewer."""
    episodes = np.arange(1, K + 1)
    return np.asarray(np.floor(np.log(episodes) / np.log(1.1)) > np.floor(np.log(np.maximum(episodes - 1, 0.5)) / np.log(1.1)))


def exploration(
    mixture: LinearMixture,
    rng: np.random.Generator,
    episodes: int,
    *,
    scale: float = 1.0,
    delta: float = DELTA,
    target: float = -1.0,
    replan: float = 1.0,
    variant: Variant | None = None,
    judging: bool = True,
) -> Exploration:
    """At most `episodes` of them; fewer once all certificates 2 W are at most `target`. replan: by which factor episodes grow between plans."""
    variant = variant or Variant()
    found = variant.floors(constants(mixture, episodes, scale=scale, delta=delta, moments=variant.moments))
    N, H, S, _ = mixture.rewards.shape
    judged = judged_episodes(episodes) & judging
    series = fresh_series(mixture.dimension, found.moments, found.ridge)
    tally = fresh_tally(episodes, found.moments, int(judged.sum()), mixture.rewards.shape)
    certificate, policies = np.full(N, np.inf), np.zeros((N, H, S), dtype=np.int64)
    done, rows = explore(
        mixture.sparse, mixture.transition, np.cumsum(mixture.transition, axis=1), mixture.start, mixture.rewards, mixture.theta, found.radii,
        found.alpha, found.gamma, max(replan, variant.replan), target, judged, variant.rules, series, room(mixture.dimension, S, found.moments), tally,
        certificate, policies, rng,
    )  # fmt: skip
    by_plan = ("optimism", "dominance", "loss", "promised", "hat", "tilde", "highest")
    kept = tally._replace(**{name: getattr(tally, name)[:rows] for name in by_plan})
    return Exploration(int(done), certificate, policies, series, kept, found)
