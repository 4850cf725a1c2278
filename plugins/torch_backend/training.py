"""The loop that all neural plugins share: gradient steps for all seeds at once, kept from time to time, and resumed to the bit."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from operator import methodcaller
from pathlib import Path
from typing import Any

from theorylab.kernels import cache_root
from theorylab.progress import asked_to_stop, tell

from .ensemble import Ensemble
from .machine import Seeds, Tensor, torch

#: Seconds between two checkpoints: training that is over sooner leaves none.
SECONDS_BETWEEN = 20.0

#: Steps whose noise is drawn at once.
AHEAD = 64


class Noise:
    """Uniform numbers for each step, from the seeds' own streams: (seeds, *shape) tensors, one for each shape."""

    def __init__(self, seeds: Seeds, *shapes: tuple[int, ...]) -> None:
        self.seeds, self.shapes = seeds, shapes
        self._first, self._buffers = -1, [torch.empty(0)] * len(shapes)
        self._before = seeds.states()

    def at(self, step: int) -> list[Tensor]:
        """The numbers of a step; steps are asked for in order."""
        if self._first < 0 or step >= self._first + AHEAD:
            self._first, self._before = step, self.seeds.states()
            self._buffers = [self.seeds.tensor(methodcaller("random", (AHEAD, *shape))) for shape in self.shapes]
        return [buffer[:, step - self._first] for buffer in self._buffers]

    def state(self) -> dict[str, Any]:
        """Where the numbers that are in use began."""
        return {"first": self._first, "states": self._before}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Draw the numbers in use again."""
        self.seeds.set_states(state["states"])
        self._first = -1
        if state["first"] >= 0:
            self.at(state["first"])


def train(
    learner: Ensemble,
    loss: Callable[[int], Tensor],
    *,
    steps: int,
    rate: float,
    optimiser: str = "adam",
    noise: Noise | None = None,
    others: Sequence[Ensemble] = (),
    after: Callable[[int], None] | None = None,
    label: str = "training",
    about: str = "",
    given: Sequence[Tensor] = (),
) -> None:
    """Gradient steps on the sum of the seeds' losses, which is each seed's own since they share no parameter.

    loss    (seeds,) tensor for a step
    others  ensembles that `after` changes (target networks), kept in checkpoints with the learner
    about   whatever else makes this training what it is (instance, settings): part of the checkpoint's name
    given   and the tensors that the loss is made of

    Work that takes long is kept every SECONDS_BETWEEN seconds under the name of all that it depends on; the same training, begun again after it was
    stopped, goes on from there, on the processor with the same bits.
    """
    optimisers = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    descent = optimisers[optimiser](list(learner.parameters.values()), lr=rate)
    models = [learner, *others]
    kept = _Checkpoint(_key(models, noise, given, f"{label}|{about}|{steps}|{rate}|{optimiser}"))
    first = kept.restore(models, descent, noise)
    shown = kept_at = time.monotonic()
    for step in range(first, steps):
        for group in descent.param_groups:  # down to nothing: the noise of the last steps is not the policy's
            group["lr"] = rate * (1.0 - step / steps)
        descent.zero_grad(set_to_none=True)
        loss(step).sum().backward()
        descent.step()
        if after is not None:
            after(step)
        now = time.monotonic()
        if now - shown > 0.5:
            shown = now
            tell(f"{label}: step {step + 1:,} of {steps:,}")
        is_over = asked_to_stop()
        if is_over or now - kept_at > SECONDS_BETWEEN:
            kept_at = now
            kept.save(step + 1, models, descent, noise)
        if is_over:
            raise KeyboardInterrupt
    kept.remove()


def _key(models: Sequence[Ensemble], noise: Noise | None, given: Sequence[Tensor], about: str) -> str:
    """A name that no other training has: where it starts, from which streams, by which sources and how."""
    state = hashlib.sha256(f"{about}|{torch.__version__}|{models[0].machine}".encode())
    for folder in {Path(__file__).parent, Path(__file__).parent.parent}:
        for file in sorted(folder.glob("*.py" if folder == Path(__file__).parent else "*/neural.py")):
            state.update(file.read_bytes())
    for model in models:
        for name, value in model.parameters.items():
            state.update(name.encode() + value.detach().cpu().numpy().tobytes())
    for tensor in given:
        state.update(tensor.detach().cpu().numpy().tobytes())
    if noise is not None:
        state.update(repr(noise.seeds.states()).encode())
    return state.hexdigest()[:32]


class _Checkpoint:
    """A file in the folder of caches, written whole or not at all; without such a folder nothing is kept."""

    def __init__(self, key: str) -> None:
        root = cache_root()
        self.path = root.parent / "training" / f"{key}.pt" if root is not None else None

    def save(self, step: int, models: Sequence[Ensemble], descent: torch.optim.Optimizer, noise: Noise | None) -> None:
        if self.path is None:
            return
        state = {
            "step": step,
            "models": [{name: value.detach() for name, value in model.parameters.items()} for model in models],
            "descent": descent.state_dict(),
            "noise": noise.state() if noise is not None else None,
        }
        part = self.path.with_suffix(f".{os.getpid()}.part")
        with suppress(OSError, RuntimeError):  # a full disk costs the checkpoint, never the run
            self.path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(state, part)
            part.replace(self.path)

    def restore(self, models: Sequence[Ensemble], descent: torch.optim.Optimizer, noise: Noise | None) -> int:
        """The step to go on with; 0 where nothing was kept, or what was kept cannot be read."""
        if self.path is None or not self.path.exists():
            return 0
        try:
            state = torch.load(self.path, map_location=models[0].machine.device, weights_only=True)
            for model, values in zip(models, state["models"], strict=True):  # all is looked at before anything is changed
                if {n: v.shape for n, v in values.items()} != {n: p.shape for n, p in model.parameters.items()}:
                    raise ValueError("another network")
            for model, values in zip(models, state["models"], strict=True):
                with torch.no_grad():
                    for name, value in values.items():
                        model.parameters[name].copy_(value)
            descent.load_state_dict(state["descent"])
            if noise is not None:
                noise.restore(state["noise"])
            return int(state["step"])
        except Exception:  # damaged: it begins anew
            self.remove()
            return 0

    def remove(self) -> None:
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
