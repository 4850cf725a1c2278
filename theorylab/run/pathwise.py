"""Pathwise claims: every entry of every run, violations confirmed by exact replay."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from theorylab.claim import Claim
from theorylab.run.outcome import (
    NOTHING_TO_SAY,
    Outcome,
    Row,
    ceil_text,
    counterexample,
    entries_text,
    margin_of,
    plural,
    vacuous_text,
)
from theorylab.run.records import Confirmation, Evidence, Plan, Suspect
from theorylab.statistics.many import violating_share


def judge_pathwise(claim: Claim, plan: Plan, rows: Sequence[Row], confirmations: Sequence[Confirmation]) -> Outcome:
    """The outcome of an `Always` or `Equals` claim, from what was seen and what exact replay confirmed."""
    evidence = _pathwise_evidence(claim, plan, rows)
    violated = next((c for c in confirmations if c.status == "violated"), None)
    if violated is not None:
        example = counterexample(plan, violated)
        measured, bound = violated.measured, violated.bound
        evidence = replace(
            evidence, statistic=measured, bound=bound, margin=margin_of(claim, measured, bound), error_probability=0.0
        )
        sign = {"<=": "above", ">=": "below", "==": "not"}[claim.relation]
        reason = (
            f"{claim.measure} = {measured:.9g} is {sign} {bound:.9g} on {example.label}, "
            f"seed {example.seed}, entry {example.index}; {violated.basis}."
        )
        return "REFUTED", reason, evidence, example
    other = next((c for c in confirmations if c.status == "disagrees"), None)
    if other is not None:  # whichever of the two is wrong, what was run is not what the claim was replayed with
        seen = _suspect(rows, other)
        example = counterexample(plan, other)
        reason = (
            f"The run and its exact replay disagree far beyond rounding on {example.label}, seed {example.seed}, entry {example.index}: "
            f"{claim.measure} = {seen.measured:.9g} (bound {seen.bound:.9g}) was recorded, {other.measured:.9g} ({other.bound:.9g}) {other.basis}. "
            "One of the two does not compute the algorithm."
        )
        return "ERROR", reason, evidence, example
    if not rows:
        return "VACUOUS", NOTHING_TO_SAY, evidence, None
    beyond = sum(o.beyond for _, o in rows)
    harmless = sum(c.status == "holds" for c in confirmations)
    if beyond > harmless:
        where = next((c for c in confirmations if c.status == "undecided"), None)
        detail = f"; undecided on {plan.subjects[where.subject].label}, entry {where.index}: {where.basis}" if where else ""
        reason = f"{entries_text(beyond)} came closer to the bound than floats can tell, and exact replay settled {harmless} of them{detail}."
        return "INCONCLUSIVE", reason, evidence, None
    if evidence.entries == 0:
        return "VACUOUS", vacuous_text(claim, evidence), evidence, None
    return "SUPPORTED", _held_text(claim, plan, evidence), replace(evidence, error_probability=0.0), None


def _suspect(rows: Sequence[Row], c: Confirmation) -> Suspect:
    """What the run recorded where the replay was asked."""
    return next(s for r, o in rows if (r.subject, r.seed) == (c.subject, c.seed) for s in o.suspects if s.index == c.index)


def _held_text(claim: Claim, plan: Plan, evidence: Evidence) -> str:
    text = f"Held at every one of {entries_text(evidence.entries)} on {plural(evidence.instances, 'instance')}"
    if evidence.vacuous_instances:
        text += f" ({evidence.vacuous_instances} more say nothing)"
    if evidence.violating_share is not None:
        text += f"; at most {evidence.violating_share:.2g} of the family violates it ({plan.confidence:.0%} sure)"
    if evidence.informative_from is not None:
        text += f"; says something from {claim.along} = {ceil_text(evidence.informative_from)} on, at the latest"
    return text + "."


def _pathwise_evidence(claim: Claim, plan: Plan, rows: Sequence[Row]) -> Evidence:
    telling = [(r, o) for r, o in rows if o.entries]
    # Seeds that share an instance are no independent draws of the family: each drawn instance counts once.
    drawn = len({r.subject for r, _ in telling if plan.subjects[r.subject].origin == "drawn"})
    ratios = [(o.tightness, -r.subject, -r.seed) for r, o in telling if o.tightness is not None]
    tightest = _tightest(claim, telling)
    starts = [o.informative_from for _, o in rows if o.informative_from is not None]
    clean = drawn and not any(o.suspects for _, o in rows)
    return Evidence(
        instances=len({r.subject for r, _ in telling}),
        trials=len(telling),
        entries=sum(o.entries for _, o in rows),
        ties=sum(o.ties for _, o in rows),
        vacuous_instances=len({r.subject for r, o in rows}) - len({r.subject for r, _ in telling}),
        tightness=max(ratios)[0] if ratios else None,
        tightest_on=plan.subjects[-max(ratios)[1]].label if ratios else None,
        tightest_seed=-max(ratios)[2] if ratios else None,
        statistic=tightest.measured if tightest else None,
        bound=tightest.bound if tightest else None,
        margin=margin_of(claim, tightest.measured, tightest.bound) if tightest else None,
        violating_share=violating_share(drawn, 1.0 - plan.confidence) if clean else None,
        informative_from=max(starts) if starts else None,
    )


def _tightest(claim: Claim, rows: Sequence[Row]) -> Suspect | None:
    found = [(o.tightness if o.tightness is not None else -math.inf, o.tightest) for _, o in rows if o.tightest is not None]
    if not found:
        return None
    if claim.relation == "==":
        return max((s for _, s in found if s is not None), key=lambda s: abs(s.measured - s.bound) - s.slack)
    return max(found, key=lambda pair: pair[0])[1]
