"""Classic bandit algorithms and the regret bounds of the textbooks, constants included."""

from theorylab.plugin import Plugin

plugin = Plugin(
    "classic-bandits",
    api=1,
    title="UCB, successive elimination, explore-first, EXP3 and Thompson sampling",
    source="Auer, Cesa-Bianchi, Fischer 2002; Slivkins, Introduction to Multi-Armed Bandits; Lattimore, Szepesvari, Bandit Algorithms",
    rooms=("instances", "algorithm", "claims", "mutants", "figures"),
)
