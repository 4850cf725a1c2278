"""The JSON report, schema 1: one document, additive changes only (`report.schema.json` describes it)."""

from __future__ import annotations

import json
import math
import shlex
from collections import Counter
from typing import Any

from theorylab.run.audit import Audit
from theorylab.run.records import STATUSES, Report, Verdict


def _number(x: float | None) -> float | None:
    """JSON has no infinity and no NaN."""
    return None if x is None or not math.isfinite(x) else x


def again(report: Report, verdict: Verdict) -> str:
    """The command that shows this verdict again."""
    example = verdict.counterexample
    if example is None:
        return report.command
    words = ["theorylab", "check", report.plan.target, "--claim", verdict.claim]
    where = str(example.file) if example.file is not None else example.label
    if report.claims[verdict.claim].mode.is_pathwise or verdict.status == "ERROR":
        words += ["--replay", shlex.quote(f"{where}:{example.seed}")]
    else:
        words += ["--instance", shlex.quote(where), "--seeds", str(max(len(s.seeds) for s in report.plan.subjects))]
    for name in sorted(report.plan.dropped):
        words += ["--drop", name]
    if report.plan.root_seed:
        words += ["--seed", str(report.plan.root_seed)]
    return " ".join(words)


def _steps(counted: tuple[int, int] | None) -> dict[str, int] | None:
    return None if counted is None else {"verified": counted[0], "of": counted[1]}


def claim_row(report: Report, verdict: Verdict) -> dict[str, Any]:
    """One claim of the report."""
    claim, evidence, example = report.claims[verdict.claim], verdict.evidence, verdict.counterexample
    return {
        "name": claim.name,
        "statement": claim.statement,
        "source": claim.source,
        "provenance": claim.provenance,
        "mode": claim.mode.label,
        "measure": claim.measure,
        "assumes": list(claim.assumes),
        "relation": claim.relation,
        "bound": claim.bound.latex(),
        "expected": claim.expected,
        "verdict": verdict.status,
        "as_expected": verdict.as_expected,
        "tightness": _number(evidence.tightness),
        "tightest_on": evidence.tightest_on,
        "tightest_seed": evidence.tightest_seed,
        "instances": evidence.instances,
        "vacuous_instances": evidence.vacuous_instances,
        "trials": evidence.trials,
        "entries": evidence.entries,
        "ties": evidence.ties,
        "statistic": _number(evidence.statistic),
        "bound_value": _number(evidence.bound),
        "margin": _number(evidence.margin),
        "log_e": _number(evidence.log_e),
        "error_probability": _number(evidence.error_probability),
        "violating_share": _number(evidence.violating_share),
        "proof_steps": _steps(report.proof_steps.get(claim.name)),
        "seeds_needed": evidence.seeds_needed,
        "informative_from": _number(evidence.informative_from),
        "reason": verdict.reason,
        "counterexample": None
        if example is None
        else {
            "instance": example.label,
            "digest": example.digest,
            "seed": example.seed,
            "entry": example.index,
            "measured": _number(example.measured),
            "bound": _number(example.bound),
            "basis": example.basis,
            "file": str(example.file) if example.file else None,
            "shown": repr(example.instance),
            "again": again(report, verdict),
        },
    }


def summary(verdicts: tuple[Verdict, ...]) -> dict[str, int]:
    """Claims by verdict."""
    counts = Counter(verdict.status for verdict in verdicts)
    return {status: counts.get(status, 0) for status in STATUSES}


def report_document(report: Report, exit_status: int) -> dict[str, Any]:
    """The whole report as plain data."""
    return {
        "schema": 1,
        "command": report.command,
        "alpha": report.plan.alpha,
        "confidence": report.plan.confidence,
        "seed": report.plan.root_seed,
        "versions": dict(report.versions),
        "interrupted": bool(report.interrupted),
        "unfinished": report.unfinished,
        "run": report.run_id,
        "seconds": round(report.seconds, 3),
        "plugins": [
            {
                "name": report.plan.plugin,
                "target": report.plan.target,
                "backend": report.plan.backend,
                "title": report.plugin_title,
                "source": report.plugin_source,
                "parameters": dict(report.plan.parameters),
                "assumptions": dict(report.assumptions),
                "plan": list(report.plan.remarks),
                "digests": list(report.digests) if report.plan.is_replay else [],
                "trials": report.plan.trials,
                "claims": [claim_row(report, verdict) for verdict in report.verdicts],
                "answers": [
                    {
                        "title": a.title,
                        "columns": list(a.columns),
                        "rows": [list(row) for row in a.rows],
                        "remark": a.remark,
                    }
                    for a in report.answers
                ],
            }
        ],
        "summary": summary(report.verdicts),
        "exit_status": exit_status,
    }


def audit_document(result: Audit, command: str, exit_status: int) -> dict[str, Any]:
    """The kill matrix as plain data."""
    return {
        "schema": 1,
        "command": command,
        "plugins": [
            {
                "name": result.plugin,
                "matrix": {claim: dict(row) for claim, row in result.matrix.items()},
                "survivors": list(result.survivors),
                "toothless": list(result.toothless),
                "missed": [list(pair) for pair in result.missed],
                "false_alarms": list(result.false_alarms),
                "excused": dict(result.excused),
                "left": list(result.left),
            }
        ],
        "exit_status": exit_status,
    }


def to_text(document: dict[str, Any]) -> str:
    """One valid JSON document."""
    return json.dumps(document, indent=2, allow_nan=False)
