"""What the theorems say of the projection, of one sweep, and of the fixed point. Cramer distances are squared throughout.

Slacks are rounding errors: a law's weight carries a few u, an atom a few u times the width of the grid, and a fixed point what the last
sweep leaves (ACCURACY, in W1) or rounding piles up over 1 / (1 - discount) sweeps. 64 u = 2^-47 covers the constants.
"""

from __future__ import annotations

from typing import Any

from theorylab.claim import Always, Equals

from . import plugin
from .algorithm import ACCURACY

U64 = 2.0**-47

PAPER = "arXiv 1802.08163"


def unit_error(narrowest_cell: Any) -> Any:
    """On grids over [0, 1]: a share is a quotient by the length of its cell."""
    return U64 * (1 + 1 / narrowest_cell)


def sweep_error(size: Any) -> Any:
    """Sums over a law on a grid of this size (its width plus its largest entry)."""
    return U64 * (1 + size)


def fixed_error(size: Any, discount: Any) -> Any:
    """W1 error of a fixed point found by sweeps, and of sums over it."""
    return 2 * ACCURACY + U64 * (1 + size) / (1 - discount)


def fixed_weight_error(size: Any, discount: Any, spacing: Any) -> Any:
    """A weight is a difference of two areas over cells: the W1 error over the spacing."""
    return 2 * fixed_error(size, discount) / spacing


def fixed_tail_error(size: Any, discount: Any) -> Any:
    """Tails of 5 % magnify a W1 error twenty times."""
    return 20 * fixed_error(size, discount)


def fixed_cramer_error_slack(size: Any, discount: Any) -> Any:
    """A squared Cramer distance is at most the W1 distance, and so is its error twice over."""
    return 2 * fixed_error(size, discount)


def up_to_width(width: Any) -> Any:
    """Neither distance exceeds the width of the grid."""
    return 0, width


def up_to_one() -> Any:
    """The random grids of the projection's claims span [0, 1]."""
    return 0, 1


# -- the projection -------------------------------------------------------------------------------------------------------------


@plugin.claim("projected_cdf", holds=Equals(unit_error), source=f"Proposition 6, {PAPER}")
def hat_averages(cell_average: Any) -> Any:
    """F of the projection at z_i is the average of F over [z_i, z_(i+1)], and 1 at the last atom."""
    return cell_average


@plugin.claim("pythagoras_left", holds=Equals(unit_error), source=f"Lemma 3, {PAPER}")
def pythagoras(pythagoras_right: Any) -> Any:
    """l2^2(mu, nu) = l2^2(mu, Pi mu) + l2^2(Pi mu, nu) for mu within the grid's range and nu on the grid."""
    return pythagoras_right


@plugin.claim("projected_cramer", holds=Always(unit_error), source=f"Proposition 1, {PAPER}")
def projection_nonexpansive_cramer(law_cramer: Any) -> Any:
    """l2(Pi mu, Pi nu) <= l2(mu, nu), with or without mass outside the grid."""
    return law_cramer


@plugin.claim(
    "projected_w1",
    holds=Always(unit_error),
    source="area between distribution functions, averaged over cells",
    provenance="derived",
)
def projection_nonexpansive_w1(law_w1: Any) -> Any:
    """W1(Pi mu, Pi nu) <= W1(mu, nu), with or without mass outside the grid."""
    return law_w1


@plugin.claim("projected_mean", holds=Equals(unit_error), source=f"section 4, {PAPER}")
def projection_keeps_means(law_mean: Any) -> Any:
    """The projection keeps the mean of a law within the grid's range."""
    return law_mean


@plugin.claim(
    "projected_shortfall", holds=Equals(unit_error), source="(q - x)_+ is linear on every cell if q is a grid point", provenance="derived"
)  # fmt: skip
def projection_keeps_shortfalls(law_shortfall: Any) -> Any:
    """The projection keeps E (q - X)_+ at every grid point q."""
    return law_shortfall


