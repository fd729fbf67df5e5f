"""`openenv:URL`: environments of OpenEnv servers as games, among them those that Tesuji serves."""

import json
import socket
import threading

import pytest
from fastapi import FastAPI, WebSocket
from served import served
from starlette.websockets import WebSocketDisconnect

from tesuji.cli.main import main
from tesuji.core.errors import EngineError, GameError, IllegalMove
from tesuji.core.types import Ending, Move, Task
from tesuji.episodes.arena import play_matches
from tesuji.games.catalogue import game_info, list_games, load_game
from tesuji.players.basic.random import RandomPlayer
from tesuji.serve.env.app import make_app
from tesuji.serve.env.offer import Offer


@pytest.fixture(scope="module")
def url():
    with served(make_app(Offer(load_game("tic_tac_toe")))) as address:
        yield address


@pytest.fixture
def game(url):
    return load_game(f"openenv:{url}", {"best": 1.0})


def _free_port() -> int:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        return other.getsockname()[1]


def _play(match) -> None:
    while match.to_act:
        match.play(0, Move(-1, match._seen.observation["legal_moves"][0]))


def test_a_match_is_the_one_the_server_plays(game) -> None:
    assert game.num_players == 1 and "3x3" in game.rules and game.info.title == "tic_tac_toe"
    own = load_game("tic_tac_toe")
    for seed in range(4):
        [episode] = play_matches(
            [Task(game.name, seed, ("random",), game.options)],
            game=game,
            players={"random": RandomPlayer()},
        )
        assert episode.ending is Ending.FINISHED and episode.returns[0] in (-1, 0, 1)
        assert episode.provenance["winners"] == ([0] if episode.returns[0] == 1 else [])
        match = own.start(seed)
        for turn in episode.turns:
            assert match.observe(0).strip() in turn.observation
            _reply(match, turn.played.text)
            if match.to_act:  # what the server's random player did is what the next turn shows
                after = episode.turns[episode.turns.index(turn) + 1].observation
                _reply(match, _found(match, after))


def _reply(match, text: str) -> None:
    seat = match.to_act[0]
    match.play(seat, next(move for move in match.legal_moves(seat) if move.text == text))


def _found(match, shown: str) -> str:
    """The move after which this is shown."""
    seat = match.to_act[0]
    for move in match.legal_moves(seat):
        copy = match.clone()
        copy.play(seat, move)
        if copy.observe(0).strip() in shown:
            return move.text
    raise AssertionError(shown)


def test_the_same_seed_is_the_same_match(game) -> None:
    one, two = game.start(5), game.start(5)
    other = game.start(6)
    _play(one)
    _play(two)
    _play(other)
    assert one.returns() == two.returns() and one.observe(0) == two.observe(0)


def test_a_clone_goes_its_own_way(game) -> None:
    match = game.start(3)
    match.play(0, Move(-1, "x(1,1)"))
    copy = match.clone()
    assert copy.observe(0) == match.observe(0)
    before = match.observe(0)
    copy.play(0, Move(-1, copy._seen.observation["legal_moves"][0]))
    assert match.observe(0) == before != copy.observe(0)


def test_options_that_are_not_ours_go_to_the_reset(url) -> None:
    game = load_game(f"openenv:{url}", {"opponent": "minimax", "seat": 1, "nobody_knows": True})
    match = game.start(1)
    assert match.observe(0).count("x") > 1 and match.role(0) == "o"
    assert "You are Player 1 (o)" in match.messages(0)[0]["content"]


def test_replies_are_judged_there(game) -> None:
    match = game.start(1)
    match.play(0, Move(-1, "I resign"))
    assert match.refused and match.to_act == (0,)
    assert [message["role"] for message in match.messages(0)] == ["user", "assistant", "user"]
    match.play(0, Move(-1, "I still do"))
    assert match.to_act == () and match.offender == 0 and match.returns() == (-1.0,)
    with pytest.raises(IllegalMove):
        match.play(0, Move(-1, "x(1,1)"))


def test_a_session_that_is_lost_is_played_again_to_where_it_was(game) -> None:
    match, whole = game.start(9), game.start(9)
    while match.to_act:
        match._session._socket.close()
        move = match._seen.observation["legal_moves"][0]
        match.play(0, Move(-1, move))
        whole.play(0, Move(-1, move))
        assert match.observe(0) == whole.observe(0)
    assert match.returns() == whole.returns()


def test_no_server_is_an_engine_error(capsys) -> None:
    name = f"openenv:http://127.0.0.1:{_free_port()}"
    with pytest.raises(EngineError, match="no OpenEnv environment answers"):
        load_game(name)
    assert main(["games", "show", name]) == 2
    assert "no OpenEnv environment answers" in capsys.readouterr().err


def test_a_server_that_goes_away_is_an_engine_error_after_so_many_tries() -> None:
    with served(make_app(Offer(load_game("tic_tac_toe")))) as address:
        game = load_game(f"openenv:{address}", {"retries": 1, "timeout_s": 2})
        match = game.start(1)
    with pytest.raises(EngineError, match="failed 2 times"):
        match.play(0, Move(-1, "x(1,1)"))
    assert match.to_act == ()
    with pytest.raises(EngineError, match="failed 2 times"):
        game.start(2)


