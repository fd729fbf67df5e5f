"""A model behind an endpoint where recipes and commands take a player: oracle, opponent, reward."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.responses import Response
from llm_server import Server, completion, first_legal, legal_in, serving
from made_recipes import recipe_of
from safetensors.torch import load_file

from tesuji.cli.main import main
from tesuji.core.errors import EndpointError
from tesuji.core.types import Ending, Task
from tesuji.datasets.files import read_rows
from tesuji.datasets.from_positions.stage import make_data
from tesuji.episodes.arena import play_matches
from tesuji.episodes.rewards.total import make_terms
from tesuji.episodes.store import read_episodes
from tesuji.games.catalogue import load_game
from tesuji.pipeline.plan import make_plan
from tesuji.pipeline.run import run_recipe
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.endpoint.budget import SPENDING, Ledger
from tesuji.recipe.schema.play import RewardTerm
from tesuji.recipe.schema.recipe import Recipe

TTT = load_game("tic_tac_toe")
KEY = "hunter2hunter2"
COMMON = {"player": "openai", "model": "m", "api_key_env": "LOCAL", "retries": 0}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("TESUJI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCAL", KEY)
    with serving(first_legal, delay=0.01) as running:
        yield running


def with_opponent(url: str, **budget: Any) -> Recipe:
    """One GRPO stage against the endpoint; it is the evaluation's opponent, too."""
    them = {**COMMON, "base_url": url, "name": "rival", **budget}
    recipe = recipe_of(play={"opponents": [them]}, save_steps=1).model_dump(mode="json")
    return Recipe.model_validate(
        {**recipe, "evaluation": {**recipe["evaluation"], "opponents": [them]}}
    )


