"""Broken variants of the stock and of what is done with it, and the claims that must refute each."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from theorylab.problems.mdp import MDP, ExactTable
from theorylab.solvers.exact_returns import ZERO, Stock, StockIteration, mean

from . import plugin
from .algorithm import measure
from .variant import Variant


def _mutant(name: str, description: str, variant: Variant, refuted_by: Sequence[str]) -> None:
    def broken(mdp: MDP, rng: np.random.Generator, *, horizon: int) -> dict[str, Any]:
        return measure(mdp, rng, horizon, variant)

    plugin.mutant(name=name, refuted_by=refuted_by, description=description)(broken)


def no_target(table: ExactTable, discount: Fraction, steps: int, start: int) -> Fraction:
    """q = 0 instead of the best q."""
    return ZERO


def mean_target(table: ExactTable, discount: Fraction, steps: int, start: int) -> Fraction:
    """q = the largest mean instead of the best q."""
    return mean(StockIteration(table, discount, mean).law(steps, start, ZERO))


def halved_rewards(mdp: MDP) -> MDP:
    """The grid solvers see half of each reward."""
    return mdp.replace(rewards=0.5 * mdp.rewards)


OPTIMAL, SCALAR, ACCOUNT, CVAR = "value-iteration-is-optimal", "laws-agree-with-scalars", "stock-keeps-account", "cvar-is-optimal"

_mutant(
    "stock-not-divided",
    "c' = c + r.",
    Variant(stock=Stock(update=lambda c, r, discount: c + r)),
    [ACCOUNT, OPTIMAL, SCALAR, CVAR],
)
_mutant(
    "stock-multiplied", "c' = discount (c + r).", Variant(stock=Stock(update=lambda c, r, discount: discount * (c + r))),
    [ACCOUNT, OPTIMAL, SCALAR, CVAR],
)  # fmt: skip
_mutant(
    "stock-discounted", "c' = discount c + r.", Variant(stock=Stock(update=lambda c, r, discount: discount * c + r)),
    [ACCOUNT, OPTIMAL, SCALAR, CVAR],
)  # fmt: skip
_mutant(
    "stock-forgotten", "The stock is never updated.", Variant(stock=Stock(update=lambda c, r, discount: c)),
    [ACCOUNT, OPTIMAL, SCALAR, CVAR, "policy-iteration-ends-optimal", "policies-improve"],
)  # fmt: skip
_mutant(
    "greedy-without-stock", "The objective is read off G instead of c + G.", Variant(stock=Stock(total=lambda c, law: law)),
    [OPTIMAL, SCALAR, "far-stocks-are-risk-neutral", "policies-improve", "policy-iteration-leads-sweeps", "policy-iteration-ends-optimal"],
)  # fmt: skip
_mutant("greedy-cvar", "CVaR itself is maximised greedily, without a stock.", Variant(tail_only=True), [CVAR, "cvar-is-earned"])
_mutant("no-outer-maximisation", "The stock starts at 0 instead of -q*.", Variant(target=no_target), [CVAR, "cvar-is-earned"])
_mutant("mean-as-target", "The stock starts at minus the largest mean.", Variant(target=mean_target), [CVAR, "cvar-is-earned"])
_mutant(
    "rewards-halved-on-grids", "The grid solvers see half of each reward.", Variant(problem=halved_rewards),
    ["kernel-agrees", "stock-rounding", "stock-splitting", "categorical-agent-is-exact", "value-iteration-converges", "greedy-policy-is-good", "cvar-converges", "policy-iteration-converges", "categorical-agent", "quantile-agent",
     "grid-policy-iteration"],
)  # fmt: skip
