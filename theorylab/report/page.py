"""The report as one HTML file: nothing is fetched, nothing is computed, and it reads without a script."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from theorylab.errors import UsageError
from theorylab.files import write_whole
from theorylab.picture import Curve, Panel, Picture
from theorylab.report import words
from theorylab.report.console import last_line
from theorylab.report.plots import svg
from theorylab.run.ledger import Finding

HERE = Path(__file__).parent

#: Claims of a hunt that are drawn in one picture: those that came closest.
MOST_HUNTED = 6


def require_jinja() -> None:
    """Raise UsageError, with the way out, where a page cannot be made."""
    try:
        import jinja2  # noqa: F401
        import latex2mathml  # noqa: F401
    except ImportError:
        raise UsageError("Pages need jinja2 and latex2mathml. Install them with: pip install 'theorylab[report]'") from None


@cache
def _templates() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # fmt: skip


@cache
def formula(latex: str) -> Any:
    """MathML, which browsers set by themselves."""
    from latex2mathml.converter import convert
    from markupsafe import Markup

    return Markup(convert(latex, display="block"))


#: Commands with what they take literally, other commands, and names of more than one letter, which are words and no products.
_WORDS = re.compile(r"\\(?:begin|end|operatorname|mathrm|text)\s*\{[^{}]*\}|\\[a-zA-Z]+|[a-zA-Z]{2,}")


def statement(claim: Mapping[str, Any]) -> Any:
    """The claim as a formula, or None where its bound is none."""
    if claim["bound"] is None:
        return None
    measure = claim.get("measure") or "measured"
    bound = _WORDS.sub(lambda found: found[0] if found[0].startswith("\\") else rf"\text{{{found[0]}}}", claim["bound"])
    sign = {"<=": r"\le", ">=": r"\ge", "==": "="}[claim["relation"]]
    mean = {"on-average": (r"\operatorname{E}[", "]"), "at-rate": (r"\operatorname{E}[", "]")}.get(claim["mode"], ("", ""))
    return formula(rf"{mean[0]}\text{{{measure}}}{mean[1]} {sign} {bound}")


def verdict_rows(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The verdict table."""
    order = ("ERROR", "REFUTED", "INCONCLUSIVE", "VACUOUS", "CONSISTENT", "SUPPORTED")
    rows = []
    for claim in document["plugins"][0]["claims"]:
        steps = claim.get("proof_steps")
        rows.append(
            {
                "name": claim["name"],
                "verdict": claim["verdict"],
                "order": order.index(claim["verdict"]) if not words.is_refuted_as_expected(claim) else len(order),
                "kind": kind(claim),
                "ratio": "=" if claim["relation"] == "==" and claim["instances"] else words.number(claim["tightness"]),
                "ratio_order": "" if claim["tightness"] is None else repr(claim["tightness"]),
                "instances": claim["instances"],
                "trials": claim["trials"],
                "steps": f"{steps['verified']}/{steps['of']}" if steps else "",
                "steps_order": "" if not steps else str(steps["verified"] / steps["of"]),
            }
        )
    return rows


def kind(claim: Mapping[str, Any]) -> str:
    """How a verdict is coloured: good, open, empty or bad."""
    if not claim["as_expected"] or claim["verdict"] == "ERROR":
        return "bad"
    return {"INCONCLUSIVE": "open", "VACUOUS": "empty"}.get(claim["verdict"], "good")


