"""What a recipe is refused for before it starts: nothing on disk changes, and the message says
what, where (file, line, key) and what to write."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, GPT2Config, T5Config

from tesuji.cli.main import main
from tesuji.core.errors import DataError, TesujiError
from tesuji.learners.model.load import prepare_base
from tesuji.learners.model.tiny import build_tokenizer
from tesuji.pipeline.checks.recipe import check
from tesuji.pipeline.run import run_recipe
from tesuji.pipeline.steps.data import refuse_nothing
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import ModelSection, TinyModel

SHAPE = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 32,
}
DATA = {"positions": "sampled", "num_positions": 20}
SFT = {"max_steps": 2, "batch_size": 4, "max_length": 32}


def recipe_of(**changes: Any) -> Recipe:
    plain = {
        "name": "small",
        "game": "tic_tac_toe",
        "model": {"tiny": SHAPE},
        "prompt": {"style": "compact", "answer": "id"},
        "sampling": {"max_new_tokens": 2},
        "stages": {"data": DATA, "sft": SFT},
        "evaluation": {"episodes": 2, "positions": 0, "before": False},
    }
    return Recipe.model_validate({**plain, **changes})


def tree(folder: Path) -> dict[str, str]:
    """Every file under a folder with its content and its time; links with where they lead."""
    return {
        str(path.relative_to(folder)): (
            f"-> {path.readlink()}"
            if path.is_symlink()
            else f"{path.stat().st_mtime_ns} {hashlib.sha256(path.read_bytes()).hexdigest()}"
            if path.is_file()
            else "folder"
        )
        for path in folder.rglob("*")
    }


def refusal(**changes: Any) -> TesujiError:
    with pytest.raises(TesujiError) as caught:
        check(recipe_of(**changes))
    return caught.value


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    prepare_base(ModelSection(tiny=TinyModel(**SHAPE)), folder, seed=1)
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    run_recipe(recipe_of(), root)
    return root


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"tiny": SHAPE, "base": "no/such/folder"}},
        {"model": {"tiny": SHAPE, "device": "mps"}},
        {"model": {"tiny": {**SHAPE, "max_position_embeddings": 16}}, "seed": 5},
        {"stages": {"data": DATA, "sft": {**SFT, "warmup_steps": 2}}},
        {"evaluation": {"oracle": "nosuch"}},
        {"evaluation": {"options": {"nosuch": 1}}},
        {"report_to": ["trackio"]},
        {"game": "nosuch"},
    ],
)
def test_a_refused_rerun_changes_nothing_on_disk(finished: Path, change):
    before = tree(finished)
    with pytest.raises(TesujiError):
        run_recipe(recipe_of(**change), finished)
    assert tree(finished) == before


def test_a_damaged_manifest_is_refused_before_anything_is_written(finished: Path, tmp_path):
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "manifest.json").write_text('{"format": 99}')
    before = tree(tmp_path)
    with pytest.raises(TesujiError, match="not a run folder"):
        run_recipe(recipe_of(), tmp_path)
    assert tree(tmp_path) == before


def test_a_refused_first_run_leaves_no_folder(tmp_path: Path):
    with pytest.raises(TesujiError):
        run_recipe(recipe_of(evaluation={"oracle": "nosuch"}), tmp_path / "runs")
    assert not list(tmp_path.iterdir())


def test_the_command_names_file_and_line_of_what_is_found_late(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = "name: a\ngame: tic_tac_toe\nstages:\n  data:\n  sft:\n    max_steps: 5\n"
    (tmp_path / "a.yaml").write_text(f"{text}    warmup_steps: 9\n")
    for words in (["a.yaml"], ["a.yaml", "--dry-run"]):
        assert main(["run", *words]) == 2
        assert "a.yaml:7: stages.sft.warmup_steps: 9 steps" in capsys.readouterr().err
    assert main(["run", "a.yaml", "stages.sft.warmup_steps=8"]) == 2
    assert "command line: stages.sft.warmup_steps" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.yaml"]


@pytest.mark.parametrize(
    ("stage", "key", "said"),
    [
        ({"warmup_steps": 2}, "warmup_steps", "never reaches its peak"),
        ({"warmup_steps": 1.5}, "warmup_steps", "neither a whole number"),
        ({"warmup_steps": 1, "lr_scheduler_type": "constant"}, "warmup_steps", "no warm-up"),
        ({"max_steps": -1, "lr_scheduler_type": "warmup_stable_decay"}, "lr_scheduler_type", "how"),
        ({"eval_steps": 3}, "eval_steps", "there is none"),
        ({"eval_steps": 1, "early_stopping_patience": 3}, "early_stopping_patience", "never stops"),
        ({"max_length": 9}, "max_length", "no prompt fits into 9 tokens"),
        ({"max_length": 2048}, "max_length", "more than the 1,024 that the model reads"),
    ],
)
def test_numbers_of_a_stage_that_mean_nothing_together(stage, key, said):
    error = refusal(stages={"data": DATA, "sft": {**SFT, **stage}})
    assert error.where == f"stages.sft.{key}"
    assert said in error.what
    assert error.hint


@pytest.mark.parametrize(
    ("stage", "key", "said"),
    [
        ({"critic_warmup_steps": 2}, "critic_warmup_steps", "the policy learns nothing"),
        ({"beta": 0.1, "sync_ref_model": True}, "ref_model_sync_steps", "every 512 steps"),
        ({"play": {"opening_moves": 5, "max_moves": 5}}, "play.opening_moves", "leaves none"),
    ],
)
def test_numbers_of_a_stage_of_play_that_mean_nothing_together(stage, key, said):
    error = refusal(stages={"ppo": {"max_steps": 2, "batch_size": 4, **stage}})
    assert error.where == f"stages.ppo.{key}"
    assert said in error.what
    assert error.hint


@pytest.mark.parametrize("name", ["mamba", "modernbert-decoder"])
def test_a_model_that_takes_no_reward_head_is_refused_before_anything_is_trained(name, tmp_path):
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    small |= {"intermediate_size": 32, "vocab_size": 264, "pad_token_id": 0}
    config = AutoConfig.for_model(name, **small)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    build_tokenizer().save_pretrained(tmp_path)
    pairs = {**DATA, "pairs": "one"}
    model = {"base": str(tmp_path)}
    check(recipe_of(model=model, stages={"data": pairs, "dpo": SFT}))
    error = refusal(model=model, stages={"data": pairs, "dpo": SFT, "reward": SFT})
    assert error.where == "model.base"
    assert "no reward head can be put on" in error.what


def test_lengths_that_leave_no_room():
    prompt = {"style": "compact", "answer": "id"}
    error = refusal(prompt={**prompt, "max_length": 40})
    assert error.where == "stages.sft.max_length"
    assert "at least 40" in error.hint
    stages = {"data": DATA, "sft": {**SFT, "max_length": 1024}}
    error = refusal(prompt={**prompt, "max_length": 1023}, stages=stages)
    assert (error.where, error.hint[:15]) == ("prompt.max_length", "set it to 1,022")
    assert refusal(sampling={"max_new_tokens": 1024}).where == "sampling.max_new_tokens"
    small = {"tiny": {**SHAPE, "max_position_embeddings": 64}}
    error = refusal(model=small, prompt={"style": "full"}, stages={"data": DATA})
    assert error.where == "game"
    assert "prompt.max_length=62" in error.hint


def damage(model: Path, folder: Path, file: str, text: str | bytes | None) -> str:
    """A copy of the model with one file replaced, or left out; its name."""
    folder.mkdir()
    for path in model.iterdir():
        if path.name != file:
            (folder / path.name).write_bytes(path.read_bytes())
    if text is not None:
        (folder / file).write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(folder)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("config.json", None, "config.json"),
        ("config.json", "{", "config.json"),
        ("config.json", '{"model_type": "nosuch"}', "nosuch"),
        ("config.json", json.dumps(T5Config().to_dict()), "t5 model, which does not write"),
        ("model.safetensors", None, "no weights"),
        ("model.safetensors", b"\x00" * 100, "broken"),
        ("model.safetensors", "version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        ("tokenizer.json", None, "tokenizer"),
        ("tokenizer.json", "[1", "tokenizer"),
        ("adapter_config.json", "{}", "does not say what its base is"),
    ],
)
def test_a_broken_model_folder_gives_one_message(model: Path, tmp_path, file, text, said):
    source = damage(model, tmp_path / "broken", file, text)
    error = refusal(model={"base": source})
    assert said in error.what


def test_truncated_weights_are_seen_without_loading_them(model: Path, tmp_path):
    whole = (model / "model.safetensors").read_bytes()
    source = damage(model, tmp_path / "broken", "model.safetensors", whole[:-10])
    assert "model.safetensors is broken" in refusal(model={"base": source}).what


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_size": 32}, "by its config.json"),
        ({"num_hidden_layers": 2, "layer_types": ["full_attention"] * 2}, "in none of its files"),
    ],
)
def test_weights_of_another_shape_are_seen_without_loading_them(model, tmp_path, change, said):
    config = json.loads((model / "config.json").read_text()) | change
    source = damage(model, tmp_path / "broken", "config.json", json.dumps(config))
    assert said in refusal(model={"base": source}).what


def test_a_chat_template_that_fails_is_told(model: Path, tmp_path):
    template = "{{ raise_exception('no') }}"
    source = damage(model, tmp_path / "broken", "chat_template.jinja", template)
    assert "chat template fails: no" in refusal(model={"base": source}).what


def test_a_tokenizer_of_another_model_is_refused(model: Path, tmp_path):
    config = json.loads((model / "config.json").read_text()) | {"vocab_size": 100}
    source = damage(model, tmp_path / "broken", "config.json", json.dumps(config))
    assert "tokenizer has 258 tokens and the model 100" in refusal(model={"base": source}).what


def test_layers_that_the_model_does_not_have(model: Path):
    for base in ("tiny", str(model)):
        lora = {"target_modules": ["q_proj", "nosuch"]}
        check(recipe_of(model={"base": base, "tiny": SHAPE, "lora": lora}))
        error = refusal(model={"base": base, "tiny": SHAPE, "lora": {"target_modules": ["nosuch"]}})
        assert error.where == "model.lora.target_modules"


@pytest.mark.parametrize("targets", [["lm_head"], ["q_proj", "lm_head"], ".*(q_proj|lm_head)"])
def test_an_adapter_on_the_head_which_would_never_be_trained(model: Path, targets):
    for base in ("tiny", str(model)):
        error = refusal(model={"base": base, "tiny": SHAPE, "lora": {"target_modules": targets}})
        assert error.where == "model.lora.target_modules" and "leave it out" in error.hint
        assert "would never be trained, and this model's are its embedding's" in error.what
        rl = {"grpo": {"batch_size": 4, "num_generations": 2, "max_steps": 1}}
        lora = {"base": base, "tiny": SHAPE, "lora": {"target_modules": targets}}
        check(recipe_of(model=lora, stages=rl))  # which computes with the adapter


def test_a_revision_is_of_the_hub(model: Path):
    for base in ("tiny", str(model)):
        error = refusal(model={"base": base, "tiny": SHAPE, "revision": "main"})
        assert error.where == "model.revision"


def test_what_the_hub_would_be_asked_for(monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "is_offline_mode", lambda: True)
    assert "HF_HUB_OFFLINE" in refusal(model={"base": "somebody/small"}).what
    monkeypatch.setattr(huggingface_hub, "is_offline_mode", lambda: False)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    assert "HF_TOKEN" in refusal(model={"base": "meta-llama/Llama-3.2-1B"}).hint
    assert "no Hub id" in refusal(model={"base": "./some/folder/here"}).what
    check(recipe_of(model={"base": "somebody/small"}))


def test_settings_of_a_small_model_are_told_apart_from_those_of_a_trained_one(monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "is_offline_mode", lambda: False)
    sft = {**SFT, "optimizer": "muon", "learning_rate": 0.02, "adamw_learning_rate": 0.005}
    error = refusal(model={"base": "somebody/large"}, stages={"data": DATA, "sft": sft})
    assert error.where == "stages.sft.learning_rate"
    for change in ("learning_rate=auto", "adamw_learning_rate=null", "optimizer=adamw"):
        assert f"stages.sft.{change}" in error.hint


def test_a_large_model_in_a_folder_is_known_by_its_shape(tmp_path: Path):
    config = GPT2Config(n_layer=2, n_embd=64, n_head=2, vocab_size=400_000, n_positions=256)
    with torch.device("meta"):
        shape = AutoModelForCausalLM.from_config(config)
    assert sum(p.numel() for p in shape.parameters()) > 20_000_000
    config.save_pretrained(tmp_path)
    build_tokenizer().save_pretrained(tmp_path)
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "model.safetensors")
    sft = {**SFT, "learning_rate": 0.02}
    error = refusal(model={"base": str(tmp_path)}, stages={"data": DATA, "sft": sft})
    assert "26M parameters" in error.what


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"evaluation": {"oracle": "nosuch"}}, "evaluation.oracle"),
        ({"evaluation": {"oracle": {"player": "minimax", "simulations": 1}}}, "evaluation.oracle"),
        ({"evaluation": {"opponents": ["random", "nosuch"]}}, "evaluation.opponents.1"),
        ({"stages": {"data": {**DATA, "oracle": "nosuch"}}}, "stages.data.oracle"),
        ({"stages": {"data": {**DATA, "sampled_by": ["nosuch"]}}}, "stages.data.sampled_by.0"),
        ({"stages": {"logs": {"make": {"kind": "poker"}, "format": "phd"}}}, "stages.logs.format"),
        ({"game": "kuhn_poker", "stages": {"data": {"oracle": "cfr"}}}, "stages.data.positions"),
        ({"evaluation": {"options": {"nosuch": 1}}}, "evaluation.options.nosuch"),
        ({"evaluation": {"game": "nosuch"}}, "evaluation.game.name"),
        (
            {"evaluation": {"game": {"name": "holdem", "options": {"nosuch": 1}}}},
            "evaluation.game.options.nosuch",
        ),
        (
            {"evaluation": {"game": "holdem", "opponents": ["equity", "minimax"]}},
            "evaluation.opponents.1",
        ),
        ({"evaluation": {"beside": ["equity"]}}, "evaluation.beside.0"),
    ],
)
def test_names_that_nobody_has(change, where):
    assert refusal(**change).where == where


RL = {"max_steps": 1, "batch_size": 2, "num_generations": 2}


@pytest.mark.parametrize(
    ("stage", "where"),
    [
        ({"rewards": {"wordle_bits": 1.0}}, "rewards.wordle_bits"),
        ({"rewards": {"tool_format": 0.1, "returns": 1.0}}, "rewards.tool_format"),
        ({"rewards": {"oracle": {"weight": 1.0, "player": "cfr"}}}, "rewards.oracle"),
        ({"rewards": {"returns": 0.0}}, "rewards"),
        ({"rewards": {"reward_model": {"weight": 1.0, "path": 3}}}, "rewards.reward_model.path"),
        ({"play": {"opponents": ["random", "cfr"]}}, "play.opponents.1"),
        ({"play": {"games": ["hex", "nosuch"]}}, "play.games.1.name"),
        ({"play": {"games": [{"name": "hex", "options": {"x": 1}}]}}, "play.games.0.options.x"),
        (
            {"play": {"curriculum": [{"name": "a", "games": ["nosuch"]}]}},
            "play.curriculum.0.games.0.name",
        ),
        (
            {"play": {"curriculum": [{"name": "a"}, {"name": "b", "opponents": ["cfr"]}]}},
            "play.curriculum.1.opponents.0",
        ),
    ],
)
def test_what_is_played_for_and_against_fits_the_game(stage, where):
    assert refusal(stages={"grpo": {**RL, **stage}}).where == f"stages.grpo.{where}"


def test_an_oracle_that_reads_no_words_is_no_reward_there():
    error = refusal(
        game="prompts",
        stages={"logs": {"make": {"kind": "poker"}}, "grpo": {**RL, "rewards": {"oracle": 1.0}}},
    )
    assert error.where == "stages.grpo.rewards.oracle"


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "ftp://host/v1", "http://", "http://host:x/v1", "http://host:99999/v1",
     "http://me@host/v1", "http://host/v1?key=1", "http://ho st/v1", "http://[::1/v1"],
)  # fmt: skip
def test_addresses_that_cannot_be_asked(url):
    stage = {**DATA, "thoughts": "llm", "endpoint": {"base_url": url}}
    assert refusal(stages={"data": stage}).where == "stages.data.endpoint.base_url"


def test_rows_without_their_columns_are_refused_with_their_line(tmp_path: Path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "a"}\n')
    error = refusal(stages={"sft": {**SFT, "data": str(rows)}})
    assert error.where == f"stages.sft.data: {rows}:2"
    assert "completion" in error.what
    rows.write_text("\n")
    assert "no row" in refusal(stages={"sft": {**SFT, "data": str(rows)}}).what
    dpo = {"dpo": {"data": str(rows), "max_length": 32}}
    rows.write_text('{"prompt": "a", "chosen": "b"}\n')
    assert "rejected" in refusal(stages=dpo).what


def test_rows_of_a_file_that_would_all_be_cut_are_refused_beforehand(tmp_path: Path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"prompt": "x" * 50, "completion": "b"}) + "\n")
    error = refusal(stages={"sft": {**SFT, "data": str(rows)}})
    assert (error.where, error.what[:9]) == ("stages.sft.max_length", "every one")
    rows.write_text(json.dumps({"prompt": "x" * 50, "chosen": "b", "rejected": "c"}) + "\n")
    error = refusal(stages={"dpo": {"data": str(rows), "max_length": 32}})
    assert (error.where, error.what[:9]) == ("stages.dpo.max_length", "every one")


def test_a_folder_without_anything_to_read_is_refused(tmp_path: Path):
    logs = tmp_path / "logs"
    logs.mkdir()
    stages = {"logs": {"paths": str(logs)}}
    assert "no file in it" in refusal(stages=stages).what
    (logs / "a.json").write_text("")
    assert "files are empty" in refusal(stages=stages).what


def test_trackers_are_known_to_work_beforehand(monkeypatch, tmp_path):
    assert "trackio" in refusal(report_to=["trackio"]).what
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "WANDB_MODE=offline" in refusal(report_to=["wandb"]).hint
    monkeypatch.setenv("WANDB_MODE", "offline")
    check(recipe_of(report_to=["wandb"]))


def test_a_warm_up_of_the_critic_that_leaves_the_policy_no_step():
    ppo = {"max_steps": 2, "batch_size": 2, "critic_warmup_steps": 2}
    assert refusal(stages={"ppo": ppo}).where == "stages.ppo.critic_warmup_steps"
    check(recipe_of(stages={"ppo": {**ppo, "critic_warmup_steps": 1}}))


def test_nothing_to_learn_from_is_told_before_the_stages_in_front_are_trained():
    stages = {"data": {}, "sft": {"max_steps": 3}, "dpo": {"max_steps": 3}}
    recipe = Recipe.model_validate({"name": "x", "game": "tic_tac_toe", "stages": stages})
    with pytest.raises(DataError, match="data came to no pairs, and dpo learns from them"):
        refuse_nothing(recipe, "data", {"train_rows": 5, "train_pairs": 0})
    with pytest.raises(DataError, match="came to no rows, and sft"):
        refuse_nothing(recipe, "data", {"train_rows": 0, "train_pairs": 5})
    refuse_nothing(recipe, "data", {"train_rows": 5, "train_pairs": 5})
