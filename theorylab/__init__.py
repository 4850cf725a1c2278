"""theorylab does for theorems what pytest does for code.

A theorem about an algorithm is a promise for every problem that meets its assumptions. A *plugin* writes the promise
down (problems, algorithm, claims with their constants, broken variants), and `theorylab check` says of each claim, with
a stated error probability, whether it held on the instances that were tried.

Everything a plugin author touches is re-exported here, loaded when first used, and `check` for those who work in Python.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from theorylab.checked import Run as Run
    from theorylab.checked import check as check
    from theorylab.checked import open_run as open_run
    from theorylab.claim import Always as Always
    from theorylab.claim import AtRate as AtRate
    from theorylab.claim import Equals as Equals
    from theorylab.claim import OnAverage as OnAverage
    from theorylab.claim import Sweep as Sweep
    from theorylab.claim import WithProbability as WithProbability
    from theorylab.errors import InstanceError as InstanceError
    from theorylab.errors import PluginError as PluginError
    from theorylab.kernels import kernel as kernel
    from theorylab.plugin import Answer as Answer
    from theorylab.plugin import LazyMeasures as LazyMeasures
    from theorylab.plugin import Plugin as Plugin
    from theorylab.problems.record import Instance as Instance

__version__ = "0.1.0"
API_VERSION = 1

_HOMES = {
    "Run": "theorylab.checked",
    "check": "theorylab.checked",
    "open_run": "theorylab.checked",
    "Always": "theorylab.claim",
    "AtRate": "theorylab.claim",
    "Equals": "theorylab.claim",
    "OnAverage": "theorylab.claim",
    "Sweep": "theorylab.claim",
    "WithProbability": "theorylab.claim",
    "InstanceError": "theorylab.errors",
    "PluginError": "theorylab.errors",
    "kernel": "theorylab.kernels",
    "Answer": "theorylab.plugin",
    "LazyMeasures": "theorylab.plugin",
    "Plugin": "theorylab.plugin",
    "Instance": "theorylab.problems.record",
}

__all__ = ["API_VERSION", "__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'theorylab' has no attribute {name!r}")
