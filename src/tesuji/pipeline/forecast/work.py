"""What a step has to do, in passes over tokens: counted from its rows where they are there, else
from a few matches played at random.

Where a model reads token trees, what texts begin with in common counts once, as in a sample of the
rows or of the matches.

What it simplifies: matches at random, of all games of a stage alike, whatever its curriculum; a
batch larger than its sample has more in common than is counted; what search players and the
certificate take is not counted.
"""

import math
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tesuji.core.types import Example
from tesuji.datasets.files import read_pairs, read_rows
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.learners.model.inspect import ModelFacts
from tesuji.learners.model.rules import row_limit
from tesuji.learners.sft.tokens import cut_prompt
from tesuji.pipeline.plan import Step
from tesuji.players.prompting.chat_template import render_prompt, render_reply
from tesuji.players.prompting.prompt import prompt_at
from tesuji.players.sampling.token_tree import plant
from tesuji.recipe.schema.pairs import DpoStage, PairTraining
from tesuji.recipe.schema.play import SELF
from tesuji.recipe.schema.recipe import EvaluationSection, Recipe
from tesuji.recipe.schema.rl import RLStage
from tesuji.recipe.schema.stages import SftStage

MATCHES, TURNS = 64, 600  # played until so many to see how long prompts and matches are
ROWS, AMONG = 100, 10_000  # rows of a file whose tokens are counted, drawn among its first

Ids = tuple[int, ...]
Turn = tuple[Ids, Ids]  # a prompt and a reply


