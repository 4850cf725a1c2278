"""What learners of linear mixture MDPs share: coordinates of value functions, finite-horizon planning, inverses of growing Gram matrices.

Letters: H steps, S states, A actions, d features, pair s * A + a; V (H + 1, S) with last row 0. Features are those of `LinearMixture.sparse`.
"""

from __future__ import annotations

import math

import numpy as np

from theorylab.kernels import kernel

#: Values within this of the best one are tied, and the first of them is chosen.
TIE = 1e-15

#: Rank-one updates of an inverse before it is computed anew, at least; and as many more as there are features, so that the cubic cost is spread.
REFRESH = 64

#: Coordinates all below this are 0: their products would underflow, slowly.
NOTHING = 1e-100


# -- coordinates ------------------------------------------------------------------------------------------------------------------------------


@kernel
def coordinates(f, pair, values, out):  # type: ignore[no-untyped-def]
    """out[:n] = psi_V(pair) on the n active features of a pair; returns n."""
    begin = f.offsets[pair]
    n = f.offsets[pair + 1] - begin
    for i in range(n):
        total = 0.0
        for s in range(len(values)):
            total += f.rows[begin + i, s] * values[s]
        out[i] = total
    return n


@kernel
def stacked_coordinates(f, pair, values, out, m):  # type: ignore[no-untyped-def]
    """out[m, :n] = psi_V(pair); returns n."""
    begin = f.offsets[pair]
    n = f.offsets[pair + 1] - begin
    for i in range(n):
        total = 0.0
        for s in range(len(values)):
            total += f.rows[begin + i, s] * values[s]
        out[m, i] = total
    return n


@kernel
def along(f, pair, weights, x):  # type: ignore[no-untyped-def]
    """<x, weights> on the active features of a pair."""
    begin, end = f.offsets[pair], f.offsets[pair + 1]
    total = 0.0
    for i in range(begin, end):
        total += x[i - begin] * weights[f.active[i]]
    return total


@kernel
def norm(f, pair, matrix, x):  # type: ignore[no-untyped-def]
    """sqrt(x' matrix x) on the active features of a pair."""
    begin, end = f.offsets[pair], f.offsets[pair + 1]
    total = 0.0
    for i in range(begin, end):
        row = matrix[f.active[i]]
        part = 0.0
        for j in range(begin, end):
            part += row[f.active[j]] * x[j - begin]
        total += x[i - begin] * part
    return math.sqrt(max(total, 0.0))


@kernel
def stacked_along(f, pair, weights, x, m):  # type: ignore[no-untyped-def]
    """<x[m], weights[m]> on the active features of a pair: no view of a row is made, which would cost more than the sum."""
    begin, end = f.offsets[pair], f.offsets[pair + 1]
    total = 0.0
    for i in range(begin, end):
        total += x[m, i - begin] * weights[m, f.active[i]]
    return total


@kernel
def stacked_norm(f, pair, matrices, x, m):  # type: ignore[no-untyped-def]
    """sqrt(x[m]' matrices[m] x[m]) on the active features of a pair."""
    begin, end = f.offsets[pair], f.offsets[pair + 1]
    total = 0.0
    for i in range(begin, end):
        part = 0.0
        for j in range(begin, end):
            part += matrices[m, f.active[i], f.active[j]] * x[m, j - begin]
        total += x[m, i - begin] * part
    return math.sqrt(max(total, 0.0))


# -- Gram matrices and their inverses ------------------------------------------------------------------------------------------------------------


@kernel
def invert(gram, out, lower):  # type: ignore[no-untyped-def]
    """out = gram^-1 for a positive definite matrix, by Cholesky; lower (d, d) is scratch. Returns log det."""
    d = len(gram)
    log_det = 0.0
    for i in range(d):
        for j in range(i + 1):
            total = gram[i, j]
            for k in range(j):
                total -= lower[i, k] * lower[j, k]
            if i == j:
                lower[i, i] = math.sqrt(total)
                log_det += 2.0 * math.log(lower[i, i])
            else:
                lower[i, j] = total / lower[j, j]
    for i in range(d):  # the inverse of the factor, in its place
        lower[i, i] = 1.0 / lower[i, i]
        for j in range(i):
            total = 0.0
            for k in range(j, i):
                total -= lower[i, k] * lower[k, j]
            lower[i, j] = total * lower[i, i]
    for i in range(d):
        for j in range(i + 1):
            total = 0.0
            for k in range(i, d):
                total += lower[k, i] * lower[k, j]
            out[i, j] = out[j, i] = total
    return log_det


