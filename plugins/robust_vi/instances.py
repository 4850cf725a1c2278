"""Reference problems, the declared distribution and the hypothesis strategy, users' files, and what their owners want to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from theorylab.plugin import Answer
from theorylab.problems.mdp import END, MDP, from_arrays, from_table
from theorylab.problems.mdp_families import processes, random_process
from theorylab.problems.mdp_files import read_mdp

from . import plugin

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

#: Radii of the total variation ball that owners of a problem are shown.
RADII = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)

plugin.sample(random_process)
plugin.reader(read_mdp)


@plugin.instances
def small_processes() -> SearchStrategy[MDP]:
    """Small problems with readable numbers."""
    return processes(max_states=4)


@plugin.assumption
def never_ends(mdp: MDP) -> bool:
    """No outcome ends the episode: the end's value is 0 whatever is added to the others."""
    return not mdp.has_end


def _machine() -> MDP:
    """A machine wears out step by step; repair costs, and a breakdown costs more."""
    table = []
    for wear in range(6):
        run = [(0.8, 1.0 - 0.1 * wear, wear), (0.2, 1.0 - 0.1 * wear, min(wear + 1, 5))] if wear < 5 else [(1.0, -2.0, 5)]
        table.append([run, [(0.9, -0.5, 0), (0.1, -0.5, wear)]])
    return from_table(table, 0.9)


def _bridge() -> MDP:
    """The short way over the bridge may drop you; the long way does not."""
    return from_table(
        [[[(0.95, 0.0, 1), (0.05, -1.0, END)], [(1.0, -0.1, 2)]], [[(1.0, 1.0, END)], [(1.0, 1.0, END)]], [[(1.0, -0.1, 1)], [(1.0, -0.1, 1)]]],
        0.95,
    )  # fmt: skip


plugin.reference("machine", _machine)
plugin.reference("bridge", _bridge)
plugin.reference(
    "certain", lambda: from_arrays([[[0.0, 1.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]], [[0.0, 0.5], [1.0, 0.0]], 0.9)
)
plugin.reference("one-state", lambda: from_arrays([[[1.0], [1.0]]], [[1.0, 0.5]], 0.8))
plugin.reference(
    "rare-states", lambda: from_arrays([[1 - 2e-9, 1e-9, 1e-9], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]], [1.0, 0.5, 0.0], 0.9)
)
plugin.reference(
    "patient", lambda: from_arrays([[[0.9, 0.1], [0.5, 0.5]], [[0.2, 0.8], [0.6, 0.4]]], [[1.0, 0.2], [0.0, 0.3]], 0.99)
)


@plugin.answer
def value_of_caution(mdp: MDP, *, sweeps: int) -> list[Answer]:
    """Worst-case values from the start, by the radius of the total variation ball."""
    from .algorithm import caution

    if mdp.discount >= 1.0:
        return []
    rows = []
    for radius, robust, nominal, price, moved in caution(mdp, RADII):
        rows.append((f"{radius:g}", robust, nominal, price, moved))
    return [
        Answer(
            f"From {mdp.states[mdp.start]}, if up to a share of each step's probability may move to any state",
            ("share", "robust, worst case", "nominal, worst case", "robust, nominal case", "actions changed"),
            tuple(rows),
            "Robust: the policy that is best in the worst case. Nominal: the policy that is best if the table is right.",
        )
    ]
