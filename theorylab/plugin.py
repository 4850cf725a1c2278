"""The one object a plugin author makes, and the decorators that fill it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from theorylab import API_VERSION
from theorylab.claim import Always, Claim, Equals, Expected, Mode, OnAverage, Provenance, Relation, WithProbability
from theorylab.errors import PluginError
from theorylab.formula import Formula
from theorylab.limits import lies_in

if TYPE_CHECKING:
    import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
Measures = Mapping[str, Any]


def kebab(name: str) -> str:
    """The spelling of names in reports and on the command line: `regret_is_small` -> `regret-is-small`."""
    return name.replace("_", "-")


def _names(one_or_many: str | Sequence[str]) -> tuple[str, ...]:
    """A single name may stand alone."""
    return (one_or_many,) if isinstance(one_or_many, str) else tuple(one_or_many)


# Records here have no methods that nobody calls: each is compiled at every start, and `theorylab list` is over in a tenth of a second.
@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """The algorithm: one seed in, measures out, and the declared parameters with their defaults."""

    function: Callable[..., Measures]
    parameters: dict[str, Any]
    batched: bool
    draws_instance: bool
    limits: dict[str, str] = field(default_factory=dict)
    precisely: Callable[..., Measures] | None = None
    parts: Callable[..., Sequence[Callable[[], Any]]] | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Mutant:
    """A broken variant of the algorithm and the claims that must refute it."""

    name: str
    function: Callable[..., Measures]
    precisely: Callable[..., Measures] | None
    refuted_by: tuple[str, ...]
    survives: str | None  # the reason why no claim can refute it
    description: str


@dataclass(frozen=True, eq=False, repr=False)
class Figure:
    """A function that makes pictures of runs. on: named instances that it is for; fits_any: and whatever instance a user brings."""

    name: str
    function: Callable[..., Sequence[Any]]
    on: tuple[str, ...]
    fits_any: bool


class LazyMeasures(Mapping[str, Any]):
    """Measures computed when first asked for: what a high-precision twin returns, of which few are needed at a time."""

    def __init__(self, **thunks: Callable[[], Any]) -> None:
        self._thunks = thunks
        self._values: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            self._values[name] = self._thunks[name]()
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._thunks  # the inherited test would compute the measure

    def __iter__(self) -> Iterator[str]:
        return iter(self._thunks)

    def __len__(self) -> int:
        return len(self._thunks)


@dataclass(frozen=True, eq=False, repr=False)
class Answer:
    """What a user came for with a file of their own: a table with a title, and a remark."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    remark: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class _ClaimSpec:
    function: Callable[..., Any]
    measure: str
    options: dict[str, Any]


@dataclass(eq=False, repr=False)
class _Draft:
    """What the decorators have collected so far."""

    run: Run | None = None
    precisely: Callable[..., Measures] | None = None
    parts: Callable[..., Sequence[Callable[[], Any]]] | None = None
    strategy: Callable[..., Any] | None = None
    sample: Callable[[np.random.Generator], Any] | None = None
    reader: Callable[..., Any] | None = None
    answer: Callable[..., Sequence[Answer]] | None = None
    references: dict[str, Callable[[], Any]] = field(default_factory=dict)
    claims: dict[str, _ClaimSpec] = field(default_factory=dict)
    assumptions: dict[str, Callable[[Any], bool]] = field(default_factory=dict)
    mutants: dict[str, Mutant] = field(default_factory=dict)
    figures: dict[str, Figure] = field(default_factory=dict)