@kernel
def add_outer(f, pair, x, weight, grams, inverses, m, image):  # type: ignore[no-untyped-def]
    """grams[m] += weight x[m] x[m]', inverses[m] by Sherman and Morrison; image (d,) is scratch. Returns what log det grows by."""
    begin, end = f.offsets[pair], f.offsets[pair + 1]
    d = len(image)
    for i in range(d):
        image[i] = 0.0
    for j in range(begin, end):
        at, value = f.active[j], x[m, j - begin]
        if value != 0.0:
            for i in range(d):
                image[i] += inverses[m, at, i] * value
    square = 0.0
    for j in range(begin, end):
        square += x[m, j - begin] * image[f.active[j]]
    factor = weight / (1.0 + weight * square)
    for i in range(d):
        scaled = factor * image[i]
        if scaled != 0.0:  # kernels that share no feature never mix
            for j in range(d):
                inverses[m, i, j] -= scaled * image[j]
    for i in range(begin, end):
        for j in range(begin, end):
            grams[m, f.active[i], f.active[j]] += weight * x[m, i - begin] * x[m, j - begin]
    return math.log1p(weight * square)


@kernel
def apply(matrix, vector, out):  # type: ignore[no-untyped-def]
    """out = matrix vector."""
    for i in range(len(vector)):
        total = 0.0
        for j in range(len(vector)):
            total += matrix[i, j] * vector[j]
        out[i] = total


@kernel
def distance(gram, vector, other):  # type: ignore[no-untyped-def]
    """||vector - other|| in the norm of a Gram matrix."""
    total = 0.0
    for i in range(len(vector)):
        for j in range(len(vector)):
            total += (vector[i] - other[i]) * gram[i, j] * (vector[j] - other[j])
    return math.sqrt(max(total, 0.0))


# -- finite horizon, known kernel --------------------------------------------------------------------------------------------------------------


@kernel
def expected(transition, pair, values):  # type: ignore[no-untyped-def]
    """[P V](pair)."""
    total = 0.0
    for s in range(len(values)):
        total += transition[pair, s] * values[s]
    return total


@kernel
def best_value(transition, reward, value, policy):  # type: ignore[no-untyped-def]
    """value (H + 1, S), policy (H, S): optimal for rewards (H, S, A), by dynamic programming."""
    H, S, A = reward.shape
    value[H] = 0.0
    for h in range(H - 1, -1, -1):
        for s in range(S):
            best = -np.inf
            for a in range(A):
                q = reward[h, s, a] + expected(transition, s * A + a, value[h + 1])
                if q > best + TIE:
                    best = q
                    policy[h, s] = a
            value[h, s] = best


@kernel
def policy_value(transition, reward, policy, value):  # type: ignore[no-untyped-def]
    """value (H + 1, S) of a policy (H, S) for rewards (H, S, A)."""
    H, S, A = reward.shape
    value[H] = 0.0
    for h in range(H - 1, -1, -1):
        for s in range(S):
            a = policy[h, s]
            value[h, s] = reward[h, s, a] + expected(transition, s * A + a, value[h + 1])


@kernel
def truncated_value(transition, amount, policy, value):  # type: ignore[no-untyped-def]
    """value (H + 1, S): sums of amounts (H, S) along a policy, cut at 1 at every step: min(1, amount + P value)."""
    H, S = amount.shape
    A = len(transition) // S
    value[H] = 0.0
    for h in range(H - 1, -1, -1):
        for s in range(S):
            value[h, s] = min(1.0, amount[h, s] + expected(transition, s * A + policy[h, s], value[h + 1]))
