"""Copies of one network, a set of parameters for each seed, run as one."""

from __future__ import annotations

import contextlib
import math
from operator import methodcaller
from typing import Any

from .machine import Seeds, Tensor, torch


class Ensemble:
    """A network for each seed of a batch. Calls take inputs with a leading seed axis, or, with `shared`, one input for all.

    The parameters are stacked tensors (seeds, ...); vmap turns the network of one seed into that of all. They are drawn from the seeds' own streams,
    so that a seed starts alike on every device: weights uniform in +-1/sqrt(fan in), biases 0, norms and tables of logits as the network made them.
    """

    def __init__(self, network: torch.nn.Module, seeds: Seeds, *, compiled: bool = False) -> None:
        machine = seeds.machine
        self.network, self.machine = network.to(machine.device, machine.dtype), machine
        self.parameters: dict[str, Tensor] = {}
        for name, parameter in network.named_parameters():
            shape = tuple(parameter.shape)
            if name.endswith("logits") or len(shape) < 2:
                start = torch.zeros_like(parameter) if name.endswith("bias") else parameter.detach()
                rows = start.expand(seeds.width, *shape).clone()
            else:
                reach = 1.0 / math.sqrt(shape[-1])
                rows = seeds.tensor(methodcaller("uniform", -reach, reach, shape))
            self.parameters[name] = rows.contiguous().requires_grad_()
        self._calls: dict[tuple[bool, int], Any] = {}
        self._compiled = compiled

    def _one(self, parameters: dict[str, Tensor], *inputs: Tensor) -> Any:
        return torch.func.functional_call(self.network, parameters, inputs)

    def __call__(self, *inputs: Tensor, shared: bool = False) -> Any:
        key = (shared, len(inputs))
        if key not in self._calls:
            axes = (0, *(None if shared else 0 for _ in inputs))
            call = torch.func.vmap(self._one, in_dims=axes)
            self._calls[key] = torch.compile(call) if self._compiled else call
        half = self.machine.bits == 16
        scope = torch.autocast(self.machine.device.partition(":")[0], torch.bfloat16) if half else contextlib.nullcontext()
        with scope:
            out = self._calls[key](self.parameters, *inputs)
        if not half:
            return out
        return tuple(part.to(self.machine.dtype) for part in out) if isinstance(out, tuple) else out.to(self.machine.dtype)

    def copy_from(self, other: Ensemble, share: float = 1.0) -> None:
        """Move the parameters towards another's: a target network, or a stale policy."""
        with torch.no_grad():
            for name, mine in self.parameters.items():
                mine.lerp_(other.parameters[name], share) if share < 1.0 else mine.copy_(other.parameters[name])


def copy_of(other: Ensemble, network: torch.nn.Module, seeds: Seeds) -> Ensemble:
    """An ensemble with the same parameters that does not learn. `network` is another object of the same kind."""
    made = Ensemble.__new__(Ensemble)
    made.network, made.machine = network.to(seeds.machine.device, seeds.machine.dtype), seeds.machine
    made.parameters = {name: p.detach().clone() for name, p in other.parameters.items()}
    made._calls, made._compiled = {}, False
    return made
