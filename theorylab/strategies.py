"""Hypothesis strategies for the problems that theorylab knows: valid instances that compose with other strategies and shrink to small, readable ones.

    from hypothesis import given
    from theorylab.strategies import mdps

    @given(mdps(max_states=3))
    def test_my_planner(mdp): ...

They respect the user's profile and example database, like any strategy.
"""

from __future__ import annotations

from theorylab.problems.bandit_families import bandits as bandits
from theorylab.problems.mdp_families import processes as mdps
from theorylab.problems.mdp_families import stock_problems as stock_problems
from theorylab.problems.preference_families import preference_games as games
from theorylab.problems.small_families import linear_mdps as linear_mdps
from theorylab.problems.small_families import linear_mixtures as linear_mixtures
from theorylab.problems.small_families import switch_bandits as switch_bandits

__all__ = ["bandits", "games", "linear_mdps", "linear_mixtures", "mdps", "stock_problems", "switch_bandits"]
