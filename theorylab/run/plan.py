"""The plan: which instances, which seeds, which claims, and what that budget can decide. Pure but for reading a named file."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from theorylab.claim import AtRate, Claim, OnAverage, WithProbability
from theorylab.errors import InstanceError, PluginError, UsageError
from theorylab.limits import lies_in
from theorylab.plugin import Plugin
from theorylab.problems.record import Instance, load_instance
from theorylab.run.records import Job, Plan, Request, Subject
from theorylab.run.streams import instance_stream
from theorylab.statistics import binomial
from theorylab.statistics.many import refutation_threshold, violating_share

#: Most trials in a block, unless --chunk says otherwise: a block is what a worker takes at a time.
LARGEST_BLOCK = 32

#: What `--seeds auto` stops at for claims on means, whose need depends on an unknown spread.
AUTO_LIMIT = 10_000

#: Drawn instances besides the named ones for an algorithm with random runs, unless --instances says otherwise.
DRAWN_BY_DEFAULT = 3

#: Drawn instances in all where there are claims on single runs: those beyond the first few get one seed each, for these claims alone.
PROBED_BY_DEFAULT = 100


def make_plan(request: Request, plugin: Plugin) -> Plan:
    """The plan of a request. Raises UsageError or InstanceError before anything is run."""
    claims = select_claims(plugin, request.claims)
    alone = request.replay[0] if request.replay is not None else request.instance
    if alone is not None and not request.claims:  # counterexamples that were made for another instance say nothing here
        claims = [claim for claim in claims if not claim.only or alone in claim.only]
    parameters, fields = split_settings(plugin, request.settings)
    if request.locator.device:
        parameters["device"] = request.locator.device
    seeds = request.seeds if request.seeds is not None else auto_seeds(claims, request.confidence)
    subjects = _subjects(request, plugin, claims, seeds, fields)
    registered = sum(claim.is_statistical for claim in plugin.claims.values())
    plan = Plan(
        plugin=plugin.name,
        target=request.locator.target,
        backend=request.locator.backend,
        subjects=subjects,
        claims=tuple(claim.name for claim in claims),
        parameters=parameters,
        registered=registered,
        root_seed=request.root_seed,
        alpha=request.alpha,
        confidence=request.confidence,
        remarks=(),
        dropped=dropped_assumptions(plugin, request.drop),
        is_replay=request.replay is not None,
    )
    return dataclasses.replace(plan, remarks=tuple(what_it_decides(plan, plugin, seeds)))


def select_claims(plugin: Plugin, names: Sequence[str]) -> list[Claim]:
    """The claims of these names, all of them for none. An unknown name suggests the nearest."""
    if not names:
        return list(plugin.claims.values())
    chosen = []
    for name in names:
        if name not in plugin.claims:
            close = difflib.get_close_matches(name, plugin.claims, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"{plugin.name} has no claim {name!r}.{hint} `theorylab show {plugin.name}` lists them.")
        chosen.append(plugin.claims[name])
    return chosen


def dropped_assumptions(plugin: Plugin, names: Sequence[str]) -> frozenset[str]:
    """The assumptions of these names. Raises UsageError for one that the plugin does not have."""
    names = [name.replace("_", "-") for name in names]
    for name in names:
        if name not in plugin.assumptions:
            known = ", ".join(plugin.assumptions) or "none"
            raise UsageError(f"{plugin.name} has no assumption {name!r}. Assumptions: {known}.")
    return frozenset(names)


def split_settings(plugin: Plugin, settings: Sequence[tuple[str, str]]) -> tuple[dict[str, Any], dict[str, float]]:
    """Parameters of the run, and the other names (fields of the user's instance), from NAME=VALUE pairs."""
    parameters, fields, limits = dict(plugin.algorithm.parameters), {}, plugin.algorithm.limits
    for name, text in settings:
        try:
            value = float(text)
        except ValueError:
            raise UsageError(f"--set {name}={text}: the value must be a number.") from None
        if not math.isfinite(value):
            raise UsageError(f"--set {name}={text}: the value must be finite.")
        if name not in parameters:
            fields[name] = value
            continue
        if isinstance(parameters[name], int):
            if value != int(value) or value < 1:
                raise UsageError(f"--set {name}={text}: {name} counts something, give a whole number >= 1.")
            value = int(value)
        if name in limits and not lies_in(value, limits[name]):
            raise UsageError(f"--set {name}={text}: {name} must lie in {limits[name]}.")
        parameters[name] = value
    return parameters, fields


def auto_seeds(claims: Sequence[Claim], confidence: float) -> int:
    """Seeds that the claims need: clean runs for high-probability claims, a limit for means (they stop when decided)."""
    need = 100
    for claim in claims:
        if isinstance(claim.mode, WithProbability):
            need = max(need, binomial.clean_runs_anytime(1.0 - claim.mode.probability, 1.0 - confidence))
        elif claim.is_statistical:
            need = max(need, AUTO_LIMIT)
    return need


def _subjects(
    request: Request, plugin: Plugin, claims: Sequence[Claim], seeds: int, fields: dict[str, float]
) -> tuple[Subject, ...]:
    own = plugin.algorithm.draws_instance
    if request.replay is not None:
        label, seed = request.replay
        return (dataclasses.replace(_replayed(label, plugin, request.root_seed, fields), seeds=(seed,)),)
    if request.instance is not None:
        subject = _named(request.instance, plugin, fields)
        return (dataclasses.replace(subject, seeds=(0,) if own else range(seeds)),)
    if fields:
        raise UsageError(f"--set {next(iter(fields))}: no such parameter. Parameters: {', '.join(plugin.algorithm.parameters)}.")
    per_subject: Sequence[int] = (0,) if own else range(seeds)
    named = {} if request.leave_out_named else plugin.references
    subjects = [Subject(name, "reference", instance, per_subject) for name, instance in named.items()]
    count = request.instances if request.instances is not None else seeds if own else DRAWN_BY_DEFAULT
    for i, instance in enumerate(draw_instances(plugin, request.root_seed, count)):
        subjects.append(Subject(f"drawn-{i}", "drawn", instance, (i,) if own else per_subject))
    if not own and request.instances is None and plugin.draw is not None and any(c.mode.is_pathwise for c in claims):
        for i, instance in enumerate(draw_instances(plugin, request.root_seed, min(seeds, PROBED_BY_DEFAULT))[count:], count):
            subjects.append(Subject(f"drawn-{i}", "drawn", instance, (0,), pathwise_only=True))
    if not subjects:
        raise UsageError("--instances 0 leaves nothing to check: the plugin has no named instances.")
    return tuple(subjects)


def draw_instances(plugin: Plugin, root_seed: int, count: int) -> list[Any]:
    """`count` instances from the declared distribution, or from the strategy if there is none."""
    if plugin.draw is not None:
        return [plugin.draw(instance_stream(root_seed, plugin.name, i)) for i in range(count)]
    if plugin.strategy is None or count == 0:
        return []
    from theorylab.run.examples import examples

    return examples(plugin.strategy(), count, root_seed)


def _replayed(label: str, plugin: Plugin, root_seed: int, fields: dict[str, float]) -> Subject:
    """The instance of a trial: a drawn one by its number, or whatever `--instance` takes."""
    number = label.removeprefix("drawn-")
    if label.startswith("drawn-") and number.isdigit() and plugin.draw is not None:
        return Subject(label, "drawn", plugin.draw(instance_stream(root_seed, plugin.name, int(number))))
    return _named(label, plugin, fields)


def _named(text: str, plugin: Plugin, fields: dict[str, float]) -> Subject:
    if text in plugin.references:
        subject = Subject(text, "reference", plugin.references[text])
    else:
        path = Path(text)
        if not path.exists() and not set("./:") & set(text):  # gym:ID is a source that is no file
            close = difflib.get_close_matches(text, plugin.references, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise InstanceError(f"{text}: neither a file nor a named instance of {plugin.name}.{hint}")
        subject = Subject(path.name, "file", _read(path, plugin))
    if fields:
        try:
            subject = dataclasses.replace(subject, instance=subject.instance.replace(**fields))
        except TypeError:
            known = [f.name for f in dataclasses.fields(subject.instance) if isinstance(getattr(subject.instance, f.name), float)]
            names = ", ".join([*plugin.algorithm.parameters, *known])
            raise UsageError(
                f"--set {next(iter(fields))}: no such parameter or number of the instance. Known: {names}."
            ) from None
    return subject


def _read(path: Path, plugin: Plugin) -> Any:
    if plugin.read is not None:
        return plugin.read(path)
    kinds: set[type] = {type(instance) for instance in plugin.references.values()}
    if not kinds and plugin.draw is not None:
        kinds = {type(plugin.draw(instance_stream(0, plugin.name, 0)))}
    kind = next(iter(kinds), None)
    if kind is None or not issubclass(kind, Instance):
        raise PluginError(f"{plugin.name} reads no files: it has neither a @plugin.reader nor theorylab instances.")
    return load_instance(kind, path)


def jobs(plan: Plan, chunk: int | None, workers: int, seeds: range | None = None) -> list[Job]:
    """Blocks of trials, in order; `seeds` restricts them to a batch. The size never changes a result."""
    chosen = [_within(subject.seeds, seeds) for subject in plan.subjects]
    size = chunk if chunk is not None else max(1, min(LARGEST_BLOCK, math.ceil(sum(map(len, chosen)) / (4 * max(workers, 1)))))
    return [Job(i, tuple(wanted[k : k + size])) for i, wanted in enumerate(chosen) for k in range(0, len(wanted), size)]


def _within(own: Sequence[int], batch: range | None) -> Sequence[int]:
    """The seeds of a subject that belong to a batch."""
    if batch is None:
        return own
    if isinstance(own, range):
        return range(max(own.start, batch.start), max(min(own.stop, batch.stop), max(own.start, batch.start)))
    return [seed for seed in own if seed in batch]


def _count(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"


def what_it_decides(plan: Plan, plugin: Plugin, seeds: int) -> list[str]:
    """Sentences for people: what this budget can and cannot decide."""
    remarks = []
    drawn = sum(subject.origin == "drawn" for subject in plan.subjects)
    chosen = [plugin.claims[name] for name in plan.claims]
    named = len(plan.subjects) - drawn
    few = sum(subject.pathwise_only for subject in plan.subjects)
    probes = f", {few} of these for claims on single runs alone" if few else ""
    remarks.append(
        f"{_count(len(chosen), 'claim')} on {_count(len(plan.subjects), 'instance')} "
        f"({named} named, {drawn} drawn{probes}), {_count(plan.trials, 'run')}."
    )
    if any(claim.mode.is_pathwise for claim in chosen) and drawn > 1 and plugin.draw is not None:
        share = violating_share(drawn, 1.0 - plan.confidence)
        remarks.append(
            f"If all drawn instances are clean, at most {share:.2g} of the family violates ({plan.confidence:.0%} sure)."
        )
    said: dict[str, list[str]] = {}
    for claim in chosen:
        if sentence := _budget(claim, plan, seeds):
            said.setdefault(sentence, []).append(claim.name)
    return remarks + [f"{_listed(names)}: {sentence}" for sentence, names in said.items()]


def _listed(names: Sequence[str]) -> str:
    """Three names, or two and how many more."""
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {len(names) - 2} more"


def _budget(claim: Claim, plan: Plan, seeds: int) -> str:
    """What so many seeds can decide of a statistical claim; empty for others."""
    if isinstance(claim.mode, WithProbability):
        delta = 1.0 - claim.mode.probability
        need = binomial.clean_runs_anytime(delta, 1.0 - plan.confidence)
        if seeds < need:
            return f"{need} clean runs per instance are needed for support, {seeds} are planned."
        worst = next(
            k for k in range(seeds + 2)
            if k > seeds or binomial.log_e_above(k, seeds, delta) >= refutation_threshold(plan.alpha, plan.registered)
        )  # fmt: skip
        return f"{seeds} runs per instance refute from {worst} failures on."
    if isinstance(claim.mode, OnAverage) or (isinstance(claim.mode, AtRate) and claim.bound.names):
        threshold = refutation_threshold(plan.alpha, plan.registered)
        factor = (math.exp(min(threshold / seeds, 700.0)) - 1.0) / 0.99
        return f"{seeds} seeds per instance can refute a mean at least {1 + factor:.3g} times the bound, never less."
    return ""
