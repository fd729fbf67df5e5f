"""DeepSpeed's ZeRO in two processes, through `tesuji run`: the losses, gradients and weights of one
process; what its checkpoints go on with. (gloo, CPU)"""

import os
import shutil
import signal
import time
from pathlib import Path

import pytest
from processes import (
    LEARNERS,
    SAME,
    SFT,
    TWO,
    assert_same_learning,
    begin,
    command,
    furthest,
    metrics,
    ranks_below,
    run,
    write,
)

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


SAVING = ["stages.ppo.save_steps=2", "stages.grpo.save_steps=2"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """The chain's run folder, of one process."""
    folder = tmp_path_factory.mktemp("alone")
    return run_recipe(load_recipe(write(folder)), folder / "runs").folder


@pytest.fixture(scope="module", params=ZERO)
def parted(request, tmp_path_factory) -> tuple[Path, str]:
    """That of two processes, and their strategy."""
    folder = tmp_path_factory.mktemp(request.param)
    said, _ = run(command(write(folder), *ZERO[request.param], *SAVING, *TWO))
    assert f"2 processes ({request.param})" in said
    assert "DeepSpeed" not in said
    assert "[WARNING]" not in said
    return folder / "runs" / "alone", request.param


@pytest.mark.parametrize("stage", LEARNERS)
def test_zero_learns_what_one_process_does(
    stage: str, alone: Path, parted: tuple[Path, str]
) -> None:
    """The model handed on is whole, for it was loaded by the next stage, or played."""
    two, _ = parted
    assert_same_learning(alone, two, stage)


def test_checkpoints_go_on_in_as_many_processes(parted: tuple[Path, str], tmp_path: Path) -> None:
    """... and in no other number, nor with whole weights."""
    before, strategy = parted
    recipe, here = write(tmp_path), tmp_path / "runs" / "alone"
    shutil.copytree(before, here, symlinks=True)
    sft, ppo = (here / "stages" / name for name in ("01-sft", "05-ppo"))
    for stage, newest in ((sft, "checkpoint-7"), (ppo, "step-000003")):
        (stage / "done.json").unlink()
        shutil.rmtree(stage / "final")
        shutil.rmtree(stage / "checkpoints" / newest)
    parts = list(sft.glob("checkpoints/checkpoint-6/global_step6/*_model_states.pt"))
    assert len(parts) == (2 if strategy == "zero3" else 1), "whose weights are parted"
    with pytest.raises(DataError, match=f"checkpoint of {strategy} in 2 processes"):
        run_recipe(load_recipe(recipe), tmp_path / "runs")
    said, _ = run(command(recipe, *ZERO[strategy], *SAVING, *TWO))
    assert "sft (goes on" in said
    assert "ppo (goes on" in said
    for stage in (sft, ppo):
        name = stage.name[3:]
        assert metrics(here, name) == [
            pytest.approx(row, rel=SAME, abs=SAME) for row in metrics(before, name)
        ]
        assert furthest(before / name / "final", stage / "final") < SAME


def _while_saving(stage: Path) -> bool:
    """Whether a checkpoint is half written, and an older one whole."""
    folders = sorted(stage.glob("checkpoints/checkpoint-*"), key=lambda f: int(f.name[11:]))
    whole = [(folder / "checksums.json").exists() for folder in folders]
    return any(whole) and not whole[-1]


def test_killed_while_a_checkpoint_is_gathered_the_older_one_is_used(tmp_path: Path) -> None:
    text = SFT.replace("epochs: 1.0", "max_steps: 60")
    recipe, stage = write(tmp_path, text), tmp_path / "runs" / "alone" / "stages" / "01-sft"
    words = [*ZERO["zero3"], *TWO]
    launcher = begin(command(recipe, *words))
    while not _while_saving(stage):
        assert launcher.poll() is None, launcher.communicate()
    os.kill(ranks_below(launcher.pid)[1], signal.SIGKILL)
    killed = time.monotonic()
    _, said = launcher.communicate(timeout=60)
    assert time.monotonic() - killed < 30
    assert launcher.returncode == 2
    assert said.count("error: ") == 1
    assert "process 1 was killed (SIGKILL)" in said
    assert "Traceback" not in said
    out, _ = run(command(recipe, *words))
    assert "sft (goes on" in out
    alone = run_recipe(load_recipe(recipe, ["name=whole"]), tmp_path / "runs").folder
    assert furthest(alone / "sft" / "final", stage / "final") < SAME


@pytest.mark.parametrize(
    "changes, where",
    [
        (["stages.sft.optimizer=muon"], "stages.sft.optimizer"),
        (["model.dtype=bfloat16"], "model.dtype"),
        (["distributed.zero_optimization={no_such_option: 1}"], "distributed.zero_optimization"),
    ],
)
def test_what_deepspeed_cannot_do_is_refused(
    changes: list[str], where: str, tmp_path: Path
) -> None:
    words = ["distributed.processes=2", "distributed.strategy=zero2", *changes]
    with pytest.raises(RecipeError, match="DeepSpeed") as caught:
        check(load_recipe(write(tmp_path), words))
    assert caught.value.where == where
