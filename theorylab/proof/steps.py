"""What a step of a proof is, and how the steps of a plugin are collected.

A step is a function of one number k that returns what is to be shown. At k = 1 it is the step itself; at its `twin`, a constant that is off by a
per cent, a sign, it is false, and the checker must say so: a check that cannot fail is none.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from theorylab.errors import PluginError
from theorylab.plugin import kebab

Status = Literal["VERIFIED", "UNPROVED", "FALSE"]

#: What a certificate is made of: what JSON keeps, and exact fractions as text such as "-3/7".
Certificate = dict[str, Any]


@dataclass(frozen=True)
class Finding:
    """What came of a check. FALSE: there is a point where it fails, which the detail names. UNPROVED: neither proof nor such a point."""

    status: Status
    detail: str


class Method(Protocol):
    """A way to show something: `find` may use solvers and search, `verify` believes nothing but exact arithmetic."""

    kind: str

    def digest_text(self) -> str:
        """The statement, exactly: a certificate belongs to one statement only."""

    def find(self) -> Certificate:
        """Data that let `verify` succeed, if any can be found."""

    def verify(self, certificate: Certificate) -> Finding:
        """Whether the data prove the statement."""


@dataclass(frozen=True)
class Step:
    """One step: name, what it says, the claims that rest on it, its source."""

    name: str
    statement: str
    supports: tuple[str, ...]
    source: str
    build: Callable[[Any], Any]
    twin: Any

    def methods(self, k: Any = 1) -> tuple[Method, ...]:
        """What is to be shown, all of it."""
        found = self.build(k)
        return tuple(found) if isinstance(found, (list, tuple)) else (found,)


@dataclass
class Proofs:
    """The steps that belong to a plugin, in the order they were written."""

    plugin: str
    steps: dict[str, Step] = field(default_factory=dict)

    def step(
        self, *, twin: Any, supports: Sequence[str] = (), source: str = ""
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """`def name(k)` returns a method, or several that must all succeed. Its docstring says what is shown.

        twin      the number at which it is false
        supports  names of the plugin's claims that rest on it; empty where no claim of the plugin does
        source    where the step is from, if it is not the claims' own source
        """

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            name, text = kebab(function.__name__), inspect.getdoc(function) or ""
            if name in self.steps:
                raise PluginError(f"{self.plugin}: two proof steps are called {name!r}. Rename one of them.")
            if not text:
                raise PluginError(f"{self.plugin}, proof step {name!r}: say in a docstring what it shows.")
            self.steps[name] = Step(name, text, tuple(map(kebab, supports)), source, function, twin)
            return function

        return decorate
