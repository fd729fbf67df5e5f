"""A turn of the run to show on a model's card: what the model reads, what it may reply.

Preferred is a turn in which this very model named a legal move when it was evaluated; else what
another evaluation of the run asked; else a row of the data it learned from.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tesuji.core.errors import TesujiError
from tesuji.core.types import Episode, Message, Turn
from tesuji.datasets.files import read_pairs, read_rows
from tesuji.evaluation.matches.against import EVALUATED
from tesuji.games.base import Match
from tesuji.games.catalogue import load_game
from tesuji.players.prompting.prompt import answer_text
from tesuji.recipe.schema.pairs import PairTraining, RewardStage
from tesuji.recipe.schema.recipe import Recipe
from tesuji.report.collect import RunSummary, StageSummary

MOST_MOVES = 40  # a longer list of moves is not shown


@dataclass(frozen=True, slots=True)
class CardExample:
    """The messages of one turn; `replies` are the legal ones, where the game lists at most
    `MOST_MOVES` of them, `reply` is what was replied and `whose` says by whom ("": by nobody)."""

    messages: tuple[Message, ...]
    replies: tuple[str, ...] = ()
    reply: str = ""
    whose: str = ""


def find_example(run: RunSummary, recipe: Recipe, stage: str) -> CardExample | None:
    """The turn to show on the card of what `stage` trained; None where the run has none. For a
    reward model it is a pair, `replies` being the better one and the worse."""
    if isinstance(recipe.stages[stage], RewardStage):
        return next(_of_pairs(run, recipe, stage), None) or _asked(run.stages, recipe)
    own = [s for s in run.stages if s.evaluation and s.evaluation.label == f"after {stage}"]
    if (played := next(_played(own, recipe), None)) or (played := _asked(run.stages, recipe)):
        return played
    if not isinstance(recipe.stages[stage], PairTraining):
        return next(_of_rows(run, recipe, stage), None)
    pair = next(_of_pairs(run, recipe, stage), None)
    return pair and replace(pair, replies=())


def _played(stages: Iterable[StageSummary], recipe: Recipe) -> Iterator[CardExample]:
    """Turns in which the model's first reply was a legal move."""
    for turn, match in _turns(stages):
        if turn.attempts[0].move is not None:
            replies = _replies(recipe, match, turn.seat)
            reply, whose = turn.attempts[0].reply, "this model's reply"
            yield CardExample(turn.attempts[0].prompt, replies, reply, whose)


def _asked(stages: Sequence[StageSummary], recipe: Recipe) -> CardExample | None:
    """The first turn that any model was asked for in an evaluation."""
    for turn, match in _turns(stages):
        return CardExample(turn.attempts[0].prompt, _replies(recipe, match, turn.seat))
    return None


def _turns(stages: Iterable[StageSummary]) -> Iterator[tuple[Turn, Match | None]]:
    """The evaluated model's first turn of every match, with the match as it then stood (None
    where it cannot be played again here)."""
    for episode in (episode for stage in stages for episode in stage.episodes):
        for number, turn in enumerate(episode.turns):
            ours = episode.players[turn.seat] == EVALUATED
            if ours and turn.attempts and turn.attempts[0].prompt:
                yield turn, _replayed(episode, number)
                break


def _replayed(episode: Episode, number: int) -> Match | None:
    """The match before that turn; None where it would now show something else."""
    try:
        match = load_game(episode.game, episode.options).start(episode.seed)
        for turn in episode.turns[:number]:
            if turn.played is not None:
                match.play(turn.seat, turn.played)
    except TesujiError:
        return None
    same = match.observe(episode.turns[number].seat) == episode.turns[number].observation
    return match if same else None


def _replies(recipe: Recipe, match: Match | None, seat: int) -> tuple[str, ...]:
    moves = (match.legal_moves(seat) if match else None) or ()
    if len(moves) > MOST_MOVES:
        return ()
    return tuple(answer_text(recipe.prompt, move) for move in moves)


def _of_rows(run: RunSummary, recipe: Recipe, stage: str) -> Iterator[CardExample]:
    for path in _files(run, recipe.stages[stage], "train.jsonl"):
        for row in read_rows(path):
            yield CardExample(row.prompt, (), row.reply, "the reply of a row it learned from")


def _of_pairs(run: RunSummary, recipe: Recipe, stage: str) -> Iterator[CardExample]:
    for path in _files(run, recipe.stages[stage], "pairs.jsonl"):
        for pair in read_pairs(path):
            replies = (pair.chosen, pair.rejected)
            yield CardExample(pair.prompt, replies, pair.chosen, "the better reply of a pair")


def _files(run: RunSummary, section: Any, name: str) -> list[Path]:
    """The stage's own file, or that of the run's last data stage."""
    if getattr(section, "data", None):
        return [Path(section.data)] if Path(section.data).is_file() else []
    folders = [run.path / "stages" / stage.name for stage in run.stages if name in stage.rows]
    return [folder / name for folder in folders[-1:]]
