"""Distributional dynamic programming with a stock: policies that are optimal for a whole distribution of returns."""

from theorylab.plugin import Plugin

plugin = Plugin(
    "distributional-dp",
    api=1,
    title="Stock-augmented distributional DP: optimal for expected utilities, CVaR and targets",
    source='Avila Pires et al., "Optimizing Return Distributions with Distributional Dynamic Programming", JMLR 26(185), 2025, arXiv 2501.13028',
    rooms=("instances", "algorithm", "claims", "mutants", "figures"),
)
