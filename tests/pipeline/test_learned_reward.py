"""A chain whose last stage plays for what a reward model of its own says of the replies."""

import json
from pathlib import Path
from typing import Any

import pytest
from made_recipes import TINY

from tesuji.pipeline.run import run_recipe
from tesuji.recipe.schema.recipe import Recipe


def chain(kind: str, play: dict[str, Any]) -> Recipe:
    """Pairs of moves, a reward model trained on them, play for its scores."""
    training = {"max_steps": 2, "batch_size": 8, "save_steps": 2}
    return Recipe.model_validate(
        {
            "name": "pleased",
            "seed": 3,
            "game": "tic_tac_toe",
            "model": {"base": "tiny", "tiny": TINY},
            "prompt": {"style": "compact", "answer": "id"},
            "sampling": {"max_new_tokens": 3},
            "stages": {
                "data": {
                    "positions": "sampled",
                    "num_positions": 40,
                    "oracle": "minimax",
                    "pairs": "all",
                },
                "reward": {**training, "max_length": 64},
                "play": {
                    **training,
                    "kind": kind,
                    "num_generations": 2,
                    "rewards": {"reward_model": 1.0, "legal": 0.5},
                    "play": play,
                },
            },
            "evaluation": {"opponents": ["random"], "episodes": 2, "positions": 0, "before": False},
        }
    )


@pytest.mark.parametrize(
    ("kind", "play"),
    [
        ("grpo", {"opponents": ["random"], "opening_moves": 2}),
        ("ppo", {"opponents": ["self", "snapshot"], "snapshot_steps": 1}),
    ],
)
def test_a_learned_reward_stands_beside_the_success_of_random_play(
    kind: str, play: dict[str, Any], tmp_path: Path
) -> None:
    outcome = run_recipe(chain(kind, play), tmp_path)
    lines = (outcome.folder / "metrics.jsonl").read_text().splitlines()
    rows = [row for row in map(json.loads, lines) if row["stage"] == "play"]
    assert [row["step"] for row in rows] == [1, 2]
    assert all(row["reward/reward_model"] != 0 for row in rows)
    assert 0 < rows[-1]["random/success"] < 1
