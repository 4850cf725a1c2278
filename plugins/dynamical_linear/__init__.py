"""Dynamical linear bandits: actions whose effects arrive later through a hidden linear system."""

from theorylab.plugin import Plugin

plugin = Plugin(
    "dynamical-linear",
    api=1,
    title="DynLin-UCB",
    source='Mussi, Metelli, Restelli, "Dynamical Linear Bandits", ICML 2023, arXiv 2211.08997',
    rooms=("instances", "algorithm", "claims", "mutants"),
)
