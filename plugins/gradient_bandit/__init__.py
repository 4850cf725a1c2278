"""The stochastic gradient bandit (softmax policy gradient), exact policy gradient, and what their theorems say."""

from theorylab.plugin import Plugin

plugin = Plugin(
    "gradient-bandit",
    api=1,
    title="Gradient bandits: softmax policy gradient with a constant step",
    source='Mei et al., "Stochastic Gradient Succeeds for Bandits", ICML 2023, arXiv 2402.17235',
    rooms=("instances", "algorithm", "claims", "precise", "mutants", "figures"),
)
