"""What is measured of the model alone, without data: the adversary's answers, the backup, and how problems with different adversaries compare."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from theorylab.errors import SolverError
from theorylab.problems.linear_mdp import LinearMDP
from theorylab.problems.record import Array
from theorylab.solvers import offline, robust
from theorylab.solvers.drectangular import NOMINAL, RobustPlan, expected_sum, plan, rectangular_value, worst_factors
from theorylab.solvers.offline import CHI, KL, KL_BALL, TV
from theorylab.solvers.programs import worst_expectation

from .instances import hard_family

#: The three divergences, by what estimates them; the adversary that pays for them, and the ball that it could be held in instead.
NAMES = {TV: "tv", KL: "kl", CHI: "chi2"}
ADVERSARY = {TV: robust.TV_PENALTY, KL: robust.KL_PENALTY, CHI: robust.CHI_PENALTY}
BALL = {TV: robust.TV_BALL, KL: robust.KL_BALL, CHI: robust.CHI_BALL}

#: Share of the trials in which convex programs are solved: they take longer than all the rest.
PROGRAM_SHARE = 0.04

#: Policies up to which all are tried.
MOST_POLICIES = 64


@dataclass(frozen=True)
class Planner:
    """How the model is planned with. The defaults are right; mutants change one of them.

    adversary  which adversary is faced, from the right one
    price      at which price or radius, from the right one
    answer     the worst expectations of factors, from the right ones
    model      the model that is planned in, from the right one
    knows      whether the learner of the lower bound sees rewards without noise
    """

    adversary: Callable[[int], int] = lambda kind: kind
    price: Callable[[float], float] = lambda price: price
    answer: Callable[[Array], Array] = lambda nu: nu
    model: Callable[[LinearMDP], LinearMDP] = lambda model: model
    knows: bool = False

    def plan(self, model: LinearMDP, kind: int, price: float) -> RobustPlan:
        """The best policy and its worst-case value."""
        return plan(self.model(model), self.adversary(kind), self.price(price))


def model_measures(model: LinearMDP, rng: np.random.Generator, planner: Planner) -> dict[str, Any]:
    """All of them."""
    plans = {kind: planner.plan(model, ADVERSARY[kind], model.strength) for kind in NAMES}
    out = (
        inner_measures(model, rng, plans, planner) | operator_measures(model, rng, planner) | planning_measures(model, rng, plans)
    )
    out |= order_measures(model, plans) | lower_bound_measures(rng, planner)
    ball = planner.plan(model, robust.TV_BALL, model.radius)
    return out | {
        "ball_range": np.ptp(ball.value[:-1], axis=1), "steps_left": np.arange(model.horizon, 0, -1, dtype=np.float64),
        "radius": model.radius, "strength": model.strength, "horizon": float(model.horizon),
    }  # fmt: skip


def inner_measures(model: LinearMDP, rng: np.random.Generator, plans: dict[int, RobustPlan], planner: Planner) -> dict[str, Any]:
    """The adversary's answer to a random step and factor: convex programs, the price that it pays."""
    h, i = int(rng.integers(model.horizon)), int(rng.integers(model.dimension))
    weight, solved, program, spreads = model.factors[h, i], [], [], []
    value = rng.random(model.state_count) * model.horizon
    if rng.random() < PROGRAM_SHARE:
        for kind, name in NAMES.items():
            with contextlib.suppress(SolverError):  # a solver that gives no certified answer is no oracle
                program.append(worst_expectation(name, value, weight, strength=model.strength))
                solved.append(robust.worst_expectation(ADVERSARY[kind], planner.price(model.strength), value, weight).value)
                spreads.append(float(np.ptp(value)))
    paid, ranges = [], []
    for kind, best in plans.items():
        for k in range(model.horizon):
            for j in range(model.dimension):
                paid.append(model.strength * robust.divergence(ADVERSARY[kind], best.worst[k, j], model.factors[k, j]))
                ranges.append(float(np.ptp(best.value[k + 1])))
    order = np.argsort(value)
    capped = offline.estimated(KL_BALL, 0.0, weight, value, order, value.min(), float(model.horizon), float(model.horizon))
    return {
        "capped": float(capped), "nominal_mean": float(weight @ value),
        "solved": np.array(solved), "program": np.array(program), "program_spread": np.array(spreads), "paid": np.array(paid),
        "paid_range": np.array(ranges),
    }  # fmt: skip


def operator_measures(model: LinearMDP, rng: np.random.Generator, planner: Planner) -> dict[str, Any]:
    """One backup of random values under each divergence: distances, order, shifts."""
    first, second = rng.random((2, model.state_count)) * model.horizon
    raised = first + rng.random(model.state_count)
    apart, gains, shifts = [], [], []
    for kind in ADVERSARY.values():
        images = [
            planner.answer(worst_factors(model.factors[:1], kind, model.strength, np.stack((v, v)))[0][0])
            for v in (first, second, raised, first + 1.0)
        ]
        apart.append(float(np.abs(images[0] - images[1]).max()))
        gains.append(images[2] - images[0])
        shifts.append(images[3] - images[0])
    return {
        "image_distance": np.array(apart), "value_distance": float(np.abs(first - second).max()), "raised_gain": np.array(gains),
        "shift": np.array(shifts),
    }  # fmt: skip


