"""What is claimed of last-switch-dependent bandits. All constants were derived anew: those of the papers could not be read.

Slacks: linear programs are solved to 1e-10; payoffs are sums of at most some hundred products of probabilities (64 u = 2^-47 covers one).
"""

from __future__ import annotations

from typing import Any

from theorylab.claim import Always, Equals, OnAverage, WithProbability

from . import plugin

U64 = 2.0**-47

#: Tolerance of the linear programs, magnified by sums over rounds.
SOLVED = 1e-8

PLANNING, SEASONS = "arXiv 2306.00338", "arXiv 2110.11819"


# -- the relaxation -------------------------------------------------------------------------------------------------------------------------


@plugin.claim("lp", holds=Equals(SOLVED), source="flow decomposition of a circulation", provenance="derived")
def cycles_are_occupations(lp_occupation: Any) -> Any:
    """The program over cycles has the value of the program over how often each state is met and played."""
    return lp_occupation


@plugin.claim("lp", holds=Equals(SOLVED), source="duality in the price of a play", provenance="derived")
def cycles_have_a_dual_in_one_price(lp_dual: Any) -> Any:
    """LP = min over prices of price + sum_i max(0, max_c (reward - price plays) / length)."""
    return lp_dual


@plugin.claim("lp", holds=Equals(SOLVED), source="delays in place of cycles", provenance="derived", assumes=["by_delay"])
def delays_are_enough_for_recharging_arms(lp_delays: Any) -> Any:
    """Where payoffs go by delay, LP = min over prices of price + sum_i max(0, max_d (H_i(d) - price) / d)."""
    return lp_delays


@plugin.claim("positive", holds=Always(), source="a vertex has as many positive variables as rows", provenance="derived")
def relaxation_is_sparse(arm_number: Any) -> Any:
    """A vertex uses at most K + 1 cycles."""
    return arm_number + 1


@plugin.claim("string_total", holds=Always(SOLVED), source="walks split into cycles and a path", provenance="derived")
def no_string_beats_the_relaxation(string_length: Any, lp: Any, arm_number: Any, memory: Any, largest: Any) -> Any:
    """Any action string from any state earns at most T LP + K (2 m - 1) mu_max in T rounds."""
    return string_length * lp + arm_number * (2 * memory - 1) * largest


@plugin.claim("best_total", holds=Always(SOLVED), source="walks split into cycles and a path", provenance="derived")
def no_policy_beats_the_relaxation(horizons: Any, lp: Any, arm_number: Any, memory: Any, largest: Any) -> Any:
    """The best total of T rounds, by dynamic programming over joint states, is at most T LP + K (2 m - 1) mu_max, from any state."""
    return horizons * lp + arm_number * (2 * memory - 1) * largest


@plugin.claim("opt", holds=Always(SOLVED), source="walks split into cycles and a path", provenance="derived")
def optimum_is_below_the_relaxation(lp: Any) -> Any:
    """OPT <= LP in the long run."""
    return lp


@plugin.claim(
    "opt", holds=Equals(1e-9), source="Karp; lazy value iteration", provenance="derived", toothless="it compares two oracles"
)
def optimum_by_two_methods(opt_lazy: Any) -> Any:
    """The largest cycle mean of the joint graph by Karp's algorithm is the limit of lazy value iteration."""
    return opt_lazy


@plugin.claim(
    "opt", holds=Always(SOLVED), relation=">=", source="a hope", provenance="derived", expected="refuted", only=["gap-small", "gap", "gap-spikes"],
    toothless="it is false of the right relaxation",
)  # fmt: skip
def relaxation_is_attained(lp: Any) -> Any:
    """OPT = LP. False: arms that pay after 1 and after 2 rounds of rest have LP = 5/6 and OPT = 3/4."""
    return lp


@plugin.claim(
    "opt_forced", holds=Always(SOLVED), relation=">=", source="a hope", provenance="derived", expected="refuted", only=["gap-small"],
    toothless="it is false of the optimum itself",
)  # fmt: skip
def idling_never_helps(opt: Any) -> Any:
    """Playing an arm in every round costs nothing where payoffs are monotone. False: 2/3 against 3/4."""
    return opt


