"""The pictures of a check: plugin code draws data, the report draws lines."""

from __future__ import annotations

from theorylab.picture import Picture
from theorylab.plugin import Plugin
from theorylab.run.records import Plan, Subject
from theorylab.run.streams import trial_stream

#: Seeds of a picture: more would be slower, not plainer.
MOST_SEEDS = 100


def pictures(plugin: Plugin, plan: Plan) -> tuple[Picture, ...]:
    """Every figure of the plugin: on the instances it names, or, where one instance is checked, those that fit any instance."""
    out: list[Picture] = []
    for figure in plugin.figures.values():
        for subject in plan.subjects:
            if subject.label in figure.on if subject.origin == "reference" else figure.fits_any and subject.origin == "file":
                out += figure.function(subject.instance, _streams(plugin, plan, subject), subject.label, **plan.parameters)
    return tuple(out)


def _streams(plugin: Plugin, plan: Plan, subject: Subject) -> list[object]:
    """The streams of the subject's own trials: a picture shows the runs that were judged."""
    digest = subject.digest
    return [trial_stream(plan.root_seed, plugin.name, digest, seed) for seed in subject.seeds[:MOST_SEEDS]]
