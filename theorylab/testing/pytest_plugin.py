"""The pytest plugin: claims as test items, for plugins that `[tool.theorylab] check` or `--theorylab` names.

Only pytest is imported here: everything else is, when a claim is first collected.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("theorylab", "claims of theorems")
    group.addoption(
        "--theorylab", action="append", default=[], metavar="PLUGIN", help="Check the claims of this plugin; may be repeated."
    )
    group.addoption("--theorylab-seeds", type=int, metavar="N", help="Budget of seeds (default: [tool.theorylab] seeds, or 100).")
    group.addoption(
        "--theorylab-strict", action="store_true", help="Claims that stay undecided or say nothing fail instead of being skipped."
    )
    group.addoption("--theorylab-alpha", type=float, default=1e-6, metavar="P", help="False-alarm probability of the whole job.")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "theorylab: a claim of a theorylab plugin (deselect with -m 'not theorylab')")


@pytest.hookimpl(tryfirst=True)  # before -k and -m choose among items
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    job = _job(config)
    if job is None:
        return
    for group in job.collect(session):  # reported like any other collector, so that pytest's own counts are right
        report = group.ihook.pytest_make_collect_report(collector=group)
        group.ihook.pytest_collectreport(report=report)
        items.extend(report.result)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    job = config.stash.get(_JOB, None)
    if job is not None and job.groups:
        terminalreporter.write_line(f"theorylab: false alarms of this job: at most {job.alpha:g}.")


_JOB: pytest.StashKey[Any] = pytest.StashKey()


def _job(config: pytest.Config) -> Any:
    """What is to be checked, or None: read once."""
    if _JOB not in config.stash:
        named = list(config.getoption("--theorylab"))
        project = None
        if named or _mentions(config):
            from theorylab.config import read_config

            project = read_config(config.rootpath)
            named += [name for name in project.check if name not in named]
        config.stash[_JOB] = Job(config, named, project) if named else None
    return config.stash[_JOB]


def _mentions(config: pytest.Config) -> bool:
    """Whether the project says anything of theorylab: its file is looked at as text first, which costs nothing."""
    path = config.rootpath / "pyproject.toml"
    try:
        return "[tool.theorylab]" in path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


class Job:
    """The claims of a pytest run. Items of the same plugin and instance share one check, which is made when the first of them runs."""

    def __init__(self, config: pytest.Config, names: list[str], project: Any) -> None:
        self.names = names
        self.seeds = config.getoption("--theorylab-seeds") or (project.seeds if project is not None else 100)
        self.strict = bool(config.getoption("--theorylab-strict") or (project is not None and project.strict))
        self.alpha = float(config.getoption("--theorylab-alpha"))
        self.groups: set[tuple[str, str]] = set()
        self._reports: dict[tuple[str, str], Any] = {}

    def collect(self, session: pytest.Session) -> Iterator[Group]:
        """A group for each plugin: an item for each claim and named instance it speaks of, and one for the drawn ones."""
        from theorylab.errors import TheorylabError
        from theorylab.registry import find, load
        from theorylab.run.records import Subject
        from theorylab.run.worker import claim_applies

        for name in self.names:
            try:
                locator = find(name)
                plugin = load(locator)
            except TheorylabError as error:
                raise pytest.UsageError(f"theorylab: {error}") from None
            group = Group.from_parent(session, name=plugin.name, nodeid=plugin.name)
            subjects = [Subject(label, "reference", instance) for label, instance in plugin.references.items()]
            for claim in plugin.claims:
                labels = [s.label for s in subjects if claim_applies(plugin, claim, s)]
                if (plugin.draw is not None or plugin.strategy is not None) and not plugin.claims[claim].only:
                    labels.append("drawn")
                for label in labels:
                    self.groups.add((plugin.name, label))
                    group.items.append(
                        ClaimItem.from_parent(
                            group, name=f"{claim}[{label}]", job=self, locator=locator, claim=claim, label=label
                        )
                    )
            yield group

    def verdict(self, item: ClaimItem) -> tuple[Any, Any]:
        """(report, verdict) for an item; the check covers all claims that were collected for its instance and not deselected."""
        key = (item.parent.name if item.parent else "", item.label)
        if key not in self._reports:
            from theorylab.checked import save_counterexamples
            from theorylab.run.check import check
            from theorylab.run.records import Request

            wanted = [i.claim for i in item.session.items if isinstance(i, ClaimItem) and i.key == key]
            only = item.label if item.label != "drawn" else None
            request = Request(
                item.locator, seeds=self.seeds, claims=tuple(wanted), instance=only, leave_out_named=only is None, alpha=self.alpha / len(self.groups)
            )  # fmt: skip
            self._reports[key] = save_counterexamples(check(request, f"pytest --theorylab {key[0]}"))
        report = self._reports[key]
        return report, next(v for v in report.verdicts if v.claim == item.claim)


class Group(pytest.Collector):
    """A plugin: the parent of its claims, which the job has made."""

    def __init__(self, **rest: Any) -> None:
        super().__init__(**rest)
        self.items: list[pytest.Item] = []

    def collect(self) -> list[pytest.Item]:
        return self.items


class Failed(Exception):
    """A claim that is not as expected; its text is what is shown."""


class ClaimItem(pytest.Item):
    """One claim on one instance."""

    def __init__(self, *, job: Job, locator: Any, claim: str, label: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.job, self.locator, self.claim, self.label = job, locator, claim, label
        self.add_marker("theorylab")
        self.add_marker(
            pytest.mark.xdist_group(name=f"{self.key[0]}[{label}]")
        )  # with --dist loadgroup one worker makes the check

    @property
    def key(self) -> tuple[str, str]:
        """Plugin and instance."""
        return (self.parent.name if self.parent is not None else "", self.label)

    def runtest(self) -> None:
        from theorylab.report.json_report import again

        report, verdict = self.job.verdict(self)
        evidence = verdict.evidence
        self.user_properties += [
            ("verdict", verdict.status), ("tightness", evidence.tightness), ("bound", evidence.bound), ("measured", evidence.statistic),
            ("trials", evidence.trials), ("error_probability", evidence.error_probability), ("vacuous_instances", evidence.vacuous_instances),
        ]  # fmt: skip
        text = f"{verdict.status}: {verdict.reason}"
        if not verdict.as_expected or verdict.status == "ERROR":
            claim = report.claims[self.claim]
            lines = [text, f"claimed: {' '.join(claim.statement.split())}", f"source: {claim.source}"]
            if verdict.counterexample is not None and verdict.counterexample.file is not None:
                lines.append(f"counterexample: {verdict.counterexample.file}")
            raise Failed("\n".join([*lines, f"again: {again(report, verdict)}"]))
        if verdict.status in ("INCONCLUSIVE", "VACUOUS"):
            if self.job.strict:
                raise Failed(text)
            pytest.skip(text)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, Failed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        return self.path, None, f"{self.key[0]}::{self.name}"