# -- the planner for monotone payoffs -------------------------------------------------------------------------------------------------------


@plugin.claim("lag", holds=Always(), relation=">=", source=f"mirrored virtual states, {PLANNING}", provenance="derived")
def actual_states_dominate_virtual_ones() -> Any:
    """From an arm's first virtual play on its actual state is at least its virtual one, whatever else is drawn."""
    return 0


@plugin.claim("emax", holds=Always(SOLVED), relation=">=", source="correlation gap of independent arms", provenance="derived")
def virtual_plays_pay_their_share(ratio: Any, lp: Any) -> Any:
    """The mean of the largest virtual payoff is at least (1 - (1 - 1/K)^K) LP, for any payoffs."""
    return ratio * lp


@plugin.claim(
    "planned",
    holds=Always(SOLVED),
    relation=">=",
    source="correlation gap and domination",
    provenance="derived",
    assumes=["monotone"],
)
def planner_earns_its_share(ratio: Any, lp: Any) -> Any:
    """In the long run the planner earns at least (1 - (1 - 1/K)^K) LP, by enumeration of everything that it may draw."""
    return ratio * lp


@plugin.claim(
    "planned_actual",
    holds=Always(SOLVED),
    relation=">=",
    source="correlation gap and domination",
    provenance="derived",
    assumes=["monotone"],
)
def planner_may_look_at_actual_payoffs(ratio: Any, lp: Any) -> Any:
    """So it does if arms are compared by what they actually pay."""
    return ratio * lp


@plugin.claim(
    "planned_total", holds=Always(SOLVED), relation=">=", source="correlation gap and domination", provenance="derived", assumes=["monotone"],
    along="round",
)  # fmt: skip
def planner_earns_its_share_in_finite_time(ratio: Any, round: Any, lp: Any, arm_number: Any, largest: Any) -> Any:
    """E[payoff of T rounds] >= (1 - (1 - 1/K)^K) T LP - K mu_max if all arms start at rest."""
    return ratio * round * lp - arm_number * largest


@plugin.claim(
    "tired_total", holds=Always(SOLVED), relation=">=", source="correlation gap and domination", provenance="derived", assumes=["monotone"],
    along="round",
)  # fmt: skip
def planner_recovers_from_a_tired_arm(ratio: Any, round: Any, lp: Any, arm_number: Any, memory: Any, largest: Any) -> Any:
    """If one arm has just been played for long: >= (1 - (1 - 1/K)^K) T LP - (K - 1 + m) mu_max."""
    return ratio * round * lp - (arm_number - 1 + memory) * largest


@plugin.claim(
    "tired_total", holds=Always(SOLVED), relation=">=", source="the constant for rested arms", provenance="derived", expected="refuted",
    only=["tired"], toothless="it is false of the right planner",
)  # fmt: skip
def tired_arms_cost_no_more(ratio: Any, round: Any, lp: Any, arm_number: Any, largest: Any) -> Any:
    """The constant K mu_max does for any start. False: an arm that pays nothing at -8 and 1 elsewhere loses 4."""
    return ratio * round * lp - arm_number * largest


@plugin.claim(
    "planned", holds=Equals(SOLVED), source="arms that recover together", provenance="derived", only=["tight-2", "tight-3"]
)
def planner_is_no_better_than_its_share(ratio: Any, lp: Any) -> Any:
    """K arms that pay 1 after K - 1 rounds of rest: the planner earns (1 - (1 - 1/K)^K) LP exactly."""
    return ratio * lp


@plugin.claim(
    "planned", holds=Always(SOLVED), relation=">=", source="the theorem without monotone payoffs", provenance="derived", expected="refuted",
    only=["interrupted"], toothless="it is false of the right planner",
)  # fmt: skip
def planner_earns_its_share_of_anything(ratio: Any, lp: Any) -> Any:
    """The share holds for any payoffs. False: runs that are interrupted again and again earn about 2 / (m + 1) of LP."""
    return ratio * lp


