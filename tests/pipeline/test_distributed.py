"""Two processes, started by `tesuji run` or by torchrun, do what one does: every learner's losses,
gradients, weights and figures, and what is written. (gloo, CPU)"""

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
    TORCHRUN,
    TWO,
    assert_same_learning,
    begin,
    command,
    furthest,
    metrics,
    ranks_below,
    run,
    run_forked,
    write,
)

from tesuji.core.errors import ComputeError, RecipeError
from tesuji.core.files import read_json
from tesuji.pipeline.checks.distributed import check_distributed
from tesuji.pipeline.checks.recipe import check
from tesuji.pipeline.run import run_recipe
from tesuji.recipe.reading.load import load_recipe


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    """The chain's run folder, of one process."""
    folder = tmp_path_factory.mktemp("alone")
    return run_recipe(load_recipe(write(folder)), folder / "runs").folder


@pytest.fixture(scope="module")
def both(alone: Path, tmp_path_factory) -> tuple[Path, Path, str]:
    """That, the run folder of two processes, and what these have said."""
    folder = tmp_path_factory.mktemp("two")
    said, _ = run(command(write(folder), "name=two", *TWO))
    return alone, folder / "runs" / "two", said


@pytest.mark.parametrize("stage", LEARNERS)
def test_two_processes_learn_what_one_does(stage: str, both: tuple[Path, Path, str]) -> None:
    alone, two, _ = both
    assert_same_learning(alone, two, stage)


def test_one_of_the_processes_writes_and_talks(both: tuple[Path, Path, str]) -> None:
    alone, two, said = both
    assert said.count("sft: 7 steps") == said.count("Report: ") == 1
    assert "2 processes (ddp)" in said
    names = [{str(p.relative_to(run)).partition("_training_logs_")[0] for p in run.rglob("*")}
             for run in (alone, two)]  # fmt: skip
    more = {name for name in names[0] ^ names[1] if "rng_state" not in name}
    assert not more, "the same files"
    assert len(list(two.glob("stages/*/*_training_logs_*"))) == len(LEARNERS)
    rows = (two / "metrics.jsonl").read_text().splitlines()
    assert len(rows) == len((alone / "metrics.jsonl").read_text().splitlines())


def sft(steps: int) -> str:
    return SFT.replace("epochs: 1.0", f"max_steps: {steps}").replace("alone", "killed")


def test_a_killed_process_ends_all_and_another_number_goes_on(tmp_path: Path) -> None:
    recipe, stage = write(tmp_path, sft(120)), tmp_path / "runs" / "killed" / "stages" / "01-sft"
    launcher = begin(command(recipe, *TWO))
    while not list(stage.glob("checkpoints/checkpoint-*/checksums.json")):
        assert launcher.poll() is None, launcher.communicate()
        time.sleep(0.1)
    ranks = ranks_below(launcher.pid)
    assert set(ranks) == {0, 1}
    os.kill(ranks[1], signal.SIGKILL)
    killed = time.monotonic()
    _, said = launcher.communicate(timeout=60)
    assert time.monotonic() - killed < 30
    assert launcher.returncode == 2
    assert said.count("error: ") == 1
    assert "process 1 was killed (SIGKILL)" in said
    assert "Traceback" not in said
    assert not any(Path(f"/proc/{pid}").exists() for pid in ranks.values())
    assert _trained(recipe, "killed") == _trained(recipe, "whole") == 120
    assert furthest(tmp_path / "runs/killed/sft/final", tmp_path / "runs/whole/sft/final") < SAME


def _trained(recipe: Path, name: str) -> int:
    """Run it, or go on, in this process; the steps of its SFT."""
    folder = run_recipe(load_recipe(recipe, [f"name={name}"]), recipe.parent / "runs").folder
    return int(read_json(folder / "sft" / "training.json")["steps"])


