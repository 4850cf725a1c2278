"""R2PVI: offline learning of policies that withstand changed dynamics, pessimistic where data are scarce."""

from theorylab.plugin import Plugin

plugin = Plugin(
    "r2pvi",
    api=1,
    title="Robust regularised pessimistic value iteration (offline, d-rectangular linear MDPs)",
    source='Tang, Liu, Xu, "Robust Offline Reinforcement Learning with Linearly Structured f-Divergence Regularization", ICML 2025, arXiv 2411.18612',
    rooms=("instances", "algorithm", "claims", "mutants", "figures"),
)
