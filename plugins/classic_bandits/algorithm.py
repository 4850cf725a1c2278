"""Five algorithms on Bernoulli arms; the pseudo-regret (sum of gaps of what was played) is exact along each run.

EXP3 plays against losses that a table fixes beforehand: the good arm moves after a quarter of the rounds. Thompson sampling draws its means from the
prior, so that its regret is that of Bayes.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from theorylab.kernels import kernel
from theorylab.problems.record import Array

from . import plugin
from .instances import Means

#: Which algorithm: UCB with a fixed radius sqrt(2 ln T / n), UCB1 with sqrt(2 ln t / n), successive elimination, explore first.
UCB, UCB1, ELIMINATION, EXPLORE_FIRST = range(4)

#: Rounds that are played a second time, slowly.
EARLY = 150


@dataclass(frozen=True)
class Variant:
    """What the algorithms really do. The defaults are right; mutants change one of them.

    radius    times the radius: 1; 0 is greedy, -1 pessimistic
    by_round  whether the radius shrinks with the round, not with the pulls (wrong)
    weighted  whether EXP3 divides losses by probabilities
    sign      of EXP3's losses
    prior     what Thompson sampling starts from: 1
    commits   to the arm of the largest (1) or the smallest (-1) mean after exploring
    bonus     added to every reward that is recorded
    """

    radius: float = 1.0
    by_round: bool = False
    weighted: bool = True
    sign: float = 1.0
    prior: float = 1.0
    commits: float = 1.0
    bonus: float = 0.0


@kernel
def pull(means, rounds, kind, explore, factor, by_round, commits, bonus, rng):  # type: ignore[no-untyped-def]
    """(regret, largest |mean - estimate| sqrt(n / (2 ln T)) of any arm at any time)."""
    K, log = len(means), math.log(rounds)
    count, total, best = np.zeros(K), np.zeros(K), means.max()
    active = np.ones(K, dtype=np.bool_)
    regret = worst = 0.0
    arm = -1
    for t in range(rounds):
        if kind == EXPLORE_FIRST:
            if t < explore * K:
                arm = t % K
            elif t == explore * K:
                arm = int(np.argmax(commits * total / np.maximum(count, 1.0)))
        elif kind == ELIMINATION:
            arm = (arm + 1) % K
            while not active[arm]:
                arm = (arm + 1) % K
        elif t < K:
            arm = t
        else:
            top = -np.inf
            for a in range(K):
                n = float(t + 1) if by_round else count[a]
                index = total[a] / count[a] + factor * math.sqrt(2.0 * (math.log(t + 1.0) if kind == UCB1 else log) / n)
                if index > top:
                    arm, top = a, index
        total[arm] += (1.0 if rng.random() < means[arm] else 0.0) + bonus
        count[arm] += 1.0
        regret += best - means[arm]
        worst = max(worst, abs(total[arm] / count[arm] - means[arm]) * math.sqrt(count[arm] / (2.0 * log)))
        if kind == ELIMINATION:
            top = -np.inf
            for a in range(K):
                if active[a] and count[a] > 0:
                    top = max(top, total[a] / count[a] - factor * math.sqrt(2.0 * log / count[a]))
            for a in range(K):
                # One arm stays, whatever a broken radius says.
                if (
                    active[a]
                    and active.sum() > 1
                    and count[a] > 0
                    and total[a] / count[a] + factor * math.sqrt(2.0 * log / count[a]) < top
                ):
                    active[a] = False
    return regret, worst


def pulled_slowly(means: Array, rounds: int, kind: int, rng: np.random.Generator) -> float:
    """Regret of UCB, UCB1 or successive elimination, written out a second time from the textbook's indices."""
    K = len(means)
    count, total, regret = np.zeros(K), np.zeros(K), 0.0
    active, turn = list(range(K)), -1
    for t in range(rounds):
        radius = np.sqrt(2.0 * np.log(t + 1.0 if kind == UCB1 else rounds) / np.maximum(count, 1.0))
        if kind == ELIMINATION:
            turn = next((a for a in active if a > turn), active[0])
            arm = turn
        else:
            arm = t if t < K else int(np.argmax(total / np.maximum(count, 1.0) + radius))
        total[arm] += rng.random() < means[arm]
        count[arm] += 1.0
        regret += float(means.max() - means[arm])
        if kind == ELIMINATION:
            radius = np.sqrt(2.0 * np.log(rounds) / np.maximum(count, 1.0))
            seen = [a for a in active if count[a] > 0]
            best = max(total[a] / count[a] - radius[a] for a in seen)
            active = [a for a in active if count[a] == 0 or total[a] / count[a] + radius[a] >= best]
    return regret


