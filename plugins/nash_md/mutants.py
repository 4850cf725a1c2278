"""Broken variants of the algorithm, the oracle and the estimator, and the claims that must refute each."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from theorylab.problems.preference_game import PreferenceGame
from theorylab.problems.record import Array
from theorylab.solvers.mirror_descent import ARITHMETIC, MIXTURE, POLICY, PREVIOUS_MIXTURE, REFERENCE

from . import plugin
from .algorithm import Variant, measure
from .oracle import Oracle
from .precise import replay

STEP = "nash-md-step-exact"


def _mutant(name: str, description: str, variant: Variant, refuted_by: Sequence[str] = (), survives: str | None = None) -> None:
    def broken(game: PreferenceGame, rng: np.random.Generator, *, steps: int, mixing: float) -> dict[str, Any]:
        return measure(game, rng, steps, mixing, variant)

    plugin.mutant(
        name=name,
        refuted_by=refuted_by,
        survives=survives,
        description=description,
        precisely=partial(replay, variant=variant),
    )(broken)


def _with_diagonal(value: float) -> Any:
    def table(preference: Array) -> Array:
        n = preference.shape[1]
        return preference + (value - 0.5) * np.eye(n)

    return table


def _hard_labels(preference: Array) -> Array:
    return np.where(preference > 0.5, 1.0, np.where(preference < 0.5, 0.0, 0.5))


def _transposed(preference: Array) -> Array:
    return np.ascontiguousarray(preference.transpose(0, 2, 1))


def _rates(numerator: float, offset: float) -> Any:
    return lambda steps, tau: numerator / (tau * (np.arange(steps) + offset))


_mutant(
    "starts-from-policy", "The mirror step starts from pi_t, not from the mixture.", Variant(base=POLICY),
    [STEP, "nash-md-step", "nash-md-step-sharp", "nash-md-step-span", "nash-md-last-iterate", "nash-md-last-iterate-sharp",
     "contextual-last-iterate", "three-point-identity"],
)  # fmt: skip
_mutant(
    "plain-hedge", "No mixture anywhere.", Variant(base=POLICY, opponent=POLICY),
    [STEP, "nash-md-last-iterate", "nash-md-constant-step", "last-iterate-exploitability"],
)  # fmt: skip
_mutant(
    "sign-flipped", "The preference table is transposed: losers are preferred.", Variant(table=_transposed),
    [STEP, "nash-md-step-span", "nash-md-last-iterate", "nash-md-constant-step-sharp", "three-point", "three-point-sharp"],
)  # fmt: skip
_mutant(
    "reference-overwritten", "The mixture is taken with the previous iterate instead of the reference.", Variant(anchor=1),
    [STEP, "geometric-mixture-identity", "self-play-bounded-ratio"],
)  # fmt: skip
_mutant(
    "exponents-swapped", "The mixture has pi^(eta tau) mu^(1 - eta tau).",
    Variant(pull=lambda eta, tau: 1.0 - eta * tau), [STEP, "geometric-mixture-identity", "geometric-mixture"],
)  # fmt: skip
_mutant(
    "exponent-tau", "The mixture's exponent is tau instead of eta tau.", Variant(pull=lambda eta, tau: 0.0 * eta + min(tau, 1.0)),
    [STEP, "constant-step-fixed-point"],
)  # fmt: skip
_mutant(
    "pull-halved",
    "The pull towards the reference is halved.",
    Variant(pull=lambda eta, tau: eta * tau / 2),
    [STEP],
)
_mutant(
    "preference-doubled",
    "The preference step is twice as long.",
    Variant(gain=2.0),
    [STEP, "self-play-step-exact"],
)
_mutant("preference-halved", "The preference step is half as long.", Variant(gain=0.5), [STEP])
_mutant("diagonal-one", "An action beats itself.", Variant(table=_with_diagonal(1.0)), [STEP])
_mutant("diagonal-zero", "An action loses to itself.", Variant(table=_with_diagonal(0.0)), [STEP])
_mutant(
    "opponent-reference", "The opponent is the reference policy: a best response to it.",
    Variant(opponent=REFERENCE, self_opponent=REFERENCE), [STEP, "self-play-fixed-point"],
)  # fmt: skip
_mutant(
    "rate-constant",
    "The rate stays at 1 / tau.",
    Variant(rates=lambda steps, tau: np.full(steps, 1.0 / tau)),
    [STEP],
)
_mutant(
    "arithmetic-mixture",
    "Base and opponent are arithmetic mixtures.",
    Variant(base=ARITHMETIC, opponent=ARITHMETIC),
    [STEP],
)
_mutant(
    "opponent-policy", "The opponent is pi_t: self-play passed off as Nash-MD.", Variant(opponent=POLICY),
    [STEP, "constant-step-fixed-point", "constant-step-limit"],
)  # fmt: skip
_mutant(
    "self-play-mixture", "The opponent of self-play is the mixture: Nash-MD passed off as self-play.",
    Variant(self_opponent=MIXTURE), ["self-play-step-exact", "self-play-fixed-point", "self-play-limit"],
)  # fmt: skip
_mutant("opponent-stale", "The opponent is the previous mixture.", Variant(opponent=PREVIOUS_MIXTURE), [STEP])
_mutant(
    "opponent-arithmetic",
    "The opponent alone is an arithmetic mixture.",
    Variant(opponent=ARITHMETIC),
    [STEP],
)
_mutant("schedule-one", "The rate is 1 / (tau (t + 2)).", Variant(rates=_rates(1.0, 2.0)), [STEP])
_mutant("schedule-four", "The rate is 4 / (tau (t + 4)).", Variant(rates=_rates(4.0, 4.0)), [STEP])
_mutant("hard-labels", "Win rates are rounded to 0 or 1.", Variant(table=_hard_labels), [STEP])
_mutant(
    "rewards-centred", "1/2 is subtracted from every win rate.", Variant(table=lambda preference: preference - 0.5),
    survives="A constant added to all rewards cancels in the normalisation: the same algorithm.",
)  # fmt: skip
_mutant(
    "oracle-small-tau", "The equilibrium is solved at tau / 16.", Variant(oracle=Oracle(tau_factor=1.0 / 16.0)),
    ["equilibrium-is-fixed-point", "equilibrium-radius", "equilibrium-radius-sharp", "equilibrium-exploitability"],
)  # fmt: skip
_mutant(
    "oracle-large-tau", "The equilibrium is solved at 16 tau.", Variant(oracle=Oracle(tau_factor=16.0)),
    ["equilibrium-is-fixed-point", "equilibrium-exploitability-bound"],
)  # fmt: skip
_mutant(
    "opponent-kl-dropped", "The opponent's KL term is left out of the regularised preference.", Variant(oracle=Oracle(own_sign=0.0)),
    ["regularised-preference-is-antisymmetric"],
)  # fmt: skip
_mutant(
    "opponent-kl-subtracted", "Both KL terms are subtracted.", Variant(oracle=Oracle(own_sign=-1.0)),
    ["regularised-preference-is-antisymmetric"],
)  # fmt: skip
for _kind, _text, _refuted in (
    ("gradient-through-opponent", "The gradient flows through the opponent.", ["gradient-is-unbiased"]),
    (
        "opponent-is-policy",
        "The estimator's opponent is the policy itself.",
        ["gradient-is-unbiased", "kl-gradient-is-scaled"],
    ),
    ("mixing-swapped", "beta and 1 - beta are swapped.", ["gradient-is-unbiased", "gradient-fixed-point"]),
    ("arithmetic-opponent", "The estimator's opponent is an arithmetic mixture.", ["gradient-is-unbiased"]),
    ("no-kl-term", "The estimator has no KL term.", ["gradient-is-unbiased", "gradient-fixed-point"]),
    ("kl-sign-flipped", "The estimator's KL term has the wrong sign.", ["gradient-is-unbiased"]),
    ("kl-against-mixture", "The estimator's KL is taken against the mixture.", ["gradient-is-unbiased"]),
    ("reverse-kl", "The estimator's KL is reversed.", ["gradient-is-unbiased", "estimate-range"]),
):
    _mutant(f"gradient-{_kind.removeprefix('gradient-')}", _text, Variant(gradient=_kind), _refuted)
_mutant(
    "gradient-no-baseline",
    "The baseline 1/2 is dropped.",
    Variant(gradient="no-baseline"),
    ["estimate-range"],
)
