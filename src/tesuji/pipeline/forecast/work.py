"""What a step has to do, in passes over tokens: counted from its rows where they are there, else
from a few matches played at random.

What it simplifies: prompts of one length, of which equal ones are read once in play and in nothing
else; what search players and the certificate take is not counted.
"""

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any

from tesuji.core.types import Example
from tesuji.datasets.files import read_pairs, read_rows
from tesuji.games.base import Game
from tesuji.learners.model.inspect import ModelFacts
from tesuji.pipeline.plan import Step
from tesuji.players.prompting.chat_template import render_prompt, render_reply
from tesuji.players.prompting.prompt import prompt_at
from tesuji.recipe.schema.pairs import DpoStage, PairTraining
from tesuji.recipe.schema.play import SELF
from tesuji.recipe.schema.recipe import EvaluationSection, Recipe
from tesuji.recipe.schema.rl import RLStage
from tesuji.recipe.schema.stages import SftStage

MATCHES, SECONDS = 64, 1.0  # at most played to see how long prompts and matches are
ROWS = 100  # of a file, whose lengths are counted


@dataclass(frozen=True, slots=True)
class Work:
    """A step in passes: `learn` and `read` are (how many a step, tokens in each). `steps` is None
    where it depends on rows that are not there yet."""

    steps: int | None
    learn: tuple[tuple[float, float], ...] = ()
    read: tuple[tuple[float, float], ...] = ()

    @property
    def tokens(self) -> float:
        """Tokens learned from in a step; of one that only reads, tokens read."""
        return sum(count * size for count, size in self.learn or self.read)

    @property
    def largest(self) -> float:
        """Tokens of the largest pass that learns."""
        return max((size for _, size in self.learn), default=0.0)


@dataclass(frozen=True, slots=True)
class Shown:
    """Means over some matches: tokens of a prompt and of a move, moves of a match; and the share of
    the prompts that differ."""

    prompt: float
    reply: float
    moves: float
    distinct: float


def shown_in(recipe: Recipe, game: Game, facts: ModelFacts) -> Shown | None:
    """What a model is shown in this game; None where there is nothing to play yet, and where the
    reply can be any text."""
    prompts: list[tuple[int, ...]] = []
    replies: list[int] = []
    matches, ends = 0, time.monotonic() + SECONDS
    while matches < MATCHES and (not matches or time.monotonic() < ends):
        match, draw = game.start(matches), random.Random(matches)
        while match.to_act and (not matches or time.monotonic() < ends):
            seat = match.to_act[0]
            legal = match.legal_moves(seat)
            messages = prompt_at(recipe.prompt, game, match, seat)
            thinking = recipe.prompt.enable_thinking
            prompts.append(
                tuple(render_prompt(facts.tokenizer, messages, enable_thinking=thinking))
            )
            if not legal:
                break
            move = draw.choice(legal)
            replies.append(len(render_reply(facts.tokenizer, str(move))))
            match.play(seat, move)
        matches += 1
    if not prompts:
        return None
    most = recipe.prompt.max_length or max(map(len, prompts))
    reply = fmean(replies) if replies else float(recipe.sampling.max_new_tokens)
    return Shown(
        fmean(min(len(one), most) for one in prompts),
        min(reply, recipe.sampling.max_new_tokens),
        len(prompts) / matches,
        len(set(prompts)) / len(prompts),
    )


def work_of(
    step: Step, recipe: Recipe, game: Game, facts: ModelFacts, data: Path | None
) -> Work | None:
    """The step in passes; None for one that makes data, or about which nothing can be said."""
    section = step.section
    if isinstance(section, SftStage | PairTraining):
        return _of_rows(section, recipe, game, facts, data)
    if isinstance(section, RLStage):
        return _of_play(section, recipe, shown_in(recipe, game, facts), game)
    if isinstance(section, EvaluationSection):
        trained = bool(step.model_from)
        return _of_matches(section, recipe, shown_in(recipe, game, facts), game, trained)
    return None


def _of_rows(
    stage: SftStage | PairTraining,
    recipe: Recipe,
    game: Game,
    facts: ModelFacts,
    data: Path | None,
) -> Work | None:
    supervised = isinstance(stage, SftStage)
    made = data / ("train.jsonl" if supervised else "pairs.jsonl") if data else None
    file = Path(stage.data) if stage.data else made
    count = None
    if file is not None and file.exists():
        read: Any = read_rows if supervised else read_pairs
        with file.open("rb") as lines:
            count = sum(1 for _ in lines)
        length = _row_length(list(islice(read(file), ROWS)), facts.tokenizer)
    elif (shown := shown_in(recipe, game, facts)) is not None:
        length = shown.prompt + shown.reply
    else:
        return None
    batch = stage.batch_size * stage.gradient_accumulation_steps
    steps = math.ceil(count / batch * stage.epochs) if count else None
    steps = stage.max_steps if stage.max_steps > 0 else steps
    rows = stage.batch_size if supervised else 2 * stage.batch_size
    passes = ((float(stage.gradient_accumulation_steps), rows * length),)
    return Work(steps, passes, passes if isinstance(stage, DpoStage) else ())


def _row_length(rows: Sequence[Any], tokenizer: Any) -> float:
    replies = [
        [row.reply] if isinstance(row, Example) else [row.chosen, row.rejected] for row in rows
    ]
    return fmean(
        len(render_prompt(tokenizer, row.prompt))
        + fmean(len(render_reply(tokenizer, r)) for r in said)
        for row, said in zip(rows, replies, strict=True)
    )


def _of_play(stage: RLStage, recipe: Recipe, shown: Shown | None, game: Game) -> Work | None:
    if shown is None:
        return None
    seats = game.num_players
    weight = sum(one.weight for one in stage.play.opponents) or 1.0
    own = sum(one.weight for one in stage.play.opponents if one.player == SELF) / weight
    turns = shown.moves * (own + (1 - own) / seats) * stage.batch_size  # of the policy, in all
    share = shown.distinct if stage.share_prompts else 1.0
    tokens = turns * (share * shown.prompt + shown.reply)
    size = min(tokens, stage.micro_batch_tokens)
    learn = (stage.num_iterations * tokens / size, size)
    asked = max(1.0, turns / shown.moves)  # prompts of one move of all matches
    read = [(shown.moves, share * asked * shown.prompt), (shown.moves * shown.reply, asked)]
    read.append(((1 + bool(stage.beta)) * tokens / size, size))
    return Work(stage.max_steps, (learn,), tuple(read))


def _of_matches(
    section: EvaluationSection, recipe: Recipe, shown: Shown | None, game: Game, trained: bool
) -> Work | None:
    if shown is None:
        return None
    reply = shown.reply if trained else float(recipe.sampling.max_new_tokens)
    opponents = max(1, len(section.opponents) if game.num_players > 1 else 1)
    at_once = min(section.episodes, recipe.sampling.batch_size)
    rounds = opponents * shown.moves / max(1, game.num_players) * section.episodes / at_once
    read = [(rounds, at_once * shown.prompt), (rounds * reply, float(at_once))]
    if "optimal_moves" in game.info.metrics and section.positions:
        asked = min(section.positions, recipe.sampling.batch_size)
        batches = section.positions / asked
        read += [(batches, asked * shown.prompt), (batches * reply, float(asked))]
    return Work(1, (), tuple(read))
