"""Values of Markov decision processes with a certified sup-norm error of 1e-8, beside the solvers that people use."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.distributional import random_process
from benchmarks.race import Disagreement, Peer, Row, agree, race, usable
from theorylab.solvers import dynamic_programming
from theorylab.solvers.dynamic_programming import Values

GROUP = "planning"

ACCURACY = 1e-8

#: Sup-norm of the difference of two values that are each within ACCURACY of the truth.
ALLOWED = 2.0 * ACCURACY

#: States of sparse models (10 successors) and of dense ones. Lists of lists of more entries take minutes to hand over.
SPARSE, DENSE, MOST_LISTED = (200, 1_000, 5_000, 20_000, 100_000), (200, 1_000, 2_500), 5_000_000


def quantecon_peers(title: str, model: Any, truth: np.ndarray) -> list[Peer]:
    """DiscreteDP, each of its iterations with its own stopping rule set to the same error."""
    name = usable("quantecon")
    peers = []
    for method in ("modified_policy_iteration", "value_iteration"):

        def call(method: str = method) -> Any:
            return model.solve(method=method, epsilon=ACCURACY, max_iter=100_000, **({"k": 5} if method.startswith("m") else {}))

        label = f"{name}, {method.replace('_', ' ')}"
        peers.append(Peer(label, call, agree(f"{label}, {title}", np.abs(call().v - truth).max(), ALLOWED)))
    return peers


def mdpsolver_peers(title: str, rewards: list[Any], tables: dict[str, Any], discount: float, truth: np.ndarray) -> list[Peer]:
    """mdpsolver's modified policy iteration on one thread; the model is handed over as lists, outside the clock.

    Each solve is given zeros to start from: without them a second solve starts from the values of the first one, and does nothing.
    """
    label = usable("mdpsolver")
    if label is None:
        return []
    import mdpsolver

    model, zeros, first = mdpsolver.model(), [0.0] * truth.size, [0] * truth.size
    with contextlib.redirect_stdout(io.StringIO()):
        model.mdp(discount=discount, rewards=rewards, **tables)

    def solve(tolerance: float) -> None:
        model.solve(
            algorithm="mpi", tolerance=tolerance, parallel=False, postProcessing=False, makeFinalCheck=False, initValueVector=zeros,
            initPolicy=first,
        )  # fmt: skip

    def solved(tolerance: float) -> float:
        solve(tolerance)
        return float(np.abs(np.array(model.getValueVector()) - truth).max())

    name = f"{label}, modified policy iteration"
    error, tolerance = solved(ACCURACY), ACCURACY
    if error <= ALLOWED:
        return [Peer(name, partial(solve, ACCURACY), f"values agree to {error:.0e}")]
    own = Peer(f"{name}, its own rule", partial(solve, ACCURACY), f"**wrong by {error:.2g}**", None, "its rule bounds no error")
    while error > ALLOWED and tolerance > 1e-16:
        tolerance /= 10.0
        error = solved(tolerance)
    exact = Peer(
        name, partial(solve, tolerance), agree(f"{name}, {title}", error, ALLOWED), note=f"tolerance {tolerance:.0e}, by trial"
    )
    return [own, exact]


def toolbox_peers(title: str, P: Any, R: Any, discount: float, truth: np.ndarray) -> list[Peer]:
    """pymdptoolbox: its value iteration stops too early, and its row says how wrong it is; its policy iteration is exact."""
    label = usable("pymdptoolbox", "mdptoolbox")
    if label is None:
        return []
    from mdptoolbox.mdp import PolicyIteration, ValueIteration

    def value_iteration() -> Any:
        solver = ValueIteration(P, R, discount, epsilon=ACCURACY)
        solver.run()
        return solver.V

    def policy_iteration() -> Any:
        solver = PolicyIteration(P, R, discount)
        solver.run()
        return solver.V

    error = float(np.abs(np.array(value_iteration()) - truth).max())
    peers = [Peer(f"{label}, value iteration", value_iteration, f"**wrong by {error:.2g}**", None, "it stops too early")]
    if truth.size <= 1_000:
        exact = float(np.abs(np.array(policy_iteration()) - truth).max())
        peers.append(Peer(f"{label}, policy iteration", policy_iteration, agree(f"{label}, {title}", exact, ALLOWED)))
    return peers


def checked(title: str, call: Callable[[], Values], operator: Callable[[np.ndarray], np.ndarray], discount: float) -> Values:
    """theorylab's own answer, against what it certifies: the Bellman error of its value, computed apart from it, bounds the error of the value."""
    found = call()
    residual = float(np.abs(operator(found.value) - found.value).max()) / (1.0 - discount)
    if found.error > ACCURACY or residual > 2.0 * ACCURACY / (1.0 - discount):
        raise Disagreement(f"theorylab, {title}: enclosed to {found.error:.2g}, Bellman error over 1 - discount {residual:.2g}.")
    return found


