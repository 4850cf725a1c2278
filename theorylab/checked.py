"""A check from its beginning to its reports: what the command line, pytest and Python have in common, and the check as Python sees it."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from theorylab.errors import LedgerError, TheorylabError, UsageError
from theorylab.picture import Picture
from theorylab.problems.record import Instance, save_instance
from theorylab.proof.run import KEPT, counted, listed
from theorylab.registry import find_with
from theorylab.report.json_report import report_document
from theorylab.run.charts import charts
from theorylab.run.check import check as make
from theorylab.run.codec import picture_from_json
from theorylab.run.ledger import DEFAULT, Ledger, RunRow
from theorylab.run.records import Report, Request
from theorylab.run.trials import Watcher

if TYPE_CHECKING:
    import pandas

COUNTEREXAMPLES = Path(".theorylab") / "counterexamples"

#: Under this name the ledger keeps, beside a run's report, what is only looked at: charts, figures, steps.
PAGE = "page"


# -- after the check --------------------------------------------------------------------------------------------------------------------------


def save_counterexamples(report: Report) -> Report:
    """Write the instance of every unexpected refutation to a file, and note the file in the report."""
    verdicts = []
    for verdict in report.verdicts:
        example = verdict.counterexample
        if example is not None and not verdict.as_expected and isinstance(example.instance, Instance):
            path = COUNTEREXAMPLES / f"{report.plan.plugin}-{verdict.claim}-{example.digest[:8]}.json"
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                save_instance(example.instance, path)
                verdict = dataclasses.replace(verdict, counterexample=dataclasses.replace(example, file=path))
            except OSError as error:
                print(f"Warning: the counterexample could not be saved: {error}.", file=sys.stderr)
        verdicts.append(verdict)
    return dataclasses.replace(report, verdicts=tuple(verdicts))


def with_proof_steps(report: Report) -> Report:
    """The report with the steps of the claims' proofs, and how many of each claim's were verified here."""
    try:
        steps = listed(report.plan.plugin, KEPT)
        return dataclasses.replace(report, steps=tuple(steps), proof_steps=counted(steps))
    except TheorylabError as error:
        print(f"Warning: {error} The report does not show its proof steps.", file=sys.stderr)
        return report


def exit_status(report: Report, strict: bool = False) -> int:
    """0, 1, 3, 4 or 130 as the command line's help says."""
    statuses = {verdict.status for verdict in report.verdicts}
    if report.interrupted:
        return report.interrupted
    if "ERROR" in statuses:
        return 3
    if not all(verdict.as_expected for verdict in report.verdicts):
        return 1
    return 4 if strict and statuses & {"INCONCLUSIVE", "VACUOUS"} else 0


def conclude(report: Report, status: int, store: Ledger | None) -> dict[str, Any]:
    """The report as plain data, noted in the ledger, with what is to be looked at where the check was asked for it.

    The trials are kept already: a failure here costs a warning, not the report.
    """
    document = report_document(report, status)
    if store is None or report.run_id is None:
        return document
    try:
        row = store.run(report.run_id)
        if row.about["request"]["with_traces"]:
            (plugin,) = document["plugins"]
            drawn = charts(plugin["claims"], lambda: store.trials_of(row), report.traces)
            document[PAGE] = {
                "charts": {name: dataclasses.asdict(picture) for name, picture in drawn.items()},
                "figures": [dataclasses.asdict(picture) for picture in report.pictures],
                "steps": list(report.steps),
            }
        store.finish(report.run_id, "interrupted" if report.interrupted else "finished", document)
    except LedgerError as error:
        print(f"Warning: {error} The verdicts below are not in the ledger.", file=sys.stderr)
    return document


# -- a check as Python sees it ----------------------------------------------------------------------------------------------------------------


