"""Horizon-free reward-free exploration of linear mixture MDPs."""

from theorylab.plugin import Plugin

plugin = Plugin(
    "horizon-free-rfe",
    api=1,
    title="Reward-free exploration whose cost does not grow with the horizon",
    source='J. Zhang, W. Zhang, Gu, "Optimal Horizon-Free Reward-Free Exploration for Linear Mixture MDPs", ICML 2023, arXiv 2303.10165',
    rooms=("instances", "algorithm", "claims", "mutants", "figures"),
)
