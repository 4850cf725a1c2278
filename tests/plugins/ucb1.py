"""UCB1 on Bernoulli arms: the smallest real plugin, and the stochastic twin of Nash-MD for the tests."""

from dataclasses import dataclass

import numpy as np

from theorylab import Instance, OnAverage, Plugin, WithProbability, kernel

plugin = Plugin("ucb1", api=1, title="UCB1: logarithmic regret", source="Auer, Cesa-Bianchi, Fischer 2002")


@dataclass(frozen=True, eq=False)
class Arms(Instance):
    means: np.ndarray  # (K,)

    def __post_init__(self):
        self.frozen_array("means", (None,), low=0.0, high=1.0)


@kernel
def ucb1(means, rng, horizon):
    pulls, wins = np.zeros(means.size), np.zeros(means.size)
    for t in range(horizon):
        best = t if t < means.size else np.argmax(wins / pulls + np.sqrt(2.0 * np.log(t) / pulls))
        pulls[best] += 1.0
        wins[best] += rng.random() < means[best]
    return pulls


@plugin.run(horizon=2000)
def run(arms, rng, *, horizon):
    pulls = ucb1(arms.means, rng, horizon)
    return {
        "regret": float(pulls @ (arms.means.max() - arms.means)),
        "best_share": pulls[arms.means.argmax()] / horizon,
    }


@plugin.claim(
    "regret",
    holds=OnAverage(),
    source="Theorem 1",
    within=lambda arms, horizon: (0, horizon * np.ptp(arms.means)),
)
def regret_is_logarithmic(arms, horizon):
    "E[regret] <= 8 sum(log(T) / gap) + (1 + pi^2 / 3) sum(gap)"
    gaps = (arms.means.max() - arms.means)[arms.means < arms.means.max()]
    return 8 * np.log(horizon) * np.sum(1 / gaps) + (1 + np.pi**2 / 3) * gaps.sum()


@plugin.claim(
    "best_share",
    holds=WithProbability(0.9),
    relation=">=",
    source="illustration",
    provenance="derived",
    within=lambda: (0, 1),
)
def best_arm_dominates():
    return 0.5


@plugin.mutant(refuted_by=["regret_is_logarithmic", "best_arm_dominates"])
def losses_as_wins(arms, rng, *, horizon):
    pulls = ucb1(1.0 - arms.means, rng, horizon)
    return {
        "regret": float(pulls @ (arms.means.max() - arms.means)),
        "best_share": pulls[arms.means.argmax()] / horizon,
    }


plugin.reference("easy", Arms(np.array([0.9, 0.1])))
plugin.reference("three", Arms(np.array([0.2, 0.5, 0.9])))