class Run:
    """A check that was made, now or earlier: its verdicts, trials and pictures. Nothing is run, and nothing is judged anew.

    document  the report as plain data, as `--format json` prints it
    """

    def __init__(self, document: Mapping[str, Any], store: Ledger, row: RunRow) -> None:
        page = document.get(PAGE) or {}
        self.document: dict[str, Any] = {name: value for name, value in document.items() if name != PAGE}
        self._store, self._row = store, row
        self._drawn = {name: picture_from_json(data) for name, data in page["charts"].items()} if page else None
        self.figures: dict[str, Picture] = {data["name"]: picture_from_json(data) for data in page.get("figures", ())}
        self.steps: list[Mapping[str, Any]] = list(page.get("steps", ()))

    @property
    def plugin(self) -> str:
        """The plugin's name."""
        return str(self.document["plugins"][0]["name"])

    @property
    def passed(self) -> bool:
        """Whether every verdict is as expected."""
        return all(claim["as_expected"] for claim in self.document["plugins"][0]["claims"])

    @property
    def charts(self) -> dict[str, Picture]:
        """A picture as data for each claim that said something; made from the trials in the ledger if the check did not."""
        if self._drawn is None:
            self._drawn = charts(self.document["plugins"][0]["claims"], lambda: self._store.trials_of(self._row))
        return self._drawn

    @property
    def claims(self) -> pandas.DataFrame:
        """A row per claim: verdict, numbers, reason."""
        pd = _pandas()
        rows = [{k: v for k, v in c.items() if k != "counterexample"} for c in self.document["plugins"][0]["claims"]]
        return pd.DataFrame(rows).set_index("name")

    @property
    def trials(self) -> pandas.DataFrame:
        """A row per trial and claim, as `theorylab export` writes them."""
        from theorylab.report.history import COLUMNS, trial_rows

        pd = _pandas()
        return pd.DataFrame(list(trial_rows(self._store, self._row)), columns=list(COLUMNS))

    def plot(self, name: str) -> Any:
        """A matplotlib figure of a claim, or of one of the plugin's own pictures. Raises UsageError if there is none of that name."""
        from theorylab.report.plots import figure

        picture = self.figures.get(name) or self.charts.get(name)
        if picture is None:
            known = ", ".join([*self.figures, *self.charts])
            hint = "" if self.figures else " The plugin's own figures are drawn with check(..., figures=True)."
            raise UsageError(f"No picture {name!r} of this run. There are: {known}.{hint}")
        return figure(picture)

    def html(self) -> str:
        """The report as one self-contained page."""
        from theorylab.report.page import page

        source = self._row.about["plugin_source"]
        return page(
            self.document,
            charts=self.charts,
            figures=list(self.figures.values()),
            steps=self.steps,
            hunts=self._store.findings(self.plugin, "hunt", source),
            audits=self._store.findings(self.plugin, "audit", source),
            finished=self._row.finished,
        )

    def save_html(self, path: str | Path) -> None:
        """Write the page, whole or not at all."""
        from theorylab.report.page import save_page

        save_page(Path(path), self.html())

    def save_plots(self, folder: str | Path) -> list[Path]:
        """Write the plugin's figures into the folder, and a picture of each claim into its folder `claims`, as PNG and SVG."""
        from theorylab.report.plots import save

        command = self.document["command"]
        return save(list(self.figures.values()), Path(folder), command) + save(
            list(self.charts.values()), Path(folder) / "claims", command
        )

    def _repr_html_(self) -> str:
        from theorylab.report.page import fragment

        return fragment(self.document)

    def __repr__(self) -> str:
        from io import BytesIO, TextIOWrapper

        from rich.console import Console

        from theorylab.report.console import print_document

        stream = TextIOWrapper(BytesIO(), encoding="utf-8")
        print_document(self.document, Console(file=stream, width=80, highlight=False, emoji=False))
        stream.seek(0)
        return stream.read()


def check(
    plugin: str,
    *,
    seeds: int | None = 100,
    claims: Sequence[str] = (),
    instance: str | Path | None = None,
    figures: bool = False,
    ledger: str | Path | None = DEFAULT,
    backend: str | None = None,
    device: str = "auto",
    **options: Any,
) -> Run:
    """Check the claims of a plugin (a name, or a file my_plugin.py), as `theorylab check` does.

    seeds    budget of seeds; None takes as many as the claims need
    figures  whether the plugin draws its own figures, too
    ledger   where trials are kept and looked up; None forgets them
    backend  runs what it has in the plugin's place, on its `device`
    options  further fields of `theorylab.run.records.Request`, such as root_seed, alpha, workers

    Raises TheorylabError for what is wrong before anything runs.
    """
    known = {field.name for field in dataclasses.fields(Request)}
    if unknown := sorted(set(options) - known):
        raise UsageError(f"check() has no option {unknown[0]!r}. Options: {', '.join(sorted(known))}.")
    request = Request(
        locator=find_with(plugin, backend, device), seeds=seeds, claims=tuple(claims), instance=str(instance) if instance is not None else None,
        with_pictures=figures, with_traces=True, **options,
    )  # fmt: skip
    store = Ledger.open(Path(ledger) if ledger is not None else None)
    asked = (
        {"seeds": seeds}
        | ({"claims": list(claims)} if claims else {})
        | ({"instance": request.instance} if instance else {})
        | ({"backend": backend, "device": device} if backend else {})
        | options
    )
    command = f"theorylab.check({', '.join([repr(plugin), *(f'{name}={value!r}' for name, value in asked.items())])})"
    report = with_proof_steps(save_counterexamples(make(request, command, Watcher(), store)))
    document = conclude(report, exit_status(report), store)
    assert report.run_id is not None
    return Run(document, store, store.run(report.run_id))


def open_run(name: str = "last", *, ledger: str | Path = DEFAULT) -> Run:
    """A run that the ledger holds: its id, the beginning of it, or `last`. Raises LedgerError if there is none."""
    from theorylab.report.history import document_of

    store = Ledger.open_to_read(Path(ledger))
    row = store.run(name)
    return Run(document_of(row), store, row)


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise UsageError("Frames need pandas. Install it with: pip install 'theorylab[pandas]'") from None
    return pandas
