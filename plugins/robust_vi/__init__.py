"""Robust value iteration: planning against transitions that an adversary may choose near the nominal ones."""

from theorylab.plugin import Plugin

plugin = Plugin(
    "robust-vi",
    api=1,
    title="Robust value iteration over total variation, KL, chi-squared and Wasserstein neighbourhoods",
    source='Iyengar, "Robust dynamic programming", 2005; Ho, Petrik, Wiesemann, "Fast Bellman updates for robust MDPs", 2018',
    rooms=("instances", "algorithm", "claims", "mutants", "figures"),
)
