"""Killed with -9 up to ten times and started again each time, a run ends as one never killed:
the same weights, optimizer, curriculum, failures, snapshots and metrics, bit for bit."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import numpy
import pytest
import torch

from tesuji.core.progress import Progress
from tesuji.pipeline.run import run_recipe
from tesuji.recipe.schema.recipe import Recipe

TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 32,
}
COMMON = {
    "max_steps": 14,
    "batch_size": 16,
    "learning_rate": 3e-3,
    "lr_scheduler_type": "linear",
    "warmup_steps": 2,
    "num_iterations": 2,
    "num_mini_batches": 2,
    "save_steps": 3,
    "eval_steps": 4,
    "eval_episodes": 4,
    "ema_decay": 0.9,
    "entropy_coef": 0.01,
    "rewards": {"returns": 1.0, "legal": 0.1, "oracle": 0.5},
    "play": {
        "opening_moves": 3,
        "snapshot_steps": 2,
        "snapshots": 2,
        "failure_replay": {"share": 0.4},
        "curriculum": [
            {"name": "easy", "opponents": ["random", "self"], "threshold": 0.05, "window": 24},
            {"name": "own", "opponents": ["snapshot", "random"], "threshold": 0.9},
        ],
    },
}
KINDS = {
    "grpo": {"num_generations": 4, "beta": 0.02, "sync_ref_model": True, "ref_model_sync_steps": 2},
    "ppo": {"beta": 0.05, "kl_in": "reward", "target_kl": 0.05, "optimizer": "muon"},
}


def recipe_of(kind: str, **changes: object) -> dict:
    return {
        "name": "killed",
        "seed": 5,
        "game": "tic_tac_toe",
        "model": {"base": "tiny", "tiny": TINY},
        "prompt": {"style": "compact", "answer": "id", "retry": False},
        "sampling": {"max_new_tokens": 2},
        "stages": {kind: {**COMMON, **KINDS[kind], **changes}},
        "evaluation": {"opponents": ["random"], "episodes": 4, "positions": 0, "before": False},
    }


def started(recipe: dict, root: Path) -> int:
    """A process that does the run: a fork of this one, with all that it has imported, and random
    numbers of its own where they do not follow from the recipe."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            torch.set_num_threads(1)
            torch.seed()
            random.seed()
            numpy.random.seed()
            run_recipe(Recipe.model_validate(recipe), root)
            code = 0
        finally:
            os._exit(code)  # in no case go on as a second copy of this test
    return pid


def whole(recipe: dict, root: Path) -> float:
    """The run to its end; the seconds it took."""
    since = time.monotonic()
    _, status = os.waitpid(started(recipe, root), 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return time.monotonic() - since


def saved(root: Path) -> int:
    """The last step of which there is a checkpoint."""
    return max((int(p.name[5:]) for p in root.glob("*/stages/*/checkpoints/step-*")), default=0)


def killed(recipe: dict, root: Path, *, begun: float = 60.0, further: float) -> bool:
    """Whether a run was still at work when it was killed: `begun` seconds after its start, or
    `further` seconds after it got further than it was, whichever came first."""
    before, pid, since = saved(root), started(recipe, root), time.monotonic()
    while saved(root) <= before and time.monotonic() - since < begun:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False
        time.sleep(0.01)
    if saved(root) > before:
        time.sleep(further)
    os.kill(pid, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def torn(recipe: dict, root: Path, kills: int, span: float) -> tuple[int, int]:
    """A run that takes `span` seconds, killed so often and done in the end: (how often it was, from
    how many different checkpoints it went on)."""
    draw, count, resumed = random.Random(7), 0, set()
    for number in range(kills):
        before, further = saved(root), draw.uniform(0.0, 0.1 * span)
        # every other start is killed at any moment, the rest only once they got further
        begun = 60.0 if number % 2 else draw.uniform(0.0, 0.6 * span)
        if not killed(recipe, root, begun=begun, further=further):
            break
        count += 1
        resumed |= {before} - {0}
    whole(recipe, root)
    return count, len(resumed)


def what_stays(root: Path) -> dict[str, object]:
    """Everything the stage left, without what tells the time or the folder."""
    stage = next((root / "killed" / "stages").glob("00-*"))
    files = [*stage.glob("checkpoints/*/*"), *stage.glob("final/*"), *stage.glob("best/*")]
    files += stage.glob("snapshots/*")
    found: dict[str, object] = {
        str(path.relative_to(stage)): path.read_bytes() for path in files if path.is_file()
    }
    card = found["final/README.md"].decode().replace(str(root), "ROOT").splitlines()
    found["final/README.md"] = [line for line in card if not _tells_time(line.strip("- "))]
    lines = (root / "killed" / "metrics.jsonl").read_text().splitlines()
    found["metrics"] = [
        {key: value for key, value in json.loads(line).items() if not _tells_time(key)}
        for line in lines
    ]
    return found


def _tells_time(key: str) -> bool:
    return key == "time" or key.startswith(("speed/", "seconds: "))


def test_damaged_checkpoints_are_told_and_the_one_before_is_gone_on_from(tmp_path: Path) -> None:
    recipe = recipe_of("grpo")
    recipe["stages"]["grpo"] |= {"max_steps": 8, "save_total_limit": 9}
    whole(recipe, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "torn")
    stage = next((tmp_path / "torn" / "killed" / "stages").glob("00-*"))
    (stage / "done.json").unlink()
    newest = sorted(stage.glob("checkpoints/step-*"))[-2:]
    (newest[0] / "optimizer.safetensors").write_bytes(b"")
    (newest[1] / "state.json").unlink()
    told: list[str] = []

    class Telling(Progress):
        def say(self, text: str) -> None:
            told.append(text)

    run_recipe(Recipe.model_validate(recipe), tmp_path / "torn", progress=Telling())
    assert any(f"{newest[0].name} is damaged (optimizer" in words for words in told), told
    one, other = what_stays(tmp_path / "whole"), what_stays(tmp_path / "torn")
    other = {key: value for key, value in other.items() if "/damaged-" not in key}
    for files in (one, other):  # the stage before the last one is written anew: another order
        files["metrics"].sort(key=lambda row: (row["stage"], row["step"]))
    assert sorted(one) == sorted(other)
    assert one == other


@pytest.mark.parametrize(
    ("kind", "staleness", "kills"), [("grpo", 0, 10), ("ppo", 0, 10), ("grpo", 2, 5)]
)
def test_a_run_killed_often_ends_as_one_never_killed(
    kind: str, staleness: int, kills: int, tmp_path: Path
) -> None:
    recipe = recipe_of(kind, max_staleness=staleness)
    span = whole(recipe, tmp_path / "whole")
    count, resumed = torn(recipe, tmp_path / "torn", kills, span)
    assert count >= kills // 2
    assert resumed >= 2, "no run went on from a checkpoint"
    one, other = what_stays(tmp_path / "whole"), what_stays(tmp_path / "torn")
    assert sorted(one) == sorted(other)
    for name in sorted(set(one) - {"metrics"}):
        assert one[name] == other[name], name
    for mine, its in zip(one["metrics"], other["metrics"], strict=True):
        assert mine == its
    assert any(name.startswith("snapshots/") for name in one)
    state = json.loads(next(v for k, v in sorted(one.items()) if k.endswith("state.json")))
    assert state["schedule"]["curriculum"]["stage"] == 1, "the curriculum moved on"
