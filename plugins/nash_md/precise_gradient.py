"""The policy-gradient measures in interval arithmetic; exact gradients by their closed form, not by complex steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mpmath import iv

from theorylab.solvers.interval_games import enclose, exp, largest, log_softmax

if TYPE_CHECKING:
    from .precise import Replay

Row = list[Any]


def _opponent(log_pi: Row, log_mu: Row, mixing: Any, kind: str) -> Row:
    if kind == "opponent-is-policy":
        return log_pi
    if kind == "mixing-swapped":
        mixing = 1 - mixing
    if kind == "arithmetic-opponent":
        return [iv.log((1 - mixing) * exp(a) + mixing * exp(b)) for a, b in zip(log_pi, log_mu, strict=True)]
    return log_softmax([(1 - mixing) * a + mixing * b for a, b in zip(log_pi, log_mu, strict=True)])


def _projected(p: Row, scores: Row) -> Row:
    """(diag(p) - p p^T) scores: the gradient in the logits of an expectation under softmax."""
    mean = sum((a * s for a, s in zip(p, scores, strict=True)), iv.mpf(0))
    return [a * (s - mean) for a, s in zip(p, scores, strict=True)]


def _penalty(log_pi: Row, log_mu: Row, mixing: Any, kind: str) -> Row:
    ratio = [a - b for a, b in zip(log_pi, log_mu, strict=True)]
    if kind == "no-kl-term":
        return [iv.mpf(0)] * len(ratio)
    if kind == "kl-sign-flipped":
        return [-r for r in ratio]
    if kind == "kl-against-mixture":
        return [a - b for a, b in zip(log_pi, _opponent(log_pi, log_mu, mixing, "correct"), strict=True)]
    if kind == "reverse-kl":
        return [-exp(-r) for r in ratio]
    return ratio


def _gains(skew: list[Row], log_policy: Row) -> Row:
    p = [exp(x) for x in log_policy]
    return [sum((a * b for a, b in zip(line, p, strict=True)), iv.mpf(0)) for line in skew]


def _expected(skew: list[Row], log_pi: Row, log_mu: Row, tau: Any, mixing: Any, kind: str) -> Row:
    """Expectation of the estimator: summing the score over pairs leaves the projected mean factors."""
    opponent = _opponent(log_pi, log_mu, mixing, kind)
    shift = iv.mpf(0.5) if kind == "no-baseline" else iv.mpf(0)
    penalty = _penalty(log_pi, log_mu, mixing, kind)
    factors = [g + shift - tau * r for g, r in zip(_gains(skew, opponent), penalty, strict=True)]
    p = [exp(x) for x in log_pi]
    gradient = _projected(p, factors)
    if kind == "gradient-through-opponent":
        q = [exp(x) for x in opponent]
        columns = [sum((p[y] * (skew[y][z] + iv.mpf(0.5)) for y in range(len(p))), iv.mpf(0)) for z in range(len(p))]
        gradient = [g + (1 - mixing) * f for g, f in zip(gradient, _projected(q, columns), strict=True)]
    return gradient


def gradient_thunks(replay: Replay) -> dict[str, Callable[[], Any]]:
    """What `gradient_measures` measures, as intervals."""
    game, tau, kind = replay.game, replay.tau, replay.variant.gradient
    mixing = iv.mpf(replay.mixing)
    rows = [
        (skew, log_softmax(enclose(log_pi)), log_mu)
        for skew, log_pi, log_mu in zip(game.skew, replay.draws.log_policy, game.log_reference, strict=True)
    ]

    def bias() -> Any:
        errors = []
        for skew, log_pi, log_mu in rows:
            exact = _expected(skew, log_pi, log_mu, tau, mixing, "correct")
            errors += [abs(a - b) for a, b in zip(_expected(skew, log_pi, log_mu, tau, mixing, kind), exact, strict=True)]
        return largest(errors)

    def slope() -> Any:
        errors = []
        for _, log_pi, log_mu in rows:
            p = [exp(x) for x in log_pi]
            own = _opponent(log_pi, log_mu, mixing, kind)
            left = _projected(p, [a - b for a, b in zip(log_pi, own, strict=True)])
            right = _projected(p, [a - b for a, b in zip(log_pi, log_mu, strict=True)])
            errors += [abs(a - mixing * b) for a, b in zip(left, right, strict=True)]
        return largest(errors)

    def stationary() -> Any:
        errors = []
        for (skew, _, log_mu), fixed in zip(rows, replay.fixed_point(mixing), strict=True):
            errors += [abs(g) for g in _expected(skew, fixed, log_mu, tau, mixing, kind)]
        return largest(errors)

    def reach() -> Any:
        values = []
        shift = iv.mpf(0.5) if kind == "no-baseline" else iv.mpf(0)
        for skew, log_pi, log_mu in rows:
            penalty = _penalty(log_pi, log_mu, mixing, kind)
            widest = largest([abs(a + shift - tau * r) for line, r in zip(skew, penalty, strict=True) for a in line])
            values.append(widest * (1 + largest([-exp(x) for x in log_pi])))
        return largest(values)

    def log_ratio() -> Any:
        return largest([abs(a - b) for _, p, mu in rows for a, b in zip(p, mu, strict=True)])

    return {
        "gradient_bias": bias,
        "kl_gradient_error": slope,
        "gradient_at_fixed_point": stationary,
        "estimate_reach": reach,
        "policy_log_ratio": log_ratio,
        "gradient_fixed_point_kl": lambda: game.kl(replay.solution, replay.fixed_point(mixing)),
    }
