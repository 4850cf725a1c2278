"""For test files: claims as tests, the contract that every plugin must meet, bounds and rates of functions that are no plugin.

import theorylab.testing as tl

test_contract = tl.check_plugin(plugin)            # each check and each mutant is a test of its own

@tl.claims(plugin)                                 # one test per claim
def test_claims(claim):
    claim.assert_expected()

def test_value_iteration():
    tl.assert_bound(lambda mdp: error(mdp), at_most=lambda mdp: 1 / (1 - mdp.discount), over=theorylab.strategies.mdps())
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from theorylab.testing.contract import check_plugin as check_plugin
    from theorylab.testing.functions import assert_bound as assert_bound
    from theorylab.testing.functions import assert_rate as assert_rate
    from theorylab.testing.verdicts import CheckedClaim as CheckedClaim
    from theorylab.testing.verdicts import claims as claims

# Loaded when first used: pytest imports this package wherever theorylab is installed.
_HOMES = {
    "CheckedClaim": "theorylab.testing.verdicts",
    "assert_bound": "theorylab.testing.functions",
    "assert_rate": "theorylab.testing.functions",
    "check_plugin": "theorylab.testing.contract",
    "claims": "theorylab.testing.verdicts",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'theorylab.testing' has no attribute {name!r}")
