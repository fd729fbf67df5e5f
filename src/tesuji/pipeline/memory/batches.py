"""The largest passes of a stage in one of its processes: what it learns from, what it is asked.

They are made of the rows or the matches that a forecast has looked at (`forecast/work.py`); where
it saw none, of rows as long as the recipe allows, that have nothing in common.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tesuji.learners.model.inspect import ModelFacts
from tesuji.learners.model.rules import row_limit
from tesuji.pipeline.forecast.work import Turn, Work
from tesuji.pipeline.memory.passes import Batch, Ids
from tesuji.players.sampling.prefix_cache import MOST_NODES
from tesuji.players.sampling.token_tree import forest, plant
from tesuji.recipe.schema.pairs import PairTraining
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import RLStage
from tesuji.recipe.schema.stages import SftStage
from tesuji.recipe.schema.training import Training

MOST_PARTS = 8  # passes among which the largest is looked for
LONGEST = 4096  # tokens of a row, where neither rows nor recipe tell


@dataclass(frozen=True, slots=True)
class Batches:
    """`learned` is the largest pass of the update, of `several` an optimizer step or one; `asked`
    the prompts read at once, with `columns` of keys and values when their replies are done.
    `seen`: they are of rows or matches that were looked at."""

    learned: Batch
    several: bool
    asked: Batch
    columns: int
    seen: bool


def batches_of(
    stage: Training, recipe: Recipe, facts: ModelFacts, work: Work | None, *, trees: bool
) -> Batches:
    """A process's share of the stage's batches."""
    processes = recipe.distributed.processes if recipe.distributed else 1
    if isinstance(stage, RLStage):
        return _of_play(stage, recipe, facts, work, processes, trees)
    assert isinstance(stage, SftStage | PairTraining)
    limit = row_limit(stage.max_length, facts.config)
    rows = -(-stage.batch_size // processes) * (1 if isinstance(stage, SftStage) else 2)
    seen = work is not None and bool(work.longest)
    turns = work.longest[:rows] if work and seen else _unseen(rows, min(limit, LONGEST), recipe)
    learned = _batch(turns)
    return Batches(learned, stage.gradient_accumulation_steps > 1, learned, 0, seen)


def _of_play(
    stage: RLStage,
    recipe: Recipe,
    facts: ModelFacts,
    work: Work | None,
    processes: int,
    trees: bool,
) -> Batches:
    most, shared = stage.micro_batch_tokens, trees and stage.share_prompts
    matches = -(-min(stage.batch_size, stage.play.concurrent * processes) // processes)
    at_once = min(matches, recipe.sampling.batch_size)
    seen = work is not None and bool(work.longest)
    if work is None or not seen:
        limit = min(row_limit(stage.max_length, facts.config), _longest(recipe))
        turns: Sequence[Turn] = _unseen(max(1, most // limit, at_once), limit, recipe)
        computed = float("inf")
    else:
        turns = work.longest
        passes, size = work.learn[0]
        computed = passes * size / stage.num_iterations / stage.num_mini_batches / processes
    learned = _largest(
        [_cut(turn, stage.max_length) for turn in turns], min(most, computed), shared
    )
    prompts = sorted({prompt for prompt, _ in turns}, key=len)[-at_once:]
    width = max(map(len, prompts)) + recipe.sampling.max_new_tokens
    return Batches(learned, computed > most, _asked(prompts, at_once), at_once * width, seen)


def _largest(turns: Sequence[Turn], most: float, trees: bool) -> Batch:
    """As many turns as a pass has tokens: of those that were seen, and where they are fewer than
    there will be, of the same in other tokens."""
    texts = [prompt + reply for prompt, reply in turns]
    if not trees:
        longest = sorted(turns, key=lambda turn: len(turn[0]) + len(turn[1]))[-1]
        return _batch([longest] * max(1, int(most // max(map(len, texts)))))
    times = math.ceil(most / len(plant(texts)))
    many = [_other(turn, time) for time in range(times) for turn in turns]
    parts = forest([prompt + reply for prompt, reply in many], int(most))
    batches = (_batch([many[number] for number in part]) for part in parts)
    return max(itertools.islice(batches, MOST_PARTS), key=lambda batch: batch.tokens)


def _asked(prompts: Sequence[Ids], at_once: int) -> Batch:
    """The prompts of one forward pass, and how many replies are drawn at once."""
    part = next(forest(prompts, MOST_NODES))
    return Batch([prompts[number] for number in part], [1] * at_once)


def _other(turn: Turn, time: int) -> Turn:
    """The same in tokens of another thousand million."""
    prompt, reply = turn
    return tuple(t + (time << 30) for t in prompt), tuple(t + (time << 30) for t in reply)


def _unseen(rows: int, length: int, recipe: Recipe) -> list[Turn]:
    """Rows that differ from their first token on."""
    reply = min(recipe.sampling.max_new_tokens, length // 2)
    return [((row,) * (length - reply), (row,) * reply) for row in range(rows)]


def _longest(recipe: Recipe) -> int:
    """Tokens of a prompt with its reply."""
    most = recipe.prompt.max_length or LONGEST
    return most + recipe.sampling.max_new_tokens


def _cut(turn: Turn, limit: int) -> Turn:
    """As a row is cut: a prompt loses its beginning."""
    prompt, reply = turn
    room = max(1, limit - len(reply))
    return prompt[-room:], reply[:limit]


def _batch(turns: Sequence[Turn]) -> Batch:
    return Batch([prompt + reply for prompt, reply in turns], [len(reply) for _, reply in turns])


def kv_bytes(config: Any, width: int) -> int:
    """Bytes of keys and values of one token, in numbers of this width."""
    text = config.get_text_config()
    heads = text.num_attention_heads
    groups = getattr(text, "num_key_value_heads", None) or heads
    depth = getattr(text, "head_dim", None) or text.hidden_size // heads
    return int(2 * text.num_hidden_layers * groups * depth * width)
