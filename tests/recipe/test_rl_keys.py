"""Keys of an RL stage that mean nothing beside the others are refused, with the reason; what does
no harm because nobody wrote it is not."""

from pathlib import Path
from typing import Any

import pytest
from made_recipes import recipe_of
from pydantic import ValidationError

from tesuji.core.errors import RecipeError
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import GrpoStage, PpoStage, ReinforceStage, RLStage

ALL = ("grpo", "ppo", "reinforce++")
REFUSED: list[tuple[tuple[str, ...], dict[str, Any], str]] = [
    (ALL, {"target_kl": 0.1}, "target_kl steers the KL in the reward: add kl_in: reward"),
    (ALL, {"target_kl": 0.1, "beta": 0.1}, "add kl_in: reward"),
    (ALL, {"target_kl": 0.1, "kl_in": "reward"}, "beta"),
    (ALL, {"kl_in": "reward"}, "kl_in says where the KL counts: give beta a value"),
    (ALL, {"kl_in": "reward", "beta": 0.1, "kl_horizon": 50}, "kl_horizon .* add target_kl"),
    (ALL, {"sync_ref_model": True}, "sync_ref_model .* needs beta above 0"),
    (ALL, {"beta": 0.1, "ref_model_sync_steps": 2}, "ref_model_sync_steps .* sync_ref_model"),
    (ALL, {"beta": 0.1, "ref_model_mixup_alpha": 0.1}, "ref_model_mixup_alpha .* sync_ref_model"),
    (ALL, {"entropy_coef_final": 0.1}, "entropy_coef_final is where entropy_coef ends"),
    (ALL, {"eval_episodes": 5}, "eval_episodes .* add eval_steps"),
    (ALL, {"stop_check_steps": 5}, "stop_check_steps .* add stop_when"),
    (ALL, {"adamw_learning_rate": 1e-3}, "adamw_learning_rate .* add optimizer: muon"),
    (ALL, {"play": {"snapshot_steps": 2}}, "snapshot_steps .* add `snapshot` to opponents"),
    (ALL, {"play": {"snapshots": 2}}, "snapshots .* add `snapshot` to opponents"),
    (ALL, {"batch_size": 9, "num_generations": 2}, "batch_size must be a multiple"),
    (("grpo",), {"dr_grpo": True, "loss_type": "trace"}, "loss_type .* dr_grpo another"),
    (("grpo",), {"dr_grpo": True, "scale_rewards": "group"}, "dr_grpo is GRPO without"),
    (("grpo",), {"dr_grpo": True, "num_generations": 1}, "dr_grpo compares within a group"),
    (
        ("grpo",),
        {"scale_rewards": "group", "num_generations": 1},
        "scale_rewards compares within a group",
    ),
    (("grpo",), {"gamma": 0.9, "credit": "trajectory"}, "gamma discounts from turn to turn"),
    (("ppo",), {"gamma": 0.0, "gae_lambda": 0.9}, "gae_lambda counts later turns"),
    (("ppo",), {"vf_coef": 0.0, "clip_range_vf": 0.5}, "clip_range_vf .* vf_coef"),
    (("ppo",), {"vf_coef": 0.0, "value_grad": 0.5}, "value_grad .* vf_coef"),
    (("ppo",), {"vf_coef": 0.0, "value_learning_rate": 0.5}, "value_learning_rate .* vf_coef"),
    (("ppo",), {"vf_coef": 0.0, "critic_warmup_steps": 1}, "critic_warmup_steps .* vf_coef"),
]
MEANT: list[tuple[tuple[str, ...], dict[str, Any]]] = [
    (ALL, {"kl_in": "reward", "beta": 0.1, "target_kl": 0.1, "kl_horizon": 50}),
    (
        ALL,
        {
            "beta": 0.1,
            "sync_ref_model": True,
            "ref_model_sync_steps": 3,
            "ref_model_mixup_alpha": 0.1,
        },
    ),
    (ALL, {"entropy_coef": 0.0, "entropy_coef_final": 0.1}),
    (ALL, {"entropy_coef": 0.1, "entropy_coef_final": 0.0}),
    (ALL, {"eval_steps": 1, "eval_episodes": 5}),
    (ALL, {"optimizer": "muon", "adamw_learning_rate": 1e-3}),
    (ALL, {"load_best_model_at_end": False}),
    (ALL, {"play": {"opponents": ["snapshot", "random"], "snapshot_steps": 2}}),
    (
        ALL,
        {"play": {"snapshots": 2, "curriculum": [{"name": "own", "opponents": ["snapshot"]}]}},
    ),
    (("grpo",), {"dr_grpo": True}),
    (("grpo",), {"loss_type": "trace", "num_generations": 1}),
    (("grpo",), {"gamma": 0.9}),
    (("ppo",), {"vf_coef": 0.0, "clip_range_vf": None}),
    (("ppo",), {"critic_warmup_steps": 2}),
]
OF_ANOTHER_KIND = {
    "gae_lambda": "ppo",
    "vf_coef": "ppo",
    "clip_range_vf": "ppo",
    "critic": "ppo",
    "value_learning_rate": "ppo",
    "critic_warmup_steps": "ppo",
    "scale_rewards": "grpo",
    "credit": "grpo",
    "dr_grpo": "grpo",
}


