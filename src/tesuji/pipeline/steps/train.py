"""The steps that learn from rows and pairs: SFT, DPO and the reward model."""

from collections.abc import Callable
from pathlib import Path

from tesuji.evaluation.matches.certificate import certify
from tesuji.evaluation.metrics import certificate_metrics
from tesuji.learners.hooks import Hooks
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import Policy, load_policy
from tesuji.learners.pairs.dpo import train_dpo
from tesuji.learners.pairs.reward import train_reward
from tesuji.learners.sft.train import train_sft
from tesuji.pipeline.plan import Step
from tesuji.pipeline.step_context import Workbench, model_player
from tesuji.pipeline.steps.data import pairs_for, rows_for
from tesuji.recipe.schema.pairs import DpoStage, RewardStage
from tesuji.recipe.schema.stages import SftStage


def fine_tune(step: Step, out: Path, bench: Workbench) -> None:
    """Supervised fine-tuning."""
    assert isinstance(step.section, SftStage)
    recipe, stage = bench.recipe, step.section
    policy = load_policy(recipe.model, bench.model_source(step))
    if recipe.model.lora is not None:
        policy = with_adapter(policy, recipe.model.lora)
    train, held_out = rows_for(step, bench)
    bench.progress.begin(f"{step.name}: training")
    summary = train_sft(
        stage,
        policy,
        name=step.name,
        train=train,
        held_out=held_out,
        prompt=recipe.prompt,
        out=out,
        seed=recipe.seed,
        metrics=bench.metrics,
        hooks=Hooks(
            on_step=_on_step(step.name, bench),
            stop_when=_certified(step.name, stage, policy, bench),
        ),
    )
    bench.progress.say(f"{step.name}: {summary.in_words()}")


def prefer(step: Step, out: Path, bench: Workbench) -> None:
    """Direct preference optimisation."""
    assert isinstance(step.section, DpoStage)
    recipe = bench.recipe
    train, held_out = pairs_for(step, bench)
    bench.progress.begin(f"{step.name}: training")
    summary = train_dpo(
        step.section,
        load_policy(recipe.model, bench.model_source(step)),
        lora=recipe.model.lora,
        name=step.name,
        train=train,
        held_out=held_out,
        prompt=recipe.prompt,
        out=out,
        seed=recipe.seed,
        metrics=bench.metrics,
        hooks=Hooks(_on_step(step.name, bench)),
    )
    bench.progress.say(f"{step.name}: {summary.in_words()}")


def model_reward(step: Step, out: Path, bench: Workbench) -> None:
    """A reward model."""
    assert isinstance(step.section, RewardStage)
    recipe = bench.recipe
    train, held_out = pairs_for(step, bench)
    bench.progress.begin(f"{step.name}: training")
    summary = train_reward(
        step.section,
        recipe.model,
        bench.model_source(step),
        name=step.name,
        train=train,
        held_out=held_out,
        prompt=recipe.prompt,
        out=out,
        seed=recipe.seed,
        metrics=bench.metrics,
        hooks=Hooks(_on_step(step.name, bench)),
    )
    bench.progress.say(f"{step.name}: {summary.in_words()}")


def _on_step(name: str, bench: Workbench) -> Callable[[int, int, str], None]:
    def on_step(done: int, total: int, note: str) -> None:
        if done == 1:
            bench.progress.begin(f"{name}: training", total)
        bench.progress.update(done, note)

    return on_step


def _certified(
    name: str, stage: SftStage, policy: Policy, bench: Workbench
) -> Callable[[int], bool] | None:
    """Whether the greedy policy can no longer be beaten, where the stage asks for that."""
    if stage.stop_when != "certificate":
        return None
    player = model_player(policy, bench.recipe, name, temperature=0.0)

    def certified(at: int) -> bool:
        certificates = certify(bench.game, player, answer=bench.recipe.prompt.answer)
        bench.metrics.log(name, at, certificate_metrics(certificates))
        return all(certificate.holds for certificate in certificates)

    return certified
