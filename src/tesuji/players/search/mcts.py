"""Monte Carlo tree search, by OpenSpiel's C++ bots.

`mcts` (UCT, Kocsis and Szepesvári 2006) searches the true state, so it is for games in which
nothing is hidden: elsewhere it would look into the other hand. `ismcts` (Cowling et al. 2012)
samples states that fit what its seat knows.

A bot is made for every decision: making one costs microseconds, and so the choice follows from
the request's seed alone.
"""

import random
from abc import abstractmethod
from typing import Any

from tesuji.core.errors import GameError
from tesuji.games.base import Match
from tesuji.players.base import MoveRequest, OneByOne, Reply

_MEMORY_MB = 1000
_SEED_RANGE = 2**31 - 1


class _TreeSearch(OneByOne):
    """What both searches share: the budget, and one fresh bot a decision.

    `simulations` per move; `uct_c` weighs exploration; `rollouts` random games per leaf.
    """

    def __init__(self, simulations: int = 100, uct_c: float = 2.0, rollouts: int = 1) -> None:
        self.simulations = simulations
        self.uct_c = uct_c
        self.rollouts = rollouts

    def reply(self, request: MoveRequest) -> Reply:
        """The searched move. Raises GameError for games it cannot play."""
        import pyspiel

        state = _state_of(request.match, self.name)
        seed = request.seed % _SEED_RANGE
        evaluator = pyspiel.RandomRolloutEvaluator(self.rollouts, seed)
        action = self._search(state, evaluator, seed)
        return Reply(move=next(move for move in request.legal or () if move.id == action))

    @abstractmethod
    def _search(self, state: Any, evaluator: Any, seed: int) -> int:
        """The action chosen in `state`."""


class MCTSPlayer(_TreeSearch):
    """UCT on the true state; proven wins and losses are recognised (`solve`)."""

    name = "mcts"

    def _search(self, state: Any, evaluator: Any, seed: int) -> int:
        import pyspiel

        game = state.get_game()
        kind = game.get_type()
        if kind.information != kind.Information.PERFECT_INFORMATION:
            raise _refusal("mcts", kind.short_name, "it would see what is hidden", "use ismcts")
        bot = pyspiel.MCTSBot(
            game, evaluator, self.uct_c, self.simulations, _MEMORY_MB, True, seed, False
        )
        return int(bot.step(state))


class ISMCTSPlayer(_TreeSearch):
    """Information-set MCTS: searches states resampled from what the seat knows, and draws a
    move in proportion to its visits."""

    name = "ismcts"

    def _search(self, state: Any, evaluator: Any, seed: int) -> int:
        import pyspiel

        game = state.get_game()
        kind = game.get_type()
        bot = pyspiel.ISMCTSBot(
            seed,
            evaluator,
            self.uct_c,
            self.simulations,
            use_observation_string=not kind.provides_information_state_string,
            allow_inconsistent_action_sets=True,
        )
        try:
            policy = sorted(bot.get_policy(state))  # it comes in an order of its own every time
        except pyspiel.SpielError as error:
            reason = str(error).strip().splitlines()[-1]
            raise _refusal("ismcts", kind.short_name, reason, "use random or cfr") from error
        actions, shares = zip(*policy, strict=True)
        return int(random.Random(seed).choices(actions, shares)[0])


def _state_of(match: Match, who: str) -> Any:
    state = getattr(match, "state", None)
    if state is None:
        raise GameError(f"{who} plays OpenSpiel games only", where=f"player: {who}")
    if state.is_simultaneous_node():
        name = state.get_game().get_type().short_name
        raise _refusal(who, name, "its seats move at the same time", "use random")
    return state


def _refusal(who: str, game: str, why: str, hint: str) -> GameError:
    return GameError(f"{who} cannot play {game}: {why}", where=f"player: {who}", hint=hint)
