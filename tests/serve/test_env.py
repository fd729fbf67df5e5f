"""A game as an OpenEnv environment, asked in the words of OpenEnv's protocol (version 0.10)."""

import json

import httpx
import pytest
from env_client import Session
from served import served
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tesuji.core.types import Task
from tesuji.episodes.arena import play_matches
from tesuji.games.catalogue import load_game
from tesuji.players.base import OneByOne, Reply
from tesuji.players.basic.random import RandomPlayer
from tesuji.serve.env.app import make_app
from tesuji.serve.env.messages import ResetArguments
from tesuji.serve.env.offer import Offer

KEY = "a-key-of-this-test"


@pytest.fixture(scope="module")
def url():
    with served(make_app(Offer(load_game("tic_tac_toe")))) as address:
        yield address


def _play(one: Session, place: int = 0, **arguments):
    """Every answer of a match in which always the first (or last) legal move is taken."""
    answers = [one.reset(**arguments)]
    while not answers[-1]["done"]:
        answers.append(one.step(answers[-1]["observation"]["legal_moves"][place]))
    return answers


def test_what_is_asked_without_a_session(url) -> None:
    assert httpx.get(f"{url}/health").json() == {"status": "healthy"}
    about = httpx.get(f"{url}/metadata").json()
    assert about["name"] == "tic_tac_toe" and "3x3" in about["readme_content"]
    described = httpx.get(f"{url}/openapi.json").json()
    assert described["info"]["version"] and {"/reset", "/step", "/state"} <= set(described["paths"])
    schema = httpx.get(f"{url}/schema").json()
    assert schema["action"]["required"] == ["move"]
    assert {"text", "legal_moves", "seat"} <= set(schema["observation"]["properties"])
    assert {"episode_id", "step_count"} <= set(schema["state"]["properties"])


def test_http_has_no_memory(url) -> None:
    begun = httpx.post(f"{url}/reset", json={"seed": 3, "seat": 1, "whatever": True}).json()
    assert begun["observation"]["seat"] == 1 and begun["observation"]["text"].count("x") > 0
    assert begun["reward"] is None and begun["done"] is False
    assert httpx.post(f"{url}/reset").status_code == 200
    moved = httpx.post(f"{url}/step", json={"action": {"move": "x(1,1)"}, "timeout_s": 5}).json()
    assert moved["reward"] == 0 and len(moved["observation"]["legal_moves"]) == 7
    assert httpx.get(f"{url}/state").json()["step_count"] == 0


def test_http_says_what_is_wrong(url) -> None:
    assert httpx.post(f"{url}/step", json={"action": {"word": "x"}}).status_code == 422
    assert httpx.post(f"{url}/reset", json={"seed": "seven"}).status_code == 422
    refused = httpx.post(f"{url}/reset", json={"seat": 2})
    assert refused.status_code == 400 and "no seat 2" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"method": "tools/list"}, -32600),
        ({"jsonrpc": "2.0", "id": 1, "method": "tools/paint"}, -32601),
        ({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "reset"}}, -32602),
        ([], -32600),
    ],
)
def test_mcp_speaks_json_rpc(url, asked, code) -> None:
    answer = httpx.post(f"{url}/mcp", json=asked).json()
    assert answer["jsonrpc"] == "2.0" and answer["error"]["code"] == code
    listed = {"jsonrpc": "2.0", "id": 5, "method": "tools/list"}
    told = httpx.post(f"{url}/mcp", json=listed).json()
    assert told == {"jsonrpc": "2.0", "id": 5, "result": {"tools": []}}
    assert httpx.post(f"{url}/mcp", content=b"{").json()["error"]["code"] == -32700


def test_a_session_plays_match_after_match(url) -> None:
    with Session(url) as one:
        assert one.ask("state")["data"]["step_count"] == 0
        for number in (1, 2):
            answers = _play(one, seed=number, episode_id=f"match-{number}")
            state = one.ask("state")["data"]
            assert state["episode_id"] == f"match-{number}" and state["seed"] == number
            assert state["step_count"] == len(answers) - 1 and state["opponent"] == "random"
            assert state["ending"] == "finished" == answers[-1]["metadata"]["ending"]
            assert answers[-1]["reward"] == state["returns"][0] and answers[0]["reward"] is None
            assert all(answer["reward"] == 0 for answer in answers[1:-1])
            assert answers[-1]["observation"]["seat"] is None


