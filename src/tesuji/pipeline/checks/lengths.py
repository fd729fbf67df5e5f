"""Whether prompts, replies and rows fit into the model, and into the lengths the recipe sets.

Prompts are measured: a few matches of each game are played at random, and what a model would be
shown is counted in its own tokens.
"""

import random
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from tesuji.core.errors import RecipeError
from tesuji.core.types import Message
from tesuji.datasets.files import read_pairs, read_rows
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.games.prompts import NAME as PROMPTS
from tesuji.learners.model.inspect import ModelFacts
from tesuji.learners.model.rules import row_limit
from tesuji.learners.pairs.tokens import training_pairs
from tesuji.learners.sft.tokens import tokenize
from tesuji.players.prompting.chat_template import render_prompt
from tesuji.players.prompting.prompt import prompt_at
from tesuji.recipe.schema.data import DataStage
from tesuji.recipe.schema.pairs import PairTraining
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import RLStage
from tesuji.recipe.schema.sections import PromptSection
from tesuji.recipe.schema.stages import SftStage
from tesuji.recipe.schema.training import Training

MOST_ROWS = 2_000  # of a file, that are looked at beforehand
MATCHES, MOVES = 2, 20  # what is played to see how long prompts are
STYLE = "or shorten the prompts (prompt.style: compact)"


def check_lengths(recipe: Recipe, game: Game, facts: ModelFacts | None) -> None:
    """Raise RecipeError, or DataError for the rows of a file, for lengths that no prompt, or no
    reply, fits into."""
    context = facts.context if facts else None
    if context is not None:
        _check_context(recipe, context)
    for name, stage in recipe.stages.items():
        if isinstance(stage, SftStage | PairTraining | RLStage):
            _check_stage(recipe, name, stage, context)
    if facts is not None:
        _check_prompts(recipe, game, facts)


def _check_context(recipe: Recipe, context: int) -> None:
    """The reply, and the longest prompt the recipe allows, fit into the model."""
    new, longest = recipe.sampling.max_new_tokens, recipe.prompt.max_length
    if new >= context:
        raise RecipeError(
            f"a reply of {new:,} tokens leaves no room for a prompt: the model reads {context:,}",
            where="sampling.max_new_tokens",
            hint=f"set it below {context:,}",
        )
    if longest is not None and longest + new > context:
        raise RecipeError(
            f"{longest:,} tokens and a reply of {new:,} are more than the {context:,} that the "
            "model reads",
            where="prompt.max_length",
            hint=f"set it to {context - new:,}, or lower sampling.max_new_tokens",
        )


def _check_stage(recipe: Recipe, name: str, stage: Training, context: int | None) -> None:
    length = getattr(stage, "max_length")  # noqa: B009 (each of the three has it)
    default = type(stage).model_fields["max_length"].default
    if length == "auto":
        return
    where = f"stages.{name}.max_length"
    if context is not None and length > context and length != default:
        raise RecipeError(
            f"{length:,} tokens are more than the {context:,} that the model reads",
            where=where,
            hint=f"set it to {context:,} at most",
        )
    if (longest := recipe.prompt.max_length or 0) > length:
        raise RecipeError(
            f"{length:,} tokens do not hold a prompt of up to {longest:,} (prompt.max_length)",
            where=where,
            hint=f"raise it to at least {longest:,}, or lower prompt.max_length",
        )


def _check_prompts(recipe: Recipe, game: Game, facts: ModelFacts) -> None:
    """What the games really show fits: all of it into the model, some of it into each stage."""
    prompt_lengths = {"game": _lengths(recipe.prompt, game, facts)}
    stages = list(recipe.stages.items())
    for place, (name, stage) in enumerate(stages):
        if isinstance(stage, RLStage):
            for section in stage.play.games:
                one = load_game(section.name, section.options)
                prompt_lengths[f"stages.{name}.play.games"] = _lengths(recipe.prompt, one, facts)
        made = next((s for _, s in stages[:place][::-1] if s.kind in ("data", "logs")), None)
        own = getattr(stage, "data", None) is not None
        if own:
            _check_rows(recipe.prompt, name, stage, facts)
        if isinstance(stage, RLStage) or (isinstance(made, DataStage) and not own):
            _check_room(name, stage, prompt_lengths["game"], facts.context)
    new = recipe.sampling.max_new_tokens
    for where, lengths in prompt_lengths.items():
        longest = max(lengths, default=0)
        if facts.context is not None and longest + new > facts.context:
            raise RecipeError(
                f"prompts of {longest:,} tokens and replies of {new:,} are more than the "
                f"{facts.context:,} that the model reads",
                where=where,
                hint=f"set prompt.max_length={facts.context - new}, {STYLE}",
            )


def _check_room(name: str, stage: Any, lengths: list[int], context: int | None) -> None:
    """The shortest reply, a token and its end, fits behind every prompt looked at, so that no row
    is cut; in play, where what is too long is left out, behind the shortest."""
    length = getattr(stage, "max_length", None)
    length = context if length == "auto" else length
    playing = isinstance(stage, RLStage)
    if length is None or not lengths or (min if playing else max)(lengths) + 2 <= length:
        return
    which = "no prompt fits" if min(lengths) + 2 > length else "not every prompt fits"
    raise RecipeError(
        f"{which} into {length:,} tokens: the shortest has {min(lengths):,}, the longest "
        f"{max(lengths):,} of those looked at",
        where=f"stages.{name}.max_length",
        hint=f"raise it to {max(lengths) + 2:,} and the length of a reply, {STYLE}"
        if playing
        else f"write stages.{name}.max_length=auto, {STYLE}",
    )


def _check_rows(prompt: PromptSection, name: str, stage: Any, facts: ModelFacts) -> None:
    """Rows of a file that is not too long to look at beforehand, as training will cut them."""
    limit, tokenizer = row_limit(stage.max_length, facts.config), facts.tokenizer
    reads: Any = read_rows if isinstance(stage, SftStage) else read_pairs
    rows = list(islice(reads(Path(stage.data)), MOST_ROWS + 1))
    if len(rows) > MOST_ROWS:
        return
    if isinstance(stage, PairTraining):
        training_pairs(rows, tokenizer, prompt, limit, name)
        return
    tokenize(
        rows,
        tokenizer,
        max_length=limit,
        name=name,
        shown=prompt.max_length,
        enable_thinking=prompt.enable_thinking,
    )


def _lengths(prompt: PromptSection, game: Game, facts: ModelFacts) -> list[int]:
    """Tokens of some prompts of the game, as a model would be shown them."""
    if game.name == PROMPTS and "file" not in game.options:
        return []
    render = partial(render_prompt, facts.tokenizer, enable_thinking=prompt.enable_thinking)
    lengths = (len(render(messages)) for messages in _shown(prompt, game))
    return [min(length, prompt.max_length or length) for length in lengths]


def _shown(prompt: PromptSection, game: Game) -> Iterator[tuple[Message, ...]]:
    """Prompts of matches played at random; of a conversation, and where any text is a move, the
    first one."""
    for seed in range(MATCHES):
        match, draw = game.start(seed), random.Random(seed)
        for _ in range(MOVES):
            if not match.to_act:
                break
            seat = match.to_act[0]
            legal = match.legal_moves(seat)
            yield prompt_at(prompt, game, match, seat)
            if not legal or prompt.history == "full":
                break
            match.play(seat, draw.choice(legal))
