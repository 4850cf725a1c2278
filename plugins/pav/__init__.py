"""Process advantage verifiers: what a prover's advantages do for a policy, on trees that can be checked by hand."""

from theorylab.plugin import Plugin

plugin = Plugin(
    "pav",
    api=1,
    title="Policy improvement by prover advantages",
    source='Setlur et al., "Rewarding Progress: Scaling Automated Process Verifiers for LLM Reasoning", ICLR 2025, arXiv 2410.08146',
    rooms=("instances", "algorithm", "claims", "mutants"),
)
