"""The card in every `final/`: what it says, and that its lines of transformers play."""

import contextlib
import io
from pathlib import Path

import pytest
import yaml
from card_code import moves_of, printed, snippet_of

from tesuji.cli.main import main
from tesuji.core.checksums import damage
from tesuji.core.files import read_json, read_text, write_text
from tesuji.pipeline.run import run_recipe
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import ModelSection
from tesuji.report.card.base import describe_base

RECIPE = {
    "name": "taken",
    "seed": 3,
    "game": "tic_tac_toe",
    "model": {
        "base": "tiny",
        "tiny": {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2,
                 "intermediate_size": 32},
    },
    "prompt": {"style": "compact", "answer": "id", "retry": False},
    "sampling": {"max_new_tokens": 4},
    "stages": {
        "data": {"positions": "sampled", "num_positions": 60, "pairs": "one"},
        "sft": {"max_steps": 2, "batch_size": 8},
        "reward": {"max_steps": 2, "batch_size": 4},
        "dpo": {"max_steps": 2, "batch_size": 4},
        "grpo": {"max_steps": 1, "batch_size": 8, "num_generations": 4},
    },
    "evaluation": {"episodes": 2, "positions": 5},
}  # fmt: skip
KINDS = [("whole", "sft"), *(("adapters", name) for name in ("sft", "reward", "dpo", "grpo"))]


def run_of(folder: Path, lora: dict | None, stages: list[str]) -> Path:
    """A run of these stages of the recipe, on their data."""
    kept = {name: RECIPE["stages"][name] for name in ("data", *stages)}
    recipe = RECIPE | {"model": RECIPE["model"] | {"lora": lora}, "stages": kept}
    command = "tesuji run mine.yaml"
    return run_recipe(Recipe.model_validate(recipe), folder, command=command).folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return run_of(tmp_path_factory.mktemp("whole"), None, ["sft"])


@pytest.fixture(scope="module")
def adapters(tmp_path_factory) -> Path:
    return run_of(
        tmp_path_factory.mktemp("adapters"), {"r": 2, "alpha": 4}, list(RECIPE["stages"])[1:]
    )


def final_of(run: Path, stage: str) -> Path:
    return next(run.glob(f"stages/*-{stage}/final"))


@pytest.fixture(scope="module")
def taken(adapters: Path, whole: Path) -> dict[str, Path]:
    """Each model in its final folder, and where it was merged, copied and written as GGUF."""
    assert main(["merge", str(adapters)]) == 0
    assert main(["export", str(whole), "--to", "safetensors", "--outtype", "bf16"]) == 0
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert main(["export", str(whole), "--to", "gguf", "--outtype", "q8_0"]) == 0
    assert "read by llama.cpp: the likeliest tokens' log-probs" in said.getvalue()
    return {
        "whole": final_of(whole, "sft"),
        "adapter": final_of(adapters, "grpo"),
        "reward": final_of(adapters, "reward"),
        "merged": adapters / "exports" / "grpo-safetensors",
        "copied": whole / "exports" / "sft-safetensors",
        "gguf": whole / "exports" / "sft-gguf-q8_0",
    }


@pytest.fixture(scope="module")
def lines(taken: dict[str, Path]) -> dict[str, list[str]]:
    """What each card's code prints."""
    return dict(zip(taken, printed(*taken.values()), strict=True))


@pytest.mark.parametrize(("kind", "stage"), KINDS)
def test_every_final_folder_has_its_card_and_is_whole(kind: str, stage: str, request):
    final = final_of(request.getfixturevalue(kind), stage)
    card = read_text(final / "README.md")
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["library_name"] == ("peft" if kind == "adapters" else "transformers")
    task = "text-classification" if stage == "reward" else "text-generation"
    assert front["pipeline_tag"] == task and stage in front["tags"]
    assert "base_model" not in front and "license" not in front
    assert "tesuji run mine.yaml" in card and "seed 3" in card and "## Limits" in card
    assert damage(final) == ""
    code = snippet_of(card).replace(str(final), "")
    assert "tesuji" not in code and len(code.splitlines()) <= 13


def test_no_library_leaves_a_draft_of_a_card(adapters: Path):
    assert {path.parent.name for path in adapters.rglob("README.md")} == {"final"}


def test_an_evaluated_models_card_has_its_figures_and_a_random_players(adapters: Path):
    card = read_text(final_of(adapters, "grpo") / "README.md")
    assert "| against | seat | before | after grpo | a random player |" in card
    assert "(SFT), then direct preference optimisation (DPO), then reinforcement" in card
    earlier = read_text(final_of(adapters, "sft") / "README.md")
    assert "It was not evaluated" in earlier and "a random player |" not in earlier


def test_its_lines_of_transformers_play_a_legal_move(taken, lines):
    for name in ("whole", "adapter", "merged", "copied", "gguf"):
        [move] = lines[name]
        assert move in moves_of(taken[name]), name


def test_its_lines_of_transformers_score_replies(lines):
    better, worse = (line.rsplit(" ", 1) for line in lines["reward"])
    assert better[0] != worse[0] and float(better[1]) != float(worse[1])


def test_the_licence_is_the_one_that_the_bases_own_card_names(tmp_path: Path):
    base = ModelSection(base=str(tmp_path))
    assert describe_base(base).license == ""
    head = "---\nlicense: apache-2.0\nbase_model: some/model\n---\n"
    write_text(tmp_path / "README.md", f"{head}# A card\n")
    known = describe_base(base)
    assert (known.license, known.hub_id) == ("apache-2.0", "some/model")
    write_text(tmp_path / "README.md", "---\nlicense: [\n---\n")
    assert describe_base(base).license == ""


def test_merge_and_export_write_whole_folders_with_their_card(taken):
    merged, copied, in_gguf = (taken[name] for name in ("merged", "copied", "gguf"))
    assert (in_gguf / "taken-q8_0.gguf").read_bytes()[:4] == b"GGUF"
    assert "library_name: gguf" in read_text(in_gguf / "README.md")
    assert damage(merged) == damage(copied) == "" and not (merged / "adapter_config.json").exists()
    assert "Merged into its base in float32" in read_text(merged / "README.md")
    assert read_json(copied / "config.json")["dtype"] == "bfloat16"


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["merge", "WHOLE"], "stage sft trained all weights: there is no adapter to merge"),
        (["merge", "ADAPTERS", "--stage", "data"], "no stage 'data' trained a model"),
        (["export", "WHOLE", "--to", "gguf", "--outtype", "q4_0"], "no q4_0 is written"),
        (["export", "ADAPTERS", "--to", "gguf", "--stage", "reward"], "of a reward model"),
        (["export", "WHOLE", "--to", "safetensor"], "did you mean safetensors?"),
        (["export", "WHOLE", "--to", "safetensors", "--outtype", "q8_0"], "no q8_0 in safetensors"),
        (["export", "WHOLE", "--to", "safetensors", "--out", "HERE"], "something else in this"),
    ],
)
def test_what_cannot_be_taken_away_is_told(words, problem, request, tmp_path: Path, capsys):
    (tmp_path / "mine.txt").write_text("mine")
    places = {"HERE": str(tmp_path)}
    for name in ("whole", "adapters"):
        places[name.upper()] = str(request.getfixturevalue(name))
    assert main([places.get(word, word) for word in words]) == 2
    assert problem in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "mine.txt").read_text() == "mine"
