"""Schedules: which arm is played when, and in which state the arms are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theorylab.picture import Curve, Panel, Picture, Role
from theorylab.problems.switch_bandit import SwitchBandit
from theorylab.solvers import switching
from theorylab.solvers.switching import moved, virtual

from . import plugin
from .algorithm import draw

Streams = Sequence[np.random.Generator]

#: Rounds that are shown, and arms.
SHOWN, MOST_ARMS = 24, 6


def _told(rest: int, play: int) -> str:
    return "never played" if rest < 0 else "play for ever" if rest == 0 else f"rest {rest}, play {play}"


def _steps(label: str, values: Sequence[float], role: Role = "measured") -> Curve:
    """One level for each round."""
    x = [edge for t in range(len(values)) for edge in (t + 0.5, t + 1.5)]
    return Curve(label, tuple(x), tuple(float(v) for v in values for _ in range(2)), role=role)


@plugin.figure(on=("three-arms", "published-main"), fits_any=True)
def schedule(bandit: SwitchBandit, rngs: Streams, label: str, *, rounds: int) -> list[Picture]:
    """The planner's first rounds: states of all arms, virtual and actual, and what was earned."""
    K, m = bandit.arm_count, bandit.memory
    plan = switching.relaxation(bandit.table)
    cycle, offset = draw(plan.rate, m, rngs[0])
    state, states, virtuals, played = np.ones(K, dtype=np.int64), [], [], []
    earned = np.zeros(SHOWN)
    for t in range(SHOWN):
        now = [virtual(cycle[i, 0], cycle[i, 1], offset[i], t, m) for i in range(K)]
        turn = [i for i in range(K) if now[i][1]]
        chosen = max(turn, key=lambda i: (bandit.table[i, now[i][0] + m], -i)) if turn else -1
        states.append(state.tolist())
        virtuals.append([v for v, _ in now])
        played.append(chosen)
        earned[t] = bandit.table[chosen, state[chosen] + m] if chosen >= 0 else 0.0
        state = np.array([moved(tau, i == chosen, m) for i, tau in enumerate(state)])
    shown = range(min(K, MOST_ARMS))
    bars = tuple(
        _steps(f"{bandit.arms[i]}: {_told(*cycle[i])}", [i + 0.8 * (a == i) for a in played], role="measured") for i in shown
    )
    panels = [Panel("who is played (a bar is a play)", "round", "arm", bars)]
    for i in shown:
        curves = _steps("state", [s[i] for s in states]), _steps("virtual state", [v[i] for v in virtuals], role="guide")
        panels.append(Panel(bandit.arms[i], "round", "rounds of rest (below 0: of play)", curves))
    x = tuple(float(t) for t in range(1, SHOWN + 1))
    total = Curve("planner", x, tuple(np.cumsum(earned).tolist()))
    bound = Curve("relaxation", x, tuple(plan.value * t for t in x), role="bound")
    panels.append(Panel("earned", "round", "total payoff", (total, bound)))
    return [
        Picture(
            f"schedule-{label}", f"The planner's schedule on {label}", tuple(panels),
            "Each arm has a line of its own in the first panel; where it is raised the arm is played. States rise while an arm rests and fall below 0 while it is "
            "played; actual states never fall below virtual ones once these have played.",
        )
    ]  # fmt: skip
