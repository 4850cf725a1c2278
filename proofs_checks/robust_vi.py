"""Planning against an adversary: what the inner problems' closed forms rest on.

Sources: Iyengar, "Robust Dynamic Programming", 2005; Nilim, El Ghaoui, "Robust Control of Markov Decision Processes with Uncertain Transition Matrices", 2005.
"""

from __future__ import annotations

from sympy import Rational
from theorylab_proofs.r2pvi import kl_below_chi2, slope_of_the_chi2_dual, worst_law_in_a_chi2_ball, worst_law_of_chi2

from theorylab.proof import Proofs

proofs = Proofs("robust-vi")

proofs.step(twin=Rational(101, 100), supports=["kl-is-below-chi2"])(kl_below_chi2)
proofs.step(twin=Rational(101, 100), supports=["closed-forms-are-exact", "worst-distribution-attains"])(worst_law_of_chi2)
proofs.step(twin=Rational(101, 100), supports=["closed-forms-are-exact", "worst-distribution-is-feasible"])(
    worst_law_in_a_chi2_ball
)
proofs.step(twin=Rational(101, 100), supports=["closed-forms-are-exact", "chi2-gap-is-small"])(slope_of_the_chi2_dual)
