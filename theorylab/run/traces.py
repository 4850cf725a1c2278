"""A trial of each claim, entry by entry, to be drawn: the tightest one, run again."""

from __future__ import annotations

from collections.abc import Sequence

from theorylab.plugin import Plugin
from theorylab.run.observe import Names, trace
from theorylab.run.records import Plan, Trace, Verdict
from theorylab.run.streams import trial_stream


def traces(plugin: Plugin, plan: Plan, verdicts: Sequence[Verdict]) -> dict[str, Trace]:
    """By claim, its tightest trial; of a claim about averages, which no one trial shows, any trial: it tells where the checkpoints are."""
    several = next((s for s in plan.subjects if not s.pathwise_only and len(s.seeds)), None)
    wanted: dict[tuple[str, int], list[str]] = {}
    for verdict in verdicts:
        e, example = verdict.evidence, verdict.counterexample
        where = (example.label, example.seed) if example is not None else (e.tightest_on, e.tightest_seed)
        if not plugin.claims[verdict.claim].mode.is_pathwise:
            where = (several.label, several.seeds[0]) if several is not None else (None, None)
        if where[0] is not None and where[1] is not None:
            wanted.setdefault((where[0], where[1]), []).append(verdict.claim)
    subjects = {subject.label: subject for subject in plan.subjects}
    found: dict[str, Trace] = {}
    for (label, seed), names in wanted.items():
        subject = subjects[label]
        rng = trial_stream(plan.root_seed, plugin.name, subject.digest, seed)
        algorithm = plugin.algorithm
        try:
            measures = algorithm.function(subject.instance, [rng] if algorithm.batched else rng, **plan.parameters)
        except Exception:  # its trial was an error already, and is reported as one
            continue
        if algorithm.batched:
            measures = {name: value[0] for name, value in measures.items()}
        row = Names(plugin.instance_name, subject.instance, plan.parameters, measures)
        seen = {name: trace(plugin.claims[name], row, label, seed) for name in names}
        found |= {name: one for name, one in seen.items() if one is not None}
    return found
