"""What a stage of reinforcement did."""

from dataclasses import dataclass
from pathlib import Path

from tesuji.core.files import write_json
from tesuji.learners.rl.training_state import Memory


@dataclass(frozen=True, slots=True)
class RLSummary:
    """What the stage did; written to `training.json`. Seconds are of this process alone."""

    steps: int
    seconds: float
    matches: int
    tokens: int
    parameters: int
    trainable_parameters: int
    stopped_because: str
    best_step: int
    best_score: float | None
    device: str

    def write(self, out: Path) -> None:
        """Put it into the stage's folder."""
        write_json(out / "training.json", {name: getattr(self, name) for name in self.__slots__})


def why_ended(memory: Memory, use_best: bool) -> str:
    """In words for people."""
    if memory.stopped:
        return f"the certificate held at step {memory.step}"
    return f"all steps done; step {memory.best_step} was best" if use_best else "all steps done"