# -- the planner for any payoffs --------------------------------------------------------------------------------------------------------------


@plugin.claim("run_total", holds=Always(SOLVED), relation=">=", source="thinned runs", provenance="derived", along="round")
def run_planner_earns_an_eighth(round: Any, lp: Any, memory: Any) -> Any:
    """E[payoff of T rounds] >= LP (T - 3 m) / 8, for any payoffs."""
    return lp * (round - 3 * memory) / 8


@plugin.claim("run_rate", holds=Always(SOLVED), relation=">=", source="thinned runs", provenance="derived")
def run_planner_earns_an_eighth_in_the_long_run(lp: Any) -> Any:
    """In the long run at least LP / 8."""
    return lp / 8


@plugin.claim("lone_run_rate", holds=Equals(SOLVED), source="an arm on its own is never in the way", provenance="derived")
def run_planner_thins_by_a_quarter(lp: Any) -> Any:
    """A single arm earns LP / 4 in the long run: it is kept with probability 1/4, and then nothing of its cycle is lost."""
    return lp / 4


# -- blocks -------------------------------------------------------------------------------------------------------------------------------------


@plugin.claim("cyclic_gap", holds=Always(1e-9), source="the best window of an endless optimum", provenance="derived")
def short_cycles_are_nearly_optimal(opt: Any, memory: Any, block_length: Any) -> Any:
    """The best string of length d, repeated for ever, earns at least (1 - m / d) OPT."""
    return opt * memory / block_length


@plugin.claim(
    "cyclic_gap",
    holds=Always(1e-9),
    relation=">=",
    source="it is a policy",
    provenance="derived",
)
def no_cycle_beats_the_optimum() -> Any:
    """The best string of length d, repeated for ever, earns at most OPT."""
    return 0


@plugin.claim("inside", holds=Always(1e-9), source=f"initial-state independent blocks, {SEASONS}", provenance="derived")
def blocks_are_below_cycles(cyclic: Any) -> Any:
    """What a block earns for sure, whatever came before, is at most what it earns when it is repeated."""
    return cyclic


@plugin.claim("block_gap", holds=Always(1e-9), source=f"initial-state independent blocks, {SEASONS}", provenance="derived")  # fmt: skip
def blocks_lose_little(arm_number: Any, undetermined: Any, largest: Any, block_length: Any) -> Any:
    """OPT - ISI_d / d <= (K - 1 + min(m, d)) mu_max / d."""
    return undetermined * largest / block_length


# -- learning -------------------------------------------------------------------------------------------------------------------------------------


def any_regret(ratio: Any, rounds: Any, true_lp: Any) -> Any:
    """Payoffs of all rounds lie between 0 and their number."""
    return ratio * rounds * true_lp - rounds, ratio * rounds * true_lp


@plugin.claim("misjudged", holds=WithProbability(0.9, slack=1e-12), source="Hoeffding's inequality", provenance="derived")
def exploration_is_accurate(accuracy: Any) -> Any:
    """With probability 0.9 (1 - 1/T is proved) all means are known to eps = sqrt(log(4 m K T) / (2 N)) after N samples of each."""
    return accuracy


@plugin.claim(
    "etc_regret",
    holds=OnAverage(),
    source="Hoeffding, and the planner's share",
    provenance="derived",
    assumes=["monotone"],
    within=any_regret,
    toothless="a mean so near the end of its range takes a hundred seeds to refute: they refute rest-mislabelled",
)
def explore_then_commit_regret(
    ratio: Any, true_lp: Any, explored: Any, accuracy: Any, rounds: Any, arm_number: Any, memory: Any
) -> Any:
    """E[alpha T LP - payoff] <= alpha min(1, LP) E + (1 + alpha) eps (T - E) + K - 1 + m + alpha, alpha = 1 - (1 - 1/K)^K, E rounds of exploration."""
    from sympy import Min

    return ratio * Min(1, true_lp) * explored + (1 + ratio) * accuracy * (rounds - explored) + arm_number - 1 + memory + ratio
