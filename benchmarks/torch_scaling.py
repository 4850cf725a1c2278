"""How training with torch scales with the seeds: all in one batch beside one after the other, on every device that torch sees.

    python -m benchmarks.torch_scaling [--quick] [--write]

The work is a gradient step of two trainings as the plugins do them: REINFORCE of an MLP over contexts, and likelihood of a small transformer over token
sequences. First both ways must compute the same losses. A row says steps and seeds times steps per second, how that compares with a plain loop over
networks, with `torch.compile`, and which share of the device's peak (measured: its own largest matrix product) the counted operations are. With TRL installed,
its Nash-MD losses are trained on the same tiny game as ours. `--write` puts the tables into docs/torch.md.
"""

from __future__ import annotations

import argparse
import copy
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from theorylab_plugins.nash_md.neural import Variant, _Learner, cyclic_game
from theorylab_plugins.torch_backend.ensemble import Ensemble
from theorylab_plugins.torch_backend.machine import Machine, Seeds, torch
from theorylab_plugins.torch_backend.policies import MLP, Transformer

OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "torch.md"
SEEDS = (1, 10, 100, 1000)

#: Seeds that the plain loop is timed on; more take as much longer.
LOOPED = 4

CONTEXTS, FEATURES, ACTIONS, TOKENS, LENGTH, ROWS = 16, 8, 5, 8, 5, 32