@pytest.mark.parametrize("asked, ours", [(3, 2), (2, 1), (1, 2)])
def test_another_number_of_processes_than_asked_for_is_refused(
    asked: int, ours: int, tmp_path: Path, monkeypatch
) -> None:
    """In every process, before any of them waits for the others."""
    recipe = load_recipe(write(tmp_path), [f"distributed.processes={asked}"])
    for name, value in {"RANK": "0", "WORLD_SIZE": str(ours)}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ComputeError, match=f"asks for {asked} processes, and {ours} started"):
        run_recipe(recipe, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_what_accelerate_was_told_and_the_recipe_was_not_is_refused(
    tmp_path: Path, monkeypatch
) -> None:
    """`accelerate launch --use_deepspeed --zero_stage 3`."""
    recipe = load_recipe(write(tmp_path), ["distributed.processes=2"])
    told = {"ACCELERATE_USE_DEEPSPEED": "true", "ACCELERATE_DEEPSPEED_ZERO_STAGE": "3"}
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", **told}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ComputeError, match="ZeRO stage 3, and the recipe asks for ddp"):
        run_recipe(recipe, tmp_path / "runs")


@pytest.mark.parametrize(
    "change, where",
    [
        ("stages.sft.batch_size=15", "stages.sft.batch_size"),
        ("stages.dpo.batch_size=3", "stages.dpo.batch_size"),
        ("stages.grpo.batch_size=4", "stages.grpo.batch_size"),
    ],
)
def test_what_cannot_be_shared_out_is_refused(change: str, where: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        check(load_recipe(write(tmp_path), [change, "distributed.processes=2"]))
    assert caught.value.where == where


def test_only_a_strategy_that_is_there_can_be_asked_for(tmp_path: Path) -> None:
    words = ["distributed.processes=2", "distributed.strategy=zero4"]
    with pytest.raises(RecipeError, match="ddp"):
        load_recipe(write(tmp_path), words)


def test_one_process_has_nothing_to_part(tmp_path: Path) -> None:
    words = ["distributed.processes=1", "distributed.strategy=zero2"]
    with pytest.raises(RecipeError, match="among several processes"):
        load_recipe(write(tmp_path), words)


FSDP = "distributed.strategy=fsdp"
SAVING = ["stages.dpo.save_steps=2", "stages.ppo.save_steps=2"]


@pytest.fixture(scope="module")
def sharded(tmp_path_factory) -> Path:
    """The chain's run folder, its weights sharded over two processes."""
    folder = tmp_path_factory.mktemp("sharded")
    said, complaints = run_forked(write(folder), FSDP, *SAVING)
    assert "2 processes (fsdp)" in said
    assert "arning" not in complaints
    return folder / "runs" / "alone"


@pytest.mark.parametrize("stage", LEARNERS)
def test_sharded_weights_learn_what_whole_ones_do(stage: str, alone: Path, sharded: Path) -> None:
    """FSDP2; the model handed on is whole, for it was loaded by the next stage, or played."""
    assert_same_learning(alone, sharded, stage)


def test_sharded_weights_go_on_from_a_checkpoint(sharded: Path, tmp_path: Path) -> None:
    """... of theirs, and whole ones do, too."""
    recipe, here = write(tmp_path), tmp_path / "runs" / "alone"
    shutil.copytree(sharded, here, symlinks=True)
    newest = {"01-sft": "checkpoint-7", "02-dpo": "checkpoint-4", "05-ppo": "step-000003"}
    for stage, last in newest.items():
        (here / "stages" / stage / "done.json").unlink()
        shutil.rmtree(here / "stages" / stage / "final")
        shutil.rmtree(here / "stages" / stage / "checkpoints" / last)
    shutil.copytree(here, tmp_path / "runs" / "whole", symlinks=True)
    said, _ = run_forked(recipe, FSDP, *SAVING)
    whole = run_recipe(load_recipe(recipe, ["name=whole", *SAVING]), tmp_path / "runs").folder
    for stage in newest:
        name = stage[3:]
        assert f"{name} (goes on" in said
        for after in (here, whole):
            assert metrics(after, name) == [
                pytest.approx(row, rel=SAME, abs=SAME) for row in metrics(sharded, name)
            ]
            assert furthest(sharded / name / "final", after / name / "final") < SAME


def test_sharded_weights_do_not_go_on_from_whole_ones(alone: Path, tmp_path: Path) -> None:
    """A Trainer keeps its optimizer's state by number, and pickled."""
    recipe, here = write(tmp_path), tmp_path / "runs" / "alone"
    shutil.copytree(alone, here, symlinks=True)
    (here / "stages" / "02-dpo" / "done.json").unlink()
    _, said = run_forked(recipe, FSDP, code=2)
    assert "had the whole optimizer" in said


@pytest.mark.parametrize(
    "changes, where",
    [
        (["stages.sft.optimizer=muon"], "stages.sft.optimizer"),
        (["stages.sft.early_stopping_patience=1"], "stages.sft.early_stopping_patience"),
        (["stages.grpo.max_staleness=1"], "stages.grpo.max_staleness"),
    ],
)
def test_what_sharded_weights_cannot_do_is_refused(
    changes: list[str], where: str, tmp_path: Path
) -> None:
    with pytest.raises(RecipeError, match=r"fsdp|in parts") as caught:
        check(load_recipe(write(tmp_path), [*changes, FSDP, "distributed.processes=2"]))
    assert caught.value.where == where


def test_weights_of_4_bits_are_not_sharded(tmp_path: Path) -> None:
    """Refused where they could be loaded, too."""
    words = ["model.lora={}", "model.load_in_4bit=true", FSDP, "distributed.processes=2"]
    with pytest.raises(RecipeError, match="fsdp"):
        check_distributed(load_recipe(write(tmp_path), words))


def test_torchrun_is_recognised(tmp_path: Path) -> None:
    recipe = write(tmp_path, sft(3))
    out, _ = run(command(recipe, launcher=TORCHRUN))
    assert "2 processes (ddp)" in out
    assert out.count("Report: ") == 1
    recorded = load_recipe(tmp_path / "runs" / "killed" / "recipe.yaml").distributed
    assert recorded is not None
    assert recorded.processes == 2
