"""Laws with arbitrary atoms, without any grid: distances by merging, exact backups, returns of processes that end by enumeration.

Nothing here is shared with the sweeps: it is what they are measured against.
"""

from __future__ import annotations

import numpy as np

from theorylab.problems.mdp import END, MDP
from theorylab.problems.record import Array

#: Atoms (n,) and weights (n,).
Law = tuple[Array, Array]


def merged(atoms: Array, weights: Array) -> Law:
    """Equal atoms put together, in rising order."""
    x, index = np.unique(atoms, return_inverse=True)
    return x, np.asarray(np.bincount(index, weights=weights, minlength=len(x)), dtype=np.float64)


def _cdf_gap(first: Law, second: Law) -> tuple[Array, Array]:
    """Lengths of the intervals between neighbouring atoms of either law, and the difference of the distribution functions there."""
    x = np.concatenate((first[0], second[0]))
    order = np.argsort(x, kind="stable")
    gap = np.cumsum(np.concatenate((first[1], -second[1]))[order])[:-1]
    return np.diff(x[order]), gap


def cramer_squared(first: Law, second: Law) -> float:
    """Integral of the squared difference of the distribution functions."""
    length, gap = _cdf_gap(first, second)
    return float((length * gap * gap).sum())


def wasserstein(first: Law, second: Law, p: float) -> float:
    """W_p by the quantile coupling; p may be infinite."""
    (x, v), (y, w) = merged(*first), merged(*second)
    x, v, y, w = x[v > 0.0], v[v > 0.0], y[w > 0.0], w[w > 0.0]
    left, right = np.cumsum(v) / v.sum(), np.cumsum(w) / w.sum()
    levels = np.unique(np.concatenate((left, right)))
    # Levels that differ by rounding only are one level: W_inf would see a coupling that is not there.
    levels = levels[np.concatenate((np.diff(levels) > 1e-13, [True]))]
    mass = np.diff(np.concatenate(([0.0], levels)))
    middle = levels - 0.5 * mass
    distance = np.abs(
        x[np.minimum(np.searchsorted(left, middle), len(x) - 1)] - y[np.minimum(np.searchsorted(right, middle), len(y) - 1)]
    )
    return float(distance.max()) if np.isinf(p) else float((mass * distance**p).sum() ** (1.0 / p))


def shortfall(law: Law, targets: Array) -> Array:
    """(n,) E (q - X)_+ for each target q."""
    return np.asarray((np.maximum(targets[:, None] - law[0], 0.0) * law[1]).sum(axis=1))


def backed_up(process: MDP, laws: list[Law]) -> list[Law]:
    """The distributional Bellman operator of a one-action process, exactly: mixtures of r + discount X."""
    out = []
    for s in range(process.state_count):
        at = process.outcomes_of(s, 0)
        atoms, weights = [], []
        for p, r, to in zip(process.probabilities[at], process.rewards[at], process.successors[at], strict=True):
            x, w = (np.zeros(1), np.ones(1)) if to == END else laws[to]
            atoms.append(r + process.discount * x)
            weights.append(p * w)
        out.append(merged(np.concatenate(atoms), np.concatenate(weights)))
    return out


def ending_laws(process: MDP, most: int = 100_000) -> list[Law] | None:
    """Exact laws of the return, if every run ends within as many steps as there are states and no law has more than `most` atoms."""
    S = process.state_count
    pair = np.repeat(np.arange(S), np.diff(process.offsets))
    depth = np.zeros(S, dtype=np.int64)
    for _ in range(S + 1):
        before = depth.copy()
        inside = process.successors != END
        np.maximum.at(depth, pair[inside], before[process.successors[inside]] + 1)
        if (depth == before).all():
            break
    else:
        return None
    laws: list[Law] = [(np.zeros(1), np.ones(1))] * S
    for _ in range(int(depth.max()) + 1):
        laws = backed_up(process, laws)
        if max(len(x) for x, _ in laws) > most:
            return None
    return laws
