"""Pages that are made from the plugins: one for each, and the findings. Nothing is run: what was measured stands in measured.json.

python docs/generate.py --measure     run every plugin, and write measured.json and figures anew
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from theorylab.claim import Claim
from theorylab.plugin import Plugin
from theorylab.proof.run import load_proofs, with_proofs
from theorylab.registry import Locator, installed, load

HERE = Path(__file__).resolve().parent
MEASURED = HERE / "measured.json"
FIGURES = HERE / "figures"

#: Seeds with which tightness is measured.
SEEDS = 20

SIGNS = {"<=": r"\le", ">=": r"\ge", "==": "="}


def built_in() -> list[Locator]:
    """The plugins that come with theorylab."""
    return [locator for locator in installed() if locator.origin.startswith("theorylab ")]


def write_pages(docs: Path) -> None:
    """plugins/NAME.md, plugins/index.md and findings.md."""
    folder = docs / "plugins"
    folder.mkdir(exist_ok=True)
    measured = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
    plugins = [load(locator) for locator in built_in()]
    for plugin in plugins:
        _write(folder / f"{plugin.name}.md", plugin_page(plugin, measured.get(plugin.name, {})))
    names = "\n".join(plugin.name for plugin in plugins)
    _write(folder / "index.md", f"# The plugins\n\n```{{toctree}}\n:maxdepth: 1\n\n{names}\n```\n")
    _write(docs / "findings.md", findings_page(plugins))


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:  # so that Sphinx reads again only what changed
        path.write_text(text, encoding="utf-8")


def words(text: str) -> str:
    """One line that Markdown takes literally."""
    line = " ".join(text.split())
    for letter in "\\*_`<|[]$":
        line = line.replace(letter, f"\\{letter}")
    return line


def bound_of(claim: Claim) -> str:
    """The claim as a formula, where the bound is one."""
    latex = claim.bound.latex() if claim.bound.is_symbolic and claim.bound.expression is not None else None
    if latex is None:
        return ""
    name = claim.measure.replace("_", r"\_")
    return f"$$\\text{{{name}}} {SIGNS[claim.relation]} {latex}$$\n\n"


def plugin_page(plugin: Plugin, measured: dict[str, Any]) -> str:
    """Theorems, assumptions, claims, mutants, proof steps."""
    parts = [
        f"# {plugin.name}",
        "",
        words(plugin.title) + ".",
        "",
        f"Source: {words(plugin.source)}.",
        "",
        f"`theorylab check {plugin.name}` checks what follows.",
        "",
    ]
    if plugin.assumptions:
        parts += ["## Assumptions", ""]
        parts += [f"**{name}**: {words(check.__doc__ or '')}\n" for name, check in plugin.assumptions.items()]
    steps = load_proofs(plugin.name).steps if plugin.name in with_proofs() else {}
    parts += ["## Claims", ""]
    for claim in plugin.claims.values():
        killers = [m.name for m in plugin.mutants.values() if claim.name in m.refuted_by]
        parts += [
            f"### {claim.name}",
            "",
            words(claim.statement),
            "",
            bound_of(claim) + f"Source: {words(claim.source)} ({claim.provenance}, {claim.mode.label}).",
            "",
        ]
        if claim.expected == "refuted":
            parts += [
                f"This statement is **false**, and is expected to be refuted: `theorylab check {plugin.name} --claim {claim.name}`.",
                "",
            ]
        if claim.assumes:
            parts += [f"Assumes: {', '.join(claim.assumes)}.", ""]
        row = measured.get(claim.name)
        if row:
            on = f" (on {row['tightest_on']})" if row.get("tightest_on") else ""
            ratio = f", measured / bound up to {row['tightness']:.3g}{on}" if row["tightness"] is not None else ""
            parts += [f"With {SEEDS} seeds: {row['verdict']} on {row['instances']} instances{ratio}.", ""]
        if killers:
            parts += [f"Refutes the broken variants: {', '.join(killers)}.", ""]
        elif claim.toothless:
            parts += [f"Refutes no broken variant: {words(claim.toothless)}.", ""]
        resting = [s for s in steps.values() if claim.name in s.supports]
        if resting:
            parts += [f"Machine-checked steps of its proof: {', '.join(s.name for s in resting)}.", ""]
    captions = FIGURES / plugin.name / "captions.json"
    if captions.exists():
        parts += ["## Figures", ""]
        for name, caption in json.loads(captions.read_text(encoding="utf-8")).items():
            parts += [f"![{name}](../figures/{plugin.name}/{name}.png)", "", words(caption), ""]
    parts += ["## Broken variants", ""]
    for mutant in plugin.mutants.values():
        fate = f"survives: {words(mutant.survives)}" if mutant.survives else f"refuted by {', '.join(mutant.refuted_by)}"
        parts += [f"**{mutant.name}**: {words(mutant.description)} ({fate})\n"]
    if steps:
        parts += ["## Steps of the proofs", "", f"`theorylab prove {plugin.name}` checks them.", ""]
        parts += [f"**{s.name}**: {words(s.statement)}\n" for s in steps.values()]
    return "\n".join(parts) + "\n"


def findings_page(plugins: list[Plugin]) -> str:
    """Published statements, released code and common beliefs that are refuted, each with its command."""
    parts = [
        "# Findings",
        "",
        "Statements that are false as printed, as released or as commonly read. Each is a claim that is expected to be refuted, with a named instance on which it fails, next to its corrected "
        "form in the same plugin.",
        "",
    ]
    for plugin in plugins:
        false = [claim for claim in plugin.claims.values() if claim.expected == "refuted"]
        if not false:
            continue
        parts += [f"## {plugin.name}", "", f"{words(plugin.source)}.", ""]
        for claim in false:
            parts += [
                f"**{claim.name}** ({words(claim.source)})",
                "",
                words(claim.statement),
                "",
                f"    theorylab check {plugin.name} --claim {claim.name}",
                "",
            ]
    return "\n".join(parts) + "\n"


def measure() -> None:
    """Verdicts and tightness of every claim, and the figures."""
    from theorylab.report.json_report import report_document
    from theorylab.report.plots import file_name, save
    from theorylab.run.check import check
    from theorylab.run.records import Request

    found = {}
    shutil.rmtree(FIGURES, ignore_errors=True)
    for locator in built_in():
        report = check(Request(locator, seeds=SEEDS, with_pictures=True), "docs")
        document = report_document(report, 0)
        if report.pictures:
            save(report.pictures, FIGURES / locator.name, "theorylab")
            captions = {file_name(picture.name): picture.caption for picture in report.pictures}
            (FIGURES / locator.name / "captions.json").write_text(json.dumps(captions, indent=1) + "\n", encoding="utf-8")
        for drawing in (FIGURES / locator.name).glob("*.svg"):
            drawing.unlink()  # pages show the PNG
        (plugin,) = document["plugins"]
        found[locator.name] = {
            c["name"]: {k: c[k] for k in ("verdict", "tightness", "tightest_on", "instances")} for c in plugin["claims"]
        }
        print(locator.name)
    MEASURED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--measure", action="store_true", help="run every plugin, and write measured.json and figures anew")
    if parser.parse_args().measure:
        measure()
    write_pages(HERE)
