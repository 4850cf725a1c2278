"""Single steps of the proofs, right ones and wrong ones, on models and Gram matrices that the instance brings or that are drawn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theorylab.kernels import kernel
from theorylab.problems.linear_mixture import LinearMixture
from theorylab.problems.record import Array
from theorylab.solvers.mixture import along, coordinates, distance, expected, norm, truncated_value

from .exploring import Rules, unit

#: Sequences, recursions and roots that a trial draws.
DRAWS = 20

#: Most paths that are gone through one by one.
MOST_PATHS = 10_000

Policy = NDArray[np.int64]


@kernel
def evaluate(f, reward, policy, theta, tilde, hat, radius, rules, x, value, doubt, uncertainty):  # type: ignore[no-untyped-def]
    """value V, doubt Vhat (H + 1, S) and u (H, S) of one policy under the kernel of theta: the paper's, with inverses tilde and hat (d, d)."""
    H, S, A = reward.shape
    value[H] = 0.0
    doubt[H] = 0.0
    for h in range(H - 1, -1, -1):
        for s in range(S):
            pair = s * A + policy[h, s]
            coordinates(f, pair, value[h + 1], x)
            value[h, s] = reward[h, s, policy[h, s]] + along(f, pair, theta, x)
            uncertainty[h, s] = min(1.0, radius * norm(f, pair, tilde, x))
            coordinates(f, pair, doubt[h + 1], x)
            total = rules.doubt * uncertainty[h, s] + along(f, pair, theta, x)
            total += rules.cover * 2.0 * radius * norm(f, pair, hat, x)
            doubt[h, s] = unit(total) if rules.clipped else total


class Evaluated:
    """V, Vhat and u of a policy in a model."""

    def __init__(
        self, mixture: LinearMixture, n: int, policy: Policy, theta: Array, tilde: Array, hat: Array, radius: float, rules: Rules
    ) -> None:
        H, S = mixture.horizon, mixture.state_count
        self.value, self.doubt, self.uncertainty = np.empty((H + 1, S)), np.empty((H + 1, S)), np.empty((H, S))
        evaluate(  # a copy of theta: an instance's own cannot be written to, for which Numba would compile a variant
            mixture.sparse, mixture.rewards[n], policy, np.array(theta), np.linalg.inv(tilde), np.linalg.inv(hat), radius, rules, np.empty(len(theta)),
            self.value, self.doubt, self.uncertainty,
        )  # fmt: skip


def random_gram(rng: np.random.Generator, d: int, ridge: float) -> Array:
    """Positive definite, with eigenvalues spread over decades."""
    rows = rng.standard_normal((int(rng.integers(1, 2 * d + 1)), d)) * 10.0 ** rng.uniform(-1.0, 3.0)
    return np.asarray(ridge * np.eye(d) + rows.T @ rows)


def other_model(mixture: LinearMixture, rng: np.random.Generator) -> Array | None:
    """Weights of another kernel: the instance's own model, or other weights of a mixture of kernels; None where none is at hand."""
    if np.size(mixture.model):
        return np.asarray(mixture.model)
    mass = mixture.features.sum(axis=3).reshape(-1, mixture.dimension)
    if mixture.features.min() < 0.0 or np.ptp(mass, axis=0).max() > 1e-12 or mass.min() <= 0.0:
        return None
    share = 10.0 ** rng.uniform(-2.0, 0.0)
    return np.asarray((1.0 - share) * mixture.theta + share * rng.dirichlet(np.ones(mixture.dimension)) / mass[0])


