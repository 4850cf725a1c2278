"""Samples from every state, an estimated model, one linear solve; and the exact variances of what comes out.

A seed draws the samples: counts of outcomes after 32, 64, ... samples for each state, the later ones containing the earlier ones.
Distances are between fixed points on the same grid unless the name says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from theorylab.errors import InstanceError
from theorylab.problems.mdp import END, MDP
from theorylab.problems.record import Array
from theorylab.solvers import categorical
from theorylab.solvers.categorical import Backup, Outcomes
from theorylab.solvers.dynamic_programming import policy_value

from . import plugin
from .instances import evaluated

#: Samples for each state at the first checkpoint; each later one has twice as many.
FIRST = 32

#: Unknowns of a dense system: 1,500 make 18 MB a model.
MOST_UNKNOWNS = 1_500

#: W1 accuracy of fixed points found by sweeps.
ACCURACY = 1e-11

#: Share of runs that may miss the bounds on samples.
DELTA = 0.1

#: Cells of the fine grid that stands for the truth, in each cell of the coarse one.
FINER = 64


@dataclass(frozen=True)
class Variant:
    """What the algorithm really does. The defaults are right; mutants change one of them.

    blocks   what the system is made of, from the process and the grid
    solve    (outcomes, probabilities (..., N)) -> laws (..., S, m)
    divisor  by what counts are divided, from the number of samples
    used     samples that are used, from the number taken
    source   whose samples a state gets
    """

    blocks: Callable[[MDP, Array], Outcomes] = Outcomes.of
    solve: Callable[[Outcomes, Array], Array] = categorical.direct_fixed_points
    divisor: Callable[[float], float] = lambda n: n
    used: Callable[[int], int] = lambda n: n
    source: Callable[[int, int], int] = lambda state, states: state


def checkpoints(samples: int) -> np.ndarray:
    """Numbers of samples at which errors are taken: doubling, up to `samples`."""
    count = max(1, int(np.log2(max(samples, FIRST) / FIRST)) + 1)
    return FIRST * 2 ** np.arange(count)


def measure(mdp: MDP, rngs: Sequence[np.random.Generator], samples: int, atoms: int, variant: Variant) -> dict[str, Any]:
    """All measures of a batch of seeds, for the algorithm or a broken variant of it."""
    process = evaluated(mdp)
    require_feasible(process, atoms)
    S, B = process.state_count, len(rngs)
    grid = categorical.default_grid(process, atoms)
    outcomes = variant.blocks(process, grid)
    points = checkpoints(samples)
    model = np.stack([estimates(process, rng, points, variant) for rng in rngs])
    laws = variant.solve(outcomes, model)
    exact = categorical.evaluate(Backup.of(process, grid), accuracy=ACCURACY).weights
    true_model = variant.solve(outcomes, process.probabilities)
    fine = np.linspace(grid[0], grid[-1], FINER * (atoms - 1) + 1)
    truth = categorical.evaluate(Backup.of(process, fine), accuracy=1e-9).weights
    width, spacing = float(grid[-1] - grid[0]), float(grid[1] - grid[0])
    taken_off = spacing / FINER / (2.0 * (1.0 - process.discount)) + 1e-9
    on_fine = np.zeros((*laws.shape[:-1], len(fine)))
    on_fine[..., ::FINER] = laws
    first = [
        categorical.evaluate(Backup.of(process.replace(probabilities=p), grid), accuracy=ACCURACY).weights
        for p in as_laws(process, model[:, 0])
    ]
    each = {
        "w1_error": categorical.w1(laws, exact, grid).max(axis=-1),
        "cramer_error": np.sqrt(categorical.cramer_squared(laws, exact, grid).max(axis=-1)),
        "w1_total_error": np.maximum(categorical.w1(on_fine, truth, fine).max(axis=-1) - taken_off, 0.0),
        "estimated_weights": laws[:, 0],
        "swept_weights": np.array(first),
        "least_weight": laws.min(axis=(-1, -2)),
        "weight_sum": laws.sum(axis=-1),
    }
    same: dict[str, Any] = {
        "samples": points.astype(np.float64), "checkpoints": float(len(points)), "states": float(S), "width": width, "spacing": spacing,
        "size": width + float(np.abs(grid).max()), "solved_weights": true_model, "exact_weights": exact,
        "exact_mean": policy_value(process),
        "solved_mean": true_model @ grid,
    } | asymptotics(process, grid, outcomes)  # fmt: skip
    same["avar"] = same["avar"] * points[-1] / variant.used(int(points[-1]))  # N counts the samples that were taken
    return each | {name: np.broadcast_to(value, (B, *np.shape(value))) for name, value in same.items()}


def require_feasible(process: MDP, atoms: int) -> None:
    """Raise InstanceError, with the way out, for what dense systems cannot do."""
    if process.discount >= 1.0:
        raise InstanceError("discount = 1: the return of an endless process has no bound. Use a discount below 1.")
    if atoms < 2:
        raise InstanceError(f"atoms = {atoms}: a grid has at least 2.")
    S = process.state_count
    if S * atoms > MOST_UNKNOWNS:
        fit = MOST_UNKNOWNS // S
        raise InstanceError(
            f"{S} states x {atoms} atoms are {S * atoms} unknowns of a dense system, at most {MOST_UNKNOWNS} fit. "
            + (f"Use fewer atoms: --set atoms={fit}." if fit >= 2 else "Use fewer states; categorical-dp has no such limit.")
        )


def as_laws(process: MDP, probabilities: Array) -> Array:
    """(B, N) with the outcomes of each state divided by their sum, as an estimate should have them anyway."""
    sums = np.add.reduceat(probabilities, process.offsets[:-1], axis=1)
    return np.asarray(probabilities / np.repeat(sums, np.diff(process.offsets), axis=1))


@plugin.run(batched=True, samples=4096, atoms=11)
def run(mdp: MDP, rngs: Sequence[np.random.Generator], *, samples: int, atoms: int) -> dict[str, Any]:
    """Estimated models and their fixed points. samples: the most for each state."""
    return measure(mdp, rngs, samples, atoms, Variant())


def estimates(process: MDP, rng: np.random.Generator, points: np.ndarray, variant: Variant) -> Array:
    """(C, N) estimated probabilities of the outcomes after each number of samples."""
    out = np.zeros((len(points), len(process.successors)))
    S = process.state_count
    counts = np.zeros_like(out)
    for s in range(S):
        at = process.outcomes_of(s, 0)
        p = process.probabilities[at]
        done = 0
        for c, n in enumerate(points):
            more = variant.used(int(n)) - done
            counts[c, at] = (counts[c - 1, at] if c else 0.0) + (rng.multinomial(more, p / p.sum()) if more > 0 else 0.0)
            done += max(more, 0)
            out[c, at] = counts[c, at] / variant.divisor(float(done))
    if variant.source(0, S) != 0 and S > 1:
        shifted = np.zeros_like(out)
        for s in range(S):
            at, other = process.outcomes_of(s, 0), process.outcomes_of(variant.source(s, S), 0)
            for o in range(at.start, at.stop):
                same = process.successors[other] == process.successors[o]
                shifted[:, o] = out[:, other][:, same].sum(axis=1)
            missing = 1.0 - shifted[:, at].sum(axis=1)
            shifted[:, at.start] += missing
        return shifted
    return out


# -- exact variances ------------------------------------------------------------------------------------------------------------


def asymptotics(process: MDP, grid: Array, outcomes: Outcomes) -> dict[str, Any]:
    """Exact first-order variances of the plug-in law, and the terms that bound them. All in squared Cramer distance.

    sigma (S,)           E || B F(X') - F ||^2 of one sampled backup
    resolved (S,)        (I - gamma P)^(-1) sigma
    resolved_slowly (S,) (I - sqrt(gamma) P)^(-1) sigma
    gini (S,)            half the mean distance of two independent returns
    recursive (S,)       E || Phi - F ||^2 for the random law that solves Phi = B Phi(X') in distribution
    avar (S,)            lim N E || F_N - F ||^2
    value_avar (S,)      the same for the mean of the plug-in law
    """
    S, m, gap = process.state_count, len(grid), np.diff(grid)
    laws = categorical.direct_fixed_points(outcomes, process.probabilities)
    F = np.cumsum(laws, axis=1)[:, :-1]  # (S, m - 1)
    p = process.probabilities
    # One sampled backup of each outcome, as a distribution function.
    sampled = np.array(
        [
            np.cumsum(outcomes.last[o] if to == END else outcomes.block[o] @ laws[to])[:-1]
            for o, to in enumerate(process.successors)
        ]
    )
    deviation = sampled - F[outcomes.state]
    sigma = np.bincount(outcomes.state, p * (deviation**2 @ gap), minlength=S)
    P = process.transition_matrix()
    resolved = np.linalg.solve(np.eye(S) - process.discount * P, sigma)
    # CDF coordinates: L H L^(-1) without its last row and column; the last entry of a CDF is 1 whatever comes in.
    lower = np.tril(np.ones((m, m)))
    inverse = np.linalg.inv(lower)
    cdf_blocks = np.array([(lower @ block @ inverse)[:-1, :-1] for block in outcomes.block])
    T = np.zeros((S, m - 1, S, m - 1))
    for o, to in enumerate(process.successors):
        if to != END:
            T[outcomes.state[o], :, to, :] += p[o] * cdf_blocks[o]
    size = S * (m - 1)
    resolvent = np.linalg.inv(np.eye(size) - T.reshape(size, size)).reshape(S, m - 1, S, m - 1)
    avar = np.zeros(S)
    for y in range(S):
        mine = outcomes.state == y
        covariance = (deviation[mine] * p[mine, None]).T @ deviation[mine]
        for x in range(S):
            R = resolvent[x, :, y, :]
            avar[x] += float(np.einsum("i,ij,jk,ik->", gap, R, covariance, R))
    value = policy_value(process)
    mean_resolvent = np.linalg.inv(np.eye(S) - process.discount * P)
    following = process.rewards + process.discount * np.where(process.successors == END, 0.0, value[process.successors])
    spread = np.bincount(outcomes.state, p * (following - value[outcomes.state]) ** 2, minlength=S)
    return {
        "sigma": sigma,
        "resolved": resolved,
        "resolved_slowly": np.linalg.solve(np.eye(S) - np.sqrt(process.discount) * P, sigma),
        "gini": (F * (1.0 - F)) @ gap,
        "recursive": _recursive(process, outcomes, cdf_blocks, F, deviation, gap),
        "avar": avar,
        "value_avar": mean_resolvent**2 @ spread,
    }


def _recursive(process: MDP, outcomes: Outcomes, blocks: Array, F: Array, deviation: Array, gap: Array) -> Array:
    """(S,) E || Phi(x) - F(x) ||^2 from the second moments D(x) = E (Phi - F)(Phi - F)^T = sum p (B D(x') B^T + d d^T), iterated.

    d is the deviation of a sampled backup of F: Phi - F = B (Phi(X') - F(X')) + (B F(X') - F). The trace contracts by gamma.
    """
    S, n = F.shape
    D = np.zeros((S, n, n))
    sweeps = int(np.ceil(np.log(1e-16) / np.log(process.discount))) + 1
    for _ in range(sweeps):
        fresh = np.zeros_like(D)
        for o, to in enumerate(process.successors):
            part = np.outer(deviation[o], deviation[o])
            if to != END:
                part = part + blocks[o] @ D[to] @ blocks[o].T
            fresh[outcomes.state[o]] += process.probabilities[o] * part
        moved = float(np.abs(fresh - D).max())
        D = fresh
        if moved <= 1e-15:
            break
    return np.asarray(np.einsum("i,sii->s", gap, D))
