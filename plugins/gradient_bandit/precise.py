"""One pull again in interval arithmetic: what decides whether a violation seen in floats is one.

The states are those of the trial, as exact dyadic numbers; reward laws are normalised exactly. Everything that `one_step` reports is
enclosed, from the definitions: no stable form is needed where the precision grows until zero is excluded. Hessians, exact ascent,
MDPs and sums over whole runs are not replayed: those claims are judged at their stated rounding error.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from mpmath import iv

from theorylab.plugin import LazyMeasures
from theorylab.problems.bandit import Bandit
from theorylab.solvers.interval_games import enclose, largest

from . import plugin
from .algorithm import Arms, States, Variant, checkpoints, tuned_step
from .instances import TIE
from .updates import (
    CLIPPED,
    FLIPPED,
    IMPORTANCE,
    IN_PLACE,
    NO_ONE_MINUS,
    NOTHING_SUBTRACTED,
    PLUS_SIGN,
    PULLED_ONLY,
    SINGLE,
    STALE,
    TEMPERED,
)

Row = list[Any]


def total(values: Row) -> Any:
    """Sum of intervals."""
    out = iv.mpf(0)
    for value in values:
        out += value
    return out


def dot(a: Row, b: Row) -> Any:
    """Inner product of intervals."""
    return total([x * y for x, y in zip(a, b, strict=True)])


def norm(a: Row) -> Any:
    """Euclidean norm."""
    return iv.sqrt(total([abs(x) ** 2 for x in a]))


def softmax(theta: Row) -> Row:
    """Probabilities of logits that are known well."""
    weights = [iv.exp(x - theta[0]) for x in theta]
    whole = total(weights)
    return [w / whole for w in weights]


class Pull:
    """Every outcome of one pull at one state, for the algorithm or a broken variant of it."""

    def __init__(
        self, bandit: Bandit, theta: Row, before: Row, eta: Any, variant: Variant, baseline: Any = 0, count: int = 0
    ) -> None:
        self.bandit, self.variant = bandit, variant
        self.theta, self.before, self.eta = theta, before, eta
        self.baseline, self.count = iv.mpf(baseline), count
        self.R, self.K, self.star = iv.mpf(bandit.reward_bound), bandit.arm_count, bandit.best_arm
        values, masses = bandit.law
        self.outcomes = [
            [(iv.mpf(float(x)), iv.mpf(float(p)) / total(enclose(row))) for x, p in zip(xs, row, strict=True) if p > 0.0]
            for xs, row in zip(values, masses, strict=True)
        ]
        self.means = [total([p * x for x, p in law]) for law in self.outcomes]

    @cached_property
    def policy(self) -> Row:
        return softmax(self.theta)

    @cached_property
    def used_policy(self) -> Row:
        """The policy as the variant computes it."""
        if self.variant.form != SINGLE:
            return self.policy
        theta = np.array([float(x.mid) for x in self.theta])
        weights = np.exp(theta - theta.max()).astype(np.float32).astype(np.float64)
        return [iv.mpf(float(w)) for w in (weights / weights.sum()).astype(np.float32)]

    @cached_property
    def rest(self) -> Row:
        return [total(self.policy[:a] + self.policy[a + 1 :]) for a in range(self.K)]

    @cached_property
    def gradient(self) -> Row:
        means = [self.means[-1], *self.means[:-1]] if self.variant.oracle == "neighbour" else self.means
        return [p * dot(self.policy, [means[a] - m for m in means]) for a, p in enumerate(self.policy)]

    @cached_property
    def gaps(self) -> Row:
        return [self.means[self.star] - m for m in self.means]

    def step(self, arm: int, x: Any) -> Row:
        """The increment of the logits."""
        form, pi = self.variant.form, self.used_policy
        baseline = (self.count * self.baseline + x) / (self.count + 1) if self.variant.contains else self.baseline
        x = x - baseline
        if form == FLIPPED:
            x = -x
        elif form == CLIPPED:
            x = iv.mpf([max(x.a, 0), max(x.b, 0)])
        elif form == IMPORTANCE:
            x = x / pi[arm]
        size = self.eta * iv.mpf(self.variant.faster) * x
        if form == IN_PLACE:
            return self._in_place(arm, size)
        if form == TEMPERED:
            pi = softmax([t / 2 for t in self.theta])
        elif form == STALE:
            pi = softmax(self.before)
        sign = 1 if form == PLUS_SIGN else 0 if form in (PULLED_ONLY, NOTHING_SUBTRACTED) else -1
        out = [sign * size * p for p in pi]
        others = total(pi[:arm] + pi[arm + 1 :])
        out[arm] = size if form in (NO_ONE_MINUS, NOTHING_SUBTRACTED) else size * (1 - pi[arm] if form == STALE else others)
        return out

    def _in_place(self, arm: int, size: Any) -> Row:
        whole, out = iv.mpf(1), []
        for a, p in enumerate(self.policy):
            change = size * (whole - p) / whole if a == arm else -size * p / whole
            whole += p * (iv.exp(change) - 1)
            out.append(change)
        return out

    @cached_property
    def pulls(self) -> list[tuple[int, Any, Row]]:
        """(arm, probability, increment) of every outcome."""
        mix = iv.mpf(self.variant.mix)
        return [
            (arm, ((1 - mix) * self.used_policy[arm] + mix / self.K) * p, self.step(arm, x))
            for arm, law in enumerate(self.outcomes)
            for x, p in law
        ]

    def expect(self, quantity: Callable[[Row], Any]) -> Any:
        return total([p * quantity(d) for _, p, d in self.pulls])

    # -- the columns of one_step ---------------------------------------------------------------------------------------

    def bias(self) -> Any:
        mean = [self.expect(lambda d, a=a: d[a]) for a in range(self.K)]  # type: ignore[misc]
        return largest([abs(m / self.eta - g) for m, g in zip(mean, self.gradient, strict=True)])

    def step_sum(self) -> Any:
        return largest([abs(total(d)) / self.eta for _, _, d in self.pulls])

    def square(self) -> Any:
        return self.expect(lambda d: total([abs(x) ** 2 for x in d])) / self.eta**2

    def square_formula(self, baseline: Any = 0) -> Any:
        sizes = [total([abs(p) ** 2 for p in self.policy]) - abs(p) ** 2 for p in self.policy]
        spread = [total([p * abs(x - baseline) ** 2 for x, p in law]) for law in self.outcomes]
        return total([p * s * (r**2 + z) for p, s, r, z in zip(self.policy, spread, self.rest, sizes, strict=True)])

    def reach(self) -> Any:
        return largest([(norm(d) / (self.eta * self.R * self.rest[arm])) ** 2 / 2 for arm, _, d in self.pulls])

    def gain(self, d: Row) -> Any:
        """f(theta + d) - f(theta)."""
        return dot(softmax([t + x for t, x in zip(self.theta, d, strict=True)]), self.means) - dot(self.policy, self.means)

    def curvature(self, damped: bool = False) -> Any:
        size = norm(self.gradient)
        return largest(
            [
                2 * abs(self.gain(d) - dot(self.gradient, d)) / (size * length**2) * (iv.exp(-3 * length) if damped else 1)
                for length, d in ((norm(d), d) for _, _, d in self.pulls)
                if length.a > 0
            ]
        )

    def progress(self) -> Any:
        """E[gain] / (eta |g|^2)."""
        return self.expect(self.gain) / (self.eta * norm(self.gradient) ** 2)

    def odds(self, theta: Row, arm: int) -> Any:
        return 1 / total([iv.exp(t - theta[arm]) for a, t in enumerate(theta) if a != arm])

    def odds_rise(self, arm: int) -> Any:
        before = self.odds(self.theta, arm)
        return self.expect(lambda d: self.odds([t + x for t, x in zip(self.theta, d, strict=True)], arm) - before)

    def star_drift(self, growth: Any) -> Any:
        return self.expect(lambda d: iv.exp(-growth * d[self.star]) - 1) / (self.policy[self.star] * self.rest[self.star])


class _Stream:
    """A generator that is known by its state: the same trial asked for at another precision is not run again."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.state = rng, repr(rng.bit_generator.state)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Stream) and self.state == other.state

    def __hash__(self) -> int:
        return hash(self.state)


