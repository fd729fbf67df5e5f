"""Which key of a recipe makes the largest part of a stage's memory smaller."""

from tesuji.pipeline.memory.estimate import Phase
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import RLStage
from tesuji.recipe.schema.training import Training

CONTEXT = 0.6e9  # bytes that CUDA takes for itself
OFF = 1.15  # how many times more than is estimated it may be
LORA = "{r: 16, alpha: 32}"
BESIDE = {
    "average": "ema_decay=null",
    "critic": "critic=null",
    "reference": "beta=0",
    "snapshots": "play.snapshots=1",
}


def fits(phases: list[Phase], size: float) -> str:
    """`fits`, `may fit` or `does not fit` into so many bytes."""
    most = max((phase.total for phase in phases), default=0.0)
    if most * OFF + CONTEXT <= size:
        return "fits"
    return "may fit" if most / OFF + CONTEXT <= size else "does not fit"


def advice(phase: Phase, recipe: Recipe) -> str:
    """What to write, to take less of its largest part; "" where nothing is known to help."""
    stage = recipe.stages[phase.stage]
    assert isinstance(stage, Training)
    key, part = f"stages.{phase.stage}", phase.largest
    if part == "KV cache":
        return f"sampling.batch_size={max(1, recipe.sampling.batch_size // 2)}"
    if part in ("activations", "logits"):
        return _smaller_passes(stage, key, phase.sampling, recipe)
    if part in ("weights", "gradients", "optimizer", "gathered"):
        return _smaller_model(part, recipe)
    return f"{key}.{BESIDE[part]}" if part in BESIDE and isinstance(stage, RLStage) else ""


def _smaller_model(part: str, recipe: Recipe) -> str:
    model = recipe.model
    if model.adapters is None:
        return f"model.lora={LORA}"
    if part == "weights" and model.dtype == "float32":
        return "model.dtype=bfloat16"
    if part == "weights" and not model.load_in_4bit:
        return "model.load_in_4bit=true"
    return "a smaller model.base" if part == "weights" else "a smaller model.lora.r"


def _smaller_passes(stage: Training, key: str, sampling: bool, recipe: Recipe) -> str:
    if sampling:
        return f"sampling.batch_size={max(1, recipe.sampling.batch_size // 2)}"
    if not stage.gradient_checkpointing:
        return f"{key}.gradient_checkpointing=true"
    if isinstance(stage, RLStage):
        return f"{key}.micro_batch_tokens={max(16, stage.micro_batch_tokens // 2)}"
    size, more = getattr(stage, "batch_size", 1), getattr(stage, "gradient_accumulation_steps", 1)
    if size == 1:
        return f"a smaller {key}.max_length"
    return f"{key}.batch_size={size // 2} {key}.gradient_accumulation_steps={2 * more}"
