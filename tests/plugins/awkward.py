"""A plugin whose misbehaviour is chosen by the instance: for the tests of what goes wrong."""

import ctypes
import os
import sys
import time
from dataclasses import dataclass

import numpy as np

from theorylab import Always, Instance, Plugin

plugin = Plugin("awkward", api=1, title="Misbehaves on request", source="tests")


@dataclass(frozen=True, eq=False)
class Request(Instance):
    fault: str
    at: float = 1.0  # the seed that misbehaves

    def __post_init__(self):
        object.__setattr__(self, "at", float(self.at))


@plugin.run(level=0.5)
def run(request, rng, *, level):
    value = float(rng.random())
    guilty = abs(value - float(request.at)) < 1e-9 or request.at < 0
    if not guilty:
        return {"value": value}
    if request.fault == "raise":
        raise ZeroDivisionError("on purpose")
    if request.fault == "exit":
        os._exit(7)
    if request.fault == "segfault":
        ctypes.string_at(0)
    if request.fault == "hang":
        time.sleep(3600)
    if request.fault == "print":
        print("noise on stdout")
        sys.stdout.flush()
    return {"value": {"nan": np.nan, "inf": np.inf, "text": "x", "above": 2.0, "far": 9.0}.get(request.fault, value)}


@plugin.claim("value", holds=Always(), source="tests", within=lambda: (0, 3))
def value_is_at_most_one():
    """value <= 1"""
    return 1


@plugin.mutant(refuted_by="value_is_at_most_one")
def doubled(request, rng, *, level):
    """Twice as large, and one more."""
    return {"value": 1.0 + rng.random()}


plugin.reference("calm", Request("none"))