def rows(*, quick: bool = False) -> list[Row]:
    """Sparse and dense models of growing size, 4 actions, discount 0.9."""
    out: list[Row] = []
    for states in SPARSE[:2] if quick else SPARSE:
        mdp = random_process(states, 4, 10)
        title = f"sparse, {states:,} states, 4 actions, 10 successors"
        P = csr_matrix((mdp.probabilities, mdp.successors, mdp.offsets), shape=(states * 4, states))
        R = mdp.expected_rewards()

        def improved(v: np.ndarray, P: Any = P, R: Any = R, mdp: Any = mdp) -> np.ndarray:
            return np.asarray((R + mdp.discount * (P @ v)).reshape(-1, 4).max(axis=1))

        model = dynamic_programming.Sparse.of(mdp)
        ours = partial(dynamic_programming.solve, model, accuracy=ACCURACY)
        truth = checked(title, partial(dynamic_programming.solve, model, accuracy=1e-12), improved, mdp.discount).value
        checked(title, ours, improved, mdp.discount)
        peers = []
        if usable("quantecon"):
            from quantecon.markov import DiscreteDP

            pairs = np.arange(states * 4)
            peers += quantecon_peers(title, DiscreteDP(R, P, mdp.discount, pairs // 4, pairs % 4), truth)
        if mdp.successors.size <= MOST_LISTED:
            to, p = mdp.successors.reshape(states, 4, 10).tolist(), mdp.probabilities.reshape(states, 4, 10).tolist()
            peers += mdpsolver_peers(
                title, R.reshape(states, 4).tolist(), {"tranMatProbs": p, "tranMatColumns": to}, mdp.discount, truth
            )
        if states <= 5_000:
            by_action = [P[np.arange(states) * 4 + a] for a in range(4)]
            peers += toolbox_peers(title, by_action, R.reshape(states, 4), mdp.discount, truth)
        out += race(GROUP, title, ours, peers)
    for states in DENSE[:1] if quick else DENSE:
        rng = np.random.default_rng(0)
        table, reward = rng.random((states, 4, states)), rng.random((states, 4))
        table /= table.sum(axis=2, keepdims=True)
        title = f"dense, {states:,} states, 4 actions"

        def improved_dense(v: np.ndarray, table: Any = table, reward: Any = reward) -> np.ndarray:
            return np.asarray((reward + 0.9 * np.tensordot(table, v, 1)).max(axis=1))

        ours = partial(dynamic_programming.solve_dense, table, reward, 0.9, accuracy=ACCURACY)
        truth = checked(
            title, partial(dynamic_programming.solve_dense, table, reward, 0.9, accuracy=1e-12), improved_dense, 0.9
        ).value
        peers = []
        if usable("quantecon"):
            from quantecon.markov import DiscreteDP

            peers += quantecon_peers(title, DiscreteDP(reward, table, 0.9), truth)
        if table.size <= MOST_LISTED:
            peers += mdpsolver_peers(title, reward.tolist(), {"tranMatWithZeros": table.tolist()}, 0.9, truth)
        if states <= 1_000:
            peers += toolbox_peers(title, np.ascontiguousarray(table.transpose(1, 0, 2)), reward, 0.9, truth)
        out += race(GROUP, title, ours, peers)
    return out
