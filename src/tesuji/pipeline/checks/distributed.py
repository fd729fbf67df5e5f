"""Whether several processes can learn what the recipe says, each from its share."""

from tesuji.core.errors import RecipeError
from tesuji.learners.zero import check_options
from tesuji.recipe.schema.pairs import PairTraining
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import RLStage
from tesuji.recipe.schema.stages import SftStage
from tesuji.recipe.schema.training import Training

HINT = "distributed.strategy: ddp can"


def check_distributed(recipe: Recipe) -> None:
    """Raise RecipeError where batches cannot be shared out, or the strategy cannot do a stage."""
    section = recipe.distributed
    if section is None or section.processes == 1:
        return
    for name, stage in recipe.stages.items():
        if isinstance(stage, Training):
            _check_shares(f"stages.{name}", stage, section.processes)
            if section.strategy == "fsdp":
                _check_fsdp(f"stages.{name}", stage, recipe)
            if section.zero_stage:
                _check_zero(f"stages.{name}", stage)
            if isinstance(stage, RLStage) and stage.max_staleness:
                _check_ahead(f"stages.{name}.max_staleness", recipe)
    if section.zero_stage:
        check_options(section)


def _check_shares(where: str, stage: Training, processes: int) -> None:
    if isinstance(stage, SftStage | PairTraining) and stage.batch_size % processes:
        near = -(-stage.batch_size // processes) * processes
        raise RecipeError(
            f"{stage.batch_size} cannot be shared out evenly among {processes} processes",
            where=f"{where}.batch_size",
            hint=f"set it to a multiple of {processes}, such as {near}",
        )
    if isinstance(stage, RLStage) and stage.batch_size // stage.num_generations < processes:
        groups = stage.batch_size // stage.num_generations
        raise RecipeError(
            f"{groups} groups (batch_size / num_generations) are too few for {processes} "
            "processes, which play whole groups",
            where=f"{where}.batch_size",
            hint=f"raise it to {processes * stage.num_generations} at least",
        )


def _check_zero(where: str, stage: Training) -> None:
    if stage.optimizer != "adamw":
        where = f"{where}.optimizer"
        raise RecipeError("only adamw goes with DeepSpeed", where=where, hint=HINT)


def _check_ahead(where: str, recipe: Recipe) -> None:
    if recipe.distributed and recipe.distributed.strategy != "ddp":
        what = "the copy of the policy that plays ahead is not made of weights in parts"
    elif recipe.sampling.engine == "vllm":
        what = "the servers get new weights from all processes together, in turns with the updates"
    else:
        return
    raise RecipeError(what, where=where, hint="set it to 0")


def _check_fsdp(where: str, stage: Training, recipe: Recipe) -> None:
    if recipe.model.load_in_4bit:
        what, where = "no weights of 4 bits can be parted", "model.load_in_4bit"
    elif stage.optimizer != "adamw":
        what, where = "only adamw goes", f"{where}.optimizer"
    elif isinstance(stage, SftStage) and stage.early_stopping_patience:
        what, where = "there is no best model to go back to", f"{where}.early_stopping_patience"
    else:
        return
    raise RecipeError(f"{what} with sharded weights (fsdp)", where=where, hint=HINT)
