"""What is measured of exploration without rewards: with the theorem's constants, with a smaller radius, and beside the truth throughout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from theorylab.errors import InstanceError
from theorylab.problems.linear_mixture import LinearMixture
from theorylab.problems.record import Array
from theorylab.solvers.mixture import best_value, policy_value

from . import hard_family, plugin
from .baselines import baseline_measures
from .exploring import home
from .formulas import SCALE
from .instances import CHAIN, RATES, random_mixture
from .lemmas import growth_measures, model_measures, potential_measures, recursion_measures, root_measures
from .runs import Exploration, Variant, exploration

#: Episodes with the theorem's own radii: plans say nothing then, but confidence sets are what they are.
THEOREM_EPISODES = 50

#: The scale at which mixtures show rates and chains are explored in few episodes.
FAST = 3e-4

#: Grids of the rates, certificates that are waited for, and the episodes after which nobody waits any longer.
HORIZONS, FEATURES, ACCURACIES = (10.0, 20.0, 40.0), (2.0, 4.0), (1.0, 2.0, 4.0)
TARGET, MOST_EPISODES = 1.0, 3_000


def losses(mixture: LinearMixture, policies: Any) -> Array:
    """(N,) what policies (N, H, S) lose from the start, exactly."""
    H, S = mixture.horizon, mixture.state_count
    best, own, other = np.empty((H + 1, S)), np.empty((H + 1, S)), np.zeros((H, S), dtype=np.int64)
    out = []
    for reward, policy in zip(mixture.rewards, policies, strict=True):
        best_value(mixture.transition, reward, best, other)
        policy_value(mixture.transition, reward, policy, own)
        out.append(best[0, mixture.start] - own[0, mixture.start])
    return np.array(out)


def theorem_measures(mixture: LinearMixture, rng: np.random.Generator, variant: Variant) -> dict[str, Any]:
    """With the radii of the theorem."""
    found = exploration(mixture, rng, THEOREM_EPISODES, variant=variant, judging=False)
    return {
        "theorem_distance": float(found.tally.distance.max()), "theorem_total": float(found.tally.chosen.sum()),
        "theorem_loss": float(losses(mixture, found.policies).max()), "theorem_episodes": float(found.episodes),
        "theorem_moments": float(found.constants.moments), "theorem_beta": float(found.constants.radii[-2]),
    }  # fmt: skip


def practical_measures(
    mixture: LinearMixture, rng: np.random.Generator, episodes: int, scale: float, variant: Variant
) -> dict[str, Any]:
    """With a smaller radius: what follows from confidence sets that hold, wherever they do."""
    found = exploration(mixture, rng, episodes, scale=scale, variant=variant)
    tally = found.tally
    d, H = mixture.dimension, mixture.horizon
    c = found.constants
    log = d * np.log1p(found.episodes * H / (d * c.ridge * c.alpha**2))
    out: dict[str, Any] = {
        "practical_distance": float(tally.distance.max()), "optimism": tally.optimism, "dominance": tally.dominance, "highest": tally.highest,
        "loss": tally.loss, "promised": tally.promised, "hat_error": tally.hat[:, 0], "hat_allowed": tally.hat[:, 1],
        "tilde_error": tally.tilde[:, 0], "tilde_allowed": tally.tilde[:, 1], "variance_error": float(tally.variance[0]),
        "variance_allowed": float(tally.variance[1]), "potential": tally.potential[..., 0].ravel(), "potential_spread": tally.potential[..., 1].ravel(),
        "potential_radius": tally.potential[..., 2].ravel(), "information": float(log), "gamma": c.gamma, "jumps": float(tally.jumps[0]),
        "moments": float(c.moments), "horizon": float(H),
    }  # fmt: skip
    out |= weight_measures(mixture, rng, scale, found, variant)
    if tally.distance.max() <= 1.0:
        out |= {
            "telescope": tally.telescope[:, 0], "telescope_parts": tally.telescope[:, 1],
            "final_loss": losses(mixture, found.policies), "final_promise": 2.0 * found.certificate,
            "least_doubt": float(found.certificate.max()), "average_doubt": float(tally.chosen.mean()),
        }  # fmt: skip
    return out


def weight_measures(
    mixture: LinearMixture, rng: np.random.Generator, scale: float, found: Exploration, variant: Variant
) -> dict[str, Any]:
    """The kernel's weights for one transition, in the state that an exploration left, and the formulas written out a second time."""
    d, H, c = mixture.dimension, mixture.horizon, found.constants
    series, M = found.series, c.moments
    pair, radius, j = int(rng.integers(len(mixture.transition))), scale * 10.0 ** rng.uniform(0.0, 3.0), int(rng.integers(2))
    inverse = np.array([np.linalg.inv(g) for g in series.gram[j]])
    running = inverse * rng.uniform(0.2, 1.0)
    flat = mixture.features.reshape(-1, d, mixture.state_count)[pair]
    used = np.flatnonzero((flat != 0.0).any(axis=1))
    values = rng.random(mixture.state_count) ** 0.25
    psi = np.array([flat @ values ** (2.0**m) for m in range(M)])
    x, (norms, now, means, raw, sigma) = np.zeros((M, d)), np.empty((5, M))
    x[:, : len(used)] = psi[:, used]
    home(
        mixture.sparse, pair, x, M, series.center[j], inverse, running, radius, c.alpha, c.gamma, variant.rules.weights, norms, now, means, raw, sigma
    )  # fmt: skip
    wanted = []
    for m in range(M):
        new = d**-0.5 * np.sqrt(max(psi[m] @ running[m] @ psi[m], 0.0))
        if m == M - 1:
            wanted.append(max(new, 1.0))
            continue
        first, second = (float(np.clip(psi[i] @ series.center[j, i], 0.0, 1.0)) for i in (m, m + 1))
        here, there = (np.sqrt(max(psi[i] @ inverse[i] @ psi[i], 0.0)) for i in (m, m + 1))
        wanted.append(max(new, second - first**2 + min(1.0, 2.0 * radius * here) + min(1.0, radius * there), 1.0 / H))
    return {"weight": sigma, "weight_formula": np.array(wanted)}


