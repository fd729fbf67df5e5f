"""The only replies that a request allows: texts it names, or the legal moves of a position."""

from tesuji.core.errors import GameError
from tesuji.core.types import Move
from tesuji.games.base import Game, Match
from tesuji.games.catalogue import load_game
from tesuji.players.model import ModelPlayer
from tesuji.players.prompting.chat_template import render_reply
from tesuji.players.prompting.prompt import answer_text
from tesuji.players.sampling.base import Choices
from tesuji.serve.model.dialect import Asked, Table


def choices_of(asked: Asked, player: ModelPlayer, game: Game) -> Choices | None:
    """As token ids, each with its end token; None where any reply will do. Raises GameError where
    the position is none, or has no list of moves."""
    if asked.structured_outputs is not None:
        return [render_reply(player.tokenizer, text) for text in asked.structured_outputs.choice]
    if asked.game is None:
        return None
    legal = _legal(asked.game, game)
    return [render_reply(player.tokenizer, answer_text(player.prompt, move)) for move in legal]


def _legal(table: Table, own: Game) -> tuple[Move, ...]:
    same = table.name in (None, own.name) and not table.options
    game = own if same else load_game(table.name or own.name, table.options)
    match = game.start(table.seed)
    for number, move in enumerate(table.moves):
        seat = _to_act(match, f"game.moves.{number}")
        match.play(seat, _find(match, seat, move, number))
    legal = match.legal_moves(_to_act(match, "game.moves"))
    if not legal:
        raise GameError(f"{game.name} has no list of legal moves", where="game")
    return legal


def _to_act(match: Match, where: str) -> int:
    if not match.to_act:
        raise GameError("the match is over by then", where=where)
    return match.to_act[0]


def _find(match: Match, seat: int, move: int | str, number: int) -> Move:
    legal = match.legal_moves(seat) or ()
    for known in legal:
        if move in (known.id, known.text, str(known.id)):
            return known
    texts = ", ".join(known.text for known in legal[:20])
    raise GameError(
        f"no legal move {move!r}", where=f"game.moves.{number}", hint=f"one of: {texts}"
    )
