"""The hunt: hypothesis draws instances, is pushed towards the largest measured/bound, and shrinks what violates a claim.

Hypothesis promises nothing about the distribution of its draws, so no probability is computed over them. The hunt's only product is
an instance: a violation of a claim about runs is confirmed by exact replay, one of a claim about random quantities on fresh seeds
that the search never saw, with the claim's own share of alpha.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from theorylab.claim import Claim, WithProbability
from theorylab.errors import STOPS, UsageError, stop_status
from theorylab.plugin import Plugin
from theorylab.registry import load
from theorylab.run.confirm import confirm
from theorylab.run.execute import execute
from theorylab.run.judge import judge
from theorylab.run.observe import NOISE
from theorylab.run.plan import dropped_assumptions, jobs, make_plan, select_claims, split_settings
from theorylab.run.records import Job, Observation, Plan, Request, Subject, TrialResult, Verdict
from theorylab.run.worker import Work, run_block, shared_state
from theorylab.statistics import binomial, grid

#: Examples per round of the engine: between rounds the clock is looked at.
ROUND = 200

#: Rounds after which even an endless budget stops: a family of few instances is exhausted long before.
MOST_ROUNDS = 10_000

#: Seeds per instance while searching for violations of statistical claims; the same ones for every instance (common random numbers).
SEARCH_SEEDS = 32

#: Evidence on the search seeds from which an instance is worth confirming on fresh ones: e^4.6 = 100.
WORTH_CONFIRMING = math.log(100.0)

#: Fresh seeds that a confirmation may spend.
CONFIRM_SEEDS = 4096

#: Added to the root seed for the search, so that it shares no random number with `check`.
SEARCH_OFFSET = 2**40


@dataclass(frozen=True)
class Find:
    """What the hunt found of one claim."""

    claim: str
    tightness: float | None
    tightest: Any  # the instance, or None
    verdict: (
        Verdict | None
    )  # of the smallest violating instance; None if no violation was found, or none could be confirmed in time
    instance: Any  # that instance
    history: tuple[tuple[int, float], ...] = ()  # (instances tried, tightness) whenever a tighter one was found
    file: Path | None = None


@dataclass(frozen=True)
class Hunt:
    """A finished hunt: one row per claim, and how many instances were tried."""

    plugin: str
    target: str
    examples: int
    finds: tuple[Find, ...]
    plans: dict[str, Plan]
    dropped: frozenset[str]
    seconds: float
    problems: tuple[tuple[str, Any], ...]  # what raised, and the instance it raised on
    interrupted: int = 0  # exit status of an interruption: 130 or 143


@dataclass
class _Search:
    """What the running search has seen."""

    examples: int = 0
    tightest: dict[str, Any] = field(default_factory=dict)
    history: dict[str, list[tuple[int, float]]] = field(default_factory=dict)  # instances tried and ratio, whenever it rose
    violating: dict[str, Any] = field(default_factory=dict)  # last instance that raised: the shrunk one, when the engine is done
    problems: list[tuple[str, Any]] = field(default_factory=list)


class Violation(Exception):
    """Raised inside the engine, one subclass per claim, so that it shrinks them apart."""


def hunt(
    request: Request,
    *,
    examples: int | None = None,
    budget_s: float | None = None,
    database: Path | None = None,
    told: Callable[[int, str], None] = lambda examples, text: None,
) -> Hunt:
    """Search the plugin's family for the tightest instance of each claim, and for counterexamples.

    With assumptions dropped from the request, only the claims that make them are hunted: is each needed?

    examples, budget_s  how many instances to try, or for how long (default 60 s)
    database            folder of hypothesis's example database: later hunts start from what earlier ones found
    """
    started = time.monotonic()
    plugin = load(request.locator)
    claims = [c for c in select_claims(plugin, request.claims) if request.claims or c.expected == "supported"]
    dropped = dropped_assumptions(plugin, request.drop)
    if dropped and not request.claims:
        claims = [c for c in claims if set(c.assumes) & dropped]
    if plugin.strategy is None:
        raise UsageError(f"{plugin.name} has no strategy to draw from: add @plugin.instances.")
    if not claims:
        raise UsageError(f"No claim of {plugin.name} is left to hunt for.")
    parameters, _ = split_settings(plugin, request.settings)
    search = _Search()
    work = Work(tuple(c.name for c in claims), parameters, request.root_seed, dropped=dropped)
    limit_s = budget_s if budget_s is not None else None if examples is not None else 60.0
    interrupted = 0
    try:
        _explore(plugin, claims, work, _strategy(plugin, dropped), search, request.root_seed, examples, limit_s, database, told)
    except STOPS as stop:  # what was found so far is reported
        interrupted = stop_status(stop)
    finds, plans = [], {}
    for claim in claims:
        verdict, instance = None, search.violating.get(claim.name)
        if instance is not None:
            told(search.examples, f"confirming {claim.name}")
            try:
                verdict, plans[claim.name] = _confirmed(plugin, request, claim, instance, parameters, dropped)
            except STOPS as stop:  # the instance is reported all the same, as one that nobody has confirmed
                interrupted = stop_status(stop)
        history = tuple(search.history.get(claim.name, ())) if claim.relation != "==" else ()  # an identity has no tightness
        tightness = history[-1][1] if history else None
        finds.append(Find(claim.name, tightness, search.tightest.get(claim.name), verdict, instance, history))
    seconds = time.monotonic() - started
    target = request.locator.value if request.locator.is_file else plugin.name
    return Hunt(plugin.name, target, search.examples, tuple(finds), plans, dropped, seconds, tuple(search.problems), interrupted)


def _strategy(plugin: Plugin, dropped: frozenset[str]) -> Any:
    """The family; the wider one, for a plugin whose strategy takes the assumptions that are dropped."""
    assert plugin.strategy is not None
    if "drop" in inspect.signature(plugin.strategy).parameters:
        return plugin.strategy(drop=dropped)
    return plugin.strategy()


def _explore(
    plugin: Plugin,
    claims: Sequence[Claim],
    work: Work,
    strategy: Any,
    search: _Search,
    seed: int,
    examples: int | None,
    limit_s: float | None,
    database: Path | None,
    told: Callable[[int, str], None],
) -> None:
    """Rounds of the engine until the budget is spent or something was found and shrunk."""
    import hypothesis
    from hypothesis import HealthCheck, Phase, given, settings
    from hypothesis.database import DirectoryBasedExampleDatabase

    kinds = {claim.name: type(f"Violates {claim.name}", (Violation,), {}) for claim in claims}
    store = DirectoryBasedExampleDatabase(database) if database is not None else None
    deadline = math.inf if limit_s is None else time.monotonic() + limit_s
    most = math.inf if examples is None else examples
    turn = 0
    while search.examples < most and turn < MOST_ROUNDS and time.monotonic() < deadline and not search.violating:

        @settings(  # outside @seed, which would switch the database off
            max_examples=int(min(ROUND, most - search.examples)),
            phases=[Phase.reuse, Phase.generate, Phase.target, Phase.shrink],
            database=store,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
            report_multiple_bugs=True,
        )
        @hypothesis.seed(seed + turn)
        @given(strategy)
        def look(instance: Any) -> None:
            if not search.violating and (search.examples >= most or time.monotonic() > deadline):
                return  # the engine may overshoot its number of examples; shrinking a find is not cut short
            search.examples += 1
            told(search.examples, "hunting")
            subject, results = Subject("hunted", "drawn", instance, (0,)), _run_once(plugin, claims, work, instance)
            for claim in claims:
                score, violated = _look(plugin, claim, work, subject, results[claim.mode.is_pathwise], search)
                if score is not None and math.isfinite(score):
                    hypothesis.target(score, label=claim.name)
                if violated:
                    search.violating[claim.name] = instance
                    raise kinds[claim.name](claim.name)

        _quietly(look)
        turn += 1


def _quietly(look: Callable[[], None]) -> None:
    """Run the engine; what it raises has been recorded already, and what it prints is for test authors."""
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()):
        try:
            look()
        except Violation:
            pass
        except BaseExceptionGroup as group:
            if group.split(Violation)[1] is not None:
                raise


def _run_once(plugin: Plugin, claims: Sequence[Claim], work: Work, instance: Any) -> dict[bool, list[TrialResult]]:
    """Results on an instance for pathwise claims (True) and for statistical ones (False): one simulation serves all of a kind."""
    subject = Subject("hunted", "drawn", instance, (0,))
    kinds = {kind: tuple(c.name for c in claims if c.mode.is_pathwise == kind) for kind in (True, False)}
    results: dict[bool, list[TrialResult]] = {}
    world = shared_state()
    if kinds[True]:
        results[True] = run_block(plugin, dataclasses.replace(work, claims=kinds[True]), subject, Job(0, (0,)), world)
    if kinds[False]:
        fixed = dataclasses.replace(work, claims=kinds[False], root_seed=work.root_seed + SEARCH_OFFSET, stream="hunt")
        results[False] = run_block(plugin, fixed, subject, Job(0, tuple(range(SEARCH_SEEDS))), world)
    return results


def _look(
    plugin: Plugin, claim: Claim, work: Work, subject: Subject, results: list[TrialResult], search: _Search
) -> tuple[float | None, bool]:
    """(log of measured / bound, whether the claim seems violated) on this instance; records the tightest."""
    problem = next((text for r in results if (text := r.problem or r.observations[claim.name].problem)), None)
    if problem is not None:
        if len(search.problems) < 10:
            search.problems.append((problem, subject.instance))
        return None, False
    seen = [r.observations[claim.name] for r in results if r.observations[claim.name].applies]
    if not seen:
        return None, False
    ratio = _ratio(claim, seen)
    rises = search.history.setdefault(claim.name, [])
    if ratio is not None and ratio > (rises[-1][1] if rises else -math.inf):
        search.tightest[claim.name] = subject.instance
        rises.append((search.examples, ratio))
    score = math.log(ratio) if ratio is not None and ratio > 0.0 else None
    if claim.mode.is_pathwise:
        return score, _is_violated(plugin, claim, dataclasses.replace(work, claims=(claim.name,)), subject, results)
    return score, _evidence(claim, seen) >= WORTH_CONFIRMING


def _ratio(claim: Claim, seen: Sequence[Observation]) -> float | None:
    """Measured over bound; for an identity, error over slack (a score for the search, shown as no tightness)."""
    if claim.relation == "==":
        s = seen[0].tightest
        return abs(s.measured - s.bound) / max(s.slack, 1e-300) if s is not None else None
    if claim.mode.is_pathwise:
        ratios = [o.tightness for o in seen if o.tightness is not None]
        return max(ratios) if ratios else None
    if isinstance(claim.mode, WithProbability):
        return float(np.mean([o.failed for o in seen])) / (1.0 - claim.mode.probability)
    values, bounds = np.array([o.values for o in seen]).mean(axis=0), np.array(seen[0].bounds)
    top, bottom = (values, bounds) if claim.relation == "<=" else (bounds, values)
    good = bottom > NOISE * 1e-300
    return float(np.max(top[good] / bottom[good])) if good.any() else None


def _is_violated(plugin: Plugin, claim: Claim, work: Work, subject: Subject, results: list[TrialResult]) -> bool:
    """Whether a suspect entry survives exact replay."""
    if not any(r.observations[claim.name].suspects for r in results):
        return False
    plan = _plan_of(plugin, claim, subject, work)
    return any(c.status == "violated" for c in confirm(plugin, plan, work, results).get(claim.name, ()))


def _plan_of(plugin: Plugin, claim: Claim, subject: Subject, work: Work) -> Plan:
    return Plan(plugin.name, plugin.name, (subject,), (claim.name,), work.parameters, 1, work.root_seed, 1e-6, 0.99, ())


def _evidence(claim: Claim, seen: Sequence[Observation]) -> float:
    """log e-value on the search seeds: a score that decides what is worth confirming, never a verdict."""
    if isinstance(claim.mode, WithProbability):
        return binomial.log_e_above(sum(o.failed for o in seen), len(seen), 1.0 - claim.mode.probability)
    values = np.array([o.values for o in seen])
    best = -math.inf
    for j, (bound, low, high) in enumerate(zip(seen[0].bounds, seen[0].lows, seen[0].highs, strict=True)):
        if not math.isfinite(bound):
            continue
        if claim.relation == "<=" and bound < high and math.isfinite(low):
            x, mean = values[:, j] - low, bound - low
        elif claim.relation == ">=" and bound > low and math.isfinite(high):
            x, mean = high - values[:, j], high - bound
        else:
            continue
        if (x < 0.0).any():
            continue
        best = max(best, grid.log_e_above(x, mean) if mean > 0.0 else math.inf * float((x > 0.0).any()))
    return best


def _confirmed(
    plugin: Plugin, request: Request, claim: Claim, instance: Any, parameters: Any, dropped: frozenset[str]
) -> tuple[Verdict, Plan]:
    """The verdict of a check on this instance alone, on fresh seeds."""
    seeds = 1 if claim.mode.is_pathwise else CONFIRM_SEEDS
    base = (
        make_plan(dataclasses.replace(request, claims=(claim.name,), instances=0, seeds=1), plugin) if plugin.references else None
    )
    registered = base.registered if base is not None else sum(c.is_statistical for c in plugin.claims.values())
    subject = Subject("hunted", "file", instance, tuple(range(seeds)))
    plan = dataclasses.replace(
        _plan_of(plugin, claim, subject, Work((claim.name,), parameters, request.root_seed)),
        registered=registered, alpha=request.alpha, confidence=request.confidence,
    )  # fmt: skip
    work = Work((claim.name,), parameters, request.root_seed, dropped=dropped)
    results: list[TrialResult] = []
    start = 0
    while start < seeds:  # growing batches: stop as soon as it is decided
        stop = min(seeds, max(64, 2 * start))
        results += execute(plugin, request.locator, plan, jobs(plan, None, 2, range(start, stop)), work)
        confirmations = confirm(plugin, plan, work, results)
        verdict = judge(claim, plan, results, confirmations.get(claim.name, ()))
        if verdict.status in ("REFUTED", "SUPPORTED"):
            break
        start = stop
    return verdict, plan
