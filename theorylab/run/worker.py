"""A block of trials, wherever it runs: in a thread of this process or in a worker process."""

from __future__ import annotations

import ctypes
import hashlib
import os
import pickle
import random
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from theorylab.claim import AtRate, Claim, Sweep
from theorylab.errors import describe
from theorylab.plugin import Plugin
from theorylab.registry import Locator, load
from theorylab.run.observe import Names, observe
from theorylab.run.records import Job, Observation, Subject, TrialResult, instance_digest
from theorylab.run.streams import trial_stream


@dataclass(frozen=True)
class Work:
    """What every block needs to know. `mutant` names the broken variant that runs in the algorithm's place."""

    claims: tuple[str, ...]
    parameters: Mapping[str, Any]
    root_seed: int
    mutant: str | None = None
    dropped: frozenset[str] = frozenset()  # assumptions that are not asked for
    keep_measures: bool = False  # whether results carry all that the run returned
    stream: str | None = None  # names the random streams in the instance's place: common random numbers across instances


def run_block(plugin: Plugin, work: Work, subject: Subject, job: Job, world: Mapping[str, Any]) -> list[TrialResult]:
    """Every trial of the block; a trial that raises becomes a problem, and the others go on.

    world: `shared_state()` before any run of this process began (threads run at once: what another thread has changed is
    no reference), or {} where others than the runs may change it
    """
    digest = work.stream or subject.digest
    applies = {name: claim_applies(plugin, name, subject, work.dropped) for name in work.claims}
    algorithm = plugin.algorithm
    function = algorithm.function if work.mutant is None else plugin.mutants[work.mutant].function

    def streams(seeds: Sequence[int]) -> list[Any]:
        return [trial_stream(work.root_seed, plugin.name, digest, seed) for seed in seeds]

    measured = _measured(function, algorithm.batched, subject.instance, job.seeds, streams, work.parameters)
    if instance_digest(subject.instance) != subject.digest:
        measured = ["the run changed its instance: later runs saw another problem. Copy what you change"] * len(job.seeds)
    changed = [name for name, value in shared_state().items() if value != world.get(name, value)]
    if changed:
        advice = "Take all randomness from `rng`, and leave the process as it was"
        measured = [f"the run changed {' and '.join(changed)}, which other runs share. {advice}"] * len(job.seeds)
    return _results(plugin, work, subject, job, measured, applies, function)


def shared_state() -> dict[str, Any]:
    """What a run shares with all others of its process, and has to leave as it was.

    Not the warning filters: an import that happens to fall into a run may well add one.
    """
    legacy: Any = np.random.get_state()  # noqa: NPY002 - it is watched, not used
    return {
        "the working directory": os.getcwd(),
        "the state of `random`": hash(random.getstate()),
        "the state of `numpy.random`": hash((legacy[1].tobytes(), legacy[2])),
    }


def _measured(
    function: Callable[..., Any],
    batched: bool,
    instance: Any,
    seeds: Sequence[int],
    streams: Callable[[Sequence[int]], list[Any]],
    parameters: Mapping[str, Any],
) -> list[Any]:
    """The measures of each trial, or the sentence that says how it failed."""
    if batched:
        try:
            return _rows(function(instance, streams(seeds), **parameters), len(seeds))
        except Exception as error:  # the plugin's fault, whatever it is
            if len(seeds) == 1:
                return [describe(error)]
        middle = len(seeds) // 2  # halves, until the guilty seed is alone
        halves = (seeds[:middle], seeds[middle:])
        return [row for half in halves for row in _measured(function, batched, instance, half, streams, parameters)]
    out: list[Any] = []
    for rng in streams(seeds):
        try:
            row = function(instance, rng, **parameters)
            out.append(row if isinstance(row, Mapping) else f"run returned a {type(row).__name__}, not a dictionary of measures")
        except Exception as error:
            out.append(describe(error))
    return out


def _rows(measures: Any, count: int) -> list[Any]:
    """The measures of a batch, a dictionary per seed."""
    if not isinstance(measures, Mapping):
        return [f"run returned a {type(measures).__name__}, not a dictionary of measures"] * count
    arrays = {name: np.asarray(value) for name, value in measures.items()}
    for name, array in arrays.items():
        if array.ndim == 0 or array.shape[0] != count:
            return [
                f"measure {name!r} has shape {array.shape}: a batched run returns one row for each of its {count} seeds"
            ] * count
    return [{name: array[k] for name, array in arrays.items()} for k in range(count)]


