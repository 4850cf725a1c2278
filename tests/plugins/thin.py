"""Claims that fail only on thin sets of instances, and one that is false by a little: what the hunt is for."""

from dataclasses import dataclass

import numpy as np

from theorylab import Always, Instance, OnAverage, Plugin, WithProbability

plugin = Plugin("thin", api=1, title="Violated on thin sets", source="tests")


@dataclass(frozen=True, eq=False)
class Arms(Instance):
    gap: float = 0.5
    policy: tuple = (0.5, 0.5)
    odd: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "policy", np.array(self.policy, dtype=np.float64))


@plugin.sample
def random_arms(rng):
    return Arms(float(rng.uniform()), rng.dirichlet(np.ones(3)), float(rng.integers(0, 1000)))


@plugin.instances
def arms():
    from hypothesis import strategies as st

    weights = st.lists(st.integers(0, 8), min_size=3, max_size=3).filter(any)
    policies = weights.map(lambda w: tuple(np.array(w) / sum(w)))
    return st.builds(Arms, gap=st.floats(1e-6, 1.0), policy=policies, odd=st.integers(0, 1000).map(float))


@plugin.run(n=1)
def run(arms, rng, *, n):
    return {
        "samples_needed": 1.0 / arms.gap,
        "log_loss": -float(np.log(np.maximum(arms.policy.min(), 1e-300))),
        "coin": float(rng.random() < 0.5),
        "biased": float(rng.random() < min(1.0, 0.5 + arms.odd / 1000)),
        "loss": arms.policy.max(),
    }


@plugin.claim("samples_needed", holds=Always(), source="false for gaps below 2^-10", provenance="unconfirmed")
def gap_is_not_small():
    """1 / gap <= 1024"""
    return 1024


@plugin.claim("log_loss", holds=Always(), source="false on the faces of the simplex", provenance="unconfirmed")
def policy_is_interior():
    """-log(min policy) <= 100"""
    return 100


@plugin.claim("coin", holds=OnAverage(), source="attained exactly", within=lambda: (0, 1))
def coin_is_fair():
    """E[coin] <= 1/2"""
    return 0.5


@plugin.claim("biased", holds=OnAverage(), source="false for odd instances", provenance="unconfirmed", within=lambda: (0, 1))
def biased_is_not_too_biased():
    """E[biased] <= 0.7"""
    return 0.7


@plugin.assumption
def gap_is_large(arms):
    """The gap is at least 2^-10."""
    return arms.gap >= 2.0**-10


@plugin.claim("samples_needed", holds=Always(), source="true under its assumption", assumes=["gap_is_large"])
def large_gaps_need_few_samples():
    """1 / gap <= 1024"""
    return 1024


@plugin.claim(
    "loss",
    holds=WithProbability(0.9),
    source="deterministic",
    provenance="derived",
    within=lambda: (0, 2),
    assumes=["gap_is_large"],
)
def loss_is_at_most_one():
    """max policy <= 1"""
    return 1
