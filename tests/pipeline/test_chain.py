"""Data, SFT, DPO, GRPO and report from one recipe; a chain killed in every stage ends as one that
never was."""

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
import torch
from places import ROOT

from tesuji.core.metric_log import MetricLog
from tesuji.evaluation.results import load_evaluation
from tesuji.pipeline.run import run_recipe
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.recipe import Recipe

RECIPE = "recipes/tictactoe/tiny-sft-dpo-grpo.yaml"
SHAPE = {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2}
LEARNERS = ("sft", "dpo", "grpo")


def short_chain() -> Recipe:
    """The shipped recipe with few positions and few steps."""
    plain = load_recipe(str(ROOT / RECIPE)).model_dump(mode="json")
    plain["name"] = "chain"
    plain["model"]["tiny"] |= {**SHAPE, "num_hidden_layers": 1, "intermediate_size": 32}
    stages = plain["stages"]
    stages["data"] |= {"positions": "sampled", "num_positions": 80, "held_out_from": "all"}
    for name in LEARNERS:
        stages[name] |= {"max_steps": 8, "batch_size": 16, "save_steps": 2, "logging_steps": 2}
        stages[name] |= {"warmup_steps": 0}
    stages["grpo"] |= {"stop_when": "never", "max_steps": 6}
    plain["evaluation"] |= {"opponents": [{"player": "random"}], "episodes": 4, "positions": 20}
    plain["evaluation"] |= {"rows": 1}
    return Recipe.model_validate(plain)


def killed_in(stage: str, recipe: Recipe, root: Path) -> bool:
    """Start the run and kill it once that stage has a checkpoint; whether it was still at work."""
    pid = os.fork()
    if pid == 0:
        try:
            torch.set_num_threads(1)
            run_recipe(recipe, root)
        finally:
            os._exit(0)  # in no case go on as a second copy of this test
    saved = f"{recipe.name}/stages/*-{stage}/checkpoints/*"
    while not list(root.glob(saved)):
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def finals(run: Path) -> dict[str, bytes]:
    found = run.glob("stages/*/final/model.safetensors")
    return {str(path.relative_to(run)): path.read_bytes() for path in found}


def unnamed(run: Path) -> list[str]:
    """What was logged and docs/metrics.md does not name."""
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    names = re.findall(r"`([\w/]+)`", page)
    shapes = [re.sub("OPPONENT|SPLIT|NAME", r"[\\w/]+", name) for name in names]
    logged = {name for row in MetricLog(run).rows() for name in row} - {"time", "stage", "step"}
    bare = {name.removeprefix("eval_") for name in logged if name != "eval_runtime"}
    return [name for name in sorted(bare) if not any(re.fullmatch(one, name) for one in shapes)]


def judged_by_dpo(run: Path) -> tuple[int, int, float]:
    """What the DPO stage said last of the held-out pairs."""
    training = json.loads((run / "stages/04-dpo/training.json").read_text())
    judged = training["accuracy_after"]["policy_preference"]
    return (
        judged["right"],
        judged["of"],
        logged(run, "dpo", "eval_policy_preference"),
    )


def judged_after_dpo(run: Path) -> tuple[int, int, float]:
    """What the evaluation after it says of them."""
    rows = load_evaluation(run / "stages/05-after-dpo/evaluation.json").rows
    share = rows.preferences.summed
    return (
        share.right,
        share.total,
        logged(run, "after-dpo", "held_out/preference_accuracy"),
    )


def logged(run: Path, stage: str, metric: str) -> float:
    """The metric as the stage logged it last."""
    return [r[metric] for r in MetricLog(run).rows() if r["stage"] == stage and metric in r][-1]


@pytest.mark.slow
def test_the_whole_chain_from_one_recipe_killed_in_every_stage(tmp_path: Path) -> None:
    recipe = short_chain()
    torch.set_num_threads(1)
    assert [killed_in(stage, recipe, tmp_path / "torn") for stage in LEARNERS].count(True) >= 2
    torn = run_recipe(recipe, tmp_path / "torn")
    whole = run_recipe(recipe, tmp_path / "whole")
    assert len(finals(whole.folder)) == 3
    assert finals(whole.folder) == finals(torn.folder)
    names = [path.name for path in sorted((torn.folder / "stages").iterdir())]
    assert [name.partition("-")[2] for name in names] == [
        "data", "before", "sft", "after-sft", "dpo", "after-dpo", "grpo", "after"
    ]  # fmt: skip
    pairs = (torn.folder / "stages/00-data/pairs.jsonl").read_text().splitlines()
    about = json.loads(pairs[0])["about"]
    assert about["by"] == "oracle" and about["near"] == "prompt"
    for name in names[1::2]:
        assert load_evaluation(torn.folder / "stages" / name / "evaluation.json").matches
    assert unnamed(whole.folder) == []
    assert judged_by_dpo(whole.folder) == judged_after_dpo(whole.folder)
    page = (torn.folder / "report.html").read_text()
    assert "after dpo" in page and "Learning from pairs" in page
    for name in LEARNERS:
        assert (torn.folder / f"training_summary_{name}.json").is_file()
        assert (torn.folder / name / "final" / "model.safetensors").is_file()
