"""A false theorem: the constant is half of what it should be. theorylab must say so."""

from dataclasses import dataclass

from theorylab import Always, Instance, Plugin

plugin = Plugin("wrong-constant", api=1, title="Variance of a coin, halved", source="tests")


@dataclass(frozen=True, eq=False)
class Coin(Instance):
    heads: float = 0.5

    def __post_init__(self):
        object.__setattr__(self, "heads", float(self.heads))


plugin.sample(lambda rng: Coin(float(rng.integers(0, 17)) / 16))


@plugin.run(draws_instance=True)
def run(coin, rng):
    return {"variance": coin.heads * (1 - coin.heads)}


@plugin.claim("variance", holds=Always(), source="a wrong note")
def half_the_variance():
    """p (1 - p) <= 1/8"""
    return 0.125


@plugin.mutant(refuted_by="half_the_variance")
def second_moment(coin, rng):
    """p instead of p (1 - p)."""
    return {"variance": coin.heads}


plugin.reference("fair-sixteenth", Coin(0.0625))
