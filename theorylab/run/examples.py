"""Instances from a hypothesis strategy. Hypothesis promises nothing about its distribution: no probability is computed over these."""

from __future__ import annotations

from typing import Any


def examples(strategy: Any, count: int, seed: int) -> list[Any]:
    """Up to `count` distinct draws, the same ones for the same seed."""
    import hypothesis
    from hypothesis import HealthCheck, Phase, given, settings

    found: list[Any] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=count, phases=[Phase.generate], database=None, deadline=None,
        suppress_health_check=list(HealthCheck), derandomize=False,
    )  # fmt: skip
    @given(strategy)
    def collect(instance: Any) -> None:
        found.append(instance)

    collect()
    return found[:count]
