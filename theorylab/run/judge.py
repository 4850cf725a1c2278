"""Verdicts from observations: pure, no process, no clock, no disk, no plugin code."""

from __future__ import annotations

import math
from collections.abc import Sequence

from theorylab.claim import Claim
from theorylab.run.outcome import Row, counterexample
from theorylab.run.pathwise import judge_pathwise
from theorylab.run.records import Confirmation, Counterexample, Evidence, Observation, Plan, Status, TrialResult, Verdict
from theorylab.run.statistical import judge_statistical

#: Seeds between the first looks at a test.
BATCH = 32

#: What a trial says of a claim that it was not asked about.
SILENT = Observation(applies=False)


def judge(claim: Claim, plan: Plan, results: Sequence[TrialResult], confirmations: Sequence[Confirmation] = ()) -> Verdict:
    """The verdict on one claim over all instances tested."""
    if not results:
        return Verdict(claim.name, "INCONCLUSIVE", True, "No run was finished.", Evidence())
    problems = [(r, r.problem or _seen(r, claim).problem) for r in results]
    problems = [(r, text) for r, text in problems if text]
    rows = [(r, _seen(r, claim)) for r in results if r.problem is None and _seen(r, claim).applies]
    status, reason, evidence, example = (
        judge_pathwise(claim, plan, rows, confirmations) if claim.mode.is_pathwise else judge_statistical(claim, plan, rows)
    )
    if problems and status != "REFUTED":
        status, reason, example = "ERROR", _problem_text(plan, problems), _problem_example(plan, problems[0][0])
    return Verdict(claim.name, status, _as_expected(claim, status, plan, rows), reason, evidence, example)


def _seen(result: TrialResult, claim: Claim) -> Observation:
    return result.observations.get(claim.name, SILENT)


def _problem_text(plan: Plan, problems: Sequence[tuple[TrialResult, str | None]]) -> str:
    result, text = problems[0]
    more = f" ({len(problems)} runs in all)" if len(problems) > 1 else ""
    return f"Instance {plan.subjects[result.subject].label}, seed {result.seed}: {text}{more}."


def _problem_example(plan: Plan, result: TrialResult) -> Counterexample:
    """Where it went wrong, so that the instance can be saved and the trial run again."""
    return counterexample(
        plan, Confirmation(result.subject, result.seed, 0, math.nan, math.nan, "undecided", "a run that failed")
    )


def _as_expected(claim: Claim, status: Status, plan: Plan, rows: Sequence[Row]) -> bool:
    if status == "ERROR":
        return False
    if claim.expected == "refuted":
        # A false statement must fall on the instances that were chosen to refute it; elsewhere it may stand.
        gated = any(plan.subjects[r.subject].origin == "reference" for r, _ in rows)
        return status == "REFUTED" or not gated
    return status != "REFUTED" or claim.provenance == "unconfirmed"


def looks(seeds: int) -> list[int]:
    """Numbers of seeds at which the tests are looked at: every batch while there are few, ever longer batches later."""
    out, n = [], 0
    while n < seeds:
        n = min(seeds, n + max(BATCH, n // 2))
        out.append(n)
    return out


def judge_in_order(
    claim: Claim, plan: Plan, results: Sequence[TrialResult], confirmations: Sequence[Confirmation] = ()
) -> Verdict:
    """The verdict; a statistical claim is looked at after each batch of seeds, in index order, and stands as first decided.

    The e-processes allow that, and it makes the verdict the same whether or not other claims asked for more seeds.
    """
    final = judge(claim, plan, results, confirmations)
    if claim.mode.is_pathwise or final.status in ("ERROR", "VACUOUS"):
        return final
    for n in looks(max((r.seed for r in results), default=-1) + 1)[:-1]:
        early = judge(claim, plan, [r for r in results if r.seed < n])
        if early.status in ("SUPPORTED", "REFUTED"):
            return early
    return final


def is_decided(claim: Claim, plan: Plan, results: Sequence[TrialResult]) -> bool:
    """Whether more seeds could change nothing: asked between batches, for statistical claims."""
    return judge_in_order(claim, plan, results).status in ("SUPPORTED", "REFUTED", "VACUOUS", "ERROR")
