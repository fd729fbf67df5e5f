"""`oracle`: what a move gives away against best play, for games that can be solved or searched."""

from collections.abc import Sequence
from typing import Any

from tesuji.core.errors import GameError, placed
from tesuji.episodes.rewards.base import Judged, Term
from tesuji.games.base import Game
from tesuji.players.base import MoveRequest, Player
from tesuji.players.registry import check_options, find_player, make_player
from tesuji.players.search.minimax import MinimaxPlayer
from tesuji.players.search.oracle import batch_size, in_words, named_moves
from tesuji.players.search.wordle_entropy import EntropyPlayer
from tesuji.recipe.schema.sections import PlayerSection

REMEMBERED = 50_000  # situations an oracle keeps its answer for

Key = tuple[Any, ...]  # of a situation: game, seat, and what leads there
Losses = dict[int, float]  # by move id, at most 0


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
        self._known: dict[Key, Losses] = {}

    def check(self, game: Game) -> None:
        """Raise GameError or RecipeError where the player cannot judge moves of this game."""
        make_player(self.section, game=game)
        if "text" in game.info.traits:
            raise _cannot_judge(self.section.player, game, "any text is a move there")

    def __call__(self, at: Judged) -> float:
        """The turn's loss, at most 0."""
        key = self._key(at)
        if key not in self._known:
            self._judge([(key, at)])
        losses = self._known[key]
        return losses[at.turn.move.id] if at.turn.move is not None else min(losses.values()) - 1.0

    def prepare(self, judged: Sequence[Judged]) -> None:
        """Ask about all these turns at once, where the player takes batches."""
        new: dict[str, dict[Key, Judged]] = {}
        for at in judged:
            key = self._key(at)
            if at.turn.attempts and key not in self._known:
                new.setdefault(str(key[0]), {})[key] = at
        for asked in new.values():
            player = self._player(next(iter(asked.values())).game)
            if (size := batch_size(player)) > 1:
                items = list(asked.items())
                for start in range(0, len(items), size):
                    self._judge(items[start : start + size])

    def _key(self, at: Judged) -> Key:
        return (_game(at.game), at.turn.seat, *_line(at))

    def _player(self, game: Game) -> Player:
        name = _game(game)
        if name not in self._players:
            self._players[name] = make_player(self.section, game=game)
        return self._players[name]

    def _judge(self, asked: Sequence[tuple[Key, Judged]]) -> None:
        """Remember the losses in these situations of one game; the oldest are forgotten."""
        player, requests = self._player(asked[0][1].game), [_request(at) for _, at in asked]
        if isinstance(player, MinimaxPlayer | EntropyPlayer):
            losses = [_lost(player, request) for request in requests]
        else:
            losses = _all_but_the_chosen(player, requests)
        self._known |= {key: each for (key, _), each in zip(asked, losses, strict=True)}
        for key in [*self._known][: max(0, len(self._known) - max(REMEMBERED, len(asked)))]:
            del self._known[key]


def _game(game: Game) -> str:
    return f"{game.name} {sorted(game.options.items())}"


def _request(at: Judged) -> MoveRequest:
    match, seat = at.match(), at.turn.seat
    if not (legal := match.legal_moves(seat)):
        raise _cannot_judge("oracle", at.game, "any text is a move there")
    return MoveRequest(at.game, match, seat, at.turn.observation, legal, seed=0)


def _lost(player: MinimaxPlayer | EntropyPlayer, request: MoveRequest) -> Losses:
    if isinstance(player, MinimaxPlayer):
        worth = {move.id: known.value for move, known in player.solve(request.match).items()}
    else:
        worth = player.values(request)
    most = max(worth.values())
    return {move: value - most for move, value in worth.items()}


def _all_but_the_chosen(player: Player, requests: Sequence[MoveRequest]) -> list[Losses]:
    """Another move than the player's own costs 1. Where one that answers in words names none, asked
    twice, nothing is known, and every legal move costs nothing."""
    losses = []
    for request, (reply, chosen) in zip(requests, named_moves(player, requests), strict=True):
        if chosen is None and not in_words(reply):
            why = f"it {reply.error or 'names no move'}"
            raise _cannot_judge(player.name, request.game, why)
        losses.append({m.id: 0.0 if chosen in (m, None) else -1.0 for m in request.legal or ()})
    return losses


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


def oracle(player: str = "minimax", **options: Any) -> Term:
    """`Oracle`, with the options of a recipe. Raises RecipeError for an unknown player, and for an
    option that it does not have."""
    find_player(str(player), "rewards.oracle.player")
    term = Oracle(player, **options)
    with placed("rewards.oracle"):
        check_options(term.section)
    return term
