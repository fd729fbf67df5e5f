"""The equilibrium player: a policy solved by counterfactual regret minimisation.

CFR+ (Tammelin 2014) by OpenSpiel's C++ solver. The average policy of two-player zero-sum games
converges to an equilibrium; in other games it is merely a sensible opponent. Only for games small
enough to be walked in full, thousands of times.
"""

import functools
import json
import random
from collections.abc import Sequence
from typing import Any

from tesuji.core.errors import GameError
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.players.base import MoveRequest, OneByOne, Reply


class CFRPlayer(OneByOne):
    """Draws from the average policy after `iterations` of CFR+, from each request's own seed.

    It looks at its seat's information state only. Raises GameError for games it cannot solve.
    """

    name = "cfr"

    def __init__(self, game: Game, iterations: int = 1000) -> None:
        spiel = getattr(game, "spiel", None)
        if spiel is None or "solvable" not in game.info.traits:
            raise GameError(
                f"cfr cannot solve {game.name}",
                where="player: cfr",
                hint="it needs a small game with hidden cards, such as kuhn_poker or leduc_poker",
            )
        self._game, self._spiel = game, spiel
        self.iterations = iterations

    @property
    def policy(self) -> Any:
        """The average policy, a pyspiel.TabularPolicy; solved when first asked for."""
        options = json.dumps(dict(self._game.options), sort_keys=True)
        return _solved(self._game.name, options, self.iterations)

    def probabilities(self, requests: Sequence[MoveRequest]) -> list[dict[int, float]]:
        """Move id → probability for each request."""
        return [self._policy_at(request) for request in requests]

    def reply(self, request: MoveRequest) -> Reply:
        """A move drawn from the policy."""
        legal, chances = request.legal or (), self._policy_at(request)
        weights = [chances[move.id] for move in legal]
        return Reply(move=random.Random(request.seed).choices(legal, weights)[0])

    def _policy_at(self, request: MoveRequest) -> dict[int, float]:
        known = self._state_of(request).information_state_string(request.seat)
        policy = dict(self.policy.get_state_policy(known))
        return {move.id: float(policy.get(move.id, 0.0)) for move in request.legal or ()}

    def _state_of(self, request: MoveRequest) -> Any:
        """The pyspiel.State asked about; it must be one of the game that was solved."""
        state = getattr(request.match, "state", None)
        if state is None or str(state.get_game()) != str(self._spiel):
            raise GameError(
                f"cfr has solved {self._spiel} and was asked about another game, "
                f"{request.game.name}",
                where="player: cfr",
                hint="make a player for that game with those options",
            )
        return state


@functools.lru_cache(maxsize=8)
def _solved(name: str, options: str, iterations: int) -> Any:
    """The average policy; kept, since every evaluation asks for it again.

    Kept by name and options (as JSON): `restricted_nash_response` leaves some out of its text.
    """
    import pyspiel

    game: Any = load_game(name, json.loads(options))
    solver = pyspiel.CFRPlusSolver(game.spiel)
    for _ in range(iterations):
        solver.evaluate_and_update_policy()
    return solver.tabular_average_policy()