def tail_unit_error(narrowest_cell: Any) -> Any:
    """Tails of 5 % magnify an error twenty times."""
    return 20 * unit_error(narrowest_cell)


@plugin.claim(
    "projected_cvar", holds=Always(tail_unit_error), source="the projection spreads, it never narrows", provenance="derived"
)
def projection_lowers_cvar(law_cvar: Any) -> Any:
    """CVaR_tau(Pi mu) <= CVaR_tau(mu) for a law within the grid's range."""
    return law_cvar


@plugin.claim("projection_cramer_error", holds=Always(unit_error), source=f"proof of Proposition 3, {PAPER}", within=up_to_one)
def projection_error(widest_cell: Any) -> Any:
    """l2^2(Pi mu, mu) <= Delta, Delta the widest cell."""
    return widest_cell


@plugin.claim(
    "projection_cramer_error", holds=Always(unit_error), source="Popoviciu's inequality on each cell", provenance="derived",
    within=up_to_one,
)  # fmt: skip
def projection_error_sharp(widest_cell: Any) -> Any:
    """l2^2(Pi mu, mu) <= Delta / 4: an atom in mid-cell attains it."""
    return widest_cell / 4


@plugin.claim(
    "projection_w1_error", holds=Always(unit_error), source="an atom at fraction t of a cell moves 2 t (1 - t) of its length",
    provenance="derived", within=up_to_one,
)  # fmt: skip
def projection_error_w1(widest_cell: Any) -> Any:
    """W1(Pi mu, mu) <= Delta / 2: an atom in mid-cell attains it."""
    return widest_cell / 2


@plugin.claim("expanded", holds=Equals(U64), source=f"Lemma 2, {PAPER}")
def projection_expands_wasserstein(expanded_exponent: Any) -> Any:
    """On the grid {0, 1} the points 1/4 and 3/4 are 1/2 apart; their projections are 2^(-1/p) apart in W_p."""
    return 2 ** (-1 / expanded_exponent)


@plugin.claim(
    "expanded", holds=Always(U64), source=f"what Lemma 2 of {PAPER} denies", provenance="derived", expected="refuted",
    only=("two-state",),
)  # fmt: skip
def projection_nonexpansive_wasserstein() -> Any:
    """W_p(Pi mu, Pi nu) <= W_p(mu, nu) also for p > 1: here 1/2 on the right. False."""
    return 0.5


# -- one backup -----------------------------------------------------------------------------------------------------------------


@plugin.claim(
    "wasserstein_after",
    holds=Always(U64 * 8),
    source=f"Lemma 1, {PAPER}",
    toothless="it is about the exact operator, not the sweeps",
)
def backup_contracts_wasserstein(discount: Any, wasserstein_before: Any) -> Any:
    """sup W_p(T eta, T eta') <= gamma sup W_p(eta, eta'), without projection, for p = 1, 2 and infinity."""
    return discount * wasserstein_before


@plugin.claim(
    "pushed_cramer", holds=Equals(U64 * 8), source=f"proof of Proposition 2, {PAPER}", toothless="it is about shifted laws, not the sweeps"
)  # fmt: skip
def scaling_of_cramer(discount: Any, single_cramer: Any) -> Any:
    """l2^2 between the laws of r + gamma X and r + gamma Y is gamma l2^2 between those of X and Y."""
    return discount * single_cramer


@plugin.claim("cramer_after", holds=Always(sweep_error), source=f"Proposition 2, {PAPER}", within=up_to_width)
def sweep_contracts_cramer(discount: Any, cramer_before: Any) -> Any:
    """sup l2(Pi T eta, Pi T eta') <= sqrt(gamma) sup l2(eta, eta'); here squared."""
    return discount * cramer_before


