"""Evaluations with `sampling.engine: vllm`, by a server that computes with what it is given."""

import json
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml
from processes import run_forked
from vllm_server import python_with_it, refusal, serving

from tesuji.api import run
from tesuji.cli.main import main
from tesuji.core.errors import EndpointError
from tesuji.core.files import read_json
from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.recipe.schema.sections import TinyModel

HEADS_OF_32 = {"hidden_size": 32, "num_attention_heads": 1, "num_key_value_heads": 1}
SHAPE = {**HEADS_OF_32, "num_hidden_layers": 1, "intermediate_size": 32}
LORA = {"r": 4, "alpha": 8}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a tiny model of seed 1 is before anything is learned."""
    folder = tmp_path_factory.mktemp("base")
    build_model(TinyModel(**SHAPE), 1).save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    return folder


def write(folder: Path, lora: Any = None, judged: Any = None, **sampling: Any) -> Path:
    folder.mkdir(exist_ok=True)
    recipe = {
        "name": "small",
        "seed": 1,
        "game": "tic_tac_toe",
        "model": {"base": "tiny", "tiny": SHAPE, "lora": lora, "dtype": "float32"},
        "prompt": {"style": "compact", "answer": "id", "retry": False},
        "sampling": {"max_new_tokens": 3, "legal_only": True, "batch_size": 8, **sampling},
        "stages": {
            "data": {"positions": "sampled", "num_positions": 24, "held_out": 0.3},
            "sft": {"max_steps": 2, "batch_size": 8, "learning_rate": 0.01},
        },
        "evaluation": {"episodes": 4, "positions": 12, "rows": 4, **(judged or {})},
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return path


def play(path: Path) -> Path:
    return run(path, runs=path.parent / "runs").folder


def found(run: Path, name: str) -> dict[str, Any]:
    """The evaluation's file without the clock, its numbers to six digits."""
    text = (run / name / "evaluation.json").read_text()
    result = json.loads(text, parse_float=lambda number: float(f"{float(number):.6g}"))
    del result["seconds"], result["rows"]["seconds"]
    return dict(result)


def said(run: Path, name: str) -> list[Any]:
    """All episodes: who did what, and what was said."""
    lines = (run / name / "episodes.jsonl").read_text().splitlines()
    episodes = [json.loads(line) for line in lines]
    return [
        (turn["seat"], turn["played"], [one["reply"] for one in turn["attempts"]])
        for episode in episodes
        for turn in episode["turns"]
    ]


@pytest.mark.parametrize(
    ("lora", "legal_only"),
    [(LORA, True), (None, False)],
    ids=["adapter, legal only", "whole, free"],
)
def test_it_finds_what_the_local_sampler_finds(tmp_path, base, lora, legal_only) -> None:
    ours = play(write(tmp_path / "here", lora, legal_only=legal_only))
    with serving(base) as server:
        sampling = {"engine": "vllm", "url": server.url, "legal_only": legal_only}
        theirs = play(write(tmp_path / "there", lora, **sampling))
    for name in ("before", "after"):
        assert found(theirs, name) == found(ours, name)
        assert said(theirs, name) == said(ours, name) != []
    asked = {body["model"] for body in server.bodies}
    assert len(asked) == (2 if lora else 1) and [*server.models] == ["policy"]
    assert server.seen.count("/collective_rpc") == (0 if lora else 1)  # it began with the base
    assert not [*theirs.rglob("tesuji-*")], "weights are left behind"


def test_what_is_computed_exactly_is_asked_of_the_servers_too(tmp_path, base) -> None:
    judged = {"exploitability": True, "episodes": 2, "positions": 0, "rows": 0}
    with serving(base) as server:
        for name, sampling in (("here", {}), ("there", {"engine": "vllm", "url": server.url})):
            path = write(tmp_path / name, judged=judged, **sampling)
            recipe = yaml.safe_load(path.read_text())
            stages = {"grpo": {"max_steps": 1, "batch_size": 4, "num_generations": 2}}
            recipe |= {"game": "kuhn_poker", "stages": stages}
            path.write_text(yaml.safe_dump(recipe))
            play(path)
    for look in ("before", "after"):
        ours, theirs = (
            read_json(tmp_path / name / f"runs/small/{look}/evaluation.json")["exploitability"]
            for name in ("here", "there")
        )
        assert theirs["nash_conv"] == pytest.approx(ours["nash_conv"], abs=1e-5)
    assert len(server.bodies) > 2 * 12  # what Kuhn's players can find themselves in, each time


