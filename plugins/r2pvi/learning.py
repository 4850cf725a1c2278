"""What owners of data want to know."""

from __future__ import annotations

from collections.abc import Sequence

from theorylab.plugin import Answer
from theorylab.problems.linear_mdp import LinearMDP


def strengths_table(mdp: LinearMDP, strengths: Sequence[float]) -> list[Answer]:
    return []
