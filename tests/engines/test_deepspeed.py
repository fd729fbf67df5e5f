"""DeepSpeed's ZeRO in two processes, through `tesuji run`: the losses, gradients and weights of one
process; what its checkpoints go on with. (gloo, CPU)"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from places import SUPPORT
from processes import (
    LEARNERS,
    SAME,
    SFT,
    TWO,
    assert_same_learning,
    begin,
    command,
    furthest,
    in_two_processes,
    metrics,
    ranks_below,
    run,
    write,
)

from tesuji.core.errors import RecipeError
from tesuji.core.files import read_json
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


SAVING = [f"stages.{stage}.save_steps=2" for stage in ("dpo", "ppo", "grpo")]
RISING = [  # the loss falls, and then rises
    "learning_rate=1.0", "warmup_steps=7", "early_stopping_patience=1", "save_steps=1",
    "eval_steps=1",
]  # fmt: skip


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


def test_checkpoints_go_on_with_any_strategy(parted: tuple[Path, str], tmp_path: Path) -> None:
    """With that which wrote them, and in one process without DeepSpeed; they are whole."""
    before, strategy = parted
    recipe, here = write(tmp_path), tmp_path / "runs" / "alone"
    shutil.copytree(before, here, symlinks=True)
    newest = {"01-sft": "checkpoint-7", "02-dpo": "checkpoint-4", "05-ppo": "step-000003"}
    for stage, last in newest.items():
        (here / "stages" / stage / "done.json").unlink()
        shutil.rmtree(here / "stages" / stage / "final")
        shutil.rmtree(here / "stages" / stage / "checkpoints" / last)
    assert not list(here.rglob("*_states.pt")), "DeepSpeed's"
    shutil.copytree(here, tmp_path / "runs" / "whole", symlinks=True)
    said, _ = run(command(recipe, *ZERO[strategy], *SAVING, *TWO))
    whole = run_recipe(load_recipe(recipe, ["name=whole", *SAVING]), tmp_path / "runs").folder
    for stage in newest:
        name = stage[3:]
        assert f"{name} (goes on" in said
        for after in (here, whole):
            assert metrics(after, name) == [
                pytest.approx(row, rel=SAME, abs=SAME) for row in metrics(before, name)
            ]
            assert furthest(before / name / "final", after / name / "final") < SAME


def test_the_best_weights_are_gone_back_to(tmp_path: Path) -> None:
    recipe = write(tmp_path, SFT)
    early = [f"stages.sft.{change}" for change in RISING]
    alone = run_recipe(load_recipe(recipe, early), tmp_path / "runs").folder
    run(command(recipe, *ZERO["zero3"], *early, "name=two", *TWO))
    two = tmp_path / "runs" / "two"
    assert "stopped improving" in read_json(two / "sft" / "training.json")["stopped_because"]
    final, kept = two / "sft" / "final", (two / "sft" / "checkpoints").glob("checkpoint-*")
    newest = max(kept, key=lambda folder: int(folder.name[11:]))
    assert furthest(final, newest) > 10 * SAME, "it is an older one"
    best = Path(read_json(newest / "trainer_state.json")["best_model_checkpoint"])
    assert furthest(final, best) == 0
    steps = [read_json(run / "sft" / "training.json")["steps"] for run in (alone, two)]
    assert steps[0] == steps[1] < 7


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


IN_BFLOAT16 = """
import json, sys, torch
torch.set_num_threads(1)
sys.path[:0] = {tests!r}
from pathlib import Path
from made_traces import STAGES, made_traces, policy, tokens_of
from tesuji.learners.distributed import is_main, join, leave, started
from tesuji.learners.rl.token_layout import flatten
from tesuji.learners.rl.update.build import build_learner, loss_options
from tesuji.learners.rl.update.optimizer_step import rows_of, step
from tesuji.recipe.schema.sections import DistributedSection

strategy, name, adapted, out = sys.argv[1:]
options = {{"stage3_param_persistence_threshold": 0}} if strategy == "zero3" else {{}}
if started():
    join(DistributedSection(processes=2, strategy=strategy, zero_optimization=options), "cpu")
made, stage = policy(adapted == "adapter", torch.bfloat16), STAGES[name]
flat = flatten(made_traces())
learner = build_learner(stage, made, temperature=0.7)
rows, figures = rows_of(learner, flat), []
for _ in range(3):
    options = loss_options(stage, 9, 0.0)
    figures.append(step(learner, rows, tokens_of(flat), flat.tokens, options))
if is_main():
    Path(out).write_text(json.dumps(figures))
if started():
    leave()
"""


@pytest.mark.parametrize("name", ["grpo", "ppo"])
@pytest.mark.parametrize("strategy, what", [("zero1", "whole"), ("zero3", "adapter")])
def test_play_is_learned_from_in_bfloat16(
    strategy: str, what: str, name: str, tmp_path: Path
) -> None:
    """With the losses and gradients of one process, within what bfloat16 can tell apart."""
    script, words = IN_BFLOAT16.format(tests=[str(SUPPORT)]), [strategy, name, what]
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    subprocess.run([sys.executable, "-c", script, *words, str(one)], check=True)
    in_two_processes(tmp_path, script, *words, str(two))
    for ours, theirs in zip(json.loads(one.read_text()), json.loads(two.read_text()), strict=True):
        assert theirs == pytest.approx(ours, rel=2**-7, abs=1e-4)


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
        check(load_recipe(write(tmp_path), words))
    assert caught.value.where == where
