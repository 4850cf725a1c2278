"""Expected regret bounds for rewards in [0, 1]. Constants are classical or derived anew from the clean event |mean - estimate| <= sqrt(2 ln T / n)."""

from __future__ import annotations

from typing import Any

from theorylab.claim import Always, Equals, OnAverage, WithProbability

from . import plugin

#: Why 16 seeds of an audit are not enough; 300 are.
SLOW = "means far below the end of their range take some hundred seeds to refute"

BOOK = "Slivkins, Introduction to Multi-Armed Bandits"


def up_to_the_largest_gap(rounds: Any, largest_gap: Any) -> Any:
    """A round costs at most the largest gap."""
    return 0, rounds * largest_gap


def up_to_all(rounds: Any) -> Any:
    """A round costs at most 1, and at least -1 against the best arm of all rounds."""
    return -rounds, rounds


def up_to_rounds(rounds: Any) -> Any:
    """Pseudo-regret: a round costs between 0 and 1."""
    return 0, rounds


@plugin.claim(
    "ucb_regret",
    holds=OnAverage(),
    source=f"{BOOK}, chapter 1",
    provenance="derived",
    within=up_to_the_largest_gap,
    along="rounds",
    toothless=SLOW,
)
def ucb_without_gaps(arms: Any, rounds: Any) -> Any:
    """UCB with radius sqrt(2 ln T / n): E R <= 2 sqrt(2 K T ln T) + K + 2 / T."""
    from sympy import log, sqrt

    return 2 * sqrt(2 * arms * rounds * log(rounds)) + arms + 2 / rounds


@plugin.claim(
    "ucb_regret",
    holds=OnAverage(),
    source=f"{BOOK}, chapter 1",
    provenance="derived",
    within=up_to_the_largest_gap,
    assumes=["has_gaps"],
    toothless=SLOW,
)
def ucb_with_gaps(inverse_gaps: Any, sum_gaps: Any, rounds: Any) -> Any:
    """The same algorithm: E R <= sum over gaps of (8 ln T / gap + gap) + 2 / T."""
    from sympy import log

    return 8 * log(rounds) * inverse_gaps + sum_gaps + 2 / rounds


@plugin.claim(
    "ucb1_regret",
    holds=OnAverage(),
    source="Auer, Cesa-Bianchi, Fischer 2002, Theorem 1",
    within=up_to_the_largest_gap,
    assumes=["has_gaps"],
    toothless=SLOW,
)
def ucb1(inverse_gaps: Any, sum_gaps: Any, rounds: Any) -> Any:
    """UCB1: E R <= 8 sum ln T / gap + (1 + pi^2 / 3) sum gap."""
    from sympy import log, pi

    return 8 * log(rounds) * inverse_gaps + (1 + pi**2 / 3) * sum_gaps


@plugin.claim(
    "elimination_regret",
    holds=OnAverage(),
    source=f"{BOOK}, chapter 1",
    provenance="derived",
    within=up_to_the_largest_gap,
    along="rounds",
    toothless=SLOW,
)
def successive_elimination(arms: Any, rounds: Any) -> Any:
    """Successive elimination: E R <= 4 sqrt(2 K T ln T) + K + 2 / T."""
    from sympy import log, sqrt

    return 4 * sqrt(2 * arms * rounds * log(rounds)) + arms + 2 / rounds


@plugin.claim(
    "explore_regret",
    holds=OnAverage(),
    source=f"{BOOK}, chapter 1",
    provenance="derived",
    within=up_to_the_largest_gap,
    toothless=SLOW,
)
def explore_first(arms: Any, rounds: Any, explored: Any) -> Any:
    """N pulls of each arm, then the best one: E R <= K N + 2 T sqrt(2 ln T / N) + 2, N = (T / K)^(2/3) (ln T)^(1/3)."""
    from sympy import log, sqrt

    return arms * explored + 2 * rounds * sqrt(2 * log(rounds) / explored) + 2


