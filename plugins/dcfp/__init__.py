"""Direct categorical fixed point: the law of the return from an estimated model, by one linear solve."""

from theorylab.plugin import Plugin

plugin = Plugin(
    "dcfp",
    api=1,
    title="DCFP: distributional policy evaluation from samples of a generative model",
    source='Rowland et al., "Near-Minimax-Optimal Distributional Reinforcement Learning with a Generative Model", arXiv 2402.07598',
    rooms=("instances", "algorithm", "claims", "mutants", "figures"),
)
