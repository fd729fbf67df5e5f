"""`tesuji push` to a server on 127.0.0.1 that answers as the Hub does."""

from pathlib import Path
from typing import Any

import pytest
from hub_server import TOKEN, serving, use_hub

from tesuji.cli.main import main
from tesuji.core.checksums import seal
from tesuji.core.files import read_text, write_text
from tesuji.pipeline.run import run_recipe
from tesuji.recipe.schema.recipe import Recipe

TINY = {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2}
SECRET = "ghp_" + "A1b2" * 8


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


@pytest.fixture
def hub(monkeypatch, tmp_path: Path) -> Any:
    """A Hub that pushes of this process go to."""
    with serving() as server:
        use_hub(monkeypatch, server.url, tmp_path)
        yield server


@pytest.fixture
def final(run: Path) -> Any:
    """The trained folder; afterwards it is as it was."""
    folder = next(run.glob("stages/*-sft/final"))
    kept = {file: file.read_bytes() for file in folder.iterdir()}
    yield folder
    for file in folder.iterdir():
        file.unlink()
    for file, data in kept.items():
        file.write_bytes(data)


def refused(capsys, *words: str) -> str:
    """What a push that is refused says, on one line."""
    assert main(["push", *words]) == 2
    return " ".join(capsys.readouterr().err.split())


def test_a_merged_model_arrives_whole_after_a_push_that_was_stopped(run: Path, hub, capsys):
    words = [str(run), "me/model", "--merged", "--yes"]
    hub.fail_after = 0
    stopped = refused(capsys, *words)
    assert "the same command goes on" in stopped and TOKEN not in stopped
    assert not hub.sets["me/model"]["files"]
    hub.fail_after = 1
    assert main(["push", *words]) == 0
    shown, err = capsys.readouterr()
    assert f"pushed: {hub.url}/me/model" in shown and TOKEN not in shown + err
    kept = hub.sets["me/model"]
    assert kept["private"] and kept["type"] == "model"
    assert main(["push", *words]) == 0  # nothing large is sent twice
    merged = run / "exports" / "sft-safetensors"
    assert set(kept["files"]) == {file.name for file in merged.iterdir()}
    assert kept["files"]["model.safetensors"] == (merged / "model.safetensors").read_bytes()
    card = kept["files"]["README.md"].decode()
    assert "name = 'me/model'" in card and "library_name: transformers" in card
    assert "- Merged into its base in float32: logits are at most" in card
    assert "- Saved in float32; loaded again by transformers alone" in card


def test_what_is_refused_is_refused_before_anything_is_sent(
    run: Path, final: Path, hub, monkeypatch, capsys
):
    place = str(run)
    assert "is on this machine only" in refused(capsys, place, "me/model", "--yes")
    assert "'model' is no owner/name" in refused(capsys, place, "model", "--yes")
    write_text(final / "adapter_config.json", read_text(final / "adapter_config.json") + " ")
    damaged = refused(capsys, place, "me/model", "--merged", "--yes")
    assert "this saved model is damaged" in damaged
    monkeypatch.setenv("HF_TOKEN", "")
    assert "no Hugging Face token on this machine" in refused(capsys, place, "me/model", "--yes")
    assert not hub.asked


@pytest.mark.parametrize(
    "name", ["adapter_config.json", "chat_template.jinja", "notes.md", "upload.sh", "run.log"]
)
def test_a_secret_in_a_file_of_the_folder_is_refused(
    name: str, run: Path, final: Path, hub, capsys
):
    """The folder is sealed anew, so that it is the secret that is refused and no damage."""
    config = read_text(final / "adapter_config.json")
    base = config.replace(str(run / "base"), "me/base")  # a base that anybody may have
    assert base != config
    write_text(final / "adapter_config.json", base)
    seal(final)
    words = (str(run), "me/model", "--yes")
    assert main(["push", *words, "--dry-run"]) == 0
    file = final / name
    text = read_text(file) if file.exists() else ""
    key = base.replace('"me/base"', f'"me/base", "revision": "{SECRET}"')
    write_text(file, key if name == "adapter_config.json" else f"{text}\nexport KEY={SECRET}\n")
    seal(final)
    problem = refused(capsys, *words)
    assert "this looks as if it held a secret" in problem and name in problem
    assert SECRET not in problem and not hub.asked


def test_a_dry_run_lists_the_card_of_a_run_older_than_cards(run: Path, final: Path, hub, capsys):
    (final / "README.md").unlink()
    assert main(["push", str(run), "me/model", "--merged", "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "README.md" in shown and "nothing was pushed: --dry-run" in shown
    config = read_text(final / "adapter_config.json").replace(str(run / "base"), "me/base")
    write_text(final / "adapter_config.json", config)
    seal(final)
    assert main(["push", str(run), "me/model", "--yes"]) == 0
    card = hub.sets["me/model"]["files"]["README.md"].decode()
    assert "library_name: peft" in card and not (final / "README.md").exists()
