"""Numbers of a stage that mean nothing together: warm-up, looks and openings against steps."""

from tesuji.core.errors import RecipeError
from tesuji.recipe.schema.rl import PpoStage, RLStage
from tesuji.recipe.schema.training import Training


def check_steps(name: str, stage: Training) -> None:
    """Raise RecipeError for the first key of the stage `name` that would do nothing."""
    steps: int = getattr(stage, "max_steps", -1)
    where = f"stages.{name}"
    _check_warmup(where, stage, steps)
    _check_looks(where, stage, steps)
    if isinstance(stage, RLStage):
        _check_rl(where, stage)


def _check_warmup(where: str, stage: Training, steps: int) -> None:
    warmup = stage.warmup_steps
    if warmup > 1 and warmup != int(warmup):
        raise RecipeError(
            f"{warmup:g} is neither a whole number of steps nor a share below 1",
            where=f"{where}.warmup_steps",
            hint="write 20 for twenty steps, 0.05 for a twentieth of them",
        )
    if warmup and stage.lr_scheduler_type == "constant":
        raise RecipeError(
            "the schedule `constant` has no warm-up",
            where=f"{where}.warmup_steps",
            hint="write lr_scheduler_type: constant_with_warmup, or leave warmup_steps out",
        )
    if 0 < steps <= warmup and warmup >= 1:
        raise RecipeError(
            f"{warmup:g} steps of warm-up in a training of {steps:,} (max_steps): the learning "
            "rate never reaches its peak",
            where=f"{where}.warmup_steps",
            hint=f"set it below {steps:,}, or to a share such as 0.05",
        )
    if stage.lr_scheduler_type == "warmup_stable_decay" and steps < 0:
        raise RecipeError(
            "warmup_stable_decay needs to know how many steps there are",
            where=f"{where}.lr_scheduler_type",
            hint="set max_steps, or use another schedule",
        )


def _check_looks(where: str, stage: Training, steps: int) -> None:
    """What is done every so many steps is done at least once."""
    every: int | None = getattr(stage, "eval_steps", None)
    if every is not None and 0 < steps < every:
        raise RecipeError(
            f"a look every {every:,} steps in a training of {steps:,} (max_steps): there is none",
            where=f"{where}.eval_steps",
            hint=f"set it to {steps:,} at most, or leave it out",
        )
    patience: int | None = getattr(stage, "early_stopping_patience", None)
    if patience is not None and every is not None and 0 < steps < patience * every:
        raise RecipeError(
            f"{patience:,} looks, one every {every:,} steps, are more than {steps:,} steps "
            "(max_steps) have: it never stops early",
            where=f"{where}.early_stopping_patience",
            hint="lower it, lower eval_steps, or leave it out",
        )


def _check_rl(where: str, stage: RLStage) -> None:
    """The policy learns, the reference moves, and matches outlast their opening."""
    steps, sync, play = stage.max_steps, stage.ref_model_sync_steps, stage.play
    warmup = stage.critic_warmup_steps if isinstance(stage, PpoStage) else 0
    if warmup >= steps:
        raise RecipeError(
            f"the critic learns alone for {warmup:,} steps of {steps:,} (max_steps): the policy "
            "learns nothing",
            where=f"{where}.critic_warmup_steps",
            hint=f"set it below {steps:,}",
        )
    if stage.sync_ref_model and sync > steps:
        raise RecipeError(
            f"the reference moves every {sync:,} steps in a training of {steps:,} (max_steps): "
            "never",
            where=f"{where}.ref_model_sync_steps",
            hint=f"set it to {steps:,} at most, or leave sync_ref_model out",
        )
    if play.opening_moves >= play.max_moves:
        raise RecipeError(
            f"an opening of up to {play.opening_moves:,} random moves in matches that are cut off "
            f"after {play.max_moves:,} (max_moves) leaves none to the policy",
            where=f"{where}.play.opening_moves",
            hint=f"set it below {play.max_moves:,}",
        )
