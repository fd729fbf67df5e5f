"""The positions an evaluation asks about, with the oracle's answers.

They come from the data stage where there is one (so that "held out" means what it says), else
from all positions of a game that is small enough. Other games have none.
"""

import random
from collections.abc import Iterable, Sequence
from pathlib import Path

from tesuji.core.seeds import stream
from tesuji.datasets.from_positions.files import read_positions
from tesuji.datasets.from_positions.label import Labelled, label
from tesuji.datasets.from_positions.positions import all_positions
from tesuji.evaluation.matches.position_moves import PositionQuestion
from tesuji.games.base import Game
from tesuji.players.registry import make_player
from tesuji.recipe.schema.recipe import EvaluationSection

Labelling = tuple[Labelled, str]


def questions_for(
    section: EvaluationSection, game: Game, data: Path | None, seed: int
) -> list[PositionQuestion]:
    """At most `section.positions` questions, held-out ones first when there are too many.

    `data` is the folder of a data stage, or None.
    """
    if section.positions == 0 or "optimal_moves" not in game.info.metrics:
        return []
    sampled = data is not None and (data / "positions.jsonl").exists()
    if not sampled and (game.info.chance or game.info.information != "perfect"):
        return []  # its positions cannot be listed: they come from a data stage or not at all
    labelled = list(_labelled(section, game, data))
    return [_question(item, split) for item, split in _sample(labelled, section.positions, seed)]


def _labelled(section: EvaluationSection, game: Game, data: Path | None) -> Iterable[Labelling]:
    if data is not None and (data / "positions.jsonl").exists():
        return read_positions(data / "positions.jsonl", game)
    oracle = make_player(section.oracle, game=game)
    return ((item, "all") for item in label(game, all_positions(game), oracle))


def _sample(labelled: Sequence[Labelling], count: int, seed: int) -> list[Labelling]:
    if len(labelled) <= count:
        return list(labelled)
    shuffled = random.Random(stream(seed, "questions")).sample(labelled, len(labelled))
    return sorted(shuffled, key=lambda item: item[1] != "held_out")[:count]


def _question(item: Labelled, split: str) -> PositionQuestion:
    return PositionQuestion(
        match=item.position.match,
        seat=item.position.seat,
        split=split,
        best=frozenset(move.id for move in item.best),
        optimal=frozenset(move.id for move in item.optimal),
    )
