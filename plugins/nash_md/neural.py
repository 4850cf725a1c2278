"""Nash-MD as policy gradient with networks: contextual games, and games of token sequences that are short enough to enumerate.

The paper has tables and large language models; the sizes, networks and thresholds here are ours. What is judged is exact all the same: the
fixed point of the policy gradient against the mixture pi^(1-beta) mu^beta is a policy whose mixture is the equilibrium of the game with
tau / (1 - beta), so that the mixture's exploitability in that game, summed over every response, tells how far training has come.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar

import numpy as np
from theorylab_plugins.torch_backend.ensemble import Ensemble, copy_of
from theorylab_plugins.torch_backend.machine import BITS, Machine, Seeds, Tensor, torch
from theorylab_plugins.torch_backend.policies import MLP, Transformer
from theorylab_plugins.torch_backend.training import Noise, train

from theorylab import Always, Instance, Plugin, WithProbability
from theorylab.errors import InstanceError
from theorylab.problems.preference_game import PreferenceGame
from theorylab.problems.record import Array
from theorylab.solvers.mirror_descent import mirror_descent

plugin = Plugin(
    "nash-md-torch",
    api=1,
    title="Nash-MD with neural policies: policy gradient against the mixture",
    source='Munos et al., "Nash Learning from Human Feedback", ICML 2024, arXiv 2312.00886; networks and thresholds are ours',
)

#: Sequences that are enumerated: the exploitability takes a few arrays of this length for each seed.
MOST_SEQUENCES = 100_000

#: Sequences that a network is asked about at once.
AT_ONCE = 1024

#: Pairs of sequences that a gradient is estimated from.
PAIRS = 32

#: Steps of mirror descent that the tables of both implementations are compared over.
COMPARED = 20


@dataclass(frozen=True, eq=False)
class SequenceGame(Instance):
    """A preference game whose actions are sequences of tokens: P(y > y') = 1/2 + phi(y) . skew[x] phi(y') / 2.

    features   (X, d)        of the contexts
    tokens     (L, V, r)     what token v at place k adds to phi
    pairs      (V, V, r)     what two neighbours add
    skew       (X, r, r)     antisymmetric, spectral norm at most 1; phi is cut to length 1
    reference  (X, V + 1, V) logits of the reference policy after each token; the last row begins a sequence
    tau        float > 0     weight of the KL term
    """

    kind: ClassVar[str] = "sequence-game"

    features: Array
    tokens: Array
    pairs: Array
    skew: Array
    reference: Array
    tau: float = 0.2

    def __post_init__(self) -> None:
        X, _ = self.frozen_array("features", (None, None)).shape
        L, V, r = self.frozen_array("tokens", (None, None, None)).shape
        self.frozen_array("pairs", (V, V, r))
        skew = self.frozen_array("skew", (X, r, r))
        self.frozen_array("reference", (X, V + 1, V))
        if V**L > MOST_SEQUENCES:
            raise InstanceError(f"tokens: {V} ^ {L} sequences, at most {MOST_SEQUENCES} are enumerated. Shorten them.")
        if np.abs(skew + skew.transpose(0, 2, 1)).max() > 1e-12 or np.linalg.norm(skew, 2, axis=(1, 2)).max() > 1.0 + 1e-9:
            raise InstanceError("skew: each must be antisymmetric, with spectral norm at most 1.")
        if not (isinstance(self.tau, (int, float)) and math.isfinite(self.tau) and self.tau > 0.0):
            raise InstanceError(f"tau = {self.tau!r} must be positive and finite.")

    @property
    def length(self) -> int:
        """L."""
        return self.tokens.shape[0]

    @property
    def vocabulary(self) -> int:
        """V."""
        return self.tokens.shape[1]

    @cached_property
    def sequences(self) -> np.ndarray:
        """(n, L) every sequence, the last token counting fastest."""
        return np.stack(np.unravel_index(np.arange(self.vocabulary**self.length), (self.vocabulary,) * self.length), axis=1)

    @cached_property
    def phi(self) -> Array:
        """(n, r) features of the sequences, none longer than 1."""
        y = self.sequences
        phi = sum(self.tokens[k, y[:, k]] for k in range(self.length)) / self.length
        if self.length > 1:
            phi = phi + sum(self.pairs[y[:, k], y[:, k + 1]] for k in range(self.length - 1)) / (self.length - 1)
        return np.asarray(phi / np.maximum(1.0, np.linalg.norm(phi, axis=1, keepdims=True)))

    @cached_property
    def log_reference(self) -> Array:
        """(X, n) of the sequences."""
        z = self.reference - self.reference.max(axis=2, keepdims=True)
        log_next = z - np.log(np.exp(z).sum(axis=2, keepdims=True))
        y = self.sequences
        before = np.concatenate([np.full((len(y), 1), self.vocabulary), y[:, :-1]], axis=1)
        return np.asarray(log_next[:, before, y].sum(axis=2))

    def win_rates(self, policy: Array) -> Array:
        """(..., X, n) of every sequence against policies (..., X, n)."""
        mean = policy @ self.phi
        return np.asarray(0.5 + 0.5 * np.einsum("nr,xrs,...xs->...xn", self.phi, self.skew, mean, optimize=True))

    def exploitability(self, log_policy: Array, tau: float) -> Array:
        """(...) what a best response gains, averaged over contexts, each side paying tau KL from the reference; in closed form."""
        z = self.log_reference + self.win_rates(np.exp(log_policy)) / tau
        top = z.max(axis=-1)
        best = tau * (top + np.log(np.exp(z - top[..., None]).sum(axis=-1)))
        paid = tau * (np.exp(log_policy) * (log_policy - self.log_reference)).sum(axis=-1)
        return np.asarray((best + paid - 0.5).mean(axis=-1))

    def table(self) -> PreferenceGame:
        """The game written out, for few sequences."""
        P = 0.5 + 0.5 * np.einsum("nr,xrs,ms->xnm", self.phi, self.skew, self.phi)
        return PreferenceGame(P, self.log_reference, self.tau)


def cyclic_game(rng: np.random.Generator, *, contexts: int, vocabulary: int, length: int, tau: float) -> SequenceGame:
    """Directions in a plane, each of which beats those a quarter turn behind it; every other context turns the other way.

    Such a cycle and a reference far from uniform are what tells Nash-MD from its broken variants: where one answer is best whatever the
    opponent does, nothing depends on the opponent.
    """
    angles = 2.0 * np.pi * np.arange(vocabulary) / vocabulary + rng.uniform(0.0, 2.0 * np.pi, (length, 1))
    tokens = np.stack([np.cos(angles), np.sin(angles)], axis=2)
    turn = np.array([[0.0, 1.0], [-1.0, 0.0]])
    skew = np.where(np.arange(contexts) % 2, -1.0, 1.0)[:, None, None] * turn
    pairs = 3.0 * rng.normal(size=(vocabulary, vocabulary, 2))
    features, reference = rng.normal(size=(contexts, 4)), 1.5 * rng.normal(size=(contexts, vocabulary + 1, vocabulary))
    return SequenceGame(features, tokens if length == 1 else 3.0 * tokens, pairs, skew, reference, tau)


plugin.reference("contexts", lambda: cyclic_game(np.random.default_rng(4), contexts=4, vocabulary=5, length=1, tau=0.1))
plugin.reference("sequences", lambda: cyclic_game(np.random.default_rng(4), contexts=1, vocabulary=4, length=3, tau=0.1))


@dataclass(frozen=True)
class Variant:
    """What training really does. The defaults are Nash-MD; mutants change one of them."""

    sign: float = 1.0
    mixes: bool = True
    is_stale: bool = False  # the opponent is the policy of the first step
    weighs: bool = True  # sampled opponents are weighted to be draws of the mixture
    kl: float = 1.0  # factor on the KL term
    pull: float = 1.0  # factor on the mixture's exponent in the comparison with tables


RIGHT = Variant()


# -- tables -------------------------------------------------------------------------------------------------------------------------------


def _compared(game: SequenceGame, seeds: Seeds, mixing: float, variant: Variant) -> dict[str, Array]:
    """Errors of torch's table against the kernel's trace, and of its gradient against the enumerated one."""
    from .gradient import enumerated_gradient

    table, n = game.table(), len(game.phi)
    start = seeds.draw(lambda rng: rng.normal(0.0, 1.0, (len(game.features), n)))
    start -= np.logaddexp.reduce(start, axis=-1, keepdims=True)
    eta: Array = np.asarray(2.0 / (game.tau * (np.arange(COMPARED) + 2.0)), dtype=np.float64)
    wanted = mirror_descent(table, start, eta * game.tau, eta).log_policies
    got = regression_trace(seeds.machine.tensor(start), table, eta, seeds.machine, variant)
    trace_error = np.abs(got - wanted).max(axis=(0, 2, 3))
    logits = seeds.machine.tensor(start).requires_grad_()
    P, log_mu = seeds.machine.tensor(table.preference), seeds.machine.tensor(game.log_reference)
    log_policy = torch.log_softmax(logits, dim=-1)
    opponent = _mixture(log_policy.detach(), log_mu, mixing if variant.mixes else 0.0)
    wins = torch.einsum("xyz,sxz->sxy", P, opponent.exp())
    gain = variant.sign * (log_policy.exp() * (wins - variant.kl * game.tau * (log_policy - log_mu))).sum()
    (gradient,) = torch.autograd.grad(gain, logits)
    exact = np.array(
        [
            [
                enumerated_gradient(p, row, mu, game.tau, mixing)
                for p, row, mu in zip(table.preference, rows, game.log_reference, strict=True)
            ]
            for rows in start
        ]
    )
    gradient_error = np.abs(gradient.cpu().numpy() - exact).max(axis=(1, 2))
    return {"trace_error": trace_error[: seeds.count], "gradient_error": gradient_error[: seeds.count]}


def regression_trace(log_start: Tensor, table: PreferenceGame, eta: Array, machine: Machine, variant: Variant) -> np.ndarray:
    """(T + 1, seeds, X, n) log-policies of plain gradient steps on the regression loss of logits.

    L = 1/n^2 sum over pairs of ((l_y - l_y') - (r_y - r_y') / tau)^2 with l = log pi / mu and r the win rates against the mixture, held still.
    A step of size eta tau n / 4 is exactly a step of Nash-MD with rate eta, whose mixture has the exponent eta tau.
    """
    P, log_mu = machine.tensor(table.preference), machine.tensor(table.log_reference)
    logits, n, trace = log_start.clone().requires_grad_(), log_start.shape[-1], [log_start]
    for rate in eta.tolist():
        log_policy = torch.log_softmax(logits, dim=-1)
        opponent = _mixture(log_policy.detach(), log_mu, variant.pull * rate * table.tau if variant.mixes else 0.0)
        target = torch.einsum("xyz,sxz->sxy", P, opponent.exp()) / table.tau
        d = log_policy - log_mu - target
        loss = ((d[..., :, None] - d[..., None, :]) ** 2).sum(dim=(-1, -2)) / n**2
        (gradient,) = torch.autograd.grad(loss.sum(), logits)
        logits = (logits - variant.sign * rate * table.tau * n / 4.0 * gradient).detach().requires_grad_()
        trace.append(torch.log_softmax(logits.detach(), dim=-1))
    return torch.stack(trace).cpu().numpy()


def _mixture(log_policy: Tensor, log_reference: Tensor, mixing: float) -> Tensor:
    return torch.log_softmax((1.0 - mixing) * log_policy + mixing * log_reference, dim=-1)


# -- networks -----------------------------------------------------------------------------------------------------------------------------


def _network(game: SequenceGame) -> torch.nn.Module:
    features = game.features.shape[1]
    if game.length == 1:
        return MLP(features, game.vocabulary)
    return Transformer(features, game.vocabulary, game.length)


class _Learner:
    """The networks of all seeds in a game, and what they say of sequences."""

    def __init__(self, game: SequenceGame, seeds: Seeds) -> None:
        self.game, self.seeds, m = game, seeds, seeds.machine
        self.features, self.phi, self.skew = m.tensor(game.features), m.tensor(game.phi), m.tensor(game.skew)
        self.log_mu, self.sequences = m.tensor(game.log_reference), m.tensor(game.sequences)
        self.log_reference_next = torch.log_softmax(m.tensor(game.reference), dim=-1)
        self.network = Ensemble(_network(game), seeds)

    def log_next(self, network: Ensemble, tokens: Tensor, *, shared: bool = False) -> Tensor:
        """(seeds, rows, L, V) log-probabilities of the next token: the reference's logits, to which the network adds."""
        rows = tokens.shape[-2]
        x = torch.arange(len(self.features), device=tokens.device).repeat_interleave(rows // len(self.features))
        before = torch.cat([torch.full_like(tokens[..., :1], self.game.vocabulary), tokens[..., :-1]], dim=-1)
        contexts = self.features[x]
        if self.game.length == 1:
            added = network(contexts, shared=True)[:, :, None]
        elif shared:
            added = network(contexts, tokens, shared=True)
        else:
            added = network(contexts.expand(len(tokens), -1, -1), tokens)
        return torch.log_softmax(self.log_reference_next[x[:, None], before] + added, dim=-1)

    def every_log(self, network: Ensemble) -> Tensor:
        """(seeds, X, n) log-probabilities of every sequence."""
        X, L = len(self.features), self.game.length
        if L == 1:
            return self.log_next(network, self.sequences[:1].expand(X, 1), shared=True)[:, :, 0]
        out = []
        for part in self.sequences.split(AT_ONCE):  # the network's inner numbers are many times as many
            tokens = part.expand(X, len(part), L).reshape(-1, L)
            log_next = self.log_next(network, tokens, shared=True)
            picked = log_next.gather(-1, tokens.expand(len(log_next), *tokens.shape)[..., None])[..., 0]
            out.append(picked.sum(dim=-1).reshape(-1, X, len(part)))
        return torch.cat(out, dim=2)

    def log_tokens(self, tokens: Tensor) -> Tensor:
        """(seeds, X * B, L) log-probability of each token of sequences (seeds, X * B, L) given those before it."""
        return self.log_next(self.network, tokens).gather(-1, tokens[..., None])[..., 0]

    def sampled(self, uniforms: Tensor) -> Tensor:
        """(seeds, X * B, L) sequences drawn from the policies, by inverting uniforms of that shape token by token."""
        tokens = torch.zeros(uniforms.shape, dtype=torch.int64, device=uniforms.device)
        with torch.no_grad():
            for k in range(uniforms.shape[-1]):  # the token at place k depends on those before it alone
                share = self.log_next(self.network, tokens[:, :, : k + 1])[:, :, k].exp().cumsum(dim=-1)
                tokens[:, :, k] = (uniforms[:, :, k, None] > share).sum(dim=-1).clamp(max=self.game.vocabulary - 1)
        return tokens

    def log_reference_tokens(self, tokens: Tensor) -> Tensor:
        """(seeds, X * B, L) as `log_tokens`, of the reference."""
        x = torch.arange(len(self.features), device=tokens.device).repeat_interleave(tokens.shape[1] // len(self.features))[
            :, None
        ]
        before = torch.cat([torch.full_like(tokens[..., :1], self.game.vocabulary), tokens[..., :-1]], dim=-1)
        return self.log_reference_next[x, before, tokens]

    def phi_of(self, tokens: Tensor) -> Tensor:
        """(seeds, X * B, r)."""
        number = torch.zeros_like(tokens[..., 0])
        for k in range(self.game.length):
            number = number * self.game.vocabulary + tokens[..., k]
        return self.phi[number]

    def exact_loss(self, beta: float, variant: Variant, stale: Ensemble | None = None) -> Tensor:
        """(seeds,) minus P_tau(policy > mixture), summed over all sequences; the mixture is held still, and is the stale policy's if there is one."""
        log_policy = self.every_log(self.network)
        with torch.no_grad():
            other = log_policy if stale is None else self.every_log(stale)
            opponent = _mixture(other, self.log_mu, beta).exp()
            wins = 0.5 + 0.5 * torch.einsum("nr,xrs,bxs->bxn", self.phi, self.skew, opponent @ self.phi)
        gain = log_policy.exp() * (wins - variant.kl * self.game.tau * (log_policy - self.log_mu))
        return -variant.sign * gain.sum(dim=-1).mean(dim=-1)

    def sampled_loss(self, own: Tensor, others: Tensor, beta: float, variant: Variant) -> Tensor:
        """(seeds,) its gradient is that of `exact_loss` on average, over sequences made of uniforms (seeds, X * B, L)."""
        count, X, B, L = len(own), len(self.features), own.shape[1] // len(self.features), self.game.length
        both = torch.cat([part.reshape(count, X, B, L) for part in (own, others)], dim=2).reshape(count, -1, L)
        drawn = self.sampled(both).reshape(count, X, 2, B, L)
        tokens, against = (part.reshape(count, X * B, L) for part in drawn.unbind(dim=2))
        with torch.no_grad():  # opponents are draws of the policy, weighted to be draws of the mixture
            log_ratio = (self.log_reference_tokens(against) - self.log_tokens(against)).sum(dim=-1).reshape(-1, X, B)
            weight = torch.softmax(beta * log_ratio if variant.weighs else 0.0 * log_ratio, dim=-1)
            mean = torch.einsum("sxb,sxbr->sxr", weight, self.phi_of(against).reshape(count, X, B, -1))
            mine = self.phi_of(tokens).reshape(count, X, B, -1)
            advantage = 0.5 * torch.einsum("sxbr,xrq,sxq->sxb", mine, self.skew, mean).reshape(count, X * B, 1)
        log_tokens = self.log_tokens(tokens)
        with torch.no_grad():  # a token answers for the KL of itself and of all that follow
            ratio = log_tokens - self.log_reference_tokens(tokens)
            to_go = ratio.flip(-1).cumsum(dim=-1).flip(-1)
            factor = advantage - variant.kl * self.game.tau * to_go
            baseline = factor.reshape(count, X, B, L).mean(dim=2).repeat_interleave(B, dim=1)
            factor = (factor - baseline) * B / (B - 1.0)  # the mean without the sequence itself
        return -variant.sign * (log_tokens * factor).sum(dim=-1).mean(dim=-1)


def _trained(game: SequenceGame, seeds: Seeds, steps: int, mixing: float, variant: Variant) -> Array:
    """(seeds, X, n) log-policies after training: by exact gradients where one token is chosen, by sampled ones where there are more."""
    learner = _Learner(game, seeds)
    beta = mixing if variant.mixes else 0.0
    first = copy_of(learner.network, _network(game), seeds)
    noise = Noise(seeds, *[(len(game.features) * PAIRS, game.length)] * 2) if game.length > 1 else None

    def loss(step: int) -> Tensor:
        if noise is not None:
            own, others = noise.at(step)
            return learner.sampled_loss(own, others, beta, variant)
        return learner.exact_loss(beta, variant, first if variant.is_stale else None)

    train(
        learner.network, loss, steps=steps, rate=0.02, noise=noise, label="Nash-MD", about=f"{game.digest()}|{mixing}|{variant}"
    )
    with torch.no_grad():
        return seeds.kept(learner.every_log(learner.network))


# -- claims -------------------------------------------------------------------------------------------------------------------------------


@plugin.run(batched=True, steps=300, mixing=0.5, epsilon=0.01, bits=32, device="cpu", limits={"mixing": "[0, 1)"} | BITS)
def run(
    game: SequenceGame,
    rngs: Sequence[np.random.Generator],
    *,
    steps: int,
    mixing: float,
    epsilon: float,
    bits: int,
    device: str,
    variant: Variant = RIGHT,
) -> dict[str, Any]:
    """A network per seed. `mixing`: exponent of the reference in the opponent; `epsilon`: exploitability that training is to reach."""
    seeds = Seeds(rngs, Machine(device, bits))
    out: dict[str, Any] = _compared(game, Seeds(rngs, Machine(device, 64)), mixing, variant) if len(game.phi) <= 128 else {}
    log_policy = _trained(game, seeds, steps, mixing, variant)
    mixed = (1.0 - mixing) * log_policy + mixing * game.log_reference
    mixed -= np.logaddexp.reduce(mixed, axis=-1, keepdims=True)
    return out | {"exploitability": game.exploitability(mixed, game.tau / (1.0 - mixing))}


@plugin.claim(
    "trace_error",
    holds=Always(),
    source="Nash-MD as regression: one gradient step is one step of mirror descent",
    provenance="derived",
)
def tables_follow_the_kernel() -> Any:
    """Gradient steps on the regression loss of a table of logits are the kernel's steps of Nash-MD, to 1e-9 in every log-probability."""
    return 1e-9


@plugin.claim("gradient_error", holds=Always(), source="section 7", provenance="derived")
def gradient_is_enumerated() -> Any:
    """The gradient that torch takes of P_tau(pi > mixture), the mixture held still, is the estimator's expectation over all pairs, to 1e-10."""
    return 1e-10


@plugin.claim("exploitability", holds=WithProbability(0.8), source="ours", provenance="derived")
def networks_reach_the_fixed_point(epsilon: Any) -> Any:
    """After training, the mixture of the network's policy has an exploitability of at most epsilon in the game with tau / (1 - beta), for 4 of 5 seeds."""
    return epsilon


def _mutant(name: str, refuted_by: Sequence[str], description: str, variant: Variant) -> None:
    plugin.mutant(name=name, refuted_by=refuted_by, description=description)(partial(run, variant=variant))


SCALE, TRACE, GRADIENT = "networks_reach_the_fixed_point", "tables_follow_the_kernel", "gradient_is_enumerated"
_mutant("wrong-sign", (SCALE, TRACE, GRADIENT), "Descends what it should climb.", Variant(sign=-1.0))
_mutant("no-mixture", (SCALE, TRACE, GRADIENT), "Plays against itself.", Variant(mixes=False))
_mutant("stale-policy", (SCALE,), "Plays against the policy of the first step for ever.", Variant(is_stale=True))
_mutant("no-importance-weight", (SCALE,), "Takes its own sequences for draws of the mixture.", Variant(weighs=False))
_mutant("no-kl-term", (SCALE, GRADIENT), "Forgets what the reference costs.", Variant(kl=0.0))
_mutant("half-the-mixture", (TRACE,), "Mixes with exponent 2 lr / n, half of what a step of that size needs.", Variant(pull=0.5))
