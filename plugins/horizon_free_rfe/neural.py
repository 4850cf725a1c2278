"""Reward-free exploration with mixture weights that are learned by gradient: play at random, fit the weights, then plan for any reward.

The paper has no neural version. In torch the features become one tensor, which must give the kernel's plans; and a softmax of logits for the weights is
fitted to what an exploration without rewards has seen. What its plans lose, for every reward of the class, is computed exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from theorylab_plugins.torch_backend.ensemble import Ensemble
from theorylab_plugins.torch_backend.machine import BITS, Machine, Seeds, Tensor, torch
from theorylab_plugins.torch_backend.policies import Tabular
from theorylab_plugins.torch_backend.training import train

from theorylab import Always, Plugin, WithProbability
from theorylab.problems.linear_mixture import LinearMixture, mixture
from theorylab.problems.mixture_files import read_mixture
from theorylab.problems.record import Array
from theorylab.solvers.mixture import best_value, policy_value

plugin = Plugin(
    "horizon-free-rfe-torch",
    api=1,
    title="Reward-free exploration of linear mixtures with weights learned by gradient",
    source='Zhang, Zhang, Gu, "Optimal Horizon-Free Reward-Free Exploration for Linear Mixture MDPs", arXiv 2303.10165; learning by gradient is ours',
)
plugin.reader(read_mixture)

#: Episodes of the exploration after which both planners are compared, and the share of the theorem's radius.
COMPARED, SCALE = 20, 3e-4


def fork(sharp: float) -> LinearMixture:
    """From the first state, action a goes to state 1 + a under most kernels and elsewhere under the others: what is best hangs on the weights."""
    rng = np.random.default_rng(3)
    d, S, A, H = 4, 6, 3, 6
    kernels = rng.dirichlet(np.full(S, 0.15), (d, S, A))
    rewards = np.zeros((S, H, S, A))
    for goal in range(S):
        rewards[goal, H - 1, goal] = 1.0
    return mixture(kernels, rng.dirichlet(np.full(d, sharp)), rewards)


plugin.reference("even-weights", lambda: fork(5.0))
plugin.reference("uneven-weights", lambda: fork(0.4))


@dataclass(frozen=True)
class Variant:
    """What learning really does. The defaults are maximum likelihood; mutants change one of them."""

    sign: float = 1.0
    is_stale: bool = False  # learns from the first episode for ever
    shift: int = 0  # takes a transition for that of the next action
    radius: float = 1.0  # factor on the radius of torch's plans


RIGHT = Variant()


# -- plans --------------------------------------------------------------------------------------------------------------------------------


def _compared(mdp: LinearMixture, rngs: Sequence[np.random.Generator], machine: Machine, variant: Variant) -> tuple[Array, Array]:
    """(seeds,) largest difference in V and W, and how many actions differ, between torch's plans and the kernel's after an exploration."""
    from .exploring import HAT, TILDE, Rules, plan
    from .runs import exploration

    H, S = mdp.rewards.shape[1:3]
    features = machine.tensor(mdp.features)
    off, other = [], []
    for rng in rngs:
        found = exploration(mdp, rng, COMPARED, scale=SCALE)
        series, radius = found.series, float(found.constants.radii[found.episodes])
        parts = (series.center[TILDE, 0], series.inverse[TILDE, 0], series.center[HAT, 0], series.inverse[HAT, 0])
        worst, count = 0.0, 0
        for reward in mdp.rewards:
            value, doubt, policy = np.empty((H + 1, S)), np.empty((H + 1, S)), np.zeros((H, S), dtype=np.int64)
            plan(mdp.sparse, reward, series, radius, Rules(), np.empty(mdp.dimension), value, doubt, policy, np.empty((H, S)))
            mine = planned(features, machine.tensor(reward), [machine.tensor(part) for part in parts], variant.radius * radius)
            worst = max(
                worst, float(np.abs(mine[0].cpu().numpy() - value).max()), float(np.abs(mine[1].cpu().numpy() - doubt).max())
            )
            count += int((mine[2].cpu().numpy() != policy).sum())
        off.append(worst)
        other.append(float(count))
    return np.array(off), np.array(other)


def planned(features: Tensor, reward: Tensor, ellipsoids: Sequence[Tensor], radius: float) -> tuple[Tensor, Tensor, Tensor]:
    """V, W (H + 1, S) and actions (H, S) of optimistic planning for a reward (H, S, A); features (S, A, d, S) give all coordinates at once."""
    H, S, _ = reward.shape
    tilde, tilde_inverse, hat, hat_inverse = ellipsoids  # centres and inverse Gram matrices
    value, doubt = (
        [torch.zeros(S, dtype=reward.dtype, device=reward.device)],
        [torch.zeros(S, dtype=reward.dtype, device=reward.device)],
    )
    actions: list[Tensor] = []
    rows = torch.arange(S, device=reward.device)
    for h in range(H - 1, -1, -1):
        x = features @ value[0]  # (S, A, d)
        size = radius * torch.einsum("sai,ij,saj->sa", x, tilde_inverse, x).clamp(min=0.0).sqrt()
        q = (reward[h] + x @ tilde + size).clamp(0.0, 1.0)
        top = q.max(dim=1, keepdim=True).values
        best = (q >= top - 1e-12).to(torch.int8).argmax(dim=1)  # the first of equals
        y = (features @ doubt[0])[rows, best]
        more = (
            size[rows, best].clamp(max=1.0)
            + y @ hat
            + radius * torch.einsum("si,ij,sj->s", y, hat_inverse, y).clamp(min=0.0).sqrt()
        )
        value.insert(0, q[rows, best])
        doubt.insert(0, more.clamp(0.0, 1.0))
        actions.insert(0, best)
    return torch.stack(value), torch.stack(doubt), torch.stack(actions)


# -- learned weights ----------------------------------------------------------------------------------------------------------------------


def _kernels(mdp: LinearMixture) -> Array:
    """(S, A, d, S) proper kernels: features divided by what each sums to."""
    mass = mdp.features.sum(axis=3, keepdims=True)
    return np.asarray(mdp.features / np.where(mass > 0.0, mass, 1.0))


def _explored(mdp: LinearMixture, seeds: Seeds, episodes: int, variant: Variant) -> Tensor:
    """(seeds, S, A, S) how often each transition was seen in episodes of random actions, which know no reward."""
    (S, A), H = mdp.features.shape[:2], mdp.horizon
    E = 1 if variant.is_stale else episodes
    u = seeds.tensor(lambda rng: rng.random((episodes, H, 2)))[:, :E]
    cumulative = seeds.machine.tensor(np.cumsum(mdp.transition.reshape(S, A, S), axis=2))
    seen = torch.zeros((seeds.width, S * A * S), dtype=u.dtype, device=u.device)
    state = torch.full((seeds.width, E), mdp.start, dtype=torch.int64, device=u.device)
    for h in range(H):
        action = (u[:, :, h, 0] * A).long().clamp(max=A - 1)
        after = (u[:, :, h, 1, None] > cumulative[state, action]).sum(dim=2).clamp(max=S - 1)
        seen.scatter_add_(1, (state * A + (action + variant.shift) % A) * S + after, torch.ones_like(u[:, :, h, 0]))
        state = after
    return seen.reshape(-1, S, A, S)


def _learned(mdp: LinearMixture, seeds: Seeds, seen: Tensor, steps: int, variant: Variant) -> Array:
    """(seeds, S, A, S) transition laws with the fitted weights."""
    kernels = seeds.machine.tensor(_kernels(mdp))
    learner = Ensemble(Tabular(1, mdp.dimension), seeds)
    only = torch.zeros(1, dtype=torch.int64, device=seen.device)
    share = seen / seen.sum(dim=(1, 2, 3), keepdim=True)

    def law() -> Tensor:
        weights = torch.softmax(learner(only, shared=True)[:, 0], dim=-1)
        return torch.einsum("bi,saip->bsap", weights, kernels)

    def loss(step: int) -> Tensor:
        return -variant.sign * (share * law().clamp(min=1e-12).log()).sum(dim=(1, 2, 3))

    train(learner, loss, steps=steps, rate=0.1, label="mixture weights", about=f"{mdp.digest()}|{variant}", given=[share])
    with torch.no_grad():
        return seeds.kept(law())


def _lost(mdp: LinearMixture, laws: Array) -> Array:
    """(seeds,) the most that plans with these laws lose, over all rewards: exact values by dynamic programming."""
    H, S, A = mdp.rewards.shape[1:]
    best, own, model = np.empty((H + 1, S)), np.empty((H + 1, S)), np.empty((H + 1, S))
    policy, other = np.zeros((H, S), dtype=np.int64), np.zeros((H, S), dtype=np.int64)
    out = np.zeros(len(laws))
    for b, law in enumerate(laws):
        for reward in mdp.rewards:
            best_value(np.ascontiguousarray(law.reshape(S * A, S)), reward, model, policy)
            policy_value(mdp.transition, reward, policy, own)
            best_value(mdp.transition, reward, best, other)
            out[b] = max(out[b], best[0, mdp.start] - own[0, mdp.start])
    return out


# -- claims -------------------------------------------------------------------------------------------------------------------------------


@plugin.run(batched=True, steps=150, episodes=200, epsilon=0.01, bits=32, device="cpu", limits=BITS)
def run(
    mdp: LinearMixture,
    rngs: Sequence[np.random.Generator],
    *,
    steps: int,
    episodes: int,
    epsilon: float,
    bits: int,
    device: str,
    variant: Variant = RIGHT,
) -> dict[str, Any]:
    """`steps`: gradient steps; `episodes`: of the exploration; `epsilon`: what plans with the learned weights may lose."""
    value_error, policy_error = _compared(mdp, rngs, Machine(device, 64), variant)
    seeds = Seeds(rngs, Machine(device, bits))
    return {
        "value_error": value_error,
        "policy_error": policy_error,
        "largest_loss": _lost(mdp, _learned(mdp, seeds, _explored(mdp, seeds, episodes, variant), steps, variant)),
    }


@plugin.claim("value_error", holds=Always(), source="algorithm 4, planning phase", provenance="derived")
def plans_have_the_kernels_values() -> Any:
    """After the same exploration, V and W of torch's plans are the kernel's for every reward, to 1e-9."""
    return 1e-9


@plugin.claim("policy_error", holds=Always(), source="algorithm 4, planning phase", provenance="derived")
def plans_have_the_kernels_actions() -> Any:
    """After the same exploration, torch plans the kernel's action in every state of every step."""
    return 0.0


@plugin.claim("largest_loss", holds=WithProbability(0.8), source="ours", provenance="derived")
def learned_weights_plan_for_any_reward(epsilon: Any) -> Any:
    """Plans with the learned weights lose at most epsilon of the best value, whatever reward of the class is asked for, for 4 of 5 seeds."""
    return epsilon


def _mutant(name: str, refuted_by: Sequence[str], description: str, variant: Variant) -> None:
    plugin.mutant(name=name, refuted_by=refuted_by, description=description)(partial(run, variant=variant))


SCALED, VALUES, ACTIONS = "learned_weights_plan_for_any_reward", "plans_have_the_kernels_values", "plans_have_the_kernels_actions"
_mutant("wrong-sign", (SCALED,), "Makes what was seen unlikely.", Variant(sign=-1.0))
_mutant("stale-data", (SCALED,), "Learns from the first episode for ever.", Variant(is_stale=True))
_mutant("action-of-another", (SCALED,), "Books transitions under the next action.", Variant(shift=1))
_mutant("no-bonus", (VALUES, ACTIONS), "Plans as if nothing were uncertain.", Variant(radius=0.0))
