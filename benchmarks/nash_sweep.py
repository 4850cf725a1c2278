"""The sweep of Nash-MD over seeds, beside NumPy, one array for all seeds or one seed after the other, and processes."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from benchmarks.race import Peer, Row, agree, named, race
from theorylab.problems.preference_game import PreferenceGame
from theorylab.solvers.mirror_descent import mirror_descent

GROUP = "nash-md sweep"

TAU = 0.1

#: (actions, steps, seeds).
SIZES = ((10, 2_000, 100), (50, 2_000, 100), (200, 500, 20))


def game_of(n: int) -> PreferenceGame:
    """A random table and the uniform reference."""
    table = np.random.default_rng(n).uniform(-0.4, 0.4, (n, n))
    return PreferenceGame(0.5 + (table - table.T) / 2.0, None, TAU)


def starts_of(n: int, seeds: int) -> np.ndarray:
    """(seeds, 1, n) log of random policies."""
    logits = np.random.default_rng(1).normal(size=(seeds, 1, n))
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True)))


def normalised(z: np.ndarray) -> np.ndarray:
    """log softmax over the last axis."""
    top = z.max(axis=-1, keepdims=True)
    return np.asarray(z - top - np.log(np.exp(z - top).sum(axis=-1, keepdims=True)))


def numpy_sweep(payoff: np.ndarray, start: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """(seeds, n) the last policy of each seed, in log space, all seeds in one product; every policy and mixture is kept, as theorylab keeps them."""
    kept, mixtures = np.empty((len(eta) + 1, *start.shape)), np.empty((len(eta), *start.shape))
    kept[0] = log_policy = start
    for t, rate in enumerate(eta):
        mixtures[t] = mixture = normalised((1.0 - rate * TAU) * log_policy)
        log_policy = normalised(mixture + rate * (np.exp(mixture) @ payoff.T))
        kept[t + 1] = log_policy
    return np.asarray(kept[-1])


def numpy_loop(payoff: np.ndarray, start: np.ndarray, eta: np.ndarray) -> np.ndarray:
    """One seed after the other."""
    return np.array([numpy_sweep(payoff, row, eta) for row in start])


def numpy_processes(payoff: np.ndarray, start: np.ndarray, eta: np.ndarray, processes: int) -> np.ndarray:
    """A process per core, the seeds dealt out: what a user writes who has the loop."""
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        return np.concatenate(pool.map(partial(_part, payoff, eta), np.array_split(start, processes)))


def _part(payoff: np.ndarray, eta: np.ndarray, start: np.ndarray) -> np.ndarray:
    return numpy_loop(payoff, start, eta)


def on_threads(game: PreferenceGame, start: np.ndarray, pull: np.ndarray, eta: np.ndarray, threads: int) -> np.ndarray:
    """theorylab, the seeds dealt out to threads."""
    with ThreadPoolExecutor(threads) as pool:
        parts = pool.map(lambda part: mirror_descent(game, part, pull, eta).log_policies[-1], np.array_split(start, threads))
    return np.concatenate(list(parts))


def rows(*, quick: bool = False) -> list[Row]:
    """Three sizes; the policies at the end agree to 1e-9."""
    out: list[Row] = []
    cores = os.cpu_count() or 1
    for n, steps, seeds in SIZES[:1] if quick else SIZES:
        game, start = game_of(n), starts_of(n, seeds)
        eta = 2.0 / (TAU * (np.arange(1, steps + 1) + 2.0))
        pull, payoff, flat = eta * TAU, game.preference[0], start[:, 0]

        def ours(game: Any = game, start: Any = start, pull: Any = pull, eta: Any = eta) -> Any:
            return mirror_descent(game, start, pull, eta)

        def threaded(game: Any = game, start: Any = start, pull: Any = pull, eta: Any = eta) -> Any:
            return on_threads(game, start, pull, eta, cores)

        wanted = ours().log_policies[-1][:, 0]
        work = f"{seeds} seeds, {n} actions, {steps:,} steps"
        numpy = named("numpy")
        field = [(f"{numpy}, all seeds as one array", numpy_sweep), (f"{numpy}, a seed after the other", numpy_loop)]
        peers = []
        for name, function in field:
            call = partial(function, payoff, flat, eta)
            peers.append(Peer(name, call, agree(name, np.abs(call() - wanted).max(), 1e-9, "policies")))
        out += race(GROUP, f"{work}, 1 thread", ours, peers, rounds=5)
        call = partial(numpy_processes, payoff, flat, eta, cores)
        name = f"{numpy}, {cores} processes"
        peers = [Peer(name, call, agree(name, np.abs(call() - wanted).max(), 1e-9, "policies"))]
        if not np.array_equal(threaded()[:, 0], wanted):
            raise SystemExit("theorylab on threads differs from theorylab on one: this must not be.")
        peers.append(Peer("theorylab on 1 thread", ours, "the same to the last bit", 1.8 if cores > 1 else None))
        out += race(GROUP, f"{work}, {cores} threads", threaded, peers, rounds=5)
    return out