@pytest.mark.parametrize(("kinds", "keys", "words"), REFUSED)
def test_keys_that_mean_nothing_together_are_refused(
    kinds: tuple[str, ...], keys: dict[str, Any], words: str
) -> None:
    for kind in kinds:
        with pytest.raises(ValidationError, match=words):
            recipe_of(kind, **keys)


@pytest.mark.parametrize(("kinds", "keys"), MEANT)
def test_keys_that_mean_something_are_not(kinds: tuple[str, ...], keys: dict[str, Any]) -> None:
    for kind in kinds:
        recipe_of(kind, **keys)


@pytest.mark.parametrize("kind", ALL)
def test_a_recipe_written_out_in_full_is_read_again(kind: str) -> None:
    recipe = recipe_of(kind)
    assert Recipe.model_validate(recipe.model_dump(mode="json")) == recipe


@pytest.mark.parametrize("key", OF_ANOTHER_KIND)
def test_a_key_of_another_kind_of_stage_says_whose_it_is(key: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(
        "name: odd\ngame: tic_tac_toe\nmodel: {base: tiny}\n"
        f"stages:\n  rl:\n    kind: reinforce++\n    {key}: 1\n"
    )
    with pytest.raises(RecipeError, match="unknown key") as caught:
        load_recipe(str(path))
    assert f"stages.{OF_ANOTHER_KIND[key]}.{key}" in str(caught.value)


def test_every_key_of_the_stages_is_known_to_these_tables() -> None:
    """A new key is put into a table above, or here among those that always mean something."""
    always = {
        *("kind", "play", "rewards", "max_steps", "batch_size", "num_generations", "max_length"),
        *("num_iterations", "num_mini_batches", "micro_batch_tokens", "share_prompts"),
        *("learning_rate", "optimizer", "betas", "lr_scheduler_type", "warmup_steps"),
        *("weight_decay", "max_grad_norm", "gradient_checkpointing", "logging_steps"),
        *("save_steps", "save_total_limit", "beta", "clip_range", "clip_range_high", "dual_clip"),
        *("entropy_coef", "whiten_advantages", "ema_decay", "eval_steps", "stop_when"),
        *("load_best_model_at_end", "gae_lambda", "vf_coef", "critic", "credit"),
        "max_staleness",
    }
    tabled = {key for _, keys, _ in REFUSED for key in keys}
    stages: tuple[type[RLStage], ...] = (GrpoStage, PpoStage, ReinforceStage)
    known = {key for stage in stages for key in stage.model_fields}
    assert known == always | tabled
