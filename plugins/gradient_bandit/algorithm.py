"""What one seed runs and measures: three simulated runs, states at which every pull is enumerated, exact ascent, a small MDP.

The measures judge the algorithm from outside: gradients, gaps and probabilities are computed from the logits and the bandit, never
taken from the algorithm, so that a wrong update shows whatever it does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from theorylab.problems.bandit import Bandit
from theorylab.problems.record import Array

from . import plugin
from .exact_gradient import PLAIN, ascend, ascend_mdp, mdp_quantities
from .instances import TIE
from .one_step import (
    BIAS,
    COLUMNS,
    CURVATURE,
    CURVATURE_ANY,
    FACTS,
    FIRST,
    LARGEST,
    NOISE,
    ODDS,
    REACH,
    SECOND,
    SQUARE,
    SQUARE_FORMULA,
    STAR_DRIFT,
    STAR_STEP,
    SUM,
    TWO_INVERSE,
    TWO_ODDS,
    facts,
    hessians,
    one_step,
)
from .simulate import DRIFT, ITSELF, LOWEST, PAID, PAID_SQUARED, PROGRESS, SAMPLING, SCALARS, simulate, simulate_plainly
from .updates import CORRECT

#: Step size of exact ascent, for rewards in [0, 1]. Source: arXiv 2005.06392, section 3.
EXACT_STEP = 0.4

#: Steps of exact ascent on the bandit, and on MDPs.
EXACT_STEPS, MDP_STEPS = 2000, 100

#: Steps on an MDP where the rate's constant, which is large, needs them to say something; where it needs more, it says nothing.
MOST_MDP_STEPS = 5_000

#: eta R, and pulls, of the run that shows what an arbitrary constant step size does at a finite horizon.
FREEZING = 10.0
FREEZING_PULLS = 1000

#: eta R beyond which e^(2 eta R) is no float, and lower bounds are 0 for all that anybody could see.
LARGEST_EXPONENT = 300.0

#: Largest number of actions for which the MDP form is measured: policies are enumerated.
MDP_ACTIONS = 4

#: Pairs (reward, logit) that the enumeration of one seed may visit; large bandits get fewer states.
WORK = 60_000


#: What can be wrong with the checks themselves: the gradient of a neighbouring arm's mean, pi of the likeliest arm for pi(a*), a
#: Hessian without the value, rewards that are not brought to [0, 1].
Oracle = Literal["right", "neighbour", "likeliest", "no-value", "unscaled"]


@dataclass(frozen=True)
class Variant:
    """What the algorithm really does. The defaults are the gradient bandit; mutants change one of them.

    form, mix, scale, decays, contains, pays   as in `simulate_plainly`
    faster                                     factor on the step size that is declared
    exact, exact_step, mdp                     form and step size of exact ascent, and its form on MDPs
    oracle                                     what is wrong with the quantities that the checks compare with
    """

    form: int = CORRECT
    mix: float = 0.0
    scale: float = 1.0
    decays: bool = False
    contains: bool = False
    pays: int = ITSELF
    faster: float = 1.0
    exact: int = PLAIN
    exact_step: float = EXACT_STEP
    mdp: int = PLAIN
    oracle: Oracle = "right"

    @property
    def is_broken(self) -> bool:
        """Whether stochastic runs differ from the algorithm."""
        plain = (CORRECT, 0.0, 1.0, False, False, ITSELF)
        return (self.form, self.mix, self.scale, self.decays, self.contains, self.pays) != plain


def _root(function: Any, target: float) -> float:
    """The y > 0 at which an increasing function reaches the target, to rounding."""
    low, high = 0.0, 1.0
    while function(high) < target:
        low, high = high, 2.0 * high
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if function(middle) < target else (low, middle)
    return low  # the root from below: what is said of all smaller numbers too stays true


def excess(y: float) -> float:
    """(e^y - 1 - y) / y, increasing from 0; a series where y is small, infinite where e^y is no float."""
    if y > 700.0:
        return math.inf
    return y * (0.5 + y * (1 / 6 + y * (1 / 24 + y * (1 / 120 + y / 720)))) if y < 0.01 else (math.expm1(y) - y) / y


def curvature(eta: float) -> float:
    """C_eta = (e^(2 eta) - 1 - 2 eta) / (2 eta^2), 1 at eta = 0."""
    return excess(2.0 * eta) / eta if eta > 0.0 else 1.0


def tuned_step(bandit: Bandit, step_size: float) -> float:
    """The step size asked for; for 0 the eta with eta R^2 C = (best gap) / 2, at which the two-arm regret bound is about smallest."""
    R = float(bandit.reward_bound or 1.0)
    if step_size > 0.0:
        return step_size
    gap = bandit.best_gap if bandit.best_gap > TIE * R else 0.2 * R
    return _root(lambda eta: eta * curvature(eta), 0.5 * gap / R) / R


def theorem_step(bandit: Bandit) -> float:
    """eta = Delta^2 / (40 K^(3/2) R^3), Delta the smallest gap of all pairs. Source: arXiv 2402.17235, main theorem."""
    return bandit.smallest_gap**2 / (40.0 * bandit.arm_count**1.5 * float(bandit.reward_bound or 1.0) ** 3)


def larger_step(bandit: Bandit) -> float:
    """eta = Delta^2 / (25 K^(1/2) R^3): 1.6 K times the theorem's, and enough for the same progress (README)."""
    return bandit.smallest_gap**2 / (25.0 * bandit.arm_count**0.5 * float(bandit.reward_bound or 1.0) ** 3)