def synchronise(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def seconds_of(step: Callable[[], Any], device: str, least: float) -> float:
    """Seconds of a step: the best of several rounds of `least` seconds in all, after two steps that warm up."""
    for _ in range(2):
        step()
    synchronise(device)
    best, begun = np.inf, time.perf_counter()
    while time.perf_counter() - begun < least:
        started = time.perf_counter()
        step()
        synchronise(device)
        best = min(best, time.perf_counter() - started)
    return float(best)


class Work:
    """A training step: network, inputs that all seeds share, and the loss of a seed from its network's output."""

    def __init__(
        self, name: str, make: Callable[[], Any], inputs: Callable[[Machine], tuple[Any, ...]], loss: Callable[..., Any]
    ) -> None:
        self.name, self.make, self.inputs, self.loss = name, make, inputs, loss

    def batched(self, count: int, machine: Machine, *, compiled: bool = False) -> Callable[[], Any]:
        """All seeds at once; returns the losses (count,)."""
        seeds = Seeds([np.random.default_rng(k) for k in range(count)], machine, wide=count)
        ensemble, inputs = Ensemble(self.make(), seeds, compiled=compiled), self.inputs(machine)
        descent = torch.optim.Adam(list(ensemble.parameters.values()), lr=1e-3)

        def step() -> Any:
            descent.zero_grad(set_to_none=True)
            losses = self.loss(ensemble(*inputs, shared=True), *inputs)
            losses.sum().backward()
            descent.step()
            return losses.detach()

        return step

    def looped(self, count: int, machine: Machine) -> Callable[[], Any]:
        """The same networks, one after the other, each with its own optimiser."""
        seeds = Seeds([np.random.default_rng(k) for k in range(count)], machine, wide=count)
        start, inputs = Ensemble(self.make(), seeds).parameters, self.inputs(machine)
        networks = []
        for k in range(count):
            network = copy.deepcopy(self.make()).to(machine.device, machine.dtype)
            network.load_state_dict({name: value[k].detach() for name, value in start.items()}, strict=False)
            networks.append((network, torch.optim.Adam(network.parameters(), lr=1e-3)))

        def step() -> Any:
            losses = []
            for network, descent in networks:
                descent.zero_grad(set_to_none=True)
                loss = self.loss(network(*inputs)[None], *inputs)[0]
                loss.backward()
                descent.step()
                losses.append(loss.detach())
            return torch.stack(losses)

        return step

    def operations(self, machine: Machine) -> float:
        """Floating-point operations of a step of one seed, as torch counts them: matrix products alone."""
        from torch.utils.flop_counter import FlopCounterMode

        step = self.looped(1, machine)
        with FlopCounterMode(display=False) as counter:
            step()
        return float(counter.get_total_flops())


def works() -> list[Work]:
    """REINFORCE over contexts, and a transformer over sequences."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(CONTEXTS, FEATURES))
    reward = rng.random((CONTEXTS, ACTIONS))
    tokens = rng.integers(0, TOKENS, (ROWS, LENGTH))
    contexts = rng.normal(size=(ROWS, 4))

    def reinforce(logits: Any, *_: Any) -> Any:
        log_policy = torch.log_softmax(logits, dim=-1)
        gain = torch.as_tensor(reward, dtype=logits.dtype, device=logits.device)
        return -(log_policy.exp().detach() * gain * log_policy).sum(dim=-1).mean(dim=-1)

    def likelihood(logits: Any, context: Any, sequence: Any) -> Any:
        log_next = torch.log_softmax(logits, dim=-1)
        return -log_next.gather(-1, sequence.expand(*log_next.shape[:-1])[..., None]).mean(dim=(1, 2, 3))

    return [
        Work("MLP, 16 contexts", lambda: MLP(FEATURES, ACTIONS), lambda m: (m.tensor(features),), reinforce),
        Work(
            "transformer, 32 sequences of 5 tokens", lambda: Transformer(4, TOKENS, LENGTH),
            lambda m: (m.tensor(contexts), m.tensor(tokens)), likelihood,
        ),
    ]  # fmt: skip


def peak(machine: Machine, least: float) -> float:
    """Floating-point operations per second of the device's largest matrix product."""
    n = 2048 if machine.device == "cpu" else 8192
    a = torch.ones((n, n), dtype=machine.dtype, device=machine.device)
    return 2.0 * n**3 / seconds_of(lambda: a @ a, machine.device, least)


def scaling(device: str, counts: tuple[int, ...], least: float) -> list[str]:
    """Lines of a table for one device."""
    machine = Machine(device, 32)
    top = peak(machine, least)
    lines = []
    for work in works():
        mine, theirs = work.batched(LOOPED, machine), work.looped(LOOPED, machine)
        for _ in range(3):
            gap = float((mine() - theirs()).abs().max())
            if gap > 1e-4:
                raise SystemExit(f"{work.name}: both ways differ by {gap:.3g}: this must not be.")
        alone = seconds_of(theirs, device, least) / LOOPED
        one = 0.0
        for count in counts:
            seconds = seconds_of(work.batched(count, machine), device, least)
            one = one or seconds
            compiled = ""
            try:
                compiled = f"{seconds / seconds_of(work.batched(count, machine, compiled=True), device, least):.2f}"
            except Exception as error:  # no compiler, or none that knows this
                compiled = type(error).__name__
            share = count * work.operations(machine) / seconds / top
            lines.append(
                f"| {device} | {work.name} | {count:,} | {1 / seconds:,.0f} | {count / seconds:,.0f} | {seconds / one:.1f} | {count * alone / seconds:.1f} | {compiled} | {share:.1%} |"
            )
            print(lines[-1], flush=True)
    return lines


def peer(steps: int) -> list[str]:
    """Exploitability after so many gradient steps of our losses and of TRL's, on one game of sequences; empty where TRL is not installed."""
    try:
        from types import SimpleNamespace

        from trl.experimental.nash_md import NashMDTrainer
    except ImportError:
        try:
            from trl import NashMDTrainer
        except ImportError:
            return []
    import trl
    from theorylab_plugins.nash_md.neural import _trained

    count, tau, mixing, pairs = 8, 0.1, 0.5, 32
    game = cyclic_game(np.random.default_rng(4), contexts=1, vocabulary=4, length=3, tau=tau)
    machine = Machine("cpu", 32)

    def exploited(log_policy: Any) -> Any:
        mixed = (1.0 - mixing) * log_policy + mixing * game.log_reference
        mixed -= np.logaddexp.reduce(mixed, axis=-1, keepdims=True)
        return game.exploitability(mixed, tau / (1.0 - mixing))

    def theirs(total: int) -> Any:
        """TRL's own loss function on log-probabilities of our networks, with its mixture: logits mixed token by token."""
        seeds = Seeds([np.random.default_rng(k) for k in range(count)], machine, wide=count)
        learner = _Learner(game, seeds)
        descent = torch.optim.Adam(list(learner.network.parameters.values()), lr=0.02)
        gather = SimpleNamespace(gather_for_metrics=lambda x: x)
        stub = SimpleNamespace(beta=tau, accelerator=gather, stats={})
        noise = [np.random.default_rng([9, k]) for k in range(count)]
        for step in range(total):
            for group in descent.param_groups:
                group["lr"] = 0.02 * (1.0 - step / total)
            u = torch.as_tensor(np.stack([rng.random((2, pairs, game.length)) for rng in noise]), dtype=machine.dtype)
            tokens = learner.sampled(u[:, 0])
            others = torch.zeros_like(tokens)
            with torch.no_grad():
                for k in range(game.length):
                    part = others[:, :, : k + 1]
                    own = learner.log_next(learner.network, part)[:, :, k]
                    before = part[..., k - 1] if k else torch.full_like(part[..., 0], game.vocabulary)
                    share = torch.softmax((1 - mixing) * own + mixing * learner.log_reference_next[0, before], dim=-1).cumsum(
                        dim=-1
                    )
                    others[:, :, k] = (u[:, 1, :, k, None] > share).sum(dim=-1).clamp(max=game.vocabulary - 1)
                a, b = learner.phi_of(tokens), learner.phi_of(others)
                win = 0.5 + 0.5 * torch.einsum("sbr,rq,sbq->sb", a, learner.skew[0], b)
            descent.zero_grad()
            own = learner.log_tokens(tokens).reshape(count * pairs, -1)
            reference = learner.log_reference_tokens(tokens).reshape(count * pairs, -1)
            loss, *_ = NashMDTrainer._compute_losses(stub, own, reference, win.reshape(-1))
            (loss.sum() / pairs if loss.ndim else loss * count).backward()
            descent.step()
        with torch.no_grad():
            return exploited(seeds.kept(learner.every_log(learner.network)))

    lines = []
    for total in (steps // 4, steps):
        seeds = Seeds([np.random.default_rng(k) for k in range(count)], machine, wide=count)
        ours = exploited(_trained(game, seeds, total, mixing, Variant()))
        other = theirs(total)
        lines.append(
            f"| {total} | {np.median(ours):.4f} ({ours.min():.4f} .. {ours.max():.4f}) | {np.median(other):.4f} ({other.min():.4f} .. {other.max():.4f}) | TRL {trl.__version__} |"
        )
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few seeds, short rounds")
    parser.add_argument("--write", action="store_true", help="write docs/torch.md")
    options = parser.parse_args()
    least, counts = (0.2, SEEDS[:2]) if options.quick else (2.0, SEEDS)
    devices = ["cpu", *([f"cuda:{0}"] if torch.cuda.is_available() else [])]
    if len(devices) == 1:
        print("torch sees no GPU here: the processor's part alone.", flush=True)
    lines = [line for device in devices for line in scaling(device, counts, least)]
    game = peer(40 if options.quick else 300)
    if not game:
        print("TRL is not installed: pip install trl", flush=True)
    if options.write:
        gpu = (
            ", ".join(torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count()))
            or "no GPU: the processor's part alone"
        )
        head = [
            "# Training with torch: seeds at once", "",
            "Made by `python -m benchmarks.torch_scaling --write`. A step is forward, backward and Adam, in 32 bits, for all seeds; both ways computed the same losses to 1e-4 first. "
            "*Cost* is the time of a step beside that of one seed, *loop* what the same networks take one after the other (timed on 4 seeds), *compiled* what `torch.compile` gains, *peak* the share of the "
            "device's largest matrix product per second that counted matrix products reach.", "",
            f"torch {torch.__version__}, one thread, {platform.machine()}, Python {platform.python_version()}; {gpu}.", "",
            "| device | network | seeds | steps/s | seeds x steps/s | cost | loop / batch | compiled | peak |",
            "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", *lines, "",
        ]  # fmt: skip
        if game:
            head += [
                "## Nash-MD beside TRL's trainer", "",
                "The loss of TRL's NashMDTrainer and ours on the same game of sequences (4 tokens, length 3, tau 0.1, mixing 0.5), network, learning rate and 32 pairs a step: exploitability of the "
                "mixture in the game with tau / (1 - beta), median and range of 8 seeds. TRL mixes token by token and lets a token answer for its own KL alone: its fixed point is another one.", "",
                "| gradient steps | theorylab | TRL | |", "| ---: | ---: | ---: | --- |", *game, "",
            ]  # fmt: skip
        OUTPUT.write_text("\n".join(head))
        print(f"written: {OUTPUT}")


if __name__ == "__main__":
    main()
