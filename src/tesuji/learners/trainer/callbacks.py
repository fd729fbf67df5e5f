"""What happens beside a trainer's steps: logging, progress, looking whether it is time to stop."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from tesuji.core.checksums import CARD, seal
from tesuji.core.files import write_json
from tesuji.core.metric_log import MetricLog, TextLog
from tesuji.learners.distributed import is_main, wait

CLOCK = ("train_runtime", "train_tokens_per_second", "num_input_tokens_seen")


class LogMetrics(TrainerCallback):
    """Sends what the trainer logs to the metric log and the text log."""

    def __init__(self, stage: str, metrics: MetricLog, text: TextLog) -> None:
        self.stage, self.metrics, self.text = stage, metrics, text

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Write one line to each; the closing summary of the trainer is left out."""
        values = {key: float(value) for key, value in (logs or {}).items() if key not in CLOCK}
        if "train_loss" in values:
            return
        self.metrics.log(self.stage, state.global_step, values)
        self.text.step(state.global_step, values)


class Seal(TrainerCallback):
    """Writes the checksums of every checkpoint, last."""

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Seal what every process has written just now, without PEFT's draft of a card."""
        wait()
        if is_main():
            self._seal(args, state)
        wait()

    def _seal(self, args: Any, state: Any) -> None:
        checkpoint = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        (checkpoint / CARD).unlink(missing_ok=True)
        seal(checkpoint)


class ShowProgress(TrainerCallback):
    """Tells `on_step(done, total, note)` after every optimizer step, the latest loss beside it."""

    def __init__(self, on_step: Callable[[int, int, str], None]) -> None:
        self.on_step = on_step
        self.note = ""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        """Remember the latest loss."""
        if logs and "loss" in logs:
            self.note = f"loss {logs['loss']:.3f}"

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Report the step."""
        self.on_step(state.global_step, state.max_steps, self.note)


class StopWhen(TrainerCallback):
    """Asks `question()` every `every` steps and at the last one, and stops at the first yes.

    The step is written to `mark` and a checkpoint is asked for: should the process die before
    the stage is finished, the next one knows that nothing is left to train.
    """

    def __init__(self, question: Callable[[int], bool], every: int, mark: Path) -> None:
        self.question, self.every, self.mark = question, every, mark

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask, when it is time to."""
        due = state.global_step % self.every == 0 or state.global_step >= state.max_steps
        if due and self.question(state.global_step):
            if is_main():
                write_json(self.mark, {"step": state.global_step})
            control.should_save = control.should_training_stop = True