def test_a_run_stops_at_its_budget_and_goes_on_to_the_same_end(
    server: Server, tmp_path: Path, monkeypatch
):
    whole = run_recipe(with_opponent(server.url), tmp_path / "whole")
    requests = len(server.bodies)
    [row] = Ledger(whole.folder / SPENDING).spent()
    assert row.requests == requests > 20
    monkeypatch.setenv("TESUJI_CACHE", str(tmp_path / "another"))
    for budget in (requests // 3, requests * 2 // 3):
        with pytest.raises(EndpointError) as caught:
            run_recipe(with_opponent(server.url, max_requests=budget), tmp_path / "stopped")
        assert f"the budget of {budget} requests" in str(caught.value)
        [row] = Ledger(tmp_path / "stopped" / "small" / SPENDING).spent()
        assert row.requests == budget
    outcome = run_recipe(with_opponent(server.url, max_requests=10_000), tmp_path / "stopped")
    assert not [*outcome.folder.glob("stages/*~*")], "a larger budget changes no step's key"
    [row] = Ledger(outcome.folder / SPENDING).spent()
    assert row.requests == requests, "nothing was asked twice"
    ends = [
        load_file(next(run.folder.glob("stages/*-rl/final/*.safetensors")))
        for run in (whole, outcome)
    ]
    assert all((ends[0][name] == ends[1][name]).all() for name in ends[0])
    for file in outcome.folder.rglob("*"):
        assert file.is_dir() or KEY.encode() not in file.read_bytes(), file
    played = list(read_episodes(next(outcome.folder.glob("stages/*-after/episodes.jsonl"))))
    assert {name for episode in played for name in episode.players} == {"evaluated", "rival"}


def test_what_changes_a_reply_changes_the_step_s_key(server: Server, tmp_path: Path):
    def keys(**options: Any) -> list[str]:
        return [step.key for step in make_plan(with_opponent(server.url, **options), tmp_path)]

    same = keys()
    means = {"concurrency": 2, "timeout_s": 9.0, "max_requests": 3, "cache": None, "retries": 2}
    assert keys(**means, api_key_env="OTHER") == same
    for options in ({"temperature": 0.1}, {"max_tokens": 3}, {"extra_body": {"top_k": 1}}):
        assert keys(**options) != same


def test_as_oracle_it_labels_positions_many_at_once_and_what_it_cannot_say_is_left_out(
    server: Server, tmp_path: Path
):
    def mostly(number: int, body: dict[str, Any]) -> Response:
        last = body["messages"][-1]["content"]
        if len(legal_in(body)) == 4:
            return completion("I would rather not.")
        if len(legal_in(body)) == 5 and "Not accepted" not in last:
            return completion("Well...")
        return first_legal(number, body)

    server.answer = mostly
    stage = {
        "positions": "sampled",
        "num_positions": 40,
        "held_out": 0,
        "oracle": {**COMMON, "base_url": server.url, "concurrency": 6},
    }
    given = {"name": "a", "game": "tic_tac_toe", "stages": {"data": stage}}
    recipe = Recipe.model_validate(given)
    stats = make_data(recipe, recipe.stages["data"], TTT, tmp_path / "data")
    rows = list(read_rows(tmp_path / "data" / "train.jsonl"))
    assert server.widest == 6 and 20 < len(rows) == stats["positions"] < 40
    for row in rows:
        listed = legal_in({"messages": row.prompt})
        assert row.reply == listed[0] and len(listed) != 4
    assert 5 in {len(legal_in({"messages": row.prompt})) for row in rows}, "asked once more"


def test_as_oracle_of_a_reward_it_is_asked_about_all_turns_at_once(server: Server):
    tasks = [Task("tic_tac_toe", seed, ("random", "random")) for seed in range(6)]
    episodes = list(play_matches(tasks, game=TTT, players={"random": RandomPlayer()}))
    options = {**COMMON, "base_url": server.url, "temperature": 0.0}
    rewards = make_terms({"oracle": RewardTerm(weight=2.0, **options)}, lambda episode: TTT)
    rewards.prepare((episode, 0) for episode in episodes)
    asked = len(server.bodies)
    assert server.widest > 1
    for episode in episodes:
        turns = [turn for turn in episode.turns if turn.seat == 0]
        [first] = [rewards(episode, 0).total]
        for turn, worth in zip(turns, first, strict=True):
            listed = legal_in({"messages": [{"content": f"Legal Actions:\n{_list(turn)}"}]})
            assert worth == (0.0 if turn.move.text == listed[0] else -2.0)
    assert len(server.bodies) == asked


def _list(turn: Any) -> str:
    """The moves that were legal: the empty squares."""
    lines = turn.observation.strip().splitlines()[-3:]
    free = [(r, c) for r in range(3) for c in range(3) if lines[r][c] == "."]
    return "\n".join(f"{3 * r + c} -> x({r},{c})" for r, c in free)


def test_it_enters_the_ladder_and_plays_a_person(server: Server, tmp_path, monkeypatch, capsys):
    recipe = recipe_of(max_steps=1)
    run = run_recipe(recipe, tmp_path).folder
    them = f"openai:model=m,base_url={server.url},name=rival,temperature=0"
    capsys.readouterr()
    arguments = ["ladder", str(run), "--opponent", them, "--episodes", "2", "--checkpoints", "0"]
    assert main(arguments) == 0
    assert "rival" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO("x(1,1)\nx(1,0)\nx(1,2)\n"))
    record = tmp_path / "mine.jsonl"
    assert main(["play", str(run), "--opponent", them, "--record", str(record)]) == 0
    shown = capsys.readouterr().out
    assert (
        "Against rival." in shown and "You win." in shown and "o (rival): o(0,0)" in shown.lower()
    )
    [episode] = read_episodes(record)
    assert episode.players == ("you", "rival") and episode.ending is Ending.FINISHED
    monkeypatch.setattr("sys.stdin", io.StringIO("x(1,1)\n"))
    server.answer = lambda number, body: Response(status_code=401)
    new = them.replace("model=m", "model=n")
    assert main(["play", str(run), "--opponent", new]) == 2
    assert "no moves from" in capsys.readouterr().err
