"""REINFORCE over context features: the gradient bandit with a network in the place of its logits.

The theorems are about a table of logits, plain steps and one pull at a time. There torch must reproduce the kernel's trace; what a network
reaches with Adam and batches has no theorem, and its threshold is ours. Its suboptimality is exact: means are known and arms are few.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from theorylab_plugins.torch_backend.ensemble import Ensemble, copy_of
from theorylab_plugins.torch_backend.machine import BITS, Machine, Seeds, Tensor, torch
from theorylab_plugins.torch_backend.policies import MLP, Tabular
from theorylab_plugins.torch_backend.training import Noise, train

from theorylab import Always, Instance, Plugin, WithProbability
from theorylab.errors import InstanceError
from theorylab.problems.bandit import bernoulli
from theorylab.problems.record import Array

plugin = Plugin(
    "gradient-bandit-torch",
    api=1,
    title="Stochastic gradient bandits with neural policies: REINFORCE over context features",
    source='Mei et al., "Stochastic Gradient Succeeds for Bandits", arXiv 2402.17235; contexts, networks and thresholds are ours',
)

#: Pulls that both implementations of the table are compared over, and their learning rate.
COMPARED, ETA = 200, 0.4

#: Pulls of each context in a step of training.
PULLS = 8


@dataclass(frozen=True, eq=False)
class ContextualBandit(Instance):
    """A Bernoulli bandit for each context. features (X, d), means (X, K) in [0, 1]."""

    kind: ClassVar[str] = "contextual-bandit"

    features: Array
    means: Array

    def __post_init__(self) -> None:
        X, _ = self.frozen_array("features", (None, None)).shape
        means = self.frozen_array("means", (X, None), low=0.0, high=1.0)
        if means.shape[1] < 2:
            raise InstanceError("means has one column: a bandit needs at least 2 arms.")


def random_contexts(rng: np.random.Generator, X: int, K: int) -> ContextualBandit:
    """Contexts in general position; in each, one arm pays .3 more than the rest."""
    means = rng.uniform(0.1, 0.5, (X, K))
    best = rng.integers(0, K, X)
    means[np.arange(X), best] = means.max(axis=1) + 0.3
    return ContextualBandit(rng.normal(size=(X, 6)), means)


plugin.reference("four-contexts", lambda: random_contexts(np.random.default_rng(3), 4, 3))
plugin.reference("eight-contexts", lambda: random_contexts(np.random.default_rng(5), 8, 5))


@dataclass(frozen=True)
class Variant:
    """What training really does. The defaults are REINFORCE; mutants change one of them."""

    sign: float = 1.0
    is_stale: bool = False  # acts by the policy of the first step, and weighs as if by the current one
    weighs: bool = True  # importance weights for what exploration changes
    explores: float = 0.5  # share of uniform actions
    rate: float = 1.0  # factor on the table's learning rate


RIGHT = Variant()


def _compared(bandit: ContextualBandit, seeds: Seeds, variant: Variant) -> Array:
    """(seeds,) largest difference of the logits of torch's table from the kernel's, in the first context, on the same random words."""
    from .algorithm import Arms
    from .algorithm import Variant as Plain

    arms = bernoulli(bandit.means[0])
    before = seeds.states()
    points = np.arange(1, COMPARED + 1)
    plain = Arms.of(arms)
    wanted = np.stack([plain.simulate(rng, ETA, points, Plain(), with_baseline=False).theta for rng in seeds.rngs])
    seeds.set_states(before)
    words = seeds.tensor(lambda rng: rng.random((COMPARED, 2)))
    table = Ensemble(Tabular(1, arms.arm_count), seeds)
    only = torch.zeros(1, dtype=torch.int64, device=words.device)
    atoms, cumulative = seeds.machine.tensor(arms.atoms), seeds.machine.tensor(plain.cumulative)
    descent = torch.optim.SGD(list(table.parameters.values()), lr=variant.rate * ETA)
    trace = []
    for t in range(COMPARED):
        logits = table(only, shared=True)[:, 0]
        trace.append(logits.detach().clone())
        weight = (logits - logits.max(dim=1, keepdim=True).values).detach().exp()
        below = weight.cumsum(dim=1)
        arm = (below <= words[:, t, :1] * below[:, -1:]).sum(dim=1).clamp(max=arms.arm_count - 1)
        column = (words[:, t, 1:] >= cumulative[arm]).sum(dim=1)
        reward = atoms[arm, column]
        descent.zero_grad()
        loss = -variant.sign * reward * torch.log_softmax(logits, dim=1).gather(1, arm[:, None])[:, 0]
        loss.sum().backward()
        descent.step()
    got = torch.stack(trace, dim=1).cpu().numpy()[: seeds.count]
    return np.asarray(np.abs(got - wanted).max(axis=(1, 2)))


def _trained(bandit: ContextualBandit, seeds: Seeds, steps: int, variant: Variant) -> Array:
    """(seeds, X, K) policies after training."""
    (X, d), K = bandit.features.shape, bandit.means.shape[1]
    features, means = seeds.machine.tensor(bandit.features), seeds.machine.tensor(bandit.means)
    learner = Ensemble(MLP(d, K), seeds)
    first = copy_of(learner, MLP(d, K), seeds)
    noise = Noise(seeds, (X, PULLS), (X, PULLS))

    def loss(step: int) -> Tensor:
        u, v = noise.at(step)
        log_policy = torch.log_softmax(learner(features, shared=True), dim=-1)
        with torch.no_grad():
            behaviour = (1.0 - variant.explores) * log_policy.exp() + variant.explores / K
            acting = torch.softmax(first(features, shared=True), dim=-1) if variant.is_stale else behaviour
            arm = (u[..., None] > acting.cumsum(dim=-1)[:, :, None]).sum(dim=-1).clamp(max=K - 1)
            reward = (v < means.expand(len(u), X, K).gather(2, arm)).to(u.dtype)
            weight = log_policy.exp().gather(2, arm) / behaviour.gather(2, arm) if variant.weighs else torch.ones_like(reward)
        return -variant.sign * (weight * reward * log_policy.gather(2, arm)).mean(dim=(1, 2))

    train(learner, loss, steps=steps, rate=0.005, noise=noise, label="REINFORCE", about=f"{bandit.digest()}|{variant}")
    with torch.no_grad():
        return seeds.kept(torch.softmax(learner(features, shared=True), dim=-1))


@plugin.run(batched=True, steps=600, epsilon=0.06, bits=32, device="cpu", limits=BITS)
def run(
    bandit: ContextualBandit,
    rngs: Sequence[np.random.Generator],
    *,
    steps: int,
    epsilon: float,
    bits: int,
    device: str,
    variant: Variant = RIGHT,
) -> dict[str, Any]:
    """A network per seed. `steps`: gradient steps; `epsilon`: suboptimality that training is to reach."""
    trace_error = _compared(bandit, Seeds(rngs, Machine(device, 64)), variant)
    policy = _trained(bandit, Seeds(rngs, Machine(device, bits)), steps, variant)
    gap = (bandit.means.max(axis=1) - (policy * bandit.means).sum(axis=2)).mean(axis=1)
    return {"trace_error": trace_error, "suboptimality": gap}


@plugin.claim("trace_error", holds=Always(), source="algorithm 1", provenance="derived")
def tables_follow_the_kernel() -> Any:
    """With a table of logits, plain steps and the same random words, torch's logits are the kernel's after every pull, to 1e-9."""
    return 1e-9


@plugin.claim("suboptimality", holds=WithProbability(0.8), source="ours", provenance="derived")
def networks_find_the_best_arms(epsilon: Any) -> Any:
    """After training, the network's policy earns on average at most epsilon less than the best arm of each context, for 4 of 5 seeds."""
    return epsilon


def _mutant(name: str, refuted_by: Sequence[str], description: str, variant: Variant) -> None:
    plugin.mutant(name=name, refuted_by=refuted_by, description=description)(partial(run, variant=variant))


SCALE, TRACE = "networks_find_the_best_arms", "tables_follow_the_kernel"
_mutant("wrong-sign", (SCALE, TRACE), "Descends what it should climb.", Variant(sign=-1.0))
_mutant(
    "stale-policy",
    (SCALE,),
    "Acts by the policy of the first step for ever, as if it were the current one.",
    Variant(is_stale=True, explores=0.0),
)
_mutant("no-importance-weight", (SCALE,), "Takes what exploration chose for the policy's own choices.", Variant(weighs=False))
_mutant("twice-the-rate", (TRACE,), "Steps of 2 eta.", Variant(rate=2.0))
