"""Polynomial inequalities by sums of squares: a semidefinite program proposes, fractions decide.

A polynomial that is a sum of (monomials' G monomials) times what is given not to be negative, all G positive semidefinite, is not negative. The solver's G
are rounded to fractions, what is missing is put into the first of them, and an exact L D L' shows whether they are still positive semidefinite.
Source of the rounding: Peyrl, Parrilo, "Computing sum of squares decompositions with rational coefficients", Theoretical Computer Science 409, 2008.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import sympy

from theorylab.proof.exact import Range, as_text, from_text, statement_digest, told
from theorylab.proof.products import violation
from theorylab.proof.steps import Certificate, Finding

#: Denominator to which the solver's matrices are rounded.
DENOMINATOR = 10**7

Exponents = tuple[int, ...]
Polynomial = dict[Exponents, Fraction]


@dataclass(frozen=True)
class Squares:
    """polynomial >= 0 wherever everything given (polynomials) is at least 0.

    variables  of the polynomials
    degree     of the whole identity; that of the polynomial if it is not given. The leading parts of all summands must be able to cancel, or
               no matrix is positive definite and rounding fails: an odd one is right where what is given is linear
    remark     what is to be said of the constant that is shown, if anything
    """

    polynomial: Any
    variables: Sequence[Any]
    given: Sequence[Any] = ()
    degree: int = 0
    ranges: Mapping[Any, Range] = field(default_factory=dict)
    remark: str = ""
    kind: ClassVar[str] = "inequality"

    def digest_text(self) -> str:
        return statement_digest(self.polynomial, *self.given)

    def _read(self, expression: Any) -> Polynomial:
        poly = sympy.Poly(sympy.expand(expression), *self.variables, domain="QQ")
        return {tuple(e): Fraction(int(c.p), int(c.q)) for e, c in poly.terms() if c != 0}

    def _total_degree(self) -> int:
        own = sympy.Poly(sympy.expand(self.polynomial), *self.variables).total_degree()
        return max(self.degree, own)

    def _parts(self) -> list[tuple[Polynomial, list[Exponents]]]:
        """Multipliers (1 first) with the monomials whose squares they multiply."""
        degree = self._total_degree()
        parts = []
        for g in (sympy.Integer(1), *self.given):
            poly = self._read(g)
            half = (degree - max(sum(e) for e in poly)) // 2
            parts.append((poly, monomials(len(self.variables), half)))
        return parts

    def find(self) -> Certificate:
        if violation(self.polynomial, self.given, self.ranges) is not None:
            return {"matrices": []}
        parts, target = self._parts(), self._read(self.polynomial)
        floats = _solve(parts, target)
        if floats is None:
            return {"matrices": []}
        matrices = [[[Fraction(round(x * DENOMINATOR), DENOMINATOR) for x in row] for row in (G + G.T) / 2.0] for G in floats]
        rest = dict(target)
        for (g, basis), G in zip(parts, matrices, strict=True):
            _subtract(rest, g, basis, G)
        if not _repair(parts, matrices, rest):
            return {"matrices": []}
        return {"matrices": [[[as_text(x) for x in row] for row in G] for G in matrices]}

    def verify(self, certificate: Certificate) -> Finding:
        point = violation(self.polynomial, self.given, self.ranges)
        if point is not None:
            return Finding("FALSE", f"it fails at {told(point)}")
        matrices = [[[from_text(x) for x in row] for row in G] for G in certificate["matrices"]]
        parts = self._parts()
        if len(matrices) != len(parts):
            return Finding("UNPROVED", "no sum of squares was found")
        rest = self._read(self.polynomial)
        for (g, basis), G in zip(parts, matrices, strict=True):
            if len(G) != len(basis) or any(len(row) != len(basis) for row in G):
                return Finding("UNPROVED", "a matrix has another size than its monomials")
            if any(G[i][j] != G[j][i] for i, j in itertools.combinations(range(len(G)), 2)):
                return Finding("UNPROVED", "a matrix is not symmetric")
            if not is_positive_semidefinite(G):
                return Finding("UNPROVED", "rounded to fractions a matrix is not positive semidefinite")
            _subtract(rest, g, basis, G)
        if any(rest.values()):
            return Finding("UNPROVED", "the squares do not add up to the polynomial")
        sizes = ", ".join(f"{len(G)} x {len(G)}" for G in matrices)
        remark = f"; {self.remark}" if self.remark else ""
        return Finding("VERIFIED", f"sums of squares, exact matrices {sizes}{remark}")


def monomials(variables: int, degree: int) -> list[Exponents]:
    """Exponents of all monomials up to a degree; none below 0."""
    return [e for e in itertools.product(range(degree + 1), repeat=variables) if sum(e) <= degree]


def _sum(*exponents: Exponents) -> Exponents:
    return tuple(map(sum, zip(*exponents, strict=True)))


def _subtract(rest: Polynomial, g: Polynomial, basis: Sequence[Exponents], G: Sequence[Sequence[Fraction]]) -> None:
    """rest -= g * basis' G basis."""
    for i, j in itertools.product(range(len(basis)), repeat=2):
        if G[i][j]:
            for e, c in g.items():
                at = _sum(e, basis[i], basis[j])
                rest[at] = rest.get(at, Fraction(0)) - c * G[i][j]


