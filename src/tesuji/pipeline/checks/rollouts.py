"""Whether the matches of a recipe can be played where its `rollouts` say."""

from collections.abc import Iterator
from typing import Any

from tesuji.core.errors import RecipeError
from tesuji.episodes.cluster import check_installed
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import RLStage
from tesuji.recipe.schema.sections import ENDPOINT

HERE = "rollouts: {engine: here}"


def check_rollouts(recipe: Recipe) -> None:
    """Raise RecipeError or EngineError where another engine than `here` is asked for, and is not
    there, or cannot play what the stages say."""
    section = recipe.rollouts
    if section.engine == "here":
        return
    stages = {name: stage for name, stage in recipe.stages.items() if isinstance(stage, RLStage)}
    if not stages:
        raise RecipeError(
            "no stage plays: rollouts are of reinforcement learning",
            where="rollouts.engine",
            hint="leave it out, or add a stage such as grpo",
        )
    check_installed("rollouts.engine", HERE)
    if recipe.model.load_in_4bit:
        raise RecipeError(
            "actors play on CPUs, where no model is loaded in 4 bits",
            where="model.load_in_4bit",
            hint=f"set it to false, or {HERE}",
        )
    if recipe.sampling.engine != "local":
        raise RecipeError(
            "actors have the model themselves, and ask no server for replies",
            where="sampling.engine",
            hint=f"leave it out, or {HERE}",
        )
    several = recipe.distributed is not None and recipe.distributed.processes > 1
    for name, stage in stages.items():
        if several and stage.max_staleness:
            raise RecipeError(
                "several processes with actors of Ray do not play ahead",
                where=f"stages.{name}.max_staleness",
                hint=f"set it to 0, learn in one process, or {HERE}",
            )
        _check_stage(f"stages.{name}", stage, section.actors)


def _check_stage(where: str, stage: RLStage, actors: int | str) -> None:
    groups = stage.batch_size // stage.num_generations
    if isinstance(actors, int) and actors > groups:
        raise RecipeError(
            f"{actors} actors for {groups} groups (batch_size / num_generations), which are played "
            "as a whole: some would never play",
            where="rollouts.actors",
            hint=f"set it to {groups} at most for {where}, or raise {where}.batch_size",
        )
    for place in _asked_at(stage):
        raise RecipeError(
            f"{ENDPOINT} has one budget and one cache, which actors on other machines do not see",
            where=f"{where}.{place}",
            hint=f"take another player, or {HERE}",
        )


def _asked_at(stage: RLStage) -> Iterator[str]:
    """Where the stage names a player behind an endpoint."""
    curriculum = enumerate(stage.play.curriculum)
    parts: dict[str, Any] = {f"curriculum.{number}.": part for number, part in curriculum}
    for at, part in (parts or {"": stage.play}).items():
        for number, opponent in enumerate(part.opponents):
            if opponent.player == ENDPOINT:
                yield f"play.{at}opponents.{number}"
    for name, term in stage.rewards.items():
        if term.options.get("player") == ENDPOINT:
            yield f"rewards.{name}"