@lru_cache(maxsize=256)
def growth_root(ratio: float) -> float:
    """The y > 0 with (e^y - 1 - y) / y = ratio."""
    return _root(excess, ratio)


def growth_rate(bandit: Bandit, eta: float, reach: float = 1.0) -> float:
    """lambda with E exp(-lambda (change of theta(a*))) <= 1 at every pull, rewards within reach R of the baseline."""
    R = reach * float(bandit.reward_bound or 1.0)
    return growth_root(bandit.best_gap / R) / (eta * R)


def checkpoints(horizon: int) -> np.ndarray:
    """Pulls before which a run is looked at: about eight per decade, 1 and the horizon among them."""
    count = 2 + int(8 * math.log10(horizon))
    return np.unique(np.round(np.logspace(0.0, math.log10(horizon), count)).astype(np.int64))


@dataclass(frozen=True)
class Trace:
    """A simulated run. theta (C, K), gap and regret (C,) at the checkpoints, scalars (SCALARS,)."""

    theta: Array
    gap: Array
    regret: Array
    scalars: Array


@dataclass(frozen=True)
class Arms:
    """A bandit as the kernels want it."""

    bandit: Bandit
    cumulative: Array
    squares: Array

    @staticmethod
    def of(bandit: Bandit) -> Arms:
        assert bandit.weights is not None
        cumulative = np.cumsum(bandit.weights, axis=1)
        cumulative /= cumulative[:, -1:]
        cumulative[cumulative >= cumulative[:, -1:]] = 1.0
        # No uniform reaches 1: a value of probability 0 at the end of a row is never drawn, whatever the sums were rounded to.
        for a, row in enumerate(bandit.weights):
            cumulative[a, int(np.flatnonzero(row)[-1]) :] = 1.0
        values, masses = bandit.law
        return Arms(bandit, cumulative, np.asarray((values**2 * masses).sum(axis=1)))

    def simulate(
        self, rng: np.random.Generator, eta: float, points: np.ndarray, variant: Variant, with_baseline: bool = False
    ) -> Trace:
        """One run, of the algorithm or of a broken variant."""
        b = self.bandit
        C, K = points.size, b.arm_count
        trace = Trace(np.empty((C, K)), np.empty(C), np.empty(C), np.empty(SCALARS))
        arguments = (
            b.start, eta * variant.faster, with_baseline, b.atoms, self.cumulative, b.deviations, b.reward_bound, b.means, self.squares,
            b.best_arm, points, rng, trace.theta, trace.gap, trace.regret, trace.scalars,
        )  # fmt: skip
        if variant.is_broken:
            simulate_plainly(*arguments, variant.form, variant.mix, variant.scale, variant.decays, variant.contains, variant.pays)
        else:
            simulate(*arguments)
        return trace


