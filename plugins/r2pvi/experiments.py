"""The paper's two experiments with exact evaluation: the simulated linear MDP, and an American put option on a lattice of prices.

Policies are evaluated by dynamic programming in the target environment, where the papers average a hundred test episodes: the spread that is left is that
of the data. `published` also follows the released code where it departs from the algorithm: a regulariser of 0.1, the smaller penalty
sqrt(sum phi_i^2 inverse_ii), no clip at 0, the failure state's value put to 0, the smallest value
sought among sampled next states, and a chi-squared dual that is minimised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theorylab.problems.linear_mdp import LinearMDP
from theorylab.problems.record import Array
from theorylab.solvers import offline
from theorylab.solvers.drectangular import NOMINAL, Policy, plan
from theorylab.solvers.offline import (
    CHI,
    CHI_LEAST,
    MAHALANOBIS,
    MEAN,
    ROOT,
    Rules,
    Visits,
    pessimistic_values,
)

from .instances import simulated

#: A learner of the simulated MDP: from its model and the data to a policy (H, S).
Learner = Callable[[LinearMDP, Visits], Policy]

#: Defaults of the released code.
BETA, RIDGE, SAMPLES, REPLICATIONS = 1.0, 0.1, 100, 20
FAIL = 3


# -- the simulated linear MDP --------------------------------------------------------------------------------------------------------------


def robust_learner(kind: int, strength: float, *, published: bool) -> Learner:
    """R2PVI for TV, KL or CHI at a strength; as the algorithm is stated, or as it was released."""

    def learn(model: LinearMDP, visits: Visits) -> Policy:
        if published:
            rules = Rules(shape=ROOT, floors=False, dead=FAIL, sampled=True)
            wrong = CHI_LEAST if kind == CHI else kind
            return _greedy(wrong, strength, model, visits, rules)
        return _greedy(kind, strength, model, visits, Rules(dead=FAIL))

    return learn


def ball_learner(kind: int, radius: float, *, published: bool) -> Learner:
    """DRPVI (TV_BALL) or DRVI-L (KL_BALL) with a radius for the one factor that the target environments change."""

    def learn(model: LinearMDP, visits: Visits) -> Policy:
        radii = np.zeros((model.horizon, model.dimension))
        radii[0, 3] = radius
        rules = Rules(shape=ROOT, floors=False, dead=FAIL) if published else Rules(dead=FAIL)
        return _greedy(kind, radii, model, visits, rules)

    return learn


def plain_learner(model: LinearMDP, visits: Visits) -> Policy:
    """PEVI."""
    return _greedy(MEAN, 0.0, model, visits, Rules(shape=MAHALANOBIS, floors=False, dead=FAIL))


def _greedy(kind: int, strength: Array | float, model: LinearMDP, visits: Visits, rules: Rules) -> Policy:
    estimate = pessimistic_values(kind, strength, model.features, model.theta, visits, beta=BETA, ridge=RIDGE, rules=rules)
    return estimate.policy


def blocked_values(
    learner: Learner, blocked: Sequence[float], *, samples: int = SAMPLES, replications: int = REPLICATIONS, seed: int = 0
) -> Array:
    """(replications, len(blocked)) exact values of what is learned, in target environments; every learner sees the same data sets."""
    model = simulated()
    uniform = np.full((model.state_count, model.action_count), 1.0 / model.action_count)
    targets = [simulated(blocked=q) for q in blocked]
    out = np.zeros((replications, len(blocked)))
    for i in range(replications):
        visits = offline.sample_visits(model, uniform, samples, np.random.default_rng([seed, i]))
        policy = np.maximum(learner(model, visits), 0)
        out[i] = [plan(target, NOMINAL, 0.0, policy).value[0, 0] for target in targets]
    return out


# -- the American put ----------------------------------------------------------------------------------------------------------------------

STRIKE, UP, DOWN, STEPS = 100.0, 1.02, 0.98, 20
PUT_BETA, PUT_RIDGE, FEATURES = 0.1, 1.0, 30


@dataclass(frozen=True)
class Put:
    """An American put on a recombining lattice: state (h, u) after h steps, u of them up; price (S,), payoff (S,) of exercising now."""

    start_price: float
    price: Array
    payoff: Array
    step: NDArray[np.int64]

    @staticmethod
    def of(start_price: float) -> Put:
        """The lattice from a price at the start."""
        nodes = [(h, u) for h in range(STEPS + 1) for u in range(h + 1)]
        price = np.array([start_price * UP**u * DOWN ** (h - u) for h, u in nodes])
        return Put(start_price, price, np.maximum(0.0, STRIKE - price), np.array([h for h, _ in nodes]))

    @staticmethod
    def index(h: NDArray[np.int64] | int, u: NDArray[np.int64] | int) -> NDArray[np.int64] | int:
        """Number of a state."""
        return h * (h + 1) // 2 + u

    def features(self, count: int = FEATURES) -> Array:
        """(S, 1, count) hat functions of the price for holding on, centres 80 + i 100 / count: nothing below 80 less a width."""
        width = 100.0 / count
        centres = 80.0 + width * np.arange(count)
        return np.asarray(np.maximum(0.0, 1.0 - np.abs(self.price[:, None] - centres) / width))[:, None, :]

    def sample(self, samples: int, up: float, rng: np.random.Generator) -> Visits:
        """Paths that hold on to the end: counts of each move."""
        rows: list[list[int]] = []
        offsets = [0]
        at = np.array([samples])
        for h in range(STEPS):
            rises = rng.binomial(at, up)
            for u in range(h + 1):
                for to, count in ((u + 1, int(rises[u])), (u, int(at[u] - rises[u]))):
                    if count:
                        rows.append([int(self.index(h, u)), int(self.index(h + 1, to)), count])
            following = np.zeros(h + 2, dtype=np.int64)
            following[1:] += rises
            following[:-1] += at - rises
            at = following
            offsets.append(len(rows))
        pair, successor, count = np.array(rows).T
        return Visits(np.array(offsets), pair, successor, count.astype(np.float64))

    def learn(self, kind: int, strength: float, visits: Visits, *, features: Array | None = None) -> NDArray[np.bool_]:
        """(S,) whether to exercise, by pessimistic values of holding on; the released caps are kept although payoffs exceed 1."""
        phi = self.features() if features is None else features
        rules = Rules(shape=MAHALANOBIS if kind == MEAN else ROOT, floors=False)
        estimate = pessimistic_values(
            kind,
            strength,
            phi,
            np.zeros((STEPS, phi.shape[2])),
            visits,
            beta=PUT_BETA,
            ridge=PUT_RIDGE,
            stop=self.payoff,
            rules=rules,
        )
        inside = self.step < STEPS
        out = np.zeros(len(self.price), dtype=np.bool_)
        out[inside] = estimate.policy[self.step[inside], np.flatnonzero(inside)] < 0
        return out

    def value(self, exercise: NDArray[np.bool_] | None, up: float) -> float:
        """What a rule earns from the start when prices rise with probability `up`; None: the best rule. Exercise is possible at steps 0 to 19."""
        after = np.zeros(STEPS + 1)
        for h in range(STEPS - 1, -1, -1):
            at = np.asarray(self.index(h, np.arange(h + 1)))
            hold = up * after[1 : h + 2] + (1.0 - up) * after[: h + 1]
            stop = self.payoff[at] > hold if exercise is None else exercise[at]
            after = np.where(stop, self.payoff[at], hold)
        return float(after[0])


def put_values(
    kind: int, strength: float, ups: Sequence[float], put: Put, *, samples: int = 1_000, replications: int = 3, seed: int = 0
) -> Array:
    """(replications, len(ups)) exact values of what is learned from data whose prices rise half the time."""
    out = np.zeros((replications, len(ups)))
    for i in range(replications):
        exercise = put.learn(kind, strength, put.sample(samples, 0.5, np.random.default_rng([seed, i])))
        out[i] = [put.value(exercise, up) for up in ups]
    return out
