"""What the judges of pathwise and of statistical claims share: outcomes, their numbers and their words."""

from __future__ import annotations

import math

from theorylab.claim import Claim
from theorylab.run.records import Confirmation, Counterexample, Evidence, Observation, Plan, Status, TrialResult

Row = tuple[TrialResult, Observation]
Outcome = tuple[Status, str, Evidence, Counterexample | None]

NOTHING_TO_SAY = (
    "It says nothing of the instances tested: its assumptions hold on none of them, or the runs left its measure out."
)


def plural(count: int, word: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def entries_text(count: int) -> str:
    """`1 entry`, `2 entries`."""
    return f"{count:,} {'entry' if count == 1 else 'entries'}"


def vacuous_text(claim: Claim, evidence: Evidence) -> str:
    """That the bound is empty here, and from where on it is not."""
    text = "At this scale the bound allows everything that can happen at all"
    if evidence.informative_from is not None:
        return f"{text}; it says something from {claim.along} = {ceil_text(evidence.informative_from)} on."
    return text + "."


def ceil_text(x: float) -> str:
    """A count as a whole number, a small quantity with three digits."""
    return f"{x:.3g}" if x >= 1e15 or x < 1.0 else f"{math.ceil(x - 1e-6 * x):,}"


def margin_of(claim: Claim, measured: float, bound: float) -> float:
    """How far inside the bound the measure lies; negative where it violates it."""
    if claim.relation == "==":
        return -abs(measured - bound)
    return bound - measured if claim.relation == "<=" else measured - bound


def counterexample(plan: Plan, c: Confirmation) -> Counterexample:
    """Where it happened, with the instance itself."""
    subject = plan.subjects[c.subject]
    digest = subject.instance.digest() if hasattr(subject.instance, "digest") else ""
    return Counterexample(subject.label, digest, c.seed, c.index, c.measured, c.bound, c.basis, subject.instance)
