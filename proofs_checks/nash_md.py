"""Nash-MD: geometric mixtures, the three-point identity, schedules, Hoeffding's lemma, equilibria of small games, tightest constants.

Sources: Munos et al., arXiv 2312.00886; Shani et al., arXiv 2405.14655; Zhang et al., arXiv 2407.00617; Rosset et al., arXiv 2404.03715.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import sympy
from sympy import E, Matrix, Rational, diff, exp, log, symbols

from theorylab.proof import Boxes, Cases, Identity, Products, Proofs, Rising, Squares

proofs = Proofs("nash-md")


def simplex(name: str, n: int) -> list[Any]:
    """n probabilities, the last one 1 minus the others."""
    free = list(symbols(f"{name}1:{n}", positive=True))
    return [*free, 1 - sum(free)]


def small(points: list[Any], n: int) -> dict[Any, tuple[Any, Any]]:
    """Ranges in which the free probabilities leave something for the last one."""
    return {s: (0, Rational(1, n)) for p in points for s in sympy.sympify(p).free_symbols}


def games(n: int) -> Matrix:
    """A preference matrix with symbols above the diagonal."""
    p = {(i, j): sympy.Symbol(f"p{i + 1}{j + 1}", real=True) for i, j in itertools.combinations(range(n), 2)}
    return Matrix(n, n, lambda i, j: Rational(1, 2) if i == j else p[i, j] if i < j else 1 - p[j, i])


@proofs.step(twin=Rational(101, 100), supports=["geometric-mixture-identity", "geometric-mixture", "nash-md-step-exact"])
def geometric_mixtures(k: Any) -> list[Identity]:
    """With m the normalised geometric mixture of pi and mu, KL(p, m) = (1 - b) KL(p, pi) + b KL(p, mu) - (1 - b) KL(m, pi) - b KL(m, mu), for 2 and 3 actions.
    Logarithms are symbols: log m = (1 - b) log pi + b log mu - z."""
    out = []
    b, z = symbols("b z", real=True)
    for n in (2, 3):
        p, m = simplex("p", n), simplex("m", n)
        lp, lpi, lmu = (symbols(f"{x}1:{n + 1}", real=True) for x in ("lp", "lpi", "lmu"))
        lm = [(1 - b) * lpi[i] + b * lmu[i] - z for i in range(n)]
        to_m = sum(p[i] * (lp[i] - lm[i]) for i in range(n))
        to_pi, to_mu = (sum(p[i] * (lp[i] - x[i]) for i in range(n)) for x in (lpi, lmu))
        m_pi, m_mu = (sum(m[i] * (lm[i] - x[i]) for i in range(n)) for x in (lpi, lmu))
        out.append(Identity(to_m, (1 - b) * to_pi + b * to_mu - k * ((1 - b) * m_pi + b * m_mu)))
    return out


@proofs.step(twin=-1, supports=["three-point-identity", "three-point", "nash-md-step-exact", "nash-md-step"])
def three_points(k: Any) -> list[Identity]:
    """With q proportional to m exp(eta r), KL(p, q) = KL(p, m) - eta <r, p> + c, where c = log sum m exp(eta r) is the constant of q."""
    out = []
    eta, c = symbols("eta c", real=True)
    for n in (2, 3):
        p = simplex("p", n)
        lp, lm, r = (symbols(f"{x}1:{n + 1}", real=True) for x in ("lp", "lm", "r"))
        lq = [lm[i] + eta * r[i] - c for i in range(n)]
        left = sum(p[i] * (lp[i] - lq[i]) for i in range(n))
        right = sum(p[i] * (lp[i] - lm[i]) for i in range(n)) - k * eta * sum(p[i] * r[i] for i in range(n)) + c
        out.append(Identity(left, right))
    return out


@proofs.step(twin=Rational(101, 100), supports=["nash-md-last-iterate", "nash-md-last-iterate-sharp", "contextual-last-iterate"])
def schedule_closes(k: Any) -> Products:
    """t / ((t + 2)(t + 1)) + 1 / (t + 2)^2 <= 1 / (t + 2) for t >= 0: the step sizes 2 / (tau (t + 2)) keep a bound of order 1 / (t + 1)."""
    t = sympy.Symbol("t", nonnegative=True)
    left = t / ((t + 2) * (t + 1)) + k / (t + 2) ** 2
    return Products(left, 1 / (t + 2), [(1, 1, [])], given=[t], times=(t + 2) ** 2 * (t + 1), ranges={t: (0, 400)})


@proofs.step(twin=Rational(99, 100), supports=["nash-md-constant-step", "nash-md-constant-step-sharp"])
def constant_steps_unroll(k: Any) -> Identity:
    """x_t = (1 - a)^t x_0 + (c / a)(1 - (1 - a)^t) solves x_(t+1) = (1 - a) x_t + c."""
    a, c, x0, t = symbols("a c x0 t", positive=True)

    def solution(s: Any) -> Any:
        return (1 - a) ** s * x0 + c / a * (1 - (1 - a) ** s)

    return Identity(
        (1 - a) * solution(t) + k * c, sympy.expand_power_base(sympy.expand_power_exp(solution(t + 1))), ranges={a: (0, 1)}
    )


@proofs.step(twin=Rational(101, 100), supports=["kl-gradient-is-scaled"])
def gradient_to_the_mixture(k: Any) -> list[Identity]:
    """The gradient in the logits of KL(pi, stop-gradient of pi^(1-b) mu^b / z) is b times that of KL(pi, mu), 3 actions."""
    pi = simplex("pi", 3)
    b, z = symbols("b z", real=True)
    lpi, lmu = symbols("lpi1:4", real=True), symbols("lmu1:4", real=True)

    def gradient(
        other: Any,
    ) -> list[Any]:  # d/d theta_j of sum pi_i (log pi_i - other_i): pi_j (d_j - sum_i pi_i d_i), d_i = log pi_i - other_i + 1
        d = [lpi[i] - other[i] + 1 for i in range(3)]
        mean = sum(pi[i] * d[i] for i in range(3))
        return [pi[j] * (d[j] - mean) for j in range(3)]

    mixed = gradient([(1 - b) * lpi[i] + b * lmu[i] - z for i in range(3)])
    plain = gradient(lmu)
    return [Identity(mixed[j], k * b * plain[j]) for j in range(3)]


@proofs.step(twin=Rational(101, 100), supports=["equilibrium-is-fixed-point", "constant-step-fixed-point"])
def two_actions_ignore_the_opponent(k: Any) -> Identity:
    """With 2 actions the difference of win rates is P(1, 2) - 1/2 against any policy, so that logit pi* = logit mu + (P(1, 2) - 1/2) / tau."""
    P, pi = games(2), simplex("pi", 2)
    rates = P * Matrix(pi)
    return Identity(rates[0] - rates[1], k * (P[0, 1] - Rational(1, 2)))


@proofs.step(twin=Rational(101, 100), supports=["equilibrium-exploitability"])
def three_raters(k: Any) -> Identity:
    """The published game of three types of raters has the equilibrium (1/3 + e/2, 1/3 + e/2, 1/3 - e)."""
    e = sympy.Symbol("e", real=True)
    p12 = 1 - (Rational(2, 3) - e / 2)
    p13 = p32 = Rational(2, 3) + e / 4
    A = Matrix([[0, p12, p13], [1 - p12, 0, 1 - p32], [1 - p13, p32, 0]]) - Rational(1, 2) * (sympy.ones(3, 3) - sympy.eye(3))
    pi = Matrix([Rational(1, 3) + e / 2, Rational(1, 3) + e / 2, k * Rational(1, 3) - e])
    return Identity(A * pi, sympy.zeros(3, 1))


@proofs.step(twin=Rational(101, 100), supports=["constant-step-limit"])
def cycles_have_imaginary_eigenvalues(k: Any) -> Identity:
    """The linearised field A (diag(pi) - pi pi^T) of rock, paper, scissors at the uniform policy has eigenvalues 0 and +- i sqrt(3) / 6."""
    x = sympy.Symbol("x")
    A = Matrix([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / 2
    field = A * (sympy.eye(3) / 3 - sympy.ones(3, 3) / 9)
    return Identity((x * sympy.eye(3) - field).det(), x * (x**2 + k * Rational(1, 12)))


@proofs.step(twin=Rational(101, 100), supports=["equilibrium-exploitability", "regularised-preference-is-antisymmetric"])
def a_policy_ties_with_itself(k: Any) -> list[Identity]:
    """P(pi > pi) = 1/2 for every game and policy, 2 to 4 actions: the largest win rate against pi is at least 1/2, which pi itself attains."""
    out = []
    for n in (2, 3, 4):
        pi = Matrix(simplex("pi", n))
        out.append(Identity((pi.T * games(n) * pi)[0], k * Rational(1, 2)))
    return out


@proofs.step(
    twin=Rational(99, 100),
    supports=["nash-md-step-sharp", "nash-md-step-span", "three-point-sharp", "nash-md-last-iterate-sharp"],
)
def hoeffding_for_two_points(k: Any) -> list[Any]:
    """log(1 - p + p e^s) - p s <= s^2 / 8 for p in [0, 1] and all s: value and slope are 0 at s = 0, and the second derivative of the difference is
    (q - 1/2)^2 with q = p e^s / (1 - p + p e^s)."""
    p, o, s = symbols("p o s", positive=True)  # o stands for 1 - p
    s = sympy.Symbol("s", real=True)
    f = k * s**2 / 8 - log(o + p * exp(s)) + log(o + p) + p * s / (o + p)
    q = p * exp(s) / (o + p * exp(s))
    return [Rising(f, s, 0, (q - Rational(1, 2)) ** 2, ranges={s: (-4, 4)})]


@proofs.step(twin=Rational(99, 100), supports=["nash-md-step", "nash-md-step-sharp"])
def bennett_on_an_interval(k: Any) -> Boxes:
    """e^x - 1 - x <= (e - 2) x^2 for x in [-5, 1]; both sides meet at 0 (twice) and at 1."""
    x = sympy.Symbol("x", real=True)
    return Boxes(k * (E - 2) * x**2 - exp(x) + 1 + x, {x: (-5, 1)}, zeros=[(sympy.Integer(0), 2), (sympy.Integer(1), 1)])


@proofs.step(twin=Rational(99, 100), supports=["gradient-is-unbiased"])
def half_is_worst(k: Any) -> Products:
    """(q / 4)(1 + q (1 - q)) <= 0.3125 q on [0, 1]."""
    q = sympy.Symbol("q", nonnegative=True)
    return Products(
        q / 4 * (1 + q * (1 - q)),
        k * Rational(5, 16) * q,
        [(Rational(1, 4), q - Rational(1, 2), [0])],
        given=[q],
        ranges={q: (0, 1)},
    )


@proofs.step(twin=Rational(1, 2), source="Rosset et al., arXiv 2404.03715, equation 18, is refuted")
def logistic_slope_exceeds_the_printed_one(k: Any) -> Boxes:
    """At B = 1 the printed constant 1 / (1 - s(1)) = 1 + e is below the slope (1 + e)^2 / e that two points near 1 have: 5.08 against 3.72."""
    return Boxes(k * (1 + E) ** 2 / E - (1 + E))


@proofs.step(twin=-1, supports=["constant-step-limit"])
def skew_times_positive(k: Any) -> Identity:
    """R A R is skew if A is skew and R symmetric (R the root of a covariance): A R^2 has the same spectrum, which is imaginary. 3 actions."""
    a, b, c = symbols("a b c", real=True)
    A = Matrix([[0, a, b], [-a, 0, c], [-b, -c, 0]])
    u = symbols("u1:7", real=True)
    R = Matrix([[u[0], u[1], u[2]], [u[1], u[3], u[4]], [u[2], u[4], u[5]]])
    return Identity((R * A * R).T, -k * R * A * R)


@proofs.step(twin=Rational(101, 100), source="Zhang et al., arXiv 2407.00617, Proposition 6")
def two_losses_differ_by_a_constant(k: Any) -> Identity:
    """E (h - (p_y - p_y') / L)^2 and E [P(y > y') (h - 1/(2L))^2 + P(y' > y) (h + 1/(2L))^2], pairs from pi, have the same derivatives in z, h = z_y - z_y', 3
    actions."""
    pi, P, z = simplex("pi", 3), games(3), symbols("z1:4", real=True)
    L = sympy.Symbol("L", positive=True)
    rates = P * Matrix(pi)
    first = second = sympy.Integer(0)
    for y, o in itertools.product(range(3), repeat=2):
        h = z[y] - z[o]
        first += pi[y] * pi[o] * (h - (rates[y] - rates[o]) / L) ** 2
        second += pi[y] * pi[o] * (P[y, o] * (h - k / (2 * L)) ** 2 + P[o, y] * (h + k / (2 * L)) ** 2)
    return Identity(Matrix([diff(first - second, x) for x in z]), sympy.zeros(3, 1), ranges=small(pi, 3))


# -- exact equilibria ---------------------------------------------------------------------------------------------------------------------------


def winner(P: list[list[Fraction]]) -> list[str]:
    """A policy that nothing beats, by a linear program, turned into fractions: the system of the actions that are played is solved again exactly."""
    import cvxpy as cp
    import numpy as np

    n = len(P)
    pi = cp.Variable(n, nonneg=True)
    A = np.array([[float(x) - 0.5 for x in row] for row in P])
    worst = cp.Variable()
    cp.Problem(cp.Minimize(worst), [A @ pi <= worst, cp.sum(pi) == 1]).solve(solver="HIGHS")  # a vertex
    found = np.asarray(pi.value)
    played = [i for i in range(n) if found[i] > 1e-4]
    rows = [[P[i][j] - Fraction(1, 2) for j in played] for i in played]
    system = Matrix([[sympy.Rational(x.numerator, x.denominator) for x in row] for row in rows])
    (kernel,) = system.nullspace()
    kernel = kernel / sum(kernel)
    out = ["0"] * n
    for i, value in zip(played, kernel, strict=True):
        out[i] = str(value)
    return out


def _unbeaten(P: list[list[Fraction]], k: Any, data: Any) -> Iterable[tuple[str, bool]]:
    pi = [Fraction(x) for x in data]
    yield "the policy sums to 1", sum(pi) == 1 and min(pi) >= 0
    limit = Fraction(1, 2) * Fraction(str(k))
    for y, row in enumerate(P):
        yield f"action {y} against it", sum((p * x for p, x in zip(row, pi, strict=True)), Fraction(0)) <= limit


def _pairwise(n: int, wins: dict[tuple[int, int], Fraction]) -> list[list[Fraction]]:
    P = [[Fraction(1, 2)] * n for _ in range(n)]
    for (i, j), p in wins.items():
        P[i][j], P[j][i] = p, 1 - p
    return P


@proofs.step(twin=Rational(99, 100), supports=["equilibrium-exploitability", "equilibrium-exploitability-bound"])
def voters_in_a_cycle(k: Any) -> Cases:
    """The three leading candidates of Minneapolis, Ward 2, 2021 have a mixed winner that no candidate beats: exact fractions of the ballots."""
    P = _pairwise(3, {(0, 1): Fraction(4324, 8422), (1, 2): Fraction(3708, 7343), (2, 0): Fraction(4056, 8093)})
    return Cases(
        f"nothing beats the winner of the Minneapolis game by more than {k}/2",
        lambda data: _unbeaten(P, k, data),
        lambda: winner(P),
    )


@proofs.step(twin=Rational(99, 100), supports=["equilibrium-exploitability", "equilibrium-exploitability-bound"])
def intransitive_dice(k: Any) -> Cases:
    """Four dice of which each beats the next with 2/3 have a mixed winner."""
    third = Fraction(1, 3)
    P = _pairwise(
        4,
        {(0, 1): 2 * third, (0, 2): Fraction(4, 9), (0, 3): third, (1, 2): 2 * third, (1, 3): Fraction(1, 2), (2, 3): 2 * third},
    )
    return Cases(
        f"nothing beats the winner of the dice by more than {k}/2", lambda data: _unbeaten(P, k, data), lambda: winner(P)
    )


# -- the tightest constants -----------------------------------------------------------------------------------------------------------------------


@proofs.step(twin=Rational(101, 100), supports=["nash-md-step", "nash-md-step-sharp"])
def spread_of_win_rates_in_a_ranking(k: Any) -> list[Identity]:
    """Where each action always beats the later ones, the variance of win rates against m is (1 - sum m_i^3) / 12: in a Nash-MD step of size eta the error term is
    eta^2 / 2 times it to second order. At m uniform it is (1 - 1/n^2) / 12."""
    out = []
    for n in (2, 3, 4):
        m = simplex("m", n)
        rates = [m[i] / 2 + sum(m[i + 1 :]) for i in range(n)]
        variance = sum(m[i] * rates[i] ** 2 for i in range(n)) - Rational(1, 4)
        out.append(Identity(variance, k * (1 - sum(x**3 for x in m)) / 12))
    return out


def _spread(pattern: tuple[int, ...], k: Any) -> Squares:
    """Variance of win rates against (x, y, 1 - x - y) in a game of three in which every comparison is certain, against k / 13.4."""
    x, y = symbols("x y", real=True)
    m = [x, y, 1 - x - y]
    p12, p13, p23 = pattern
    P = Matrix([[Rational(1, 2), p12, p13], [1 - p12, Rational(1, 2), p23], [1 - p13, 1 - p23, Rational(1, 2)]])
    rates = P * Matrix(m)
    variance = sum(m[i] * rates[i] ** 2 for i in range(3)) - Rational(1, 4)
    bound = k * Rational(10, 134)
    return Squares(
        sympy.expand(bound - variance), [x, y], given=m, degree=5 if pattern in ((0, 1, 0), (1, 0, 1)) else 3, ranges={x: (0, 1), y: (0, 1)},
        remark="error term of a step certified at most 0.03732 eta^2 to second order, attained 0.03703 eta^2 (uniform); the theorem has 2 eta^2, Hoeffding 0.125 eta^2",
    )  # fmt: skip


@proofs.step(twin=Rational(98, 100), supports=["nash-md-step", "nash-md-step-sharp", "nash-md-step-span"])
def tightest_constant_for_three_actions(k: Any) -> list[Squares]:
    """For every preference matrix of 3 actions and every m, Var_m(P m) <= 10/134 (2/27 is attained): the variance is convex in P, so that its largest value is at one of 8
    corners, each shown by sums of squares. The second-order constant of a Nash-MD step is half of that: 0.0373, where the theorem has 2 and Hoeffding's lemma
    1/8."""
    return [_spread(pattern, k) for pattern in itertools.product((0, 1), repeat=3)]


@proofs.step(twin=Rational(42, 100), supports=["nash-md-step", "nash-md-step-sharp"])
def constant_for_all_steps_up_to_one(k: Any) -> Boxes:
    """(e - 2) 10/134 <= 1/8: for eta <= 1 and 3 actions the error term is at most (e - 2) eta^2 Var_m(P m) by e^x - 1 - x <= (e - 2) x^2, below 0.0537 eta^2 and so below Hoeffding's
    eta^2 / 8; the theorem's 2 eta^2 is 37 times as large."""
    return Boxes(k * Rational(1, 8) - (E - 2) * Rational(10, 134))


@proofs.step(twin=Rational(99, 100), supports=["nash-md-step-sharp"])
def tightest_constant_for_two_actions(k: Any) -> Products:
    """Var_m(P m) <= 1/16 for 2 actions: the rates differ by P(1, 2) - 1/2, at most 1/2 in size."""
    x, d = symbols("x d", real=True)  # d = P(1, 2) - 1/2
    variance = x * (1 - x) * d**2
    return Products(
        variance, k * Rational(1, 16), [(Rational(1, 4), x - Rational(1, 2), []), (1, 1, [0, 1, 2, 3])],
        given=[x, 1 - x, Rational(1, 2) - d, Rational(1, 2) + d], ranges={x: (0, 1), d: (Rational(-1, 2), Rational(1, 2))},
    )  # fmt: skip


@proofs.step(twin=Rational(101, 100), supports=["nash-md-step-exact"])
def win_rates_average_to_one_half(k: Any) -> Identity:
    """sum m_i (P m)_i = 1/2, 3 actions: the mean in the error term of a step is known."""
    m, P = Matrix(simplex("m", 3)), games(3)
    return Identity((m.T * P * m)[0], k * Rational(1, 2))
