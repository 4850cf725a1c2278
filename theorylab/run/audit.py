"""The kill matrix: every mutant is run in the algorithm's place, and must be refuted by the claims that say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from theorylab.errors import STOPS, UsageError, stop_status
from theorylab.plugin import Plugin
from theorylab.registry import load
from theorylab.run.confirm import confirm
from theorylab.run.execute import execute
from theorylab.run.judge import judge_in_order
from theorylab.run.plan import jobs, make_plan
from theorylab.run.records import Request
from theorylab.run.worker import Work


@dataclass(frozen=True)
class Audit:
    """The kill matrix of one plugin.

    matrix     claim -> mutant -> whether the claim refutes it
    survivors  mutants that no claim refutes, without a stated reason
    toothless  claims that refute no mutant, without a stated reason
    missed     (mutant, claim) pairs that the plugin promises and that did not come true
    excused    mutants and claims with a stated reason
    left       mutants that were not come to, because the audit was stopped
    stopped    the exit status that says how it was stopped; 0 if it was not
    """

    plugin: str
    matrix: Mapping[str, Mapping[str, bool]]
    survivors: tuple[str, ...]
    toothless: tuple[str, ...]
    missed: tuple[tuple[str, str], ...]
    excused: Mapping[str, str]
    false_alarms: tuple[str, ...]
    left: tuple[str, ...] = ()
    stopped: int = 0
    seconds: float = 0.0

    @property
    def is_clean(self) -> bool:
        return not (self.survivors or self.toothless or self.missed or self.false_alarms)


def audit(request: Request, told: Callable[[str], None] = lambda mutant: None, mutants: Sequence[str] = ()) -> Audit:
    """Run every mutant, or those named, on the named instances and a few drawn ones. Claims expected to be refuted take no part.

    Raises UsageError for a mutant that the plugin does not have.
    """
    plugin = load(request.locator)
    for name in mutants:
        if name not in plugin.mutants:
            raise UsageError(f"{plugin.name} has no mutant {name!r}. Mutants: {', '.join(plugin.mutants)}.")
    plan = make_plan(request, plugin)
    for name in plan.claims:
        plugin.claims[name].bound.prepare()
    claims = tuple(name for name in plan.claims if plugin.claims[name].expected == "supported")
    matrix: dict[str, dict[str, bool]] = {name: {} for name in claims}
    false_alarms: tuple[str, ...] = ()
    names = tuple(mutants or plugin.mutants)
    for k, mutant in enumerate((None, *names)):
        told(mutant or "the algorithm itself")
        work = Work(claims, plan.parameters, plan.root_seed, mutant)
        try:
            results = execute(
                plugin, request.locator, plan, jobs(plan, request.chunk, max(request.workers, 2)), work,
                workers=request.workers, timeout_s=request.timeout_s,
            )  # fmt: skip
            confirmations = confirm(plugin, plan, work, results)
        except STOPS as stop:  # what is known of the mutants before is reported
            return _summary(plugin, matrix, false_alarms, names[max(k - 1, 0) :], stop_status(stop))
        refuted = {
            name: judge_in_order(plugin.claims[name], plan, results, confirmations.get(name, ())).status == "REFUTED"
            for name in claims
        }
        if mutant is None:
            false_alarms = tuple(name for name in claims if refuted[name] and plugin.claims[name].provenance != "unconfirmed")
            continue
        for name in claims:
            matrix[name][mutant] = refuted[name]
    return _summary(plugin, matrix, false_alarms)


def _summary(
    plugin: Plugin,
    matrix: dict[str, dict[str, bool]],
    false_alarms: tuple[str, ...],
    left: tuple[str, ...] = (),
    stopped: int = 0,
) -> Audit:
    claims = list(matrix)
    tried = {name: m for name, m in plugin.mutants.items() if any(name in row for row in matrix.values())}
    killed = {mutant: [name for name in claims if matrix[name][mutant]] for mutant in tried}
    excused = {m.name: m.survives for m in tried.values() if m.survives}
    excused |= {c.name: c.toothless for c in plugin.claims.values() if c.toothless}
    survivors = [m.name for m in tried.values() if not killed[m.name] and not m.survives]
    toothless = [name for name in claims if not (left or any(matrix[name].values()) or plugin.claims[name].toothless)]
    missed = [(m.name, claim) for m in tried.values() for claim in m.refuted_by if claim in matrix and not matrix[claim][m.name]]
    # A mutant said to be equivalent must not be refuted either: then the stated reason is wrong.
    missed += [(m.name, claim) for m in tried.values() if m.survives for claim in killed[m.name]]
    return Audit(plugin.name, matrix, tuple(survivors), tuple(toothless), tuple(missed), excused, false_alarms, left, stopped)
