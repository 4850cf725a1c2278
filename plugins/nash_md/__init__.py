"""Nash-MD: the last iterate of mirror descent against its own mixture with the reference policy."""

from theorylab.plugin import Plugin

plugin = Plugin(
    "nash-md",
    api=1,
    title="Nash-MD: last-iterate convergence in regularised preference games",
    source='Munos et al., "Nash Learning from Human Feedback", ICML 2024, arXiv 2312.00886',
    rooms=("instances", "algorithm", "claims", "precise", "mutants", "figures"),
)