def model_measures(mixture: LinearMixture, rng: np.random.Generator, rules: Rules) -> dict[str, Any]:
    """What a wrong model costs: the bound by Vhat, and the two ways to add up errors along paths."""
    model = other_model(mixture, rng)
    if model is None:
        return {}
    d, H, S, A = mixture.dimension, mixture.horizon, mixture.state_count, mixture.action_count
    n, policy = int(rng.integers(len(mixture.rewards))), rng.integers(0, A, (H, S))
    ridge = d / mixture.bound**2
    tilde, hat = random_gram(rng, d, ridge), random_gram(rng, d, ridge)
    far = max(distance(tilde, model, mixture.theta), distance(hat, model, mixture.theta))
    radius = far / 2.0 * 10.0 ** rng.choice([0.0, rng.uniform(0.0, 1.0)])
    believed = Evaluated(mixture, n, policy, model, tilde, hat, radius, rules)
    true = Evaluated(mixture, n, policy, mixture.theta, tilde, hat, radius, rules)
    # (P_model - P) V, under the policy, V the model's
    chosen = np.arange(S) * A + policy
    surprise = np.empty((H, S))
    f, x = mixture.sparse, np.empty(d)
    for h in range(H):
        for s in range(S):
            coordinates(f, chosen[h, s], believed.value[h + 1], x)
            surprise[h, s] = along(f, chosen[h, s], model, x) - expected(mixture.transition, chosen[h, s], believed.value[h + 1])
    cut = np.empty((H + 1, S))
    truncated_value(mixture.transition, surprise, policy, cut)
    lost = believed.value[0] - true.value[0]
    out: dict[str, Any] = {"model_loss": np.abs(lost), "model_doubt": believed.doubt[0], "model_gap": lost, "cut_by_step": cut[0]}
    steps = np.array([mixture.transition[chosen[h]] for h in range(H)])
    if (paths := float(((steps > 0.0).sum(axis=2)).max()) ** H) <= MOST_PATHS and paths > 0:
        out["cut_by_path"] = cut_by_path(steps, surprise, mixture.start)
        out["start_gap"] = float(lost[mixture.start])
    return out


def cut_by_path(steps: Array, surprise: Array, start: int) -> float:
    """E W_1, W_h = min(1, R_h + W_(h+1)) along the path: the expectation of sums that are cut path by path, over all paths."""
    H = len(steps)

    def atoms(h: int, s: int) -> list[tuple[float, float]]:
        if h == H:
            return [(1.0, 0.0)]
        ahead = [(p * q, w) for to, p in enumerate(steps[h, s]) if p > 0.0 for q, w in atoms(h + 1, to)]
        return [(p, min(1.0, float(surprise[h, s]) + w)) for p, w in ahead]

    return math.fsum(p * w for p, w in atoms(0, start))


def growth_measures(mixture: LinearMixture, rng: np.random.Generator, rules: Rules) -> dict[str, Any]:
    """One policy in one model before and after more data for the first series: Vhat, and the sums of u under the true kernel."""
    d, H, S, A = mixture.dimension, mixture.horizon, mixture.state_count, mixture.action_count
    if np.size(mixture.grams):
        before, after, hat = np.asarray(mixture.grams)
        radius = 1.0
    else:
        ridge = d / mixture.bound**2
        before, hat = random_gram(rng, d, ridge), random_gram(rng, d, ridge)
        after, radius = before + random_gram(rng, d, 0.0), 10.0 ** rng.uniform(-2.0, 1.0)
    n, policy = int(rng.integers(len(mixture.rewards))), rng.integers(0, A, (H, S))
    old = Evaluated(mixture, n, policy, mixture.theta, before, hat, radius, rules)
    new = Evaluated(mixture, n, policy, mixture.theta, after, hat, radius, rules)
    sums = []
    for found in (old, new):
        sums.append(np.empty((H + 1, S)))
        truncated_value(mixture.transition, found.uncertainty, policy, sums[-1])
    at = mixture.start
    return {
        "doubt_before": float(old.doubt[0, at]), "doubt_after": float(new.doubt[0, at]), "sum_before": sums[0][0], "sum_after": sums[1][0],
    }  # fmt: skip


# -- numbers alone ------------------------------------------------------------------------------------------------------------------------------


