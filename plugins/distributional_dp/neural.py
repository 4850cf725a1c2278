"""The stock-augmented agent with networks: a law for each state, stock and action, kept as categories or as quantiles.

Dynamics ignore the stock, so that every transition may be relabelled with any stock; here each step takes states and stocks at random, all
actions, and the full expectation over successors. The paper's network, loss and sizes could not be confirmed: these are ours. Policies are judged
exactly, in the model whose stocks are rounded to the grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from theorylab_plugins.torch_backend.ensemble import Ensemble, copy_of
from theorylab_plugins.torch_backend.machine import BITS, Machine, Seeds, Tensor, torch
from theorylab_plugins.torch_backend.policies import MLP
from theorylab_plugins.torch_backend.training import Noise, train

from theorylab import Always, Plugin, WithProbability
from theorylab.errors import InstanceError
from theorylab.problems.mdp import END, MDP, from_table
from theorylab.problems.mdp_files import read_mdp
from theorylab.problems.record import Array
from theorylab.solvers.stock import CATEGORICAL, QUANTILE, SHORTFALL, StockGrid, StockLawIteration, Utility, stock_values

plugin = Plugin(
    "distributional-dp-torch",
    api=1,
    title="Stock-augmented distributional agents with neural laws",
    source='Avila Pires et al., "Optimizing Return Distributions with Distributional Dynamic Programming", arXiv 2501.13028; networks are ours',
)
plugin.reader(read_mdp)

#: Stocks on the grid, atoms and quantiles of a law, (state, stock) pairs of a step, steps between two copies of the target network.
STOCKS, ATOMS, QUANTILES, BATCH, REFRESH = 21, 21, 11, 16, 30

#: Half width of the quadratic part of the Huber loss, and sweeps that both tables are compared over.
HUBER, COMPARED = 0.05, 6

#: E min(c + G, 0): what CVaR is made of. A policy must know how much it may still lose.
UTILITY = SHORTFALL

plugin.reference("bets", lambda: bets(4))
plugin.reference("slippery-grid", lambda: slippery_grid())


def bets(rounds: int) -> MDP:
    """In each round, a small sure gain, or a bet that pays more on average: worth it where the loss is covered, or the gain is needed."""
    table = []
    for s in range(rounds):
        to = s + 1 if s + 1 < rounds else END
        table.append([[(1.0, 0.5, to)], [(0.7, 1.5, to), (0.3, -1.0, to)]])
    return from_table(table, 1.0)


def slippery_grid() -> MDP:
    """3 x 3: from the lower left to the upper right past a pit in the middle; a step goes aside with probability .2."""
    goal, pit, moves = (0, 2), (1, 1), ((-1, 0), (0, 1), (1, 0), (0, -1))
    cells = [(i, j) for i in range(3) for j in range(3) if (i, j) not in (goal, pit)]

    def outcome(cell: tuple[int, int], move: tuple[int, int]) -> tuple[float, int]:
        at = (min(max(cell[0] + move[0], 0), 2), min(max(cell[1] + move[1], 0), 2))
        if at in (goal, pit):
            return (1.0 if at == goal else -1.0), END
        return -0.04, cells.index(at)

    table = [
        [[(p, *outcome(cell, moves[(a + turn) % 4])) for p, turn in ((0.8, 0), (0.1, 1), (0.1, 3))] for a in range(4)]
        for cell in cells
    ]
    return from_table(table, 0.9, start=cells.index((2, 0)))


@dataclass(frozen=True)
class Variant:
    """What training really does. The defaults are the agent; mutants change one of them."""

    sign: float = 1.0
    refreshes: bool = True  # the target network
    is_neutral: bool = False  # greedy on means in place of the utility
    sharp: float = 1.0  # what logits are multiplied by in the loss, and nowhere else
    upper: float = 1.0  # factor on the share of the upper neighbour in the table's projection


RIGHT = Variant()


class _Model:
    """An MDP with stocks as tensors: for each state, action, outcome its probability (S, A, k), reward, and where it leads."""

    def __init__(self, mdp: MDP, machine: Machine) -> None:
        S, A = mdp.state_count, mdp.action_count
        k = int(np.diff(mdp.offsets).max())
        probability, reward, successor = np.zeros((S, A, k)), np.zeros((S, A, k)), np.full((S, A, k), S, dtype=np.int64)
        for s in range(S):
            for a in range(A):
                at = mdp.outcomes_of(s, a)
                n = at.stop - at.start
                probability[s, a, :n], reward[s, a, :n] = mdp.probabilities[at], mdp.rewards[at]
                successor[s, a, :n] = np.where(mdp.successors[at] == END, S, mdp.successors[at])
        low, high = extremes(reward, successor, probability, mdp.discount)
        self.grid = StockGrid(-high, (high - low) / (STOCKS - 1), STOCKS)
        self.mdp, self.states, self.actions, self.machine = mdp, S, A, machine
        self.atoms = np.linspace(low, high, ATOMS)
        self.sweeps = steps_of(mdp) or math.ceil(math.log(1e-14) / math.log(mdp.discount))
        stocks = self.grid.stocks
        following = (stocks[None, None, :, None] + reward[:, :, None]) / mdp.discount
        self.next_index = self.grid.index(following)  # (S, A, C, k)
        # Beyond the grid f sees one of its slopes alone, which the account of values goes on with.
        below, above = np.minimum(following - stocks[0], 0.0), np.maximum(following - stocks[-1], 0.0)
        self.beyond = UTILITY.down * below + UTILITY.up * above
        # What is earned in the rounded model: the reward that leads exactly to the stock that is played with.
        landed = stocks[self.next_index] + below + above
        self.rounded_reward = machine.tensor((mdp.discount * landed - stocks[:, None]).transpose(0, 2, 1, 3))  # (S, C, A, k)
        self.numpy = probability, reward, successor
        self.probability, self.reward, self.successor = map(machine.tensor, self.numpy)
        self.stocks, self.next_stock = machine.tensor(stocks), machine.tensor(self.next_index)

    def worth(self, policy: Array) -> Array:
        """(N, C) E f(c + G) at the start with each of the grid's stocks, of policies (N, S, C): a linear system of the rounded model, solved by sweeps."""
        probability, _, successor = self.numpy
        factor = UTILITY.factor(self.mdp.discount)
        N, S, C = policy.shape
        s, c = np.arange(S)[None, :, None], np.arange(C)[None, None, :]
        p, to, at = probability[s, policy], successor[s, policy], self.next_index[s, policy, c]  # (N, S, C, k)
        beyond = self.beyond[s, policy, c]
        value = np.broadcast_to(UTILITY(self.grid.stocks), (N, S + 1, C)).copy()
        n = np.arange(N)[:, None, None, None]
        for _ in range(self.sweeps):  # always as many, so that no policy's worth depends on those beside it
            value[:, :S] = factor * (p * (value[n, to, at] + beyond)).sum(axis=3)
        return np.asarray(value[:, self.mdp.start])

    def projected(self, x: Tensor, weight: Tensor, upper: float = 1.0) -> Tensor:
        """(..., m) weights on the atoms of laws with mass `weight` (..., n) at x (..., n): each is shared between its neighbours."""
        low, spacing = float(self.atoms[0]), float(self.atoms[1] - self.atoms[0])
        y = ((x - low) / spacing).clamp(0.0, ATOMS - 1.0)
        cell = y.floor().clamp(max=ATOMS - 2.0)
        share = y - cell
        out = torch.zeros((*x.shape[:-1], ATOMS), dtype=x.dtype, device=x.device)
        out.scatter_add_(-1, cell.long(), weight * (1.0 - share))
        return out.scatter_add_(-1, cell.long() + 1, upper * weight * share)