@dataclass(frozen=True, slots=True)
class Work:
    """A step in passes: `learn` and `read` are (how many a step, tokens computed in each); `tokens`
    are those that rows have, learned from in a step, or of one that only reads, read. `steps` is
    None where it depends on rows that are not there yet. `longest` is what is read in a pass of the
    longest of the rows that were counted, or all that was shown in the matches that were; `most`
    the tokens computed in such a pass of rows."""

    steps: int | None
    tokens: float
    learn: tuple[tuple[float, float], ...] = ()
    read: tuple[tuple[float, float], ...] = ()
    longest: tuple[Turn, ...] = ()
    most: float = 0.0

    @property
    def computed(self) -> float:
        """Of the tokens those that are computed: in trees, the distinct ones."""
        return sum(count * size for count, size in self.learn or self.read)

    @property
    def largest(self) -> float:
        """Tokens of the largest pass that learns: of rows, of the longest ones."""
        return max((self.most, *(size for _, size in self.learn)))


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows a step reads: in `folder`, and `times` as many in all."""

    folder: Path | None
    times: float = 1.0


@dataclass(frozen=True, slots=True)
class Shown:
    """What a model is shown in some matches: the turns of each, a prompt and a reply."""

    matches: list[list[Turn]]

    @property
    def turns(self) -> list[Turn]:
        """Of all matches, one after the other."""
        return [turn for match in self.matches for turn in match]

    @property
    def prompt(self) -> float:
        """Tokens of a prompt, in the mean."""
        return _mean([len(prompt) for prompt, _ in self.turns])

    @property
    def reply(self) -> float:
        """Tokens of a reply, in the mean."""
        return _mean([len(reply) for _, reply in self.turns])

    @property
    def moves(self) -> float:
        """Turns of a match, in the mean."""
        return _mean([len(match) for match in self.matches])

    def share(self, matches: int, *, replies: bool) -> float:
        """The share of distinct tokens in so many matches: of prompts, or with their replies."""
        groups = [[p + r if replies else p for p, r in match] for match in self.matches]
        return distinct(groups, matches)


def distinct(groups: Sequence[Sequence[Ids]], size: int) -> float:
    """The share of their tokens that trees of `size` groups each have as nodes."""
    whole = max(size, len(groups) - len(groups) % size)  # a last batch that is not full is left out
    batches = [groups[start : start + size] for start in range(0, min(whole, len(groups)), size)]
    texts = [[text for group in batch for text in group] for batch in batches]
    return sum(len(plant(some)) for some in texts) / sum(len(t) for some in texts for t in some)


def shown_in(recipe: Recipe, games: Sequence[Game], facts: ModelFacts, ends: float) -> Shown | None:
    """What a model is shown in these games, in some matches of each in turn; None where there is
    nothing to play. At `ends` (monotonic seconds) a match is counted as far as it went, and none
    begins but one."""
    matches: list[list[Turn]] = []
    while len(matches) < MATCHES and sum(map(len, matches)) < TURNS:
        if matches and time.monotonic() >= ends:
            break
        game, draw = games[len(matches) % len(games)], random.Random(len(matches))
        match = game.start(len(matches))
        turns: list[Turn] = []
        while match.to_act and (not turns or time.monotonic() < ends):
            seat = match.to_act[0]
            legal = match.legal_moves(seat)
            move = draw.choice(legal) if legal else None
            turns.append(_turn(recipe, facts, prompt_at(recipe.prompt, game, match, seat), move))
            if move is None:
                break
            match.play(seat, move)
        matches.append(turns)
    return Shown(matches) if any(matches) else None


def _turn(recipe: Recipe, facts: ModelFacts, messages: Any, move: Any) -> Turn:
    """Tokens of a prompt and of a move; where a reply can be any text (no move), of the longest."""
    thinking, most = recipe.prompt.enable_thinking, recipe.sampling.max_new_tokens
    prompt = tuple(render_prompt(facts.tokenizer, messages, enable_thinking=thinking))
    reply = (-1,) * most if move is None else render_reply(facts.tokenizer, str(move))
    return prompt[-(recipe.prompt.max_length or len(prompt)) :], tuple(reply[:most])


def _mean(numbers: Sequence[int]) -> float:
    return sum(numbers) / len(numbers)


def work_of(
    step: Step,
    recipe: Recipe,
    game: Game,
    facts: ModelFacts,
    data: Rows,
    *,
    trees: bool,
    ends: float,
    every_game: bool = True,
) -> Work | None:
    """The step in passes, of a model that reads `trees` or none; None for one that makes data, or
    about which nothing can be said. Nothing is played after `ends`, but a move. `every_game`: what
    a stage plays beside the recipe's game counts, too."""
    section = step.section
    if isinstance(section, SftStage | PairTraining):
        file = _file(section, data.folder)
        if file is not None and file.exists():
            times = 1.0 if section.data else data.times
            count, rows = _of_file(section, file, times, facts.tokenizer)
            return _of_rows(section, count, _fitting(rows, section, recipe, facts), trees)
        if shown := shown_in(recipe, [game], facts, ends):
            rows = _fitting(_rows_shown(section, shown), section, recipe, facts)
            return _of_rows(section, None, rows, trees)
    elif isinstance(section, RLStage):
        others = section.play.games if every_game else []
        games = [load_game(one.name, one.options) for one in others] or [game]
        if shown := shown_in(recipe, games, facts, ends):
            return _of_play(section, shown, _mean([one.num_players for one in games]), trees)
    elif isinstance(section, EvaluationSection) and (
        shown := shown_in(recipe, [game], facts, ends)
    ):
        return _of_matches(section, recipe, shown, game, bool(step.model_from), trees)
    return None


def _file(stage: SftStage | PairTraining, data: Path | None) -> Path | None:
    name = "train.jsonl" if isinstance(stage, SftStage) else "pairs.jsonl"
    return Path(stage.data) if stage.data else data and data / name


def _of_file(
    stage: SftStage | PairTraining, file: Path, times: float, tokenizer: Any
) -> tuple[int, list[list[Turn]]]:
    """How many rows there will be, and what is read of some."""
    read: Any = read_rows if isinstance(stage, SftStage) else read_pairs
    with file.open("rb") as lines:
        count = round(times * sum(1 for _ in lines))
    first = list(islice(read(file), AMONG))
    sample = random.Random(1).sample(first, min(ROWS, len(first)))
    return count, [_texts(row, tokenizer) for row in sample]


def _fitting(
    rows: list[list[Turn]], stage: SftStage | PairTraining, recipe: Recipe, facts: ModelFacts
) -> list[list[Turn]]:
    """The rows as they are learned from: a prompt that is too long without its beginning, none
    whose reply is."""
    limit = row_limit(stage.max_length, facts.config)
    fitting = []
    for row in rows:
        longest = max(len(reply) for _, reply in row)
        prompt = cut_prompt(row[0][0], longest, limit, recipe.prompt.max_length)
        if prompt is not None:
            fitting.append([(tuple(prompt), reply) for _, reply in row])
    return fitting


