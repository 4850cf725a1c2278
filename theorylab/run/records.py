"""The frozen records that pass between stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from theorylab.picture import Picture
from theorylab.registry import Locator

Status = Literal["SUPPORTED", "CONSISTENT", "REFUTED", "INCONCLUSIVE", "VACUOUS", "ERROR"]
STATUSES: tuple[Status, ...] = ("SUPPORTED", "CONSISTENT", "REFUTED", "INCONCLUSIVE", "VACUOUS", "ERROR")

#: Decided at verdicts.py; from worst to best, for the meet over instances (VACUOUS instances drop out).
ORDER: tuple[Status, ...] = ("ERROR", "REFUTED", "INCONCLUSIVE", "CONSISTENT", "SUPPORTED")


@dataclass(frozen=True)
class Request:
    """What the user asked for. seeds None: as many as the claims need; instances None: the plugin's habit."""

    locator: Locator
    seeds: int | None = 100
    instances: int | None = None
    claims: tuple[str, ...] = ()
    instance: str | None = None  # a file, or the name of a reference instance
    replay: tuple[str, int] | None = None  # one trial: (instance, seed), the instance named, drawn-N or a file
    root_seed: int = 0
    alpha: float = 1e-6
    confidence: float = 0.99
    workers: int = 0  # 0: threads of this process
    chunk: int | None = None  # trials per block; never changes a result
    timeout_s: float | None = None
    settings: tuple[tuple[str, str], ...] = ()
    drop: tuple[str, ...] = ()  # assumptions that the claims are not granted
    with_pictures: bool = False  # whether the plugin draws its figures
    with_traces: bool = False  # whether a trial of each claim is looked at entry by entry, to be drawn
    memory_mib: int | None = None  # address space of a worker process
    cluster: str | None = None  # tcp://HOST:PORT, a scheduler file, or local:N
    keep_measures: bool = False  # whether the ledger keeps all that the runs returned, not only what it says of the claims
    use_cache: bool = True  # whether trials that the ledger knows are run again
    leave_out_named: bool = False  # drawn instances alone
    time_budget_s: float | None = None  # after which nothing new is begun, and what was finished is judged


def instance_digest(instance: Any) -> str:
    """What names the random streams of an instance."""
    return str(instance.digest()) if hasattr(instance, "digest") else repr(instance)


@dataclass(frozen=True)
class Subject:
    """An instance under test, and how it came to be. `digest` names the instance as it was before any run had it in hand."""

    label: str
    origin: Literal["reference", "drawn", "file"]
    instance: Any = field(repr=False)
    seeds: Sequence[int] = ()
    pathwise_only: bool = False  # too few seeds for anything about expectations or probabilities
    digest: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", instance_digest(self.instance))


@dataclass(frozen=True)
class Job:
    """A block of trials of one subject."""

    subject: int
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """Everything that will be run, and what it can decide."""

    plugin: str
    target: str  # what follows `theorylab check` on a command line: its name, or its file, and the backend
    subjects: tuple[Subject, ...]
    claims: tuple[str, ...]
    parameters: Mapping[str, Any]
    registered: int  # statistical claims of the plugin: they share alpha, whichever are selected
    root_seed: int
    alpha: float
    confidence: float
    remarks: tuple[str, ...]
    dropped: frozenset[str] = frozenset()  # assumptions that the claims are not granted
    is_replay: bool = False  # one trial, asked for by name
    backend: str = ""  # none: the plugin itself is run

    @property
    def trials(self) -> int:
        return sum(len(subject.seeds) for subject in self.subjects)


@dataclass(frozen=True)
class Suspect:
    """An entry that seems to violate a pathwise claim by more than its rounding error."""

    index: int
    measured: float
    bound: float
    slack: float


