"""The positions an evaluation asks about, with the oracle's answers.

They come from the data stage where there is one (so that "held out" means what it says), else
from all positions of a game that is small enough. Other games have none.
"""

import random
from collections.abc import Iterable
from pathlib import Path

from tesuji.core.streams import stream
from tesuji.datasets.positions import all_positions
from tesuji.datasets.store import read_positions
from tesuji.evaluation.moves import Question
from tesuji.games.base import Game
from tesuji.players.minimax import MinimaxPlayer, best_moves, optimal_moves
from tesuji.players.registry import make_player
from tesuji.recipe.schema import EvaluationSection


def questions_for(
    section: EvaluationSection, game: Game, data: Path | None, seed: int
) -> list[Question]:
    """At most `section.positions` questions; every held-out position is among them first."""
    if section.positions == 0 or "optimal_moves" not in game.info.metrics:
        return []
    if data is not None and (data / "positions.jsonl").exists():
        found = list(read_positions(data / "positions.jsonl", game))
    else:
        found = [(position, "all") for position in all_positions(game)]
    oracle = make_player(section.oracle, game=game)
    if not isinstance(oracle, MinimaxPlayer):
        return []
    chosen = _sample(found, section.positions, seed)
    return [_question(oracle, position, split) for position, split in chosen]
