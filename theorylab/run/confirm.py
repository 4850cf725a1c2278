"""Suspects of pathwise claims, decided: replay in interval arithmetic at growing precision, until zero is excluded.

Floats only raise suspicion. Where the plugin has a high-precision twin, the whole trial is replayed on the same random words and
only a margin interval entirely on the wrong side counts; where it has none, the final inequality is evaluated in interval
arithmetic with the measure widened by its stated rounding error, and the verdict says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from theorylab.claim import Claim
from theorylab.errors import describe
from theorylab.plugin import Plugin
from theorylab.run.observe import Names
from theorylab.run.records import Confirmation, Plan, Suspect, TrialResult
from theorylab.run.streams import trial_stream
from theorylab.run.worker import Work

PRECISIONS = (106, 212, 424, 848, 1696, 4096)

#: Replays per claim that end undecided or turn out harmless before the rest is left as it is, and said to be.
MOST_REPLAYS = 40

#: A recorded margin that is off by more than this many times its stated rounding error (at least that of a number of size one, which a
#: small measure may be the difference of), and by more than this share of its numbers, was not rounded: the run computed something else.
MOST_ROUNDING, MOST_RELATIVE = 2.0**20, 1e-6

#: Replays cost steps x size: beyond this a trial is left undecided at the next precision.
MOST_WORK = 300_000


class Replays:
    """Replayed trials of one run, kept because several claims may ask for the same one."""

    def __init__(self, plugin: Plugin, plan: Plan, work: Work) -> None:
        self.plugin, self.plan, self.work = plugin, plan, work
        self.twin = plugin.algorithm.precisely if work.mutant is None else plugin.mutants[work.mutant].precisely
        self._kept: dict[tuple[int, int, int, int], Mapping[str, Any]] = {}

    def measures(self, subject: int, seed: int, until: int, precision: int) -> Mapping[str, Any] | None:
        """Interval measures of a trial, computed at `precision` when first read."""
        if self.twin is None:
            return None
        key = (subject, seed, until, precision)
        if key not in self._kept:
            about = self.plan.subjects[subject]
            rng = trial_stream(self.work.root_seed, self.plugin.name, about.digest, seed)
            self._kept[key] = self.twin(about.instance, rng, until, **self.work.parameters)
        return self._kept[key]


def confirm(
    plugin: Plugin,
    plan: Plan,
    work: Work,
    results: Sequence[TrialResult],
    tick: Callable[[], None] = lambda: None,
) -> dict[str, list[Confirmation]]:
    """Confirmations by claim: suspects are replayed, cheapest first, until one settles the claim: it is violated, or was not computed."""
    replays = Replays(plugin, plan, work)
    found: dict[str, list[Confirmation]] = {}
    for name in work.claims:
        claim = plugin.claims[name]
        if not claim.mode.is_pathwise:
            continue
        for count, (result, suspect) in enumerate(_suspects(name, plan, results)):
            if count >= MOST_REPLAYS:
                break
            confirmation = decide(claim, replays, result.subject, result.seed, suspect)
            found.setdefault(name, []).append(confirmation)
            tick()
            if confirmation.status in ("violated", "disagrees"):
                break
    return found


def _suspects(name: str, plan: Plan, results: Iterable[TrialResult]) -> list[tuple[TrialResult, Suspect]]:
    """Suspects, those of small instances and few steps first; ties in the order of the plan."""
    pairs = [(result, suspect) for result in results if result.problem is None for suspect in result.observations[name].suspects]
    return sorted(
        pairs,
        key=lambda pair: getattr(plan.subjects[pair[0].subject].instance, "size", 1) * (pair[1].index + 1),
    )


def decide(claim: Claim, replays: Replays, subject: int, seed: int, suspect: Suspect) -> Confirmation:
    """Whether the suspect entry violates the claim in exact arithmetic."""
    status, basis, measured, bound = "undecided", "", suspect.measured, suspect.bound
    for precision in PRECISIONS:
        size = getattr(replays.plan.subjects[subject].instance, "size", 1)
        if precision > PRECISIONS[0] and (suspect.index + 1) * size * precision / 106 > MOST_WORK:
            break
        outcome = _at_precision(claim, replays, subject, seed, suspect, precision)
        if outcome is not None:
            status, basis, measured, bound = outcome
            break
    return Confirmation(subject, seed, suspect.index, measured, bound, status, basis or "no decision")  # type: ignore[arg-type]


def _at_precision(
    claim: Claim, replays: Replays, subject: int, seed: int, suspect: Suspect, precision: int
) -> tuple[str, str, float, float] | None:
    from mpmath import iv

    before = iv.prec
    iv.prec = precision
    try:
        try:
            exact = _exact(claim, replays, subject, seed, suspect.index, precision)
        except (ArithmeticError, ValueError, TypeError):
            # Intervals that have grown too wide for exp, log or 1/x say nothing: the next precision will.
            return None
        except Exception as error:  # a fault of the plugin's replay leaves the claim undecided, and is named
            return "undecided", f"its replay raised {describe(error)}", suspect.measured, suspect.bound
        if exact is None:
            return _stated(claim, replays, subject, suspect)
        measured, bound = map(iv.mpf, exact)
        excess = abs(measured - bound) if claim.relation == "==" else (measured - bound) * (1 if claim.relation == "<=" else -1)
        numbers = float(measured.mid), float(bound.mid)
        if excess.a > 0:
            return "violated", f"replayed in interval arithmetic at {precision} bits", *numbers
        # An identity cannot be proved by enclosures: it holds when the enclosure is far finer than the float error.
        fine = claim.relation == "==" and excess.b < max(suspect.slack, 2.0**-53) * 2.0**-20
        if excess.b <= 0 or fine:
            basis = f"replayed in interval arithmetic at {precision} bits"
            off = abs((suspect.measured - suspect.bound) - (numbers[0] - numbers[1]))
            rounding = MOST_ROUNDING * max(suspect.slack, 2.0**-53) + MOST_RELATIVE * (abs(numbers[0]) + abs(numbers[1]))
            # Where the lowest precision does not decide, all digits cancel or numbers underflow: then floats may be off by anything.
            is_other = precision == PRECISIONS[0] and off > rounding
            return "disagrees" if is_other else "holds", basis, *numbers
        return None
    finally:
        iv.prec = before


def _exact(claim: Claim, replays: Replays, subject: int, seed: int, index: int, precision: int) -> tuple[Any, Any] | None:
    measures = replays.measures(subject, seed, index, precision)
    if measures is None or claim.measure not in measures:
        return None
    instance = replays.plan.subjects[subject].instance
    names = _EntryNames(Names(replays.plugin.instance_name, instance, replays.work.parameters, {}), measures, index)
    return names[claim.measure], claim.bound.interval(names)


def _stated(claim: Claim, replays: Replays, subject: int, suspect: Suspect) -> tuple[str, str, float, float]:
    """Without a replay: the recorded numbers, widened by the stated rounding error, decide."""
    from mpmath import iv

    measured = iv.mpf(suspect.measured) + iv.mpf([-1, 1]) * iv.mpf(suspect.slack)
    excess = measured - iv.mpf(suspect.bound)
    excess = abs(excess) if claim.relation == "==" else excess if claim.relation == "<=" else -excess
    basis = f"judged at the stated rounding error {suspect.slack:.2g} (no replay in higher precision for this measure)"
    return ("violated" if excess.a > 0 else "holds"), basis, suspect.measured, suspect.bound


class _EntryNames(Mapping[str, Any]):
    """The names of a bound at one checkpoint, measures as intervals."""

    def __init__(self, names: Names, measures: Mapping[str, Any], index: int) -> None:
        self._names, self._measures, self._index = names, measures, index

    def __getitem__(self, name: str) -> Any:
        if name in self._measures:
            value = self._measures[name]
            return value[min(self._index, len(value) - 1)] if isinstance(value, list) else value
        return self._names[name]

    def __iter__(self) -> Any:
        return iter({*self._measures, *self._names})

    def __len__(self) -> int:
        return len(list(iter(self)))
