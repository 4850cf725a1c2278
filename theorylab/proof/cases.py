"""Finite statements: every case is gone through, in exact arithmetic."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from theorylab.proof.steps import Certificate, Finding


@dataclass(frozen=True)
class Cases:
    """All of `cases(data)` hold: pairs (what the case is, whether it holds), from integers and fractions alone.

    what    the statement, in words
    search  makes data that the cases need, such as a solver's solution turned into fractions: `search() -> JSON`. It proves nothing by itself
    """

    what: str
    cases: Callable[[Any], Iterable[tuple[Any, bool]]]
    search: Callable[[], Any] | None = None
    kind: ClassVar[str] = "cases"

    def digest_text(self) -> str:
        return hashlib.sha256(self.what.encode()).hexdigest()[:16]

    def find(self) -> Certificate:
        return {"data": self.search() if self.search is not None else None}

    def verify(self, certificate: Certificate) -> Finding:
        count = 0
        for case, holds in self.cases(certificate["data"]):
            count += 1
            if not holds:
                return Finding("FALSE", f"it fails for {case}")
        if not count:
            return Finding("UNPROVED", "there is no case")
        return Finding("VERIFIED", f"{count:,} case{'s' if count > 1 else ''}")