class Plugin:
    """An algorithm from a paper: instances, run, claims, mutants.

    name    kebab-case, as typed on the command line
    api     version of this interface the plugin was written for (now 1)
    title   one line for people
    source  the paper: authors, title, arXiv number
    rooms   names of the modules beside this one that hold the decorated functions, imported when first needed; empty
            for a plugin of a single file
    """

    def __init__(self, name: str, *, api: int, title: str, source: str, rooms: Sequence[str] = ()) -> None:
        if name != kebab(name).lower() or not name.replace("-", "").isalnum():
            raise PluginError(f"Plugin name {name!r}: use lower-case letters, digits and hyphens.")
        self.name, self.api, self.title, self.source = name, api, title, source
        self._package = inspect.currentframe().f_back.f_globals.get("__name__", "")  # type: ignore[union-attr]
        self._rooms = tuple(rooms)
        self._draft = _Draft()

    def __repr__(self) -> str:
        return f"Plugin({self.name!r})"

    # -- decorators ---------------------------------------------------------------------------------------------

    def _add(self, kind: str, table: dict[str, Any], name: str, value: Any) -> None:
        if name in table:
            raise PluginError(f"{self.name}: two {kind}s are called {name!r}. Rename one of them.")
        table[name] = value

    def instances(self, function: F) -> F:
        """A function that returns the hypothesis strategy of the family."""
        self._draft.strategy = function
        return function

    def sample(self, function: F) -> F:
        """`sample(rng) -> instance`: the declared distribution from which `check` draws."""
        self._draft.sample = function
        return function

    def reference(self, name: str, instance: Any) -> Any:
        """A named instance that every check includes; an instance, or a function without arguments that makes one."""
        self._add(
            "reference instance",
            self._draft.references,
            name,
            instance if callable(instance) else lambda: instance,
        )
        return instance

    def reader(self, function: F) -> F:
        """`read(path) -> instance` for the file formats of users; without it, theorylab's own JSON and NPZ are read."""
        self._draft.reader = function
        return function

    def answer(self, function: F) -> F:
        """`answer(instance, **parameters) -> [Answer]`: what is shown for a user's own instance besides the verdicts."""
        self._draft.answer = function
        return function

    def run(
        self, *, batched: bool = False, draws_instance: bool = False, limits: Mapping[str, str] | None = None, **parameters: Any
    ) -> Callable[[F], F]:
        """`run(instance, rng, **parameters) -> measures`, one seed.

        batched         `run(instance, rngs, **parameters)` takes many seeds; each measure has a leading seed axis
        draws_instance  the algorithm is deterministic: each seed draws an instance of its own
        limits          where parameters must lie, {"mixing": "[0, 1)", "bits": "{16, 32, 64}"}; others are refused before anything is run
        """

        def decorate(function: F) -> F:
            if self._draft.run is not None:
                raise PluginError(f"{self.name}: a plugin has one @plugin.run; variants are mutants.")
            for name, text in (limits or {}).items():
                try:
                    is_right = name in parameters and lies_in(parameters[name], text)
                except ValueError as error:
                    raise PluginError(f"{self.name}, limits of {name!r}: {error}.") from None
                if not is_right:
                    raise PluginError(f"{self.name}, limits of {name!r}: no parameter has that name and a default in {text}.")
            self._draft.run = Run(function, dict(parameters), batched, draws_instance, dict(limits or {}))
            return function

        return decorate

    def precisely(self, function: F) -> F:
        """`precisely(instance, rng, ctx, until, **parameters) -> measures`: the run in the interval arithmetic `ctx`.

        Every measure that a pathwise claim needs, as a list per checkpoint (a plain interval if it has none), at least up
        to checkpoint `until`. It must draw the same random words as the run.
        """
        self._draft.precisely = function
        return function

    def parts(self, function: F) -> F:
        """`parts(instance, rng, **parameters) -> [call, ...]`: pieces of the run that need nothing of each other, in the order in which it comes to them.

        For plugins with many kernels: where none is compiled yet, another process works through the pieces from the last to the first meanwhile.
        """
        self._draft.parts = function
        return function

    def assumption(self, function: F) -> F:
        """A named predicate on instances: `def full_support(game) -> bool`."""
        self._add("assumption", self._draft.assumptions, kebab(function.__name__), function)
        return function

    def claim(
        self,
        measure: str,
        *,
        holds: Mode,
        source: str,
        relation: Relation = "<=",
        within: Callable[..., Any] | None = None,
        provenance: Provenance = "stated",
        expected: Expected = "supported",
        assumes: str | Sequence[str] = (),
        along: str | None = None,
        only: str | Sequence[str] = (),
        toothless: str | None = None,
    ) -> Callable[[F], F]:
        """The decorated function returns the bound; its name is the claim's, its docstring the statement.

        measure     name of what is measured
        within      function returning (low, high): the range the measure can take whatever the theorem says
        assumes     names of assumptions; where one fails the claim says nothing
        along       the quantity that grows (steps, samples): vacuity is solved for it
        only        reference instances on which alone the claim speaks (counterexamples to false statements)
        toothless   why no mutant can be refuted by it
        """

        def decorate(function: F) -> F:
            options = {
                "holds": holds, "source": source, "relation": "==" if isinstance(holds, Equals) else relation,
                "within": within, "provenance": provenance, "expected": expected,
                "assumes": tuple(map(kebab, _names(assumes))), "along": along, "only": _names(only), "toothless": toothless,
            }  # fmt: skip
            spec = _ClaimSpec(function, measure, options)
            self._add("claim", self._draft.claims, kebab(function.__name__), spec)
            return function

        return decorate

    def mutant(
        self,
        *,
        refuted_by: str | Sequence[str] = (),
        survives: str | None = None,
        name: str | None = None,
        precisely: Callable[..., Measures] | None = None,
        description: str | None = None,
    ) -> Callable[[F], F]:
        """A broken run. `refuted_by` names the claims that must refute it, or `survives` says why none can."""

        def decorate(function: F) -> F:
            label = kebab(name if name is not None else function.__name__)
            claims = _names(refuted_by)
            if bool(claims) == bool(survives):
                raise PluginError(
                    f"{self.name}, mutant {label!r}: name the claims that refute it (refuted_by=...) "
                    "or the reason why none can (survives=...)."
                )
            text = description if description is not None else inspect.getdoc(function) or ""
            mutant = Mutant(label, function, precisely, tuple(map(kebab, claims)), survives, text)
            self._add("mutant", self._draft.mutants, label, mutant)
            return function

        return decorate

    def figure(self, *, on: Sequence[str] = (), fits_any: bool = False) -> Callable[[F], F]:
        """`figure(instance, rngs, label, **parameters) -> [Picture]`: what people would rather look at than read.

        on        reference instances that it is drawn for
        fits_any  whether it can be drawn for any instance that a user brings
        """

        def decorate(function: F) -> F:
            name = kebab(function.__name__)
            self._add("figure", self._draft.figures, name, Figure(name, function, tuple(on), fits_any))
            return function

        return decorate

    # -- what the rest of theorylab reads -------------------------------------------------------------------------

    @cached_property
    def _content(self) -> _Draft:
        """The draft once every room is imported, and found to be whole."""
        for room in self._rooms:
            import_module(f"{self._package}.{room}")
        draft = self._draft
        if self.api != API_VERSION:
            raise PluginError(
                f"{self.name} was written for plugin API {self.api}, this theorylab has {API_VERSION}. "
                "Install a matching version of the one or the other."
            )
        if draft.run is None:
            raise PluginError(f"{self.name} has no @plugin.run: there is nothing to check.")
        if not (draft.references or draft.sample or draft.strategy):
            raise PluginError(f"{self.name} has no instances: add @plugin.sample, @plugin.instances or a reference.")
        if not draft.claims:
            raise PluginError(f"{self.name} makes no claim: add @plugin.claim.")
        for mutant in draft.mutants.values():
            for claim in mutant.refuted_by:
                if claim not in draft.claims:
                    raise PluginError(f"{self.name}: mutant {mutant.name!r} names no claim of the plugin: {claim!r}.")
        for name, spec in draft.claims.items():
            for assumption in spec.options["assumes"]:
                if assumption not in draft.assumptions:
                    raise PluginError(f"{self.name}: claim {name!r} assumes {assumption!r}, which is not declared.")
            for reference in spec.options["only"]:
                if reference not in draft.references:
                    raise PluginError(f"{self.name}: claim {name!r} speaks of no reference instance: {reference!r}.")
        for figure in draft.figures.values():
            for reference in figure.on:
                if reference not in draft.references:
                    raise PluginError(f"{self.name}: figure {figure.name!r} is drawn for no reference instance: {reference!r}.")
        return draft

    @cached_property
    def algorithm(self) -> Run:
        """The run, with its high-precision twin if the plugin has one."""
        run = self._content.run
        assert run is not None
        return replace(run, precisely=self._content.precisely, parts=self._content.parts)

    @cached_property
    def instance_name(self) -> str:
        """What the plugin calls a whole instance: the first argument of its run."""
        return next(iter(inspect.signature(self.algorithm.function).parameters))

    def _formula(self, function: Callable[..., Any], where: str) -> Formula:
        return Formula(function, self.instance_name, f"{self.name}, {where}")

    @cached_property
    def claims(self) -> dict[str, Claim]:
        """Claims by name, in the order they were written."""
        built = {}
        for name, spec in self._content.claims.items():
            options = dict(spec.options)
            mode, within = options.pop("holds"), options.pop("within")
            if isinstance(mode, OnAverage) and within is None:
                raise PluginError(
                    f"{self.name}: claim {name!r} is about a mean: declare the range of {spec.measure!r} (within=...). A mean can be "
                    "judged only if the measure is known to have an end on the side away from the bound."
                )
            slack = mode.slack if isinstance(mode, (Always, Equals, WithProbability)) else None
            built[name] = Claim(
                name=name,
                measure=spec.measure,
                mode=mode,
                bound=self._formula(spec.function, f"claim {name!r}"),
                within=self._formula(within, f"range of claim {name!r}") if within else None,
                statement=inspect.getdoc(spec.function) or "",
                slack=self._formula(slack, f"slack of claim {name!r}") if callable(slack) else slack,
                **options,
            )
        return built

    @property
    def mutants(self) -> dict[str, Mutant]:
        """Mutants by name."""
        return self._content.mutants

    @property
    def figures(self) -> dict[str, Figure]:
        """Figures by name."""
        return self._content.figures

    @property
    def assumptions(self) -> dict[str, Callable[[Any], bool]]:
        """Assumptions by name."""
        return self._content.assumptions

    @cached_property
    def references(self) -> dict[str, Any]:
        """Reference instances by name."""
        return {name: make() for name, make in self._content.references.items()}

    @property
    def draw(self) -> Callable[[np.random.Generator], Any] | None:
        """The declared distribution, if there is one."""
        return self._content.sample

    @property
    def strategy(self) -> Callable[..., Any] | None:
        """The function that makes the hypothesis strategy, if there is one."""
        return self._content.strategy

    @property
    def read(self) -> Callable[..., Any] | None:
        """The reader of users' files, if the plugin has one."""
        return self._content.reader

    @property
    def answers(self) -> Callable[..., Sequence[Answer]] | None:
        """What is shown for a user's own instance, if the plugin has it."""
        return self._content.answer
