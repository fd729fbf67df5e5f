"""What a training did, in a file and in words: the fields that every kind of training has."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tesuji.core.files import write_json
from tesuji.learners.trainer.trainer import why_stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSummary:
    """Written to `training.json`. `seconds` are of training alone, in this process; `tokens` those
    learned from; `parameters` all of the model's; `dtype` is what most of it is in."""

    steps: int
    seconds: float
    tokens: int
    parameters: int
    trainable_parameters: int
    stopped_because: str
    device: str
    dtype: str

    def as_json(self) -> dict[str, Any]:
        """The summary as `training.json` holds it."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def in_words(self) -> str:
        """One line for the screen."""
        return f"{self.steps:,} steps in {self.seconds:.0f} s; {self.stopped_because}"

    def write(self, out: Path) -> None:
        """Put it into the stage's folder."""
        write_json(out / "training.json", self.as_json())


def cut_words(cut: int, rows: int) -> tuple[str, ...]:
    """What is said of `cut` prompts of `rows` that lost their beginning to the length limit, with a
    warning where they are most."""
    most = f"most of them were cut ({cut:,} of {rows:,}), so they are not what they were: write "
    words = f"prompts that lost their beginning: {cut:,}", f"{most}max_length: auto"
    return words if 2 * cut > rows else words[:1] if cut else ()


def model_facts(model: Any) -> dict[str, Any]:
    """The fields of a summary that the model itself knows."""
    sizes = [(getattr(p, "ds_numel", p.numel()), p.requires_grad) for p in model.parameters()]
    return {
        "parameters": sum(size for size, _ in sizes),
        "trainable_parameters": sum(size for size, trained in sizes if trained),
        "device": str(model.device),
        "dtype": str(model.dtype).removeprefix("torch."),
    }


def trainer_facts(trainer: Any, out: Path, seconds: float) -> dict[str, Any]:
    """Those that a trainer of transformers knows which has ended in `out`, its model's too."""
    return {
        "steps": trainer.state.global_step,
        "seconds": round(seconds, 2),
        "stopped_because": why_stopped(trainer, out),
        **model_facts(trainer.model),
    }
