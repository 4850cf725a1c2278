"""Robust offline learning with features that are learned: a softmax network on the simplex, and factors for each step, fitted to the data.

The paper has no neural version. In torch the ridge regressions and worst expectations of all steps must be the kernel's; and where features are not
given, they are learned by likelihood, planned with against the adversary, and the policy is judged exactly in the true model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from theorylab_plugins.torch_backend.ensemble import Ensemble, copy_of
from theorylab_plugins.torch_backend.machine import BITS, Machine, Seeds, Tensor, torch
from theorylab_plugins.torch_backend.policies import MLP
from theorylab_plugins.torch_backend.training import train

from theorylab import Always, Plugin, WithProbability
from theorylab.problems.linear_mdp import LinearMDP
from theorylab.problems.record import Array
from theorylab.solvers import drectangular
from theorylab.solvers.offline import KL, TV, Visits, pessimistic_values, sample_visits

from .learning import ADVERSARY

plugin = Plugin(
    "r2pvi-torch",
    api=1,
    title="Robust offline learning with features learned on the simplex",
    source='Tang, Liu, Xu, "Robust Offline Reinforcement Learning with Linearly Structured f-Divergence Regularization", arXiv 2411.18612; learned features are ours',
)

#: Penalty of the values that are compared, and the ridge.
BETA, RIDGE = 0.1, 1.0


def tempting() -> LinearMDP:
    """The risky action earns more where the dynamics are as they were seen; against the adversary the safe one is better."""
    features = np.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]] * 2, [[1.0, 0.0, 0.0]] * 2])
    factors = np.array([[[0.0, 0.0, 1.0], [0.1, 0.9, 0.0], [0.0, 1.0, 0.0]]] * 3)
    return LinearMDP(features, factors, np.array([[0.5, 0.0, 1.0]] * 3), 0.15, states=("start", "good", "poor"))


def delayed() -> LinearMDP:
    """Six states, three actions; all is earned in the last of three steps, so that only the dynamics tell what to do before."""
    rng = np.random.default_rng(2)
    S, A, d, H = 6, 3, 4, 3
    theta = np.zeros((H, d))
    theta[-1] = [1.0, 0.7, 0.2, 0.0]
    return LinearMDP(rng.dirichlet(np.full(d, 0.2), (S, A)), rng.dirichlet(np.full(S, 0.15), (H, d)), theta, 0.5)


plugin.reference("tempting", tempting)
plugin.reference("delayed", delayed)


@dataclass(frozen=True)
class Variant:
    """What is really computed. The defaults are right; mutants change one of them."""

    sign: float = 1.0
    is_stale: bool = False  # features of the first step
    is_robust: bool = True
    ridge: float = 1.0  # factor on the ridge of the regressions that are compared


RIGHT = Variant()


class Factorised(torch.nn.Module):
    """P_h(s' | pair) = sum_i phi_i(pair) mu_hi(s'): features by a softmax network, factors by a softmax of scores. () -> (pairs, d), (H, d, S)"""

    def __init__(self, pairs: int, d: int, horizon: int, states: int) -> None:
        super().__init__()
        self.network = MLP(pairs, d, (24,))
        self.scores = torch.nn.Parameter(torch.zeros(horizon, d, states))

    def forward(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        return torch.softmax(4.0 * self.network(pairs), dim=-1), torch.softmax(4.0 * self.scores, dim=-1)


def _counts(model: LinearMDP, data: Sequence[Visits], width: int) -> Array:
    """(width, H, pairs, S), filled up with copies of the last."""
    tables = [visits.table(len(model.pairs), model.state_count) for visits in data]
    return np.stack(tables + tables[-1:] * (width - len(tables)))


# -- the algorithm ------------------------------------------------------------------------------------------------------------------------


def _compared(model: LinearMDP, data: Sequence[Visits], seeds: Seeds, variant: Variant) -> dict[str, Array]:
    """(seeds,) errors of torch's weights against the kernel's, relative to 1 + their size, for a penalty of total variation and of KL."""
    counts = seeds.machine.tensor(_counts(model, data, seeds.width))
    out = {}
    for kind, name in ((TV, "tv_error"), (KL, "kl_error")):
        mine = seeds.kept(pessimistic_weights(model, counts, kind, variant.ridge * RIDGE, seeds.machine))
        wanted = np.stack(
            [
                pessimistic_values(kind, model.strength, model.features, model.theta, visits, beta=BETA, ridge=RIDGE).weights
                for visits in data
            ]
        )
        out[name] = np.abs(mine - wanted).max(axis=(1, 2)) / (1.0 + np.abs(wanted).max(axis=(1, 2)))
    return out


def pessimistic_weights(model: LinearMDP, counts: Tensor, kind: int, ridge: float, machine: Machine) -> Tensor:
    """(seeds, H, d) u = theta + nu - beta sqrt(diag Lambda^-1), all seeds' regressions of a step at once. Source: section 4, algorithm 1."""
    phi, theta = machine.tensor(model.pairs), machine.tensor(model.theta)
    B, H, S, price = len(counts), model.horizon, model.state_count, model.strength
    d = phi.shape[1]
    value = torch.zeros((B, S), dtype=phi.dtype, device=phi.device)
    weights: list[Tensor] = []
    for h in range(H - 1, -1, -1):
        seen = counts[:, h]
        gram = torch.einsum("bp,pi,pj->bij", seen.sum(dim=2), phi, phi) + ridge * torch.eye(d, dtype=phi.dtype, device=phi.device)
        factor = torch.linalg.cholesky(gram)
        inverse = torch.cholesky_inverse(factor)
        low = value.min(dim=1, keepdim=True).values
        target = torch.minimum(value, low + price) if kind == TV else torch.exp(-(value - low) / price)
        answer = torch.einsum("bps,bs->bp", seen, target) @ phi  # (B, d)
        nu = torch.cholesky_solve(answer[..., None], factor)[..., 0]
        if kind == KL:
            nu = low - price * torch.log(torch.maximum(nu, torch.exp(-(H - low) / price)))
        u = theta[h] + nu - BETA * inverse.diagonal(dim1=1, dim2=2).sqrt()
        weights.insert(0, u)
        q = (u @ phi.T).clamp(0.0, float(H - h)).reshape(B, S, -1)
        value = q.max(dim=2).values
    return torch.stack(weights, dim=1)


