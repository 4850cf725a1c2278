"""Problems: random mixtures, chains that need directed exploration, the lower bound's family, users' MDPs; two counterexamples to printed steps."""

from __future__ import annotations

import numpy as np

from theorylab.plugin import Answer
from theorylab.problems.linear_mixture import LinearMixture, mixture, tabular
from theorylab.problems.mixture_files import read_mixture
from theorylab.problems.record import Array
from theorylab.problems.small_families import linear_mixtures

from . import plugin
from .hard_family import hard_mixture

KINDS = ("goal", "average", "indicator", "burst")

plugin.reader(read_mixture)


def reward_of(kind: str, rng: np.random.Generator, horizon: int, S: int, A: int) -> Array:
    """(H, S, A) with totals of at most 1: paid at the last step in one state; spread evenly; spread over one state; nearly all at one step."""
    if kind == "goal":
        out = np.zeros((horizon, S, A))
        out[-1, rng.integers(S)] = 1.0
        return out
    if kind == "average":
        return np.broadcast_to(rng.random((S, A)) / horizon, (horizon, S, A)).copy()
    if kind == "indicator":
        out = np.zeros((horizon, S, A))
        out[:, rng.integers(S)] = 1.0 / horizon
        return out
    share = rng.dirichlet(np.full(horizon, 0.05))
    share = np.nan_to_num(share / share.sum(), nan=0.0)  # so sharp a law may come out as zeros
    return np.asarray(share[:, None, None] * (rng.random((S, A)) < 0.5))


def random_mixture(
    rng: np.random.Generator, S: int, A: int, d: int, horizon: int, N: int, *, sharp: float = 0.3, even: float = 1.0, kinds: tuple[str, ...] = KINDS
) -> LinearMixture:  # fmt: skip
    """Kernels with rows from Dirichlet(sharp), weights from Dirichlet(even), rewards of the kinds in turn."""
    kernels = rng.dirichlet(np.full(S, sharp), (d, S, A))
    rewards = np.array([reward_of(kinds[n % len(kinds)], rng, horizon, S, A) for n in range(N)])
    weights = rng.dirichlet(np.full(d, even))
    return mixture(kernels, weights, rewards)


@plugin.sample
def any_mixture(rng: np.random.Generator) -> LinearMixture:
    """2 to 6 states, 1 to 3 actions, 1 to 5 kernels, 1 to 30 steps; one in eight is tabular."""
    S, A, H, N = int(rng.integers(2, 7)), int(rng.integers(1, 4)), int(rng.choice([1, 2, 5, 10, 20, 30])), int(rng.integers(1, 4))
    kinds = tuple(rng.permutation(KINDS))
    if rng.random() < 0.125:
        S, A = min(S, 3), min(A, 2)
        rewards = np.array([reward_of(kinds[n], rng, H, S, A) for n in range(N)])
        return tabular(rng.dirichlet(np.full(S, 0.3), (S, A)), rewards)
    return random_mixture(
        rng, S, A, int(rng.integers(1, 6)), H, N, sharp=float(rng.choice([0.05, 0.3, 1.0])), even=float(rng.choice([0.1, 1.0, 5.0])), kinds=kinds
    )  # fmt: skip


plugin.instances(linear_mixtures)


# -- named problems -----------------------------------------------------------------------------------------------------------------------------


def chain(n: int, horizon: int) -> LinearMixture:
    """A walk of n states back to whose start one action leads; at its end the other action reaches the goal or a pit. Needs directed exploration."""
    goal, pit = n, n + 1
    kernels = np.zeros((2, n + 2, 2, n + 2))
    kernels[:, :n, 0, 0] = 1.0
    for s in range(n - 1):
        kernels[:, s, 1, s + 1] = 1.0
    kernels[0, n - 1, 1, goal] = kernels[1, n - 1, 1, pit] = 1.0
    kernels[:, goal, :, goal] = kernels[:, pit, :, pit] = 1.0
    rewards = np.zeros((3, horizon, n + 2, 2))
    for i, s in enumerate((0, goal, pit)):
        rewards[i, -1, s] = 1.0
    states = (*(f"step {s}" for s in range(n)), "goal", "pit")
    return mixture(kernels, np.array([0.3, 0.7]), rewards, states=states, actions=("back", "on"), names=("start", "goal", "pit"))


