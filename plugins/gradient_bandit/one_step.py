"""Exact conditional expectations of one pull: every arm and every reward is enumerated, nothing is sampled.

The increments are the algorithm's own (`updates.increment`), so that a wrong update shows. All forms are chosen so that they keep
their digits near the vertices of the simplex: 1 - pi(a) is a sum, g(a) = pi(a) sum_b pi(b) (r(a) - r(b)), norms are scaled, and gains
are written in the increments through expm1.

Letters: M states, K arms, J rewards per arm, g the gradient of the value f = pi . r, u(a) = pi(a) / (1 - pi(a)) the odds of arm a.
"""

from __future__ import annotations

import math

import numpy as np

from theorylab.kernels import kernel

from .updates import CORRECT, increment, policy_of

#: Columns of `facts`: what the policy alone determines.
(
    GRADIENT_NORM,
    SQUARE_FORMULA,
    IMPURITY,
    STAR,
    DELTA,
    LOG_RANGE,
    SHIFTED,
    FACTS,
) = range(8)

#: Columns of `one_step`: what the update does on average, or at most.
(
    BIAS,
    SUM,
    SQUARE,
    REACH,
    FIRST,
    SECOND,
    NOISE,
    CURVATURE,
    CURVATURE_ANY,
    ODDS,
    STAR_STEP,
    STAR_DRIFT,
    TWO_ODDS,
    TWO_INVERSE,
    LARGEST,
    COLUMNS,
) = range(16)


@kernel
def second_order(d):  # type: ignore[no-untyped-def]
    """exp(d) - 1 - d, to a few roundings."""
    if abs(d) > 0.25:
        return math.expm1(d) - d
    term = 0.5 * d * d
    total = term
    for k in range(3, 14):  # d^14 / 14! < 1e-17 d^2
        term *= d / k
        total += term
    return total


@kernel
def scaled_norm(x):  # type: ignore[no-untyped-def]
    """Euclidean norm without underflow of the squares."""
    top = 0.0
    for value in x:
        top = max(top, abs(value))
    if top == 0.0:
        return 0.0
    total = 0.0
    for value in x:
        total += (value / top) ** 2
    return top * math.sqrt(total)


@kernel
def gradient_of(policy, means, gradient):  # type: ignore[no-untyped-def]
    """Fill gradient (K,) of f at the policy."""
    for a in range(policy.size):
        total = 0.0
        for b in range(policy.size):
            total += policy[b] * (means[a] - means[b])
        gradient[a] = policy[a] * total


@kernel
def facts(theta, means, squares, baseline, stars, form, out, gradients, policies):  # type: ignore[no-untyped-def]
    """Fill out (M, FACTS), gradients and policies (M, K) for the states theta (M, K); `baseline` (M,), `stars` (K,) marks optima.

    SQUARE_FORMULA is sum_a pi(a) E[(X_a - B)^2] |e_a - pi|^2, IMPURITY 1 - |pi|^2, STAR the largest probability of an optimal arm,
    SHIFTED the largest change of the policy when all logits move by 800.
    """
    M, K = theta.shape
    rest, other, others = np.empty(K), np.empty(K), np.empty(K)
    best = means.max()
    for m in range(M):
        policy, gradient = policies[m], gradients[m]
        policy_of(theta[m], CORRECT, policy, rest)
        gradient_of(policy, means, gradient)
        square = impurity = delta = star = 0.0
        own = 0.0
        for a in range(K):
            own += policy[a] ** 2
        for a in range(K):
            spread = squares[a] - 2.0 * baseline[m] * means[a] + baseline[m] ** 2
            tail = 0.0
            for b in range(K):
                if b != a:
                    tail += policy[b] ** 2
            square += policy[a] * spread * (rest[a] ** 2 + tail)
            impurity += policy[a] * rest[a]
            delta += policy[a] * (best - means[a])
            if stars[a]:
                star = max(star, policy[a])
        policy_of(theta[m] + 800.0, form, other, others)
        moved = 0.0
        for a in range(K):
            # Not a number counts as a policy that is wrong altogether.
            moved = max(moved, abs(other[a] - policy[a])) if math.isfinite(other[a]) else 1.0
        out[m, GRADIENT_NORM] = scaled_norm(gradient)
        out[m, SQUARE_FORMULA] = square
        out[m, IMPURITY] = impurity
        out[m, STAR] = star
        out[m, DELTA] = delta
        out[m, LOG_RANGE] = theta[m].max() - theta[m].min()
        out[m, SHIFTED] = moved


