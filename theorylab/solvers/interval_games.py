"""Preference games in interval arithmetic (mpmath.iv): every result encloses the exact one, from the exact dyadic inputs.

Slow and small-scale on purpose: it decides whether a violation seen in floats is real. Policies are lists of prompts of lists of
intervals of log-probabilities. The precision is that of `iv` at the time of the call.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mpmath import iv, mp

from theorylab.problems.preference_game import PreferenceGame
from theorylab.problems.record import Array

Policy = list[list[Any]]  # (X, n) intervals of log-probabilities


def enclose(values: Array) -> Any:
    """Nested lists of point intervals, exact."""
    return [enclose(v) for v in values] if np.ndim(values) else iv.mpf(float(values))


def magnitude(x: Any) -> Any:
    """Upper end of |x|, as a point interval."""
    return max(abs(x).b, iv.mpf(0))


def around(x: Any, radius: Any) -> Any:
    """The interval x widened by `radius` on both sides."""
    return x + iv.mpf([-1, 1]) * radius


def exp(x: Any) -> Any:
    """exp of an interval; refused with ArithmeticError where the interval is so wide that nothing could be decided by it.

    Far too wide intervals would also cost integers of a billion digits.
    """
    if not x.delta < 1:
        raise ArithmeticError("the interval is wider than 1 nat")
    return iv.exp(x)


def log_sum_exp(z: list[Any]) -> Any:
    top = max((x.mid for x in z), key=mp.mpf)
    total = iv.mpf(0)
    for x in z:
        total += exp(x - top)
    return iv.log(total) + top


def log_softmax(z: list[Any]) -> list[Any]:
    shift = log_sum_exp(z)
    return [x - shift for x in z]


class IntervalGame:
    """The exact game behind the floats: upper triangle as stored, lower triangle 1 - upper, distributions normalised."""

    def __init__(self, game: PreferenceGame, preference: Array | None = None) -> None:
        table = game.preference if preference is None else preference
        assert game.log_reference is not None
        assert game.prompt_weights is not None
        self.n = table.shape[1]
        self.skew = [self._skew(p) for p in table]
        self.tau = iv.mpf(game.tau)
        self.log_reference: Policy = [log_softmax(enclose(row)) for row in game.log_reference]
        weights = enclose(game.prompt_weights)
        total = sum(weights[1:], weights[0])
        self.weights = [w / total for w in weights]
        self._source = game

    def _skew(self, table: Array) -> list[list[Any]]:
        half, n = iv.mpf(0.5), self.n
        antisymmetric = bool(np.all(np.abs(table + table.T - 1.0) < 1e-6))
        rows = [[iv.mpf(float(table[i, j])) - half for j in range(n)] for i in range(n)]
        if antisymmetric:  # not so for tables that mutants have damaged: those are taken as they stand
            for i in range(n):
                rows[i][i] = iv.mpf(0)
                for j in range(i):
                    rows[i][j] = -rows[j][i]
        return rows

    def average(self, per_prompt: list[Any]) -> Any:
        total = iv.mpf(0)
        for w, value in zip(self.weights, per_prompt, strict=True):
            total += w * value
        return total

    def gains(self, log_policy: Policy) -> Policy:
        """(X, n) P(y > policy) - 1/2."""
        out = []
        for skew, row in zip(self.skew, log_policy, strict=True):
            p = [exp(x) for x in row]
            out.append([_dot(line, p) for line in skew])
        return out

    def advantage(self, log_p: Policy, log_q: Policy) -> Any:
        """P(p > q) - 1/2, averaged over prompts."""
        gains = self.gains(log_q)
        return self.average([_dot([exp(x) for x in row], g) for row, g in zip(log_p, gains, strict=True)])

    def kl(self, log_p: Policy, log_q: Policy) -> Any:
        """KL_rho(p, q)."""
        return self.average([kl(p, q) for p, q in zip(log_p, log_q, strict=True)])

    def regularised_advantage(self, log_p: Policy, log_q: Policy) -> Any:
        """P_tau(p > q) - 1/2."""
        mu = self.log_reference
        return self.advantage(log_p, log_q) - self.tau * self.kl(log_p, mu) + self.tau * self.kl(log_q, mu)

    def mixture(self, log_policy: Policy, pull: Any) -> Policy:
        """Geometric mixture with the reference."""
        return [
            log_softmax([(1 - pull) * a + pull * b for a, b in zip(p, m, strict=True)])
            for p, m in zip(log_policy, self.log_reference, strict=True)
        ]

    def tilt(self, log_base: Policy, scores: Policy, rate: Any) -> Policy:
        """base exp(rate scores), normalised."""
        return [log_softmax([a + rate * s for a, s in zip(b, r, strict=True)]) for b, r in zip(log_base, scores, strict=True)]

    def equilibrium(self, tau: Any = None) -> Policy:
        """Certified enclosure of the regularised equilibrium at `tau` (an interval; the game's by default).

        Newton's method at the working precision gives a candidate c; its regularised exploitability f(c) bounds
        tau KL(c, pi*) <= f(c) - 1/2, so by Pinsker |A (c - pi*)| <= sqrt(KL / 2), and one application of the fixed-point
        equation gives log pi* to within 2 sqrt(KL / 2) / tau.
        """
        tau = self.tau if tau is None else tau
        out = []
        for skew, log_mu in zip(self.skew, self.log_reference, strict=True):
            candidate = self._candidate(skew, log_mu, tau)
            p = [exp(x) for x in candidate]
            scores = [m + _dot(line, p) / tau for m, line in zip(log_mu, skew, strict=True)]
            gap = tau * log_sum_exp(scores) + tau * kl(candidate, log_mu)
            radius = 2 * iv.sqrt(magnitude(gap) / tau.a / 2) / tau.a
            out.append([around(x, iv.mpf(radius.b)) for x in log_softmax(scores)])
        return out

    def _candidate(self, skew: list[list[Any]], log_mu: list[Any], tau: Any) -> list[Any]:
        with mp.workprec(iv.prec + 20):
            middle = [[mp.mpf(x.mid) for x in row] for row in skew]
            start, t = [mp.mpf(x.mid) for x in log_mu], mp.mpf(tau.mid)
            z = _float_start(middle, start, t)
            for _ in range(4 + int(mp.log(mp.prec, 2))):
                p = _softmax([a + b for a, b in zip(start, z, strict=True)])
                means = [mp.fdot(row, p) for row in middle]
                residual = mp.matrix([zi - m / t for zi, m in zip(z, means, strict=True)])
                jacobian = mp.matrix(self.n, self.n)
                for i in range(self.n):
                    for j in range(self.n):
                        jacobian[i, j] = (1 if i == j else 0) - (middle[i][j] - means[i]) * p[j] / t
                step = mp.lu_solve(jacobian, residual)
                z = [zi - s for zi, s in zip(z, step, strict=True)]
                if max(abs(s) for s in step) < mp.ldexp(1, 8 - iv.prec):
                    break
            p = _softmax([a + b for a, b in zip(start, z, strict=True)])
            points = [mp.log(x) for x in p]
        return log_softmax([iv.mpf(x) for x in points])


def _softmax(z: list[Any]) -> list[Any]:
    top = max(z)
    e = [mp.exp(x - top) for x in z]
    total = mp.fsum(e)
    return [x / total for x in e]


def _float_start(skew: list[list[Any]], log_mu: list[Any], tau: Any) -> list[Any]:
    """z = log(pi / mu) up to a constant, from the float solver."""
    from theorylab.solvers.games import _newton_kernel

    a = np.array([[float(x) for x in row] for row in skew])
    mu = np.array([float(x) for x in log_mu])
    log_policy = np.empty(mu.size)
    _newton_kernel(a, mu, float(tau), log_policy)
    return [mp.mpf(x) / tau for x in a @ np.exp(log_policy)]


def _dot(a: list[Any], b: list[Any]) -> Any:
    total = iv.mpf(0)
    for x, y in zip(a, b, strict=True):
        total += x * y
    return total


def kl(log_p: list[Any], log_q: list[Any]) -> Any:
    """KL(p, q) of one prompt."""
    total = iv.mpf(0)
    for a, b in zip(log_p, log_q, strict=True):
        total += exp(a) * (a - b)
    return total


def span(values: list[Any]) -> Any:
    """Enclosure of max - min."""
    return largest(values) + largest([-v for v in values])


def largest(values: list[Any]) -> Any:
    """Enclosure of the maximum."""
    return iv.mpf([max(v.a for v in values).a, max(v.b for v in values).b])
