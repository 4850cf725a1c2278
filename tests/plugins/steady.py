"""A plugin whose runs take a few milliseconds each: for tests that stop it in the middle."""

import os
import time
from dataclasses import dataclass

from theorylab import Always, Instance, OnAverage, Plugin

plugin = Plugin("steady", api=1, title="Takes its time", source="tests")

PAUSE_S = float(os.environ.get("STEADY_PAUSE_S", "0.005"))


@dataclass(frozen=True, eq=False)
class Level(Instance):
    level: float = 0.5


@plugin.run()
def run(level, rng):
    time.sleep(PAUSE_S)
    return {"x": float(rng.random()) * level.level, "y": float(rng.random())}


@plugin.claim("x", holds=Always(), source="tests", within=lambda: (0, 2))
def below_level(level):
    """x <= level"""
    return level.level


@plugin.claim("y", holds=OnAverage(), source="tests", within=lambda: (0, 1))
def small_on_average():
    """E[y] <= 0.9"""
    return 0.9


@plugin.mutant(refuted_by="below_level")
def doubled(level, rng):
    """Twice as large."""
    return {"x": 1.0 + float(rng.random()), "y": float(rng.random())}


plugin.reference("half", Level(0.5))
plugin.reference("one", Level(1.0))
