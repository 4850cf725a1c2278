"""Categorical distributional dynamic programming: laws of returns as weights on a fixed grid.

A sweep adds up the successors' laws per reward first and projects once per reward, which is exact because the projection is linear. A sweep
neither divides nor allocates.

Letters: S states, A actions, m atoms, G groups of outcomes.
Sources: Rowland, Bellemare, Dabney, Munos, Teh, "An Analysis of Categorical Distributional Reinforcement Learning", AISTATS 2018
(projection, contraction); Rowland, Wenliang, Munos, Lyle, Tang, Dabney, "Near-Minimax-Optimal Distributional Reinforcement Learning
with a Generative Model", arXiv 2402.07598 (the fixed point as a linear system).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theorylab.errors import SolverError
from theorylab.kernels import kernel
from theorylab.problems.mdp import END, MDP
from theorylab.problems.record import Array

#: How a sweep shares the mass of an atom between its two neighbours on the grid: by distance (the projection), or wrongly, for mutants.
HAT, NEAREST, FLOOR, SWAPPED = range(4)


#: Returns that differ by less than this share of their size are one number: atoms closer than that would differ by rounding.
SAME = 1e-6


def default_grid(mdp: MDP, atoms: int) -> Array:
    """(m,) evenly spaced from the lowest to the highest return; discount < 1. On it `r + discount z` never leaves the grid."""
    low, high = mdp.return_range()
    if high - low <= SAME * (1.0 + abs(low) + abs(high)):  # as good as one number: any grid around it will do
        middle = 0.5 * (low + high)
        low, high = middle - 0.5, middle + 0.5
    return np.linspace(low, high, atoms)


def cells(x: Array, grid: Array) -> tuple[NDArray[np.int64], Array]:
    """(index, share): an atom at x gives `1 - share` of its mass to grid point `index` and `share` to the next; ends are clipped."""
    clipped = np.clip(x, grid[0], grid[-1])
    index = np.clip(np.searchsorted(grid, clipped, side="right") - 1, 0, len(grid) - 2)
    return index.astype(np.int64), (clipped - grid[index]) / (grid[index + 1] - grid[index])


def project(atoms: Array, weights: Array, grid: Array, shape: int = HAT) -> Array:
    """(m,) the categorical projection of a finite law, or of a signed measure, on any grid."""
    index, share = cells(np.asarray(atoms, dtype=np.float64), grid)
    if shape != HAT:
        share = {NEAREST: np.floor(share + 0.5), FLOOR: np.floor(share), SWAPPED: 1.0 - share}[shape]
    out = np.zeros(len(grid))
    np.add.at(out, index, weights * (1.0 - share))
    np.add.at(out, index + 1, weights * share)
    return out


@dataclass(frozen=True)
class Backup:
    """What a sweep reads, on an even grid. The outcomes of a pair are grouped by reward. Positions are in cells, from grid[0].

    groups    (S A + 1,) first group of each pair
    outcomes  (G + 1,)   first outcome of each group, ends of episodes left out
    first     (G,)       where the reward of the group sends the lowest atom; atom l goes to first + slope l
    last      (G,)       where it sends the end of an episode
    ending    (G,)       probability that the episode ends with this reward
    successors, weights  of the outcomes
    """

    grid: Array
    discount: float
    action_count: int
    groups: NDArray[np.int64]
    outcomes: NDArray[np.int64]
    first: Array
    last: Array
    ending: Array
    successors: NDArray[np.int32]
    weights: Array
    shape: int = HAT

    @property
    def state_count(self) -> int:
        """S."""
        return (len(self.groups) - 1) // self.action_count

    @property
    def arrays(self) -> tuple[Any, ...]:
        """What the kernel reads, in its order."""
        return self.groups, self.outcomes, self.first, self.last, self.ending, self.successors, self.weights

    @staticmethod
    def of(mdp: MDP, grid: Array) -> Backup:
        """The backup of an MDP on an even grid of at least two atoms. Raises SolverError for another grid."""
        grid = np.asarray(grid, dtype=np.float64)
        spacing = (grid[-1] - grid[0]) / (len(grid) - 1) if len(grid) > 1 else 0.0
        if not spacing > 0.0 or np.abs(np.diff(grid) - spacing).max() > 1e-9 * spacing:
            raise SolverError("Sweeps need an even, rising grid of at least two atoms: use numpy.linspace.")
        pair = np.repeat(np.arange(len(mdp.offsets) - 1), np.diff(mdp.offsets))
        order = np.lexsort((mdp.rewards, pair))
        pair, reward, to, weight = pair[order], mdp.rewards[order], mdp.successors[order], mdp.probabilities[order]
        starts = np.flatnonzero(np.concatenate(([True], (pair[1:] != pair[:-1]) | (reward[1:] != reward[:-1]))))
        ends = to == END
        inside = np.concatenate(([0], np.cumsum(~ends)))
        return Backup(
            grid, mdp.discount, mdp.action_count, np.searchsorted(pair[starts], np.arange(len(mdp.offsets))),
            inside[np.concatenate((starts, [len(pair)]))],
            (reward[starts] + mdp.discount * grid[0] - grid[0]) / spacing, (reward[starts] - grid[0]) / spacing,
            np.add.reduceat(np.where(ends, weight, 0.0), starts), to[~ends].astype(np.int32), weight[~ends],
        )  # fmt: skip


@kernel
def misplaced(share, shape):  # type: ignore[no-untyped-def]
    """The share of the upper neighbour by a wrong rule."""
    if shape == NEAREST:
        return np.floor(share + 0.5)
    if shape == FLOOR:
        return np.floor(share)
    return 1.0 - share


@kernel
def sweep(laws, out, policy, room, slope, shape, action_count, grid, arrays):  # type: ignore[no-untyped-def]
    """out (S, m) = projected backup of laws (S, m), for the action of largest mean in each state (lowest index on ties), which is
    written to policy (S,). Returns the largest W1 move over states, in cells, and whether the policy changed.

    room: four arrays (m,). Where atoms go and how they are shared is worked out in a loop of its own: only the additions that follow wait for
    one another.
    """
    mixed, projected, upper, cells = room
    groups, outcomes, first, last, ending, successors, weights = arrays
    S, m = laws.shape
    top = m - 1.0
    largest, changed = 0.0, False
    for s in range(S):
        best, chosen = -np.inf, 0
        for a in range(action_count):
            for j in range(m):
                projected[j] = 0.0
            pair = s * action_count + a
            for g in range(groups[pair], groups[pair + 1]):
                begin, end = outcomes[g], outcomes[g + 1]
                if end > begin:
                    w, to = weights[begin], successors[begin]
                    for j in range(m):
                        mixed[j] = w * laws[to, j]
                    for k in range(begin + 1, end):
                        w, to = weights[k], successors[k]
                        for j in range(m):
                            mixed[j] += w * laws[to, j]
                    start = first[g]
                    for j in range(m):  # no iteration waits for another here: the compiler does several at once
                        x = min(max(start + slope * j, 0.0), top)
                        i = min(np.int32(x), np.int32(m - 2))
                        part = (x - i) * mixed[j]
                        cells[j], upper[j], mixed[j] = i, part, mixed[j] - part
                    if shape != HAT:
                        for j in range(m):
                            mass = mixed[j] + upper[j]
                            upper[j] = mass * misplaced(min(max(start + slope * j, 0.0), top) - cells[j], shape)
                            mixed[j] = mass - upper[j]
                    for j in range(m):
                        projected[cells[j]] += mixed[j]
                        projected[cells[j] + 1] += upper[j]
                if ending[g] > 0.0:
                    x = min(max(last[g], 0.0), top)
                    i = min(int(x), m - 2)
                    share = x - i if shape == HAT else misplaced(x - i, shape)
                    projected[i] += ending[g] * (1.0 - share)
                    projected[i + 1] += ending[g] * share
            mean = 0.0
            if action_count > 1:
                for j in range(m):
                    mean += projected[j] * grid[j]
            if a == 0 or mean > best + 1e-12 * (1.0 + abs(best)):  # sums of the same terms in another order are ties
                best, chosen = mean, a
                for j in range(m):
                    out[s, j] = projected[j]
        changed = changed or policy[s] != chosen
        policy[s] = chosen
        moved, mass = 0.0, 0.0
        for j in range(m - 1):
            mass += out[s, j] - laws[s, j]
            moved += abs(mass)
        largest = max(largest, moved)
    return largest, changed


class Sweeper:
    """A backup with the room that its sweeps need."""

    def __init__(self, backup: Backup, laws: Array | None) -> None:
        S, m = backup.state_count, len(backup.grid)
        self.backup = backup
        self.laws = point_laws(backup.grid, S) if laws is None else np.array(laws, dtype=np.float64)
        self.out, self.policy = np.empty_like(self.laws), np.full(S, -1, dtype=np.int64)
        self._room = np.empty(m), np.empty(m), np.empty(m), np.empty(m, dtype=np.int32)

    def step(self) -> tuple[float, bool]:
        """One sweep; its largest W1 move over states, and whether the policy changed."""
        b = self.backup
        moved, changed = sweep(
            self.laws, self.out, self.policy, self._room, b.discount, b.shape, b.action_count, b.grid, b.arrays
        )
        self.laws, self.out = self.out, self.laws
        return float(moved) * float(b.grid[1] - b.grid[0]), bool(changed)


@dataclass(frozen=True)
class Laws:
    """Laws on a grid. weights (S, m); error: their W1 distance to the fixed point is at most this, in every state; policy (S,) where
    one was chosen."""

    grid: Array
    weights: Array
    error: float
    sweeps: int
    policy: NDArray[np.int64] | None = None


def point_laws(grid: Array, states: int, at: float = 0.0) -> Array:
    """(S, m) the projection of the Dirac at `at` in every state."""
    return np.tile(project(np.array([at]), np.ones(1), grid), (states, 1))


def sweeps_for(accuracy: float, discount: float, start: float) -> int:
    """Sweeps after which W1 is below `accuracy` for sure, from a start within W1 distance `start`."""
    return max(1, math.ceil(math.log(accuracy / max(start, accuracy)) / math.log(discount))) if discount > 0.0 else 1


def evaluate(backup: Backup, *, accuracy: float = 1e-12, sweeps: int | None = None, start: Array | None = None) -> Laws:
    """The categorical fixed point of a Markov reward process by sweeps, or the laws after so many sweeps.

    Stops when discount / (1 - discount) times the last move bounds the W1 distance to the fixed point by `accuracy` (the backup contracts
    W1 by the discount), or where rounding stops it: `error` is then what was reached. Discount 1 needs `sweeps`.
    """
    if backup.action_count != 1:
        raise SolverError("evaluate() takes a process with one action: pass mdp.under(policy).")
    if sweeps is None and backup.discount >= 1.0:
        raise SolverError("With discount 1 there is no contraction: say how many sweeps (the horizon).")
    factor = backup.discount / (1.0 - backup.discount) if backup.discount < 1.0 else math.inf
    span = float(backup.grid[-1] - backup.grid[0])
    most = sweeps if sweeps is not None else sweeps_for(accuracy * (1.0 - backup.discount), backup.discount, span) + 10
    run, error, done = Sweeper(backup, start), math.inf, 0
    while done < most and (sweeps is not None or error > accuracy):
        error = factor * run.step()[0]
        done += 1
    return Laws(backup.grid, run.laws, error, done)


def value_iteration(backup: Backup, *, sweeps: int, start: Array | None = None) -> Laws:
    """Laws after so many sweeps, each greedy in the mean. The means converge; the laws need not where laws of equal mean differ."""
    run = Sweeper(backup, start)
    for _ in range(sweeps):
        run.step()
    return Laws(backup.grid, run.laws, math.inf, sweeps, run.policy)


def policy_iteration(mdp: MDP, grid: Array, *, accuracy: float = 1e-12) -> Laws:
    """Policies greedy in the mean of evaluated laws, until no mean gains more than `accuracy` allows; the laws of the last policy."""
    S, A = mdp.state_count, mdp.action_count
    backup = Backup.of(mdp, grid)
    policy, laws, total = np.zeros(S, dtype=np.int64), None, 0
    for _ in range(max(50, S * A)):
        current = evaluate(
            Backup.of(mdp.under(np.eye(A)[policy]), grid), accuracy=accuracy, start=None if laws is None else laws.weights
        )
        total += current.sweeps
        laws = Laws(grid, current.weights, current.error, total, policy)
        run = Sweeper(backup, current.weights)
        run.step()
        if (run.laws @ grid <= laws.weights @ grid + 10.0 * accuracy).all():
            return laws
        policy = run.policy
    raise SolverError("Policy iteration found no policy that is greedy for itself.")


def operator(mdp: MDP, grid: Array) -> tuple[Any, Array]:
    """The projected backup of a one-action process as (sparse (S m, S m) matrix M, (S m,) b): laws -> M laws + b; b holds the ends.

    Built outcome by outcome, without the kernels: the independent form of a sweep.
    """
    from scipy.sparse import csr_array

    S, m = mdp.state_count, len(grid)
    state = np.repeat(np.arange(len(mdp.offsets) - 1), np.diff(mdp.offsets))
    ends = mdp.successors == END
    constant = np.zeros((S, m))
    for o in np.flatnonzero(ends):
        constant[state[o]] += mdp.probabilities[o] * project(mdp.rewards[o : o + 1], np.ones(1), grid)
    inside = np.flatnonzero(~ends)
    targets = np.clip(mdp.rewards[inside, None] + mdp.discount * grid, grid[0], grid[-1])
    lower = np.clip(np.searchsorted(grid, targets, side="right") - 1, 0, m - 2)
    upper_share = (targets - grid[lower]) / (grid[lower + 1] - grid[lower])
    source = (mdp.successors[inside, None] * m + np.arange(m)).ravel()
    mass = np.repeat(mdp.probabilities[inside], m)
    target, share = (state[inside, None] * m + lower).ravel(), upper_share.ravel()
    entries = np.concatenate((mass * (1.0 - share), mass * share))
    matrix = csr_array((entries, (np.concatenate((target, target + 1)), np.tile(source, 2))), shape=(S * m, S * m))
    return matrix, constant.ravel()


def fixed_point(mdp: MDP, grid: Array) -> Array:
    """(S, m) the categorical fixed point of a one-action process, as the solution of a sparse linear system (no sweeps).

    The last equation of each state is replaced by "the weights sum to 1": without it the system is singular.
    Raises SolverError where it has no unique solution. Source: arXiv 2402.07598 (direct categorical fixed-point computation).
    """
    from scipy.sparse import csr_array, eye_array
    from scipy.sparse.linalg import splu

    S, m = mdp.state_count, len(grid)
    matrix, constant = operator(mdp, grid)
    system = (eye_array(S * m, format="csr") - matrix).tolil()
    last = np.arange(S) * m + m - 1
    keep = np.ones(S * m)
    keep[last] = 0.0
    rows = np.repeat(last, m)
    columns = np.arange(S * m)
    sums = csr_array((np.ones(S * m), (rows, columns)), shape=(S * m, S * m))
    from scipy.sparse import diags_array

    right = constant * keep
    right[last] = 1.0
    try:
        solution = splu((diags_array(keep) @ system.tocsr() + sums).tocsc()).solve(right)
    except RuntimeError as error:
        raise SolverError(f"The fixed-point equations have no unique solution: {error}.") from None
    return np.asarray(solution.reshape(S, m))


# -- laws on a grid ------------------------------------------------------------------------------------------------------------


def cdf_difference(first: Array, second: Array) -> Array:
    """(..., m - 1) difference of the distribution functions between neighbouring grid points."""
    return np.cumsum(first - second, axis=-1)[..., :-1]


def w1(first: Array, second: Array, grid: Array) -> Array:
    """(...,) Wasserstein-1 distance: the area between the distribution functions."""
    return np.asarray((np.abs(cdf_difference(first, second)) * np.diff(grid)).sum(axis=-1))


def cramer_squared(first: Array, second: Array, grid: Array) -> Array:
    """(...,) squared Cramer distance: the integral of the squared difference of the distribution functions."""
    return np.asarray((cdf_difference(first, second) ** 2 * np.diff(grid)).sum(axis=-1))


def cvar(atoms: Array, weights: Array, level: float) -> float:
    """Mean of the worst `level` share of a law, the atom at the boundary split; atoms of no weight are passed over."""
    order = np.argsort(atoms, kind="stable")
    x, p = np.asarray(atoms)[order], np.asarray(weights)[order]
    taken = np.diff(np.minimum(np.concatenate(([0.0], np.cumsum(p))), level))
    return float((taken * x).sum() / taken.sum())


# -- many small models at once --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcomes:
    """The outcomes of a one-action process as dense blocks: block o (m, m) takes the law of the next state to its share in the law of
    the state; ends of episodes are columns of their own.

    state, successor (N,); block (N, m, m); last (N, m): the projected reward of an outcome that ends the episode, else 0
    """

    state: NDArray[np.int64]
    successor: NDArray[np.int64]
    block: Array
    last: Array
    state_count: int

    @staticmethod
    def of(process: MDP, grid: Array) -> Outcomes:
        """The blocks of a process on a grid."""
        N, m = len(process.successors), len(grid)
        block, last = np.zeros((N, m, m)), np.zeros((N, m))
        for o in range(N):
            if process.successors[o] == END:
                last[o] = project(process.rewards[o : o + 1], np.ones(1), grid)
                continue
            index, share = cells(process.rewards[o] + process.discount * grid, grid)
            np.add.at(block[o], (index, np.arange(m)), 1.0 - share)
            np.add.at(block[o], (index + 1, np.arange(m)), share)
        state = np.repeat(np.arange(process.state_count), np.diff(process.offsets))
        return Outcomes(state, process.successors, block, last, process.state_count)


def direct_fixed_points(outcomes: Outcomes, probabilities: Array) -> Array:
    """(..., S, m) categorical fixed points of many models with the same outcomes, probabilities (..., N), by dense linear solves.

    The last equation of each state is replaced by "the weights sum to 1". Source: arXiv 2402.07598.
    """
    system, right = fixed_point_equations(outcomes, probabilities)
    m = outcomes.last.shape[1]
    S = outcomes.state_count
    solution = np.linalg.solve(system, right[..., None])[..., 0]
    return np.asarray(solution.reshape(*probabilities.shape[:-1], S, m))


def fixed_point_equations(outcomes: Outcomes, probabilities: Array) -> tuple[Array, Array]:
    """(system (..., S m, S m), right side (..., S m)) of the fixed point, normalisation rows in place."""
    S, m, batch = outcomes.state_count, outcomes.last.shape[1], probabilities.shape[:-1]
    system = np.zeros((*batch, S, m, S, m))
    right = np.zeros((*batch, S, m))
    for o in range(len(outcomes.state)):
        s, to, p = outcomes.state[o], outcomes.successor[o], probabilities[..., o, None]
        if to == END:
            right[..., s, :] += p * outcomes.last[o]
        else:
            system[..., s, :, to, :] -= p[..., None] * outcomes.block[o]
    diagonal = np.arange(S)[:, None], np.arange(m), np.arange(S)[:, None], np.arange(m)
    system[(..., *diagonal)] += 1.0
    system[..., :, m - 1, :, :] = 0.0
    for s in range(S):
        system[..., s, m - 1, s, :] = 1.0
    right[..., :, m - 1] = 1.0
    return system.reshape(*batch, S * m, S * m), right.reshape(*batch, S * m)