@kernel
def hessians(theta, means, norms, centred, out):  # type: ignore[no-untyped-def]
    """Fill out (M, K, K) with the Hessian of f over |g|, as the third joint cumulant sum_a pi(a) (r(a) - f) (e_a - pi)(e_a - pi)^T.

    `centred` False leaves f out, as a broken variant does. No gradient enters, so that the two can be held against each other.
    """
    M, K = theta.shape
    policy, rest, away = np.empty(K), np.empty(K), np.empty(K)
    for m in range(M):
        policy_of(theta[m], CORRECT, policy, rest)
        out[m] = 0.0
        for a in range(K):
            advantage = 0.0 if centred else means[a]
            for b in range(K):
                if centred:
                    advantage += policy[b] * (means[a] - means[b])
                away[b] = -policy[b]
            away[a] = rest[a]
            weight = policy[a] * advantage / norms[m] if norms[m] > 0.0 else 0.0
            for b in range(K):
                for c in range(K):
                    out[m, b, c] += weight * away[b] * away[c]


@kernel
def one_step(  # type: ignore[no-untyped-def]
    theta,
    before,
    eta,
    baseline,
    count,
    growth,
    values,
    masses,
    means,
    gradients,
    bound,
    star,
    watched,
    form,
    mix,
    faster,
    contains,
    out,
):
    """Fill out (M, COLUMNS) for the states theta (M, K), one pull after `before` (M, K).

    eta, baseline, growth (M,)  step size, baseline (over `count` rewards), lambda of the supermartingale of theta(a*)
    watched (M, W)              arms whose odds are followed
    faster                      factor on eta that a broken variant applies; all that is reported is in terms of eta

    BIAS          largest |E[step] / eta - g|             SUM           largest |sum of a step| / eta
    SQUARE        E|step|^2 / eta^2                       REACH         largest |step|^2 / (2 eta^2 R^2 (1 - pi(A))^2)
    FIRST, SECOND E[gain] / (eta |g|^2), split into g . E[step] and the rest; NOISE their rounding, in units of u
    CURVATURE     largest |gain - g . step| / (|g| |step|^2 / 2); CURVATURE_ANY the same over exp(3 |step|)
    ODDS          largest E[u'] - u over the watched arms
    LARGEST       largest |coordinate of a step| / eta
    STAR_STEP     E[step of theta(a*)] / eta              STAR_DRIFT    (E exp(-lambda step(a*)) - 1) / (pi(a*) (1 - pi(a*)))
    TWO_ODDS      (E[u'] - u) / (2 p^2), TWO_INVERSE (E[1/u'] - 1/u) / (2 (1 - p)^2) for two arms, p = pi(a*); both are
                  E[exp(+-change of the log-odds) - 1] / (2 p (1 - p))
    """
    M, K = theta.shape
    J = values.shape[1]
    policy, rest, earlier, unused, d, mean = np.empty(K), np.empty(K), np.empty(K), np.empty(K), np.empty(K), np.empty(K)
    true_policy, slopes = np.empty(K), np.empty(K)
    for m in range(M):
        policy_of(theta[m], form, policy, rest)
        policy_of(before[m], form, earlier, unused)
        policy_of(theta[m], CORRECT, true_policy, unused)
        gradient_of(true_policy, means, slopes)
        gradient = gradients[m]
        norm = scaled_norm(gradient)
        mean[:] = 0.0
        for k in range(COLUMNS):
            out[m, k] = 0.0
        for arm in range(K):
            chance = (1.0 - mix) * policy[arm] + mix / K
            for j in range(J):
                if masses[arm, j] == 0.0:
                    continue
                x = values[arm, j]
                used = x - ((count * baseline[m] + x) / (count + 1.0) if contains else baseline[m])
                increment(theta[m], policy, rest, earlier, arm, used, faster * eta[m], form, d)
                weight = chance * masses[arm, j]
                total = slope = tilt = bend = odd = 0.0
                for a in range(K):
                    total += d[a]
                    out[m, LARGEST] = max(out[m, LARGEST], abs(d[a]) / eta[m])
                    mean[a] += weight * d[a]
                    if norm > 0.0:
                        slope += gradient[a] / norm * d[a]
                        bend += slopes[a] / norm * second_order(d[a])
                        odd += (slopes[a] - gradient[a]) / norm * d[a]  # 0 unless the gradient is wrong
                    tilt += policy[a] * math.expm1(d[a])
                remainder = (bend + odd - slope * tilt) / (1.0 + tilt)  # (gain - g . d) / |g|
                length = scaled_norm(d)
                out[m, SUM] = max(out[m, SUM], abs(total) / eta[m])
                out[m, SQUARE] += weight * (length / eta[m]) ** 2
                if rest[arm] > 0.0:
                    out[m, REACH] = max(out[m, REACH], 0.5 * (length / (eta[m] * bound * rest[arm])) ** 2)
                if length > 0.0 and norm > 0.0:
                    curvature = 2.0 * abs(remainder) / length / length
                    if length < 1e-100:  # its square underflows: only the quadratic part is left
                        bend = slope = tilt = 0.0
                        for a in range(K):
                            bend += 0.5 * gradient[a] / norm * (d[a] / length) ** 2
                            slope += gradient[a] / norm * (d[a] / length)
                            tilt += policy[a] * (d[a] / length)
                        curvature = 2.0 * abs(bend - slope * tilt)
                        slope *= length
                    out[m, CURVATURE] = max(out[m, CURVATURE], curvature)
                    out[m, CURVATURE_ANY] = max(out[m, CURVATURE_ANY], curvature * math.exp(-3.0 * length))
                    out[m, FIRST] += weight * slope / (eta[m] * norm)
                    out[m, SECOND] += weight * remainder / (eta[m] * norm)
                    out[m, NOISE] += weight * (abs(slope) + abs(remainder)) / (eta[m] * norm)
                out[m, STAR_STEP] += weight * d[star] / eta[m]
                shrink = math.expm1(-growth[m] * d[star])
                # The factor 1 / (pi(a*) (1 - pi(a*))) is taken where the probability of the arm cancels it.
                out[m, STAR_DRIFT] += weight / policy[star] * (shrink / rest[star])
                if K == 2:
                    odds = d[star] - d[1 - star]
                    share = weight / policy[star] if arm == star else weight / rest[star]
                    scale = 2.0 * (rest[star] if arm == star else policy[star])
                    out[m, TWO_ODDS] += share * (math.expm1(odds) / scale)
                    out[m, TWO_INVERSE] += share * (math.expm1(-odds) / scale)
        for a in range(K):
            out[m, BIAS] = max(out[m, BIAS], abs(mean[a] / eta[m] - gradient[a]))
        first = True
        for a in watched[m]:
            rise = odds_rise(theta[m], policy, rest, earlier, faster * eta[m], a, values, masses, form, mix, d)
            if first or rise > out[m, ODDS]:
                out[m, ODDS] = rise
            first = False


@kernel
def odds_rise(theta, policy, rest, earlier, eta, a, values, masses, form, mix, d):  # type: ignore[no-untyped-def]
    """E[u'(a)] - u(a) after one pull without baseline; every term keeps its digits."""
    K = theta.size
    rise = 0.0
    for arm in range(K):
        chance = (1.0 - mix) * policy[arm] + mix / K
        for j in range(values.shape[1]):
            if masses[arm, j] == 0.0:
                continue
            increment(theta, policy, rest, earlier, arm, values[arm, j], eta, form, d)
            change = 0.0
            for b in range(K):
                if b != a:
                    change += policy[b] / rest[a] * math.expm1(d[b] - d[a])
            rise += chance / rest[a] * policy[a] * masses[arm, j] * (-change / (1.0 + change))
    return rise
