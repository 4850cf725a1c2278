"""torch, imported here alone, and what it takes for runs that can be repeated to the bit."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from theorylab.errors import UsageError

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts; without it sums on a GPU are not repeatable

try:
    import torch as torch
except ImportError as error:
    raise UsageError(
        "The backend 'torch' needs torch. Install it with: pip install 'theorylab[torch]'; where there is no GPU the smaller "
        "build does: pip install torch --index-url https://download.pytorch.org/whl/cpu"
    ) from error

#: Seeds that are trained at once. Always as many, those that are missing filled up with copies: libraries choose their kernels by the
#: shape of what they are given, so that the bits of a seed would depend on how many are beside it.
WIDTHS = {"cpu": 32, "cuda": 512}

Tensor = torch.Tensor

#: What the parameter `bits` may be, for @plugin.run.
BITS = {"bits": "{16, 32, 64}"}


def width(device: str) -> int:
    """Seeds that are trained at once on a device."""
    return WIDTHS[device.partition(":")[0]]


@dataclass(frozen=True)
class Machine:
    """Where and how precisely tensors are computed. bits: 64, 32, or 16 (bfloat16 inside networks, weights in 32)."""

    device: str = "cpu"
    bits: int = 32

    def __post_init__(self) -> None:
        # One thread each: the blocks of seeds share the cores already, and sums that are split otherwise round otherwise.
        if torch.get_num_threads() != 1:
            torch.set_num_threads(1)
        if self.device.startswith("cuda"):
            torch.use_deterministic_algorithms(True, warn_only=True)  # running sums have no such form there: they warn

    @property
    def dtype(self) -> torch.dtype:
        return torch.float64 if self.bits == 64 else torch.float32

    def tensor(self, array: Any) -> Tensor:
        """Numbers on the device: floats in its precision, integers and truth values as they are."""
        found = torch.from_numpy(np.array(array))  # a copy: instances are read-only
        return found.to(self.device, self.dtype if found.is_floating_point() else None)


class Seeds:
    """The seeds of a batch, filled up to the device's width with copies of the last one."""

    def __init__(self, rngs: Sequence[np.random.Generator], machine: Machine, wide: int | None = None) -> None:
        self.rngs, self.machine = list(rngs), machine
        self.count, self.width = len(rngs), wide or width(machine.device)
        if self.count > self.width:
            raise UsageError(f"{self.count} seeds at once, at most {self.width} on {machine.device}. Leave --chunk out.")

    def draw(self, function: Callable[[np.random.Generator], Any]) -> np.ndarray:
        """(width, ...): what `function` draws from each seed's stream."""
        rows = [np.asarray(function(rng)) for rng in self.rngs]
        return np.stack(rows + [rows[-1]] * (self.width - self.count))

    def tensor(self, function: Callable[[np.random.Generator], Any]) -> Tensor:
        """The draws on the device."""
        return self.machine.tensor(self.draw(function))

    def kept(self, rows: Tensor) -> np.ndarray:
        """(seeds, ...): the rows of the seeds that were asked for, as NumPy has them."""
        return np.asarray(rows[: self.count].detach().cpu().to(torch.float64).numpy())

    def states(self) -> list[Any]:
        """The streams as they stand."""
        return [rng.bit_generator.state for rng in self.rngs]

    def set_states(self, states: Sequence[Any]) -> None:
        """Back to where the streams stood."""
        for rng, state in zip(self.rngs, states, strict=True):
            rng.bit_generator.state = state
