"""In what type of numbers a stage computes, and how, on some machine: as the learners decide it."""

from dataclasses import dataclass
from typing import Any

import torch

from tesuji.learners.model.dtype import dtype_of
from tesuji.learners.model.inspect import ModelFacts
from tesuji.learners.model.load import device_of
from tesuji.learners.rl.update.actor_critic import CHUNK
from tesuji.pipeline.memory.passes import Kind
from tesuji.pipeline.memory.published import NO_BFLOAT16
from tesuji.recipe.schema.pairs import RewardStage
from tesuji.recipe.schema.rl import RLStage
from tesuji.recipe.schema.sections import ModelSection
from tesuji.recipe.schema.stages import SftStage
from tesuji.recipe.schema.training import Training


@dataclass(frozen=True, slots=True)
class Machine:
    """Where it runs, and the type that weights are loaded in there."""

    device: str
    dtype: Any


def machine_of(section: ModelSection, facts: ModelFacts, gpu: str | None) -> Machine:
    """This machine, or one with such a GPU."""
    if gpu is None:
        device = device_of(section)
        return Machine(device, dtype_of(section, device, facts.parameters))
    chosen = {"auto": "float32" if gpu in NO_BFLOAT16 else "bfloat16"}
    return Machine("cuda", getattr(torch, chosen.get(section.dtype, section.dtype)))


def kind_of(stage: Training, section: ModelSection, machine: Machine, *, trees: bool) -> Kind:
    """How the stage's passes are made. Whole models in bfloat16 are trained in float32 under
    autocast, but for SFT on a GPU."""
    rl, sft = isinstance(stage, RLStage), isinstance(stage, SftStage)
    half, on_cpu = machine.dtype == torch.bfloat16, machine.device == "cpu"
    lifted = half and section.adapters is None and not (sft and not on_cpu)
    by_trainer = half and not rl and not (sft and on_cpu)
    return Kind(
        dtype=torch.float32 if lifted else machine.dtype,
        autocast=lifted or by_trainer,
        lora=section.adapters,
        checkpointing=stage.gradient_checkpointing or section.load_in_4bit,  # PEFT turns it on
        logits=CHUNK if rl else CHUNK // 2,  # sft/soft_targets.py
        rewarding=isinstance(stage, RewardStage),
        trees=trees,
    )