@dataclass(frozen=True)
class Observation:
    """What one trial says of one claim: enough for a verdict, without the plugin.

    entries, vacuous, ties   counts over checkpoints
    suspects                 entries beyond the slack, the first and the worst among them, at most MOST_SUSPECTS
    beyond                   how many entries are beyond the slack
    tightness                largest measured / bound (bound / measured for lower bounds) over entries that say something
    values, bounds, lows, highs  per checkpoint, for statistical claims; grid: where along a rate's axis they are
    informative_from         where along the growing quantity the bound starts to say something, if it was vacuous anywhere
    problem                  why this trial is an error instead of data
    """

    applies: bool = True
    entries: int = 0
    vacuous: int = 0
    ties: int = 0
    suspects: tuple[Suspect, ...] = ()
    beyond: int = 0
    tightness: float | None = None
    tightest: Suspect | None = None
    values: tuple[float, ...] = ()
    bounds: tuple[float, ...] = ()
    lows: tuple[float, ...] = ()
    highs: tuple[float, ...] = ()
    failed: bool = False
    tied: bool = False
    grid: tuple[float, ...] = ()
    informative_from: float | None = None
    problem: str | None = None


@dataclass(frozen=True)
class TrialResult:
    """One seed on one subject: observations by claim, or what went wrong with the whole trial."""

    subject: int
    seed: int
    observations: Mapping[str, Observation] = field(default_factory=dict)
    problem: str | None = None
    digest: str = ""  # of every bit of every measure
    measures: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)  # only on their way into the ledger


@dataclass(frozen=True)
class Confirmation:
    """A suspect decided: by replay in interval arithmetic, or at the stated rounding error where there is no replay."""

    subject: int
    seed: int
    index: int
    measured: float
    bound: float
    status: Literal["violated", "holds", "disagrees", "undecided"]  # disagrees: it holds, but the run computed something else
    basis: str


@dataclass(frozen=True)
class Counterexample:
    """Where a claim failed."""

    label: str
    digest: str
    seed: int
    index: int
    measured: float
    bound: float
    basis: str
    instance: Any = field(repr=False)
    file: Path | None = None


@dataclass(frozen=True)
class Trace:
    """One trial, entry by entry, as a claim sees it: what was measured, the bound, and the range that the measure cannot leave."""

    claim: str
    label: str  # of the instance
    seed: int
    x_label: str
    x: tuple[float, ...]
    measured: tuple[float, ...]
    bounds: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


@dataclass(frozen=True)
class Evidence:
    """The numbers a verdict rests on. `error_probability` is that of the verdict being wrong on the instances tested."""

    instances: int = 0
    trials: int = 0
    entries: int = 0
    ties: int = 0
    vacuous_instances: int = 0
    tightness: float | None = None
    tightest_on: str | None = None  # the instance of that tightness, for claims about every run
    tightest_seed: int | None = None  # and the seed
    statistic: float | None = None
    bound: float | None = None
    margin: float | None = None
    log_e: float | None = None
    error_probability: float | None = None
    violating_share: float | None = None
    seeds_needed: int | None = None
    informative_from: float | None = None


@dataclass(frozen=True)
class Verdict:
    """What is said of a claim on the instances tested."""

    claim: str
    status: Status
    as_expected: bool
    reason: str
    evidence: Evidence
    counterexample: Counterexample | None = None


@dataclass(frozen=True)
class Report:
    """A finished check of one plugin."""

    plan: Plan
    plugin_title: str
    plugin_source: str
    assumptions: Mapping[str, str]  # name -> what it says
    claims: Mapping[str, Any]  # name -> Claim, for what the reports show of it
    verdicts: tuple[Verdict, ...]
    answers: tuple[Any, ...]
    command: str
    seconds: float
    versions: Mapping[str, str]
    digests: tuple[str, ...] = ()  # of the measures of each trial, in the order of the plan
    pictures: tuple[Picture, ...] = field(default=(), repr=False)
    traces: Mapping[str, Trace] = field(default_factory=dict, repr=False)  # by claim, of its tightest trial
    run_id: str | None = None  # in the ledger
    known_trials: int = 0  # trials that were not run again
    interrupted: int = 0  # exit status of an interruption: 130 or 143
    unfinished: int = 0  # runs that the time budget left out
    steps: tuple[Mapping[str, Any], ...] = ()  # of the claims' proofs
    proof_steps: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # claim -> (verified, all) steps of its proof
