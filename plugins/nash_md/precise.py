"""The run again in interval arithmetic: what decides whether a violation seen in floats is one.

Every measure is an interval that encloses the exact value for the exact dyadic inputs; nothing is computed before a claim asks.
Limits of long constant-step runs and Bradley-Terry rewards are not replayed: they are judged at their stated rounding error.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np
from mpmath import iv

from theorylab.plugin import LazyMeasures
from theorylab.problems.preference_game import PreferenceGame
from theorylab.solvers.interval_games import (
    IntervalGame,
    Policy,
    enclose,
    exp,
    kl,
    largest,
    log_softmax,
    log_sum_exp,
    span,
)
from theorylab.solvers.mirror_descent import ARITHMETIC, MIXTURE, POLICY, PREVIOUS_MIXTURE, REFERENCE

from . import plugin
from .algorithm import LATE_START, Draws, Variant, stable_pull, theorem_rates
from .precise_gradient import gradient_thunks


def _normalised(log_policy: np.ndarray) -> Policy:
    return [log_softmax(enclose(row)) for row in log_policy]


def _probabilities(row: list[Any]) -> list[Any]:
    return [exp(x) for x in row]


def _mean(p: list[Any], values: list[Any]) -> Any:
    total = iv.mpf(0)
    for a, b in zip(p, values, strict=True):
        total += a * b
    return total


class Replay:
    """One trial in intervals, up to checkpoint `until`, for the algorithm or a broken variant of it."""

    def __init__(self, game: PreferenceGame, rng: np.random.Generator, until: int, mixing: float, variant: Variant) -> None:
        self.variant, self.until, self.mixing, self.source = variant, until, mixing, game
        self.game = IntervalGame(game)
        self.played = IntervalGame(game, variant.table(game.preference))
        self.tau = self.game.tau
        self.draws = Draws.from_rng(rng, game.preference.shape[:2])
        self.mu = self.game.log_reference

    @cached_property
    def solution(self) -> Policy:
        return self.game.equilibrium(self.tau * iv.mpf(self.variant.oracle.tau_factor))

    def rates(self, first: int = 0) -> list[Any]:
        """The theorem's eta_t = 2 / (tau (t + 2)), exactly."""
        return [2 / (self.tau * (t + 2)) for t in range(first, first + self.until + 1)]

    def own_rates(self) -> list[Any]:
        """The variant's rates: exact where they are the theorem's, else the floats that it used."""
        if self.variant.rates is theorem_rates:
            return self.rates()
        return [iv.mpf(float(x)) for x in self.variant.rates(self.until + 1, self.source.tau)]

    def _pull(self, eta: Any, theorem: bool) -> Any:
        if theorem and self.variant.pull is Variant().pull:
            return eta * self.tau
        floats = np.clip(self.variant.pull(np.array([float(eta.mid)]), self.source.tau), 0.0, 1.0)
        return iv.mpf(float(floats[0]))

    def step(
        self, policy: Policy, before: Policy | None, previous: Policy | None, eta: Any, opponent: int
    ) -> tuple[Policy, Policy]:
        """(next policy, mixture) of the variant."""
        v = self.variant
        pole = before if v.anchor == 1 and before is not None else self.mu
        pull = self._pull(eta, True)
        # eta_0 tau = 1: the interval of 1 - pull would keep a trace of a start that does not matter
        exact_one = v.pull is Variant().pull and pull.a <= 1 <= pull.b and pull.delta < iv.mpf(2) ** (-iv.prec // 2)
        mixture = (
            [list(row) for row in pole]
            if exact_one
            else [
                log_softmax([(1 - pull) * a + pull * b for a, b in zip(p, m, strict=True)])
                for p, m in zip(policy, pole, strict=True)
            ]
        )

        def choose(code: int) -> Policy:
            if code == MIXTURE:
                return mixture
            if code == POLICY:
                return policy
            if code == REFERENCE:
                return self.mu
            if code == PREVIOUS_MIXTURE:
                return previous if previous is not None else mixture
            assert code == ARITHMETIC
            return [
                [iv.log((1 - pull) * exp(a) + pull * exp(b)) for a, b in zip(p, m, strict=True)]
                for p, m in zip(policy, self.mu, strict=True)
            ]

        gains = self.played.gains(choose(opponent))
        return self.game.tilt(choose(v.base), gains, iv.mpf(v.gain) * eta), mixture

    def trace(self, start: Policy, rates: list[Any], opponent: int) -> tuple[list[Policy], list[Policy]]:
        policies, mixtures = [start], list[Policy]()
        for eta in rates:
            following, mixture = self.step(
                policies[-1],
                policies[-2] if len(policies) > 1 else None,
                mixtures[-1] if mixtures else None,
                eta,
                opponent,
            )
            policies.append(following)
            mixtures.append(mixture)
        return policies, mixtures

    # -- Nash-MD ------------------------------------------------------------------------------------------------------

    @cached_property
    def nash_md(self) -> tuple[list[Policy], list[Policy]]:
        return self.trace(_normalised(self.draws.log_start), self.own_rates(), self.variant.opponent)

    @cached_property
    def kl(self) -> list[Any]:
        return [self.game.kl(self.solution, policy) for policy in self.nash_md[0]]

    @cached_property
    def true_mixtures(self) -> list[Policy]:
        out: list[Policy] = []
        for policy, eta in zip(self.nash_md[0][:-1], self.rates(), strict=True):
            first = not out
            out.append(self.mu if first else self.game.mixture(policy, eta * self.tau))
        return out

    @cached_property
    def true_gains(self) -> list[Policy]:
        return [self.game.gains(m) for m in self.true_mixtures]

    def balance(self) -> list[Any]:
        out = []
        for t, (eta, m, g) in enumerate(zip(self.rates(), self.true_mixtures, self.true_gains, strict=True)):
            keep = iv.mpf(0) if t == 0 else 1 - eta * self.tau
            kept = keep * (self.kl[t] - self.game.kl(m, self.nash_md[0][t])) if t else iv.mpf(0)
            advantage = self.game.regularised_advantage(self.solution, m)
            moment = self.game.average(
                [log_sum_exp([a + eta * b for a, b in zip(row, gain, strict=True)]) for row, gain in zip(m, g, strict=True)]
            )
            out.append(kept - eta * advantage + moment)
        return out

    def lemma_one(self, part: str) -> list[Any]:
        other = _normalised(self.draws.log_other)
        out = []
        for t, eta in enumerate(self.rates()):
            policy, own = self.nash_md[0][t], self.nash_md[1][t]
            a = iv.mpf(1) if t == 0 else eta * self.tau
            if part == "mixture_kl":
                out.append(self.game.kl(other, own))
            elif part == "mixture_chord":
                out.append(a * self.game.kl(other, self.mu) + (1 - a) * self.game.kl(other, policy))
            elif part == "mixture_anchor_kl":
                out.append(a * self.game.kl(own, self.mu))
            else:
                out.append((1 - a) * self.game.kl(own, policy))
        return out

    def lemma_two(self, part: str) -> list[Any]:
        other = _normalised(self.draws.log_other)
        out = []
        for t, eta in enumerate(self.rates()):
            per_prompt = []
            for x, gain in enumerate(self.true_gains[t]):
                delta = [eta * (g + iv.mpf(0.5)) for g in gain]
                base, after, p = self.true_mixtures[t][x], self.nash_md[0][t + 1][x], other[x]
                drift = _mean(_probabilities(base), delta)
                if part == "three_point_excess":
                    per_prompt.append(kl(p, after) - kl(p, base) - (drift - _mean(_probabilities(p), delta)))
                elif part == "three_point_exact":
                    per_prompt.append(log_sum_exp([b + d - drift for b, d in zip(base, delta, strict=True)]))
                elif part == "delta_max_squared":
                    per_prompt.append(largest([abs(d) for d in delta]) ** 2)
                else:
                    per_prompt.append(span(delta) ** 2)
            out.append(self.game.average(per_prompt))
        return out

    # -- constant steps, self-play, late start ---------------------------------------------------------------------------

    @cached_property
    def constant_pull(self) -> Any:
        return iv.mpf(stable_pull(self.source.tau))

    @cached_property
    def constant_kl(self) -> list[Any]:
        rates = [self.constant_pull / self.tau] * (self.until + 1)
        return [self.game.kl(self.solution, p) for p in self.trace(self.mu, rates, self.variant.opponent)[0]]

    def fixed_point(self, pull: Any) -> Policy:
        """mu exp(P pi*_{tau / (1 - pull)} / tau) / Z."""
        target = self.game.equilibrium(iv.mpf(self.variant.oracle.tau_factor) * self.tau / (1 - pull))
        return self.game.tilt(self.mu, self.game.gains(target), 1 / self.tau)

    def displacement(self, policy: Policy, opponent: int) -> Any:
        moved, _ = self.step(policy, None, None, self.constant_pull / self.tau, opponent)
        return largest([abs(a - b) for p, q in zip(moved, policy, strict=True) for a, b in zip(p, q, strict=True)])

    @cached_property
    def self_play(self) -> list[Policy]:
        return self.trace(self.mu, self.own_rates(), self.variant.self_opponent)[0]

    @cached_property
    def self_play_kl(self) -> list[Any]:
        return [self.game.kl(self.solution, p) for p in self.self_play]

    def self_play_balance(self) -> list[Any]:
        out = []
        for t, eta in enumerate(self.rates()):
            policy = self.self_play[t]
            moments = []
            for p, mu, gain in zip(policy, self.mu, self.game.gains(policy), strict=True):
                drift = [g - self.tau * (a - m) for g, a, m in zip(gain, p, mu, strict=True)]
                centre = _mean(_probabilities(p), drift)
                moments.append(log_sum_exp([a + eta * (d - centre) for a, d in zip(p, drift, strict=True)]))
            kept = (1 - eta * self.tau) * self.self_play_kl[t]
            out.append(kept - eta * self.game.regularised_advantage(self.solution, policy) + self.game.average(moments))
        return out

    def log_ratio(self) -> list[Any]:
        return [
            self.tau * largest([abs(a - b) for p, m in zip(policy, self.mu, strict=True) for a, b in zip(p, m, strict=True)])
            for policy in self.self_play[1:]
        ]

    def late_kl(self) -> list[Any]:
        start = np.zeros(self.source.preference.shape[:2])
        favourite = np.array([[float(x.mid) for x in row] for row in self.solution]).argmax(axis=-1)
        np.put_along_axis(start, favourite[:, None], LATE_START, axis=-1)
        policies, _ = self.trace(_normalised(start), self.rates(first=1), self.variant.opponent)
        return [self.game.kl(self.solution, p) for p in policies[1:]]

    # -- the game --------------------------------------------------------------------------------------------------------

    def values_added(self) -> Any:
        p, q = _normalised(self.draws.log_start), _normalised(self.draws.log_other)
        sign = iv.mpf(self.variant.oracle.own_sign) - 1
        wrong = sign * self.tau * (self.game.kl(q, self.mu) + self.game.kl(p, self.mu))
        return 1 + self.game.regularised_advantage(p, q) + self.game.regularised_advantage(q, p) + wrong

    def fixed_point_error(self) -> Any:
        errors = []
        for row, mu, gain in zip(self.solution, self.mu, self.game.gains(self.solution), strict=True):
            divergence = kl(row, mu)
            errors += [abs(g - self.tau * (a - m - divergence)) for g, a, m in zip(gain, row, mu, strict=True)]
        return largest(errors)

    def exploitability_formula(self) -> Any:
        return self.tau * self.game.average(
            [
                largest([a - m for a, m in zip(p, mu, strict=True)]) - kl(p, mu)
                for p, mu in zip(self.solution, self.mu, strict=True)
            ]
        )

    def exploitability(self, policy: Policy) -> Any:
        return self.game.average([largest(g) for g in self.game.gains(policy)])

    def tokens(self, whole: bool) -> Any:
        (first, after0, after1), (r_first, r_after0, r_after1) = enclose(self.draws.tokens)
        head = [iv.sqrt(first * r_first), iv.sqrt((1 - first) * (1 - r_first))]
        tails = [
            iv.sqrt(after0 * r_after0) + iv.sqrt((1 - after0) * (1 - r_after0)),
            iv.sqrt(after1 * r_after1) + iv.sqrt((1 - after1) * (1 - r_after1)),
        ]
        mass = [h * t for h, t in zip(head, tails, strict=True)] if whole else head
        return mass[0] / (mass[0] + mass[1])

    def measures(self) -> LazyMeasures:
        """Intervals by the names that the run uses."""
        thunks: dict[str, Callable[[], Any]] = {
            "t": lambda: [iv.mpf(t + 1) for t in range(self.until + 1)],
            "eta": self.rates,
            "kl_before": lambda: self.kl[:-1],
            "kl_after": lambda: self.kl[1:],
            "kl_worst_prompt": lambda: [
                largest([kl(p, q) for p, q in zip(self.solution, policy, strict=True)]) for policy in self.nash_md[0][1:]
            ],
            "step_balance": self.balance,
            "span_squared": lambda: [self.game.average([span(g) ** 2 for g in gains]) for gains in self.true_gains],
            "exploitability_after": lambda: [self.exploitability(p) for p in self.nash_md[0][1:]],
            "constant_eta": lambda: self.constant_pull / self.tau,
            "constant_kl_start": lambda: self.constant_kl[0],
            "constant_kl": lambda: self.constant_kl[1:],
            "constant_displacement": lambda: self.displacement(self.fixed_point(self.constant_pull), self.variant.opponent),
            "constant_limit_kl": lambda: self.game.kl(self.solution, self.fixed_point(self.constant_pull)),
            "self_play_kl_after": lambda: self.self_play_kl[1:],
            "self_play_balance": self.self_play_balance,
            "self_play_log_ratio": self.log_ratio,
            "self_play_displacement": lambda: self.displacement(self.solution, self.variant.self_opponent),
            "late_t": lambda: [iv.mpf(t + 2) for t in range(self.until + 1)],
            "late_kl": self.late_kl,
            "values_added": self.values_added,
            "fixed_point_error": self.fixed_point_error,
            "radius": lambda: self.game.kl(self.solution, self.mu),
            "exploitability": lambda: self.exploitability(self.solution),
            "exploitability_formula": self.exploitability_formula,
            "reference_range": lambda: self.game.average([largest([-m for m in mu]) for mu in self.mu]),
            "sequence_first": lambda: self.tokens(True),
            "token_first": lambda: self.tokens(False),
        }
        for part in ("mixture_kl", "mixture_chord", "mixture_anchor_kl", "mixture_policy_kl"):
            thunks[part] = partial(self.lemma_one, part)
        for part in ("three_point_excess", "three_point_exact", "delta_max_squared", "delta_span_squared"):
            thunks[part] = partial(self.lemma_two, part)
        return LazyMeasures(**thunks, **gradient_thunks(self))


def replay(
    game: PreferenceGame, rng: np.random.Generator, until: int, *, steps: int, mixing: float, variant: Variant
) -> LazyMeasures:
    """The measures of one trial as intervals, for the algorithm or a broken variant of it."""
    return Replay(game, rng, min(until, steps - 1), mixing, variant).measures()


@plugin.precisely
def precisely(game: PreferenceGame, rng: np.random.Generator, until: int, *, steps: int, mixing: float) -> LazyMeasures:
    """The measures of one trial as intervals."""
    return replay(game, rng, until, steps=steps, mixing=mixing, variant=Variant())
