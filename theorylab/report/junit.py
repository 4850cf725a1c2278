"""JUnit XML: a test case for each claim, as CI servers show them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from theorylab.files import write_whole

#: What XML 1.0 cannot hold.
_ILLEGAL = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

#: What is told of each claim besides its verdict.
_PROPERTIES = ("tightness", "bound_value", "statistic", "instances", "vacuous_instances", "trials", "error_probability")


def _clean(text: Any) -> str:
    return _ILLEGAL.sub("?", str(text))


def junit_xml(document: Mapping[str, Any]) -> str:
    """The report (as `report_document` makes it) as JUnit XML. Claims that are undecided or empty count as skipped, for what they are."""
    (plugin,) = document["plugins"]
    suite = ET.Element("testsuite", name=f"theorylab.{_clean(plugin['name'])}", time=f"{document['seconds']:.3f}")
    counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for claim in plugin["claims"]:
        counts["tests"] += 1
        case = ET.SubElement(
            suite, "testcase", classname=f"theorylab.{_clean(plugin['name'])}", name=_clean(claim["name"]), time="0"
        )
        properties = ET.SubElement(case, "properties")
        told = {"verdict": claim["verdict"], **{name: claim[name] for name in _PROPERTIES if claim[name] is not None}}
        for name, value in told.items():
            ET.SubElement(properties, "property", name=name, value=_clean(value))
        text = f"{claim['verdict']}: {claim['reason']}"
        if claim["verdict"] == "ERROR":
            counts["errors"] += 1
            ET.SubElement(case, "error", message=_clean(text)).text = _clean(_details(claim))
        elif not claim["as_expected"]:
            counts["failures"] += 1
            ET.SubElement(case, "failure", message=_clean(text)).text = _clean(_details(claim))
        elif claim["verdict"] in ("INCONCLUSIVE", "VACUOUS"):
            counts["skipped"] += 1
            ET.SubElement(case, "skipped", message=_clean(text))
    for name, count in counts.items():
        suite.set(name, str(count))
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)


def _details(claim: Mapping[str, Any]) -> str:
    lines = [f"claimed: {' '.join(claim['statement'].split())}", f"source: {claim['source']}"]
    if claim["counterexample"] is not None:
        if claim["counterexample"]["file"]:
            lines.append(f"counterexample: {claim['counterexample']['file']}")
        lines.append(f"again: {claim['counterexample']['again']}")
    return "\n".join(lines)


def save_junit(document: Mapping[str, Any], path: Path) -> None:
    """Write the file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, junit_xml(document) + "\n")