@kernel
def potential(x, sigma, radius, ridge, alpha, gamma, gram):  # type: ignore[no-untyped-def]
    """(sum of min(1, radius ||x||), sum of radius^2 (sigma^2 + alpha^2), largest radius) of a weighted elliptical potential; x (K, d)."""
    K, d = x.shape
    gram[:] = 0.0
    for i in range(d):
        gram[i, i] = ridge
    total, spread = 0.0, 0.0
    for k in range(K):
        size = math.sqrt(max(x[k] @ (np.linalg.inv(gram) @ x[k]), 0.0))
        total += min(1.0, radius[k] * size)
        spread += radius[k] ** 2 * (sigma[k] ** 2 + alpha**2)
        weight = 1.0 / max(sigma[k], max(alpha, gamma * math.sqrt(size))) ** 2
        for i in range(d):
            for j in range(d):
                gram[i, j] += weight * x[k, i] * x[k, j]
    return total, spread, radius.max()


def potential_measures(rng: np.random.Generator) -> dict[str, Any]:
    """Random and adversarial sequences: new directions as large as can be, variances as small as can be."""
    rows = []
    for _ in range(DRAWS // 4):
        K, d = int(rng.integers(1, 60)), int(rng.integers(1, 6))
        x = rng.standard_normal((K, d)) if rng.random() < 0.5 else np.eye(d)[rng.integers(0, d, K)]
        x = (
            x
            / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-300)
            * 10.0 ** (rng.uniform(-2.0, 0.0, (K, 1)) * rng.integers(0, 2))
        )
        alpha, gamma, ridge = 10.0 ** rng.uniform(-2.0, 0.0), 10.0 ** rng.uniform(-1.0, 1.0), 10.0 ** rng.uniform(-2.0, 1.0)
        sigma = 10.0 ** rng.uniform(-3.0, 0.0, K) * rng.integers(0, 2, K)
        radius = np.sort(10.0 ** rng.uniform(-2.0, 1.0, K))
        total, spread, largest = potential(x, sigma, radius, ridge, alpha, gamma, np.empty((d, d)))
        rows.append((total, spread, largest, d * math.log1p(K / (d * ridge * alpha**2)), gamma))
    names = ("drawn_potential", "drawn_spread", "drawn_radius", "drawn_log", "drawn_gamma")
    return dict(zip(names, np.array(rows).T, strict=True))


def recursion_measures(rng: np.random.Generator) -> dict[str, Any]:
    """The largest a_1 that the recursion over moments allows: from the last moment down, each as large as its inequality lets it be."""
    rows = []
    for _ in range(DRAWS):
        top, slope, third, flat = 10.0 ** rng.uniform(-1.0, 6.0), 10.0 ** rng.uniform(-2.0, 3.0), 10.0 ** rng.uniform(0.0, 4.0), 10.0 ** rng.uniform(-2.0, 3.0)  # fmt: skip
        kappa = max(math.floor(math.log2(top)), 1)
        a = top
        for i in range(kappa, 0, -1):
            c = a + 2.0 ** (i + 1) * third
            fixed = flat + (slope**2 + math.sqrt(slope**4 + 4.0 * slope**2 * (flat + c))) / 2.0
            a = min(top, fixed)
        rows.append((a, slope, third, flat))
    return dict(zip(("first_moment", "moment_slope", "moment_third", "moment_flat"), np.array(rows).T, strict=True))


def root_measures(rng: np.random.Generator) -> dict[str, Any]:
    """The largest x with x <= 32 m sqrt(x) + 352 m^2, over m^2: what the last step of the proof must allow for."""
    m = 10.0 ** rng.uniform(-3.0, 3.0, DRAWS)
    root = (32.0 * m + np.sqrt((32.0 * m) ** 2 + 4.0 * 352.0 * m**2)) / 2.0
    return {"largest_solution": root**2 / m**2}