@plugin.claim(
    "cramer_after", holds=Always(sweep_error), source="a common misreading: gamma in place of its root", provenance="derived",
    expected="refuted", only=("patient",),
)  # fmt: skip
def sweep_contracts_cramer_by_discount(discount: Any, cramer_before: Any) -> Any:
    """sup l2(Pi T eta, Pi T eta') <= gamma sup l2(eta, eta'); here squared. False."""
    return discount**2 * cramer_before


@plugin.claim(
    "w1_after", holds=Always(sweep_error), source="the projection does not expand W1", provenance="derived", within=up_to_width
)
def sweep_contracts_w1(discount: Any, w1_before: Any) -> Any:
    """sup W1(Pi T eta, Pi T eta') <= gamma sup W1(eta, eta')."""
    return discount * w1_before


@plugin.claim("cramer_to_limit", holds=Always(sweep_error), source=f"Proposition 2, {PAPER}", within=up_to_width, along="n")
def sweeps_converge_cramer(discount: Any, n: Any, cramer_at_start: Any) -> Any:
    """sup l2 to the fixed point shrinks by gamma^(n/2) in n sweeps; here squared."""
    return discount**n * cramer_at_start


@plugin.claim(
    "w1_to_limit", holds=Always(fixed_error), source="contraction in W1", provenance="derived", within=up_to_width, along="n"
)
def sweeps_converge_w1(discount: Any, n: Any, w1_at_start: Any) -> Any:
    """sup W1 to the fixed point shrinks by gamma^n in n sweeps."""
    return discount**n * w1_at_start


@plugin.claim("dominance", holds=Always(U64 * 32), source=f"Proposition 5, {PAPER}")
def sweep_keeps_dominance() -> Any:
    """If eta' is stochastically larger than eta in every state, so is Pi T eta' than Pi T eta: the largest excess of its F is 0."""
    return 0


# -- the fixed point ------------------------------------------------------------------------------------------------------------


@plugin.claim("found_weights", holds=Equals(fixed_weight_error), source="two ways to the same fixed point", provenance="derived")
def sweeps_meet_linear_solve(solved_weights: Any) -> Any:
    """The sweeps converge to the solution of the linear system, weight by weight."""
    return solved_weights


@plugin.claim("fixed_mean", holds=Equals(fixed_error), source=f"section 4, {PAPER}, on a grid that r + gamma z never leaves")
def fixed_point_keeps_means(true_mean: Any) -> Any:
    """The mean of the fixed point is the value V = (I - gamma P)^(-1) r."""
    return true_mean


@plugin.claim("fixed_cramer_error", holds=Always(fixed_cramer_error_slack), source=f"Proposition 3, {PAPER}", within=up_to_width)
def fixed_point_cramer(spacing: Any, discount: Any) -> Any:
    """sup l2^2(eta_C, eta) <= Delta / (1 - gamma) for returns within the grid's range."""
    return spacing / (1 - discount)


@plugin.claim(
    "fixed_cramer_error", holds=Always(fixed_cramer_error_slack), source="Proposition 3 with the sharp projection error",
    provenance="derived", within=up_to_width,
)  # fmt: skip
def fixed_point_cramer_sharp(spacing: Any, discount: Any) -> Any:
    """sup l2^2(eta_C, eta) <= Delta / (4 (1 - gamma))."""
    return spacing / (4 * (1 - discount))


@plugin.claim(
    "fixed_w1_error", holds=Always(fixed_error), source="contraction in W1 and the projection's W1 error", provenance="derived",
    within=up_to_width,
)  # fmt: skip
def fixed_point_w1(spacing: Any, discount: Any) -> Any:
    """sup W1(eta_C, eta) <= Delta / (2 (1 - gamma)): linear in the spacing."""
    return spacing / (2 * (1 - discount))


@plugin.claim(
    "fixed_shortfall", holds=Always(fixed_error), relation=">=", source="T keeps the convex order, the projection raises it",
    provenance="derived",
)  # fmt: skip
def fixed_point_convex_order(true_shortfall: Any) -> Any:
    """E (q - X)_+ under the fixed point is at least the true one, at every q: it is a spread of the true law."""
    return true_shortfall


