"""Last-switch-dependent bandits with networks: payoff curves that can only rise, and a recurrent policy that is told no state.

The paper has no neural version. Curves are sums of softplus terms, fitted to samples; the relaxation must not move by more than the curves are off. The
policy sees which arm it played last and what that paid, has to remember the rest, and learns by policy gradient; what it loses against the best sequence of
plays is computed over all joint states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from theorylab_plugins.torch_backend.ensemble import Ensemble, copy_of
from theorylab_plugins.torch_backend.machine import BITS, Machine, Seeds, Tensor, torch
from theorylab_plugins.torch_backend.policies import Recurrent, Tabular
from theorylab_plugins.torch_backend.training import Noise, train

from theorylab import Always, Plugin, WithProbability
from theorylab.problems.record import Array
from theorylab.problems.switch_bandit import SwitchBandit, read_switch_bandit
from theorylab.solvers.switching import cycles, dual, finite_values, joint_graph

plugin = Plugin(
    "lsd-bandits-torch",
    api=1,
    title="Last-switch-dependent bandits with fitted curves and recurrent policies",
    source='Foussoul et al., "Last Switch Dependent Bandits with Monotone Payoff Functions", arXiv 2306.00338; networks are ours',
)
plugin.reader(read_switch_bandit)

#: Samples of every payoff that curves are fitted to, steps of the fit, halvings of the price: more than double precision can tell apart.
SAMPLES, FIT, HALVINGS = 40, 150, 100

#: Rounds of an episode, and episodes of a step.
ROUNDS, EPISODES = 12, 16

#: By how much all payoffs are raised.
SHIFT = 0.1

plugin.reference("two-arms", lambda: SwitchBandit(np.array([[0.0, 0.0, 0.1, 0.2, 0.7, 0.9], [0.0, 0.1, 0.3, 0.4, 0.5, 0.6]])))
plugin.reference(
    "three-arms",
    lambda: SwitchBandit(
        np.array([[0.0, 0.1, 0.2, 0.3, 0.9, 1.0], [0.0, 0.0, 0.1, 0.1, 0.2, 0.8], [0.3, 0.3, 0.35, 0.4, 0.4, 0.4]])
    ),
)


@dataclass(frozen=True)
class Variant:
    """What is really computed. The defaults are right; mutants change one of them."""

    sign: float = 1.0
    is_stale: bool = False  # plays by the policy of the first step
    remembers: bool = True
    longer: int = 0  # rounds that every cycle is too long
    pays: float = 1.0  # factor on what cycles earn


RIGHT = Variant()


# -- curves -------------------------------------------------------------------------------------------------------------------------------


def _curves(bandit: SwitchBandit, seeds: Seeds, variant: Variant) -> dict[str, Array]:
    """(seeds, 2) how far fitted curves are off, and are raised, and by how much the relaxation moves; (seeds,) how far torch's value of it is from the kernel's."""
    K, m, machine = bandit.arm_count, bandit.memory, seeds.machine
    seen = seeds.tensor(lambda rng: rng.binomial(SAMPLES, bandit.payoff) / SAMPLES)
    learner = Ensemble(Tabular(K, 2 * m), seeds)
    arms = torch.arange(K, device=machine.device)

    def curve() -> Tensor:
        return torch.nn.functional.softplus(learner(arms, shared=True) - 2.0).cumsum(dim=-1).clamp(max=1.0)

    train(
        learner,
        lambda step: ((curve() - seen) ** 2).sum(dim=(1, 2)),
        steps=FIT,
        rate=0.1,
        label="curves",
        given=[seen],
    )
    with torch.no_grad():
        fitted = curve()
    true = machine.tensor(bandit.payoff)
    value = {
        name: relaxation_values(table, variant) for name, table in (("fit", fitted), ("up", fitted + SHIFT), ("true", true[None]))
    }
    wanted = np.array([dual(np.insert(table, m, 0.0, axis=1))[0] for table in seeds.kept(fitted)])
    off = (fitted - true).abs().amax(dim=(1, 2))
    moved = torch.stack([(value["fit"] - value["true"]).abs(), (value["up"] - value["fit"]).abs()], dim=1)
    return {
        "value_error": np.abs(seeds.kept(value["fit"]) - wanted),
        "curve_error": seeds.kept(torch.stack([off, torch.full_like(off, SHIFT)], dim=1)),
        "value_moved": seeds.kept(moved),
    }


def relaxation_values(payoff: Tensor, variant: Variant) -> Tensor:
    """(N,) values of the relaxation of payoffs (N, K, 2 m), by its dual in one price: price + sum over arms of max(0, max over cycles (reward - price plays) / length).

    The dual is convex and piecewise linear in the price: bisection of its slope, for all tables at once, ends beside the corner.
    """
    m = payoff.shape[2] // 2
    catalogue = cycles(m)
    rewards = []
    for r, s in catalogue.tolist():  # columns: -m, ..., -1, 1, ..., m
        first = payoff[:, :, m + r - 1] if r else payoff[:, :, 0]
        rewards.append(first + sum((payoff[:, :, m - j] for j in range(1, s)), torch.zeros_like(first)))
    reward = variant.pays * torch.stack(rewards, dim=2)  # (N, K, cycles)
    plays = torch.as_tensor(catalogue[:, 1], dtype=payoff.dtype, device=payoff.device)
    rounds = catalogue.sum(axis=1) + variant.longer
    length = torch.as_tensor(rounds, dtype=payoff.dtype, device=payoff.device)

    def at(price: Tensor) -> tuple[Tensor, Tensor]:
        best = ((reward - price[:, None, None] * plays) / length).max(dim=2)
        used = best.values > 0.0
        return price + (best.values * used).sum(dim=1), 1.0 - ((plays / length)[best.indices] * used).sum(dim=1)

    low = torch.zeros(len(payoff), dtype=payoff.dtype, device=payoff.device)
    high = variant.pays * payoff.amax(dim=(1, 2))
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        falls = at(middle)[1] < 0.0
        low, high = torch.where(falls, middle, low), torch.where(falls, high, middle)
    return torch.minimum(at(low)[0], at(high)[0])


# -- recurrent policies -------------------------------------------------------------------------------------------------------------------


def played(table: Tensor, state: Tensor, arm: Tensor) -> tuple[Tensor, Tensor]:
    """(...) payoffs of the arms that are played in states (..., K), and the states after; table (K, 2 m + 1) as `SwitchBandit.table`."""
    m = table.shape[1] // 2
    payoff = table[arm, state.gather(-1, arm[..., None])[..., 0] + m]
    is_played = torch.arange(len(table), device=table.device) == arm[..., None]
    rested = torch.where(state < 0, 1, (state + 1).clamp(max=m))
    return payoff, torch.where(is_played, torch.where(state > 0, -1, (state - 1).clamp(min=-m)), rested)


def _lost(bandit: SwitchBandit, seeds: Seeds, steps: int, variant: Variant) -> Array:
    """(seeds,) what the greedy policy of each trained network loses a round against the best plays of as many rounds, all arms rested at first."""
    K, m, machine = bandit.arm_count, bandit.memory, seeds.machine
    table = machine.tensor(bandit.table)
    learner = Ensemble(Recurrent(K + 1, K), seeds)
    first = copy_of(learner, Recurrent(K + 1, K), seeds)
    noise = Noise(seeds, (ROUNDS, EPISODES))
    arms = torch.arange(K, device=machine.device)

    def episode(network: Ensemble, acting: Ensemble, uniforms: Tensor | None) -> tuple[Tensor, Tensor]:
        """(seeds, B, T) payoffs and log-probabilities; the most likely arm where there are no uniforms."""
        B = 1 if uniforms is None else uniforms.shape[2]
        shape = (seeds.width, B)
        memory = torch.zeros((*shape, 32), dtype=machine.dtype, device=machine.device)
        other = memory
        seen = torch.zeros((*shape, K + 1), dtype=machine.dtype, device=machine.device)
        state = torch.full((*shape, K), m, dtype=torch.int64, device=machine.device)
        paid, logs = [], []
        for t in range(ROUNDS):
            logits, memory = network(seen, memory)
            log_policy = torch.log_softmax(logits, dim=-1)
            with torch.no_grad():
                acts = log_policy
                if acting is not network:
                    logits, other = acting(seen, other)
                    acts = torch.log_softmax(logits, dim=-1)
                if uniforms is None:
                    arm = acts.argmax(dim=-1)
                else:
                    arm = (uniforms[:, t, :, None] > acts.exp().cumsum(dim=-1)).sum(dim=-1).clamp(max=K - 1)
                payoff, state = played(table, state, arm)
                seen = torch.cat([(arms == arm[..., None]).to(machine.dtype), payoff[..., None]], dim=-1)
                if not variant.remembers:
                    seen = torch.zeros_like(seen)
            if not variant.remembers:
                memory = torch.zeros_like(memory)
            paid.append(payoff)
            logs.append(log_policy.gather(2, arm[..., None])[..., 0])
        return torch.stack(paid, dim=2), torch.stack(logs, dim=2)

    def loss(step: int) -> Tensor:
        (u,) = noise.at(step)
        paid, logs = episode(learner, first if variant.is_stale else learner, u)
        to_go = paid.flip(2).cumsum(dim=2).flip(2)
        others = (to_go.sum(dim=1, keepdim=True) - to_go) / (EPISODES - 1)  # a baseline without the episode's own rewards
        return -variant.sign * (logs * (to_go - others)).sum(dim=2).mean(dim=1)

    train(
        learner,
        loss,
        steps=steps,
        rate=0.01,
        noise=noise,
        others=[first],
        label="recurrent policy",
        about=f"{bandit.digest()}|{variant}",
    )
    with torch.no_grad():
        earned = episode(learner, learner, None)[0].sum(dim=(1, 2))
    graph = joint_graph(bandit.table, idle=False)
    return np.asarray((finite_values(graph, ROUNDS)[ROUNDS, 0] - seeds.kept(earned)) / ROUNDS)


# -- claims -------------------------------------------------------------------------------------------------------------------------------


@plugin.run(batched=True, steps=250, epsilon=0.06, bits=32, device="cpu", limits=BITS)
def run(
    bandit: SwitchBandit,
    rngs: Sequence[np.random.Generator],
    *,
    steps: int,
    epsilon: float,
    bits: int,
    device: str,
    variant: Variant = RIGHT,
) -> dict[str, Any]:
    """`steps`: gradient steps of the recurrent policy; `epsilon`: what it may lose a round."""
    return _curves(bandit, Seeds(rngs, Machine(device, 64)), variant) | {
        "lost": _lost(bandit, Seeds(rngs, Machine(device, bits)), steps, variant)
    }


@plugin.claim("value_error", holds=Always(), source="the relaxation's dual in one price", provenance="derived")
def relaxations_are_the_kernels() -> Any:
    """Torch's value of the relaxation of the fitted curves is the kernel's, to 1e-9."""
    return 1e-9


@plugin.claim("value_moved", holds=Always(slack=1e-12), source="the relaxation is Lipschitz in its payoffs", provenance="derived")
def relaxations_move_less_than_curves(curve_error: Any) -> Any:
    """The relaxation of the fitted curves is off by at most as much as the curves are anywhere, and curves that are higher by .1 raise it by at most .1."""
    return curve_error


@plugin.claim("lost", holds=WithProbability(0.8), source="ours", provenance="derived")
def recurrent_policies_play_well(epsilon: Any) -> Any:
    """The greedy recurrent policy loses at most epsilon a round against the best sequence of plays, for 4 of 5 seeds."""
    return epsilon


def _mutant(name: str, refuted_by: Sequence[str], description: str, variant: Variant) -> None:
    plugin.mutant(name=name, refuted_by=refuted_by, description=description)(partial(run, variant=variant))


SCALE, VALUE = "recurrent_policies_play_well", "relaxations_are_the_kernels"
_mutant("wrong-sign", (SCALE,), "Descends what it should climb.", Variant(sign=-1.0))
_mutant(
    "stale-policy",
    (SCALE,),
    "Plays by the policy of the first step for ever, as if it were the current one.",
    Variant(is_stale=True),
)
_mutant("no-memory", (SCALE,), "Remembers nothing and is told nothing.", Variant(remembers=False))
_mutant(
    "twice-the-payoffs",
    (VALUE, "relaxations_move_less_than_curves"),
    "Cycles earn twice what their plays pay.",
    Variant(pays=2.0),
)
_mutant("longer-cycles", (VALUE,), "Every cycle takes a round more.", Variant(longer=1))
