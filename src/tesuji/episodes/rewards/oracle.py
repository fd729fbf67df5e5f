"""`oracle`: what a move gives away against best play, for games that can be solved or searched."""

from typing import Any

from tesuji.core.errors import GameError
from tesuji.episodes.rewards.base import Judged, Term
from tesuji.games.base import Game
from tesuji.players.base import MoveRequest, Player
from tesuji.players.registry import find_player, make_player
from tesuji.players.search.minimax import MinimaxPlayer
from tesuji.players.search.wordle_entropy import EntropyPlayer
from tesuji.recipe.schema.sections import PlayerSection

REMEMBERED = 50_000  # situations an oracle keeps its answer for


class Oracle:
    """Minus the value lost against the best move: 0 for a best one. No legal move loses 1 more than
    the worst one.

    `player` is minimax or entropy, which know every move's value, or any player that names one
    best move (then another move costs 1). Answers are remembered, the oldest forgotten first.
    Raises GameError where the player cannot judge the game.
    """

    def __init__(self, player: str = "minimax", **options: Any) -> None:
        self.section = PlayerSection.model_validate({"player": player, **options})
        self._players: dict[str, Player] = {}
        self._known: dict[tuple[Any, ...], dict[int, float]] = {}

    def check(self, game: Game) -> None:
        """Raise GameError or RecipeError where the player cannot judge moves of this game."""
        make_player(self.section, game=game)
        if "text" in game.info.traits:
            raise _cannot_judge(self.section.player, game, "any text is a move there")

    def __call__(self, at: Judged) -> float:
        """The turn's loss, at most 0."""
        game = f"{at.game.name} {sorted(at.game.options.items())}"
        key = (game, at.turn.seat, *_line(at))
        losses = self._known.get(key)
        if losses is None:
            losses = self._known[key] = self._losses(game, at)
            if len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]
        return losses[at.turn.move.id] if at.turn.move is not None else min(losses.values()) - 1.0

    def _losses(self, game: str, at: Judged) -> dict[int, float]:
        if game not in self._players:
            self._players[game] = make_player(self.section, game=at.game)
        player, match, seat = self._players[game], at.match(), at.turn.seat
        legal_moves = match.legal_moves(seat)
        if not legal_moves:
            raise _cannot_judge(player.name, at.game, "any text is a move there")
        if isinstance(player, MinimaxPlayer):
            values = {move.id: solved.value for move, solved in player.solve(match).items()}
            best = max(values.values())
            return {move: value - best for move, value in values.items()}
        request = MoveRequest(at.game, match, seat, at.turn.observation, legal_moves, seed=0)
        if isinstance(player, EntropyPlayer):
            worth = player.values(request)
            most = max(worth.values())
            return {move: value - most for move, value in worth.items()}
        reply = player.choose([request])[0]
        if reply.move is None:
            raise _cannot_judge(player.name, at.game, f"it {reply.error or 'answers in words'}")
        return {move.id: 0.0 if move == reply.move else -1.0 for move in legal_moves}


def _line(at: Judged) -> tuple[Any, ...]:
    """What tells this situation from every other: the moves so far (a board alone may hide whose
    stone was just taken, or the die), the seed where there is chance; with hidden information what
    the seat has seen and done, and nothing else."""
    before, seat = at.episode.turns[: at.place], at.turn.seat
    info = at.game.info
    if info.information != "perfect":
        own = (turn for turn in before if turn.seat == seat)
        return (at.turn.observation, *((turn.observation, turn.played) for turn in own))
    moves = ((turn.seat, turn.played.id) for turn in before if turn.played is not None)
    return (at.episode.seed if info.chance else 0, *moves)


def _cannot_judge(player: str, game: Game, why: str) -> GameError:
    return GameError(
        f"{player} cannot judge moves of {game.name}: {why}",
        where="rewards.oracle",
        hint="use minimax, mcts, ismcts or cfr, or another term",
    )


def oracle(player: str = "minimax", simulations: int | None = None) -> Term:
    """`Oracle`, with the options of a recipe. Raises RecipeError for an unknown player."""
    find_player(str(player), "rewards.oracle.player")
    return Oracle(player, **({} if simulations is None else {"simulations": simulations}))
