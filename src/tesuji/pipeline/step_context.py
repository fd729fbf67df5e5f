"""What every step has at hand, and the model as a player."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tesuji.core.metric_log import MetricLog
from tesuji.core.progress import Progress
from tesuji.core.run_folder import RunFolder
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.games.prompts import NAME as PROMPTS
from tesuji.learners.model.load import Policy, prepare_base
from tesuji.pipeline.plan import Step
from tesuji.players.model import ModelPlayer
from tesuji.players.sampling.local import LocalSampler
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import GameSection


@dataclass(frozen=True)
class Workbench:
    """What every step has at hand."""

    recipe: Recipe
    game: Game
    run: RunFolder
    plan: Sequence[Step]
    metrics: MetricLog
    progress: Progress

    def results_of(self, name: str) -> Path:
        """The folder of the step called `name`."""
        step = next(step for step in self.plan if step.name == name)
        return step.folder(self.run.path).path

    def model_source(self, step: Step) -> str:
        """Where the model that `step` starts from is loaded from."""
        if step.model_from:
            return str(self.results_of(step.model_from) / "final")
        return self.base_source()

    def fitted(self, step: Step) -> "Workbench":
        """The bench as this step needs it: `prompts` without a file plays the data step's."""
        if self.recipe.game.name != PROMPTS or "file" in self.recipe.game.options:
            return self
        if not step.data_from:
            return self
        folder = self.results_of(step.data_from)
        options: dict[str, Any] = {
            "file": str(folder / "prompts.jsonl"),
            "held_out": str(folder / "held_out_prompts.jsonl"),
        }
        game = GameSection(name=PROMPTS, options=options)
        recipe = self.recipe.model_copy(update={"game": game})
        return replace(self, recipe=recipe, game=load_game(game.name, game.options))

    def base_source(self) -> str:
        """Where the recipe's own model is loaded from, built first if it is a tiny one."""
        return prepare_base(self.recipe.model, self.run.path / "base", self.recipe.seed)


def model_player(
    policy: Policy, recipe: Recipe, name: str, temperature: float | None = None
) -> ModelPlayer:
    """The policy as a player, sampling as the recipe says (or at another temperature)."""
    sampling = recipe.sampling
    if temperature is not None:
        sampling = sampling.model_copy(update={"temperature": temperature})
    sampler = LocalSampler(
        policy.model,
        policy.tokenizer,
        batch_size=sampling.batch_size,
        reuse=recipe.prompt.history == "full",
    )
    return ModelPlayer(name, sampler, policy.tokenizer, recipe.prompt, sampling)
