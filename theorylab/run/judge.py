"""Verdicts from observations: pure, no process, no clock, no disk, no plugin code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from theorylab.claim import AtRate, Claim, OnAverage, WithProbability
from theorylab.run.rate import judge_rate
from theorylab.run.records import (
    ORDER,
    Confirmation,
    Counterexample,
    Evidence,
    Observation,
    Plan,
    Status,
    Suspect,
    TrialResult,
    Verdict,
)
from theorylab.statistics import binomial, grid
from theorylab.statistics.many import log_mean, refutation_threshold, violating_share
from theorylab.statistics.sequential import FailureTest, Levels, MeanTest

#: Seeds between the first looks at a test.
BATCH = 32

#: Relative distance from the bound up to which an undecided mean still reads as consistent with it.
RESOLUTION = 0.1

NOTHING_TO_SAY = (
    "It says nothing of the instances tested: its assumptions hold on none of them, or the runs left its measure out."
)


NEEDS_RANGE = {
    "<=": "an upper bound on a mean can be judged only if the measure has a finite lower end (within=...)",
    ">=": "a lower bound on a mean can be judged only if the measure has a finite upper end (within=...)",
}


def judge(claim: Claim, plan: Plan, results: Sequence[TrialResult], confirmations: Sequence[Confirmation] = ()) -> Verdict:
    """The verdict on one claim over all instances tested."""
    if not results:
        return Verdict(claim.name, "INCONCLUSIVE", True, "No run was finished.", Evidence())
    problems = [(r, r.problem or _seen(r, claim).problem) for r in results]
    problems = [(r, text) for r, text in problems if text]
    rows = [(r, _seen(r, claim)) for r in results if r.problem is None and _seen(r, claim).applies]
    status, reason, evidence, example = (
        _pathwise(claim, plan, rows, confirmations) if claim.mode.is_pathwise else _statistical(claim, plan, rows)
    )
    if problems and status != "REFUTED":
        status, reason, example = "ERROR", _problem_text(plan, problems), _problem_example(plan, problems[0][0])
    return Verdict(claim.name, status, _as_expected(claim, status, plan, rows), reason, evidence, example)


def levels(plan: Plan) -> Levels:
    """Error budgets: alpha shared by all registered statistical claims, 1 - confidence per instance for support."""
    return Levels(refutation_threshold(plan.alpha, plan.registered), 1.0 - plan.confidence)


def _seen(result: TrialResult, claim: Claim) -> Observation:
    return result.observations.get(claim.name, Observation(applies=False))


def _problem_text(plan: Plan, problems: Sequence[tuple[TrialResult, str | None]]) -> str:
    result, text = problems[0]
    more = f" ({len(problems)} runs in all)" if len(problems) > 1 else ""
    return f"Instance {plan.subjects[result.subject].label}, seed {result.seed}: {text}{more}."


def _problem_example(plan: Plan, result: TrialResult) -> Counterexample:
    """Where it went wrong, so that the instance can be saved and the trial run again."""
    return _counterexample(
        plan, Confirmation(result.subject, result.seed, 0, math.nan, math.nan, "undecided", "a run that failed")
    )


def _as_expected(claim: Claim, status: Status, plan: Plan, rows: Sequence[tuple[TrialResult, Observation]]) -> bool:
    if status == "ERROR":
        return False
    if claim.expected == "refuted":
        # A false statement must fall on the instances that were chosen to refute it; elsewhere it may stand.
        gated = any(plan.subjects[r.subject].origin == "reference" for r, _ in rows)
        return status == "REFUTED" or not gated
    return status != "REFUTED" or claim.provenance == "unconfirmed"


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _entries(count: int) -> str:
    return f"{count:,} {'entry' if count == 1 else 'entries'}"


# -- pathwise ------------------------------------------------------------------------------------------------------------

Row = tuple[TrialResult, Observation]
Outcome = tuple[Status, str, Evidence, Counterexample | None]


def _pathwise(claim: Claim, plan: Plan, rows: Sequence[Row], confirmations: Sequence[Confirmation]) -> Outcome:
    evidence = _pathwise_evidence(claim, plan, rows)
    violated = next((c for c in confirmations if c.status == "violated"), None)
    if violated is not None:
        example = _counterexample(plan, violated)
        margin = _margin(claim, violated.measured, violated.bound)
        numbers = {"statistic": violated.measured, "bound": violated.bound, "margin": margin}
        sign = {"<=": "above", ">=": "below", "==": "not"}[claim.relation]
        reason = (
            f"{claim.measure} = {violated.measured:.9g} is {sign} {violated.bound:.9g} on {example.label}, "
            f"seed {example.seed}, entry {example.index}; {violated.basis}."
        )
        return "REFUTED", reason, _with(evidence, error_probability=0.0, **numbers), example
    if not rows:
        return "VACUOUS", NOTHING_TO_SAY, evidence, None
    beyond = sum(o.beyond for _, o in rows)
    harmless = sum(c.status == "holds" for c in confirmations)
    if beyond > harmless:
        where = next((c for c in confirmations if c.status == "undecided"), None)
        detail = f"; undecided on {plan.subjects[where.subject].label}, entry {where.index}: {where.basis}" if where else ""
        reason = f"{_entries(beyond)} came closer to the bound than floats can tell, and exact replay settled {harmless} of them{detail}."
        return "INCONCLUSIVE", reason, evidence, None
    if evidence.entries == 0:
        return "VACUOUS", _vacuous_text(claim, evidence), evidence, None
    return "SUPPORTED", _held_text(claim, plan, evidence), _with(evidence, error_probability=0.0), None


def _held_text(claim: Claim, plan: Plan, evidence: Evidence) -> str:
    text = f"Held at every one of {_entries(evidence.entries)} on {_plural(evidence.instances, 'instance')}"
    if evidence.vacuous_instances:
        text += f" ({evidence.vacuous_instances} more say nothing)"
    if evidence.violating_share is not None:
        text += f"; at most {evidence.violating_share:.2g} of the family violates it ({plan.confidence:.0%} sure)"
    if evidence.informative_from is not None:
        text += f"; says something from {claim.along} = {_ceil(evidence.informative_from)} on, at the latest"
    return text + "."


def _vacuous_text(claim: Claim, evidence: Evidence) -> str:
    text = "At this scale the bound allows everything that can happen at all"
    if evidence.informative_from is not None:
        return f"{text}; it says something from {claim.along} = {_ceil(evidence.informative_from)} on."
    return text + "."


def _ceil(x: float) -> str:
    """A count as a whole number, a small quantity with three digits."""
    return f"{x:.3g}" if x >= 1e15 or x < 1.0 else f"{math.ceil(x - 1e-6 * x):,}"


def _pathwise_evidence(claim: Claim, plan: Plan, rows: Sequence[Row]) -> Evidence:
    telling = [(r, o) for r, o in rows if o.entries]
    # Seeds that share an instance are no independent draws of the family: each drawn instance counts once.
    drawn = len({r.subject for r, _ in telling if plan.subjects[r.subject].origin == "drawn"})
    ratios = [o.tightness for _, o in telling if o.tightness is not None]
    tightest = _tightest(claim, telling)
    starts = [o.informative_from for _, o in rows if o.informative_from is not None]
    clean = drawn and not any(o.suspects for _, o in rows)
    return Evidence(
        instances=len({r.subject for r, _ in telling}),
        trials=len(telling),
        entries=sum(o.entries for _, o in rows),
        ties=sum(o.ties for _, o in rows),
        vacuous_instances=len({r.subject for r, o in rows}) - len({r.subject for r, _ in telling}),
        tightness=max(ratios) if ratios else None,
        statistic=tightest.measured if tightest else None,
        bound=tightest.bound if tightest else None,
        margin=_margin(claim, tightest.measured, tightest.bound) if tightest else None,
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


def _margin(claim: Claim, measured: float, bound: float) -> float:
    if claim.relation == "==":
        return -abs(measured - bound)
    return bound - measured if claim.relation == "<=" else measured - bound


def _counterexample(plan: Plan, c: Confirmation) -> Counterexample:
    subject = plan.subjects[c.subject]
    digest = subject.instance.digest() if hasattr(subject.instance, "digest") else ""
    return Counterexample(subject.label, digest, c.seed, c.index, c.measured, c.bound, c.basis, subject.instance)


def _with(evidence: Evidence, **changes: object) -> Evidence:
    from dataclasses import replace

    return replace(evidence, **changes)  # type: ignore[arg-type]


# -- statistical -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _InstanceVerdict:
    status: Status
    reason: str
    log_e: float  # evidence against the claim
    statistic: float
    bound: float
    seeds_needed: int | None = None


def group_by_subject(rows: Sequence[Row]) -> dict[int, list[Observation]]:
    """Observations per instance, seeds in order."""
    groups: dict[int, list[Observation]] = {}
    for result, observation in rows:
        groups.setdefault(result.subject, []).append(observation)
    return groups


def _statistical(claim: Claim, plan: Plan, rows: Sequence[Row]) -> Outcome:
    budget = levels(plan)
    rows = [(r, o) for r, o in rows if not o.problem]
    groups = group_by_subject(rows)
    if not groups:
        return "VACUOUS", NOTHING_TO_SAY, Evidence(), None
    if isinstance(claim.mode, OnAverage) and len(groups) > 1 and all(len(group) == 1 for group in groups.values()):
        return _pooled(claim, plan, budget, rows)
    if (fault := _unfit(claim, groups, plan)) is not None:
        return "ERROR", fault, Evidence(), None
    per_instance = {index: _judge_instance(claim, budget, observations) for index, observations in groups.items()}
    evidence = _statistical_evidence(rows, per_instance)
    telling = {index: v for index, v in per_instance.items() if v.status != "VACUOUS"}
    if not telling:
        return "VACUOUS", _vacuous_text(claim, evidence), evidence, None
    log_e = log_mean([v.log_e for v in telling.values()])
    evidence = _with(evidence, log_e=log_e)
    if log_e >= budget.refute_at:
        return _refuted(claim, plan, telling, evidence)
    worst = min(telling, key=lambda index: ORDER.index(telling[index].status))
    status = telling[worst].status
    if status == "REFUTED":  # enough on its own instance, not against all: more seeds will tell
        status = "INCONCLUSIVE"
    v = telling[worst]
    evidence = _with(
        evidence, statistic=v.statistic, bound=v.bound, margin=_margin(claim, v.statistic, v.bound), seeds_needed=v.seeds_needed,
        error_probability=budget.alpha_support if status == "SUPPORTED" else None,
    )  # fmt: skip
    return status, f"{_on(len(telling), plan.subjects[worst].label)}{v.reason}", evidence, None


def _unfit(claim: Claim, groups: Mapping[int, Sequence[Observation]], plan: Plan) -> str | None:
    """Why the runs of an instance cannot be put together, or None."""
    for index, group in groups.items():
        where = f"Instance {plan.subjects[index].label}"
        sizes = {len(o.values) for o in group}
        if len(sizes) > 1:
            return f"{where}: measure {claim.measure!r} has {min(sizes)} entries in one run and {max(sizes)} in another."
        if isinstance(claim.mode, (OnAverage, AtRate)) and len({(o.bounds, o.lows, o.highs) for o in group}) > 1:
            return (
                f"{where}: the bound or the range changes from run to run. The bound on an expectation is one number: "
                f"measure the difference of {claim.measure!r} and what it is compared with, and bound that by 0."
            )
    return None


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
        return "VACUOUS", _vacuous_text(claim, evidence), evidence, None
    ratios = (values / bounds)[:, telling]
    tops = (highs / bounds)[:, telling].max(axis=0)
    tests = [MeanTest(1.0, 0.0, float(top), budget).update(ratios[:, j]) for j, top in enumerate(tops)]
    log_e = log_mean([test.log_e_refute for test in tests])
    worst = max(tests, key=lambda test: test.total)
    mean = worst.total / worst.n
    share = plan.alpha / max(plan.registered, 1)
    evidence = _with(evidence, tightness=float(ratios.max()), statistic=mean, bound=1.0, margin=1.0 - mean, log_e=log_e)
    text = f"Over {_plural(len(rows), 'drawn instance')}, measured / bound is {mean:.4g} on average"
    if log_e >= budget.refute_at:
        at = int(np.argmax(ratios.max(axis=1)))
        c = Confirmation(rows[at][0].subject, rows[at][0].seed, 0, float(ratios[at].max()), 1.0, "violated", f"{len(rows)} runs")
        reason = f"{text}: evidence e^{min(log_e, 1e6):.1f} against the claim; error probability {share:.1e}."
        return "REFUTED", reason, _with(evidence, error_probability=share), _counterexample(plan, c)
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
    evidence = _with(
        evidence,
        statistic=v.statistic,
        bound=v.bound,
        margin=_margin(claim, v.statistic, v.bound),
        error_probability=share,
    )
    return "REFUTED", reason, evidence, _counterexample(plan, c)


def _statistical_evidence(rows: Sequence[Row], per_instance: Mapping[int, _InstanceVerdict]) -> Evidence:
    ratios = [
        v.statistic / v.bound for v in per_instance.values() if v.status != "VACUOUS" and v.bound > 0.0 and math.isfinite(v.bound)
    ]
    starts = [o.informative_from for _, o in rows if o.informative_from is not None]
    vacuous = sum(v.status == "VACUOUS" for v in per_instance.values())
    return Evidence(
        instances=len(per_instance) - vacuous,
        trials=len(rows),
        entries=sum(o.entries for _, o in rows),
        ties=sum(o.tied for _, o in rows),
        vacuous_instances=vacuous,
        tightness=max(ratios) if ratios else None,
        informative_from=max(starts) if starts else None,
    )


def _judge_instance(claim: Claim, budget: Levels, observations: Sequence[Observation]) -> _InstanceVerdict:
    if isinstance(claim.mode, WithProbability):
        return _judge_failures(claim.mode, budget, observations)
    if isinstance(claim.mode, AtRate):
        return _InstanceVerdict(*judge_rate(claim.mode, budget, observations))
    return _judge_means(claim, budget, observations)


def _judge_failures(mode: WithProbability, budget: Levels, observations: Sequence[Observation]) -> _InstanceVerdict:
    delta = 1.0 - mode.probability
    if all(o.entries == 0 for o in observations):
        return _InstanceVerdict("VACUOUS", "the bound allows everything.", 0.0, 0.0, delta)
    test = FailureTest(delta, budget).update(np.array([o.failed for o in observations]), np.array([o.tied for o in observations]))
    share = test.failures / test.n
    # The grid's bounds, not Clopper-Pearson's: the run may have been stopped by what was seen.
    events = np.repeat([1.0, 0.0], [test.failures, test.n - test.failures])
    lower, upper = grid.lower_bound(events, budget.alpha_support), grid.upper_bound(events, budget.alpha_support)
    count = f"{test.failures} of {_plural(test.n, 'run')} failed, allowed is a share of {delta:.6g}"
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


def mean_tests(claim: Claim, budget: Levels, observations: Sequence[Observation]) -> list[MeanTest]:
    """One test per checkpoint; a lower bound is tested as an upper bound of the negative."""
    sign = -1.0 if claim.relation == ">=" else 1.0
    values = sign * np.array([o.values for o in observations])
    first = observations[0]
    tests = []
    for j in range(values.shape[1]):
        low, high = (first.lows[j], first.highs[j]) if sign > 0 else (-first.highs[j], -first.lows[j])
        bound = sign * first.bounds[j]
        tests.append(MeanTest(bound, low, high, budget).update(values[:, j]))
    return tests


def _judge_means(claim: Claim, budget: Levels, observations: Sequence[Observation]) -> _InstanceVerdict:
    sign = -1.0 if claim.relation == ">=" else 1.0
    ends = observations[0].lows if sign > 0 else observations[0].highs
    if not all(map(math.isfinite, ends)):
        # That no value below some number was seen is no reason to believe that there is none.
        return _InstanceVerdict("INCONCLUSIVE", f"{NEEDS_RANGE[claim.relation]}.", 0.0, math.nan, math.nan)
    tests = [t for t in mean_tests(claim, budget, observations) if not t.is_vacuous]
    if not tests:
        return _InstanceVerdict("VACUOUS", "the bound allows everything.", 0.0, 0.0, 0.0)
    log_e = log_mean([t.log_e_refute for t in tests])
    worst = max(tests, key=lambda t: t.log_e_refute)
    weakest = min(tests, key=lambda t: t.log_e_support)
    if log_e >= budget.refute_at:
        mean = worst.total / worst.n
        text = f"the mean of {_plural(worst.n, 'run')} is {sign * mean:.6g}, the bound {sign * worst.bound:.6g}."
        return _InstanceVerdict("REFUTED", text, log_e, sign * mean, sign * worst.bound)
    mean = weakest.total / weakest.n
    text = f"the mean of {_plural(weakest.n, 'run')} is {sign * mean:.6g}, the bound {sign * weakest.bound:.6g}"
    numbers = (log_e, sign * mean, sign * weakest.bound)
    if weakest.decision() == "supported":
        return _InstanceVerdict("SUPPORTED", f"{text}.", *numbers)
    if not math.isfinite(weakest.high):
        return _InstanceVerdict(
            "INCONCLUSIVE", f"{text}; without an upper range (within=...) no mean can be supported.", *numbers
        )
    upper = _upper(claim, observations, weakest, budget)
    need = _seeds_for(weakest.log_e_support, weakest.n, budget.support_at)
    if upper is not None and weakest.bound > 0.0 and weakest.bound < upper <= (1.0 + RESOLUTION) * weakest.bound:
        ratio = upper / weakest.bound - 1.0
        lower = weakest.low + (weakest.high - weakest.low) * grid.lower_bound(
            _unit(claim, observations, weakest), math.exp(-budget.refute_at)
        )
        text += f"; at most {ratio:.1%} above it; a bound below {lower:.4g} would have been refuted"
        return _InstanceVerdict("CONSISTENT", f"{text}.", *numbers, need)
    hint = f"; about {need:,} seeds would decide" if need else "; the mean is too close to the bound to say"
    return _InstanceVerdict("INCONCLUSIVE", f"{text}{hint}.", *numbers, need)


def _upper(claim: Claim, observations: Sequence[Observation], test: MeanTest, budget: Levels) -> float | None:
    """Upper confidence limit of the mean at the checkpoint of `test`."""
    if not (math.isfinite(test.low) and math.isfinite(test.high)):
        return None
    return test.low + (test.high - test.low) * grid.upper_bound(_unit(claim, observations, test), budget.alpha_support)


def _unit(claim: Claim, observations: Sequence[Observation], test: MeanTest) -> np.ndarray:
    """The values at the checkpoint of `test`, rescaled to [0, 1]."""
    sign = -1.0 if claim.relation == ">=" else 1.0
    bounds = [sign * b for b in observations[0].bounds]
    values = sign * np.array([o.values[bounds.index(test.bound)] for o in observations])
    return np.clip((values - test.low) / (test.high - test.low), 0.0, 1.0)


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
