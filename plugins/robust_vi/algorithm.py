"""Robust sweeps under eight adversaries, random worst expectations beside their convex programs, and what is measured of both."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theorylab.errors import SolverError
from theorylab.problems.mdp import MDP
from theorylab.problems.record import Array
from theorylab.solvers import programs, robust
from theorylab.solvers.robust import CHI_PENALTY, KL_PENALTY, TV_BALL, TV_PENALTY, W1_BALL, W1_PENALTY, RobustModel

from . import plugin

Policy = NDArray[np.int64]

KINDS = tuple(range(8))
DIVERGENCES = ("tv", "kl", "chi2", "w1")

#: Strengths of the penalty, times the range of values, at which weak duality is tried.
MULTIPLIERS = np.logspace(-6.0, 5.0, 45)

#: Accuracy of robust values.
ACCURACY = 1e-10

#: Pairs times states that a user's problem may have, and the same times states for Wasserstein.
MOST_ENTRIES, MOST_PLANS = 3_000_000, 3_000_000


@dataclass(frozen=True)
class Variant:
    """What the algorithm really does. The defaults are right; mutants change one of them.

    kind      which worst expectation is computed, from the one asked for
    strength  with which radius or strength, from (kind, the one asked for)
    sign      1: against an adversary, -1: with a friend
    action    the action that is taken, from the best one and the number of actions
    """

    kind: Callable[[int], int] = lambda kind: kind
    strength: Callable[[int, float], float] = lambda kind, strength: strength
    sign: int = 1
    action: Callable[[Policy, int], Policy] = lambda policy, actions: policy

    def inner(self, kind: int, strength: float, value: Array, weight: Array, metric: Array) -> robust.Worst:
        """A worst expectation."""
        found = robust.worst_expectation(self.kind(kind), self.strength(kind, strength), self.sign * value, weight, metric)
        return robust.Worst(self.sign * found.value, found.weights)

    def sweep(self, model: RobustModel, kind: int, strength: float, value: Array) -> tuple[Array, Policy]:
        """(value, policy) of one backup."""
        out, policy, _, _ = robust.robust_sweep(model, self.kind(kind), self.strength(kind, strength), value, self.sign)
        return out, self.action(policy, model.action_count)

    def solve(self, model: RobustModel, kind: int, strength: float) -> robust.RobustValues:
        """The robust value."""
        return robust.robust_value_iteration(
            model, self.kind(kind), self.strength(kind, strength), accuracy=ACCURACY * scale(model), sign=self.sign
        )


def scale(model: RobustModel) -> float:
    """A bound on |values|, at least 1."""
    return 1.0 + float(np.abs(model.reward).max()) / (1.0 - model.discount)


def measure(mdp: MDP, rng: np.random.Generator, sweeps: int, variant: Variant) -> dict[str, Any]:
    """All measures of one trial, for the algorithm or a broken variant of it."""
    measures = inner_measures(rng, variant)
    if mdp.discount >= 1.0:
        return measures
    entries = len(mdp.offsets) * (mdp.state_count + 1)
    if entries > MOST_ENTRIES:
        return measures
    kinds = [k for k in KINDS if entries * (mdp.state_count + 1) <= MOST_PLANS or k not in (W1_BALL, W1_PENALTY)]
    return measures | sweep_measures(RobustModel.of(mdp), rng, sweeps, kinds, variant)


@plugin.run(sweeps=12, draws_instance=True)
def run(mdp: MDP, rng: np.random.Generator, *, sweeps: int) -> dict[str, Any]:
    """One problem under eight adversaries of random strength. `sweeps`: how many from 0 are followed."""
    return measure(mdp, rng, sweeps, Variant())


# -- worst expectations ---------------------------------------------------------------------------------------------------------------


def random_problem(rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """(value, weight, metric): ties, zeros in the weights, tiny and large ranges, one state."""
    n = int(rng.choice([1, 2, 3, 5, 8]))
    weight = rng.dirichlet(np.full(n, float(rng.choice([0.2, 1.0, 5.0])))) if n > 1 else np.ones(1)
    if n > 1 and rng.random() < 0.3:
        weight[rng.random(n) < 0.3] = 0.0
        weight = weight / weight.sum() if weight.sum() > 0.0 else np.full(n, 1.0 / n)
    value = rng.random(n) * float(rng.choice([1e-3, 1.0, 10.0]))
    if rng.random() < 0.2:
        value = np.round(value, 1)
    apart = rng.random((n, n))
    metric = apart + apart.T
    np.fill_diagonal(metric, 0.0)
    return value, weight, metric


def random_strength(rng: np.random.Generator, kind: int, spread: float) -> float:
    """A radius (at most 1 for total variation) or a strength of the penalty, around the range of values."""
    if kind <= W1_BALL:
        radius = float(rng.choice([0.01, 0.1, 0.3, 0.7, 2.0, 5.0]))
        return min(radius, 1.0) if kind == TV_BALL else radius
    return float(10.0 ** rng.uniform(-1.5, 1.5)) * max(spread, 1e-3)


def inner_measures(rng: np.random.Generator, variant: Variant) -> dict[str, Any]:
    """One random worst expectation of each kind: against its convex program, its Lagrangian, where it is attained, and its order."""
    value, weight, metric = random_problem(rng)
    spread, mean = float(np.ptp(value)), float(weight @ value)
    raised = value + rng.random(len(value)) * (spread or 1.0), value + (value == value.max()) * (spread or 1.0)
    nearby = value + rng.normal(0.0, 1.0, len(value)) * (spread or 1.0)
    found, solved, program, attained, feasible, above, upward, apart = ([] for _ in range(8))
    chosen = rng.permutation(8)[:4]  # convex programs are slow: half of them each time
    for kind in KINDS:
        strength = random_strength(rng, kind, spread)
        inner = variant.inner(kind, strength, value, weight, metric)
        found.append(inner.value)
        limit = {"radius": strength} if kind <= W1_BALL else {"strength": strength}
        if kind in chosen:
            with contextlib.suppress(SolverError):  # a solver that gives no certified answer is no oracle
                program.append(programs.worst_expectation(DIVERGENCES[kind % 4], value, weight, metric=metric, **limit))
                solved.append(inner.value)
        above.append([variant.inner(kind, strength, other, weight, metric).value - inner.value for other in raised])
        upward.append(variant.inner(kind, strength, value + 3.0, weight, metric).value - inner.value)
        apart.append(abs(variant.inner(kind, strength, nearby, weight, metric).value - inner.value))
        if inner.weights is not None and kind != W1_PENALTY:
            D = robust.divergence(kind, inner.weights, weight)
            attained.append(inner.value - inner.weights @ value - (0.0 if kind <= W1_BALL else strength * D))
            feasible.append(max(-inner.weights.min(), abs(inner.weights.sum() - 1.0), D - strength if kind <= W1_BALL else 0.0))
    out = {
        "inner": np.array(found), "solved": np.array(solved), "program": np.array(program), "spread": max(spread, 1e-3), "nominal_mean": mean,
        "smallest": float(value.min()), "size": 1.0 + float(np.abs(value).max()), "attained_gap": np.array(attained),
        "infeasible": np.array(feasible), "monotone_gain": np.array(above), "shifted": np.array(upward), "inner_distance": np.array(apart),
        "value_distance": float(np.abs(nearby - value).max()),
    }  # fmt: skip
    return out | duality_measures(rng, value, weight, metric, variant) | penalty_measures(rng, value, weight, metric, variant)


def duality_measures(rng: np.random.Generator, value: Array, weight: Array, metric: Array, variant: Variant) -> dict[str, Any]:
    """Each ball against max over strengths of penalty - strength radius: weakly on a grid, and at its best."""
    from scipy.optimize import minimize_scalar

    spread = max(float(np.ptp(value)), 1e-3)
    weak, balls, duals = [], [], []
    for kind in range(4):
        radius = random_strength(rng, kind, spread)
        ball = variant.inner(kind, radius, value, weight, metric).value

        def dual(log_strength: float, kind: int = kind, radius: float = radius) -> float:
            strength = float(np.exp(log_strength)) * spread
            return variant.inner(kind + 4, strength, value, weight, metric).value - strength * radius

        grid = [dual(float(np.log(m))) for m in MULTIPLIERS]
        weak.append([ball - d for d in grid])
        top = int(np.argmax(grid))
        ends = np.log(MULTIPLIERS[max(top - 1, 0)]), np.log(MULTIPLIERS[min(top + 1, len(MULTIPLIERS) - 1)])
        best = minimize_scalar(lambda x: -dual(x), bounds=ends, method="bounded", options={"xatol": 1e-12})
        balls.append(ball)
        # Strength 0 is the smallest value in reach: that of the support, or of all states.
        reach = value[weight > 0.0] if DIVERGENCES[kind] in ("kl", "chi2") else value
        duals.append(max(-float(best.fun), *grid, float(reach.min())))
    return {"weak_gap": np.array(weak), "ball": np.array(balls), "best_dual": np.array(duals)}


def penalty_measures(rng: np.random.Generator, value: Array, weight: Array, metric: Array, variant: Variant) -> dict[str, Any]:
    """How far penalised values are below the mean, at one strength for all."""
    inside = value[weight > 0.0]
    spread, mean = float(np.ptp(inside)), float(weight @ value)
    strength = random_strength(rng, KL_PENALTY, spread)
    kl = variant.inner(KL_PENALTY, strength, value, weight, metric).value
    chi = variant.inner(CHI_PENALTY, strength, value, weight, metric).value
    idle = variant.inner(TV_PENALTY, float(np.ptp(value)) * 1.001 + 1e-9, value, weight, metric).value
    return {
        "kl_penalised": kl, "chi_penalised": chi, "kl_gap": mean - kl, "chi_gap": mean - chi, "tv_idle": idle, "strength": strength,
        "support_spread": spread, "variance": float(weight @ (value - mean) ** 2),
    }  # fmt: skip


# -- sweeps -----------------------------------------------------------------------------------------------------------------------------


def sweep_measures(
    model: RobustModel, rng: np.random.Generator, sweeps: int, kinds: Sequence[int], variant: Variant
) -> dict[str, Any]:
    """Robust values: contraction, the way there, the worst kernel, and the range, under each adversary."""
    S, discount = model.state_count, model.discount
    size, spread = scale(model), float(np.ptp(model.reward)) or 1.0
    first, second = rng.normal(0.0, size / 4.0, (2, S))
    before = max(float(np.abs(first - second).max()), 1e-12)
    contracted, shifts, distances, errors, losses, ranges, limits, played, nominal = ([] for _ in range(9))
    counts = np.unique(np.geomspace(1, max(sweeps, 1), 5).astype(int))
    for kind in kinds:
        strength = random_strength(rng, kind, spread)
        truth = robust.robust_value_iteration(model, kind, strength, accuracy=ACCURACY * size)
        images = variant.sweep(model, kind, strength, first)[0], variant.sweep(model, kind, strength, second)[0]
        contracted.append(float(np.abs(images[0] - images[1]).max()))
        shifts.append(float(np.abs(variant.sweep(model, kind, strength, first + 1.0)[0] - images[0] - discount).max()))
        value, far, bound, loss = np.zeros(S), [], [], []
        for n in range(1, int(counts[-1]) + 1):
            after = variant.sweep(model, kind, strength, value)[0]
            change, value = float(np.abs(after - value).max()), after
            if n in counts:
                far.append(float(np.abs(value - truth.value).max()))
                bound.append(discount / (1.0 - discount) * change)
                # The policy is greedy for the value before: its own worst case, by sweeps over one action.
                loss.append(
                    (
                        float(
                            (
                                truth.value - worst_case(model, kind, strength, variant.sweep(model, kind, strength, value)[1])
                            ).max()
                        ),
                        far[-1],
                    )
                )
        distances.append(far)
        errors.append(bound)
        losses.append(loss)
        ranges.append(float(np.ptp(truth.value)))
        limits.append(range_limit(kind, strength, spread, discount))
        solved = variant.solve(model, kind, strength)
        if kind != W1_BALL and kind != W1_PENALTY:
            played.append(solved.value - under_kernel(model, kind, strength, solved))
        nominal.append(float((under_policy(model, solved.policy) - solved.value).min()))
    return {
        "n": counts.astype(np.float64), "backup_distance": np.array(contracted), "start_distance": before, "shift_gap": np.array(shifts),
        "sweep_distance": np.array(distances), "posterior": np.array(errors), "policy_loss": np.array(losses)[..., 0],
        "greedy_distance": np.array(losses)[..., 1], "value_range": np.array(ranges), "range_limit": np.array(limits),
        "kernel_gap": np.array(played), "nominal_gain": np.array(nominal), "value_size": size,
        "largest_reward": float(np.abs(model.reward).max()),
    }  # fmt: skip


def range_limit(kind: int, strength: float, spread: float, discount: float) -> float:
    """What is known of max V - min V: the total variation adversary can always send everyone to the worst state."""
    if kind == TV_BALL:
        return spread / (1.0 - discount * (1.0 - strength))
    if kind == TV_PENALTY:
        return min(spread + discount * strength, spread / (1.0 - discount))
    return spread / (1.0 - discount)


def worst_case(model: RobustModel, kind: int, strength: float, policy: Policy) -> Array:
    """(S,) robust value of a policy."""
    rows = np.arange(model.state_count) * model.action_count + policy
    alone = RobustModel(model.transition[rows], model.reward[rows], model.discount, 1, model.metric)
    return robust.robust_value_iteration(alone, kind, strength, accuracy=ACCURACY * scale(model)).value


def under_kernel(model: RobustModel, kind: int, strength: float, solved: robust.RobustValues) -> Array:
    """(S,) value of the policy when the adversary plays the kernel that it was found to play, penalty included: a linear solve."""
    S = model.state_count
    rows = np.arange(S) * model.action_count + solved.policy
    P, reward = solved.kernels[rows], model.reward[rows].copy()
    if kind > W1_BALL:
        reward += (
            model.discount * strength * np.array([robust.divergence(kind, P[s], model.transition[rows[s]]) for s in range(S)])
        )
    return np.asarray(np.linalg.solve(np.eye(S) - model.discount * P[:, :S], reward))


def under_policy(model: RobustModel, policy: Policy) -> Array:
    """(S,) value of a policy in the nominal model."""
    S = model.state_count
    rows = np.arange(S) * model.action_count + policy
    return np.asarray(np.linalg.solve(np.eye(S) - model.discount * model.transition[rows, :S], model.reward[rows]))


# -- what owners of a problem want to know ----------------------------------------------------------------------------------------------


def caution(mdp: MDP, radii: Sequence[float]) -> list[tuple[float, float, float, float, int]]:
    """By total variation radius: the robust policy's worst case, the nominal policy's worst case, the robust policy's nominal value, and the
    number of states in which they differ."""
    model = RobustModel.of(mdp)
    accuracy = 1e-8 * scale(model)
    nominal = robust.robust_value_iteration(model, TV_BALL, 0.0, accuracy=accuracy)
    rows = []
    for radius in radii:
        solved = robust.robust_value_iteration(model, TV_BALL, radius, accuracy=accuracy)
        # Among actions of equal worth the nominal one is kept: only real differences are reported.
        kept = worst_case(model, TV_BALL, radius, nominal.policy)
        differs = (solved.policy != nominal.policy) & (solved.value > kept + 10.0 * accuracy)
        rows.append(
            (
                radius,
                float(solved.value[mdp.start]),
                float(kept[mdp.start]),
                float(under_policy(model, solved.policy)[mdp.start]),
                int(differs.sum()),
            )
        )
    return rows
