"""Categorical distributional dynamic programming: laws of returns on a grid, and how far they are from the truth."""

from theorylab.plugin import Plugin

plugin = Plugin(
    "categorical-dp",
    api=1,
    title="Categorical DP: contraction, projection and fixed point of distributional policy evaluation",
    source='Rowland et al., "An Analysis of Categorical Distributional Reinforcement Learning", AISTATS 2018, arXiv 1802.08163',
    rooms=("instances", "algorithm", "claims", "mutants", "figures"),
)
