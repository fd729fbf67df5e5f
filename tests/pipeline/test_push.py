"""`tesuji push`, as typed, to a server on 127.0.0.1 that answers as the Hub does."""

from pathlib import Path
from typing import Any

import pytest
from hub_server import TOKEN, run_push, serving

from tesuji.core.files import read_text, write_text
from tesuji.pipeline.run import run_recipe
from tesuji.recipe.schema.recipe import Recipe

TINY = {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run that trained an adapter on a base of its own."""
    recipe = {
        "name": "pushed", "game": "tic_tac_toe",
        "model": {"base": "tiny", "tiny": TINY, "lora": {"r": 2}},
        "prompt": {"style": "compact", "answer": "id"},
        "stages": {"data": {"positions": "sampled", "num_positions": 20}, "sft": {"max_steps": 1}},
        "evaluation": {"before": False, "episodes": 1, "positions": 0},
    }  # fmt: skip
    return run_recipe(Recipe.model_validate(recipe), tmp_path_factory.mktemp("runs")).folder


def push(run: Path, hub: str, *words: str, token: str = TOKEN) -> Any:
    return run_push(["push", str(run), *words], hub, run.parent / "home", token, "0")


def test_a_merged_model_arrives_whole_after_a_push_that_was_stopped(run: Path):
    with serving() as hub:
        hub.fail_after = 0
        stopped = push(run, hub.url, "me/model", "--merged", "--yes")
        assert stopped.returncode == 2 and "the same command goes on" in stopped.stderr
        assert not hub.sets["me/model"]["files"]
        hub.fail_after = 1
        done = push(run, hub.url, "me/model", "--merged", "--yes")
        assert done.returncode == 0, done.stderr
        assert f"pushed: {hub.url}/me/model" in done.stdout
        kept = hub.sets["me/model"]
        assert kept["private"] and kept["type"] == "model"
        again = push(run, hub.url, "me/model", "--merged", "--yes")  # nothing is sent twice
        assert again.returncode == 0, again.stderr
    merged = run / "exports" / "sft-safetensors"
    assert set(kept["files"]) == {file.name for file in merged.iterdir()}
    assert kept["files"]["model.safetensors"] == (merged / "model.safetensors").read_bytes()
    card = kept["files"]["README.md"].decode()
    assert "name = 'me/model'" in card and "library_name: transformers" in card
    assert TOKEN not in stopped.stdout + stopped.stderr + done.stdout + done.stderr


def test_what_is_refused_is_refused_before_anything_is_sent(run: Path):
    final = next(run.glob("stages/*-sft/final"))
    with serving() as hub:
        for words, token, problem in (
            (["me/model", "--yes"], TOKEN, "is on this machine only"),
            (["me/model", "--merged", "--yes"], "", "no Hugging Face token on this machine"),
            (["model", "--yes"], TOKEN, "'model' is no owner/name"),
        ):
            refused = push(run, hub.url, *words, token=token)
            assert refused.returncode == 2 and problem in refused.stderr, refused.stderr
        file = final / "adapter_config.json"
        kept = read_text(file)
        write_text(file, kept + " ")
        damaged = push(run, hub.url, "me/model", "--merged", "--yes")
        write_text(file, kept)
        assert damaged.returncode == 2 and "this saved model is damaged" in damaged.stderr
        assert not hub.asked
