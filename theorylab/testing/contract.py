"""What every plugin owes its users, one check at a time."""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from theorylab.plugin import Plugin
from theorylab.problems.record import Instance, load_instance, save_instance
from theorylab.run.plan import draw_instances
from theorylab.run.records import Request, instance_digest
from theorylab.run.streams import trial_stream
from theorylab.testing.verdicts import locator_of

#: Instances that are drawn besides the named ones.
DRAWN = 3


def check_plugin(plugin: Plugin, *, seeds: int = 16) -> Any:
    """A test function with one test per check, for a module's top level: `test_contract = check_plugin(plugin)`.

    Runs leave instances as they are and give the same measures for the same seed; every claim's measure is there and finite somewhere; every claim has a
    statement and a source; every assumption holds somewhere; instances go to files and back; every mutant falls to the claims that it names.
    """
    import pytest

    checks = dict(contract_checks(plugin, seeds=seeds))

    @pytest.mark.parametrize("check", list(checks.values()), ids=list(checks))
    def test_contract(check: Callable[[], None]) -> None:
        check()

    return test_contract


def contract_checks(plugin: Plugin, *, seeds: int = 16) -> Iterator[tuple[str, Callable[[], None]]]:
    """Names and functions that raise AssertionError."""
    yield "runs-leave-instances-alone", partial(_runs_leave_instances_alone, plugin)
    yield "runs-depend-on-the-seed-alone", partial(_runs_depend_on_the_seed_alone, plugin)
    yield "claims-are-measured", partial(_claims_are_measured, plugin)
    yield "claims-are-documented", partial(_claims_are_documented, plugin)
    for name in plugin.assumptions:
        yield f"assumption-{name}", partial(_assumption_holds_somewhere, plugin, name)
    yield "instances-round-trip", partial(_instances_round_trip, plugin)
    for name in plugin.mutants:
        yield f"mutant-{name}", partial(_mutant_is_refuted, plugin, name, seeds)


def _instances(plugin: Plugin) -> dict[str, Any]:
    drawn = draw_instances(plugin, 0, DRAWN)
    return {**plugin.references, **{f"drawn-{i}": instance for i, instance in enumerate(drawn)}}


def _measures(plugin: Plugin, instance: Any, seed: int) -> dict[str, Any]:
    run = plugin.algorithm
    rng = trial_stream(0, plugin.name, instance_digest(instance), seed)
    return dict(run.function(instance, [rng] if run.batched else rng, **run.parameters))


def _runs_leave_instances_alone(plugin: Plugin) -> None:
    for label, instance in _instances(plugin).items():
        before = instance_digest(instance)
        _measures(plugin, instance, 0)
        assert instance_digest(instance) == before, f"{plugin.name}: a run changed the instance {label}. Copy what you write to."


def _runs_depend_on_the_seed_alone(plugin: Plugin) -> None:
    for label, instance in _instances(plugin).items():
        first, second = _measures(plugin, instance, 0), _measures(plugin, instance, 0)
        assert first.keys() == second.keys(), f"{plugin.name}: two runs of the same seed on {label} measured different things."
        for name in first:
            same = np.array_equal(np.asarray(first[name]), np.asarray(second[name]), equal_nan=True)
            assert same, (
                f"{plugin.name}: two runs of the same seed on {label} gave different {name!r}. Take all randomness from `rng`."
            )


def _claims_are_measured(plugin: Plugin) -> None:
    found = {label: _measures(plugin, instance, 0) for label, instance in _instances(plugin).items()}
    for claim in plugin.claims.values():
        values = [np.asarray(m[claim.measure], dtype=float) for m in found.values() if claim.measure in m]
        assert any(v.size for v in values), (
            f"{plugin.name}: no run returns {claim.measure!r}, which claim {claim.name!r} is about."
        )
        assert any(np.isfinite(v).all() and v.size for v in values), f"{plugin.name}: {claim.measure!r} is finite on no instance."


def _claims_are_documented(plugin: Plugin) -> None:
    for claim in plugin.claims.values():
        assert claim.statement, f"{plugin.name}: claim {claim.name!r} has no docstring: say what is claimed."
        assert claim.source, f"{plugin.name}: claim {claim.name!r} has no source: theorem, paper, arXiv number."


def _assumption_holds_somewhere(plugin: Plugin, name: str) -> None:
    holds = plugin.assumptions[name]
    assert any(holds(instance) for instance in _instances(plugin).values()), f"{plugin.name}: {name!r} holds on no instance."


def _instances_round_trip(plugin: Plugin) -> None:
    for label, instance in _instances(plugin).items():
        assert isinstance(instance, Instance), (
            f"{plugin.name}: {label} is a {type(instance).__name__}: derive it from theorylab.Instance."
        )
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "instance.json"
            save_instance(instance, path)
            again = plugin.read(path) if plugin.read is not None else load_instance(type(instance), path)
        assert again == instance, f"{plugin.name}: {label} comes back from a file as another instance."


def _mutant_is_refuted(plugin: Plugin, name: str, seeds: int) -> None:
    from theorylab.run.audit import audit

    mutant = plugin.mutants[name]
    result = audit(Request(locator_of(plugin), seeds=seeds), mutants=[name])
    killers = {claim for claim, row in result.matrix.items() if row[name]}
    if mutant.survives:
        return
    missed = sorted(set(mutant.refuted_by) - killers)
    assert not missed, (
        f"{plugin.name}: mutant {name!r} ({inspect.cleandoc(mutant.description)}) is not refuted by {', '.join(missed)}."
    )
