"""The card of a data set, as the Hugging Face Hub shows it: YAML for machines, then facts."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
SPLITS = (
    ("sft", "train", "train.jsonl", "train_rows"),
    ("sft", "held_out", "held_out.jsonl", "held_out_rows"),
    ("preference", "train", "pairs.jsonl", "train_pairs"),
    ("preference", "held_out", "held_out_pairs.jsonl", "held_out_pairs"),
    ("prompts", "train", "prompts.jsonl", "train_prompts"),
    ("prompts", "held_out", "held_out_prompts.jsonl", "held_out_prompts"),
)


def card(stats: Mapping[str, Any]) -> str:
    """README.md from what `dataset_statistics.json` holds."""
    front = yaml.safe_dump(front_matter(stats), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n" + "\n".join(_body(stats))


def front_matter(stats: Mapping[str, Any]) -> dict[str, Any]:
    """What the Hub reads. No license is named: that is for the owner of the logs to say."""
    configs: dict[str, list[dict[str, str]]] = {}
    for config, split, file, count in SPLITS:
        if stats.get(count):
            configs.setdefault(config, []).append({"split": split, "path": file})
    rows = sum(stats.get(count, 0) for *_, count in SPLITS)
    size = next((name for limit, name in SIZES if rows < limit), "n>1M")
    return {
        "pretty_name": stats["name"],
        "language": ["en"],
        "task_categories": ["text-generation"],
        "tags": ["games", "tesuji", *filter(None, map(_tag, stats.get("games", {})))],
        "size_categories": [size],
        "configs": [
            {"config_name": config, "data_files": files} for config, files in configs.items()
        ],
    }


def _tag(game: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", game.lower()).strip("-")


def _body(stats: Mapping[str, Any]) -> Iterator[str]:
    yield f"# {plain(stats['name'])}\n"
    yield "Rows for language models that play games, made by Tesuji.\n"
    yield "| config | split | rows |\n|---|---|---:|"
    for config, split, _, count in SPLITS:
        if stats.get(count):
            yield f"| {config} | {split} | {stats[count]:,} |"
    if matches := stats.get("matches"):
        yield (
            f"\nThe split is by match: {matches['held_out']:,} of {matches['all']:,} matches are "
            "held out, with all their rows and pairs."
        )
    for name in ("games", "roles", "outcomes", "phases", "types"):
        if table := stats.get(name):
            yield f"\n## {name.capitalize()}\n\n" + counts_table(table)
    for type_, table in (stats.get("label_balance") or {}).items():
        if isinstance(table, Mapping):
            yield f"\n## Labels: {plain(type_)}\n\n" + counts_table(table)
    if lengths := stats.get("reply_characters"):
        quantiles = ", ".join(f"{name} {value:,}" for name, value in lengths.items())
        yield f"\n## Length of replies\n\nCharacters, by quantile: {quantiles}."
    if pairs := stats.get("pairs"):
        yield "\n## Pairs\n\nBy who preferred and how near the two situations are.\n"
        yield counts_table(pairs.get("by_near", {}))
        yield _lengths(pairs)
    if warnings := stats.get("warnings"):
        yield "\n## Beware\n\n" + "\n".join(f"- {plain(warning)}" for warning in warnings)
    yield "\n## How it was made\n"
    pointer = "METHODOLOGY.md says it rule by rule; " if stats.get("rules") else ""
    yield f"{pointer}dataset_statistics.json holds all numbers.\n"


def _lengths(pairs: Mapping[str, Any]) -> str:
    return (
        f"\nChosen replies have {pairs['mean_characters_chosen']:,} characters on average, "
        f"rejected ones {pairs['mean_characters_rejected']:,}."
    )


def counts_table(table: Mapping[str, int]) -> str:
    """Names and counts as a Markdown table."""
    lines = [f"| {plain(name)} | {count:,} |" for name, count in table.items()]
    return "\n".join(["| | rows |", "|---|---:|", *lines])


def plain(text: Any) -> str:
    """A text from a log as inert Markdown, one line."""
    return re.sub(r"([\\`*\[\]<>|#~&$!])", r"\\\1", re.sub(r"\s+", " ", str(text)))