def _repair(parts: Sequence[tuple[Polynomial, list[Exponents]]], matrices: list[list[list[Fraction]]], rest: Polynomial) -> bool:
    """Add to the matrices the least change that makes the identity exact; False if none does."""
    effects: list[tuple[int, int, int, dict[Exponents, Fraction]]] = []
    for part, (g, basis) in enumerate(parts):
        for i, j in itertools.product(range(len(basis)), repeat=2):
            effects.append((part, i, j, {_sum(e, basis[i], basis[j]): c for e, c in g.items()}))
    at = {e: n for n, e in enumerate(sorted({e for *_, effect in effects for e in effect}))}
    if any(amount and e not in at for e, amount in rest.items()):
        return False
    normal = [[Fraction(0)] * len(at) for _ in at]
    for *_, effect in effects:
        for (e, c), (o, b) in itertools.product(effect.items(), repeat=2):
            normal[at[e]][at[o]] += c * b
    weights = _solved(normal, [rest.get(e, Fraction(0)) for e in at])
    if weights is None:
        return False
    for part, i, j, effect in effects:
        matrices[part][i][j] += sum((c * weights[at[e]] for e, c in effect.items()), Fraction(0))
    return True


def _solved(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction] | None:
    """A solution of a linear system in fractions, 0 where it is free; None if there is none."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    n = len(right)
    pivots: list[int] = []
    for column in range(n):
        place = next((i for i in range(len(pivots), n) if rows[i][column]), None)
        if place is None:
            continue
        k = len(pivots)
        rows[k], rows[place] = rows[place], rows[k]
        rows[k] = [x / rows[k][column] for x in rows[k]]
        for i in range(n):
            if i != k and rows[i][column]:
                factor = rows[i][column]
                rows[i] = [x - factor * y for x, y in zip(rows[i], rows[k], strict=True)]
        pivots.append(column)
    if any(row[n] for row in rows[len(pivots) :]):
        return None
    out = [Fraction(0)] * n
    for k, column in enumerate(pivots):
        out[column] = rows[k][n]
    return out


def _solve(parts: Sequence[tuple[Polynomial, list[Exponents]]], target: Polynomial) -> list[np.ndarray] | None:
    """Matrices as far inside the cone as can be, in floating point."""
    import cvxpy as cp

    matrices = [cp.Variable((len(basis), len(basis)), PSD=True) for _, basis in parts]
    inside = cp.Variable()
    sums: dict[Exponents, list[Any]] = {}
    for (g, basis), G in zip(parts, matrices, strict=True):
        for i, j in itertools.product(range(len(basis)), repeat=2):
            for e, c in g.items():
                sums.setdefault(_sum(e, basis[i], basis[j]), []).append(float(c) * G[i, j])
    if any(e not in sums for e in target):
        return None
    rows = [sum(terms) == float(target.get(e, 0)) for e, terms in sums.items()]
    rows += [G - inside * np.eye(G.shape[0]) >> 0 for G in matrices]
    problem = cp.Problem(cp.Maximize(inside), [*rows, inside <= 1.0])
    try:
        problem.solve(solver="CLARABEL")
    except cp.error.SolverError:
        return None
    if any(G.value is None for G in matrices):
        return None
    return [np.asarray(G.value) for G in matrices]


def is_positive_semidefinite(matrix: Sequence[Sequence[Fraction]]) -> bool:
    """Exactly, by eliminating one row after another: pivots are not negative, and a pivot of 0 has a row of zeros."""
    rows = [list(row) for row in matrix]
    for k in range(len(rows)):
        pivot = rows[k][k]
        if pivot < 0:
            return False
        if pivot == 0:
            if any(rows[k][j] != 0 for j in range(k, len(rows))):
                return False
            continue
        for i in range(k + 1, len(rows)):
            factor = rows[i][k] / pivot
            if factor:
                for j in range(i, len(rows)):
                    rows[i][j] -= factor * rows[k][j]
                    rows[j][i] = rows[i][j]
    return True