def hard_measures(
    mixture: LinearMixture, rng: np.random.Generator, scale: float, variant: Variant, peeks: bool
) -> dict[str, Any]:
    """Members of the lower bound's family with signs that nobody knows; the exact Bayes regret where there is one sign."""
    K = hard_family.episodes_of(mixture)
    if K is None:
        return {}
    n, H = mixture.dimension - 1, mixture.horizon
    lost = []
    for _ in range(hard_family.DRAWS):
        member = hard_family.hard_mixture(rng.choice([-1.0, 1.0], n), K, H)
        found = exploration(member, rng, K, scale=scale, variant=variant, judging=False)
        lost.append(0.0 if peeks else float(losses(member, found.policies)[0]))
    out = {
        "hard_loss": float(np.mean(lost)),
        "hard_tries": float(hard_family.DRAWS),
        "hard_episodes": float(K),
        "signs": float(n),
        "horizon": float(H),
    }
    if n == 1:
        out["bayes_regret"] = float(hard_family.bayes_regret(K, hard_family.BASE, hard_family.step_size(K))[0]) * (1.0 - 1.0 / H)
    return out


# -- rates --------------------------------------------------------------------------------------------------------------------------------------


def stretched(kernels: LinearMixture, horizon: int, rng: np.random.Generator) -> LinearMixture:
    """The same kernel for another number of steps, with rewards that are spread evenly over them."""
    S, A = kernels.state_count, kernels.action_count
    rewards = np.repeat(rng.random((len(kernels.rewards), 1, S, A)) / horizon, horizon, axis=1)
    return kernels.replace(rewards=rewards)