def test_no_room_is_told_with_what_to_do() -> None:
    with served(make_app(Offer(load_game("tic_tac_toe")), most=1)) as address:
        game = load_game(f"openenv:{address}", {"retries": 1})
        first = game.start(1)
        with pytest.raises(EngineError, match="no room") as refused:
            game.start(2)
        assert "room for 1: set the game's option `sessions`" in refused.value.hint
        first._close()
        one_by_one = load_game(f"openenv:{address}", {"retries": 0, "sessions": 1})
        tasks = [Task(game.name, seed, ("random",), one_by_one.options) for seed in range(3)]
        for table in (one_by_one, lambda task: one_by_one):
            played = list(play_matches(tasks, game=table, players={"random": RandomPlayer()}))
            assert [episode.seed for episode in played] == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("openenv:", {}, "no address"),
        ("openenv:ftp://127.0.0.1", {}, "no address"),
        ("openenv:http://me:secret@127.0.0.1", {}, "password"),
        ("openenv:http://127.0.0.1:1/?a=b", {}, "in the address"),
        ("URL", {"text": "colour"}, "no field 'colour'"),
        ("URL", {"action": "colour"}, "no field 'colour'"),
        ("URL", {"retries": -1}, "at least 0"),
        ("URL", {"seat": 7}, "no seat 7"),
    ],
)
def test_what_cannot_be_is_refused(url, name, options, words) -> None:
    with pytest.raises((GameError, EngineError), match=words):
        load_game(name.replace("URL", f"openenv:{url}"), options).start(0)


def test_the_key_goes_along_where_there_is_one(monkeypatch) -> None:
    app = make_app(Offer(load_game("tic_tac_toe")), host="0.0.0.0", key="the-key")
    with served(app) as address:
        with pytest.raises(EngineError, match="401"):
            load_game(f"openenv:{address}")
        monkeypatch.setenv("MY_KEY", "the-key")
        monkeypatch.setattr("tesuji.games.openenv.schema._GONE", {})
        game = load_game(f"openenv:{address}", {"api_key_env": "MY_KEY"})
        assert game.start(1).to_act == (0,)


def test_the_catalogue_knows_games_by_address(url, capsys) -> None:
    assert game_info(f"openenv:{url}").seats == (1, 1)
    assert not [info for info in list_games() if info.name.startswith("openenv:")]
    assert main(["games", "show", f"openenv:{url}", "--option", "best=1"]) == 0
    shown = capsys.readouterr().out
    assert "comes from        openenv" in shown and "Returns" in shown


def _broken(answer):
    """A server whose schema is right, and whose sessions answer each message with this text."""
    app = FastAPI()
    schema = {
        "action": {"properties": {"message": {"type": "string"}}, "required": ["message"]},
        "observation": {"properties": {"text": {"type": "string"}}},
        "state": {},
    }

    @app.get("/schema")
    def _schema():
        return schema

    @app.get("/metadata")
    def _metadata():
        return {"name": "broken", "description": "answers nonsense"}

    @app.websocket("/ws")
    async def _ws(ws: WebSocket):
        await ws.accept()
        try:
            while await ws.receive_text():
                await ws.send_text(answer)
        except WebSocketDisconnect:
            pass

    return app


@pytest.mark.parametrize(
    "answer",
    [
        "no json",
        "[]",
        '{"type": "observation"}',
        '{"type": "observation", "data": {"observation": 3}}',
        '{"type": "error", "data": {"code": "SESSION_ERROR", "message": "gone"}}',
        '{"type": "error", "data": {"code": "EXECUTION_ERROR", "message": "it broke"}}',
        "[" * 100_000,
    ],
)
def test_nonsense_is_an_engine_error(answer) -> None:
    with served(_broken(answer)) as address:
        game = load_game(f"openenv:{address}", {"retries": 1})
        with pytest.raises(EngineError):
            game.start(0)


def test_an_observation_without_its_field_is_shown_all_the_same() -> None:
    told = {"observation": {"number": 3}, "reward": float("nan"), "done": False}
    with served(_broken(json.dumps({"type": "observation", "data": told}))) as address:
        match = load_game(f"openenv:{address}").start(0)
        assert match.observe(0) == "null"
        match.play(0, Move(-1, "x"))
        assert match.returns() == (0.0,)


def test_no_thread_is_left(game) -> None:
    before = threading.active_count()
    matches = [game.start(seed) for seed in range(5)]
    assert threading.active_count() > before
    for match in matches:
        _play(match)
    unfinished = game.start(9)
    del unfinished
    for thread in threading.enumerate():
        if "recv_events" in thread.name:
            thread.join(5)
    assert not [t for t in threading.enumerate() if "recv_events" in t.name]


def test_a_run_learns_in_an_environment(url, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = f"""
name: far
game: {{name: "openenv:{url}", options: {{best: 1.0}}}}
model:
  base: tiny
  tiny: {{hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 4, intermediate_size: 32}}
sampling: {{max_new_tokens: 4}}
stages:
  grpo: {{max_steps: 1, batch_size: 4, num_generations: 4}}
evaluation: {{episodes: 4}}
"""
    (tmp_path / "far.yaml").write_text(recipe)
    assert main(["run", "far.yaml"]) == 0
    after = json.loads((tmp_path / "runs/far/stages/02-after/evaluation.json").read_text())
    assert [score["games"] for score in after["matches"] + after["baseline"]] == [4, 4]
    assert after["baseline"][0]["illegal"] == 0 < after["matches"][0]["illegal"]
