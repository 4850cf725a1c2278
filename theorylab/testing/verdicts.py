"""Claims of a plugin as parameters of a test."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from theorylab.errors import PluginError
from theorylab.plugin import Plugin
from theorylab.registry import Locator
from theorylab.run.records import Report, Request, Verdict


def locator_of(plugin: Plugin) -> Locator:
    """Where a plugin object is: its module and the name it has there."""
    module = sys.modules.get(plugin._package)
    for name, value in vars(module).items() if module is not None else ():
        if value is plugin:
            return Locator(plugin.name, f"{plugin._package}:{name}", "module")
    raise PluginError(f"{plugin.name}: assign the Plugin to a name in its own module, so that it can be found again.")


@cache
def report_of(plugin: Plugin, seeds: int, alpha: float) -> Report:
    """One check serves all tests of a module."""
    from theorylab.run.check import check

    return check(Request(locator_of(plugin), seeds=seeds, alpha=alpha), f"pytest ({plugin.name})")


@dataclass(frozen=True)
class CheckedClaim:
    """A claim, judged when it is first asked about."""

    plugin: Plugin
    name: str
    seeds: int
    alpha: float

    @property
    def verdict(self) -> Verdict:
        """What `theorylab check` says of it."""
        report = report_of(self.plugin, self.seeds, self.alpha)
        return next(v for v in report.verdicts if v.claim == self.name)

    def assert_expected(self) -> None:
        """Raise AssertionError, with the evidence, if it was refuted (or not refuted, where it is false as printed)."""
        verdict = self.verdict
        if not verdict.as_expected or verdict.status == "ERROR":
            raise AssertionError(f"{self.plugin.name}, {self.name}: {verdict.status}. {verdict.reason}")


def claims(plugin: Plugin, *, seeds: int = 100, alpha: float = 1e-6) -> Callable[[Callable[..., Any]], Any]:
    """Parametrise a test over the claims of a plugin: its argument `claim` is a CheckedClaim. alpha: false-alarm probability of all of them together."""
    import pytest

    rows = [CheckedClaim(plugin, name, seeds, alpha) for name in plugin.claims]
    return pytest.mark.parametrize("claim", rows, ids=[row.name for row in rows])