# -- learned features ---------------------------------------------------------------------------------------------------------------------


def fitted_factors(
    model: LinearMDP, seeds: Seeds, data: Sequence[Visits], steps: int, variant: Variant
) -> tuple[np.ndarray, np.ndarray]:
    """Features (seeds, pairs, d) and factors (seeds, H, d, S) whose product makes the data most likely."""
    P, S, d, H = len(model.pairs), model.state_count, model.dimension, model.horizon
    counts = _counts(model, data, seeds.width)
    share = seeds.machine.tensor(counts / counts.sum(axis=(1, 2, 3), keepdims=True))
    pairs = torch.eye(P, dtype=seeds.machine.dtype, device=seeds.machine.device)
    learner = Ensemble(Factorised(P, d, H, S), seeds)
    first = copy_of(learner, Factorised(P, d, H, S), seeds)

    def parts() -> tuple[Tensor, Tensor]:
        phi, mu = learner(pairs, shared=True)
        return (first(pairs, shared=True)[0] if variant.is_stale else phi), mu

    def loss(step: int) -> Tensor:
        phi, mu = parts()
        law = torch.einsum("bpi,bhis->bhps", phi, mu).clamp(min=1e-9)
        return -variant.sign * (share * law.log()).sum(dim=(1, 2, 3))

    train(learner, loss, steps=steps, rate=0.02, label="features", about=f"{model.digest()}|{variant}", given=[share])
    with torch.no_grad():
        phi, mu = parts()
    return seeds.kept(phi), seeds.kept(mu)


