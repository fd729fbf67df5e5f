"""The names of what a step measures: all in one table, which the docs show and runs keep to."""

import re
from pathlib import Path

import pytest
from made_recipes import recipe_of
from places import ROOT

from tesuji.core.files import read_jsonl
from tesuji.learners.rl.metrics import METRICS
from tesuji.pipeline.run import run_recipe

NAMES = [name for names in METRICS for name in names]
EVERYTHING = {
    "max_steps": 4,
    "beta": 0.05,
    "eval_steps": 2,
    "eval_episodes": 2,
    "stop_when": "certificate",
    "stop_check_steps": 2,
    "rewards": {"returns": 1.0, "legal": 0.5},
    "play": {
        "opponents": ["random", "snapshot"],
        "snapshot_steps": 1,
        "failure_replay": {"share": 0.4},
        "curriculum": [{"name": "only", "opponents": ["random", "snapshot"], "threshold": 0.9}],
    },
}
WHERE_NOT = {  # what the estimator of a stage has no use for
    "grpo": {"explained_variance", "value_loss"},
    "ppo": {"zero_variance_groups"},
}


def table(page: str, title: str) -> dict[tuple[str, ...], str]:
    """Names → meaning of the table in one section of a page."""
    section = page.partition(f"\n## {title}")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?`) \| (.+) \|$", section, re.MULTILINE)
    return {tuple(re.findall("`(.+?)`", names)): meaning for names, meaning in rows}


def test_the_docs_show_the_table():
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert table(page, "Reinforcement learning") == METRICS


def known(name: str) -> set[str]:
    """Which names of the table this is one of."""
    return {one for one in NAMES if re.fullmatch(re.escape(one).replace("NAME", ".+"), name)}


@pytest.mark.parametrize("kind", WHERE_NOT)
def test_a_run_logs_what_the_table_names_and_nothing_else(kind: str, tmp_path: Path):
    run_recipe(recipe_of(kind, **EVERYTHING), tmp_path)
    rows = [row for _, row in read_jsonl(tmp_path / "small" / "metrics.jsonl")]
    logged = {name for row in rows if row["stage"] == "rl" for name in row}
    logged -= {"time", "stage", "step"}
    assert [name for name in logged if not known(name)] == []
    assert set(NAMES) - {one for name in logged for one in known(name)} == WHERE_NOT[kind]
