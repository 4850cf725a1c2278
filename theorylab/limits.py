"""What a parameter may be, in the notation of the field: "[0, 1)", "(0, inf)" or "{16, 32, 64}"."""

from __future__ import annotations

import re


def lies_in(value: float, limits: str) -> bool:
    """Whether a number lies in an interval or in a set. Raises ValueError where `limits` is neither."""
    text = limits.strip()
    if text.startswith("{") and text.endswith("}"):
        return value in [float(item) for item in text[1:-1].split(",")]
    found = re.fullmatch(r"([\[(])([^,]+),([^,]+)([\])])", text)
    if found is None:
        raise ValueError(f'{limits!r} is neither an interval such as "[0, 1)" nor a set such as "{{16, 32, 64}}"')
    low, high = float(found[2]), float(found[3])
    above = value >= low if found[1] == "[" else value > low
    return above and (value <= high if found[4] == "]" else value < high)