def _claims(
    document: Mapping[str, Any], charts: Mapping[str, Picture], steps: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    (plugin,) = document["plugins"]
    texts = plugin.get("assumptions", {})
    out = []
    for claim in plugin["claims"]:
        chart = charts.get(claim["name"])
        out.append(
            {
                **claim,
                "kind": kind(claim),
                "formula": statement(claim),
                "meaning": words.meaning(claim, document),
                "assumed": [(name, texts.get(name, "")) for name in claim.get("assumes", ())],
                "plot": _markup(chart, f"claim-{claim['name']}") if chart is not None else None,
                "caption": chart.caption if chart is not None else "",
                "resting": [step for step in steps if claim["name"] in step["supports"]],
                "is_expected_refutation": words.is_refuted_as_expected(claim),
            }
        )
    return out


def _markup(picture: Picture, name: str) -> Any:
    from markupsafe import Markup

    return Markup(svg(picture, name))


def hunted(hunts: Sequence[Finding]) -> dict[str, Any] | None:
    """What the hunts found: the latest of each claim, and a picture of tightness against instances tried."""
    latest: dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
    for hunt in hunts:
        for claim in hunt.document["claims"]:
            latest.setdefault(claim["name"], (claim, hunt.document))
    if not latest:
        return None
    rows = [
        {
            "name": name,
            "tightness": words.number(claim["tightness"]),
            "order": "" if claim["tightness"] is None else repr(claim["tightness"]),
            "examples": document["examples"],
            "verdict": claim["verdict"] or "",
            "file": claim["file"] or "",
        }
        for name, (claim, document) in latest.items()
    ]
    drawn = [(claim, document) for claim, document in latest.values() if claim.get("history")]
    drawn.sort(key=lambda pair: -pair[0]["tightness"])
    curves = []
    for claim, document in drawn[:MOST_HUNTED]:
        tried, best = zip(*claim["history"], strict=True)
        x, y = [float(tried[0])], [best[0]]
        for n, ratio in zip([*tried[1:], document["examples"]], [*best[1:], best[-1]], strict=True):  # a step where it rose
            x += [float(n), float(n)]
            y += [y[-1], ratio]
        curves.append(Curve(claim["name"], tuple(x), tuple(y)))
    plot = None
    if curves:
        ends = (min(c.x[0] for c in curves), max(c.x[-1] for c in curves))
        curves.append(Curve("the bound", ends, (1.0, 1.0), role="bound"))
        panel = Panel("", "instances tried", "tightest measured / bound so far", tuple(curves), log_x=True)
        plot = _markup(Picture("hunt", "hunt", (panel,)), "hunt")
    return {"rows": rows, "plot": plot, "commands": list(dict.fromkeys(hunt.command for hunt in hunts)), "shown": len(curves) - 1}


def _shortened(drawings: str) -> tuple[str, str]:
    """(page, style sheet): what many shapes of the drawings share is said once, and ids are short. Else half a page would be the same few words."""
    names: dict[str, str] = {}

    def shared(match: re.Match[str]) -> str:
        return f'class="{names.setdefault(match[1], f"s{len(names)}")}"'

    numbers: dict[str, str] = {}

    def numbered(match: re.Match[str]) -> str:
        return match[1] + numbers.setdefault(match[2], f"d{len(numbers)}")

    def shortened(drawing: re.Match[str]) -> str:
        text = re.sub(r'style="([^"]*)"', shared, drawing[0])
        return re.sub(r'( id="|href="#|url\(#)([mp][0-9a-f]{10})(?=["\)])', numbered, text)

    text = re.sub(r"<svg.*?</svg>", shortened, drawings, flags=re.DOTALL)
    return text, "\n".join(f".{name} {{ {declared} }}" for declared, name in names.items())


def page(
    document: Mapping[str, Any],
    *,
    charts: Mapping[str, Picture],
    figures: Sequence[Picture] = (),
    steps: Sequence[Mapping[str, Any]] = (),
    hunts: Sequence[Finding] = (),
    audits: Sequence[Finding] = (),
    finished: float | None = None,
) -> str:
    """The whole page. charts: a picture by claim; hunts and audits: of the plugin's present sources, the latest first."""
    require_jinja()
    (plugin,) = document["plugins"]
    style, script = ((HERE / "templates" / name).read_text(encoding="utf-8").strip() for name in ("page.css", "page.js"))
    from markupsafe import Markup

    text = str(
        _templates()
        .get_template("page.html")
        .render(
            document=document,
            plugin=plugin,
            style=Markup(style),
            script=Markup(script),
            script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            found=words.found(document),
            next_step=words.next_step(document),  # words, command
            last_line=last_line(document),
            rows=verdict_rows(document),
            has_steps=any(claim.get("proof_steps") for claim in plugin["claims"]),
            claims=_claims(document, charts, steps),
            figures=[(picture, _markup(picture, f"figure-{i}")) for i, picture in enumerate(figures)],
            steps=steps,
            hunt=hunted(hunts),
            audit=audits[0] if audits else None,
            when=time.strftime("%Y-%m-%d %H:%M", time.localtime(finished)) if finished is not None else None,
        )
    )
    text, shared = _shortened(text)
    return text.replace("</style>", f"{shared}</style>", 1)


def fragment(document: Mapping[str, Any]) -> str:
    """The verdict table alone, for notebooks."""
    require_jinja()
    (plugin,) = document["plugins"]
    return str(
        _templates()
        .get_template("fragment.html")
        .render(
            plugin=plugin, rows=verdict_rows(document), found=words.found(document), next_step=words.next_step(document),
            has_steps=any(claim.get("proof_steps") for claim in plugin["claims"]), last_line=last_line(document),
        )
    )  # fmt: skip


def require_place(path: Path) -> None:
    """Make the page's folder. Raises UsageError where that cannot be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"--html {path}: {error.strerror or error}.") from None


def save_page(path: Path, text: str) -> None:
    """Write the file, whole or not at all. Raises UsageError where that cannot be done."""
    require_place(path)
    try:
        write_whole(path, text)
    except OSError as error:
        raise UsageError(f"--html {path}: {error.strerror or error}.") from None
