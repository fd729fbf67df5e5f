"""Whether every process gets something to learn from."""

from tesuji.core.errors import RecipeError
from tesuji.recipe.schema.pairs import PairTraining
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import RLStage
from tesuji.recipe.schema.stages import SftStage


def check_distributed(recipe: Recipe) -> None:
    """Raise RecipeError where a stage's batches cannot be shared out."""
    processes = recipe.distributed.processes if recipe.distributed else 1
    if processes > 1 and recipe.model.device == "mps":
        raise RecipeError(
            "several processes learn on CPUs or on CUDA devices",
            where="model.device",
            hint="leave `distributed` out, or set model.device: cpu",
        )
    for name, stage in recipe.stages.items():
        if isinstance(stage, SftStage | PairTraining) and stage.batch_size % processes:
            near = -(-stage.batch_size // processes) * processes
            raise RecipeError(
                f"{stage.batch_size} cannot be shared out evenly among {processes} processes",
                where=f"stages.{name}.batch_size",
                hint=f"set it to a multiple of {processes}, such as {near}",
            )
        if isinstance(stage, RLStage) and stage.batch_size // stage.num_generations < processes:
            groups = stage.batch_size // stage.num_generations
            raise RecipeError(
                f"{groups} groups (batch_size / num_generations) are too few for {processes} "
                "processes, which play whole groups",
                where=f"stages.{name}.batch_size",
                hint=f"raise it to {processes * stage.num_generations} at least",
            )