def needed(mixture: LinearMixture, rng: np.random.Generator, target: float, variant: Variant) -> float:
    """Episodes until all certificates are at most `target`."""
    return float(
        exploration(mixture, rng, MOST_EPISODES, scale=FAST, target=target, replan=1.05, variant=variant, judging=False).episodes
    )


def rate_measures(mixture: LinearMixture, rng: np.random.Generator, variant: Variant) -> dict[str, Any]:
    """Episodes needed along horizons, features and accuracies."""
    seed = int(rng.integers(2**32))
    by_horizon = [needed(stretched(mixture, int(H), np.random.default_rng(seed)), rng, TARGET, variant) for H in HORIZONS]
    by_accuracy = [needed(mixture, rng, TARGET / n, variant) for n in ACCURACIES]
    wide = [random_mixture(np.random.default_rng(seed), 6, 2, int(d), 10, 3) for d in FEATURES]
    by_features = [needed(m, rng, TARGET, variant) for m in wide]
    return {
        "horizons": np.array(HORIZONS), "needed_by_horizon": np.array(by_horizon), "accuracies": np.array(ACCURACIES),
        "needed_by_accuracy": np.array(by_accuracy), "widths": np.array(FEATURES), "needed_by_features": np.array(by_features),
        "growth_by_horizon": by_horizon[-1] / by_horizon[0], "patience": float(MOST_EPISODES),
    }  # fmt: skip


# -- the whole ----------------------------------------------------------------------------------------------------------------------------------


def measure(
    mixture: LinearMixture,
    rng: np.random.Generator,
    episodes: int,
    scale: float,
    variant: Variant | None = None,
    *,
    peeks: bool = False,
) -> dict[str, Any]:
    """All measures of one trial."""
    if episodes < 1:
        raise InstanceError(f"episodes = {episodes} must be at least 1.")
    variant = variant or Variant()
    if mixture == RATES:
        return rate_measures(mixture, rng, variant)
    out = theorem_measures(mixture, rng, variant) | practical_measures(mixture, rng, episodes, scale, variant)
    out |= hard_measures(mixture, rng, scale, variant, peeks)
    out |= model_measures(mixture, rng, variant.rules) | growth_measures(mixture, rng, variant.rules)
    out |= potential_measures(rng) | recursion_measures(rng) | root_measures(rng)
    out |= baseline_measures(mixture, rng, THEOREM_EPISODES, variant.flaws)
    if mixture == CHAIN:
        found: Exploration = exploration(mixture, rng, 400, scale=FAST, replan=1.02, variant=variant)
        out["chain_promise"] = 2.0 * float(found.certificate.max())
        for name in (
            "optimism",
            "dominance",
        ):  # few claims see a plan that is built on the wrong centre: only these, and only here
            out[name] = np.concatenate((out[name], getattr(found.tally, name)))
    return out | {"features": float(mixture.dimension), "bound": mixture.bound, "episodes": float(episodes)}


@plugin.run(episodes=150, scale=SCALE, limits={"scale": "(0, 1]"})
def run(mixture: LinearMixture, rng: np.random.Generator, *, episodes: int, scale: float) -> dict[str, Any]:
    """Exploration with the theorem's radius, with `scale` times what grows in it, and single steps of the proofs."""
    return measure(mixture, rng, episodes, scale)


@plugin.parts
def pieces(mixture: LinearMixture, rng: np.random.Generator, *, episodes: int, scale: float) -> list[Callable[[], Any]]:
    """The run's pieces, in its order."""
    variant = Variant()
    return [
        lambda: theorem_measures(mixture, rng, variant),
        lambda: hard_measures(mixture, rng, scale, variant, False),
        lambda: model_measures(mixture, rng, variant.rules),
        lambda: growth_measures(mixture, rng, variant.rules),
        lambda: potential_measures(rng),
        lambda: recursion_measures(rng),
        lambda: root_measures(rng),
        lambda: baseline_measures(mixture, rng, THEOREM_EPISODES, variant.flaws),
    ]