def steps_of(mdp: MDP) -> int | None:
    """Steps after which every episode has ended, where there is no discount; raises InstanceError where they do not end in time."""
    if mdp.discount < 1.0:
        return None
    S = mdp.state_count
    if (
        (mdp.successors != END)
        & (mdp.successors <= np.repeat(np.arange(S * mdp.action_count), np.diff(mdp.offsets)) // mdp.action_count)
    ).any():
        raise InstanceError(
            "discount 1: episodes have to end. Number the states so that each leads to later ones alone, or set --set discount=0.95."
        )
    return S


def extremes(reward: Array, successor: np.ndarray, probability: Array, discount: float) -> tuple[float, float]:
    """The lowest and the highest return there is, 0 between them: by sweeps over outcomes whose probability is positive."""
    S = len(reward)
    low, high = np.zeros(S + 1), np.zeros(S + 1)
    for _ in range(10_000):
        before = low.copy(), high.copy()
        low[:S] = np.where(probability > 0.0, reward + discount * low[successor], np.inf).min(axis=(1, 2))
        high[:S] = np.where(probability > 0.0, reward + discount * high[successor], -np.inf).max(axis=(1, 2))
        if max(np.abs(low - before[0]).max(), np.abs(high - before[1]).max()) < 1e-12:
            break
    return min(float(low.min()), 0.0), max(float(high.max()), 0.0)


def utility(x: Tensor) -> Tensor:
    """f."""
    return torch.where(x >= 0.0, UTILITY.up * x + UTILITY.jump, UTILITY.down * x)


def _compared(model: _Model, count: int, variant: Variant) -> dict[str, Array]:
    """Errors of torch's categorical sweeps against the kernel's, and of cross entropy's gradient at the projected target. No seed matters here."""
    grid, atoms = model.grid, model.machine.tensor(model.atoms)
    kernel = StockLawIteration(model.mdp, Utility(UTILITY.up, UTILITY.down, UTILITY.jump), grid, CATEGORICAL, model.atoms)
    laws = model.machine.tensor(kernel.laws.copy())
    gap, slope = 0.0, 0.0
    for _ in range(COMPARED):
        kernel.sweep()
        target = categorical_target(model, laws, variant.upper)  # (S, C, A, m)
        worth = (target * utility(model.stocks[None, :, None, None] + atoms)).sum(dim=-1)
        best = first_best(worth)
        laws = target.gather(2, best[..., None, None].expand(*best.shape, 1, ATOMS))[:, :, 0]
        gap = max(gap, float(np.abs(laws.cpu().numpy() - kernel.laws).max()))
        logits = laws.clamp(min=1e-300).log().requires_grad_()
        (gradient,) = torch.autograd.grad(-(laws * torch.log_softmax(variant.sharp * logits, dim=-1)).sum(), logits)
        slope = max(slope, float(gradient.abs().max()))
    return {"sweep_error": np.full(count, gap), "entropy_gradient": np.full(count, slope)}


def first_best(worth: Tensor) -> Tensor:
    """(...) index of the first action that is best up to rounding, as the kernel chooses it."""
    top = worth.max(dim=-1, keepdim=True).values
    return (worth >= top - 1e-12 * (1.0 + top.abs())).to(torch.int8).argmax(dim=-1)


def categorical_target(model: _Model, laws: Tensor, upper: float = 1.0) -> Tensor:
    """(S, C, A, m) projected backups of laws (S, C, m) on the atoms, at every state, stock and action."""
    ended = torch.zeros((1, STOCKS, ATOMS), dtype=laws.dtype, device=laws.device)
    zero = torch.zeros((1, STOCKS, 1), dtype=laws.dtype, device=laws.device)
    ended = ended + model.projected(
        zero, torch.ones_like(zero)
    )  # a law that has ended stays at 0: projected after the reward, below
    padded = torch.cat([laws, ended])
    to, there = model.successor[:, None], model.next_stock.transpose(1, 2)  # (S, 1, A, k), (S, C, A, k)
    following = padded[to, there]  # (S, C, A, k, m)
    goes_on = (model.successor < model.states)[:, None, :, :, None]
    atoms = model.machine.tensor(model.atoms)
    x = model.reward[:, None, :, :, None] + torch.where(goes_on, model.mdp.discount * atoms, torch.zeros_like(atoms))
    weight = model.probability[:, None, :, :, None] * following
    x = x.expand_as(weight)
    return model.projected(x.reshape(*weight.shape[:3], -1), weight.reshape(*weight.shape[:3], -1), upper)


def _trained(model: _Model, seeds: Seeds, steps: int, kind: int, variant: Variant) -> np.ndarray:
    """(seeds, S, C) greedy policies after training."""
    S, A, C, machine = model.states, model.actions, STOCKS, seeds.machine
    m = ATOMS if kind == CATEGORICAL else QUANTILES
    spread = float(np.abs(model.grid.stocks).max())
    features = torch.cat(
        [
            torch.eye(S, dtype=machine.dtype, device=machine.device)[:, None].expand(S, C, S),
            (model.stocks / spread)[None, :, None].expand(S, C, 1),
        ],
        dim=2,
    ).reshape(S * C, S + 1)
    atoms, levels = machine.tensor(model.atoms), machine.tensor((np.arange(m) + 0.5) / m)

    def network() -> MLP:
        return MLP(S + 1, A * m, (48,))

    learner = Ensemble(network(), seeds)
    target = copy_of(learner, network(), seeds)
    noise = Noise(seeds, (BATCH,))

    def laws(model_of: Ensemble) -> Tensor:
        """(seeds, S, C, A, m): logits of categories, or quantiles."""
        return model_of(features, shared=True).reshape(-1, S, C, A, m)

    def worth(law: Tensor) -> Tensor:
        """(seeds, S, C, A) of what a network says."""
        c = model.stocks[:, None, None]
        x = atoms if kind == CATEGORICAL else law
        value = x if variant.is_neutral else utility(c + x)
        return (torch.softmax(law, dim=-1) * value).sum(dim=-1) if kind == CATEGORICAL else value.mean(dim=-1)

    cached: list[Tensor] = []

    def refresh() -> None:
        """The laws that are followed where an outcome leads, under the target's greedy action; those that have ended stay at 0."""
        with torch.no_grad():
            law = laws(target)
            best = worth(law).argmax(dim=-1)
            chosen = law.gather(3, best[..., None, None].expand(*best.shape, 1, m))[:, :, :, 0]
            chosen = torch.softmax(chosen, dim=-1) if kind == CATEGORICAL else chosen
            ended = torch.zeros_like(chosen[:, :1])
            cached[:] = [torch.cat([chosen, ended], dim=1)]

    def after(step: int) -> None:
        if variant.refreshes and step % REFRESH == REFRESH - 1:
            target.copy_from(learner)
            cached.clear()

    def loss(step: int) -> Tensor:
        if not cached:
            refresh()
        (u,) = noise.at(step)
        pair = (u * (S * C)).long().clamp(max=S * C - 1)  # (seeds, B)
        s, c = pair // C, pair % C
        law = learner(features[pair]).reshape(len(u), BATCH, A, m)
        with torch.no_grad():
            to, there = model.successor[s], model.next_stock.transpose(1, 2)[s, c]  # (seeds, B, A, k)
            seed = torch.arange(len(u), device=u.device)[:, None, None, None]
            following = cached[0][seed, to, there]  # (seeds, B, A, k, m)
            goes_on = (to < S)[..., None]
            reward, p = model.rounded_reward[s, c][..., None], model.probability[s][..., None]
            if kind == CATEGORICAL:
                x = reward + torch.where(goes_on, model.mdp.discount * atoms, torch.zeros_like(atoms))
                mass = p * torch.where(goes_on, following, torch.full_like(following, 1.0 / m))
                wanted = model.projected(x.reshape(len(u), BATCH, A, -1), mass.reshape(len(u), BATCH, A, -1))
            else:
                x = reward + torch.where(goes_on, model.mdp.discount * following, torch.zeros_like(following))
                mass = (p / m).expand_as(x).reshape(len(u), BATCH, A, 1, -1)
                x = x.reshape(len(u), BATCH, A, 1, -1)
        if kind == CATEGORICAL:
            return -variant.sign * (wanted * torch.log_softmax(variant.sharp * law, dim=-1)).sum(dim=-1).mean(dim=(1, 2))
        off = x - law[..., None]  # (seeds, B, A, m, k m)
        huber = torch.nn.functional.huber_loss(off, torch.zeros_like(off), reduction="none", delta=HUBER) / HUBER
        side = (levels[:, None] - (off < 0.0).to(law.dtype)).abs()
        return variant.sign * (mass * side * huber).sum(dim=(-1, -2)).mean(dim=(1, 2))

    train(
        learner, loss, steps=steps, rate=0.01, noise=noise, others=[target], after=after, label="laws",
        about=f"{model.mdp.digest()}|{kind}|{variant}",
    )  # fmt: skip
    with torch.no_grad():
        return np.asarray(worth(laws(learner)).argmax(dim=-1)[: seeds.count].cpu().numpy())


# -- claims -------------------------------------------------------------------------------------------------------------------------------


@plugin.run(batched=True, steps=600, epsilon=0.045, bits=32, device="cpu", limits=BITS)
def run(
    mdp: MDP, rngs: Sequence[np.random.Generator], *, steps: int, epsilon: float, bits: int, device: str, variant: Variant = RIGHT
) -> dict[str, Any]:
    """Two networks per seed. `steps`: gradient steps; `epsilon`: what their policies may lose."""
    out = _compared(_Model(mdp, Machine(device, 64)), len(rngs), variant)
    model, seeds = _Model(mdp, Machine(device, bits)), Seeds(rngs, Machine(device, bits))
    best = stock_values(mdp, UTILITY, model.grid, steps=steps_of(mdp)).value[mdp.start]
    for kind, name in ((CATEGORICAL, "categorical_gap"), (QUANTILE, "quantile_gap")):
        policy = _trained(model, seeds, steps, kind, variant)
        out[name] = (best - model.worth(policy)).mean(axis=1)
    return out


@plugin.claim("sweep_error", holds=Always(), source="distributional value iteration on a grid of stocks", provenance="derived")
def tables_follow_the_kernel() -> Any:
    """Greedy sweeps of categorical laws in torch are the kernel's, to 1e-9 in every weight."""
    return 1e-9


@plugin.claim("entropy_gradient", holds=Always(), source="cross entropy to the projected target", provenance="derived")
def entropy_is_least_at_the_target() -> Any:
    """Cross entropy of a softmax to the projected target has no slope where the softmax is the target, to 1e-12."""
    return 1e-12


@plugin.claim("categorical_gap", holds=WithProbability(0.8), source="ours", provenance="derived")
def categories_find_good_policies(epsilon: Any) -> Any:
    """The greedy policy of the categorical network loses at most epsilon of E min(c + G, 0), averaged over stocks, for 4 of 5 seeds."""
    return epsilon


@plugin.claim("quantile_gap", holds=WithProbability(0.8), source="ours", provenance="derived")
def quantiles_find_good_policies(epsilon: Any) -> Any:
    """The greedy policy of the quantile network loses at most epsilon of E min(c + G, 0), averaged over stocks, for 4 of 5 seeds."""
    return epsilon


def _mutant(name: str, refuted_by: Sequence[str], description: str, variant: Variant) -> None:
    plugin.mutant(name=name, refuted_by=refuted_by, description=description)(partial(run, variant=variant))


SCALE = ("categories_find_good_policies", "quantiles_find_good_policies")
_mutant("wrong-sign", SCALE, "Climbs the loss.", Variant(sign=-1.0))
_mutant("stale-target", SCALE, "Follows the first target network for ever.", Variant(refreshes=False))
_mutant("risk-neutral", SCALE, "Greedy for the mean return.", Variant(is_neutral=True))
_mutant("sharp-loss", ("entropy_is_least_at_the_target",), "The loss takes the logits times 3.", Variant(sharp=3.0))
_mutant("half-the-upper-neighbour", ("tables_follow_the_kernel",), "Half of what the upper atom is due.", Variant(upper=0.5))