@dataclass(frozen=True)
class States:
    """Logits at which every pull is enumerated, and what a seed draws besides. M states.

    theta, before (M, K)   logits, and those of one pull earlier
    eta, baseline, growth  (M,) step size, baseline, lambda of the supermartingale
    count                  rewards that the baseline is the mean of
    watched (M, W)         arms whose odds are followed
    """

    theta: Array
    before: Array
    eta: Array
    baseline: Array
    growth: Array
    count: int
    watched: np.ndarray

    @staticmethod
    def draw(rng: np.random.Generator, bandit: Bandit, visited: Array) -> States:
        """States of a run, the first among them, and arbitrary ones up to the brink of a vertex."""
        K, R = bandit.arm_count, float(bandit.reward_bound or 1.0)
        M = int(np.clip(WORK // (K * K * bandit.law[0].shape[1]), 2, 12))
        own = visited[np.linspace(0, len(visited) - 1, min(4, M // 2)).astype(int)]
        scales = rng.choice([1.0, 5.0, 30.0], M - len(own))
        theta = rng.normal(0.0, 1.0, (M - len(own), K)) * scales[:, None]
        for row in theta[::3]:
            row[int(rng.integers(K))] += rng.uniform(5.0, 400.0)
        theta = np.concatenate([own, theta])
        eta = np.exp(rng.uniform(math.log(1e-3), math.log(3.0), M)) / R
        moved = rng.normal(0.0, 1.0, (M, K)) * (eta * R)[:, None]
        share = np.where(rng.random(M) < 0.5, 1.0, rng.uniform(0.05, 1.0, M))
        has_best = bandit.best_gap > TIE * R
        growth = share * (np.array([growth_rate(bandit, float(e)) for e in eta]) if has_best else 1.0 / (eta * R))
        watched = np.stack([np.full(M, bandit.best_arm), theta.argmax(axis=1), rng.integers(0, K, M)], axis=1)
        baseline, count = rng.uniform(-R, R, M), int(rng.integers(1, 20))
        return States(theta, theta - moved, eta, baseline, growth, count, watched)


def state_measures(bandit: Bandit, arms: Arms, states: States, variant: Variant) -> dict[str, Any]:
    """Exact conditional expectations at every state, (M,) each."""
    K, R = bandit.arm_count, float(bandit.reward_bound or 1.0)
    M = len(states.theta)
    values, masses = bandit.law
    stars = bandit.gaps <= TIE * R
    known, gradients, policies = np.empty((M, FACTS)), np.empty((M, K)), np.empty((M, K))
    zero, none = np.zeros(M), np.empty((M, 0), dtype=np.int64)
    means = np.roll(bandit.means, 1) if variant.oracle == "neighbour" else bandit.means
    facts(states.theta, means, arms.squares, zero, stars, variant.form, known, gradients, policies)
    norm, square, impurity, star, delta, log_range, shifted = known[:, :7].T

    if variant.oracle == "likeliest":
        star = policies.max(axis=1)

    def step(eta: Array, baseline: Array, watched: np.ndarray, contains: bool) -> Array:
        out = np.empty((M, COLUMNS))
        one_step(
            states.theta, states.before, eta, baseline, states.count, states.growth, values, masses, bandit.means,
            gradients, R, bandit.best_arm, watched, variant.form, variant.mix, variant.faster, contains, out,
        )  # fmt: skip
        return out

    own = step(states.eta, zero, states.watched, False)
    based = step(states.eta, states.baseline, none, variant.contains)
    with_baseline, at_best = known.copy(), known.copy()
    spread = 1.0 - 2.0 * policies + (policies**2).sum(axis=1, keepdims=True)  # |e_a - pi|^2, only to weigh the arms by
    best_baseline = (policies * spread * bandit.means).sum(axis=1) / np.maximum((policies * spread).sum(axis=1), 1e-300)
    best_baseline = np.clip(best_baseline, -R, R)
    for out, baseline in ((with_baseline, states.baseline), (at_best, best_baseline)):
        facts(states.theta, bandit.means, arms.squares, baseline, stars, CORRECT, out, np.empty((M, K)), np.empty((M, K)))
    matrices = np.empty((M, K, K))
    hessians(states.theta, bandit.means, norm, variant.oracle != "no-value", matrices)
    radius = np.abs(np.linalg.eigvalsh(matrices)).max(axis=1)
    unit = 1.0 if variant.oracle == "unscaled" else bandit.largest_gap or 1.0
    measures = {
        "eta_any": states.eta, "growth_any": states.growth, "log_range": log_range, "gradient_norm": norm,
        "bias": own[:, BIAS], "step_sum": own[:, SUM],
        "largest_step": own[:, LARGEST],
        "baseline_largest_step": based[:, LARGEST],
 "square": own[:, SQUARE], "square_formula": square, "impurity": impurity,
        "reach": own[:, REACH], "baseline_bias": based[:, BIAS], "baseline_sum": based[:, SUM], "baseline_square": based[:, SQUARE],
        "baseline_square_formula": with_baseline[:, SQUARE_FORMULA], "best_baseline_square": at_best[:, SQUARE_FORMULA], "hessian_radius": radius,
        "hessian_norm": radius * norm / unit, "curvature_any": own[:, CURVATURE_ANY], "odds_rise": own[:, ODDS],
        "lojasiewicz": np.divide(star * delta, norm, out=np.zeros(M), where=norm > 0.0), "policy_shift": shifted,
        "star_step": own[:, STAR_STEP], "star_expected": policies[:, bandit.best_arm] * delta,
    }  # fmt: skip
    if bandit.best_gap > TIE * R:
        measures["star_drift"] = own[:, STAR_DRIFT]
    if K == 2:
        measures |= {
            "two_odds": own[:, TWO_ODDS],
            "two_inverse": own[:, TWO_INVERSE],
            "curvature_two": _curvatures(states.eta * R),
        }
    if bandit.smallest_gap > TIE * R:
        for name, eta in (("theorem", theorem_step(bandit)), ("larger", larger_step(bandit))):
            at = step(np.full(M, eta), zero, none, False)
            gain = at[:, FIRST] + at[:, SECOND]
            measures |= {f"{name}_gain": gain, f"{name}_noise": at[:, NOISE], f"{name}_curvature": at[:, CURVATURE]}
            if name == "theorem":
                # |g| >= pi(a*) delta, so the gain over eta pi(a*)^2 delta^2 is the larger ratio.
                steeper = np.divide(norm, star * delta, out=np.ones(M), where=star * delta > 0.0)
                measures["recursion_gain"] = gain * np.minimum(steeper, 1e100) ** 2
    return measures


def _curvatures(eta: Array) -> Array:
    return np.array([curvature(float(e)) for e in eta])


def path_measures(
    bandit: Bandit, tuned: Trace, based: Trace, slow: Trace | None, eta: float, points: np.ndarray
) -> dict[str, Any]:
    """What the simulated runs show: the tuned one, the one with a baseline, the one at the theorem's step size."""
    R, K = float(bandit.reward_bound or 1.0), bandit.arm_count
    late = late_points(points)
    best = bandit.best_arm
    assert bandit.start is not None
    own = log_policy(tuned.theta[late])[:, best]
    measures = {
        "late_t": points[late].astype(np.float64),
        "log_start_odds": float(log_odds(bandit.start, best)),
        "sampling_excess": tuned.scalars[SAMPLING],
        "paid_excess": tuned.scalars[PAID],
        "squared_excess": tuned.scalars[PAID_SQUARED],
        "progress_excess": tuned.scalars[PROGRESS],
        "path_drift": abs(tuned.scalars[DRIFT]),
        "path_scale": float(np.abs(bandit.start).max() + eta * R * points[-1] ** 0.5),
        "regret": tuned.regret[-1],
    }
    if eta * R <= LARGEST_EXPONENT:
        measures |= {"late_regret": tuned.regret[late], "late_failure": -np.expm1(own)}
    if bandit.best_gap > TIE * R:
        measures |= {
            "lowest": tuned.scalars[LOWEST], "growth": growth_rate(bandit, eta),
            "baseline_lowest": based.scalars[LOWEST], "baseline_growth": growth_rate(bandit, eta, reach=2.0),
        }  # fmt: skip
        if K == 2 and bandit.best_gap > eta * R * R * curvature(eta * R):
            measures["two_arm_regret"] = tuned.regret[late]
            measures["two_arm_curvature"] = curvature(eta * R)
    if slow is not None:
        step = theorem_step(bandit)
        measures |= {
            "theorem_eta": step, "theorem_gap": slow.gap[-1], "theorem_first_gap": slow.gap[0],
            "theorem_growth": growth_rate(bandit, step), "theorem_curvature_two": curvature(step * R),
        }  # fmt: skip
    return measures


def late_points(points: np.ndarray) -> np.ndarray:
    """Indices of the few checkpoints at which expectations are judged: one per decade, back from the horizon."""
    return np.unique([int(np.argmin(np.abs(points - points[-1] / 10.0**k))) for k in (2, 1, 0)])


def log_policy(theta: Array) -> Array:
    """log softmax over the last axis: exact to rounding for arms as unlikely as the logits can say."""
    shifted = theta - theta.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def log_odds(theta: Array, arm: int) -> float:
    """log (pi(a) / (1 - pi(a)))."""
    others = np.delete(theta, arm)
    top = others.max()
    return float(theta[arm] - top - math.log(np.exp(others - top).sum()))


def unit_rewards(bandit: Bandit) -> Array:
    """(K,) the means if all lie in [0, 1], else mapped there from [-R, R]: exact ascent is for rewards in [0, 1]."""
    means, R = bandit.means, float(bandit.reward_bound or 1.0)
    return means if bool(((means >= 0.0) & (means <= 1.0)).all()) else np.clip((means + R) / (2.0 * R), 0.0, 1.0)


def exact_measures(bandit: Bandit, variant: Variant) -> dict[str, Any]:
    """Exact ascent from the bandit's start; no randomness. Checkpoints t >= 1."""
    rewards = unit_rewards(bandit)
    points = checkpoints(EXACT_STEPS)
    C, K = points.size, bandit.arm_count
    stars = bandit.gaps <= TIE * float(bandit.reward_bound or 1.0)
    theta, gap, regret, lowest = np.empty((C, K)), np.empty(C), np.empty(C), np.empty(C)
    assert bandit.start is not None
    rise, fall = ascend(bandit.start, rewards, variant.exact_step, variant.exact, points, stars, theta, gap, regret, lowest)
    t = points.astype(np.float64)
    kept = np.exp(log_policy(theta)[:, bandit.best_arm])
    measures = {
        "exact_t": t, "exact_gap": gap, "exact_regret": regret, "exact_lowest": np.maximum(lowest, 1e-150), "exact_rise": rise,
        "exact_fall": fall, "exact_drift": float(np.abs((theta - bandit.start).sum(axis=1)).max()),
        "exact_scale": float(np.abs(theta).max()), "exact_range": float(np.ptp(rewards)),
        "exact_kept": float(kept.min()), "exact_kept_start": float(kept[0]),
    }  # fmt: skip
    ordered = np.sort(rewards)
    best_gap = float(ordered[-1] - ordered[-2])
    close = np.flatnonzero(gap <= best_gap**2 / 2.4)
    if best_gap > TIE and close.size:
        first = int(close[0])
        floor = 1.0 / gap[first] + 2.4 * (t[first:] - t[first]) / best_gap**2
        large = 6.0 * t[first:] / best_gap**2 >= floor
        measures |= {"exact_late_gap": gap[first:], "exact_floor": 1.0 / floor, "exact_best_gap": best_gap}
        if large.any():
            measures |= {"exact_large_t": t[first:][large], "exact_large_gap": gap[first:][large]}
    return measures


def mdp_measures(bandit: Bandit, rng: np.random.Generator, variant: Variant) -> dict[str, Any]:
    """Policy gradient on a small MDP whose states offer the bandit's arms in rolled order; transitions are drawn.

    S states, A = K actions, discounts in [0.1, 0.97]; optimal policies by enumeration of all deterministic ones.
    """
    S, A = int(rng.integers(1, 5)), bandit.arm_count
    discount = float(rng.choice([0.1, 0.3, 0.6, 0.9, 0.97]))
    reward = np.stack([np.roll(unit_rewards(bandit), s) for s in range(S)])
    transition = rng.dirichlet(np.full(S, 0.5), (S, A))
    mu, rho = rng.dirichlet(np.ones(S)) * 0.9 + 0.1 / S, rng.dirichlet(np.ones(S))
    value, action = best_policy(transition, reward, discount)
    chain = transition[np.arange(S), action]
    reached = [(1.0 - discount) * np.linalg.solve((np.eye(S) - discount * chain).T, start) for start in (mu, rho)]
    theta = rng.normal(0.0, 1.5, (S, A))
    other = theta + rng.normal(0.0, 1.0, (S, A)) * math.exp(rng.uniform(-8.0, 0.0))
    policy, gradient, values, moved = np.empty((S, A)), np.empty((S, A)), np.empty(S), np.empty(S)
    mdp_quantities(theta, transition, reward, discount, rho, policy, gradient, values, variant.mdp)
    slope = float((gradient * (other - theta)).sum())
    mdp_quantities(other, transition, reward, discount, rho, policy, gradient, moved, variant.mdp)
    remainder = abs(float(rho @ (moved - values)) - slope)
    occupancy = mdp_quantities(theta, transition, reward, discount, mu, policy, gradient, values, variant.mdp)
    mismatch = float((reached[1] / occupancy).max())
    least = float(policy[np.arange(S), action].min())
    constant = 16.0 * S / (1.0 - discount) ** 6 * float((reached[0] / mu).max()) ** 2 * float((1.0 / mu).max())
    telling = 4.0 * (1.0 - discount) * constant / least**2  # by then the rate is a quarter of the range, if pi(a*) does not fall
    steps = int(telling) if MDP_STEPS < telling <= MOST_MDP_STEPS else MDP_STEPS
    path, lowest = np.empty((steps, S)), np.empty(steps)
    eta = (1.0 - discount) ** 3 / 8.0
    ascend_mdp(theta, transition, reward, discount, mu, eta, action, steps, variant.mdp, path, lowest)
    at = np.array([0, steps // 20, steps // 5, steps - 1])
    return {
        "mdp_states": float(S), "mdp_discount": discount,
        "mdp_remainder": remainder, "mdp_move_squared": float(((other - theta) ** 2).sum()),
        "mdp_slope_needed": least * float(rho @ (value - values)) / (math.sqrt(S) * mismatch),
        "mdp_slope": float(np.sqrt((gradient**2).sum())),
        "mdp_t": at + 1.0, "mdp_gap": np.array([rho @ (value - path[t]) for t in at]), "mdp_lowest": lowest[at],
        "mdp_mismatch": float((reached[0] / mu).max()), "mdp_rarity": float((1.0 / mu).max()),
    }  # fmt: skip


def best_policy(transition: Array, reward: Array, discount: float) -> tuple[Array, np.ndarray]:
    """Optimal values (S,) and a deterministic optimal policy (S,), by looking at every one."""
    S, A = reward.shape
    policies = np.stack(np.meshgrid(*[np.arange(A)] * S, indexing="ij"), axis=-1).reshape(-1, S)
    chains = transition[np.arange(S), policies]
    gains = reward[np.arange(S), policies]
    values = np.linalg.solve(np.eye(S) - discount * chains, gains[..., None])[..., 0]
    best = int(values.sum(axis=1).argmax())
    return values[best], policies[best]


def measure(
    bandit: Bandit, rngs: Sequence[np.random.Generator], horizon: int, step_size: float, variant: Variant
) -> dict[str, Any]:
    """All measures of a block of seeds, each with a leading seed axis, for the algorithm or a broken variant of it."""
    arms = Arms.of(bandit)
    shared = exact_measures(bandit, variant)
    rows = [shared | seed_measures(arms, rng, horizon, step_size, variant) for rng in rngs]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def seed_measures(arms: Arms, rng: np.random.Generator, horizon: int, step_size: float, variant: Variant) -> dict[str, Any]:
    """What depends on the seed: runs, states, an MDP."""
    bandit = arms.bandit
    eta, points = tuned_step(bandit, step_size), checkpoints(horizon)
    tuned = arms.simulate(rng, eta, points, variant)
    states = States.draw(rng, bandit, tuned.theta)
    R = float(bandit.reward_bound or 1.0)
    measures = state_measures(bandit, arms, states, variant)
    based = arms.simulate(rng, eta, points, variant, with_baseline=True)
    slow = arms.simulate(rng, theorem_step(bandit), points, variant) if bandit.smallest_gap > TIE * R else None
    measures |= path_measures(bandit, tuned, based, slow, eta, points) | {"eta": eta, "horizon_t": float(horizon)}
    measures["freezing_gap"] = arms.simulate(rng, FREEZING / R, np.array([FREEZING_PULLS]), variant).gap[-1]
    if bandit.arm_count <= MDP_ACTIONS and bandit.smallest_gap > TIE * R:
        measures |= mdp_measures(bandit, rng, variant)
    return measures


@plugin.run(batched=True, horizon=10_000, step_size=0.0, limits={"step_size": "[0, inf)"})
def run(bandit: Bandit, rngs: Sequence[np.random.Generator], *, horizon: int, step_size: float) -> dict[str, Any]:
    """`horizon`: pulls T of each simulated run; `step_size`: eta of the run without baseline, 0 for one that suits the gap."""
    return measure(bandit, rngs, horizon, step_size, Variant())
