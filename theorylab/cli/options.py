"""Options that several commands share, validated as they are read."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class SeedCount(click.ParamType):
    """A whole number >= 1, or `auto`."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "auto" or isinstance(value, int):
            return value
        try:
            count = int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a whole number nor 'auto'.", param, ctx)
        if count < 1:
            self.fail(f"{count} seeds: at least 1 is needed.", param, ctx)
        return count


class Trial(click.ParamType):
    """INSTANCE:SEED."""

    name = "INSTANCE:SEED"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        label, colon, seed = value.rpartition(":")
        if not (label and colon and seed.isdigit()):
            self.fail(f"{value!r}: write INSTANCE:SEED, as in --replay drawn-7:7.", param, ctx)
        return label, int(seed)


class Duration(click.ParamType):
    """Seconds, or a number with s, m or h."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        factor = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(value[-1:], 0.0)
        try:
            seconds = float(value[:-1]) * factor if factor else float(value)
        except ValueError:
            self.fail(f"{value!r}: write a number of seconds, or 90s, 5m, 1h.", param, ctx)
        if not (math.isfinite(seconds) and seconds > 0.0):
            self.fail(f"{value!r} must be positive.", param, ctx)
        return seconds


class Setting(click.ParamType):
    """NAME=VALUE."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        key, sign, text = value.partition("=")
        if not (key and sign and text):
            self.fail(f"{value!r}: write NAME=VALUE, as in --set steps=1000.", param, ctx)
        return key.replace("-", "_"), text


def probability(ctx: click.Context, param: click.Parameter, value: float) -> float:
    """An option that must lie strictly between 0 and 1."""
    if not (math.isfinite(value) and 0.0 < value < 1.0):
        raise click.BadParameter(f"{value} must lie strictly between 0 and 1.", ctx, param)
    return value


def running_options(function: F) -> F:
    """What every command that runs trials takes."""
    for option in reversed(
        [
            click.option("--instances", type=click.IntRange(min=0), help="How many instances to draw besides the named ones."),
            click.option("--claim", "claims", multiple=True, metavar="NAME", help="Only this claim; may be repeated."),
            click.option("--alpha", type=float, default=1e-6, show_default=True, callback=probability,
                         help="False-alarm probability of the whole run: guards REFUTED."),
            click.option("--seed", "root_seed", type=click.IntRange(min=0), default=0, show_default=True,
                         help="Root of all random streams."),
            click.option("--workers", type=click.IntRange(min=0, max=1024), default=0, show_default=True,
                         help="Worker processes; 0 uses the threads of this one. Never changes a result."),
            click.option("--timeout", "timeout_s", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
                         help="Per run; needs --workers."),
            click.option("--memory", "memory_mib", type=click.IntRange(min=512), metavar="MIB",
                         help="Address space of each worker; needs --workers. Compiling takes about 1024."),
            click.option("--set", "settings", multiple=True, type=Setting(),
                         help="A parameter of the run (steps=1000), or a number of the instance in --instance (tau=0.05)."),
            click.option("--drop", multiple=True, metavar="ASSUMPTION", help="Do not grant the claims this assumption."),
            click.option("--chunk", type=click.IntRange(min=1), hidden=True, help="Runs per block."),
        ]
    ):  # fmt: skip
        function = option(function)
    return function


def backend_options(function: F) -> F:
    """`--backend` and `--device`."""
    backend = click.option("--backend", metavar="NAME", help="Run what this backend has in the plugin's place, such as torch.")
    device = click.option("--device", metavar="NAME", default="auto", show_default=True, help="Of the backend: auto, cpu, cuda.")
    return backend(device(function))


def drawing_options(function: F) -> F:
    """`--html` and `--plots`."""
    page = click.option("--html", "page", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
                        help="Write the report as one page, pictures included.")  # fmt: skip
    plots = click.option("--plots", metavar="DIR", type=click.Path(file_okay=False, path_type=Path),
                         help="Draw the plugin's figures, and one of each claim, into DIR.")  # fmt: skip
    return page(plots(function))