@lru_cache(maxsize=32)
def _states(bandit: Bandit, stream: _Stream, variant: Variant, horizon: int, step_size: float) -> States:
    """The states of a trial, from the same random words."""
    visited = Arms.of(bandit).simulate(stream.rng, tuned_step(bandit, step_size), checkpoints(horizon), variant).theta
    return States.draw(stream.rng, bandit, visited)


def replay(
    bandit: Bandit, rng: np.random.Generator, until: int, variant: Variant, *, horizon: int, step_size: float
) -> LazyMeasures:
    """The measures of state `until` of a trial as intervals."""
    states = _states(bandit, _Stream(rng), variant, horizon, step_size)
    m = min(until, len(states.theta) - 1)
    theta, before = enclose(states.theta[m]), enclose(states.before[m])
    eta, growth, baseline = (iv.mpf(float(x[m])) for x in (states.eta, states.growth, states.baseline))
    R, K = iv.mpf(bandit.reward_bound), bandit.arm_count
    own = Pull(bandit, theta, before, eta, variant)
    based = Pull(bandit, theta, before, eta, variant, baseline, states.count)
    star = bandit.best_arm
    means = own.means
    pairs = [abs(means[a] - means[b]) for a in range(K) for b in range(a)]
    smallest = -largest([-gap for gap in pairs])
    others = [means[star] - means[a] for a in range(K) if a != star]
    best_gap = -largest([-gap for gap in others])
    likeliest = variant.oracle == "likeliest"
    optima = [a for a in range(K) if likeliest or bandit.gaps[a] <= TIE * float(bandit.reward_bound or 1.0)]
    delta = dot(own.policy, own.gaps)
    curvature_two = (iv.exp(2 * eta * R) - 1 - 2 * eta * R) / (2 * (eta * R) ** 2)
    theorem = smallest**2 / (40 * K * iv.sqrt(iv.mpf(K)) * R**3)
    larger = smallest**2 / (25 * iv.sqrt(iv.mpf(K)) * R**3)
    slow, quick = (Pull(bandit, theta, before, step, variant) for step in (theorem, larger))
    p = own.policy[star]
    other = 1 - star
    thunks: dict[str, Callable[[], Any]] = {
        "bias": own.bias, "step_sum": own.step_sum, "baseline_bias": based.bias, "baseline_sum": based.step_sum,
        "square": own.square, "square_formula": own.square_formula,
        "baseline_square": based.square, "baseline_square_formula": lambda: own.square_formula(baseline),
        "impurity": lambda: dot(own.policy, own.rest), "gradient_norm": lambda: norm(own.gradient), "reach": own.reach,
        "star_step": lambda: own.expect(lambda d: d[star]) / eta, "star_expected": lambda: p * delta,
        "theorem_curvature": slow.curvature, "larger_curvature": quick.curvature, "curvature_any": lambda: own.curvature(damped=True),
        "theorem_eta": lambda: theorem, "theorem_gain": slow.progress, "larger_gain": quick.progress,
        "recursion_gain": lambda: slow.expect(slow.gain) / (theorem * (largest([own.policy[a] for a in optima]) * delta) ** 2),
        "lojasiewicz": lambda: largest([own.policy[a] for a in optima]) * delta / norm(own.gradient),
        "odds_rise": lambda: largest([own.odds_rise(int(a)) for a in states.watched[m]]),
        "star_drift": lambda: own.star_drift(growth), "curvature_two": lambda: curvature_two,
        "two_odds": lambda: own.odds_rise(star) / (2 * p**2), "two_inverse": lambda: own.odds_rise(other) / (2 * own.policy[other] ** 2),
        "eta_any": lambda: eta, "growth_any": lambda: growth,
        "smallest_gap": lambda: smallest, "best_gap": lambda: best_gap, "largest_gap": lambda: largest(own.gaps),
    }  # fmt: skip
    return LazyMeasures(**thunks)


@plugin.precisely
def precisely(bandit: Bandit, rng: np.random.Generator, until: int, *, horizon: int, step_size: float) -> LazyMeasures:
    """The run again, in intervals."""
    return replay(bandit, rng, until, Variant(), horizon=horizon, step_size=step_size)
