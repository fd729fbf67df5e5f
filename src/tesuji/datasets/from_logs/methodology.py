"""METHODOLOGY.md: how a data set was made, written from what was really done.

For a competition that asks how its training data came about, and for oneself a year later. Every
number is one of `dataset_statistics.json`; nothing is said of a step that did not run.
"""

from collections.abc import Mapping
from typing import Any

from tesuji.datasets.describe.page import render
from tesuji.datasets.from_logs.strategy_words import INDICATORS
from tesuji.datasets.judge import ASKED as JUDGE_ASKED
from tesuji.games.textarena.log_prompt import instruction, situation
from tesuji.recipe.schema.data import LogsStage


def methodology(stage: LogsStage, stats: Mapping[str, Any]) -> str:
    """The page."""
    judged = stage.pairs is not None and "judge" in stage.pairs.by
    return render(
        "methodology.md.j2",
        stage=stage,
        stats=stats,
        heuristics=heuristics(stage),
        indicators=INDICATORS,
        preferred_by=dict.fromkeys(name.partition("/")[0] for name in stats["pairs"]["by_near"]),
        prompts=[
            (_one_line(instruction(game, "ROLE", phase)), situation(_one_line(phase), 0, "..."))
            for game, phase in _games(stats)
        ],
        judge=JUDGE_ASKED if judged else "",
    )


def heuristics(stage: LogsStage) -> list[str]:
    """What of this stage judges replies by something else than outcome and rules."""
    judged = stage.pairs is not None and "judge" in stage.pairs.by
    used = ["a rule about the form of replies (`select.quality`)"] if stage.select.quality else []
    return used + (["a judge model (`pairs.by: judge`)"] if judged else [])


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _games(stats: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(game, phase) of the prompts there are: each phase of the game of most rows."""
    game = next(iter(stats["games"]), "")
    phases = [name for name in stats["phases"] if name != "none"] or [""]
    return [(game, phase) for phase in phases if game]
