"""A learner, right or broken, and its estimates beside the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from theorylab.problems.linear_mdp import LinearMDP
from theorylab.problems.record import Array
from theorylab.solvers import offline
from theorylab.solvers.drectangular import Policy, RobustPlan, expected_sum, largest_sum, plan, worst_factors
from theorylab.solvers.offline import MAHALANOBIS, MEAN, TV, TV_BALL, Estimate, Rules, Visits

from .modelling import ADVERSARY, BALL

#: Errors of backups up to this are rounding.
ROUNDING = 1e-12

#: Share of runs that may miss a bound.
DELTA = 0.1

#: Regulariser of the Gram matrix in the theorems.
RIDGE = 1.0


@dataclass(frozen=True)
class Variant:
    """What the algorithm really does. The defaults are right; mutants change one of them.

    kind      which worst expectation is estimated, from the one asked for
    strength  with which price, from (kind, the one asked for)
    rules     how values are put together, from those asked for
    ridge     the regulariser, from the one asked for
    beta      penalties, from those asked for
    data      the data that are used, from those that were taken
    action    the action that is played, from (the best one, number of actions)
    """

    kind: Callable[[int], int] = lambda kind: kind
    strength: Callable[[int, float], float] = lambda kind, strength: strength
    rules: Callable[[Rules], Rules] = lambda rules: rules
    ridge: Callable[[float], float] = lambda ridge: ridge
    beta: Callable[[Array], Array] = lambda beta: beta
    data: Callable[[Visits], Visits] = lambda visits: visits
    action: Callable[[Policy, int], Policy] = lambda policy, actions: policy

    def learn(self, model: LinearMDP, kind: int, visits: Visits, beta: Array | float) -> Estimate:
        """R2PVI for TV, KL and CHI, DRPVI for TV_BALL, PEVI for MEAN."""
        strength = model.radius if kind == TV_BALL else model.strength
        rules = Rules(shape=MAHALANOBIS) if kind == MEAN else Rules()
        found = offline.pessimistic_values(
            self.kind(kind), self.strength(kind, strength), model.features, model.theta, self.data(visits),
            beta=self.beta(np.broadcast_to(np.asarray(beta, dtype=np.float64), (model.horizon,))), ridge=self.ridge(RIDGE),
            rules=self.rules(rules),
        )  # fmt: skip
        return replace(found, policy=self.action(found.policy, model.action_count))


class Judged:
    """An estimate beside the truth: the error of its backups, its policy's exact value, and the sums that bound its suboptimality.

    The error bound at (h, s, a) is `allowed`, what the theorem's penalty is for these data; a mutant may have taken off something else.
    """

    def __init__(
        self,
        model: LinearMDP,
        kind: int,
        estimate: Estimate,
        beta: Array,
        best: RobustPlan,
        adversary: int | None = None,
    ) -> None:
        self.model, self.kind, self.estimate, self.best = model, kind, estimate, best
        self.adversary = ADVERSARY[kind] if adversary is None else adversary
        self.price = model.radius if kind == TV_BALL else model.strength
        self.allowed = np.einsum("sai,hi->hsa", model.features, beta[:, None] * estimate.spread)
        self.nu, self.worst = worst_factors(model.factors, self.adversary, self.price, estimate.value)

    def worst_entry(self) -> tuple[float, float]:
        """(error, allowed) of the backup where the error exceeds, or comes nearest to, what is allowed."""
        return worst_entry(np.abs(np.einsum("sai,hi->hsa", self.model.features, self.nu - self.estimate.nu)), self.allowed)

    @cached_property
    def policy_value(self) -> Array:
        """(H + 1, S) the exact worst-case value of the learned policy."""
        return plan(self.model, self.adversary, self.price, self.estimate.policy).value

    @cached_property
    def phat_sum(self) -> Array:
        """(S,) sum of E[allowed] along the best policy, where the adversary answers the learned values."""
        return expected_sum(self.model, self.best.policy, self.worst, self.allowed)

    @cached_property
    def largest_sum(self) -> Array:
        """(S,) the same, largest over all adversaries that could be worth their price."""
        radius = worthwhile(self.kind, self.best, self.price)
        return largest_sum(self.model, self.best.policy, BALL[self.kind], radius, self.allowed)


def worthwhile(kind: int, best: RobustPlan, price: float) -> Array:
    """(H,) how far a factor can be moved at each step for a price that the values are worth."""
    radius = best.value[1:].max(axis=1) / price
    return np.asarray(np.minimum(radius, 1.0) if kind == TV else radius)


def gram_inverses(model: LinearMDP, visits: Visits) -> Array:
    """(H, d, d) inverses of the regularised Gram matrices, densely and with the theorems' regulariser."""
    pairs, ridge = model.pairs, RIDGE * np.eye(model.dimension)
    return np.array(
        [np.linalg.inv((pairs.T * n) @ pairs + ridge) for n in visits.table(len(pairs), model.state_count).sum(axis=2)]
    )


def worst_entry(error: Array, allowed: Array) -> tuple[float, float]:
    """The entry that exceeds what is allowed by most, else the one that comes nearest to it, as a share."""
    excess = error - allowed - ROUNDING  # at the last step nothing is allowed, and nothing but rounding is wrong
    share = np.divide(error, allowed, out=np.zeros_like(error), where=allowed > 0.0)
    at = int(np.argmax(excess if (excess > 0.0).any() else share))
    return float(error.ravel()[at]), float(allowed.ravel()[at])


class Certain:
    """What holds for sure once the error bound holds at every step, state and action: collected over all estimates of a trial."""

    def __init__(self) -> None:
        self._loss: list[Array] = []
        self._phat: list[Array] = []
        self._largest: list[Array] = []
        self._hope: list[float] = []

    def add(self, judged: Judged) -> None:
        """Takes the estimate in, if its error bound holds (a rounding error more is allowed at steps where nothing is at stake)."""
        error, allowed = judged.worst_entry()
        if error > allowed * (1.0 + 1e-12) + 1e-12 * judged.model.horizon:
            return
        value = judged.policy_value
        self._loss.append(judged.best.value[0] - value[0])
        self._phat.append(judged.phat_sum)
        self._largest.append(judged.largest_sum)
        self._hope.append(float((judged.estimate.value - value).max()))

    def measures(self) -> dict[str, Any]:
        """Arrays over states and estimates; empty ones if no error bound held."""
        return {
            "sure_subopt": np.array(self._loss), "sure_phat": np.array(self._phat), "sure_sup": np.array(self._largest),
            "sure_hope": np.array(self._hope),
        }  # fmt: skip
