"""Two processes evaluate what one does, each its share of it. (gloo, CPU)"""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from made_recipes import text_of
from other_packages import install
from processes import SAME, TWO, command, metrics, run, run_forked, write

from tesuji.core.files import read_json
from tesuji.pipeline.run import run_recipe
from tesuji.recipe.reading.load import load_recipe

WITNESS = """\
import os, signal
from pathlib import Path
from tesuji.players.base import OneByOne
from tesuji.players.basic.random import RandomPlayer

class Witness(OneByOne):
    name = "witness"

    def reply(self, request):
        rank = os.environ.get("RANK", "alone")
        if os.environ.get("DIES") == rank:
            os.kill(os.getpid(), signal.SIGKILL)
        with (Path(os.environ["WITNESSED"]) / rank).open("a") as file:
            file.write(f"{len(request.history)}\\n")
        return RandomPlayer().choose([request])[0]
"""
STAGES = """\
  data: {positions: sampled, num_positions: 40, held_out: 0.2}
  grpo: {max_steps: 1, batch_size: 8, num_generations: 4, learning_rate: 1.0e-9, eval_steps: 1,
         eval_episodes: 6, play: {opponents: [random]}}
"""
EVALUATION = """{opponents: [minimax, witness], beside: [witness], episodes: 7, positions: 31,
             rows: 5, temperature: 1.0, certificate: true}"""
RECIPE = text_of("alone", STAGES, EVALUATION)


def found_by(run: Path) -> str:
    """The evaluation's file, without the clock."""
    found = read_json(run / "before" / "evaluation.json")
    assert found.pop("seconds") >= 0
    assert found["rows"] is None or found["rows"].pop("seconds") >= 0
    return json.dumps(found)


def matches_of(run: Path) -> tuple[str, list[float]]:
    """The matches' file without log-probs, whose last digits depend on what is batched together;
    and these."""
    logprobs: list[float] = []

    def without(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        logprobs.extend(row.pop("logprobs", ()))
        return row

    lines = (run / "before" / "episodes.jsonl").read_text().splitlines()
    return json.dumps([json.loads(line, object_pairs_hook=without) for line in lines]), logprobs


def test_each_process_plays_its_share_and_one_that_dies_there_ends_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, seen = tmp_path / "site", tmp_path / "seen"
    seen.mkdir()
    entries = {"tesuji.players": {"witness": "witness:Witness"}}
    install(site, "witnesses", "witness", WITNESS, entries, monkeypatch)
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setenv("WITNESSED", str(seen))
    recipe, runs = write(tmp_path, RECIPE), tmp_path / "runs"
    alone = run_recipe(load_recipe(recipe), runs).folder

    started = time.monotonic()
    monkeypatch.setenv("DIES", "1")
    _, said = run(command(recipe, "name=two", *TWO), code=2)
    assert time.monotonic() - started < 60
    assert said.count("error: ") == 1
    assert "process 1 was killed (SIGKILL)" in said
    assert not (runs / "two" / "before" / "evaluation.json").exists()
    for file in seen.glob("[01]"):
        file.unlink()

    monkeypatch.delenv("DIES")
    run_forked(recipe, "name=two")
    assert read_json(alone / "before" / "evaluation.json")["rows"]["replies"]["replies"] == 5
    assert found_by(alone) == found_by(runs / "two")
    (played, likely), (theirs, as_likely) = matches_of(alone), matches_of(runs / "two")
    assert played == theirs
    assert as_likely == pytest.approx(likely, abs=SAME)
    assert len(likely) > 60
    assert metrics(runs / "two", "grpo") == [
        pytest.approx(row, rel=SAME, abs=SAME) for row in metrics(alone, "grpo")
    ]
    turns = {file.name: Counter(file.read_text().split()) for file in seen.iterdir()}
    mine, its = turns["0"]["0"], turns["1"]["0"]
    assert (mine, its) == (2 * 15 + 6, 2 * 20 + 6), "3 and 4 of 7 matches in 5 seats; 3 of 6 twice"
    assert turns["0"] + turns["1"] == turns["alone"], "nothing was played twice"
