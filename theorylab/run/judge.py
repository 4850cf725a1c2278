"""Verdicts from observations: pure, no process, no clock, no disk, no plugin code."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from theorylab.claim import Claim
from theorylab.run.outcome import Row, counterexample
from theorylab.run.pathwise import judge_pathwise
from theorylab.run.records import Confirmation, Counterexample, Evidence, Observation, Plan, Status, TrialResult, Verdict
from theorylab.run.statistical import StatisticalTally

#: Seeds between the first looks at a test.
BATCH = 32

#: Seeds per instance that are held in memory between two folds.
SLICE = 2048

#: What a trial says of a claim that it was not asked about.
SILENT = Observation(applies=False)


class Tally:
    """All that is known of one claim: runs are added in batches, in the order of their seeds, and the verdict asked for at any time.

    Of statistical claims only the states of the tests are kept, so that memory does not grow with the seeds.
    """

    def __init__(self, claim: Claim, plan: Plan) -> None:
        self.claim, self.plan = claim, plan
        self._statistical = None if claim.mode.is_pathwise else StatisticalTally(claim, plan)
        self._rows: list[Row] = []  # of a pathwise claim
        self._problem: tuple[TrialResult, str] | None = None
        self._problems = self._runs = 0
        self._is_gated = False  # whether it spoke of a reference instance

    def add(self, results: Sequence[TrialResult]) -> None:
        """More runs."""
        rows = []
        for result in results:
            observation = _seen(result, self.claim)
            text = result.problem or observation.problem
            if text:
                self._problems += 1
                if self._problem is None or (result.subject, result.seed) < (self._problem[0].subject, self._problem[0].seed):
                    self._problem = (result, text)
            if result.problem is None and observation.applies:
                rows.append((result, observation))
                self._is_gated = self._is_gated or self.plan.subjects[result.subject].origin == "reference"
        self._runs += len(results)
        if self._statistical is not None:
            self._statistical.add(rows)
        else:
            self._rows += rows

    def verdict(self, confirmations: Sequence[Confirmation] = ()) -> Verdict:
        """The verdict over all instances tested so far."""
        claim, plan = self.claim, self.plan
        if not self._runs:
            return Verdict(claim.name, "INCONCLUSIVE", True, "No run was finished.", Evidence())
        status, reason, evidence, example = (
            self._statistical.outcome()
            if self._statistical is not None
            else judge_pathwise(claim, plan, self._rows, confirmations)
        )
        if self._problem is not None and status != "REFUTED":
            result, text = self._problem
            status, reason, example = "ERROR", _problem_text(plan, result, text, self._problems), _problem_example(plan, result)
        return Verdict(claim.name, status, self._as_expected(status), reason, evidence, example)

    def _as_expected(self, status: Status) -> bool:
        if status == "ERROR":
            return False
        if self.claim.expected == "refuted":
            # A false statement must fall on the instances that were chosen to refute it; elsewhere it may stand.
            return status == "REFUTED" or not self._is_gated
        return status != "REFUTED" or self.claim.provenance == "unconfirmed"


def judge(claim: Claim, plan: Plan, results: Sequence[TrialResult], confirmations: Sequence[Confirmation] = ()) -> Verdict:
    """The verdict on one claim over all instances tested."""
    tally = Tally(claim, plan)
    tally.add(results)
    return tally.verdict(confirmations)


def _seen(result: TrialResult, claim: Claim) -> Observation:
    return result.observations.get(claim.name, SILENT)


def _problem_text(plan: Plan, result: TrialResult, text: str, count: int) -> str:
    more = f" ({count} runs in all)" if count > 1 else ""
    return f"Instance {plan.subjects[result.subject].label}, seed {result.seed}: {text}{more}."


def _problem_example(plan: Plan, result: TrialResult) -> Counterexample:
    """Where it went wrong, so that the instance can be saved and the trial run again."""
    return counterexample(
        plan, Confirmation(result.subject, result.seed, 0, math.nan, math.nan, "undecided", "a run that failed")
    )


def looks(seeds: int) -> list[int]:
    """Numbers of seeds at which the tests are looked at: every batch while there are few, ever longer batches later."""
    out, n = [], 0
    while n < seeds:
        n = min(seeds, n + max(BATCH, n // 2))
        out.append(n)
    return out


def slices(seeds: int) -> Iterator[tuple[range, bool]]:
    """The batches of `looks`, in slices that fit into memory; whether a look follows the slice."""
    before = 0
    for n in looks(seeds):
        while before < n:
            end = min(n, before + SLICE)
            yield range(before, end), end == n
            before = end


class InOrder:
    """A statistical claim, looked at after each batch of seeds, in index order: its verdict stands as first decided.

    The e-processes allow that, and it makes the verdict the same whether or not other claims asked for more seeds.
    """

    def __init__(self, claim: Claim, plan: Plan) -> None:
        self._tally = Tally(claim, plan)
        self._decided: Verdict | None = None
        self._last: Verdict | None = None

    def add(self, results: Sequence[TrialResult], *, is_look: bool = True) -> None:
        """The runs of the next of `slices`."""
        self._tally.add(results)
        if not is_look:
            return
        self._last = self._tally.verdict()
        if self._decided is None and self._last.status in ("SUPPORTED", "REFUTED"):
            self._decided = self._last

    @property
    def is_decided(self) -> bool:
        """Whether more seeds could change nothing."""
        return self._decided is not None or (self._last is not None and self._last.status in ("VACUOUS", "ERROR"))

    def verdict(self) -> Verdict:
        """What stands."""
        last = self._tally.verdict()
        return last if self._decided is None or last.status in ("ERROR", "VACUOUS") else self._decided


def judge_in_order(
    claim: Claim, plan: Plan, results: Sequence[TrialResult], confirmations: Sequence[Confirmation] = ()
) -> Verdict:
    """The verdict; a statistical claim is looked at after each batch of seeds."""
    if claim.mode.is_pathwise:
        return judge(claim, plan, results, confirmations)
    running = InOrder(claim, plan)
    for part, is_look in slices(max((r.seed for r in results), default=-1) + 1):
        running.add([r for r in results if r.seed in part], is_look=is_look)
    return running.verdict()