def planning_measures(model: LinearMDP, rng: np.random.Generator, plans: dict[int, RobustPlan]) -> dict[str, Any]:
    """The dynamic program: attained by its worst factors, below the value under any others, best of all policies."""
    S, A, H, d = model.state_count, model.action_count, model.horizon, model.dimension
    played, other, gains = [], [], []
    count = A ** (S * H) if S * H <= 8 else MOST_POLICIES + 1
    tried = (
        [np.array(choice).reshape(H, S) for choice in itertools.product(range(A), repeat=S * H)]
        if count <= MOST_POLICIES
        else [rng.integers(0, A, (H, S)) for _ in range(3)]
    )
    for kind, best in plans.items():
        amounts = _with_price(model, kind, best.worst)
        played.append(best.value[0] - expected_sum(model, best.policy, best.worst, amounts))
        share = rng.random((H, d, 1))
        moved = rng.dirichlet(np.ones(S), (H, d)) * (1.0 if kind == TV else model.factors > 0.0)
        moved = share * model.factors + (1.0 - share) * moved / np.maximum(moved.sum(axis=2, keepdims=True), 1e-300)
        other.append(expected_sum(model, best.policy, moved, _with_price(model, kind, moved)) - best.value[0])
        gains += [best.value[0] - plan(model, ADVERSARY[kind], model.strength, policy).value[0] for policy in tried]
    return {"played_gap": np.array(played), "other_gain": np.array(other), "policy_gain": np.array(gains)}


def _with_price(model: LinearMDP, kind: int, factors: Array) -> Array:
    """(H, S, A) rewards and what the adversary pays for its factors."""
    H, d = model.horizon, model.dimension
    price = np.array(
        [[robust.divergence(ADVERSARY[kind], factors[h, i], model.factors[h, i]) for i in range(d)] for h in range(H)]
    )
    return np.einsum("sai,hi->hsa", model.features, model.theta + model.strength * price)


def order_measures(model: LinearMDP, plans: dict[int, RobustPlan]) -> dict[str, Any]:
    """Values under different adversaries, state by state at the first step."""
    nominal = plan(model, NOMINAL, 0.0).value
    tv, kl, chi = (plans[kind].value for kind in (TV, KL, CHI))
    H = model.horizon
    after = np.arange(H - 1, -1, -1, dtype=np.float64)
    lower, upper, allowance = [], [], []
    rectangular = []
    for kind, best in plans.items():
        held = plan(model, BALL[kind], model.radius).value
        lower.append(best.value[:-1] - held[:-1])
        allowance.append(np.broadcast_to((model.strength * model.radius * after)[:, None], held[:-1].shape))
        reached = max(
            robust.divergence(ADVERSARY[kind], best.worst[h, i], model.factors[h, i])
            for h in range(H)
            for i in range(model.dimension)
        )
        # A little more than what was reached: rounding of the divergence must not make the ball too small.
        radius = reached * (1.0 + 1e-9) + 1e-12
        upper.append(plan(model, BALL[kind], min(radius, 1.0) if kind == TV else radius).value[:-1] - best.value[:-1])
        rectangular.append(best.value[0] - rectangular_value(model, ADVERSARY[kind], model.strength)[0])
    spread = np.ptp(tv, axis=1)
    return {
        "nominal_gap": np.array([(nominal - v).min() for v in (tv, kl, chi)]), "chi_over_kl": (chi - kl)[:-1],
        "kl_cost": nominal[0] - kl[0], "chi_cost": nominal[0] - chi[0], "tail_squares": float((after**2).sum()),
        "tv_range": spread[:-1], "tv_range_limit": 1.0 + np.minimum(spread[1:], model.strength),
        "regularised_excess": np.array(lower), "ball_allowance": np.array(allowance), "ball_excess": np.array(upper),
        "rectangular_gap": np.array(rectangular),
    }  # fmt: skip


def lower_bound_measures(rng: np.random.Generator, planner: Planner) -> dict[str, Any]:
    """The exact Bayes risk of a random size of the lower bound's family: the price of each wrong action, by planning, times how often it is played."""
    from scipy.stats import binom, norm

    d, horizon, K, radius = (
        int(rng.integers(1, 4)),
        int(rng.integers(1, 5)),
        int(10.0 ** rng.uniform(2.0, 4.0)),
        float(rng.uniform(0.0, 0.75)),
    )
    signs = rng.choice([-1.0, 1.0], (horizon, d))
    family = hard_family(d, horizon, K, signs)
    radii = np.zeros((horizon, d + 2))
    radii[0] = radius
    right = ((signs > 0) @ (2 ** np.arange(d)[::-1])).astype(np.int64)
    best = np.column_stack((right, np.zeros(horizon, dtype=np.int64)))
    top = plan(family, robust.TV_BALL, radii, best).value[0, 0]
    n = np.arange(K + 1)
    error = float(binom.pmf(n, K, 1.0 / (d + 2)) @ norm.cdf(-np.sqrt(n) * d**0.5 / (2.0 * np.sqrt(2.0 * K))))
    error = 0.0 if planner.knows else error
    risk = 0.0
    for h in range(horizon):
        for j in range(d):
            wrong = best.copy()
            wrong[h, 0] ^= 1 << (d - 1 - j)
            risk += error * float(top - plan(family, robust.TV_BALL, radii, wrong).value[0, 0])
    return {"bayes_risk": risk, "family_size": float(d), "family_horizon": float(horizon), "family_samples": float(K)}
