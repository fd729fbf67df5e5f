"""`modal run -m tesuji.compute.modal_app::train`: Modal's own command line, its real one."""

import subprocess
import sys
from pathlib import Path

import pytest
from modal_server import ModalServer, can_run, served_modal
from tiny_jobs import write_recipe

from tesuji.core.files import read_json

pytestmark = pytest.mark.skipif(not can_run(), reason="no mounts of one's own on this machine")


def modal_run(folder: Path, entry: str, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "modal", "run", "-m", f"tesuji.compute.modal_app::{entry}", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_a_recipe_trains_and_its_results_come_home(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    with served_modal() as server:
        done = modal_run(
            tmp_path, "train", "--config-path", recipe.name, "--steps", "3", "--gpu-type", "T4",
            "--overrides", "seed=2",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        [app] = [app for app in server.world.apps.values() if app.name.startswith("tesuji-")]
        [function] = [f for f in server.world.functions.values() if f.app is app]
        assert function.definition.resources.gpu_config.gpu_type == "T4"
        assert server.running() == [] and server.unimplemented == []
    assert "sft: 3 steps" in done.stdout
    assert list((tmp_path / "runs" / "small").glob("stages/*/final/model.safetensors"))


@pytest.mark.machines
def test_a_config_trains_and_its_model_is_judged(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path)
    with served_modal() as server:
        done = modal_run(
            tmp_path, "train_with_config", "--config-path", recipe.name, "--overrides",
            "stages.sft.max_steps=3 name=mine",
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "sft: 3 steps" in done.stdout and "tesuji-outputs" in names(server)
        model = "runs/mine/stages/00-sft/final"
        judged = modal_run(
            tmp_path, "evaluate", "--env", "openspiel/tiny-ppo", "--model", model,
            "--num-examples", "2",
        )  # fmt: skip
        assert judged.returncode == 0, judged.stdout + judged.stderr
        assert server.running() == [] and server.unimplemented == []
    [evaluation] = (tmp_path / "runs").glob("eval-*/stages/*/evaluation.json")
    judged_matches = read_json(evaluation)["matches"]
    games = {m["opponent"]: m["games"] for m in judged_matches if m["seat"] is None}
    assert games["random"] == 2
    assert not list((tmp_path / "runs").glob("eval-*/stages/*/final"))  # nothing was trained


def names(server: ModalServer) -> str:
    return " ".join(volume.name for volume in server.world.volumes.values())


def test_what_is_wrong_is_one_message(tmp_path: Path) -> None:
    with served_modal() as server:
        wrong = modal_run(tmp_path, "train", "--env", "wordel")
        gpu = modal_run(
            tmp_path, "evaluate", "--env", "wordle", "--model", "tiny", "--gpu-type", "X9"
        )
        assert server.world.past_tasks == {}
    assert wrong.returncode == gpu.returncode == 2
    assert "wordel" in wrong.stderr and "Traceback" not in wrong.stderr
    assert "Modal has no GPU 'X9'" in gpu.stderr and "Traceback" not in gpu.stderr
