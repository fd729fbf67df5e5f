"""`tesuji run` with `sampling.engine: vllm`, against servers that compute with what they are given:
the weights of every step, and no others. Each run ends with an evaluation, by the last weights."""

import json
import re

import pytest
import yaml
from vllm_server import python_with_it, refusal, serving

from tesuji.api import run
from tesuji.core.errors import EngineError, RecipeError
from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.recipe.schema.sections import TinyModel

HEADS_OF_32 = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 2}
LORA = {"r": 4, "alpha": 8}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """What a tiny model of seed 1 is before anything is learned."""
    folder = tmp_path_factory.mktemp("base")
    build_model(TinyModel(**HEADS_OF_32), 1).save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    return folder


def recipe(folder, *, lora=None, kind="grpo", ahead=0, **sampling):
    stage = {"kind": kind, "max_steps": 3, "batch_size": 8, "save_steps": 1, "learning_rate": 0.01}
    stage |= {
        "num_generations": 4,
        "max_staleness": ahead,
        "play": {"opponents": ["random", "self"]},
    }
    whole = {
        "name": "small",
        "seed": 1,
        "game": "tic_tac_toe",
        "model": {"base": "tiny", "tiny": HEADS_OF_32, "lora": lora, "dtype": "float32"},
        "prompt": {"style": "compact", "answer": "id", "retry": False},
        "sampling": {"max_new_tokens": 3, "legal_only": True, **sampling},
        "stages": {"rl": stage},
        "evaluation": {"episodes": 2, "positions": 0, "before": False},
    }
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump(whole))
    return path


def logged(folder, name):
    lines = (folder / "runs" / "small" / "metrics.jsonl").read_text().splitlines()
    return [row[name] for row in map(json.loads, lines) if name in row]


def by_run(server):
    """The models that were asked: in the rollouts, and in the evaluation, which is another run to
    the servers."""
    names = [body["model"] for body in server.bodies]
    first = names[0].rpartition("-v")[0]
    return [[one for one in names if one.startswith(first) is ours] for ours in (True, False)]


def play(path, **changes):
    return run(path, runs=path.parent / "runs", **changes)


def test_every_step_samples_with_the_adapter_of_its_own_version(tmp_path, base):
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    play(recipe(tmp_path / "here", lora=LORA))
    with serving(base) as server:
        play(recipe(tmp_path / "there", lora=LORA, engine="vllm", url=server.url))
    names, judged = by_run(server)
    assert judged and {re.sub(".*-v", "", name) for name in judged} == {"0"}
    assert {re.sub(".*-v", "", name) for name in names} == {"0", "1", "2"}
    assert names == sorted(names)  # no old version is asked once there is a new one
    assert [*server.models] == ["policy"], "the last one is unloaded too"
    assert max(logged(tmp_path / "there", "sampler_gap")) < 1e-5
    for name in ("reward", "loss", "reply_length"):  # the local sampler's own moves
        here, there = (logged(tmp_path / one, name) for one in ("here", "there"))
        assert there == pytest.approx(here, abs=1e-3)
    assert not [*(tmp_path / "there/runs/small").rglob("tesuji-*")]


@pytest.mark.parametrize("lora", [LORA, None])
def test_rollouts_ahead_of_their_step_play_a_version_twice(tmp_path, base, lora):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    play(recipe(tmp_path / "here", lora=lora, ahead=1))
    with serving(base) as server:
        play(recipe(tmp_path / "there", lora=lora, ahead=1, engine="vllm", url=server.url))
    assert [*server.models] == ["policy"]
    assert logged(tmp_path / "there", "staleness") == [0, 1, 1]
    for name in ("reward", "loss", "reply_length"):
        here, there = (logged(tmp_path / one, name) for one in ("here", "there"))
        assert there == pytest.approx(here, abs=1e-3)


