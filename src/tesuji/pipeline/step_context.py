"""Where the inputs of a run's steps are, and the model as a player."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tesuji.core.progress import SILENT, Progress
from tesuji.episodes.rewards.total import section_of
from tesuji.games.prompts import NAME as PROMPTS
from tesuji.learners.model.load import Policy, prepare_base
from tesuji.learners.rl.rollout.vllm_policy import vllm_policy
from tesuji.pipeline.plan import Step
from tesuji.players.model import ModelPlayer
from tesuji.players.sampling.base import Sampler
from tesuji.players.sampling.local import LocalSampler
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import PpoStage, RLStage
from tesuji.recipe.schema.sections import GameSection

ASKS_AGAIN = "the same command begins anew what was interrupted; what is done stays"


@dataclass(frozen=True)
class StepContext:
    """Finds what a step reads: `run` is the run's folder, `plan` all of its steps."""

    recipe: Recipe
    run: Path
    plan: Sequence[Step]

    def results_of(self, name: str) -> Path:
        """The folder of the step called `name`."""
        step = next(step for step in self.plan if step.name == name)
        return step.folder(self.run).path

    def model_of(self, name: str) -> str:
        """Where the model that the step called `name` trained is loaded from."""
        return str(self.results_of(name) / "final")

    def model_source(self, step: Step) -> str:
        """Where the model that `step` starts from is loaded from."""
        return self.model_of(step.model_from) if step.model_from else self.base_source()

    def base_source(self) -> str:
        """Where the recipe's own model is loaded from, built first if it is a tiny one."""
        return prepare_base(self.recipe.model, self.run / "base", self.recipe.seed)

    def reward_model_of(self, step: Step) -> str | None:
        """Where the reward model that the rewards of `step` name is loaded from."""
        assert isinstance(step.section, RLStage)
        term = section_of(step.section.rewards, "reward_model")
        if term is None:
            return None
        path = term.options.get("path")
        return str(path or self.model_of(term.options.get("stage") or step.reward_from))

    def critic_of(self, step: Step) -> str | None:
        """Where the critic of `step` is loaded from, if it has one beside its policy."""
        critic = step.section.critic if isinstance(step.section, PpoStage) else None
        if critic == "reward_model":
            return self.model_of(step.reward_from)
        return self.base_source() if critic == "base" else critic

    def data_of(self, step: Step) -> Path | None:
        """The folder of the data that `step` reads; None where there is no data step before it."""
        return self.results_of(step.data_from) if step.data_from else None

    def recipe_for(self, step: Step) -> Recipe:
        """The recipe as `step` needs it: `prompts` without a file plays the data step's."""
        game, data = self.recipe.game, self.data_of(step)
        if game.name != PROMPTS or "file" in game.options or data is None:
            return self.recipe
        options: dict[str, Any] = {
            "file": str(data / "prompts.jsonl"),
            "held_out": str(data / "held_out_prompts.jsonl"),
        }
        return self.recipe.model_copy(update={"game": GameSection(name=PROMPTS, options=options)})


def say_how_run(policy: Policy, progress: Progress) -> None:
    """A line for people, where the model cannot be run in the quickest way."""
    if not policy.support.shared:
        progress.say(f"model: {policy.support.in_words()}")


@contextlib.contextmanager
def sampler_of(
    policy: Policy, recipe: Recipe, out: Path, progress: Progress = SILENT
) -> Iterator[Sampler]:
    """Whoever samples for the policy, as long as this is open: the model in this process, or where
    the recipe says so vLLM servers that have its weights (`VllmPolicy`), which write into
    `out`/vllm; those started here are ended. Every process calls it. Raises EngineError."""
    vllm = vllm_policy(policy, recipe, out, ASKS_AGAIN)
    if vllm is None:
        yield local_sampler(policy, recipe)
        return
    with contextlib.closing(vllm):
        progress.begin("the weights go to vLLM" if recipe.sampling.url else "vLLM starts")
        vllm.settle()
        yield vllm.sampler()


def local_sampler(policy: Policy, recipe: Recipe) -> LocalSampler:
    """The model in this process as a sampler."""
    return LocalSampler(
        policy.model,
        policy.tokenizer,
        batch_size=recipe.sampling.batch_size,
        reuse=recipe.prompt.history == "full",
    )


def model_player(
    policy: Policy,
    recipe: Recipe,
    name: str,
    temperature: float | None = None,
    sampler: Sampler | None = None,
) -> ModelPlayer:
    """The policy as a player, sampling as the recipe says (or at another temperature), in this
    process unless a `sampler` is given (`sampler_of`)."""
    sampling = recipe.sampling
    if temperature is not None:
        sampling = sampling.model_copy(update={"temperature": temperature})
    sampler = sampler or local_sampler(policy, recipe)
    return ModelPlayer(name, sampler, policy.tokenizer, recipe.prompt, sampling)