def _truncation() -> LinearMixture:
    """Two ends, reached with probability 1/2 each, while a model is sure of the first; it also believes too much of what the first one pays."""
    transition = np.zeros((5, 1, 5))
    transition[0, 0, [1, 2]] = 0.5
    transition[1, 0, [3, 4]] = 0.1, 0.9
    transition[2, 0, 4] = transition[3, 0, 3] = transition[4, 0, 4] = 1.0
    rewards = np.zeros((1, 3, 5, 1))
    rewards[0, 2, 3] = 1.0
    made = tabular(transition, rewards, states=("start", "a", "b", "paid", "unpaid"))
    width = np.sqrt(2.0)
    model = np.where(made.theta == 0.5 * width, 0.0, made.theta)
    model[0] = width  # start -> a for sure
    model[2], model[3] = width, 0.0  # a -> paid for sure
    return made.replace(model=model)


def _rising() -> LinearMixture:
    """The published step that uncertainty falls as data come in: here what is added to certain values makes a norm larger."""
    features = np.zeros((5, 1, 7, 5))
    for feature, (s, to) in enumerate([(0, 1), (0, 2), (1, 3), (1, 4), (2, 3), (2, 4)]):
        features[s, 0, feature, to] = np.sqrt(0.5)
    features[3, 0, 6, 3] = features[4, 0, 6, 4] = np.sqrt(0.5)
    theta = np.sqrt(2.0) * np.array([0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 1.0])
    rewards = np.zeros((1, 3, 5, 1))
    rewards[0, 2, 3] = 1.0
    before = np.diag([1e6, 1e6, 2.0, 1.0, 2.0, 1.0, 1e6])
    after = before.copy()
    after[4, 4] = 2e6
    v = np.eye(7)[0] + np.eye(7)[1]
    hat = np.diag([1.0] * 6 + [1e6]) + 1e6 * np.outer(v, v)
    return LinearMixture(
        features, theta, rewards, 4.0, grams=np.array([before, after, hat]), states=("0", "1", "2", "goal", "dead")
    )


#: The chain on which exploration itself is looked at.
CHAIN = chain(8, 10)

#: Mixtures whose episodes to a fixed certificate are counted, along horizons, features and accuracies.
RATES = random_mixture(np.random.default_rng(3), 4, 2, 2, 10, 4, kinds=("average",))

plugin.reference("mixture", lambda: random_mixture(np.random.default_rng(0), 4, 2, 2, 20, 3, kinds=("goal", "average", "burst")))
plugin.reference("wide", lambda: random_mixture(np.random.default_rng(1), 6, 2, 4, 12, 3))
plugin.reference("chain", lambda: CHAIN)
plugin.reference(
    "tabular",
    lambda: tabular(np.array([[[0.9, 0.1], [0.2, 0.8]], [[0.5, 0.5], [0.0, 1.0]]]), np.array([[[[0.0, 0.0], [0.2, 0.1]]] * 5])),
)
plugin.reference("hard", lambda: hard_mixture(np.array([1.0, -1.0]), 27, 5))
plugin.reference("hard-one-sign", lambda: hard_mixture(np.array([1.0]), 12, 4))
plugin.reference("one-state", lambda: mixture(np.ones((1, 1, 1, 1)), np.ones(1), np.full((1, 1, 1, 1), 0.5)))
plugin.reference("truncation", _truncation)
plugin.reference("rising", _rising)
plugin.reference("rates", lambda: RATES)


@plugin.answer
def after_exploration(mixture: LinearMixture, *, episodes: int, scale: float) -> list[Answer]:
    """What is known after exploring without rewards: for each reward what its policy is worth, how much it can lose and how much it does."""
    from .users import answers

    return answers(mixture, episodes, scale)
