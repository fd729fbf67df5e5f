"""Every shipped recipe runs: two steps of each stage, with a tiny model in a large one's place."""

from pathlib import Path
from typing import Any

import pytest
from places import RECIPES

from tesuji.evaluation.results import load_evaluation
from tesuji.pipeline.run import run_recipe
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.pairs import PairTraining
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import RLStage
from tesuji.recipe.schema.stages import SftStage

NAMES = sorted(str(path.relative_to(RECIPES)) for path in RECIPES.rglob("*.yaml"))
TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 4096,
}


def small(name: str) -> Recipe:
    """The recipe as shipped, but for the model's size and how long everything takes."""
    plain = load_recipe(str(RECIPES / name)).model_dump(mode="json")
    plain["model"] |= {"base": "tiny", "tiny": TINY, "load_in_4bit": False}
    plain |= {"wandb": None, "report_to": []}
    plain["prompt"]["on_illegal"] = "random"
    if plain["game"]["name"] == "prompts":
        plain["prompt"] |= {"max_length": 100, "on_illegal": "forfeit"}
    longest = plain["sampling"]["max_new_tokens"]
    plain["sampling"]["max_new_tokens"] = min(longest, 8)
    positions = min(20, plain["evaluation"]["positions"])
    plain["evaluation"] |= {"episodes": 2, "positions": positions, "rows": 4}
    plain["evaluation"] |= {"before": False, "certificate": False}
    plain["evaluation"] |= {"opponents": [{"player": "random"}], "max_moves": 40}
    for stage in plain["stages"].values():
        _shorten(stage)
    return Recipe.model_validate(plain)


def _shorten(stage: dict[str, Any]) -> None:
    stage.pop("stop_check_steps", None)
    if "warmup_steps" in stage:
        stage |= {"warmup_steps": 0}
    if stage["kind"] == "data":
        stage |= {"positions": "sampled", "num_positions": 20, "held_out_from": "all"}
        stage |= {"held_out": 0.3}
    elif stage["kind"] == "logs":
        kind = "poker" if "oracle" in stage["pairs"]["by"] else "mafia"
        stage |= {"paths": [], "make": {"kind": kind, "games": 12}, "processes": 1}
    elif stage["kind"] in ("dpo", "reward"):
        stage |= {"max_steps": 2, "batch_size": 2, "gradient_accumulation_steps": 1}
        stage |= {"max_length": 1024}
    elif stage["kind"] == "sft":
        stage |= {"max_steps": 2, "batch_size": 4, "stop_when": "never", "max_length": 2000}
    else:
        size = stage["num_generations"]
        stage |= {"max_steps": 2, "batch_size": max(2, size), "stop_when": "never"}
        stage |= {"eval_steps": 2, "eval_episodes": 2, "num_mini_batches": 1}
        stage |= {"critic_warmup_steps": 0} if "critic_warmup_steps" in stage else {}
        stage["play"] |= {"max_moves": 6, "opening_moves": min(2, stage["play"]["opening_moves"])}
        for part in (stage["play"], *stage["play"]["curriculum"]):
            for place, opponent in enumerate(part["opponents"]):
                opponent |= {"simulations": 5 + place} if opponent["player"] == "mcts" else {}


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_recipe_runs_for_two_steps(name: str, tmp_path: Path) -> None:
    recipe = small(name)
    outcome = run_recipe(recipe, tmp_path)
    assert outcome.after is not None
    for place, (stage, section) in enumerate(recipe.stages.items()):
        if isinstance(section, RLStage | SftStage | PairTraining):
            found = list((outcome.folder / "stages").glob(f"*-{stage}"))
            assert found, place
            assert (found[0] / "training.json").exists()
    if (table := recipe.evaluation.game) is not None:  # judged by playing
        looks = [load_evaluation(path) for path in outcome.folder.glob("stages/*/evaluation.json")]
        kinds = {stage.kind for stage in recipe.stages.values()}
        assert len(looks) == len(kinds - {"logs", "reward"})  # a reward model cannot play
        assert {look.game for look in looks if look.matches} == {table.name}
