"""Preference pairs from positions: a best move over one that gives value away.

Both replies begin with the same thoughts, so that nothing but the move is preferred. Where the
oracle knows no values but only chooses, any move that it did not choose is the worse one.
"""

from collections.abc import Iterator

from tesuji.core.seeds import stream
from tesuji.core.types import Message, Move, Pair
from tesuji.datasets.from_positions.label import Labelled
from tesuji.games.base import Game
from tesuji.players.prompting.prompt import answer_text
from tesuji.recipe.schema.data import DataStage
from tesuji.recipe.schema.sections import PromptSection


def position_pairs(
    stage: DataStage,
    game: Game,
    prompt: PromptSection,
    messages: tuple[Message, ...],
    item: Labelled,
    thoughts: dict[Move, str],
    seed: int,
) -> Iterator[Pair]:
    """The pairs of one position, as many as `stage.pairs` asks for.

    `shown` is its prompt, `thoughts` holds what is said before each best move. A position in which
    no move is worse than another, or none has its thoughts, gives none.
    """
    position = item.position
    legal = position.match.legal_moves(position.seat) or ()
    worse = [move for move in legal if move not in item.optimal]
    best = [move for move in item.best if move in thoughts]
    if not best or not worse:
        return
    first = stream(seed, "pairs", position.key)
    if stage.pairs == "one":
        worse = [worse[first % len(worse)]]
    about = {"game": game.name, "seat": position.seat, "by": "oracle", "near": "prompt"}
    for number, bad in enumerate(worse):
        good = best[(first + number) % len(best)]
        chosen, rejected = (answer_text(prompt, move, thoughts[good]) for move in (good, bad))
        yield Pair(messages, chosen, rejected, position.key, {**about, "type": "decision"})
