"""METHODOLOGY.md: how a data set was made, written from what was really done.

For a competition that asks how its training data came about, and for oneself a year later. Every
number is one of `dataset_statistics.json`; nothing is said of a step that did not run.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tesuji.datasets.describe.card import counts_table, plain
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
HEURISTIC = ("quality", "judge")


def methodology(stage: LogsStage, stats: Mapping[str, Any]) -> str:
    """The page."""
    parts = [
        *_head(stage, stats),
        *_sources(stage, stats),
        *_rules(stage, stats),
        *_split(stage, stats),
        *_pairs(stage, stats),
        *_prompts(stage, stats),
        *_versions(stats),
    ]
    return "\n".join(parts) + "\n"


def _head(stage: LogsStage, stats: Mapping[str, Any]) -> Iterator[str]:
    yield f"# How {plain(stats['name'])} was made\n"
    yield f"Compliance mode: **{stage.compliance}**.\n"
    used = heuristics(stage)
    if used:
        yield f"Heuristics were used: {', '.join(used)}."
    else:
        yield (
            "No heuristic about the quality of a reply, and no model, decided anything: rows were "
            "selected by what the logs say about outcome and legality, by phase where a rule below "
            "says so, and otherwise only counted, made distinct, balanced or drawn by the seed."
        )
    if stage.compliance != "strict":
        yield (
            "\n`quality_score` in `final/` is the score of a rule about form, written down for "
            "replies in free text."
        )
    if stage.compliance == "strict":
        yield "Under `compliance: strict` a recipe that asks for one is refused before it starts."


def heuristics(stage: LogsStage) -> list[str]:
    """What of this stage judges replies by something else than outcome and rules."""
    judged = stage.pairs is not None and "judge" in stage.pairs.by
    used = ["a rule about the form of replies (`select.quality`)"] if stage.select.quality else []
    return used + (["a judge model (`pairs.by: judge`)"] if judged else [])


def _sources(stage: LogsStage, stats: Mapping[str, Any]) -> Iterator[str]:
    read = stats["imported"]
    yield "\n## Sources\n"
    for source in stats["sources"]:
        yield f"- {plain(source)}"
    if stats.get("made"):
        planted = ", ".join(f"{plain(name)} {count:,}" for name, count in stats["made"].items())
        yield f"\nThese games were played by scripts for this data set; planted in them: {planted}."
    yield (
        f"\n{read['files']:,} files with {read['read']:,} records: {read['accepted']:,} taken "
        f"({read['episodes']:,} games or views of games with {read['turns']:,} turns, "
        f"{read['pairs']:,} preference pairs), {read['rejected']:,} not. Games left out by default "
        f"and taken here all the same: {', '.join(stage.include) or 'none'}."
    )
    for title, key in (("Kinds of records", "by_kind"), ("Not taken", "rejected_by_reason")):
        if read[key]:
            yield f"\n{title}:\n\n" + counts_table(read[key])


def _rules(stage: LogsStage, stats: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Selection\n\nRules in the order in which they were applied.\n"
    yield "| rule | dropped | left | why |\n|---|---:|---:|---|"
    for rule in stats["rules"]:
        why = ", ".join(f"{plain(k)} {v:,}" for k, v in rule.get("why", {}).items() if k)
        yield f"| {plain(rule['rule'])} | {rule['dropped']:,} | {rule['left']:,} | {why} |"
    yield ""
    for rule in stats["rules"]:
        if meaning := _meaning(rule["rule"], stage):
            yield f"- `{rule['rule']}`: {meaning}"


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


def _split(stage: LogsStage, stats: Mapping[str, Any]) -> Iterator[str]:
    matches = stats["matches"]
    yield "\n## Split\n"
    yield (
        f"By match, never by row: {matches['held_out']:,} of {matches['all']:,} matches (share "
        f"{stage.held_out:g}, drawn by seed {stats['seed']}) are kept out of training with all "
        f"their rows and pairs. {stats['train_rows']:,} rows to learn from, "
        f"{stats['held_out_rows']:,} held out, of which "
        f"{stats['held_out_rows_with_a_prompt_of_training']:,} have a prompt that also occurs in "
        "a match of training."
    )


def _pairs(stage: LogsStage, stats: Mapping[str, Any]) -> Iterator[str]:
    pairs = stats["pairs"]
    if not pairs["by_near"] and not pairs["dropped"]:
        return
    yield "\n## Preference pairs\n"
    if stage.pairs is not None:
        yield f"Asked for: {', '.join(stage.pairs.by)}, near: {stage.pairs.near}.\n"
    for by in dict.fromkeys(name.partition("/")[0] for name in pairs["by_near"]):
        yield f"- `{by}`: {PAIRED.get(by, 'as the log says')}."
    yield "\n" + counts_table(pairs["by_near"])
    dropped = ", ".join(f"{name} {count:,}" for name, count in pairs["dropped"].items())
    yield f"\nLeft out: {dropped or 'none'}."
    yield (
        f"Chosen replies have {pairs['mean_characters_chosen']:,} characters on average, rejected "
        f"ones {pairs['mean_characters_rejected']:,}."
    )


def _prompts(stage: LogsStage, stats: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Prompts\n"
    yield (
        "Where a log holds the messages that were replied to, they are the prompt. Elsewhere it is "
        "made of what the player had been shown by then, in this form:\n"
    )
    for game, phase in _games(stats):
        yield "    system: " + " ".join(instruction(game, "ROLE", phase).split())
        text = situation(" ".join(phase.split()), 0, "...").replace("\n", "\n    ")
        yield f"    user: {text}\n"
    if stage.pairs is not None and "judge" in stage.pairs.by:
        question = JUDGE_ASKED.replace("\n", "\n    ")
        yield f"The judge ({plain(stage.pairs.judge.model)}) was asked:\n\n    {question}\n"


def _games(stats: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(game, phase) of the prompts there are: each phase of the game of most rows."""
    game = next(iter(stats["games"]), "")
    phases = [name for name in stats["phases"] if name != "none"] or [""]
    return [(game, phase) for phase in phases if game]


def _versions(stats: Mapping[str, Any]) -> Iterator[str]:
    yield "\n## Versions\n"
    for name, version in stats["versions"].items():
        yield f"- {name} {version}"
    yield f"- seed {stats['seed']}"
