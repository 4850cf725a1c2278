"""Running the steps of a plugin: find certificates, verify them, keep them, verify kept ones without any solver."""

from __future__ import annotations

import hashlib
import inspect
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from theorylab.errors import PluginError, UsageError, describe
from theorylab.files import write_whole
from theorylab.plugin import Plugin
from theorylab.proof.steps import Certificate, Finding, Proofs, Status, Step

GROUP = "theorylab.proofs"

#: Where `prove` notes what it verified, beside the ledger.
KEPT = Path(".theorylab") / "proofs"

#: Version of the format of certificates.
FORMAT = 1

#: Worst first: a step is as good as the worst of what it shows.
_ORDER: tuple[Status, ...] = ("FALSE", "UNPROVED", "VERIFIED")


@dataclass(frozen=True)
class Result:
    """What came of a step."""

    step: Step
    kind: str
    status: Status
    detail: str
    seconds: float
    certificates: tuple[dict[str, Any], ...] = ()


def with_proofs() -> dict[str, str]:
    """Plugins that have proof steps, and the module of each."""
    return {entry.name: entry.value for entry in sorted(entry_points(group=GROUP), key=lambda e: e.name)}


def load_proofs(name: str) -> Proofs:
    """The steps of a plugin. Raises UsageError if it has none, PluginError if they cannot be imported."""
    found = [entry for entry in entry_points(group=GROUP) if entry.name == name]
    if not found:
        known = ", ".join(with_proofs()) or "none"
        raise UsageError(f"{name!r} has no proof steps. Plugins that have: {known}.")
    try:
        proofs = found[0].load()
    except PluginError:
        raise
    except Exception as error:
        raise PluginError(f"The proof steps of {name!r} cannot be imported: {describe(error)}.") from error
    if not isinstance(proofs, Proofs) or proofs.plugin != name:
        raise PluginError(f"Entry point {name!r} of {GROUP}: {found[0].value} is no `Proofs({name!r})`.")
    return proofs


def check_claims(proofs: Proofs, plugin: Plugin) -> None:
    """Raise PluginError where a step names a claim that the plugin does not make."""
    for step in proofs.steps.values():
        for claim in step.supports:
            if claim not in plugin.claims:
                raise PluginError(f"{proofs.plugin}: proof step {step.name!r} names no claim of the plugin: {claim!r}.")


def prove_step(step: Step, k: Any = 1) -> Result:
    """Find certificates and verify them."""
    return _run(step, k, lambda i, method: method.find())


def verify_step(step: Step, kept: Sequence[Mapping[str, Any]]) -> Result:
    """Verify certificates that were kept, each for the very statement it was made for."""

    def certificate(i: int, method: Any) -> Certificate:
        if i >= len(kept):
            raise UsageError(f"step {step.name!r}: {len(kept)} certificates, the step needs more")
        if kept[i].get("statement") != method.digest_text():
            raise UsageError(
                f"step {step.name!r}, certificate {i}: it was made for another statement. Run `prove --certificates` again."
            )
        return dict(kept[i]["certificate"])

    return _run(step, 1, certificate)


def _run(step: Step, k: Any, certificate: Callable[[int, Any], Certificate]) -> Result:
    begin = time.perf_counter()
    methods = step.methods(k)
    findings: list[Finding] = []
    kept = []
    for i, method in enumerate(methods):
        data = certificate(i, method)
        try:
            findings.append(method.verify(data))
        except (KeyError, ValueError, TypeError, IndexError, ZeroDivisionError) as error:
            findings.append(Finding("UNPROVED", f"its certificate is damaged: {describe(error)}"))
        kept.append({"kind": method.kind, "statement": method.digest_text(), "certificate": data})
    worst = min(findings, key=lambda f: _ORDER.index(f.status))
    detail = worst.detail if worst.status != "VERIFIED" or len(findings) == 1 else f"{len(findings)} parts: {findings[-1].detail}"
    kinds = " and ".join(dict.fromkeys(m.kind for m in methods))
    return Result(step, kinds, worst.status, detail, time.perf_counter() - begin, tuple(kept))


# -- files ------------------------------------------------------------------------------------------------------------------------------------


def save_certificates(proofs: Proofs, results: Sequence[Result], folder: Path) -> Path:
    """One file for a plugin: exact fractions, nothing that is evaluated when it is read."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{proofs.plugin}.json"
    steps = {r.step.name: {"says": r.step.statement, "status": r.status, "certificates": list(r.certificates)} for r in results}
    write_whole(path, json.dumps({"format": FORMAT, "plugin": proofs.plugin, "steps": steps}, indent=1) + "\n")
    return path


def read_certificates(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Certificates by step. Raises UsageError naming the file and what is wrong with it."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise UsageError(
                f"{path}: format {data['format']!r}, this theorylab reads {FORMAT}. Run `prove --certificates` again."
            )
        return {str(name): list(step["certificates"]) for name, step in data["steps"].items()}
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file. `theorylab prove PLUGIN --certificates DIR` writes it.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} is no file of certificates: {describe(error)}.") from None


# -- what a check may show ----------------------------------------------------------------------------------------------------------------------


def sources_digest(proofs: Proofs) -> str:
    """Sixteen digits that change with the steps' own source and with the checkers'."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    own = {inspect.getsourcefile(step.build) for step in proofs.steps.values()}
    state = hashlib.sha256()
    for path in [*files, *sorted(Path(p) for p in own if p)]:
        state.update(path.read_bytes())
    return state.hexdigest()[:16]


def remember(proofs: Proofs, results: Sequence[Result], folder: Path) -> None:
    """Note which steps were verified, for the reports of later checks."""
    folder.mkdir(parents=True, exist_ok=True)
    steps = {r.step.name: r.status for r in results}
    write_whole(
        folder / f"{proofs.plugin}.json", json.dumps({"sources": sources_digest(proofs), "steps": steps}, indent=1) + "\n"
    )


def listed(name: str, folder: Path) -> list[dict[str, Any]]:
    """The steps of a plugin's proofs as plain data; a step that was not run since it was changed is not verified. Empty without steps."""
    if name not in with_proofs():
        return []
    proofs = load_proofs(name)
    known: dict[str, str] = {}
    try:
        data = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        if data["sources"] == sources_digest(proofs):
            known = data["steps"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return [
        {
            "name": step.name,
            "statement": " ".join(step.statement.split()),
            "supports": list(step.supports),
            "is_verified": known.get(step.name) == "VERIFIED",
        }
        for step in proofs.steps.values()
    ]


def counted(steps: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, int]]:
    """(verified, all) steps by claim, of those that `listed` names."""
    out: dict[str, tuple[int, int]] = {}
    for step in steps:
        for claim in step["supports"]:
            verified, total = out.get(claim, (0, 0))
            out[claim] = (verified + step["is_verified"], total + 1)
    return out
