"""What owners of a model or of data want to know: robust policies, what they are worth in the worst case, and what they give up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from theorylab.plugin import Answer
from theorylab.problems.linear_mdp import LinearMDP
from theorylab.solvers.drectangular import NOMINAL, Policy, expected_sum, plan
from theorylab.solvers.offline import MAHALANOBIS, MEAN, Rules, Visits, pessimistic_values

from .modelling import ADVERSARY, NAMES

#: Scale of the penalty for what is unknown, where policies are learned from data: the released code's; the theorems' are far larger.
PENALTY = 1.0

#: Rows of a table of actions.
MOST_ROWS = 12

TITLES = {"tv": "total variation", "kl": "KL", "chi2": "chi-squared"}


def data_of(model: LinearMDP) -> Visits | None:
    """The data of a model, if it has any."""
    rows = np.asarray(model.visits)
    if not len(rows):
        return None
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    offsets = np.searchsorted(rows[:, 0], np.arange(model.horizon + 1))
    return Visits(offsets, rows[:, 1] * model.action_count + rows[:, 2], rows[:, 3].copy(), rows[:, 4].astype(np.float64))


def robust_policy(model: LinearMDP, kind: int, strength: float) -> Policy:
    """(H, S) pessimistic and robust from the data, or the best one against the adversary where there are none."""
    visits = data_of(model)
    if visits is None:
        return plan(model, ADVERSARY[kind], strength).policy
    return pessimistic_values(kind, strength, model.features, model.theta, visits, beta=PENALTY).policy


def plain_policy(model: LinearMDP) -> Policy:
    """(H, S) without an adversary: PEVI's from the data, or the best one of the model."""
    visits = data_of(model)
    if visits is None:
        return plan(model, NOMINAL, 0.0).policy
    return pessimistic_values(MEAN, 0.0, model.features, model.theta, visits, beta=PENALTY, rules=Rules(shape=MAHALANOBIS)).policy


@dataclass(frozen=True)
class Worth:
    """Values from the start, in the owner's units: a robust policy's and the plain policy's, in the worst case and if the model is right."""

    worst: float
    plain_worst: float
    nominal: float
    plain_nominal: float


def worth(model: LinearMDP, kind: int, strength: float, robust: Policy, plain: Policy) -> Worth:
    """What two policies are worth against an adversary of this strength."""

    def value(adversary: int, policy: Policy) -> float:
        found = float(plan(model, adversary, strength, policy).value[0, model.start])
        return model.reward_low * model.horizon + (model.reward_high - model.reward_low) * found

    return Worth(value(ADVERSARY[kind], robust), value(ADVERSARY[kind], plain), value(NOMINAL, robust), value(NOMINAL, plain))


def changed_steps(model: LinearMDP, robust: Policy, plain: Policy) -> float:
    """Mean number of steps on which the robust policy acts otherwise than the plain one would, where the model is right."""
    differs = np.repeat((robust != plain).astype(np.float64)[..., None], model.action_count, axis=2)
    return float(expected_sum(model, robust, model.factors, differs)[model.start])


def strengths_table(mdp: LinearMDP, strengths: Sequence[float]) -> list[Answer]:
    """Values by strength for the three divergences, and the actions of the policies for the model's own strength."""
    plain = plain_policy(mdp)
    rows = []
    for strength in strengths:
        found = [worth(mdp, kind, strength, robust_policy(mdp, kind, strength), plain) for kind in NAMES]
        rows.append((f"{strength:g}", *(x for w in found for x in (w.worst, w.plain_worst))))
    visits = data_of(mdp)
    where = f"From {mdp.states[mdp.start]}, {mdp.horizon} steps"
    source = (
        f"Policies are learned from {int(visits.count[: visits.offsets[1]].sum()):,} runs (penalty {PENALTY:g}, ridge 1) and valued in the model of "
        "largest likelihood."
        if visits is not None
        else "Policies are the best ones of the model."
    )
    values = Answer(
        f"{where}: worst-case value by what a change of the dynamics costs the adversary",
        ("cost", "TV robust", "plain", "KL robust", "plain", "chi2 robust", "plain"),
        tuple(rows),
        f"{source} What the adversary pays counts as value. Rewards are moved to [0, 1] first, so costs are in units of the largest reward difference.",
    )
    return [values, _actions(mdp, plain)]


def _actions(mdp: LinearMDP, plain: Policy) -> Answer:
    """The states that the plain policy most likely meets, and what each policy does there."""
    policies = [robust_policy(mdp, kind, mdp.strength) for kind in NAMES]
    at = np.zeros(mdp.state_count)
    at[mdp.start] = 1.0
    met: list[tuple[float, int, int]] = []
    for h in range(mdp.horizon):
        met += [(float(p), h, s) for s, p in enumerate(at) if p > 0.0]
        chosen = np.arange(mdp.state_count) * mdp.action_count + plain[h]
        at = at @ mdp.transition(h)[chosen]
    shown = sorted(sorted(met, key=lambda row: (-row[0], row[1], row[2]))[:MOST_ROWS], key=lambda row: (row[1], -row[0]))
    rows = tuple(
        (str(h + 1), mdp.states[s], f"{p:.2g}", *(mdp.actions[policy[h, s]] for policy in policies), mdp.actions[plain[h, s]])
        for p, h, s in shown
    )
    left = f" The {MOST_ROWS} likeliest of {len(met)} are shown." if len(met) > MOST_ROWS else ""
    return Answer(
        f"Actions at cost {mdp.strength:g} (--set strength=...), where the plain policy goes",
        ("step", "state", "probability", *(TITLES[name] for name in NAMES.values()), "plain"),
        rows,
        f"Plain: without an adversary.{left}",
    )
