"""Reference bandits, the declared distribution and the hypothesis strategy, users' files, and what their owners want to know."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from theorylab.plugin import Answer
from theorylab.problems.bandit import Bandit, bernoulli, clipped_gaussian, deterministic, two_point
from theorylab.problems.bandit_families import bandits, random_bandit
from theorylab.problems.bandit_files import read_bandit

from . import plugin

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

#: Differences of means below this share of R are ties: means are sums of products, so equal arms may differ by rounding.
TIE = 1e-12

plugin.sample(random_bandit)
plugin.reader(read_bandit)


@plugin.instances
def small_bandits() -> SearchStrategy[Bandit]:
    """Small bandits with readable numbers."""
    return bandits(max_arms=4)


@plugin.assumption
def no_ties(bandit: Bandit) -> bool:
    """No two arms have the same mean, the worse ones included."""
    return bandit.smallest_gap > TIE * (bandit.reward_bound or 0.0)


@plugin.assumption
def unique_best(bandit: Bandit) -> bool:
    """The best arm is alone; ties among the others are allowed."""
    return bandit.best_gap > TIE * (bandit.reward_bound or 0.0)


@plugin.assumption
def two_arms(bandit: Bandit) -> bool:
    """K = 2."""
    return bandit.arm_count == 2


@plugin.assumption
def uniform_start(bandit: Bandit) -> bool:
    """The first policy is uniform: theta_1 is constant."""
    assert bandit.start is not None
    return bool((bandit.start == bandit.start[0]).all())


@plugin.assumption
def easy(bandit: Bandit) -> bool:
    """One arm pays exactly 0, every other exactly the same negative number."""
    _, masses = bandit.law
    others = np.delete(np.arange(bandit.arm_count), bandit.best_arm)
    certain = bool(((masses == 0.0) | (masses == 1.0)).all())
    return certain and bandit.means[bandit.best_arm] == 0.0 and bool((bandit.means[others] == bandit.means[others[0]]).all())


def _spread() -> Bandit:
    """Ten arms as in the experiments with K = 10: two good ones, six at 0, two bad ones."""
    return two_point([0.5, 0.3, 0, 0, 0, 0, 0, 0, -0.5, -0.5])


plugin.reference("two-arms", lambda: two_point([0.25, -0.25]))
plugin.reference("two-arms-deterministic", lambda: deterministic([0.0, -0.25], 1.0))
plugin.reference("three-arms", lambda: two_point([0.6, 0.2, -0.5], start=[0.5, 0, -1]))
plugin.reference("four-arms", lambda: two_point([0.2, 0.05, -0.1, -0.4]))
plugin.reference("five-arms", lambda: two_point([0.1, 0, 0, 0, 0]))
plugin.reference("ten-arms", _spread)
plugin.reference("hundred-arms", lambda: bernoulli(np.linspace(0.9, 0.1, 100)))
plugin.reference("gaussian-arms", lambda: clipped_gaussian([0.6, 0.3, -0.2], [0.5, 0.3, 1.0]))
plugin.reference("easy-ten", lambda: deterministic([0.0] + [-1.0] * 9, 1.0))
plugin.reference("extreme-rewards", lambda: deterministic([1.0, -1.0], 1.0))
plugin.reference("large-rewards", lambda: deterministic([10.0, -10.0], 10.0))
plugin.reference("good-start", lambda: two_point([0.6, -0.4], start=[2.5, -1.5]))
plugin.reference("tiny-gap", lambda: two_point([2.0**-20, 0.0], start=[-3.0, 4.0]))
plugin.reference("near-vertex", lambda: two_point([0.5, 0.0, -0.5], start=[0.0, 600.0, 30.0]))
plugin.reference("tied-bad-arms", lambda: two_point([0.5, 0.0, 0.0], start=[-20.0, 0.0, 0.0]))
plugin.reference("tied-optimum", lambda: deterministic([1.0, 1.0, 0.0], 1.0, start=[0.0, 1.0, 0.0]))
plugin.reference("two-optimal-arms", lambda: two_point([0.2, 0.2, -0.1]))


@plugin.answer
def what_the_theorems_promise(bandit: Bandit, *, horizon: int, step_size: float) -> list[Answer]:
    """The arms as they were read, the step sizes that the theorems name, and what each promises for this horizon."""
    from .algorithm import curvature, theorem_step, tuned_step

    R, K, gap = float(bandit.reward_bound or 1.0), bandit.arm_count, bandit.best_gap
    order = np.argsort(-bandit.means, kind="stable")
    arms = tuple((bandit.labels[a], float(bandit.means[a]), float(bandit.gaps[a])) for a in order)
    answers = [Answer(f"Arms (rewards in [-{R:g}, {R:g}])", ("arm", "mean", "gap"), arms)]
    eta = tuned_step(bandit, step_size)
    rows = [("used here" if step_size else "half of what two arms allow", eta, _floor(bandit, eta))]
    if bandit.smallest_gap > TIE * R:
        step = theorem_step(bandit)
        rows.append(("of the convergence theorem", step, _floor(bandit, step)))
    answers.append(
        Answer(
            "Constant step sizes",
            ("step size", "eta", "theta(best) stays above, 9 times in 10"),
            tuple(rows),
            f"Any eta finds the best arm in the long run; a small regret needs eta of the order of gap / R^2 = {gap / R**2:.3g}.",
        )
    )
    if K == 2 and gap > TIE * R and uniform_start(bandit):
        c = curvature(eta * R)
        if gap > eta * R * R * c:
            bound = math.log1p(4 * eta * gap * horizon) / (2 * eta) + gap / (2 * eta * (gap - eta * R * R * c))
            answers.append(
                Answer(
                    "Regret",
                    ("pulls", "at most", "of at most"),
                    ((horizon, bound, gap * horizon),),
                    "The bound says something once it is below gap * pulls.",
                )
            )
    return answers


def _floor(bandit: Bandit, eta: float) -> str:
    from .algorithm import growth_rate

    return f"{-math.log(10.0) / growth_rate(bandit, eta):.4g}" if unique_best(bandit) else "no claim: the best arm is tied"
