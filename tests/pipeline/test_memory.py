"""What a step's models took is given back before the next step begins."""

import gc
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedModel

from tesuji.pipeline import run
from tesuji.pipeline.steps.run_step import run_step
from tesuji.recipe.schema.recipe import Recipe

TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 32,
}
SHORT = {"max_steps": 2, "batch_size": 4}
CHAIN = {
    "name": "chain",
    "game": "tic_tac_toe",
    "model": {"tiny": TINY, "lora": {"r": 4}},
    "prompt": {"style": "compact", "answer": "id"},
    "sampling": {"max_new_tokens": 2, "legal_only": True},
    "stages": {
        "data": {"positions": "sampled", "num_positions": 30, "pairs": "all", "held_out": 0.2},
        "sft": SHORT,
        "dpo": SHORT,
        "reward": SHORT,
        "ppo": SHORT | {"critic": "reward_model", "rewards": {"reward_model": 1.0}},
    },
    "evaluation": {"opponents": ["random"], "episodes": 2, "positions": 0, "before": False},
}


def models() -> int:
    return sum(isinstance(thing, PreTrainedModel) for thing in gc.get_objects())


def test_no_model_is_left_from_step_to_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = {}

    def counted(step: Any, *rest: Any) -> None:
        run_step(step, *rest)
        left[step.name] = models() - before

    monkeypatch.setattr(run, "run_step", counted)
    gc.collect()
    before = models()
    gc.disable()  # nothing is found by chance
    try:
        run.run_recipe(Recipe.model_validate(CHAIN), tmp_path)
    finally:
        gc.enable()
    assert left == dict.fromkeys((*CHAIN["stages"], "after"), 0)