def test_whole_weights_are_read_again_and_the_cache_is_forgotten(tmp_path, base):
    with serving(base) as server:
        play(recipe(tmp_path, engine="vllm", url=[server.url]))
    order = ["/pause", "/collective_rpc", "/reset_prefix_cache", "/update_weight_version"]
    order += ["/resume"]
    assert [path for path in server.seen if path in order] == order * 4
    assert max(logged(tmp_path, "sampler_gap")) < 1e-5


def test_free_replies_are_learned_from_with_the_log_probs_they_had(tmp_path, base):
    with serving(base) as server:
        play(recipe(tmp_path, lora=LORA, engine="vllm", url=server.url, legal_only=False))
    assert max(logged(tmp_path, "sampler_gap")) < 1e-4


def test_a_server_of_another_model_is_refused_before_it_plays(tmp_path, base):
    other = tmp_path / "other"
    build_model(TinyModel(**HEADS_OF_32), 2).save_pretrained(other)
    with serving(other) as server:
        path = recipe(tmp_path, lora=LORA, engine="vllm", url=server.url)
        with pytest.raises(EngineError, match="from the policy's own: another model"):
            play(path)
        assert len(server.bodies) == 1
    with serving(other) as wrong, serving(base) as right:
        path = recipe(tmp_path, lora=LORA, engine="vllm", url=[wrong.url, right.url])
        play(path)
        assert len(wrong.bodies) == 4  # asked what it is with each new version, and no more
    assert max(logged(tmp_path, "sampler_gap")) < 1e-5


def test_weights_that_did_not_arrive_are_noticed(tmp_path, base):
    with serving(base) as server:
        server.models["policy"].eval()
        server._load = lambda folder: server.models["policy"]  # says it has read them, and has not
        path = recipe(tmp_path, engine="vllm", url=server.url)
        with pytest.raises(EngineError, match="from the policy's own"):
            play(path)


def test_servers_that_die_stop_the_run_and_another_goes_on_from_the_checkpoint(tmp_path, base):
    def dies(number, body):
        return refusal(500, "EngineDeadError") if body["model"].endswith("-v2") else None

    with serving(base, dies) as dying:
        path = recipe(tmp_path, lora=LORA, engine="vllm", url=dying.url)
        with pytest.raises(EngineError, match=r"no vLLM server answers: .*EngineDeadError"):
            play(path)
    assert [p.name for p in (tmp_path / "runs/small/stages/00-rl/checkpoints").iterdir()][-1:]
    with serving(base) as server:  # elsewhere: no part of the step's key
        play(recipe(tmp_path, lora=LORA, engine="vllm", url=server.url))
        assert {re.sub(".*-v", "", name) for name in by_run(server)[0]} == {"2"}
    assert len(logged(tmp_path, "sampler_gap")) == 3


def test_a_server_is_started_for_the_run_and_ended_with_it(tmp_path):
    import psutil

    python = str(python_with_it(tmp_path))
    path = recipe(tmp_path, engine="vllm", engine_python=python)
    play(path)
    assert max(logged(tmp_path, "sampler_gap")) < 1e-5
    assert (tmp_path / "runs/small/stages/00-rl/vllm/server.log").exists()
    lines = [" ".join(p.info["cmdline"] or ()) for p in psutil.process_iter(["cmdline"])]
    assert not [line for line in lines if str(tmp_path) in line and "--port" in line]


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"engine": "vllm"}, "sampling.engine", "not installed"),
        ({"engine": "vllm", "url": "nowhere"}, "sampling.url.0", "http"),
        ({"url": "http://127.0.0.1:1"}, "sampling", "add engine: vllm"),
        (
            {"engine": "vllm", "url": "http://127.0.0.1:1", "max_model_len": 64},
            "sampling",
            "engine: vllm without url",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(tmp_path, changes, key, words):
    with pytest.raises((RecipeError, EngineError), match=words) as caught:
        play(recipe(tmp_path, **changes))
    assert caught.value.where.startswith(key) or key in str(caught.value)
    assert not (tmp_path / "runs").exists()
