"""Last-switch-dependent bandits: arms that tire when they are played and recover when they rest."""

from theorylab.plugin import Plugin

plugin = Plugin(
    "lsd-bandits",
    api=1,
    title="Planning and learning where payoffs depend on the last switch",
    source='Foussoul, Goyal, Papadigenopoulos, Zeevi, "Last Switch Dependent Bandits with Monotone Payoff Functions", ICML 2023, arXiv 2306.00338',
    rooms=("instances", "algorithm", "claims", "mutants", "figures"),
)
