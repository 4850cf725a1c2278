"""The paper's experiments, and values against the strength of the perturbation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theorylab.picture import Curve, Panel, Picture
from theorylab.problems.linear_mdp import LinearMDP
from theorylab.problems.record import Array
from theorylab.solvers.offline import CHI, KL, KL_BALL, MEAN, TV, TV_BALL

from . import plugin
from .experiments import Learner, Put, ball_learner, blocked_values, plain_learner, put_values, robust_learner
from .learning import TITLES, changed_steps, data_of, plain_policy, robust_policy, worth
from .modelling import NAMES

Streams = Sequence[np.random.Generator]

BLOCKED = tuple(k / 10.0 for k in range(11))
UPS = (0.2, 0.4, 0.6, 0.8, 1.0)
COSTS = tuple(float(x) for x in np.geomspace(0.01, 30.0, 25))

#: Data sets of which means are shown.
MEANS = 100

#: The price at which the released code's options start, by its own seed.
PUT_START = 99.17022004702574


def _means(name: str, x: Sequence[float], values: Array) -> Curve:
    return Curve(name, tuple(x), tuple(values.mean(axis=0).tolist()))


@plugin.figure(on=("simulated",))
def simulated_experiment(mdp: LinearMDP, rngs: Streams, label: str, *, samples: int) -> list[Picture]:
    """The simulated linear MDP: value in target environments where the goal is missed more and more often."""
    pictures = []
    for published in (False, True):
        panels = []
        for strength, radius in ((0.1, 0.3), (1.0, 0.5)):
            learners: list[tuple[str, Learner]] = [("PEVI", plain_learner)]
            learners += [(f"R2PVI, {TITLES[NAMES[k]]}", robust_learner(k, strength, published=published)) for k in (TV, KL, CHI)]
            learners += [
                (f"{name}, radius {radius:g}", ball_learner(kind, radius, published=published))
                for name, kind in (("DRPVI", TV_BALL), ("DRVI-L", KL_BALL))
            ]
            curves = tuple(_means(name, BLOCKED, blocked_values(learn, BLOCKED, replications=MEANS)) for name, learn in learners)
            panels.append(Panel(f"strength {strength:g}", "probability that the goal is missed", "value", curves))
        how = "as the code was released" if published else "as the algorithm is stated"
        pictures.append(
            Picture(
                f"simulated-linear-mdp-{'released' if published else 'stated'}",
                f"Simulated linear MDP, 100 runs of data, {how}",
                tuple(panels),
                "Means over 100 data sets; values are exact. To the left boldness pays, to the right caution. With the exact model the "
                "robust policy is the bold one for all three divergences: what looks robust here is pessimism about few data.",
            )
        )
    return pictures


@plugin.figure(on=("simulated",))
def american_put(mdp: LinearMDP, rngs: Streams, label: str, *, samples: int) -> list[Picture]:
    """The American put: value by the probability that prices rise, which was 1/2 in the data."""
    put = Put.of(PUT_START)
    learners: list[tuple[str, int, float]] = [("PEVI", MEAN, 0.0)]
    learners += [(f"R2PVI TV, strength {x:g}", TV, x) for x in (5.0, 3.0, 1.0)]
    learners += [(f"DRPVI, radius {x:g}", TV_BALL, x) for x in (0.1, 0.2)]
    curves = [_means(name, UPS, put_values(kind, x, UPS, put, replications=MEANS)) for name, kind, x in learners]
    best = Curve("best exercise rule", UPS, tuple(put.value(None, up) for up in UPS), role="guide")
    return [
        Picture(
            "american-put",
            "American put, strike 100, 1,000 paths of data",
            (Panel("value by how often prices rise", "probability of a rise", "value", (*curves, best)),),
            "Means over 100 data sets; values are exact on the lattice of prices.",
        )
    ]


@plugin.figure(on=("two-stage",), fits_any=True)
def value_against_perturbation(mdp: LinearMDP, rngs: Streams, label: str, *, samples: int) -> list[Picture]:
    """Worst-case values of the robust policies and of the plain one, and where they act differently."""
    plain = plain_policy(mdp)
    panels = []
    for kind, name in NAMES.items():
        found = [worth(mdp, kind, cost, robust_policy(mdp, kind, cost), plain) for cost in COSTS]
        panels.append(
            Panel(
                TITLES[name], "what a change of the dynamics costs", "value from the start",
                (
                    Curve("robust, worst case", COSTS, tuple(w.worst for w in found)),
                    Curve("plain, worst case", COSTS, tuple(w.plain_worst for w in found), role="guide"),
                    Curve("robust, if the model is right", COSTS, tuple(w.nominal for w in found), role="run"),
                ),
                log_x=True,
            )
        )  # fmt: skip
    differing = tuple(
        Curve(TITLES[name], COSTS, tuple(changed_steps(mdp, robust_policy(mdp, kind, cost), plain) for cost in COSTS))
        for kind, name in NAMES.items()
    )
    actions = Panel(
        "how far the robust policy departs",
        "what a change of the dynamics costs",
        "steps with another action",
        differing,
        log_x=True,
    )
    source = "learned from the data" if data_of(mdp) is not None else "the best ones of the model"
    return [
        Picture(
            f"perturbation-{label}", f"Robust policies on {label}, from {mdp.states[mdp.start]}", (*panels, actions),
            f"Policies are {source}. To the left changes are cheap for the adversary, so that it changes much.",
        )
    ]  # fmt: skip