def test_the_same_seed_is_the_same_match_whatever_else_is_played(url) -> None:
    with Session(url) as one, Session(url) as two:
        alone = _play(one, seed=11, seat=1)
        first, other = two.reset(seed=11, seat=1), one.reset(seed=12, seat=1)
        together = [first]
        while not together[-1]["done"]:
            together.append(two.step(together[-1]["observation"]["legal_moves"][0]))
            if not other["done"]:
                other = one.step(other["observation"]["legal_moves"][-1])
        assert together == alone
        assert _play(one, seed=13, seat=1) != alone


class First(OneByOne):
    """Takes the first legal move, in words."""

    name = "first"

    def reply(self, request) -> Reply:
        return Reply(text=request.legal[0].text)


@pytest.mark.parametrize("name", ["tic_tac_toe", "kuhn_poker", "matrix_rps", "goofspiel"])
@pytest.mark.parametrize("seat", [0, 1])
def test_a_match_is_the_arenas(url, name, seat) -> None:
    game = load_game(name)
    players = {"first": First(), "random": RandomPlayer()}
    names = ("first", "random") if seat == 0 else ("random", "first")
    with Session(url) as one:
        for seed in range(5):
            [episode] = play_matches([Task(name, seed, names)], game=game, players=players)
            answers = _play(one, game=name, seed=seed, seat=seat, options={})
            assert tuple(answers[-1]["metadata"]["returns"]) == episode.returns
            seen = [turn.observation for turn in episode.turns if turn.seat == seat]
            assert len(answers) - 1 == len(seen)
            for answer, observation in zip(answers, seen, strict=False):
                assert observation.strip() in answer["observation"]["text"]


def test_whoever_asks_may_play_all_seats(url) -> None:
    with Session(url) as one:
        answer = one.reset(seat="all", seed=1)
        for number, move in enumerate(("x(0,0)", "o(1,0)", "x(0,1)", "o(1,1)")):
            assert answer["observation"]["seat"] == number % 2
            wrong = {"move": move, "seat": 1 - number % 2}
            assert one.error("step", wrong) == "EXECUTION_ERROR"
            answer = one.step(move, seat=number % 2)
        last = one.step("x(0,2)")
        assert last["done"] and last["reward"] == 1
        assert last["metadata"]["returns"] == [1, -1]
        assert one.ask("state")["data"]["seats"] == [0, 1]


def test_who_moves_at_once_does_not_see_the_others_choice(url) -> None:
    with Session(url) as one:
        first = one.reset(game="matrix_rps", seat="all")
        second = one.step(first["observation"]["legal_moves"][0])
        assert first["observation"]["seat"] == 0 and second["observation"]["seat"] == 1
        assert second["reward"] == 0 and not second["done"]
        assert first["observation"]["legal_moves"][0] not in second["observation"]["problem"]
        assert one.step(second["observation"]["legal_moves"][1])["done"]


def test_a_move_that_is_none_is_asked_again_and_then_loses(url) -> None:
    with Session(url) as one:
        one.reset(seed=2)
        again = one.step("I resign")
        assert not again["done"] and again["reward"] == 0
        assert "no legal move" in again["observation"]["problem"]
        assert "Not accepted" in again["observation"]["text"]
        assert len(again["observation"]["legal_moves"]) == 9
        lost = one.step("I still do")
        assert lost["done"] and lost["reward"] == -1
        assert lost["metadata"]["ending"] == "forfeit" and lost["metadata"]["offender"] == 0
        assert one.error("step", {"move": "x(1,1)"}) == "EXECUTION_ERROR"
        one.reset(seed=2)
        one.step("I resign")
        better = one.step("<think>the middle</think> x(1,1)")
        assert better["observation"]["problem"] == "" and "x" in better["observation"]["text"]


def test_a_game_of_free_text_judges_replies_itself() -> None:
    with (
        served(make_app(Offer(load_game("GuessTheNumber-v0")))) as address,
        Session(address) as one,
    ):
        begun = one.reset(seed=4)
        assert begun["observation"]["legal_moves"] is None
        refused = one.step("nothing in brackets")
        assert refused["observation"]["problem"] and not refused["done"]
        taken = one.step("[3]")
        assert taken["observation"]["problem"] == "" and not taken["done"]