@kernel
def exponential_weights(losses, rate, weighted, sign, rng):  # type: ignore[no-untyped-def]
    """(regret against the best arm in mean losses, left and right side of the exponential weights lemma). losses (rounds, K), fixed beforehand.

    The lemma is about the estimates, loss / p for the arm that was played: sum <p, estimate> - min_a sum estimate_a <= ln K / rate + rate / 2 sum p estimate^2.
    """
    rounds, K = losses.shape
    score, estimate, p, suffered = np.zeros(K), np.zeros(K), np.empty(K), 0.0
    met = squares = 0.0
    for t in range(rounds):
        low, total = score.min(), 0.0
        for a in range(K):
            p[a] = math.exp(-rate * (score[a] - low))
            total += p[a]
        u, arm, below = rng.random(), K - 1, 0.0
        for a in range(K):
            p[a] /= total
            below += p[a]
            if u < below:
                arm = a
                break
        for a in range(arm + 1, K):
            p[a] /= total
        for a in range(K):
            suffered += p[a] * losses[t, a]
        score[arm] += sign * losses[t, arm] / (p[arm] if weighted else 1.0)
        estimate[arm] += losses[t, arm] / p[arm]
        met += losses[t, arm]
        squares += losses[t, arm] ** 2 / p[arm]
    return suffered - losses.sum(axis=0).min(), met - estimate.min(), math.log(K) / rate + 0.5 * rate * squares


@kernel
def posterior_sampling(means, rounds, prior, rng):  # type: ignore[no-untyped-def]
    """Regret of Thompson sampling with Beta(prior, prior) beliefs."""
    K = len(means)
    good, bad, regret, best = np.full(K, prior), np.full(K, prior), 0.0, means.max()
    for _ in range(rounds):
        arm, top = 0, -1.0
        for a in range(K):
            drawn = rng.beta(good[a], bad[a])
            if drawn > top:
                arm, top = a, drawn
        if rng.random() < means[arm]:
            good[arm] += 1.0
        else:
            bad[arm] += 1.0
        regret += best - means[arm]
    return regret


def moving_losses(K: int, rounds: int) -> Array:
    """(rounds, K) losses of 1, but 0 for the first arm in the first quarter and for the last one afterwards, 1/2 for the others."""
    losses = np.full((rounds, K), 0.5)
    losses[:, 0], losses[:, -1] = 1.0, 0.0
    losses[: rounds // 4, 0], losses[: rounds // 4, -1] = 0.0, 1.0
    return losses


def measure(bandit: Means, rng: np.random.Generator, rounds: int, variant: Variant) -> dict[str, Any]:
    """All measures of one trial."""
    K, log, gaps = len(bandit.means), math.log(rounds), bandit.gaps
    explore = max(1, round((rounds / K) ** (2.0 / 3.0) * log ** (1.0 / 3.0)))
    out: dict[str, Any] = {
        "arms": float(K),
        "rounds": float(rounds),
        "largest_gap": float(gaps.max()),
        "explored": float(explore),
    }
    worst = []
    for kind, name in ((UCB, "ucb"), (UCB1, "ucb1"), (ELIMINATION, "elimination"), (EXPLORE_FIRST, "explore")):
        regret, error = pull(
            bandit.means, rounds, kind, explore, variant.radius, variant.by_round, variant.commits, variant.bonus, rng
        )
        out[f"{name}_regret"] = regret
        out[f"sure_{name}"] = np.array(
            [regret] if error <= 1.0 else []
        )  # where all estimates are good there is nothing left to chance
        worst.append(error)
    early, slow = [], []
    for kind in (UCB, UCB1, ELIMINATION):
        same, again = copy.deepcopy(rng), copy.deepcopy(rng)
        settings = variant.radius, variant.by_round, variant.commits, variant.bonus
        early.append(pull(bandit.means, EARLY, kind, 1, *settings, same)[0])
        slow.append(pulled_slowly(bandit.means, EARLY, kind, again))
    positive = gaps[gaps > 0.0]
    rate = math.sqrt(2.0 * math.log(K) / (rounds * K))
    exp3, met, allowed = exponential_weights(moving_losses(K, rounds), rate, variant.weighted, variant.sign, rng)
    return out | {
        "early_regret": np.array(early), "early_regret_slowly": np.array(slow), "deviation": max(worst), "inverse_gaps": float((1.0 / positive).sum()), "sum_gaps": float(positive.sum()), "exp3_regret": exp3,
        "lemma": met, "lemma_bound": allowed, "bayes_regret": posterior_sampling(rng.random(K), rounds, variant.prior, rng),
    }  # fmt: skip


@plugin.run(rounds=10_000)
def run(bandit: Means, rng: np.random.Generator, *, rounds: int) -> dict[str, Any]:
    """All five algorithms for so many rounds."""
    return measure(bandit, rng, rounds, Variant())
