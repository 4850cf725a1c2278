"""A claim of every mode and of every verdict, with letters that a page must not take for its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theorylab import Always, AtRate, Equals, Instance, OnAverage, Plugin, WithProbability

plugin = Plugin("seen", api=1, title="Means of coins <script>document.title = 'taken'</script>", source="folklore & more")

TIMES = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0])


@dataclass(frozen=True, eq=False)
class Coin(Instance):
    heads: float = 0.5


plugin.reference("fair", Coin(0.5))
plugin.reference("bent", Coin(0.25))


@plugin.sample
def any_coin(rng):
    return Coin(float(rng.integers(1, 16)) / 16)


@plugin.instances
def small_coins():
    from hypothesis import strategies as st

    return st.integers(1, 15).map(lambda k: Coin(k / 16))


@plugin.assumption
def has_two_sides(coin):
    """Heads & tails both happen <b>."""
    return 0.0 < coin.heads < 1.0


def tossed(coin, rng):
    tosses = rng.random(64) < coin.heads
    means = np.array([tosses[: int(n)].mean() for n in TIMES])
    return {
        "n": TIMES,
        "mean": means,
        "share": float(means[-1]),
        "error": np.abs(means - coin.heads),
        "square": (means - coin.heads) ** 2,
        "variance": coin.heads * (1 - coin.heads),
        "decay": 1.0 / TIMES,
    }


@plugin.run()
def run(coin, rng):
    return tossed(coin, rng)


@plugin.claim("square", holds=OnAverage(), source="variance", within=lambda: (0, 1), assumes="has_two_sides")
def variance_of_means(n):
    """E[(mean - p)^2] <= 1 / (4 n) <img src=x onerror=alert(1)>"""
    return 0.27 / n


@plugin.claim("error", holds=WithProbability(0.5), source="Hoeffding", within=lambda: (0, 1), along="n")
def deviations(n):
    """With probability 1/2 |mean - p| <= 2 / sqrt(n) at all n."""
    return 2 / n**0.5


@plugin.claim("square", holds=AtRate(1.0, along="n", doubling=1.0), source="variance", within=lambda: (0, 1))
def one_over_n():
    """E[(mean - p)^2] = O(1 / n)"""
    return None


@plugin.claim("decay", holds=Always(), source="arithmetic", within=lambda: (0, 1), along="n")
def decay_is_bounded(n):
    """1 / n <= 4 / n, which says nothing before n = 4"""
    return 4 / n


@plugin.claim("variance", holds=Equals(slack=1e-12), source="calculus")
def variance_of_a_toss(heads):
    """Var = p - p^2"""
    return heads - heads**2


@plugin.claim("variance", holds=Always(), source="a slip")
def variance_is_small():
    """p (1 - p) <= 1/5, which is false"""
    return 0.2


@plugin.claim("variance", holds=Always(), source="a slip", expected="refuted", only=("fair",))
def variance_is_tiny():
    """p (1 - p) <= 1/10, known to be false"""
    return 0.1


@plugin.claim("share", holds=OnAverage(), source="linearity", within=lambda: (0, 1))
def mean_is_exact(heads):
    """E[mean] <= p, with equality"""
    return heads


@plugin.claim("share", holds=OnAverage(), source="trivial", within=lambda: (0, 1), along="n")
def mean_is_below_one():
    """E[mean] <= 2"""
    return 2.0


@plugin.mutant(refuted_by="variance_of_a_toss")
def second_moment(coin, rng):
    """p for p (1 - p)."""
    return tossed(coin, rng) | {"variance": coin.heads}
