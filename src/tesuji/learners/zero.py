"""DeepSpeed's ZeRO (Rajbhandari et al. 2020): what is asked of it, and its weights gathered.

DeepSpeed compiles nothing for this: the optimizer is torch's AdamW, on the CPU too. What it
simplifies: a model is loaded whole by every process, and parted (`zero3`) when training begins.
"""

import contextlib
import importlib.util
import logging
import os
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

from tesuji.core.errors import ComputeError, RecipeError
from tesuji.recipe.schema.sections import DistributedSection

USED = "ACCELERATE_USE_DEEPSPEED"  # Accelerate's own: processes of kind DEEPSPEED
OFFLOADED = {"none": (), "optimizer": ("optimizer",), "all": ("optimizer", "param")}
_in_use: list[DistributedSection] = []  # what these processes were asked for


def require_deepspeed() -> None:
    """Raise ComputeError where DeepSpeed is not installed."""
    if importlib.util.find_spec("deepspeed") is None:
        raise ComputeError(
            "this strategy is DeepSpeed's, which is not installed",
            where="distributed.strategy",
            hint="pip install 'tesuji[deepspeed]'; or strategy: ddp",
        )


def begin_deepspeed(section: DistributedSection, device: str) -> None:
    """Before the processes meet: have Accelerate make them DeepSpeed's, quietly."""
    require_deepspeed()
    _in_use[:] = [section]
    os.environ[USED] = "true"
    os.environ.setdefault("DS_ACCELERATOR", device)
    import deepspeed

    deepspeed.utils.logger.setLevel("ERROR")  # it talks to standard output
    logging.getLogger("accelerate.accelerator").setLevel("ERROR")
    # an all-reduce for inference on CPUs, which would be compiled for minutes
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False


def in_use() -> DistributedSection | None:
    """What is asked of DeepSpeed in these processes; None where they are not its own."""
    return _in_use[0] if _in_use else None


def trainer_options() -> dict[str, Any]:
    """The TrainingArguments that make a Trainer learn with DeepSpeed, where it is in use."""
    if (section := in_use()) is None:
        return {}
    own = {"use_configured_state": True}
    return {"deepspeed": engine_config(section), "accelerator_config": own, "use_cpu": False}


def engine_config(section: DistributedSection) -> dict[str, Any]:
    """DeepSpeed's configuration; `auto` is what transformers or Accelerate fill in."""
    return {
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "bf16": {"enabled": "auto"},
        "zero_force_ds_cpu_optimizer": False,
        "zero_optimization": {
            "stage": section.zero_stage,
            "stage3_gather_16bit_weights_on_model_save": True,
            **{f"offload_{part}": {"device": "cpu"} for part in OFFLOADED[section.offload]},
            **section.zero_optimization,
        },
    }


def check_options(section: DistributedSection) -> None:
    """Raise RecipeError where DeepSpeed knows no such options, and ComputeError without it."""
    require_deepspeed()
    from deepspeed.runtime.zero.config import DeepSpeedZeroConfig

    try:
        DeepSpeedZeroConfig(**engine_config(section)["zero_optimization"])
    except ValueError as error:  # pydantic's
        why = " ".join(line.strip() for line in str(error).splitlines()[1:3])
        where = "distributed.zero_optimization"
        raise RecipeError(f"DeepSpeed does not take this: {why}", where=where) from error


def refuse_other_engine(model: Any) -> None:
    """Raise ComputeError where DeepSpeed was asked for, and this that learns is not its engine of
    that stage."""
    if (section := in_use()) is None:
        return
    stage = getattr(model, "zero_optimization_stage", lambda: 0)()
    if stage != section.zero_stage:
        raise ComputeError(
            f"asked for DeepSpeed's ZeRO stage {section.zero_stage}, and what learns is "
            f"{type(model).__name__} of stage {stage}",
            where="distributed.strategy",
            hint="leave ACCELERATE_* variables and its configuration file out of it",
        )


def step_config(section: DistributedSection, max_grad_norm: float) -> dict[str, Any]:
    """That of an engine whose every backward pass is told apart, in float32."""
    return engine_config(section) | {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": max_grad_norm,
        "bf16": {"enabled": False},
    }


def keep_changes(engine: Any, parameters: Iterable[Any]) -> None:
    """Make weights that were written to in place, all of them whole, DeepSpeed's own: float32."""
    for parameter in parameters:
        if hasattr(parameter, "ds_id"):
            parameter.partition(has_been_updated=True)
            parameter.all_gather()
    engine.optimizer.refresh_fp32_params()


@contextlib.contextmanager
def written_by_main(model: Any) -> Iterator[bool]:
    """Inside, a process that is told so may write to the weights: the main one for all to those of
    ZeRO-3; each to its own, where it has them whole. What the engine steps on does not follow."""
    parted = [p for p in model.parameters() if hasattr(p, "ds_id")]
    if not parted:
        yield True
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters(parted, modifier_rank=0):
        yield os.environ["RANK"] == "0"


def end_engines() -> None:
    """After a stage: what is loaded next is whole again, and the next engine has other options."""
    if in_use() is None:
        return
    from accelerate.state import AcceleratorState
    from transformers.integrations.deepspeed import unset_hf_deepspeed_config

    AcceleratorState._reset_state()
    unset_hf_deepspeed_config()


@contextlib.contextmanager
def gathered(*models: Any) -> Iterator[None]:
    """Inside, every process has all weights of those of these models that ZeRO-3 has parted (see
    `whole_weights`)."""
    parted = [p for model in models for p in model.parameters() if hasattr(p, "ds_id")]
    if not parted:
        yield
        return
    import deepspeed
    from trl.models.utils import add_hooks, remove_hooks

    engines = {id(p._z3_optimizer): p._z3_optimizer for p in parted if hasattr(p, "_z3_optimizer")}
    held = [SimpleNamespace(optimizer=optimizer) for optimizer in engines.values()]
    if held and not any(engine.optimizer.parameter_offload.forward_hooks for engine in held):
        yield  # they are whole already
        return
    with deepspeed.zero.GatheredParameters(parted):
        for engine in held:
            remove_hooks(engine)
        try:
            yield
        finally:
            for engine in held:
                add_hooks(engine)
