"""A training made shorter on the command line: what counts in its steps goes with it.

`tesuji run tictactoe/tiny stages.sft.max_steps=5` is a first try. The recipe's own warm-up of 50 in
600 steps becomes as large a share of 5, and a look every 20 steps one at the end. What is written
on the command line itself is left as it is, and so is what meant nothing before.
"""

from collections.abc import Callable, Collection
from typing import Any

from tesuji.recipe.reading.yaml_lines import KeyPath

STEPS = "max_steps"
WARM_UPS = ("warmup_steps", "critic_warmup_steps")


def steps_of(recipe: dict[str, Any]) -> dict[str, int]:
    """The `max_steps` that the stages have of themselves, by the stage's name."""
    stages = recipe.get("stages")
    named = stages.items() if isinstance(stages, dict) else ()
    steps = {n: s[STEPS] for n, s in named if isinstance(s, dict) and _is_count(s.get(STEPS))}
    return {str(name): count for name, count in steps.items()}


def follow_steps(
    recipe: dict[str, Any],
    old: dict[str, int],
    touched: Collection[KeyPath],
    say: Callable[[str], None],
) -> None:
    """Where a command line lowered a stage's `max_steps`, lower what the file says in steps, and
    tell it. `old`: `steps_of` before; `touched`: the key paths that the command line set."""
    for name, now in steps_of(recipe).items():
        before = old.get(name, 0)
        if ("stages", name, STEPS) not in touched or now >= before:
            continue
        stage = recipe["stages"][name]
        for key, value in _fitting(stage, before, now).items():
            if ("stages", name, key) not in touched and stage[key] != value:
                say(f"stages.{name}.{key}: {stage[key]} becomes {value}, for {now} steps")
                stage[key] = value


def _fitting(stage: dict[str, Any], before: int, now: int) -> dict[str, int]:
    """What stands in steps there and made sense for `before` of them, for `now` steps."""
    counts = {key: value for key, value in stage.items() if _is_count(value)}
    fitting = {key: counts[key] * now // before for key in WARM_UPS if key in counts}
    fitting = {key: value for key, value in fitting.items() if value < now}
    every, patience = counts.get("eval_steps", before + 1), counts.get("early_stopping_patience", 0)
    if every <= before:
        fitting["eval_steps"] = min(every, now)
        if 0 < patience * every <= before:
            fitting["early_stopping_patience"] = min(patience, now // fitting["eval_steps"])
    return fitting


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