def test_what_is_wrong_with_a_message_is_told_and_the_session_goes_on(url) -> None:
    with Session(url) as one:
        assert one.error("step", {"move": "x(1,1)"}) == "EXECUTION_ERROR"  # no reset yet
        one.socket.send("{")
        assert one.heard()["data"]["code"] == "INVALID_JSON"
        one.socket.send(b"\x00")
        assert one.heard()["data"]["code"] == "INVALID_JSON"
        one.socket.send("[" * 100_000)
        assert one.heard()["data"]["code"] == "INVALID_JSON"
        one.socket.send("[]")
        assert one.heard()["data"]["code"] == "VALIDATION_ERROR"
        assert one.error("paint") == "UNKNOWN_TYPE"
        assert one.error("step", {"word": "x"}) == "VALIDATION_ERROR"
        assert one.error("reset", {"seed": -1}) == "VALIDATION_ERROR"
        assert one.error("reset", {"seat": 7}) == "EXECUTION_ERROR"
        assert one.error("reset", {"game": "no_such_game"}) == "EXECUTION_ERROR"
        assert one.error("reset", {"options": {"players": 9}}) == "EXECUTION_ERROR"
        called = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        assert one.ask("mcp", called)["data"]["result"] == {"tools": []}
        assert _play(one, seed=1)[-1]["done"]
        one.socket.send(json.dumps({"type": "close"}))
        with pytest.raises(ConnectionClosed):
            one.heard()


def test_whoever_asks_reads_no_files_and_spends_no_money(url, tmp_path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("crane\n")
    with Session(url) as one:
        for arguments in (
            {"game": "wordle", "options": {"words": str(words)}},
            {"game": "prompts", "options": {"file": "README.md"}},
            {"opponent": "openai:model=m"},
            {"opponent": "tesuji:openai:model=m"},
            {"game": "openenv:http://127.0.0.1:1"},
            {"game": "verifiers:whatever"},
        ):
            assert one.error("reset", arguments) == "EXECUTION_ERROR", arguments


def test_whoever_asks_may_name_a_player_and_a_game(url) -> None:
    with Session(url) as one:
        last = _play(one, opponent="minimax", seed=1)[-1]
        assert last["reward"] <= 0 and one.ask("state")["data"]["opponent"] == "minimax"
        one.reset(game="kuhn_poker", options={"players": 3}, seed=1)
        assert len(one.ask("state")["data"]["returns"]) == 3


def test_so_many_sessions_and_no_more() -> None:
    app = make_app(Offer(load_game("tic_tac_toe")), most=2)
    with served(app) as address:
        with Session(address) as one, Session(address) as two, Session(address) as three:
            assert one.reset() and two.reset()
            refused = three.heard()
            assert refused["data"]["code"] == "CAPACITY_REACHED"
            assert refused["data"]["max_sessions"] == 2
            with pytest.raises(ConnectionClosed):
                three.heard()
        with Session(address) as four:
            assert four.reset()
        assert app.state.sessions.open <= 1


def test_a_session_that_asks_nothing_is_ended() -> None:
    app = make_app(Offer(load_game("tic_tac_toe")), idle_s=0.3)
    with served(app) as address, Session(address) as one:
        one.reset()
        assert one.heard()["data"]["code"] == "SESSION_ERROR"
        with pytest.raises(ConnectionClosed):
            one.heard()
        assert app.state.sessions.open == 0


def test_other_names_and_other_pages_are_refused(url) -> None:
    assert httpx.get(f"{url}/health", headers={"Host": "evil.example"}).status_code == 403
    assert httpx.post(f"{url}/reset", headers={"Origin": "http://evil.example"}).status_code == 403
    with pytest.raises(InvalidStatus) as refused, Session(url, origin="http://evil.example"):
        pass
    assert refused.value.response.status_code == 403
    with Session(url, origin=url) as one:
        assert one.reset()


def test_with_a_key_requests_and_sockets_need_it() -> None:
    app = make_app(Offer(load_game("tic_tac_toe")), host="0.0.0.0", key=KEY)
    headers = {"Authorization": f"Bearer {KEY}"}
    with served(app) as address:
        assert httpx.get(f"{address}/health").status_code == 200
        assert httpx.post(f"{address}/reset").status_code == 401
        assert httpx.post(f"{address}/reset", headers=headers).status_code == 200
        with pytest.raises(InvalidStatus), Session(address):
            pass
        with Session(address, additional_headers=headers) as one:
            assert one.reset()


def test_so_many_players_are_kept_and_no_more() -> None:
    offer = Offer(load_game("tic_tac_toe"))
    for number in range(1, 100):
        offer.seating(ResetArguments(opponent=f"mcts:simulations={number}"))
        usual = offer.seating(ResetArguments()).opponent
    assert len(offer._players) == 64 and usual in offer._players.values()
    assert offer.seating(ResetArguments()).opponent is usual


def test_an_opponent_that_cannot_play_is_refused_at_the_start() -> None:
    offer = Offer(load_game("kuhn_poker"), "minimax")
    with pytest.raises(Exception, match="minimax cannot play kuhn_poker"):
        offer.check()