@plugin.claim(
    "exp3_regret",
    holds=OnAverage(),
    source="Lattimore, Szepesvari, Bandit Algorithms, chapter 11",
    within=up_to_all,
    along="rounds",
    toothless=SLOW,
)
def exp3(arms: Any, rounds: Any) -> Any:
    """EXP3 with rate sqrt(2 ln K / (T K)): E R <= sqrt(2 T K ln K), for losses that are fixed beforehand."""
    from sympy import log, sqrt

    return sqrt(2 * rounds * arms * log(arms))


@plugin.claim(
    "bayes_regret",
    holds=OnAverage(),
    source="Russo, Van Roy, An Information-Theoretic Analysis of Thompson Sampling",
    within=up_to_rounds,
    along="rounds",
    toothless=SLOW,
)
def thompson(arms: Any, rounds: Any) -> Any:
    """Thompson sampling, means drawn from its prior: E R <= sqrt(K T ln K / 2)."""
    from sympy import log, sqrt

    return sqrt(arms * rounds * log(arms) / 2)


@plugin.claim(
    "deviation", holds=WithProbability(0.9, slack=1e-12), source="Hoeffding's inequality and a union", provenance="derived"
)
def means_are_known() -> Any:
    """With probability 0.9 (1 - 2 / T^2 is proved), |mean - estimate| <= sqrt(2 ln T / n) for all arms at all times: the quotient is at most 1."""
    return 1


# -- where all estimates are good, nothing is left to chance -------------------------------------------------------------------------------


def rounding(rounds: Any) -> Any:
    """Sums of gaps."""
    return 1e-12 * rounds


@plugin.claim(
    "sure_ucb", holds=Always(rounding), source=f"{BOOK}, chapter 1, on the clean event", provenance="derived", along="rounds"
)
def clean_ucb_without_gaps(arms: Any, rounds: Any) -> Any:
    """If |mean - estimate| <= sqrt(2 ln T / n) all along, UCB's regret is at most 2 sqrt(2 K T ln T) + K."""
    from sympy import log, sqrt

    return 2 * sqrt(2 * arms * rounds * log(rounds)) + arms


@plugin.claim(
    "sure_ucb",
    holds=Always(rounding),
    source=f"{BOOK}, chapter 1, on the clean event",
    provenance="derived",
    assumes=["has_gaps"],
)
def clean_ucb_with_gaps(inverse_gaps: Any, sum_gaps: Any, rounds: Any) -> Any:
    """Likewise at most sum over gaps of 8 ln T / gap + gap."""
    from sympy import log

    return 8 * log(rounds) * inverse_gaps + sum_gaps


@plugin.claim(
    "sure_elimination",
    holds=Always(rounding),
    source=f"{BOOK}, chapter 1, on the clean event",
    provenance="derived",
    along="rounds",
)
def clean_elimination(arms: Any, rounds: Any) -> Any:
    """Likewise successive elimination's regret is at most 4 sqrt(2 K T ln T) + K."""
    from sympy import log, sqrt

    return 4 * sqrt(2 * arms * rounds * log(rounds)) + arms


@plugin.claim("sure_explore", holds=Always(rounding), source=f"{BOOK}, chapter 1, on the clean event", provenance="derived")
def clean_explore_first(arms: Any, rounds: Any, explored: Any) -> Any:
    """Likewise explore-first's is at most K N + 2 T sqrt(2 ln T / N)."""
    from sympy import log, sqrt

    return arms * explored + 2 * rounds * sqrt(2 * log(rounds) / explored)


@plugin.claim(
    "lemma", holds=Always(lambda lemma_bound: 1e-9 * lemma_bound), source="exponential weights lemma", provenance="derived"
)
def exponential_weights_lemma(lemma_bound: Any) -> Any:
    """EXP3: sum <p, estimate> - min_a sum estimate_a <= ln K / eta + eta / 2 sum p estimate^2, in every run."""
    return lemma_bound


@plugin.claim("early_regret", holds=Equals(1e-9), source="definition of the indices", provenance="derived")
def arms_are_chosen_by_their_indices(early_regret_slowly: Any) -> Any:
    """UCB, UCB1 and successive elimination play as the textbook's indices say, word for word on the same rewards (rounding: sums of 150 gaps)."""
    return early_regret_slowly
