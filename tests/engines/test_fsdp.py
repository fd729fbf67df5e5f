"""FSDP2 in two processes, through `tesuji run`: adapters, and a look at the model while it learns.
(gloo, CPU; whole models: tests/pipeline/test_distributed.py)"""

from pathlib import Path

import pytest
from processes import LEARNERS, SAME, SFT, TWO, assert_same_learning, command, metrics, run, write

from tesuji.pipeline.run import run_recipe
from tesuji.recipe.reading.load import load_recipe

pytestmark = pytest.mark.engines
FSDP = "distributed.strategy=fsdp"
ADAPTED = ["model.lora={r: 4, alpha: 8}"]
CERTIFIED = ["stages.sft.stop_when=certificate", "stages.sft.stop_check_steps=3"]


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> tuple[Path, Path]:
    """The chain's run folders with adapters: of one process, and of two."""
    folder = tmp_path_factory.mktemp("adapted")
    recipe = write(folder)
    alone = run_recipe(load_recipe(recipe, ADAPTED), folder / "runs").folder
    said, _ = run(command(recipe, *ADAPTED, FSDP, "name=two", *TWO))
    assert "2 processes (fsdp)" in said
    return alone, folder / "runs" / "two"


@pytest.mark.parametrize("stage", LEARNERS)
def test_adapters_learn_in_parts_what_they_do_whole(stage: str, both: tuple[Path, Path]) -> None:
    assert_same_learning(*both, stage)


def test_one_process_may_play_while_sharded_weights_learn(tmp_path: Path) -> None:
    """The main process walks the certificate's tree, the other one waits."""
    recipe = write(tmp_path, SFT)
    alone = run_recipe(load_recipe(recipe, CERTIFIED), tmp_path / "runs").folder
    run(command(recipe, *CERTIFIED, FSDP, "name=two", *TWO))
    ours, theirs = metrics(alone, "sft"), metrics(tmp_path / "runs" / "two", "sft")
    assert any("certificate" in key for row in ours for key in row)
    assert theirs == [pytest.approx(row, rel=SAME, abs=SAME) for row in ours]
