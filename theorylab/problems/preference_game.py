"""Contextual preference games with a reference policy: the problem of Nash learning from human feedback.

`preference[x, y, z]` is the probability that action y is preferred to action z at prompt x, so P + P^T = 1. Intransitive
tables are allowed. A policy pays `tau` times its KL divergence from the reference policy.

Letters: X prompts, n actions.
Source: Munos et al., "Nash Learning from Human Feedback", arXiv 2312.00886, sections 3 and 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from theorylab.errors import InstanceError
from theorylab.problems.record import Array, Instance, float_array

#: Largest |P[y, z] + P[z, y] - 1| accepted: tables printed with six digits. A defect of 1e-3 would already move the
#: equilibrium by more than every tolerance, so rounder tables must be mended by their owner, who knows which side is right.
COMPLEMENT_TOLERANCE = 1e-6

#: Largest |sum - 1| of a distribution: what is left after printing fifteen digits.
SUM_TOLERANCE = 1e-9

#: Preference entries accepted: 8 bytes each, and a solver needs a few copies.
MAX_ENTRIES = 20_000_000


@dataclass(frozen=True, eq=False)
class PreferenceGame(Instance):
    """A regularised preference game.

    preference      (X, n, n) or (n, n)  win probabilities in [0, 1]; the lower triangle is set to 1 - upper, the diagonal to 1/2
    log_reference   (X, n) or (n,)       log of the reference policy; finite: restrict the game to its support. Default uniform
    tau             float > 0            weight of the KL term
    prompt_weights  (X,)                 distribution of prompts. Default uniform
    actions, prompts                     labels
    """

    kind: ClassVar[str] = "preference-game"

    preference: Array
    log_reference: Array | None = None
    tau: float = 0.1
    prompt_weights: Array | None = None
    actions: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        table = float_array(self.preference, "preference")
        if table.size > MAX_ENTRIES:
            raise InstanceError(f"preference has {table.size} entries, at most {MAX_ENTRIES} fit. Drop prompts or actions.")
        if table.ndim == 2:
            object.__setattr__(self, "preference", table[None])
        preference = self.frozen_array("preference", (None, None, None), low=0.0, high=1.0)
        X, n = preference.shape[:2]
        if preference.shape[2] != n:
            raise InstanceError(f"preference is {n} x {preference.shape[2]} per prompt: it must be square.")
        self.set_labels("actions", n, "action")
        self.set_labels("prompts", X, "prompt")
        object.__setattr__(self, "preference", self._completed(preference))
        if self.log_reference is None:
            object.__setattr__(self, "log_reference", np.full((X, n), -math.log(n)))
        elif np.ndim(self.log_reference) == 1:
            object.__setattr__(self, "log_reference", np.tile(float_array(self.log_reference, "log_reference"), (X, 1)))
        self._normalised("log_reference", self.frozen_array("log_reference", (X, n)))
        if self.prompt_weights is None:
            object.__setattr__(self, "prompt_weights", np.full(X, 1.0 / X))
        weights = self.frozen_array("prompt_weights", (X,), low=0.0, high=1.0)
        if abs(weights.sum() - 1.0) > SUM_TOLERANCE:
            raise InstanceError(f"prompt_weights sum to {weights.sum():.12g}, not 1. Divide by the sum if these are counts.")
        if isinstance(self.tau, bool) or not isinstance(self.tau, (int, float)):
            raise InstanceError(f"tau is {self.tau!r}, not a number.")
        if not (math.isfinite(self.tau) and self.tau > 0.0):
            raise InstanceError(f"tau = {self.tau!r} must be positive and finite: it is the weight of the KL term.")
        object.__setattr__(self, "tau", float(self.tau))

    def _completed(self, preference: Array) -> Array:
        """P with P + P^T = 1 exactly, the defect having been found within tolerance."""
        defect = np.abs(preference + preference.transpose(0, 2, 1) - 1.0)
        if (defect > COMPLEMENT_TOLERANCE).any():
            x, y, z = map(int, np.argwhere(defect > COMPLEMENT_TOLERANCE)[0])
            raise InstanceError(self._defect_message(preference, x, y, z))
        upper = np.triu(preference, 1)
        lower = np.tril(1.0 - preference.transpose(0, 2, 1), -1)
        completed = upper + lower + 0.5 * np.eye(preference.shape[1])
        completed.flags.writeable = False
        return completed

    def _defect_message(self, preference: Array, x: int, y: int, z: int) -> str:
        prompt = f"prompt {self.prompts[x]!r}, " if len(self.prompts) > 1 else ""
        p, q = preference[x, y, z], preference[x, z, y]
        row, column = self.actions[y], self.actions[z]
        if y == z:
            return (
                f"{prompt}row {row!r}, column {column!r}: a win rate of {p:g} against itself, not 0.5. "
                "Leave the diagonal empty or set it to 0.5."
            )
        middle = 0.5 * (p + 1.0 - q)
        return (
            f"{prompt}row {row!r}, column {column!r}: {p:g} and its mirror {q:g} add to {p + q:.9g}, not 1 "
            f"(tolerance {COMPLEMENT_TOLERANCE:g}). If both are rounded or estimated apart, "
            f"write {middle:.9g} and {1.0 - middle:.9g}; if ties were dropped, count each as half a win."
        )

    def _normalised(self, name: str, log_p: Array) -> None:
        """Keep a log-distribution as it is up to 1e-12 (so that files round-trip), normalise it up to SUM_TOLERANCE."""
        top = log_p.max(axis=1, keepdims=True)
        log_sum = top[:, 0] + np.log(np.exp(log_p - top).sum(axis=1))
        worst = int(np.argmax(np.abs(log_sum)))
        if abs(log_sum[worst]) > SUM_TOLERANCE:
            raise InstanceError(
                f"{name}[{worst}]: the probabilities sum to {math.exp(log_sum[worst]):.12g}, not 1. Subtract the log of the sum."
            )
        if abs(log_sum[worst]) > 1e-12:
            normal = log_p - log_sum[:, None]
            normal.flags.writeable = False
            object.__setattr__(self, name, normal)

    @property
    def action_count(self) -> int:
        """n, the number of actions."""
        return self.preference.shape[1]

    def __repr__(self) -> str:
        shape = f"{len(self.prompts)} prompts x " if len(self.prompts) > 1 else ""
        return f"PreferenceGame({shape}{self.action_count} actions, tau={self.tau:g}, {self.digest()})"


def from_reference(preference: Any, reference: Any, tau: float, **labels: Any) -> PreferenceGame:
    """A game whose reference policy is given as probabilities (n,) or (X, n), all positive."""
    mu = float_array(reference, "reference")
    if not (mu > 0.0).all():
        index = tuple(map(int, np.argwhere(~(mu > 0.0))[0]))
        raise InstanceError(
            f"reference{list(index)} = {mu[index]!r}: the reference policy must give every action a positive probability. "
            "Remove the actions it never plays."
        )
    total = mu.sum(axis=-1, keepdims=True)
    if (np.abs(total - 1.0) > SUM_TOLERANCE).any():
        raise InstanceError(f"reference sums to {float(total.flat[0]):.12g}, not 1. Divide by the sum if these are counts.")
    return PreferenceGame(preference, np.log(mu / total), tau, **labels)