def _learned(model: LinearMDP, seeds: Seeds, data: Sequence[Visits], steps: int, variant: Variant) -> Array:
    """(seeds,) what the policies that were planned with learned features lose against the adversary, in the true model."""
    phi, mu = fitted_factors(model, seeds, data, steps, variant)
    price = model.strength if variant.is_robust else float(model.horizon)
    best = drectangular.plan(model, ADVERSARY[TV], model.strength).value[0, model.start]
    out = []
    for features, factors in zip(phi, mu, strict=True):
        policy = robust_policy(model, features, factors, price)
        out.append(best - drectangular.plan(model, ADVERSARY[TV], model.strength, policy).value[0, model.start])
    return np.array(out)


def robust_policy(model: LinearMDP, features: Array, factors: Array, price: float) -> np.ndarray:
    """(H, S) best against an adversary that pays `price` per total variation, with features (pairs, d), factors (H, d, S), and known rewards."""
    S, H = model.state_count, model.horizon
    rewards = np.einsum("pi,hi->hp", model.pairs, model.theta)
    value, policy = np.zeros(S), np.zeros((H, S), dtype=np.int64)
    for h in range(H - 1, -1, -1):
        worst = factors[h] @ np.minimum(value, value.min() + price)
        q = (rewards[h] + features @ worst).reshape(S, -1)
        policy[h], value = q.argmax(axis=1), q.max(axis=1)
    return policy


# -- claims -------------------------------------------------------------------------------------------------------------------------------


@plugin.run(batched=True, steps=400, samples=400, epsilon=0.02, bits=32, device="cpu", limits=BITS)
def run(
    model: LinearMDP,
    rngs: Sequence[np.random.Generator],
    *,
    steps: int,
    samples: int,
    epsilon: float,
    bits: int,
    device: str,
    variant: Variant = RIGHT,
) -> dict[str, Any]:
    """`samples`: episodes of the data, with random actions; `steps`: gradient steps; `epsilon`: what may be lost in the worst case."""
    behaviour = np.full((model.state_count, model.action_count), 1.0 / model.action_count)
    data = [sample_visits(model, behaviour, samples, rng) for rng in rngs]
    seeds = Seeds(rngs, Machine(device, bits))
    return _compared(model, data, Seeds(rngs, Machine(device, 64)), variant) | {
        "suboptimality": _learned(model, seeds, data, steps, variant)
    }


@plugin.claim("tv_error", holds=Always(), source="section 4, algorithm 1 (TV)", provenance="derived")
def tv_weights_are_the_kernels() -> Any:
    """With given features, torch's weights u_h are the kernel's, to 1e-9 (1 + |u|), for a penalty of total variation."""
    return 1e-9


@plugin.claim("kl_error", holds=Always(), source="section 4, algorithm 1 (KL)", provenance="derived")
def kl_weights_are_the_kernels() -> Any:
    """With given features, torch's weights u_h are the kernel's, to 1e-9 (1 + |u|), for a penalty of KL."""
    return 1e-9


@plugin.claim("suboptimality", holds=WithProbability(0.8), source="ours", provenance="derived")
def learned_features_plan_well(epsilon: Any) -> Any:
    """The policy planned with learned features loses at most epsilon of the best worst-case value, for 4 of 5 seeds."""
    return epsilon


def _mutant(name: str, refuted_by: Sequence[str], description: str, variant: Variant) -> None:
    plugin.mutant(name=name, refuted_by=refuted_by, description=description)(partial(run, variant=variant))


SCALE, WEIGHTS = "learned_features_plan_well", ("tv_weights_are_the_kernels", "kl_weights_are_the_kernels")
_mutant("wrong-sign", (SCALE,), "Makes the data unlikely.", Variant(sign=-1.0))
_mutant("stale-features", (SCALE,), "Features stay what they were at first.", Variant(is_stale=True))
_mutant("no-adversary", (SCALE,), "Plans as if the dynamics were as they were seen.", Variant(is_robust=False))
_mutant("twice-the-ridge", WEIGHTS, "A ridge of 2.", Variant(ridge=2.0))
