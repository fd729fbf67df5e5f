"""The steps that learn from rows and pairs: SFT, DPO and the reward model."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tesuji.core.metric_log import MetricLog
from tesuji.core.progress import Progress
from tesuji.evaluation.matches.certificate import certify
from tesuji.evaluation.metrics import certificate_metrics
from tesuji.games.base import Game
from tesuji.learners.distributed import on_main
from tesuji.learners.hooks import Hooks
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import Policy, load_policy
from tesuji.learners.pairs.dpo import train_dpo
from tesuji.learners.pairs.reward import train_reward
from tesuji.learners.sft.train import train_sft
from tesuji.learners.trainer.summary import TrainingSummary
from tesuji.learners.trainer.trainer import sound_checkpoint
from tesuji.learners.whole import whole_weights
from tesuji.pipeline.step_context import model_player, say_how_run
from tesuji.pipeline.steps.data import rows_for
from tesuji.recipe.schema.pairs import DpoStage, PairTraining, RewardStage
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.stages import SftStage


def run_training(
    stage: SftStage | PairTraining,
    *,
    name: str,
    recipe: Recipe,
    game: Game,
    source: str,
    data: Path | None,
    out: Path,
    metrics: MetricLog,
    progress: Progress,
) -> None:
    """Train the model in `source` on the rows or pairs of the folder `data`."""
    train, held_out = rows_for(stage, data)
    shared: dict[str, Any] = {
        "name": name,
        "train": train,
        "held_out": held_out,
        "prompt": recipe.prompt,
        "out": out,
        "seed": recipe.seed,
        "metrics": metrics,
    }
    progress.begin("training")
    hooks = Hooks(on_step=_on_step(progress), say=progress.say)
    summary: TrainingSummary
    if isinstance(stage, RewardStage):
        summary = train_reward(stage, recipe.model, source, hooks=hooks, **shared)
    elif isinstance(stage, DpoStage):
        policy, lora = load_policy(recipe.model, source), recipe.model.adapters
        summary = train_dpo(stage, policy, lora=lora, hooks=hooks, **shared)
    else:
        assert isinstance(stage, SftStage)
        shards = _shards(recipe)
        begun = sound_checkpoint(out, progress.say) if shards > 1 else None
        policy = trainable(recipe, str(begun or source), shards)
        say_how_run(policy, progress)
        until = stop_when(stage.stop_when, name, policy, recipe, game, metrics)
        summary = train_sft(stage, policy, hooks=replace(hooks, stop_when=until), **shared)
    progress.say(summary.in_words())


def trainable(recipe: Recipe, source: str, shards: int = 1) -> Policy:
    """The model in `source`, with the recipe's adapter on it where it asks for one."""
    policy = load_policy(recipe.model, source, shards=shards)
    lora = recipe.model.adapters
    return policy if lora is None else with_adapter(policy, lora, recipe.seed)


def _shards(recipe: Recipe) -> int:
    """Among how many processes a model that learns from rows is parted as it is loaded: one with
    an adapter is parted later, together with that."""
    section, whole = recipe.distributed, recipe.model.adapters is None
    return section.processes if section and section.strategy == "fsdp" and whole else 1


def stop_when(
    wanted: str, name: str, policy: Policy, recipe: Recipe, game: Game, metrics: MetricLog
) -> Callable[[int], bool] | None:
    """Whether the greedy policy can no longer be beaten, where the stage asks for that."""
    if wanted != "certificate":
        return None
    player = model_player(policy, recipe, name, temperature=0.0)

    @on_main
    def certified(step: int) -> bool:
        certificates = certify(game, player, answer=recipe.prompt.answer)
        metrics.log(name, step, certificate_metrics(certificates))
        return all(certificate.holds for certificate in certificates)

    def asked(step: int) -> bool:
        with whole_weights(policy.model):
            return certified(step)

    return asked


def _on_step(progress: Progress) -> Callable[[int, int, str], None]:
    def on_step(done: int, total: int, note: str) -> None:
        if done == 1:
            progress.begin("training", total)
        progress.update(done, note)

    return on_step
