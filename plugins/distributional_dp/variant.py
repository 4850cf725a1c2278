"""What can be wrong with the algorithm, in one place: the right choices, of which each mutant changes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from theorylab.problems.mdp import MDP, ExactTable
from theorylab.solvers.exact_returns import Stock


@dataclass(frozen=True)
class Variant:
    """What the algorithm really does. The defaults are right; mutants change one of them.

    stock      how the stock is kept and the objective read
    target     which q the CVaR policy is started with, from the candidates and the problem: None for the best
    tail_only  CVaR is maximised greedily, without a stock
    problem    the problem that the grid solvers see
    """

    stock: Stock = field(default_factory=Stock)
    target: Callable[[ExactTable, Fraction, int, int], Fraction] | None = None
    tail_only: bool = False
    problem: Callable[[MDP], MDP] = lambda mdp: mdp
