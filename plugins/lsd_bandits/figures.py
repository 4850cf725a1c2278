"""Schedules: which arm is played when, and in which state the arms are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theorylab.picture import Curve, Panel, Picture
from theorylab.problems.switch_bandit import SwitchBandit
from theorylab.solvers import switching
from theorylab.solvers.switching import moved, virtual

from . import plugin
from .algorithm import draw

Streams = Sequence[np.random.Generator]

#: Rounds that are shown, and arms.
SHOWN, MOST_ARMS = 40, 6


def _told(rest: int, play: int) -> str:
    return "never played" if rest < 0 else "play for ever" if rest == 0 else f"rest {rest}, play {play}"


@plugin.figure(on=("three-arms", "published-main"), fits_any=True)
def schedule(bandit: SwitchBandit, rngs: Streams, label: str, *, rounds: int) -> list[Picture]:
    """The planner's first rounds: states of all arms, virtual and actual, and what was earned."""
    K, m = bandit.arm_count, bandit.memory
    plan = switching.relaxation(bandit.table)
    cycle, offset = draw(plan.rate, m, rngs[0])
    state, states, virtuals, earned = np.ones(K, dtype=np.int64), [], [], []
    for t in range(SHOWN):
        now = [virtual(cycle[i, 0], cycle[i, 1], offset[i], t, m) for i in range(K)]
        turn = [i for i in range(K) if now[i][1]]
        chosen = max(turn, key=lambda i: (bandit.table[i, now[i][0] + m], -i)) if turn else -1
        states.append(state.copy())
        virtuals.append([v for v, _ in now])
        earned.append(bandit.table[chosen, state[chosen] + m] if chosen >= 0 else 0.0)
        state = np.array([moved(tau, i == chosen, m) for i, tau in enumerate(state)])
    x = tuple(float(t) for t in range(1, SHOWN + 1))
    panels = [
        Panel(
            f"{bandit.arms[i]}: {_told(*cycle[i])}", "round", "rounds of rest (below 0: of play)",
            (
                Curve("state", x, tuple(float(s[i]) for s in states)),
                Curve("virtual", x, tuple(float(v[i]) for v in virtuals), role="guide"),
            ),
        )
        for i in range(min(K, MOST_ARMS))
    ]  # fmt: skip
    total = np.cumsum(earned)
    panels.append(
        Panel("earned", "round", "total payoff", (
            Curve("planner", x, tuple(total.tolist())),
            Curve("relaxation", x, tuple(plan.value * t for t in x), role="bound"),
        ))
    )  # fmt: skip
    return [
        Picture(
            f"schedule-{label}", f"The planner's schedule on {label}", tuple(panels),
            "A state that falls to -1 and below is an arm that is being played. Actual states never fall below virtual ones once these have played.",
        )
    ]  # fmt: skip