def _texts(row: Any, tokenizer: Any) -> list[Turn]:
    """What is read of a row: one text, of a pair two."""
    replies = [row.reply] if isinstance(row, Example) else [row.chosen, row.rejected]
    prompt = tuple(render_prompt(tokenizer, row.prompt))
    return [(prompt, tuple(render_reply(tokenizer, reply))) for reply in replies]


def _rows_shown(stage: SftStage | PairTraining, shown: Shown) -> list[list[Turn]]:
    """Turns as rows that are not there yet; as pairs, each with a second reply."""
    if isinstance(stage, SftStage):
        return [[turn] for turn in shown.turns]
    return [[(prompt, reply), (prompt, (-1,) * len(reply))] for prompt, reply in shown.turns]


def _of_rows(
    stage: SftStage | PairTraining, count: int | None, rows: list[list[Turn]], trees: bool
) -> Work | None:
    """Of `count` rows, of which some are given."""
    if not rows:
        return None
    batch = stage.batch_size * stage.gradient_accumulation_steps
    steps = math.ceil(count / batch * stage.epochs) if count else None
    steps = stage.max_steps if stage.max_steps > 0 else steps
    texts = [[prompt + reply for prompt, reply in row] for row in rows]
    lengths = [sum(map(len, some)) for some in texts]
    size = stage.batch_size * _mean(lengths)
    share = distinct(texts, stage.batch_size) if trees else 1.0
    passes = ((float(stage.gradient_accumulation_steps), size * share),)
    reference = passes if isinstance(stage, DpoStage) else ()
    order = sorted(range(len(rows)), key=lambda number: -lengths[number])
    longest = tuple(turn for number in order[: stage.batch_size] for turn in rows[number])
    tokens = stage.gradient_accumulation_steps * size
    return Work(steps, tokens, passes, reference, longest, _computed(longest, trees))


def _computed(turns: Sequence[Turn], trees: bool) -> float:
    """Tokens that a pass of these computes: the distinct ones, or padded ones."""
    texts = [prompt + reply for prompt, reply in turns]
    return float(len(plant(texts)) if trees else len(texts) * max(map(len, texts)))


def _of_play(stage: RLStage, shown: Shown, seats: float, trees: bool) -> Work:
    weight = sum(one.weight for one in stage.play.opponents) or 1.0
    own = sum(one.weight for one in stage.play.opponents if one.player == SELF) / weight
    turns = shown.moves * (own + (1 - own) / seats) * stage.batch_size  # of the policy, in all
    tokens = turns * (shown.prompt + shown.reply)
    grown = trees and stage.share_prompts
    computed = tokens * (shown.share(stage.batch_size, replies=True) if grown else 1.0)
    size = min(computed, stage.micro_batch_tokens)
    learn = (stage.num_iterations * computed / size, size)
    asked = max(1.0, turns / shown.moves)  # prompts of one move of all matches
    share = shown.share(stage.batch_size, replies=False) if trees else 1.0
    read = [(shown.moves, share * asked * shown.prompt), (shown.moves * shown.reply, asked)]
    read.append(((1 + bool(stage.beta)) * computed / size, size))
    tokens *= stage.num_iterations
    return Work(stage.max_steps, tokens, (learn,), tuple(read), tuple(shown.turns))


def _of_matches(
    section: EvaluationSection,
    recipe: Recipe,
    shown: Shown,
    game: Game,
    trained: bool,
    trees: bool,
) -> Work:
    reply = shown.reply if trained else float(recipe.sampling.max_new_tokens)
    opponents = max(1, len(section.opponents) if game.num_players > 1 else 1)
    at_once = min(section.episodes, recipe.sampling.batch_size)
    rounds = opponents * shown.moves / max(1, game.num_players) * section.episodes / at_once
    asked = [(rounds, at_once)]
    if "optimal_moves" in game.info.metrics and section.positions:
        batch = min(section.positions, recipe.sampling.batch_size)
        asked.append((section.positions / batch, batch))
    prompt = shown.prompt * (shown.share(at_once, replies=False) if trees else 1.0)
    read = [(count, size * prompt) for count, size in asked]
    read += [(count * reply, float(size)) for count, size in asked]
    tokens = sum(count * size * (shown.prompt + reply) for count, size in asked)
    return Work(1, tokens, (), tuple(read), tuple(shown.turns))
