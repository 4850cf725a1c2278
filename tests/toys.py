"""Plugins of one claim, made on the spot and judged."""

from __future__ import annotations

from dataclasses import dataclass

from theorylab import Instance, Plugin
from theorylab.registry import Locator
from theorylab.run.check import check
from theorylab.run.records import Request

from .conftest import PLUGINS

UCB1 = Locator("ucb1", str(PLUGINS / "ucb1.py"), "file")


@dataclass(frozen=True, eq=False)
class Scale(Instance):
    """One number."""

    scale: float = 1.0


def make_plugin(measure, holds, bound, *, name="toy", within=None, relation="<=", instances=(1.0,), slack=None, **options):
    plugin = Plugin(name, api=1, title="t", source="s")
    plugin.run(n=10)(measure)
    plugin.claim("x", holds=holds, source="s", within=within, relation=relation, **options)(bound)
    for i, scale in enumerate(instances):
        plugin.reference(f"scale-{i}", Scale(scale))
    return plugin


def judged(plugin, monkeypatch, **request):
    """Check a plugin object; the claim's verdict."""
    monkeypatch.setattr("theorylab.run.check.load", lambda locator: plugin)
    report = check(Request(Locator(plugin.name, "x", "test"), **request), "test")
    return report.verdicts[0]
