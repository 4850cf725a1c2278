"""Robust offline learning: duals of the inner problems, divergences, ridge regression, one-step lemmas.

Sources: Tang, Liu, Xu, arXiv 2411.18612; Liu, Xu, arXiv 2403.09621; Zouitine, Geist, Rachelson, arXiv 2410.06212; Marinov, Agarwal, Trofin, arXiv 2403.19462.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import sympy
from sympy import Matrix, Rational, log, symbols

from theorylab.proof import Boxes, Cases, Identity, Products, Proofs, Rising

proofs = Proofs("r2pvi")


def piece() -> tuple[Any, list[Any], list[Any], Any]:
    """(alpha, probabilities of three values, values, strength) where the first two values lie below alpha and the third above."""
    alpha, lam = symbols("alpha lam", positive=True)
    p, q = symbols("q1 q2", positive=True)
    return alpha, [p, q, 1 - p - q], list(symbols("V1:4", real=True)), lam


@proofs.step(twin=Rational(101, 100), supports=["closed-forms-are-exact", "chi2-dual-is-a-maximum"])
def slope_of_the_chi2_dual(k: Any) -> Identity:
    """On each piece d/d alpha of E min(V, alpha) - Var min(V, alpha) / (4 lambda) is P(V > alpha)(1 - E(alpha - V)_+ / (2 lambda))."""
    alpha, q, V, lam = piece()
    cut = [V[0], V[1], alpha]
    mean = sum(a * b for a, b in zip(q, cut, strict=True))
    dual = mean - (sum(a * b**2 for a, b in zip(q, cut, strict=True)) - mean**2) / (4 * lam)
    below = q[0] * (alpha - V[0]) + q[1] * (alpha - V[1])
    return Identity(sympy.diff(dual, alpha), q[2] * (1 - k * below / (2 * lam)))


@proofs.step(twin=Rational(101, 100), supports=["closed-forms-are-exact", "worst-factors-attain"])
def worst_law_of_chi2(k: Any) -> Identity:
    """p = q (alpha - V)_+ / (2 lambda), where E(alpha - V)_+ = 2 lambda, pays E min(V, alpha) - Var min(V, alpha) / (4 lambda): its mean plus lambda chi2."""
    alpha, q, V, lam = piece()
    p = [q[0] * (alpha - V[0]) / (2 * lam), q[1] * (alpha - V[1]) / (2 * lam), sympy.Integer(0)]
    paid = sum(a * b for a, b in zip(p, V, strict=True)) + k * lam * sum((a - b) ** 2 / b for a, b in zip(p, q, strict=True))
    cut = [V[0], V[1], alpha]
    mean = sum(a * b for a, b in zip(q, cut, strict=True))
    dual = mean - (sum(a * b**2 for a, b in zip(q, cut, strict=True)) - mean**2) / (4 * lam)
    sums_to_one = (q[0] * (alpha - V[0]) + q[1] * (alpha - V[1])) / 2
    ranges = {alpha: (1, 2), q[0]: (0, Rational(1, 2)), q[1]: (0, Rational(1, 2))}
    return Identity(paid, dual, given={lam: sums_to_one}, ranges=ranges)


def ball() -> tuple[list[Any], list[Any], Any, Any, Any, Any]:
    """Two active states and one that is left out: q, p(t), mass, centre, spread, t."""
    q1, q2, t = symbols("q1 q2 t", positive=True)
    V1, V2 = symbols("V1 V2", real=True)
    mass, total = q1 + q2, q1 * V1 + q2 * V2
    centre = total / mass
    spread = q1 * (V1 - centre) ** 2 + q2 * (V2 - centre) ** 2
    p = [q1 / mass - t * q1 * (V1 - centre), q2 / mass - t * q2 * (V2 - centre)]
    return [q1, q2], p, (V1, V2), mass, (centre, spread), t


@proofs.step(twin=Rational(101, 100), supports=["constrained-is-below-regularised"])
def worst_law_in_a_chi2_ball(k: Any) -> list[Identity]:
    """p = q / P - t q (V - C / P) on the active states, 0 elsewhere: it sums to 1, pays C / P - t num, and chi2 = (1 - P) / P + t^2 num, so that t^2 num = 1 + rho - 1 / P."""
    q, p, V, mass, (centre, spread), t = ball()
    ranges = {q[0]: (0, Rational(1, 2)), q[1]: (0, Rational(1, 2))}
    chi = sum((a - b) ** 2 / b for a, b in zip(p, q, strict=True)) + (1 - mass)
    return [
        Identity(sum(p), 1, ranges=ranges),
        Identity(sum(a * b for a, b in zip(p, V, strict=True)), centre - k * t * spread, ranges=ranges),
        Identity(chi, (1 - mass) / mass + k * t**2 * spread, ranges=ranges),
    ]


@proofs.step(twin=Rational(101, 100), supports=["kl-is-below-chi2"])
def kl_below_chi2(k: Any) -> list[Any]:
    """log t <= t - 1, and sum p (p / q - 1) = sum (p - q)^2 / q for two laws of three values: KL <= chi2."""
    t = sympy.Symbol("t", positive=True)
    p, q = symbols("p1:3", positive=True), symbols("q1:3", positive=True)
    p, q = [*p, 1 - sum(p)], [*q, 1 - sum(q)]
    ranges = {s: (0, Rational(1, 2)) for s in (*p[:2], *q[:2])}
    left = sum(a * (a / b - 1) for a, b in zip(p, q, strict=True))
    right = sum((a - b) ** 2 / b for a, b in zip(p, q, strict=True))
    return [Rising(t - 1 - log(t), t, 1, 1 / t**2, ranges={t: (0, 5)}), Identity(left, k * right, ranges=ranges)]


@proofs.step(twin=Rational(99, 100), supports=["exact-counts-kl", "errors-folds-kl", "errors-shared-kl"])
def logarithms_differ_little(k: Any) -> Rising:
    """log(a / b) <= a / b - 1 = (a - b) / min(a, b) for a >= b: |log a - log b| <= |a - b| / min(a, b)."""
    x = sympy.Symbol("x", nonnegative=True)  # a / b - 1
    return Rising(k * x - log(1 + x), x, 0, x / (1 + x), order=1, upwards=True, ranges={x: (0, Rational(1, 100))}) if k != 1 else Rising(
        x - log(1 + x), x, 0, 1 / (1 + x) ** 2, order=2, upwards=True, ranges={x: (0, 3)}
    )  # fmt: skip


@proofs.step(twin=Rational(101, 100), supports=["factors-are-less-conservative"])
def divergences_are_jointly_convex(k: Any) -> list[Any]:
    """(x1 + x2)^2 / (y1 + y2) <= x1^2 / y1 + x2^2 / y2 (chi2), and a sum of logarithms whose lower bound by log t >= 1 - 1/t is 0 (KL)."""
    y1, y2 = symbols("y1 y2", positive=True)
    x1, x2 = symbols("x1 x2", real=True)
    chi = Products(
        k * (x1 + x2) ** 2 / (y1 + y2), x1**2 / y1 + x2**2 / y2, [(1, x1 * y2 - x2 * y1, [])], given=[y1, y2], times=y1 * y2 * (y1 + y2)
    )  # fmt: skip
    a1, a2, b1, b2 = symbols("a1 a2 b1 b2", positive=True)
    ratio = (a1 + a2) / (b1 + b2)
    kl = Identity(a1 * (1 - ratio * b1 / a1) + a2 * (1 - ratio * b2 / a2), 0 * a1)
    return [chi, kl]


@proofs.step(twin=-1, supports=["errors-folds-tv", "errors-shared-tv", "exact-counts-mean"])
def ridge_regression_errs_by_bias_and_noise(k: Any) -> Identity:
    """zhat - z = -gamma Lambda^-1 z + Lambda^-1 sum phi eta, with targets phi . z + eta; 2 features, 2 samples; multiplied by Lambda."""
    g = sympy.Symbol("gamma", positive=True)
    phi = Matrix(2, 2, symbols("f1:5", real=True))
    z, eta = Matrix(symbols("z1:3", real=True)), Matrix(symbols("e1:3", real=True))
    Lambda = g * sympy.eye(2) + phi.T * phi
    targets = phi * z + eta
    return Identity(phi.T * targets - Lambda * z, -k * g * z + phi.T * eta)


@proofs.step(twin=Rational(98, 100), supports=["errors-folds-tv", "errors-shared-tv", "pevi-errors"])
def sums_of_features_are_short(k: Any) -> Products:
    """phi' (gamma I + phi phi')^-1 phi = |phi|^2 / (gamma + |phi|^2) <= 1: of one sample of weight 1, s = |phi|^2."""
    s, g = symbols("s g", nonnegative=True)
    return Products(s, k * (g + s), [(1, 1, [1])], given=[s, g], ranges={s: (0, 1), g: (0, Rational(1, 100))})


@proofs.step(twin=Rational(99, 100), supports=["errors-shared-tv", "pevi-errors"])
def determinants_below_means(k: Any) -> Products:
    """det Lambda <= (trace / 2)^2 for 2 x 2: the difference is ((a - c) / 2)^2 + b^2."""
    a, b, c = symbols("a b c", real=True)
    return Products(a * c - b**2, k * ((a + c) / 2) ** 2, [(1, (a - c) / 2, []), (1, b, [])])


@proofs.step(twin=-1, supports=["values-follow-the-formulas"])
def penalties_are_linear(k: Any) -> Cases:
    """sum phi_i |x_i| = sum |phi_i x_i| for phi on the simplex: penalised values are linear in the features. All phi of quarters, all x of signs and sizes 0, 1, 2."""

    def cases(data: Any) -> Iterable[tuple[Any, bool]]:
        for phi in itertools.product(range(5), repeat=3):
            if sum(phi) == 4:
                for x in itertools.product((-2, -1, 0, 1, 2), repeat=3):
                    yield (
                        f"phi {phi}, x {x}",
                        sum(f * abs(y) for f, y in zip(phi, x, strict=True))
                        == k * sum(abs(f * y) for f, y in zip(phi, x, strict=True)),
                    )

    return Cases(f"penalties are linear, sign {k}", cases)


@proofs.step(
    twin=Rational(101, 100), supports=["suboptimality-folds-tv", "small-errors-make-good-policies", "backup-is-nonexpansive"]
)
def penalties_cancel(k: Any) -> Identity:
    """With p worst for U, nu(U) = E_p U + lambda D; nu(V) <= E_p V + lambda D; so nu(V) - nu(U) <= E_p (V - U), three states."""
    p, D, lam = symbols("p1:4", real=True), sympy.Symbol("D", real=True), sympy.Symbol("lam", real=True)
    U, V = symbols("U1:4", real=True), symbols("V1:4", real=True)
    at_most = sum(a * b for a, b in zip(p, V, strict=True)) + lam * D
    own = sum(a * b for a, b in zip(p, U, strict=True)) + k * lam * D
    return Identity(at_most - own, sum(a * (b - c) for a, b, c in zip(p, V, U, strict=True)))


@proofs.step(twin=Rational(101, 100), supports=["coverage-bounds-the-sum"])
def rank_one_updates_of_determinants(k: Any) -> list[Identity]:
    """det(A - t v v') = det(A)(1 - t v' A^-1 v), 2 and 3 features: A >= t v v' if and only if t v' A^-1 v <= 1."""
    t = sympy.Symbol("t", real=True)
    out = []
    for n in (2, 3):
        entries = iter(symbols(f"a1:{n * (n + 1) // 2 + 1}", real=True))
        rows = {(i, j): next(entries) for i in range(n) for j in range(i + 1)}
        A = Matrix(n, n, lambda i, j, rows=rows: rows[max(i, j), min(i, j)])
        v = Matrix(symbols(f"v1:{n + 1}", real=True))
        out.append(Identity((A - t * v * v.T).det(), A.det() - k * t * (v.T * A.adjugate() * v)[0]))
    return out


@proofs.step(
    twin=Rational(98, 100),
    source="Marinov, Agarwal, Trofin, arXiv 2403.19462: the lower bound for imitation of several baselines",
)
def missing_a_rare_context(k: Any) -> list[Any]:
    """q (1 - q)^n is largest at q = 1 / (n + 1), n = 1 to 4; and |Pi| e^(-p n) = delta at p = log(|Pi| / delta) / n."""
    q = sympy.Symbol("q", real=True)
    out: list[Any] = []
    for n in (1, 2, 3, 4):
        best = Rational(1, n + 1) * Rational(n, n + 1) ** n
        out.append(Boxes(k * best - q * (1 - q) ** n, {q: (0, 1)}, zeros=[(Rational(1, n + 1), 2)] if k == 1 else []))
    size, delta, N = symbols("size delta N", positive=True)
    out.append(Identity(size * sympy.exp(-N * (log(size / delta) / N)), delta))
    return out


@proofs.step(twin=-1, source="Zouitine, Geist, Rachelson, arXiv 2410.06212: values of a list of models above the robust one")
def lists_of_models_are_optimistic(k: Any) -> Cases:
    """max_a min over some models >= max_a min over all models >= min over all models of any one action: all payoffs in {0, 1, 2} of 3 models and 2 actions."""

    def cases(data: Any) -> Iterable[tuple[Any, bool]]:
        for table in itertools.product(range(3), repeat=6):
            rows = (table[:2], table[2:4], table[4:])
            robust = max(min(row[a] for row in rows) for a in (0, 1))
            seen = max(min(row[a] for row in rows[:2]) for a in (0, 1))
            yield f"payoffs {rows}", k * seen >= k * robust and all(robust >= min(row[a] for row in rows) for a in (0, 1))

    return Cases(f"lists of models are optimistic, order {k}", cases)


@proofs.step(twin=Rational(101, 100), supports=["lower-bound"])
def error_probability_of_the_lower_bound(k: Any) -> Identity:
    """1 - sqrt(K delta^2 / (2 d^3)) = 1/2 at delta = d^(3/2) / sqrt(2 K)."""
    K, d = symbols("K d", positive=True)
    delta = d ** Rational(3, 2) / sympy.sqrt(2 * K)
    return Identity(1 - sympy.sqrt(K * delta**2 / (2 * d**3)), k * Rational(1, 2))
