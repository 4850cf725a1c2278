"""Statistical claims: evidence per instance, combined over instances, against the error budgets of the plan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from theorylab.claim import AtRate, Claim, OnAverage, WithProbability
from theorylab.run.outcome import NOTHING_TO_SAY, Outcome, Row, counterexample, margin_of, plural, vacuous_text
from theorylab.run.rate import judge_rate
from theorylab.run.records import ORDER, Confirmation, Evidence, Observation, Plan, Status
from theorylab.statistics import binomial, grid
from theorylab.statistics.many import log_mean, refutation_threshold
from theorylab.statistics.sequential import FailureTest, Levels, MeanTest

#: Relative distance from the bound up to which an undecided mean still reads as consistent with it.
RESOLUTION = 0.1

NEEDS_RANGE = {
    "<=": "an upper bound on a mean can be judged only if the measure has a finite lower end (within=...)",
    ">=": "a lower bound on a mean can be judged only if the measure has a finite upper end (within=...)",
}


def levels(plan: Plan) -> Levels:
    """Error budgets: alpha shared by all registered statistical claims, 1 - confidence per instance for support."""
    return Levels(refutation_threshold(plan.alpha, plan.registered), 1.0 - plan.confidence)


@dataclass(frozen=True)
class _InstanceVerdict:
    status: Status
    reason: str
    log_e: float  # evidence against the claim
    statistic: float
    bound: float
    seeds_needed: int | None = None


@dataclass
class _Seen:
    """What is known of one instance: the states of its tests, never its runs (but for rates, whose slopes need them).

    wider, tighter  the same tests for bounds RESOLUTION above and below: how well this budget can tell
    """

    first: Observation
    count: int = 0
    entries: int = 0
    ties: int = 0
    start: float | None = None
    fault: str | None = None
    failures: FailureTest | None = None
    means: list[MeanTest] = field(default_factory=list)
    wider: list[MeanTest] = field(default_factory=list)
    tighter: list[MeanTest] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)


class StatisticalTally:
    """Evidence on one claim about expectations, probabilities or rates. It takes runs batch by batch and forgets them."""

    def __init__(self, claim: Claim, plan: Plan) -> None:
        self.claim, self.plan, self.budget = claim, plan, levels(plan)
        self._seen: dict[int, _Seen] = {}
        #: Rows while no instance was seen twice: such seeds draw an instance each, and are pooled.
        self._singles: list[Row] | None = []

    def add(self, rows: Sequence[Row]) -> None:
        """More runs, in the order of the plan. The same batches give the same bits."""
        groups: dict[int, list[Observation]] = {}
        for result, observation in rows:
            if not observation.problem:
                groups.setdefault(result.subject, []).append(observation)
                if self._singles is not None:
                    self._singles.append((result, observation))
        for index, observations in groups.items():
            self._take(index, observations)
        if any(seen.count > 1 for seen in self._seen.values()):
            self._singles = None

    def _take(self, index: int, observations: Sequence[Observation]) -> None:
        seen = self._seen.setdefault(index, _Seen(observations[0]))
        if not seen.count:
            self._open(seen)
        seen.count += len(observations)
        seen.entries += sum(o.entries for o in observations)
        seen.ties += sum(o.tied for o in observations)
        starts = [o.informative_from for o in observations if o.informative_from is not None]
        seen.start = max([*starts, *([] if seen.start is None else [seen.start])], default=None)
        seen.fault = seen.fault or self._unfit(index, seen.first, observations)
        if seen.fault is not None:
            return
        if isinstance(self.claim.mode, AtRate):
            seen.observations += observations
        elif seen.failures is not None:
            seen.failures = seen.failures.update(
                np.array([o.failed for o in observations]), np.array([o.tied for o in observations])
            )
        elif seen.means:
            values = self._sign * np.array([o.values for o in observations])
            for tests in (seen.means, seen.wider, seen.tighter):
                tests[:] = [test.update(values[:, j]) for j, test in enumerate(tests)]

    @property
    def _sign(self) -> float:
        """A lower bound is tested as an upper bound of the negative."""
        return -1.0 if self.claim.relation == ">=" else 1.0

    def _open(self, seen: _Seen) -> None:
        """The tests of an instance, before its first run."""
        mode, first, sign = self.claim.mode, seen.first, self._sign
        if isinstance(mode, WithProbability):
            seen.failures = FailureTest(1.0 - mode.probability, self.budget)
        elif isinstance(mode, OnAverage):
            ends = list(zip(first.lows, first.highs, strict=True))
            if sign < 0:
                ends = [(-high, -low) for low, high in ends]
            if all(math.isfinite(low) and low < high for low, high in ends):
                for factor, tests in ((1.0, seen.means), (1.0 + RESOLUTION, seen.wider), (1.0 - RESOLUTION, seen.tighter)):
                    tests += [
                        MeanTest(sign * bound * factor, low, high, self.budget)
                        for bound, (low, high) in zip(first.bounds, ends, strict=True)
                    ]

    def _unfit(self, index: int, first: Observation, observations: Sequence[Observation]) -> str | None:
        """Why the runs of an instance cannot be put together, or None."""
        where = f"Instance {self.plan.subjects[index].label}"
        sizes = {len(first.values), *(len(o.values) for o in observations)}
        if len(sizes) > 1:
            return f"{where}: measure {self.claim.measure!r} has {min(sizes)} entries in one run and {max(sizes)} in another."
        same = (first.bounds, first.lows, first.highs)
        if isinstance(self.claim.mode, (OnAverage, AtRate)) and any((o.bounds, o.lows, o.highs) != same for o in observations):
            return (
                f"{where}: the bound or the range changes from run to run. The bound on an expectation is one number: "
                f"measure the difference of {self.claim.measure!r} and what it is compared with, and bound that by 0."
            )
        return None

    def outcome(self) -> Outcome:
        """What the runs so far say: e-values are averaged over instances."""
        claim, plan, budget = self.claim, self.plan, self.budget
        if not self._seen:
            return "VACUOUS", NOTHING_TO_SAY, Evidence(), None
        if isinstance(claim.mode, OnAverage) and len(self._seen) > 1 and self._singles is not None:
            return _pooled(claim, plan, budget, self._singles)
        if fault := next((seen.fault for seen in self._seen.values() if seen.fault), None):
            return "ERROR", fault, Evidence(), None
        per_instance = {index: _judge_instance(claim, budget, seen) for index, seen in self._seen.items()}
        evidence = _statistical_evidence(self._seen, per_instance)
        telling = {index: v for index, v in per_instance.items() if v.status != "VACUOUS"}
        if not telling:
            return "VACUOUS", vacuous_text(claim, evidence), evidence, None
        log_e = log_mean([v.log_e for v in telling.values()])
        evidence = replace(evidence, log_e=log_e)
        if log_e >= budget.refute_at:
            return _refuted(claim, plan, telling, evidence)
        worst = min(telling, key=lambda index: ORDER.index(telling[index].status))
        status = telling[worst].status
        if status == "REFUTED":  # enough on its own instance, not against all: more seeds will tell
            status = "INCONCLUSIVE"
        v = telling[worst]
        evidence = replace(
            evidence, statistic=v.statistic, bound=v.bound, margin=margin_of(claim, v.statistic, v.bound), seeds_needed=v.seeds_needed,
            error_probability=budget.alpha_support if status == "SUPPORTED" else None,
        )  # fmt: skip
        return status, f"{_on(len(telling), plan.subjects[worst].label)}{v.reason}", evidence, None


def _pooled(claim: Claim, plan: Plan, budget: Levels, rows: Sequence[Row]) -> Outcome:
    """Every seed drew an instance of its own: measured / bound is tested against mean 1, over the family as a whole.

    If the bound holds on every instance, E[measured / bound] <= 1, so a refutation is sound. What is left undecided speaks of
    the average over the family, so it is never more than CONSISTENT.
    """
    columns = ("values", "bounds", "lows", "highs")
    values, bounds, lows, highs = (np.array([getattr(o, name) for _, o in rows]) for name in columns)
    evidence = Evidence(instances=len(rows), trials=len(rows), entries=int(values.size))
    if claim.relation != "<=" or (lows < 0.0).any() or (bounds <= 0.0).any():
        reason = "Seeds that draw an instance each can be pooled only for an upper bound > 0 on a measure that is declared >= 0 (within=...)."
        return "INCONCLUSIVE", reason, evidence, None
    telling = (bounds < highs).any(axis=0)
    if not telling.any():
        return "VACUOUS", vacuous_text(claim, evidence), evidence, None
    ratios = (values / bounds)[:, telling]
    tops = (highs / bounds)[:, telling].max(axis=0)
    tests = [MeanTest(1.0, 0.0, float(top), budget).update(ratios[:, j]) for j, top in enumerate(tops)]
    log_e = log_mean([test.log_e_refute for test in tests])
    worst = max(tests, key=lambda test: test.total)
    mean = worst.total / worst.n
    share = plan.alpha / max(plan.registered, 1)
    evidence = replace(evidence, tightness=float(ratios.max()), statistic=mean, bound=1.0, margin=1.0 - mean, log_e=log_e)
    text = f"Over {plural(len(rows), 'drawn instance')}, measured / bound is {mean:.4g} on average"
    if log_e >= budget.refute_at:
        at = int(np.argmax(ratios.max(axis=1)))
        c = Confirmation(rows[at][0].subject, rows[at][0].seed, 0, float(ratios[at].max()), 1.0, "violated", f"{len(rows)} runs")
        reason = f"{text}: evidence e^{min(log_e, 1e6):.1f} against the claim; error probability {share:.1e}."
        return "REFUTED", reason, replace(evidence, error_probability=share), counterexample(plan, c)
    if all(test.decision() == "supported" for test in tests):
        reason = f"{text}, below 1 with {plan.confidence:.0%} confidence: true of the family as a whole, which no single instance can say."
        return "CONSISTENT", reason, evidence, None
    return "INCONCLUSIVE", f"{text}; more seeds would decide, or more seeds per instance.", evidence, None


def _on(count: int, label: str) -> str:
    return f"On {label}: " if count == 1 else f"Weakest of {count} instances, {label}: "


def _refuted(claim: Claim, plan: Plan, telling: Mapping[int, _InstanceVerdict], evidence: Evidence) -> Outcome:
    worst = max(telling, key=lambda index: telling[index].log_e)
    v = telling[worst]
    share = plan.alpha / max(plan.registered, 1)
    reason = (
        f"On {plan.subjects[worst].label}: {v.reason} Evidence e^{min(v.log_e, 1e6):.1f} against the claim; "
        f"error probability {share:.1e}."
    )
    c = Confirmation(worst, 0, 0, v.statistic, v.bound, "violated", f"{evidence.trials} runs")
    evidence = replace(
        evidence,
        statistic=v.statistic,
        bound=v.bound,
        margin=margin_of(claim, v.statistic, v.bound),
        error_probability=share,
    )
    return "REFUTED", reason, evidence, counterexample(plan, c)


def _statistical_evidence(everything: Mapping[int, _Seen], per_instance: Mapping[int, _InstanceVerdict]) -> Evidence:
    ratios = [
        v.statistic / v.bound for v in per_instance.values() if v.status != "VACUOUS" and v.bound > 0.0 and math.isfinite(v.bound)
    ]
    starts = [seen.start for seen in everything.values() if seen.start is not None]
    vacuous = sum(v.status == "VACUOUS" for v in per_instance.values())
    return Evidence(
        instances=len(per_instance) - vacuous,
        trials=sum(seen.count for seen in everything.values()),
        entries=sum(seen.entries for seen in everything.values()),
        ties=sum(seen.ties for seen in everything.values()),
        vacuous_instances=vacuous,
        tightness=max(ratios) if ratios else None,
        informative_from=max(starts) if starts else None,
    )


def _judge_instance(claim: Claim, budget: Levels, seen: _Seen) -> _InstanceVerdict:
    if isinstance(claim.mode, WithProbability):
        return _judge_failures(claim.mode, budget, seen)
    if isinstance(claim.mode, AtRate):
        return _InstanceVerdict(*judge_rate(claim.mode, budget, seen.observations))
    return _judge_means(claim, budget, seen)


def _judge_failures(mode: WithProbability, budget: Levels, seen: _Seen) -> _InstanceVerdict:
    delta, test = 1.0 - mode.probability, seen.failures
    if seen.entries == 0 or test is None:
        return _InstanceVerdict("VACUOUS", "the bound allows everything.", 0.0, 0.0, delta)
    share = test.failures / test.n
    # The grid's bounds, not Clopper-Pearson's: the run may have been stopped by what was seen.
    events = np.repeat([1.0, 0.0], [test.failures, test.n - test.failures])
    lower, upper = grid.lower_bound(events, budget.alpha_support), grid.upper_bound(events, budget.alpha_support)
    count = f"{test.failures} of {plural(test.n, 'run')} failed, allowed is a share of {delta:.6g}"
    if test.decision() == "refuted":
        return _InstanceVerdict("REFUTED", f"{count}.", test.log_e_refute, share, delta)
    if test.decision() == "supported":
        return _InstanceVerdict("SUPPORTED", f"{count}.", test.log_e_refute, share, delta)
    need = _seeds_for(test.log_e_support, test.n, budget.support_at)
    if test.failures + test.ties == 0:
        need = binomial.clean_runs_anytime(delta, budget.alpha_support)
    if lower <= delta < upper <= (1.0 + RESOLUTION) * delta:
        return _InstanceVerdict("CONSISTENT", f"{count}.", test.log_e_refute, share, delta, need)
    hint = f" About {need:,} runs would decide." if need else " The share is too close to what is allowed to say."
    return _InstanceVerdict("INCONCLUSIVE", f"{count}.{hint}", test.log_e_refute, share, delta, need)


def _seeds_for(log_e: float, n: int, target: float) -> int | None:
    """Seeds at which evidence that grows as it did so far would reach the target."""
    return math.ceil(n * target / log_e) if log_e > 0.0 and math.isfinite(log_e) else None


def _judge_means(claim: Claim, budget: Levels, seen: _Seen) -> _InstanceVerdict:
    sign = -1.0 if claim.relation == ">=" else 1.0
    ends = seen.first.lows if sign > 0 else seen.first.highs
    if not all(map(math.isfinite, ends)):
        # That no value below some number was seen is no reason to believe that there is none.
        return _InstanceVerdict("INCONCLUSIVE", f"{NEEDS_RANGE[claim.relation]}.", 0.0, math.nan, math.nan)
    places = [j for j, test in enumerate(seen.means) if not test.is_vacuous]
    if not places:
        return _InstanceVerdict("VACUOUS", "the bound allows everything.", 0.0, 0.0, 0.0)
    tests = [seen.means[j] for j in places]
    log_e = log_mean([t.log_e_refute for t in tests])
    worst = max(tests, key=lambda t: t.log_e_refute)
    at = min(places, key=lambda j: seen.means[j].log_e_support)
    weakest = seen.means[at]
    if log_e >= budget.refute_at:
        mean = worst.total / worst.n
        text = f"the mean of {plural(worst.n, 'run')} is {sign * mean:.6g}, the bound {sign * worst.bound:.6g}."
        return _InstanceVerdict("REFUTED", text, log_e, sign * mean, sign * worst.bound)
    mean = weakest.total / weakest.n
    text = f"the mean of {plural(weakest.n, 'run')} is {sign * mean:.6g}, the bound {sign * weakest.bound:.6g}"
    numbers = (log_e, sign * mean, sign * weakest.bound)
    if weakest.decision() == "supported":
        return _InstanceVerdict("SUPPORTED", f"{text}.", *numbers)
    if not math.isfinite(weakest.high):
        return _InstanceVerdict(
            "INCONCLUSIVE", f"{text}; without an upper range (within=...) no mean can be supported.", *numbers
        )
    need = _seeds_for(weakest.log_e_support, weakest.n, budget.support_at)
    if weakest.bound > 0.0 and _is_below(seen.wider[at], budget):
        lower = seen.tighter[at].log_e_refute >= budget.refute_at
        share = f"{RESOLUTION:.0%}"
        text += f"; at most {share} above it; {'a' if lower else 'not even a'} bound {share} lower would have been refuted"
        return _InstanceVerdict("CONSISTENT", f"{text}.", *numbers, need)
    hint = f"; about {need:,} seeds would decide" if need else "; the mean is too close to the bound to say"
    return _InstanceVerdict("INCONCLUSIVE", f"{text}{hint}.", *numbers, need)


def _is_below(test: MeanTest, budget: Levels) -> bool:
    """Whether the mean is known to be below the bound of this test."""
    return test.is_vacuous or test.log_e_support >= budget.support_at
