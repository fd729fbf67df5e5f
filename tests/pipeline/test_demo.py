"""What `make demo` promises, kept: the shipped recipe, whole, from the command line."""

from pathlib import Path

import pytest

from tesuji.cli.main import main
from tesuji.episodes.store import read_episodes
from tesuji.evaluation.results import load_evaluation
from tesuji.learners.model.load import prepare_base
from tesuji.pipeline.run import run_recipe
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.sections import ModelSection, TinyModel


@pytest.mark.slow
def test_the_demo_ends_with_a_model_that_never_loses(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "tictactoe/tiny"]) == 0
    shown = capsys.readouterr().out
    assert "never loses" in shown
    assert "tesuji play runs/tictactoe-tiny" in shown
    stages = Path("runs/tictactoe-tiny/stages")
    after = load_evaluation(stages / "03-after" / "evaluation.json")
    assert [certificate.losses for certificate in after.certificates] == [0, 0]
    assert sum(certificate.lines for certificate in after.certificates) > 400
    assert all(row.losses == 0 and row.illegal == 0 for row in after.matches)
    unseen = next(score for score in after.positions if score.split == "held_out")
    assert unseen.positions > 300
    # and it plays on: against another opponent, from a folder found by its name
    assert main(["eval", "tictactoe-tiny", "--opponent", "mcts:simulations=50",
                 "--episodes", "10", "--out", "more"]) == 0  # fmt: skip
    again = load_evaluation(Path("more/evaluation.json"))
    assert [row.losses for row in again.matches] == [0, 0, 0]
    assert len(list(read_episodes(Path("more/episodes.jsonl")))) == 10


@pytest.mark.parametrize("architecture", ["qwen2", "qwen3", "llama"])
def test_the_demos_recipe_takes_any_folder_of_a_causal_model(tmp_path: Path, architecture):
    shape = {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2}
    tiny = TinyModel(**shape, architecture=architecture, intermediate_size=32)
    folder = prepare_base(ModelSection(tiny=tiny), tmp_path / "model", seed=1)
    short = ["stages.sft.max_steps=2", "evaluation.episodes=2", "evaluation.positions=20"]
    recipe = load_recipe("tictactoe/tiny", [f"model.base={folder}", *short])
    outcome = run_recipe(recipe, tmp_path / "runs")
    assert outcome.after.label == "after sft"
    assert (outcome.folder / "stages" / "02-sft" / "final" / "model.safetensors").exists()
    assert not (outcome.folder / "base").exists()
