"""Reference problems, the declared distribution and the hypothesis strategy, users' files, and the risk-averse answer their owners want."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from theorylab.plugin import Answer
from theorylab.problems.mdp import END, MDP, from_table
from theorylab.problems.mdp_families import random_stock_problem, stock_problems
from theorylab.problems.mdp_files import read_mdp

from . import plugin

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

plugin.sample(random_stock_problem)
plugin.reader(read_mdp)


@plugin.instances
def small_problems() -> SearchStrategy[MDP]:
    """Up to three states, two actions, two outcomes each."""
    return stock_problems()


@plugin.assumption
def discounted(mdp: MDP) -> bool:
    """The discount is below 1."""
    return mdp.discount < 1.0


def _first() -> MDP:
    return from_table(
        [
            [[(5 / 8, 2.0, 1), (3 / 8, 1.0, 1)], [(1.0, 0.0, 0)]],
            [[(1.0, 0.0, 1)], [(4 / 7, 1.0, 0), (3 / 7, -2.0, 1)]],
        ],
        0.5,
    )


def _second() -> MDP:
    return from_table(
        [
            [[(0.5, 1.0, 1), (0.5, -1.0, 0)], [(0.25, 2.0, 0), (0.75, 0.0, 1)]],
            [[(1 / 3, -2.0, 0), (2 / 3, 1.0, 1)], [(1.0, 0.0, 0)]],
        ],
        0.5,
    )


def _greedy_cvar() -> MDP:
    """Luck first, then a gamble that a greedy tail-averse agent takes for granted."""
    same = [(0.5, 10.0, 1), (0.5, 0.0, 1)]
    return from_table([[same, same], [[(1.0, 0.0, END)], [(0.5, -2.0, END), (0.5, 4.0, END)]]], 1.0)


def _greedy_variance() -> MDP:
    same = [(0.5, 0.0, 1), (0.5, 0.0, END)]
    return from_table([[same, same], [[(1.0, 0.0, END)], [(1.0, 1.0, END)]]], 1.0)


def _clipped() -> MDP:
    wait = [(1.0, 0.0, 1)]
    return from_table([[wait, wait], [[(1.0, 1.0, END)], [(0.5, 0.0, END), (0.5, 11 / 5, END)]]], 0.25)


def _stay_or_gamble() -> MDP:
    return from_table([[[(1.0, 0.0, 0)], [(0.5, 1.0, END), (0.5, -1.0, END)]]], 0.5)


def _remember() -> MDP:
    """A coin, then the choice of what makes up for it: only those who remember it can."""
    coin = [(0.5, 1.0, 1), (0.5, -1.0, 1)]
    return from_table([[coin, coin], [[(1.0, 1.0, END)], [(1.0, -1.0, END)]]], 1.0)


def _late_regret() -> MDP:
    """Where following a greedy action for good costs more than one step's error suggests."""
    return from_table(
        [[[(0.5, 2.0, 1), (0.5, 1.0, 1)], [(0.5, -1.0, 1), (0.5, -1.0, 0)]], [[(1.0, 2.0, 1)], [(1.0, 2.0, 1)]]], 0.5
    )


plugin.reference("two-states", _first)
plugin.reference("two-states-risky", _second)
plugin.reference("luck-then-gamble", _greedy_cvar)
plugin.reference("coin-then-choice", _greedy_variance)
plugin.reference("clipped-utility", _clipped)
plugin.reference("stay-or-gamble", _stay_or_gamble)
plugin.reference("remember", _remember)
plugin.reference("certain", lambda: from_table([[[(1.0, 1.0, 0)], [(1.0, 1.0, 0)]]], 0.5))
plugin.reference("late-regret", _late_regret)


@plugin.answer
def risk_averse_policies(mdp: MDP, *, horizon: int) -> list[Answer]:
    """CVaR-optimal policies beside the policy of largest mean: what each earns, and where they differ."""
    from .risk import compare

    if mdp.discount >= 1.0:
        return []
    found = compare(mdp)
    rows = []
    for level, law, best, plain in zip(found.levels, found.laws, found.cvars, found.mean_cvars, strict=True):
        rows.append((f"{level:g}", best, plain, float(law @ found.atoms), found.differs(level)))
    atoms, law = found.atoms, found.mean_law
    mean = float(law @ atoms)
    quantiles = ", ".join(
        f"{q:.0%}: {atoms[int(np.searchsorted(np.cumsum(law), q - 1e-12))]:.4g}" for q in (0.05, 0.25, 0.5, 0.75, 0.95)
    )
    return [
        Answer(
            f"Return from {mdp.states[mdp.start]}, discount {mdp.discount:g}",
            ("CVaR level", "CVaR-optimal", "mean-optimal", "its mean", "where they first differ"),
            tuple(rows),
            f"The mean-optimal policy earns {mean:.6g} on average; its quantiles: {quantiles}. CVaR is computed on stocks in "
            f"steps of {found.step:.3g}: by the theorem off by at most {found.rounding:.3g} / level, mostly by far less.",
        )
    ]
