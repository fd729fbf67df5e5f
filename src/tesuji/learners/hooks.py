"""What a caller of any learner wants to hear, and what it decides, while training runs.

hooks = Hooks(on_step=lambda done, total, note: print(f"{done}/{total} {note}"))
train_rl(stage, policy, ..., hooks=hooks)
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hooks:
    """`on_step(done, total, note)` after every step, `note` being what is to be read
    beside it (`loss 0.412`), or nothing; `say(text)` for what happens in between.

    `evaluate(step)` gives metrics, among them `score`, higher being better. `stop_when(step)` is
    asked every `stop_check_steps` and at the last step; True ends the training.
    """

    on_step: Callable[[int, int, str], None] = lambda done, total, note: None
    say: Callable[[str], None] = lambda text: None
    evaluate: Callable[[int], dict[str, float]] | None = None
    stop_when: Callable[[int], bool] | None = None
