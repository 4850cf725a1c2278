"""The equilibrium and the regularised preference that the claims measure against, and the ways to get them wrong."""

from __future__ import annotations

from dataclasses import dataclass

from theorylab.problems.preference_game import PreferenceGame
from theorylab.problems.record import Array
from theorylab.solvers import games


@dataclass(frozen=True)
class Oracle:
    """tau_factor: the equilibrium is solved at tau_factor * tau (1 is right); own_sign: sign of the opponent's KL term (+1)."""

    tau_factor: float = 1.0
    own_sign: float = 1.0

    def equilibrium(self, game: PreferenceGame, tau: float | None = None) -> Array:
        """(X, n) log of the regularised equilibrium at `tau` (the game's by default)."""
        return games.regularised_equilibrium(game, self.tau_factor * (game.tau if tau is None else tau)).log_policy

    def regularised_preference(self, game: PreferenceGame, log_p: Array, log_q: Array) -> float:
        """P_tau(p > q)."""
        right = games.regularised_preference(game, log_p, log_q)
        if self.own_sign == 1.0:
            return right
        assert game.log_reference is not None
        return right + (self.own_sign - 1.0) * game.tau * games.kl(game, log_q, game.log_reference)