def _results(
    plugin: Plugin,
    work: Work,
    subject: Subject,
    job: Job,
    measured: Sequence[Any],
    applies: Mapping[str, bool],
    function: Callable[..., Any],
) -> list[TrialResult]:
    """What the trials of the block say of each claim; all trials of a claim are looked at together."""
    good = [k for k, row in enumerate(measured) if not isinstance(row, str)]
    rows = [Names(plugin.instance_name, subject.instance, work.parameters, measured[k]) for k in good]
    seen: list[dict[str, Observation]] = [{} for _ in measured]
    for name in work.claims:
        claim = plugin.claims[name]
        found = (
            _observed(plugin, work, subject, claim, [job.seeds[k] for k in good], rows, function)
            if applies[name]
            else [Observation(applies=False) for _ in good]
        )
        for k, observation in zip(good, found, strict=True):
            seen[k][name] = observation
    return [
        TrialResult(job.subject, seed, problem=row)
        if isinstance(row, str)
        else TrialResult(
            job.subject, seed, observations, digest=measures_digest(row), measures=row if work.keep_measures else None
        )
        for seed, row, observations in zip(job.seeds, measured, seen, strict=True)
    ]


def _observed(
    plugin: Plugin,
    work: Work,
    subject: Subject,
    claim: Claim,
    seeds: Sequence[int],
    rows: Sequence[Names],
    function: Callable[..., Any],
) -> list[Observation]:
    if not (isinstance(claim.mode, AtRate) and isinstance(claim.mode.along, Sweep)):
        return observe(claim, rows)
    out = []
    for seed in seeds:
        try:
            swept = sweep_measures(plugin, work, subject.instance, seed, claim.measure, claim.mode.along, function)
            out += observe(claim, [Names(plugin.instance_name, subject.instance, work.parameters, swept)])
        except Exception as error:
            out.append(Observation(problem=f"its sweep raised {describe(error)}"))
    return out


def claim_applies(plugin: Plugin, name: str, subject: Subject, dropped: frozenset[str] = frozenset()) -> bool:
    """Whether the claim speaks of this instance: its assumptions hold, and it is one of those the claim is about."""
    claim = plugin.claims[name]
    if claim.only and not (subject.origin != "reference" or subject.label in claim.only):
        return False
    if subject.origin == "drawn" and (claim.only or (subject.pathwise_only and not claim.mode.is_pathwise)):
        return False
    return all(plugin.assumptions[assumption](subject.instance) for assumption in claim.assumes if assumption not in dropped)


def sweep_measures(
    plugin: Plugin, work: Work, instance: Any, seed: int, measure: str, sweep: Sweep, function: Callable[..., Any]
) -> dict[str, Any]:
    """A measure along a sweep, as an array: one run per value, each on the same random words."""
    digest = work.stream or instance_digest(instance)
    values = []
    for value in sweep.values:
        subject, parameters = instance, dict(work.parameters)
        if sweep.name in parameters:
            parameters[sweep.name] = type(parameters[sweep.name])(value)
        else:
            subject = instance.replace(**{sweep.name: value})
        rng = trial_stream(work.root_seed, plugin.name, digest, seed)
        measures = function(subject, [rng] if plugin.algorithm.batched else rng, **parameters)
        values.append(float(np.ravel(measures[measure])[-1]))
    return {measure: np.array(values), sweep.name: np.array(sweep.values, dtype=np.float64)}


def measures_digest(measures: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits that depend on every bit of every measure."""
    state = hashlib.sha256()
    for name in sorted(measures):
        value = measures[name]
        if isinstance(value, (float, int, np.ndarray, np.generic)):
            array = np.asarray(value)
            state.update(f"|{name}|{array.shape}|{array.dtype.str}|".encode() + array.tobytes())
        else:  # what is no number will be refused where it is used
            state.update(f"|{name}|{value!r}".encode())
    return state.hexdigest()[:16]


# -- the process side ----------------------------------------------------------------------------------------------------

_PLUGINS: dict[Locator, Plugin] = {}


def start_worker(memory_mib: int | None = None) -> None:
    """Set up a worker process: it dies with its parent, leaves Ctrl-C to it, and keeps its prints off the result stream.

    memory_mib: its address space, so that a plugin that eats memory gets a MemoryError before the machine suffers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(sys.stderr.fileno(), 1)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if memory_mib is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (memory_mib * 2**20, resource.RLIM_INFINITY))


def pack(work: Work, subject: Subject, job: Job) -> bytes:
    """The block for another process. Packed apart from the locator: instances of a plugin file's own class can be unpacked only
    once the plugin is imported. Pickle crosses nothing but our own pipe to a process that we started."""
    return pickle.dumps((work, subject, job))


def run_block_in_worker(locator: Locator, packed: bytes, *, is_watched: bool = True) -> list[TrialResult]:
    """`run_block` in another process, which imports the plugin once. is_watched: whether the process is ours alone."""
    if locator not in _PLUGINS:
        _PLUGINS[locator] = load(locator)
    work, subject, job = pickle.loads(packed)
    return run_block(_PLUGINS[locator], work, subject, job, shared_state() if is_watched else {})
