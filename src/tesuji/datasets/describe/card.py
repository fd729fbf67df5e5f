"""The card of a data set, as the Hugging Face Hub shows it: YAML for machines, then facts."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from tesuji.datasets.describe.page import render

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
    return render("card.md.j2", front=front, splits=SPLITS, stats=stats)


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
