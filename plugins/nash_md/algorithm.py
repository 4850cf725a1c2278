"""Nash-MD with the theorem's steps and with constant steps, the self-play baseline, and what is measured of them.

The measures judge the iterates from outside: rates, mixtures and win rates of the theorem are recomputed from the game, never
taken from the algorithm, so that a wrong update shows whatever it does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from theorylab.problems.preference_game import PreferenceGame
from theorylab.problems.record import Array
from theorylab.solvers import games
from theorylab.solvers.mirror_descent import MIXTURE, POLICY, Trace, constant_step_limit, mirror_descent

from . import plugin
from .gradient import gradient_measures, log_softmax
from .oracle import Oracle

#: log-probability of the favourite action in the late start: below the smallest positive float.
LATE_START = -690.0


def theorem_rates(steps: int, tau: float, first: int = 0) -> Array:
    """(T,) eta_t = 2 / (tau (t + 2)), t from `first`. Source: arXiv 2312.00886, Theorem 1."""
    return np.asarray(2.0 / (tau * (np.arange(first, first + steps) + 2.0)), dtype=np.float64)


def stable_pull(tau: float) -> float:
    """eta tau of the constant-step runs: small enough that both fixed points attract in every game.

    The eigenvalues +-iw of A (diag(p) - p p^T) obey w <= 1/2 (|A| <= 1/2 entrywise), and eta tau = tau^2 / (tau^2 + 1/4) meets
    (1 - a)^2 (1 + eta^2 w^2) < 1 and (1 - a)^2 + eta^2 w^2 < 1 for all of them.
    """
    return min(0.9, tau * tau / (tau * tau + 0.25))


@dataclass(frozen=True)
class Variant:
    """What the algorithm really does. The defaults are Nash-MD; mutants change one of them.

    base, opponent   what a Nash-MD step starts from and plays against
    self_opponent    what a self-play step plays against
    anchor           what is mixed in: 0 the reference, 1 the previous iterate
    pull             exponent of the anchor from (eta, tau)
    gain             factor on the rate of the preference step
    table            the preference table that is played, from the true one
    rates            learning rates from (T, tau)
    """

    base: int = MIXTURE
    opponent: int = MIXTURE
    self_opponent: int = POLICY
    anchor: int = 0
    pull: Callable[[Array, float], Array] = lambda eta, tau: np.minimum(eta * tau, 1.0)
    gain: float = 1.0
    table: Callable[[Array], Array] = lambda preference: preference
    rates: Callable[[int, float], Array] = theorem_rates
    oracle: Oracle = field(default_factory=Oracle)
    gradient: str = "correct"

    def descend(self, game: PreferenceGame, log_start: Array, eta: Array, opponent: int) -> Trace:
        """The iterates of this variant for the rates `eta` (T,)."""
        pull = np.clip(self.pull(eta, game.tau), 0.0, 1.0)
        return mirror_descent(
            game, log_start, pull, self.gain * eta, base=self.base, opponent=opponent, anchor=self.anchor,
            preference=self.table(game.preference),
        )  # fmt: skip


@dataclass(frozen=True)
class Draws:
    """What a seed draws besides the game: all of it arbitrary in the theorems. Log-policies (X, n)."""

    log_start: Array  # pi_0 of Nash-MD: irrelevant, because eta_0 tau = 1
    log_other: Array  # the "every p" of Lemmas 1 and 2
    log_policy: Array  # where gradients are taken
    tokens: Array  # (2, 3) probabilities of a two-token policy and its reference

    @staticmethod
    def from_rng(rng: np.random.Generator, shape: tuple[int, ...]) -> Draws:
        return Draws(
            log_softmax(rng.normal(0.0, 10.0, shape)),
            log_softmax(rng.normal(0.0, 2.0, shape)),
            log_softmax(rng.normal(0.0, 1.0, shape)),
            rng.uniform(0.1, 0.9, (2, 3)),
        )


def measure(game: PreferenceGame, rng: np.random.Generator, steps: int, mixing: float, variant: Variant) -> dict[str, Any]:
    """All measures of one trial, for the algorithm or a broken variant of it."""
    draws = Draws.from_rng(rng, game.preference.shape[:2])
    solution = variant.oracle.equilibrium(game)
    return (
        _game_measures(game, draws, solution, variant)
        | _nash_md_measures(game, draws, solution, steps, variant)
        | _constant_step_measures(game, solution, steps, variant)
        | _self_play_measures(game, solution, steps, variant)
        | _late_start_measures(game, solution, steps, variant)
        | gradient_measures(game, draws.log_policy, mixing, variant.gradient, variant.oracle)
        | _token_measures(draws.tokens)
        | _bradley_terry_measures(game, draws)
    )


@plugin.run(steps=300, mixing=0.25, draws_instance=True, limits={"mixing": "[0, 1)"})
def run(game: PreferenceGame, rng: np.random.Generator, *, steps: int, mixing: float) -> dict[str, Any]:
    """One game, one random start. `steps`: mirror-descent steps T; `mixing`: the opponent exponent of the gradient form."""
    return measure(game, rng, steps, mixing, Variant())


def _mean(game: PreferenceGame, per_prompt: Array) -> Array:
    """Average over prompts; the prompt axis is the last one."""
    assert game.prompt_weights is not None
    return np.asarray(per_prompt @ game.prompt_weights)


def _kl(log_p: Array, log_q: Array) -> Array:
    """KL(p, q) over the last axis."""
    return np.asarray((np.exp(log_p) * (log_p - log_q)).sum(axis=-1))


def _game_measures(game: PreferenceGame, draws: Draws, log_solution: Array, variant: Variant) -> dict[str, Any]:
    mu = game.log_reference
    assert mu is not None
    preference = variant.oracle.regularised_preference
    gains = np.einsum("xyz,xz->xy", game.preference - 0.5, np.exp(log_solution))
    ratio = log_solution - mu
    return {
        "values_added": preference(game, draws.log_start, draws.log_other) + preference(game, draws.log_other, draws.log_start),
        "values_scale": 1.0 + game.tau * (games.kl(game, draws.log_start, mu) + games.kl(game, draws.log_other, mu)),
        "fixed_point_error": float(np.abs(gains - game.tau * (ratio - _kl(log_solution, mu)[:, None])).max()),
        "radius": games.kl(game, log_solution, mu),
        "exploitability": games.exploitability(game, log_solution),
        "exploitability_formula": game.tau * float(_mean(game, ratio.max(axis=-1) - _kl(log_solution, mu))),
        "reference_range": float(_mean(game, (-mu).max(axis=-1))),
        "solution_range": float(max(np.abs(mu).max(), np.abs(log_solution).max())),
    }


def _nash_md_measures(game: PreferenceGame, draws: Draws, log_solution: Array, steps: int, variant: Variant) -> dict[str, Any]:
    tau, mu, eta = game.tau, game.log_reference, theorem_rates(steps, game.tau)
    assert mu is not None
    trace = variant.descend(game, draws.log_start, variant.rates(steps, tau), variant.opponent)
    before, after = trace.log_policies[:-1], trace.log_policies[1:]
    a = np.minimum(eta * tau, 1.0)
    mixture = log_softmax((1.0 - a)[:, None, None] * before + a[:, None, None] * mu)
    gains = np.einsum("xyz,txz->txy", game.preference - 0.5, np.exp(mixture))
    divergence = _kl(log_solution, trace.log_policies)  # (T + 1, X)
    kl = _mean(game, divergence)
    advantage = (
        _mean(game, (np.exp(log_solution) * gains).sum(axis=-1))
        - tau * _mean(game, _kl(log_solution, mu))
        + tau * _mean(game, _kl(mixture, mu))
    )
    tilt = _log_mean_exp(mixture, eta[:, None, None] * gains)
    # Win rates of the constant-sum game lie in [0, 1]; their span is that of the gains.
    span = gains.max(axis=-1) - gains.min(axis=-1)
    other = draws.log_other
    delta = eta[:, None, None] * (gains + 0.5)
    own = trace.log_mixtures
    return {
        "t": np.arange(1.0, steps + 1.0),
        "eta": eta,
        "kl_before": kl[:-1],
        "kl_after": kl[1:],
        "kl_worst_prompt": divergence[1:].max(axis=-1),
        "step_balance": (1.0 - a) * kl[:-1] - eta * advantage - (1.0 - a) * _mean(game, _kl(mixture, before)) + _mean(game, tilt),
        "span_squared": _mean(game, span**2),
        "log_range": max(float(np.abs(trace.log_policies).max()), float(np.abs(mu).max())),
        "exploitability_after": _mean(game, np.einsum("xyz,txz->txy", game.preference - 0.5, np.exp(after)).max(axis=-1)),
        "mixture_kl": _mean(game, _kl(other, own)),
        "mixture_chord": a * games.kl(game, other, mu) + (1.0 - a) * _mean(game, _kl(other, before)),
        "mixture_anchor_kl": a * _mean(game, _kl(own, mu)),
        "mixture_policy_kl": (1.0 - a) * _mean(game, _kl(own, before)),
        "three_point_excess": _mean(
            game,
            _kl(other, after) - _kl(other, mixture) - ((np.exp(mixture) - np.exp(other)) * delta).sum(axis=-1),
        ),
        "three_point_exact": _mean(game, _log_mean_exp(mixture, delta - (np.exp(mixture) * delta).sum(axis=-1, keepdims=True))),
        "delta_max_squared": _mean(game, np.abs(delta).max(axis=-1) ** 2),
        "delta_span_squared": _mean(game, (delta.max(axis=-1) - delta.min(axis=-1)) ** 2),
    }


def _log_mean_exp(log_p: Array, z: Array) -> Array:
    """log of the mean of exp(z) under p, over the last axis; exact to rounding for small z too."""
    top = z.max(axis=-1, keepdims=True)
    small = (np.exp(log_p) * np.expm1(z)).sum(axis=-1)
    large = np.log((np.exp(log_p + z - top)).sum(axis=-1)) + top[..., 0]
    # The first form keeps the digits of a mean near 1, the second cannot overflow.
    near = np.abs(z).max(axis=-1) < 1.0
    return np.where(near, np.log1p(np.where(near, small, 0.0)), large)


def _constant_step_measures(game: PreferenceGame, log_solution: Array, steps: int, variant: Variant) -> dict[str, Any]:
    a = stable_pull(game.tau)
    eta = a / game.tau
    assert game.log_reference is not None
    constant = np.full(steps, eta)
    kl = _mean(
        game,
        _kl(log_solution, variant.descend(game, game.log_reference, constant, variant.opponent).log_policies),
    )
    fixed = constant_step_fixed_point(game, a, variant.oracle)
    moved = variant.descend(game, fixed, constant[:1], variant.opponent).log_policies[1]
    measures = {
        "constant_eta": eta,
        "constant_kl_start": kl[0],
        "constant_kl": kl[1:],
        "constant_displacement": float(np.abs(moved - fixed).max()),
        "constant_limit_kl": games.kl(game, log_solution, fixed),
        "fixed_point_range": float(max(np.abs(fixed).max(), np.abs(game.log_reference).max())),
    }
    limit = constant_step_limit(game, a, eta, opponent=variant.opponent) if variant.opponent in (MIXTURE, POLICY) else None
    if limit is not None:  # else the run had not settled, and nothing is known of its limit
        measures["constant_limit_error"] = float(np.abs(limit - fixed).max())
    return measures


def constant_step_fixed_point(game: PreferenceGame, a: float, oracle: Oracle) -> Array:
    """(X, n) mu exp(P pi / tau) / Z with pi the equilibrium at tau / (1 - a): what constant steps eta = a / tau leave in place."""
    assert game.log_reference is not None
    mixture = oracle.equilibrium(game, game.tau / (1.0 - a))
    gains = np.einsum("xyz,xz->xy", game.preference - 0.5, np.exp(mixture))
    return log_softmax(game.log_reference + gains / game.tau)


def _self_play_measures(game: PreferenceGame, log_solution: Array, steps: int, variant: Variant) -> dict[str, Any]:
    tau, mu, eta = game.tau, game.log_reference, theorem_rates(steps, game.tau)
    assert mu is not None
    trace = variant.descend(game, mu, variant.rates(steps, tau), variant.self_opponent)
    before = trace.log_policies[:-1]
    kl = _mean(game, _kl(log_solution, trace.log_policies))
    gains = np.einsum("xyz,txz->txy", game.preference - 0.5, np.exp(before))
    drift = gains - tau * (before - mu)
    centred = drift - (np.exp(before) * drift).sum(axis=-1, keepdims=True)
    advantage = (
        _mean(game, (np.exp(log_solution) * gains).sum(axis=-1))
        - tau * _mean(game, _kl(log_solution, mu))
        + tau * _mean(game, _kl(before, mu))
    )
    a = stable_pull(tau)
    constant = np.array([a / tau])
    moved = variant.descend(game, log_solution, constant, variant.self_opponent).log_policies[1]
    measures = {
        "self_play_kl_after": kl[1:],
        "self_play_balance": (1.0 - np.minimum(eta * tau, 1.0)) * kl[:-1]
        - eta * advantage
        + _mean(game, _log_mean_exp(before, eta[:, None, None] * centred)),
        "self_play_log_ratio": tau * np.abs(trace.log_policies[1:] - mu).max(axis=(1, 2)),
        "self_play_displacement": float(np.abs(moved - log_solution).max()),
    }
    if variant.self_opponent in (MIXTURE, POLICY):
        limit = constant_step_limit(game, a, a / tau, opponent=variant.self_opponent)
        if limit is not None:
            measures["self_play_limit_error"] = float(np.abs(limit - log_solution).max())
    return measures


def _late_start_measures(game: PreferenceGame, log_solution: Array, steps: int, variant: Variant) -> dict[str, Any]:
    """The theorem's schedule entered at t = 1 from a policy that all but excludes the equilibrium's favourite."""
    start = np.zeros_like(log_solution)
    np.put_along_axis(start, log_solution.argmax(axis=-1)[:, None], LATE_START, axis=-1)
    trace = variant.descend(game, log_softmax(start), theorem_rates(steps, game.tau, first=1), variant.opponent)
    return {
        "late_kl": _mean(game, _kl(log_solution, trace.log_policies[1:])),
        "late_t": np.arange(2.0, steps + 2.0),
    }


def _token_measures(tokens: Array) -> dict[str, Any]:
    """Probability that the first of two binary tokens is 0 in the half-half geometric mixture, mixed two ways."""
    (first, after0, after1), (r_first, r_after0, r_after1) = tokens
    policy = np.array([[first * after0, first * (1 - after0)], [(1 - first) * after1, (1 - first) * (1 - after1)]])
    reference = np.array(
        [
            [r_first * r_after0, r_first * (1 - r_after0)],
            [(1 - r_first) * r_after1, (1 - r_first) * (1 - r_after1)],
        ]
    )
    joint = np.sqrt(policy * reference)
    heads = np.sqrt(np.array([first * r_first, (1 - first) * (1 - r_first)]))
    return {
        "sequence_first": float(joint[0].sum() / joint.sum()),
        "token_first": float(heads[0] / heads.sum()),
    }


def _bradley_terry_measures(game: PreferenceGame, draws: Draws) -> dict[str, Any]:
    """How far the Bradley-Terry rewards move when pairs come from another policy; absent where the table has extremes."""
    if not is_interior(game):
        return {}
    uniform = np.full(game.action_count, 1.0 / game.action_count)
    shifts = [
        games.bradley_terry_rewards(table, np.exp(row)) - games.bradley_terry_rewards(table, uniform)
        for table, row in zip(game.preference, draws.log_policy, strict=True)
    ]
    return {"reward_shift": float(np.abs(shifts).max())}


@plugin.assumption
def is_interior(game: PreferenceGame) -> bool:
    """Every win rate lies in [0.01, 0.99]: the Bradley-Terry rewards are finite and well conditioned."""
    return bool(((game.preference >= 0.01) & (game.preference <= 0.99)).all())
