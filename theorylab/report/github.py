"""For GitHub Actions: annotations on stdout, and a table in the job's summary."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

#: GitHub shows ten annotations of a kind for a step.
MOST_ANNOTATIONS = 10

#: Bytes that a summary may have; larger ones are dropped whole.
MOST_BYTES = 1_000_000


def _escaped(text: str, *, is_property: bool = False) -> str:
    """For workflow commands: percent, line ends, and in properties colons and commas too."""
    pairs = [("%", "%25"), ("\r", "%0D"), ("\n", "%0A")] + ([(":", "%3A"), (",", "%2C")] if is_property else [])
    for plain, code in pairs:
        text = text.replace(plain, code)
    return text


def commands(document: Mapping[str, Any]) -> list[str]:
    """Workflow commands: errors for what is not as expected, warnings for what is undecided, notices for what says nothing; ten of each, the worst first."""
    (plugin,) = document["plugins"]
    kinds: dict[str, list[str]] = {"error": [], "warning": [], "notice": []}
    for claim in plugin["claims"]:
        kind = (
            "error"
            if not claim["as_expected"] or claim["verdict"] == "ERROR"
            else {"INCONCLUSIVE": "warning", "VACUOUS": "notice"}.get(claim["verdict"])
        )
        if kind is None:
            continue
        title = f"{plugin['name']} {claim['name']}: {claim['verdict']}"
        text = claim["reason"]
        if claim["counterexample"] is not None and kind == "error":
            text += f" Again: {claim['counterexample']['again']}"
        kinds[kind].append(f"::{kind} title={_escaped(title, is_property=True)}::{_escaped(text)}")
    lines = []
    for kind, found in kinds.items():
        lines += found[:MOST_ANNOTATIONS]
        if len(found) > MOST_ANNOTATIONS:
            lines[-1] = f"::{kind}::{len(found) - MOST_ANNOTATIONS + 1} more: see the job's summary"
    return lines


def summary_table(document: Mapping[str, Any], last_line: str) -> str:
    """Markdown: a row for each claim."""
    (plugin,) = document["plugins"]
    rows = [
        f"### {_cell(plugin['title'])} (`{plugin['name']}`)",
        "",
        "| claim | verdict | measured/bound | instances | what was found |",
        "| --- | --- | --- | --- | --- |",
    ]
    for claim in plugin["claims"]:
        mark = {"SUPPORTED": "✅", "CONSISTENT": "✅", "INCONCLUSIVE": "❔", "VACUOUS": "-", "ERROR": "❌"}.get(
            claim["verdict"], "❌"
        )
        if claim["verdict"] == "REFUTED" and claim["as_expected"]:
            mark = "✅"
        ratio = "" if claim["tightness"] is None else f"{claim['tightness']:.3g}"
        rows.append(
            f"| {_cell(claim['name'])} | {mark} {claim['verdict']} | {ratio} | {claim['instances']} | {_cell(claim['reason'])} |"
        )
    text = "\n".join([*rows, "", _cell(last_line), ""])
    return (
        text
        if len(text.encode()) <= MOST_BYTES
        else "\n".join([*rows[:2], "The table is too long for a summary.", "", _cell(last_line), ""])
    )


def _cell(text: str) -> str:
    """One line that Markdown takes literally in a table."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`")


def print_github(document: Mapping[str, Any], last_line: str) -> None:
    """Annotations to stdout; the table to the file that GITHUB_STEP_SUMMARY names, if it does."""
    for line in commands(document):
        print(line)
    print(last_line)
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if target:
        with open(target, "a", encoding="utf-8") as file:
            file.write(summary_table(document, last_line))
