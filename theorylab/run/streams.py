"""Named random streams: every trial can be replayed alone, and no result depends on workers, blocks or order."""

from __future__ import annotations

import hashlib

import numpy as np


def _words(*names: str) -> tuple[int, ...]:
    """Four 32-bit words from names."""
    digest = hashlib.sha256("\x00".join(names).encode()).digest()
    return tuple(int.from_bytes(digest[i : i + 4], "little") for i in range(0, 16, 4))


def trial_stream(root_seed: int, plugin: str, digest: str, seed: int) -> np.random.Generator:
    """The generator of trial (instance, seed)."""
    return _generator(root_seed, (*_words("trial", plugin, digest), seed))


def instance_stream(root_seed: int, plugin: str, index: int) -> np.random.Generator:
    """The generator that draws instance number `index` of a family."""
    return _generator(root_seed, (*_words("instance", plugin), index))


def _generator(root_seed: int, key: tuple[int, ...]) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(root_seed, spawn_key=key)))
