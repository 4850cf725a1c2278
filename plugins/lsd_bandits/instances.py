"""Reference bandits, the declared distribution and the hypothesis strategy, users' files, and what their owners want to know."""

from __future__ import annotations

import numpy as np

from theorylab.plugin import Answer
from theorylab.problems.small_families import switch_bandits
from theorylab.problems.switch_bandit import SwitchBandit, read_switch_bandit, recharging

from . import plugin

plugin.reader(read_switch_bandit)


@plugin.sample
def random_bandit(rng: np.random.Generator) -> SwitchBandit:
    """1 to 3 arms with memory 1 to 3: monotone, recharging, satiating, steps, spikes, anything."""
    K, m, law = int(rng.integers(1, 4)), int(rng.integers(1, 4)), int(rng.integers(7))
    if law == 0:  # monotone
        payoff = np.sort(rng.random((K, 2 * m)), axis=1)
        payoff = np.round(payoff) if rng.random() < 0.3 else payoff
    elif law == 1:
        payoff = recharging(np.sort(rng.random((K, m + 1)), axis=1)).payoff
    elif law == 2:  # satiation: rest is rest, play tires
        payoff = np.hstack((np.sort(rng.random((K, m)), axis=1), np.repeat(rng.random((K, 1)), m, axis=1)))
    elif law == 3:
        payoff = rng.random((K, 1)) * (np.arange(2 * m) >= rng.integers(0, 2 * m + 1, (K, 1)))
    elif law == 4:
        payoff = rng.random((K, 2 * m))
    elif law == 5:
        payoff = np.zeros((K, 2 * m))
        for row in payoff:
            row[rng.integers(0, 2 * m, 2)] = rng.random(2)
    else:  # either side sorted, not across
        payoff = np.hstack((np.sort(rng.random((K, m)), axis=1), np.sort(rng.random((K, m)), axis=1)))
    return SwitchBandit(payoff)


plugin.instances(switch_bandits)


@plugin.assumption
def monotone(bandit: SwitchBandit) -> bool:
    """Longer rest and shorter play never pay less; the second play in a row pays at most what the first after one round of rest does."""
    return bandit.is_monotone


@plugin.assumption
def by_delay(bandit: SwitchBandit) -> bool:
    """Payoffs depend on the rounds since the last play alone."""
    return bool((bandit.payoff[:, : bandit.memory] == bandit.payoff[:, :1]).all())


# -- named bandits --------------------------------------------------------------------------------------------------------------------------


def steps(*delays: int) -> SwitchBandit:
    """Arms that pay 1 once they have rested so many rounds."""
    m = max(delays)
    return SwitchBandit(np.array([[0.0] * m + [float(r >= d) for r in range(1, m + 1)] for d in delays]))


def spikes(m: int, *delays: int) -> SwitchBandit:
    """Arms that pay 1 after exactly so many rounds of rest."""
    return SwitchBandit(np.array([[0.0] * m + [float(r == d) for r in range(1, m + 1)] for d in delays]))


def tight(K: int) -> SwitchBandit:
    """K arms that pay 1 after K - 1 rounds of rest: the planner's guarantee is attained."""
    return steps(*[K - 1] * K)


def long_run(m: int, prize: float, rest: float) -> SwitchBandit:
    """Arm 0 pays only at its m-th play in a row, arm 1 only after m rounds of rest."""
    payoff = np.zeros((2, 2 * m))
    payoff[0, 1], payoff[1, -1] = prize, rest
    return SwitchBandit(payoff)


def published_main() -> SwitchBandit:
    """The main experiment of Laforgue et al., arXiv 2110.11819: five arms by delays 1 to 10."""
    delays = np.full((5, 10), 0.15)
    delays[1] = 0.0
    delays[1, 2] = 0.95
    delays[2] = 0.14
    delays[2, 5], delays[2, 8:] = 0.16, 0.96
    return recharging(delays)


def published_supplement() -> SwitchBandit:
    """The supplement's: two arms."""
    delays = np.full((2, 10), 0.05)
    delays[1, 0], delays[1, 1:] = 0.06, 0.95
    return recharging(delays)


def _tables(**rows: list[list[float]]) -> None:
    for name, payoff in rows.items():
        plugin.reference(name.replace("_", "-"), lambda payoff=payoff: SwitchBandit(np.array(payoff)))


_tables(
    two_arms=[[0.1, 0.2, 0.5, 0.9], [0.3, 0.4, 0.45, 0.6]],
    three_arms=[[0.0, 0.1, 0.3, 1.0], [0.2, 0.25, 0.5, 0.7], [0.15, 0.15, 0.15, 0.8]],
    not_monotone=[[0.9, 0.0, 0.1, 0.2], [0.0, 0.1, 0.8, 0.05]],
    longer_memory=[[0.05, 0.1, 0.3, 0.4, 0.7, 0.95], [0.0, 0.0, 0.1, 0.2, 0.9, 1.0]],
    constant=[[0.5, 0.5], [0.25, 0.25]],
    first_rest=[[0.02] * 8, [0.0] * 7 + [1.0]],
    tired=[[0.0, *[1.0] * 15]],
)
plugin.reference("gap-small", lambda: steps(1, 2))
plugin.reference("gap", lambda: steps(1, 2, 4))
plugin.reference("gap-spikes", lambda: spikes(4, 1, 2))
plugin.reference("tight-2", lambda: tight(2))
plugin.reference("tight-3", lambda: tight(3))
plugin.reference("interrupted", lambda: long_run(4, 1.0, 0.001))
plugin.reference("crowded", lambda: long_run(8, 0.001, 1.0))
plugin.reference("spikes-three", lambda: spikes(4, 2, 2, 2))
plugin.reference("published-main", published_main)
plugin.reference("published-supplement", published_supplement)


@plugin.answer
def schedule(bandit: SwitchBandit, *, rounds: int) -> list[Answer]:
    """What can be earned per round, and the cycles that the planner draws from."""
    from .planning import summary

    found = summary(bandit)
    rows: list[tuple[str, object]] = [("no policy earns more (relaxation)", found.relaxed)]
    rows += [("best policy, exactly", found.best)] if found.best is not None else []
    rows += [("planner, exactly", found.planned)] if found.planned is not None else []
    earned, string = found.block
    told = ", ".join("rest" if a < 0 else bandit.arms[a] for a in string)
    rows.append((f"repeating {told}", earned))
    rows.append(
        ("planner, guaranteed" if bandit.is_monotone else "run planner, guaranteed (payoffs are not monotone)", found.promised)
    )
    chosen = tuple(
        (bandit.arms[i], "play for ever" if r == 0 else f"rest {r}, play {s}", f"{share:.3g}", earned)
        for i, r, s, share, earned in found.cycles
    )
    return [
        Answer("Payoff per round in the long run", ("what", "value"), tuple(rows)),
        Answer(
            "Cycles that arms are given, at random", ("arm", "cycle", "probability", "earns in a cycle"), chosen,
            "An arm draws its cycle and where in it to begin once; of arms whose turn it is in a round the one that pays most is played.",
        ),
    ]  # fmt: skip