def test_servers_are_started_on_the_model_under_evaluation_and_ended(tmp_path) -> None:
    python = str(python_with_it(tmp_path))
    folder = play(write(tmp_path / "there", engine="vllm", engine_python=python))
    assert found(folder, "after") == found(play(write(tmp_path / "here")), "after")
    for name in ("before", "after"):
        assert [path.name for path in (folder / name / "vllm").iterdir()] == ["server.log"]
    lines = [" ".join(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"])]
    assert not [line for line in lines if str(tmp_path) in line and "--port" in line]


def test_a_server_that_dies_leaves_the_step_undone_and_another_begins_it_anew(tmp_path, base):
    def dies(number: int, body: Any) -> Any:
        return refusal(500, "EngineDeadError") if number >= 20 else None

    judged = {"before": False}
    with serving(base, dies) as dying:
        path = write(tmp_path / "there", LORA, judged, engine="vllm", url=dying.url)
        with pytest.raises(EndpointError, match=r"no vLLM server answers: .*EngineDead") as caught:
            play(path)
    assert "begins anew" in str(caught.value)
    assert len(dying.bodies) <= 20 + 4 * 8  # so many tries, so many at once
    folder = tmp_path / "there/runs/small"
    done = {file.parent.name: file.read_bytes() for file in folder.glob("stages/*/done.json")}
    assert sorted(done) == ["00-data", "01-sft"]
    assert not (folder / "stages/02-after/evaluation.json").exists()
    with serving(base) as server:  # elsewhere: no part of the step's key
        play(write(tmp_path / "there", LORA, judged, engine="vllm", url=server.url))
    again = {file.parent.name: file.read_bytes() for file in folder.glob("stages/*/done.json")}
    assert again.items() >= done.items(), "what was done was done again"
    ours = play(write(tmp_path / "here", LORA, judged))
    assert found(folder, "after") == found(ours, "after")
    assert said(folder, "after") == said(ours, "after")


def test_two_processes_ask_the_same_server(tmp_path, base) -> None:
    """Of whole weights, whose server's name for them the second has to learn; of an adapter."""
    with serving(base) as server:
        path = write(tmp_path / "there", LORA, engine="vllm", url=server.url)
        run_forked(path)
    theirs, ours = path.parent / "runs/small", play(write(tmp_path / "here", LORA))
    assert len({body["model"] for body in server.bodies}) == 2
    assert found(theirs, "before") == found(ours, "before")
    assert said(theirs, "before") == said(ours, "before")


def test_a_server_that_stumbles_is_asked_again(tmp_path, base) -> None:
    def stumbles(number: int, body: Any) -> Any:
        return refusal(503, "busy") if number in (5, 9) else None

    judged = {"before": False}
    with serving(base, stumbles) as server:
        path = write(tmp_path / "there", LORA, judged, engine="vllm", url=server.url)
        theirs = play(path)
    assert found(theirs, "after") == found(play(write(tmp_path / "here", LORA, judged)), "after")


def test_the_command_line_evaluates_through_either(tmp_path, base, capsys) -> None:
    judged = {"before": False, "rows": 0, "positions": 0}
    with serving(base) as server:
        path = write(tmp_path / "there", LORA, judged, engine="vllm", url=server.url)
        folder = play(path)
        asked = len(server.bodies)
        results = {}
        for engine in ("local", "vllm", None):
            out = tmp_path / f"by-{engine}"
            words = ["--engine", engine] if engine else []
            line = ["eval", str(folder), "--episodes", "4", "--out", str(out), *words]
            assert main(line) == 0
            assert (len(server.bodies) > asked) is (engine != "local")
            asked = len(server.bodies)
            results[engine] = said(out, ".")
        assert results["local"] == results["vllm"] == results[None] != []
        assert [*server.models] == ["policy"]
    assert not [*folder.glob("vllm/tesuji-*")]
    capsys.readouterr()
    assert main(["eval", str(folder), "--engine", "vllm", "--prompts", str(path)]) == 2
    assert "--engine does not go with --prompts" in capsys.readouterr().err
    assert main(["eval", str(folder)]) == 2  # it is gone
    assert "no vLLM server answers" in capsys.readouterr().err
