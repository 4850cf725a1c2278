"""Verdicts in plain words: what was found, what it means, what to do next. Every number is the document's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Claims that a sentence names one by one.
MOST_NAMED = 4


def is_refuted_as_expected(claim: Mapping[str, Any]) -> bool:
    """Whether the claim is a false statement whose refutation is what the plugin promises."""
    return bool(claim["verdict"] == "REFUTED" and claim["as_expected"])


def number(x: float | None, digits: int = 3) -> str:
    """A number in few digits, nothing for none."""
    return "" if x is None else f"{x:.{digits}g}"


def _many(count: int, word: str) -> str:
    plural = {"entry": "entries", "was": "were"}.get(word, word + "s")
    return f"{count:,} {word if count == 1 else plural}"


def _names(claims: list[Mapping[str, Any]]) -> str:
    named = [claim["name"] for claim in claims[:MOST_NAMED]]
    more = len(claims) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def meaning(claim: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """What the evidence says, for a reader who knows no statistics, and what it does not say."""
    return _MEANINGS[claim["verdict"]](claim, document)


def _supported(claim: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    problems = _many(claim["instances"], "problem")
    if claim["mode"] == "equals":
        text = f"Both sides agreed, to rounding, in each of {_many(claim['entries'], 'comparison')} on {problems}."
    elif claim["mode"] == "always":
        side = "reached at least" if claim["relation"] == ">=" else "stayed within"
        text = f"In each of {_many(claim['entries'], 'comparison')} on {problems} what was measured {side} the bound."
        if claim["tightness"] is not None and claim["relation"] == "<=":
            text += f" The closest it came was {100.0 * claim['tightness']:.3g} % of the bound, on {claim['tightest_on']}."
    elif claim["mode"] == "with-probability":
        text = f"On {problems} at most {100.0 * claim['bound_value']:.3g} % of the runs may break the bound, and they do not: {_unless(claim, document)}."
    else:
        text = f"On {problems} the average over runs lies within the bound: {_unless(claim, document)}."
    if claim["vacuous_instances"]:
        text += f" On {_many(claim['vacuous_instances'], 'more problem')} the bound allows everything; they do not count."
    if claim["violating_share"] is not None:
        text += (
            f" Problems that were not tried may still break it: at most {100.0 * claim['violating_share']:.2g} % of those that the family "
            f"would draw ({100.0 * document['confidence']:g} % sure)."
        )
    return text


def _unless(claim: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    chance = claim["error_probability"] if claim["error_probability"] is not None else 1.0 - document["confidence"]
    return f"if that were wrong on one of them, runs like these would be seen with a chance of at most {100.0 * chance:.2g} %"


def _consistent(claim: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    if claim["mode"] == "at-rate":
        return "What was measured falls as fast as is claimed, over the range that was tried. No line on a plot can prove a rate, so this is all that can be said."
    return "Nothing speaks against the claim, but the average is so close to the bound that a slightly smaller bound could hold or fail as well."


def _refuted(claim: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    example = claim["counterexample"]
    where = f" on {example['instance']}" if example is not None else ""
    if claim["mode"] in ("always", "equals"):
        text = f"The claim is false: one counterexample is enough, and{where} there is one, confirmed beyond rounding."
    else:
        text = (
            f"The claim is false{where}: if it were true, runs like these would be seen with a chance of at most "
            f"{number(claim['error_probability'], 2)}."
        )
    return text + (
        " That was expected: the statement is known to be wrong as printed or as it is read." if claim["as_expected"] else ""
    )


def _inconclusive(claim: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    text = "This says neither that the claim holds nor that it fails: "
    if claim["seeds_needed"]:
        return text + f"about {claim['seeds_needed']:,} seeds would tell."
    return text + "what was measured is too close to the bound, or too little of it was seen."


def _vacuous(claim: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    if not claim["vacuous_instances"]:
        return "The claim speaks of none of the problems that were tried. This is no support for it."
    return "At this scale the bound is larger than anything that can happen, so nothing could break it. This is no support for the claim."


def _error(claim: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    return "A run failed, so this says nothing of the theorem."


_MEANINGS = {
    "SUPPORTED": _supported, "CONSISTENT": _consistent, "REFUTED": _refuted, "INCONCLUSIVE": _inconclusive, "VACUOUS": _vacuous,
    "ERROR": _error,
}  # fmt: skip


def found(document: Mapping[str, Any]) -> str:
    """What a check found, in a sentence or two."""
    (plugin,) = document["plugins"]
    claims = plugin["claims"]
    groups = {status: [c for c in claims if c["verdict"] == status] for status in document["summary"]}
    expected = [c for c in groups["REFUTED"] if c["as_expected"]]
    fallen = [c for c in groups["REFUTED"] if not c["as_expected"]]
    missing = [c for c in claims if not c["as_expected"] and c["verdict"] not in ("REFUTED", "ERROR")]
    parts = []
    if groups["SUPPORTED"]:
        parts.append(f"{len(groups['SUPPORTED'])} of {_many(len(claims), 'claim')} held on every problem they speak of")
    if groups["CONSISTENT"]:
        parts.append(f"{len(groups['CONSISTENT'])} cannot be told from their bound or rate")
    if expected:
        parts.append(f"{len(expected)} known to be false fell, as expected")
    if fallen:
        parts.append(f"{len(fallen)} fell that should hold: {_names(fallen)}")
    if missing:
        parts.append(f"{len(missing)} should have fallen and did not: {_names(missing)}")
    if groups["INCONCLUSIVE"]:
        parts.append(f"{len(groups['INCONCLUSIVE'])} could not be decided")
    if groups["VACUOUS"]:
        parts.append(f"{len(groups['VACUOUS'])} {'says' if len(groups['VACUOUS']) == 1 else 'say'} nothing at this scale")
    if groups["ERROR"]:
        parts.append(f"{len(groups['ERROR'])} could not be judged because runs failed")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "."


def next_step(document: Mapping[str, Any]) -> tuple[str, str]:
    """The one thing to do now, in words, and its command."""
    (plugin,) = document["plugins"]
    claims, name = plugin["claims"], plugin.get("target") or plugin["name"]
    broken = [c for c in claims if c["verdict"] == "ERROR"]
    fallen = [c for c in claims if c["verdict"] == "REFUTED" and not c["as_expected"]]
    missing = [c for c in claims if not c["as_expected"] and c["verdict"] not in ("REFUTED", "ERROR")]
    undecided = [c for c in claims if c["verdict"] == "INCONCLUSIVE" and c["seeds_needed"]]
    if document["interrupted"]:
        return "Go on", f"theorylab check {name} --resume"
    if broken or fallen:
        claim = (broken or fallen)[0]
        why = "See why the run failed" if broken else "Look at the counterexample"
        again = (
            claim["counterexample"]["again"]
            if claim["counterexample"] is not None
            else f"theorylab check {name} --claim {claim['name']}"
        )
        return why, again
    if missing:
        return f"See what {missing[0]['name']} speaks of, and what has changed in it", f"theorylab show {name}"
    if undecided:
        most = max(c["seeds_needed"] for c in undecided)
        return f"About {most:,} seeds would decide {_names(undecided)}", f"theorylab check {name} --seeds {most}"
    if any(s["verified"] < s["of"] for c in claims if (s := c.get("proof_steps"))):
        return "Have a machine verify the steps of the proofs", f"theorylab prove {name}"
    if plugin.get("backend"):  # hunts are for the plugins themselves
        return "See that broken variants are refuted", f"theorylab audit {name}"
    return "Search for problems that come closer to the bounds", f"theorylab hunt {name}"
