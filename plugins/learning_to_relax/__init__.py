"""Learning how far to over-relax: bounds on the iterations of SOR, and the Tsallis-INF learner that tunes it."""

from theorylab.plugin import Plugin

plugin = Plugin(
    "learning-to-relax",
    api=1,
    title="Tuning SOR's parameter by Tsallis-INF",
    source='Khodak, Chow, Balcan, Talwalkar, "Learning to Relax: Setting Solver Parameters Across a Sequence of Linear System Instances", ICLR 2024, arXiv 2310.02246',
    rooms=("instances", "algorithm", "claims", "mutants"),
)
