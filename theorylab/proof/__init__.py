"""Steps of proofs that a machine checks: identities, inequalities with certificates, finite case checks.

A module for a plugin holds `proofs = Proofs("my-plugin")` and functions decorated with `@proofs.step(...)`; see `steps.Proofs`.
"""

from __future__ import annotations

from theorylab.proof.boxes import Boxes as Boxes
from theorylab.proof.cases import Cases as Cases
from theorylab.proof.identity import Identity as Identity
from theorylab.proof.products import Products as Products
from theorylab.proof.slopes import Rising as Rising
from theorylab.proof.squares import Squares as Squares
from theorylab.proof.steps import Proofs as Proofs

__all__ = ["Boxes", "Cases", "Identity", "Products", "Proofs", "Rising", "Squares"]
