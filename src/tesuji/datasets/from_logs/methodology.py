"""METHODOLOGY.md: how a data set was made, written from what was really done.

For a competition that asks how its training data came about, and for oneself a year later. Every
number is one of `dataset_statistics.json`; nothing is said of a step that did not run.
"""

from collections.abc import Mapping
from typing import Any

from tesuji.datasets.describe.page import render
from tesuji.datasets.from_logs.prompts import instruction, situation
from tesuji.datasets.from_logs.strategy_words import INDICATORS
from tesuji.datasets.judge import ASKED as JUDGE_ASKED
from tesuji.recipe.schema.data import LogsStage

MEANING = {
    "a reply that is not empty": "Turns without any reply give nothing to learn.",
    "seats: winners": "Only turns of players whose side won, as the log itself tells the outcome, "
    "and not by another player's illegal reply.",
    "legal": "Only replies in which the game finds a legal move.",
    "decisive_votes": "Of the votes, only those for the player who was then voted out, as the game "
    "told the voter at its next turn (`[GAME] Player N was eliminated by vote.`).",
    "phases": "Only the phases that the recipe names.",
    "deduplicate": "One row of several with the same prompt and the same reply.",
    "max_rows_per_game": "A cap on the rows of one match, drawn by the seed.",
    "max_rows": "A cap on all rows, drawn by the seed.",
}
PAIRED = {
    "outcome": "the reply of a player whose side won over that of one whose side did not",
    "legality": "a legal reply over one in which the game found no legal move",
    "oracle": "a solver's decision, as the log gives it, over another legal one drawn by the seed",
    "judge": "the reply that a judge model preferred in both orders",
    "log": "as the log gives the pair",
}


def methodology(stage: LogsStage, stats: Mapping[str, Any]) -> str:
    """The page."""
    judged = stage.pairs is not None and "judge" in stage.pairs.by
    return render(
        "methodology.md.j2",
        stage=stage,
        stats=stats,
        heuristics=heuristics(stage),
        meaning=lambda rule: _meaning(rule, stage),
        paired=PAIRED,
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


def _meaning(rule: str, stage: LogsStage) -> str:
    select = stage.select
    if rule == "phases":
        return f"{MEANING[rule]} They are: {', '.join(select.phases)}."
    if rule == "quality":
        return (
            f"Of replies in free text, those with at least {select.min_characters} characters, "
            f"{select.min_indicators} of the words {', '.join(INDICATORS)}, and a score of "
            f"{select.min_score}: 0.5 + 0.05 a word (at most 0.3) + characters/1000 (at most 0.2) "
            "+ 0.1 for a win + 0.05 a word of the role (at most 0.1). A heuristic about form."
        )
    if rule.startswith("balance"):
        return "Rows of the larger classes left out, drawn by the seed."
    return MEANING.get(rule, "")


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _games(stats: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(game, phase) of the prompts there are: each phase of the game of most rows."""
    game = next(iter(stats["games"]), "")
    phases = [name for name in stats["phases"] if name != "none"] or [""]
    return [(game, phase) for phase in phases if game]
