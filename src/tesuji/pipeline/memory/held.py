"""What a process holds of a model that learns, by how many share it and how: weights, gradients,
what the optimizer keeps. Nothing is computed here but sums.

    sizes = sizes_of(model, optimizer="adamw")       # a model on the meta device, adapters on it
    held(sizes, DistributedSection(processes=8, strategy="fsdp"))
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tesuji.learners.trainer.muon import split_parameters
from tesuji.players.sampling.head import layers
from tesuji.recipe.schema.sections import DistributedSection

FOUR_BITS = (4 + 8 / 64 + 32 / (64 * 256)) / 8  # bytes a number: NF4, doubly quantised scales

WIDTH = 4  # bytes of a number that DeepSpeed gathers or reduces: float32
DEFAULTS = {  # DeepSpeed's own, in numbers
    "reduce_bucket_size": 500_000_000,
    "stage3_max_live_parameters": 1_000_000_000,
    "stage3_prefetch_bucket_size": 50_000_000,
}


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes: of all weights, of those that are trained, of what the optimizer keeps for these; of
    the largest layer's weights, and of those in no layer (embeddings, head)."""

    weights: float
    trained: float
    optimizer: float
    layer: float = 0.0
    outside: float = 0.0


def sizes_of(model: Any, *, optimizer: str, four_bits: bool = False) -> Sizes:
    """Of a model whose numbers need not be there. `four_bits`: the linear maps below adapters, but
    the head, are kept so, and all else that is frozen in float32."""
    packed = _packed(model) if four_bits else set()
    each = {
        id(p): p.numel() * (FOUR_BITS if id(p) in packed else 4 if four_bits else p.element_size())
        for p in model.parameters()
    }
    learns = [p for p in model.parameters() if p.requires_grad]
    matrices = split_parameters(model)[0] if optimizer == "muon" else []
    trained, momentum = _bytes(learns), _bytes(matrices)
    blocks = [list(block.parameters()) for block in _blocks(model)]
    inside = [sum(each[id(p)] for p in block) for block in blocks]
    return Sizes(
        weights=sum(each.values()),
        trained=trained,
        optimizer=2 * trained - momentum,  # AdamW has two numbers a parameter, Muon one
        layer=max(inside, default=0.0),
        outside=sum(each.values()) - sum(inside),
    )


def held(sizes: Sizes, section: DistributedSection | None) -> Mapping[str, float]:
    """Bytes of each part in one process, all the time but for `gathered`, which is what parts of
    others it has at most at once, and `gradients`, which are there from their pass to the step."""
    parts = {
        "weights": sizes.weights,
        "gradients": sizes.trained,
        "optimizer": sizes.optimizer,
        "gathered": 0.0,
    }
    if section is None or section.processes == 1:
        return parts
    share = 1 / section.processes
    if section.strategy == "fsdp":
        parts = {name: size * share for name, size in parts.items()}
        gathered = sizes.outside + 2 * sizes.layer  # a layer, and the next one on its way
        return parts | {"gathered": gathered}
    if section.zero_stage:
        return _by_deepspeed(sizes, section)
    return parts | {"gathered": sizes.trained}  # DDP's buckets of gradients


def _by_deepspeed(sizes: Sizes, section: DistributedSection) -> Mapping[str, float]:
    """Its optimizer steps on a copy in float32 of its part of what is trained. ZeRO-3 may have as
    many weights whole as are in use soon, and the next ones once more, as they came."""
    share, stage = 1 / section.processes, section.zero_stage
    live = min(sizes.weights, most(section, "stage3_max_live_parameters"))
    ahead = min(sizes.weights, most(section, "stage3_prefetch_bucket_size"))
    parts = {
        "weights": sizes.weights if stage < 3 else sizes.weights * share,
        "gradients": sizes.trained if stage < 2 else sizes.trained * share,
        "optimizer": (sizes.optimizer + sizes.trained) * share,
        "gathered": (0.0, bucket_of(sizes, section), 0.0, live + ahead)[stage],
    }
    away = {"none": (), "optimizer": ("optimizer",), "all": ("optimizer", "weights")}
    return parts | dict.fromkeys(away[section.offload], 0.0)


def bucket_of(sizes: Sizes, section: DistributedSection, *, reserved: bool = False) -> float:
    """Bytes of the bucket that gradients are reduced in: what is used of it, or where memory is
    `reserved` as it is asked for, all of it."""
    whole = most(section, "reduce_bucket_size")
    return whole if reserved else min(sizes.trained, whole)


def most(section: DistributedSection, option: str) -> float:
    """Bytes of one of DeepSpeed's limits, as the recipe or its default has it."""
    said = section.zero_optimization.get(option, DEFAULTS[option])
    return WIDTH * float(DEFAULTS[option] if isinstance(said, str) else said)


def _bytes(parameters: list[Any]) -> float:
    return float(sum(p.numel() * p.element_size() for p in parameters))


def _blocks(model: Any) -> list[Any]:
    """The layers, whatever the model calls them: its longest list of modules."""
    from torch import nn

    lists: list[list[Any]] = [
        list(module) for module in layers(model).modules() if isinstance(module, nn.ModuleList)
    ]
    return max(lists, key=len, default=[])


def _packed(model: Any) -> set[int]:
    from torch import nn

    head = model.get_output_embeddings()
    maps = (module for module in model.modules() if isinstance(module, nn.Linear))
    return {id(m.weight) for m in maps if m is not head and not m.weight.requires_grad}
