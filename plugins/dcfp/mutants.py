"""Broken variants of the linear system and of the estimated model, and the claims that must refute each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from theorylab.problems.mdp import END, MDP
from theorylab.problems.record import Array
from theorylab.solvers.categorical import Outcomes, direct_fixed_points, fixed_point_equations

from . import plugin
from .algorithm import Variant, measure


def _mutant(name: str, description: str, variant: Variant, refuted_by: Sequence[str]) -> None:
    def broken(mdp: MDP, rngs: Sequence[np.random.Generator], *, samples: int, atoms: int) -> dict[str, Any]:
        return measure(mdp, rngs, samples, atoms, variant)

    plugin.mutant(name=name, refuted_by=refuted_by, description=description)(broken)


def cdf_operator(outcomes: Outcomes, probabilities: Array) -> Array:
    """The operator on distribution functions, applied to weights."""
    m = outcomes.last.shape[1]
    lower = np.tril(np.ones((m, m)))
    return direct_fixed_points(dataclasses.replace(outcomes, block=lower @ outcomes.block @ np.linalg.inv(lower)), probabilities)


def blocks_transposed(outcomes: Outcomes, probabilities: Array) -> Array:
    """Rows and columns of the projection are exchanged."""
    return direct_fixed_points(dataclasses.replace(outcomes, block=outcomes.block.transpose(0, 2, 1)), probabilities)


def model_transposed(outcomes: Outcomes, probabilities: Array) -> Array:
    """P^T in place of P; rewards stay with the state that is backed up."""
    inside = outcomes.successor != END
    first = {int(s): outcomes.block[o] for o, s in reversed(list(enumerate(outcomes.state))) if inside[o]}
    state, successor = np.where(inside, outcomes.successor, outcomes.state), np.where(inside, outcomes.state, outcomes.successor)
    block = np.array([first.get(int(s), outcomes.block[o]) if inside[o] else outcomes.block[o] for o, s in enumerate(state)])
    return _solved(
        *fixed_point_equations(dataclasses.replace(outcomes, state=state, successor=successor, block=block), probabilities),
        outcomes,
    )


def _solved(system: Array, right: Array, outcomes: Outcomes) -> Array:
    """The shortest least-squares solution: singular systems have none that is better."""
    solution = (np.linalg.pinv(system) @ right[..., None])[..., 0]
    return np.asarray(solution.reshape(*right.shape[:-1], outcomes.state_count, -1))


def _unnormalised(outcomes: Outcomes, probabilities: Array, normalised: int) -> Array:
    """Only the first states have a row that makes their weights sum to 1."""
    S, m = outcomes.state_count, outcomes.last.shape[1]
    system, right = fixed_point_equations(outcomes, probabilities)
    batch = probabilities.shape[:-1]
    blocks, sides = system.reshape(*batch, S, m, S, m), right.reshape(*batch, S, m)
    for s in range(normalised, S):
        blocks[..., s, m - 1, :, :] = 0.0
        blocks[..., s, m - 1, s, m - 1] = 1.0
        sides[..., s, m - 1] = 0.0
    for o in range(len(outcomes.state)):
        s, to, p = outcomes.state[o], outcomes.successor[o], probabilities[..., o, None]
        if s < normalised:
            continue
        if to == END:
            sides[..., s, m - 1] += (p * outcomes.last[o])[..., m - 1]
        else:
            blocks[..., s, m - 1, to, :] -= p * outcomes.block[o][m - 1]
    return _solved(system, right, outcomes)


def no_normalisation(outcomes: Outcomes, probabilities: Array) -> Array:
    """No equation says that weights sum to 1: 0 solves the system."""
    return _unnormalised(outcomes, probabilities, 0)


def one_normalisation(outcomes: Outcomes, probabilities: Array) -> Array:
    """Only one state's weights are made to sum to 1: enough where all states lead to it, not where they fall apart."""
    return _unnormalised(outcomes, probabilities, 1)


def discount_of(change: float) -> Callable[[MDP, Array], Outcomes]:
    """Blocks made with another discount: 1 - change (1 - discount)."""
    return lambda process, grid: Outcomes.of(process.replace(discount=1.0 - change * (1.0 - process.discount)), grid)


def discount_halved(process: MDP, grid: Array) -> Outcomes:
    """Blocks made with half the discount."""
    return Outcomes.of(process.replace(discount=0.5 * process.discount), grid)


SOLVE, ESTIMATES, SUM = "linear-solve-meets-sweeps", "linear-solve-meets-sweeps-on-estimates", "solution-sums-to-one"
RATE, SAMPLES = "error-rate", ["enough-samples-w1", "enough-samples-cramer"]

_mutant(
    "cdf-operator-on-weights", "The operator on distribution functions is applied to weights.", Variant(solve=cdf_operator),
    [SOLVE, ESTIMATES, "solution-is-nonnegative", "solution-keeps-means"],
)  # fmt: skip
_mutant(
    "projection-transposed",
    "Rows and columns of the projection are exchanged.",
    Variant(solve=blocks_transposed),
    [SOLVE, ESTIMATES],
)
_mutant("model-transposed", "P^T in place of P.", Variant(solve=model_transposed), [SOLVE, ESTIMATES])
_mutant("no-normalisation", "No equation says that weights sum to 1.", Variant(solve=no_normalisation), [SOLVE, ESTIMATES, SUM])
_mutant("one-normalisation", "Only one state's weights are made to sum to 1.", Variant(solve=one_normalisation), [SOLVE, SUM])
_mutant(
    "samples-of-another-state", "Each state gets the samples of the next one.", Variant(source=lambda state, states: (state + 1) % states),
    [*SAMPLES, RATE],
)  # fmt: skip
_mutant(
    "counts-over-one-more", "Counts are divided by N + 1 (of 32, where it shows most).", Variant(divisor=lambda n: n + 1.0),
    [ESTIMATES],
)  # fmt: skip
_mutant(
    "one-sample",
    "One sample for each state, however many were paid for.",
    Variant(used=lambda n: 1),
    [*SAMPLES, RATE, "first-order-error", "first-order-error-by-variance"],
)
_mutant(
    "discount-too-small", "Returns shrink by half the discount.", Variant(blocks=discount_halved),
    [SOLVE, ESTIMATES, "solution-keeps-means", "resolved-variance-below-gini"],
)  # fmt: skip
_mutant(
    "discount-too-large", "Returns shrink by a discount eight times closer to 1.", Variant(blocks=discount_of(0.125)),
    [SOLVE, ESTIMATES, "solution-keeps-means", "random-law-variance"],
)  # fmt: skip