@plugin.claim("fixed_cvar", holds=Always(fixed_tail_error), source="convex order", provenance="derived")
def fixed_point_cvar(true_cvar: Any) -> Any:
    """CVaR_tau of the fixed point is at most the true one, at every level."""
    return true_cvar


@plugin.claim("swept_mean", holds=Equals(sweep_error), source=f"section 4, {PAPER}, sweep by sweep", provenance="derived")
def sweeps_keep_means(steps_mean: Any) -> Any:
    """Three sweeps from a grid point have the exact mean of three steps with that final value."""
    return steps_mean


@plugin.claim(
    "swept_shortfall", holds=Always(sweep_error), relation=">=", source="convex order, sweep by sweep", provenance="derived"
)
def sweeps_convex_order(steps_shortfall: Any) -> Any:
    """After three sweeps from a grid point E (q - X)_+ is at least that of the exact law of three steps."""
    return steps_shortfall


# -- grids that are too narrow ----------------------------------------------------------------------------------------------------


@plugin.claim("cut_cramer_error", holds=Always(fixed_cramer_error_slack), source=f"Proposition 4, {PAPER}", within=up_to_width)
def fixed_point_cramer_outside(cut_spacing: Any, cut_outside: Any, cut_reach: Any, discount: Any) -> Any:
    """sup l2^2(eta_C, eta) <= (Delta + 2 q^2 d) / (1 - gamma) if at most q of the mass lies up to d outside the grid."""
    return (cut_spacing + 2 * cut_outside**2 * cut_reach) / (1 - discount)


@plugin.claim("tight_cramer_error", holds=Always(fixed_cramer_error_slack), source=f"Proposition 3, {PAPER}", within=up_to_width)
def fixed_point_cramer_tight(tight_spacing: Any, discount: Any) -> Any:
    """Proposition 3 needs only that the returns lie within the grid, not that r + gamma z does."""
    return tight_spacing / (1 - discount)


@plugin.claim(
    "tight_mean", holds=Equals(sweep_error), source="mean preservation as it is often quoted", provenance="derived", expected="refuted",
    only=("forward",),
)  # fmt: skip
def means_kept_on_tight_grids(tight_true_mean: Any) -> Any:
    """Means are kept on any grid that holds all returns. False: r + gamma z may leave it, and is clipped."""
    return tight_true_mean


@plugin.claim(
    "tight_second_moment", holds=Always(sweep_error), relation=">=", source="convex order without its condition", provenance="derived",
    expected="refuted", only=("forward",),
)  # fmt: skip
def spread_on_tight_grids(tight_true_second_moment: Any) -> Any:
    """The second moment is at least the true one on any grid that holds all returns. False."""
    return tight_true_second_moment


def enclosed_error(size: Any, discount: Any, optimal_error: Any) -> Any:
    """A policy that no state improves by more than ten times ACCURACY is within ten times ACCURACY / (1 - discount) of the best; half the
    width of the enclosure of the optimal value comes on top."""
    return fixed_tail_error(size, discount) + 10 * ACCURACY / (1 - discount) + optimal_error


# -- control --------------------------------------------------------------------------------------------------------------------


@plugin.claim(
    "control_error", holds=Always(fixed_error), source="means of greedy sweeps are value iteration", provenance="derived", along="control_n"
)  # fmt: skip
def greedy_sweeps_converge(discount: Any, control_n: Any, control_start: Any) -> Any:
    """The means after n greedy sweeps are within gamma^n of their first distance to the optimal value."""
    return discount**control_n * control_start


@plugin.claim("iterated_mean", holds=Equals(enclosed_error), source="policy iteration on exact means", provenance="derived")
def policy_iteration_is_optimal(optimal_mean: Any) -> Any:
    """Policy iteration that is greedy in the mean of fixed points ends with the optimal value."""
    return optimal_mean
