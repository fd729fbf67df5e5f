"""DeepSpeed's ZeRO in two processes, through `tesuji run`: the losses, gradients and weights of one
process; what its checkpoints go on with. (gloo, CPU)"""

import shutil
from pathlib import Path

import pytest
from processes import SAME, SFT, TWO, command, furthest, metrics, run, write

from tesuji.core.errors import DataError, RecipeError
from tesuji.pipeline.checks.recipe import check
from tesuji.pipeline.run import run_recipe
from tesuji.recipe.reading.load import load_recipe

pytestmark = pytest.mark.engines
PARTED = "distributed.zero_optimization={stage3_param_persistence_threshold: 0}"
ZERO = {
    "zero1": ["distributed.strategy=zero1"],
    "zero2": ["distributed.strategy=zero2", "distributed.offload=optimizer"],
    "zero3": ["distributed.strategy=zero3", PARTED],
}


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """The run folder of one process."""
    folder = tmp_path_factory.mktemp("alone")
    return run_recipe(load_recipe(write(folder, SFT)), folder / "runs").folder


@pytest.fixture(scope="module", params=ZERO)
def parted(request, tmp_path_factory) -> tuple[Path, str]:
    """That of two processes, and their strategy."""
    folder = tmp_path_factory.mktemp(request.param)
    said, _ = run(command(write(folder, SFT), *ZERO[request.param], *TWO))
    assert f"2 processes ({request.param})" in said
    assert "DeepSpeed" not in said
    assert "[WARNING]" not in said
    return folder / "runs" / "alone", request.param


@pytest.mark.parametrize("stage", ["sft"])
def test_zero_learns_what_one_process_does(
    stage: str, alone: Path, parted: tuple[Path, str]
) -> None:
    """The model handed on is whole, for it was evaluated in one process."""
    two, _ = parted
    ours, theirs = metrics(alone, stage), metrics(two, stage)
    assert len(ours) == len(theirs) >= 3
    for one, other in zip(ours, theirs, strict=True):
        assert one.keys() == other.keys()
        assert other == pytest.approx(one, rel=SAME, abs=SAME)
    assert furthest(alone / stage / "final", two / stage / "final") < SAME
    assert furthest(alone / "base", two / stage / "final") > 10 * SAME, "it has learned"


def test_a_checkpoint_goes_on_in_as_many_processes(
    parted: tuple[Path, str], tmp_path: Path
) -> None:
    """... and in no other number, nor with whole weights."""
    run_before, strategy = parted
    recipe, here = write(tmp_path, SFT), tmp_path / "runs" / "alone"
    shutil.copytree(run_before, here, symlinks=True)
    stage = here / "stages" / "01-sft"
    (stage / "done.json").unlink()
    shutil.rmtree(stage / "final")
    shutil.rmtree(stage / "checkpoints" / "checkpoint-7")
    parts = list(stage.glob("checkpoints/checkpoint-6/global_step6/*_model_states.pt"))
    assert len(parts) == (2 if strategy == "zero3" else 1), "whose weights are parted"
    with pytest.raises(DataError, match=f"checkpoint of {strategy} in 2 processes"):
        run_recipe(load_recipe(recipe), tmp_path / "runs")
    said, _ = run(command(recipe, *ZERO[strategy], *TWO))
    assert "sft (goes on" in said
    assert metrics(here, "sft") == [
        pytest.approx(row, rel=SAME, abs=SAME) for row in metrics(run_before, "sft")
    ]
    assert furthest(run_before / "sft" / "final", stage / "final") < SAME


@pytest.mark.parametrize(
    "changes, where",
    [
        (["stages.sft.optimizer=muon"], "stages.sft.optimizer"),
        (["distributed.zero_optimization={no_such_option: 1}"], "distributed.zero_optimization"),
    ],
)
def test_what_deepspeed_cannot_do_is_refused(
    changes: list[str], where: str, tmp_path: Path
) -> None:
    words = ["distributed.processes=2", "distributed.strategy=zero2", *changes]
    with pytest.raises(RecipeError, match="DeepSpeed") as caught:
        check(load_recipe(write(tmp_path, SFT), words))
    assert caught.value.where == where
