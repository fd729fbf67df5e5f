"""Sections that people bring from projects of their own: what to rent at Modal, vLLM's settings,
Weights & Biases."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from tesuji.recipe.schema.sections import Different, Section, Text


class ModalGpuSection(Section):
    """The GPUs of a container."""

    count: int = Field(1, ge=1, le=8)
    """How many."""
    type: Text
    """Which, as Modal calls them: `L4`, `A100-40GB`, `H100`, ..."""


class ModalSection(Section):
    """What `tesuji launch --on modal` asks for where its options say nothing. Nothing else reads
    it, and no result depends on it."""

    cpus: float | None = Field(None, gt=0, le=1_024)
    """Cores."""
    memory: int | None = Field(None, ge=128, le=10_000_000)
    """Memory in MB (of 1,048,576 bytes), as Modal takes it."""
    gpu: ModalGpuSection | None = None
    """Which GPUs, and how many; none: no GPU."""
    timeout: int | None = Field(None, ge=60, le=86_400)
    """Seconds after which the run is stopped, with a checkpoint."""


class VllmSection(Section):
    """vLLM's settings under its own names: short for these keys of `sampling`, with `engine: vllm`.
    What `sampling` says otherwise is refused."""

    gpu_memory_utilization: float | None = Field(None, gt=0.0, le=1.0)
    """`sampling.gpu_memory_utilization`."""
    max_model_len: int | None = Field(None, ge=16, le=10_000_000)
    """`sampling.max_model_len`."""
    tensor_parallel_size: int | None = Field(None, ge=1, le=1_024)
    """`sampling.tensor_parallel_size`."""
    temperature: float | None = Field(None, gt=0.0, le=100)
    """`sampling.temperature`."""
    top_p: float | None = Field(None, gt=0.0, le=1.0)
    """`sampling.top_p`."""
    max_tokens: int | None = Field(None, ge=1, le=1_000_000)
    """`sampling.max_new_tokens`."""


OTHERWISE = {"max_tokens": "max_new_tokens"}  # what `sampling` calls otherwise


class WandbSection(Section):
    """Weights & Biases: reports there, as `report_to: wandb`."""

    project: Text = "tesuji"
    """The project."""
    name: Text | None = None
    """The run's name there; default: the recipe's."""
    run_name: Text | None = None
    """Another word for `name`."""
    entity: Text | None = None
    """Whose project it is: a user or a team."""
    tags: Annotated[list[Text], Different] = []
    """Tags of the run."""

    @model_validator(mode="after")
    def _one_name(self) -> "WandbSection":
        if self.name and self.run_name and self.name != self.run_name:
            raise ValueError(f"name {self.name!r} and run_name {self.run_name!r} mean the same")
        return self

    def options(self) -> dict[str, Any]:
        """What `wandb.init` is told."""
        said = {"name": self.name or self.run_name, "entity": self.entity, "tags": self.tags}
        return {"project": self.project, **{key: value for key, value in said.items() if value}}


def with_vllm(sampling: Any, vllm: Mapping[str, Any]) -> Any:
    """A recipe file's `sampling` with what its `vllm` says and it does not."""
    if sampling is not None and not isinstance(sampling, dict):
        return sampling
    return _of_sampling(vllm) | (sampling or {})


def refuse_different(sampling: Section, vllm: VllmSection) -> None:
    """Raise ValueError where `sampling` says otherwise than `vllm`."""
    for key, value in _of_sampling(vllm.model_dump()).items():
        if (other := getattr(sampling, key)) != value:
            raise ValueError(f"it says {key} {value!r}, and sampling.{key} is {other!r}")


def _of_sampling(vllm: Mapping[str, Any]) -> dict[str, Any]:
    given = {OTHERWISE.get(key, key): value for key, value in vllm.items() if value is not None}
    return {"engine": "vllm", **given}
