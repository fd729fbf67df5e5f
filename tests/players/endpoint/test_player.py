"""A model behind an endpoint as a player: a real server on 127.0.0.1 that plays tic-tac-toe."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fastapi.responses import Response
from llm_server import TTT, completion, first_legal, legal_in, player, serving

from tesuji.core.errors import GameError, RecipeError
from tesuji.core.types import Ending, Episode, Found, Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.reply_rules import TurnRules, read_attempt
from tesuji.games.catalogue import load_game
from tesuji.players.base import MoveRequest, Player
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.registry import make_player, parse_player


def play(
    them: Player, matches: int = 6, seed: int = 0, rules: TurnRules | None = None
) -> list[Episode]:
    """Matches against random play, from both seats."""
    tasks = [
        Task("tic_tac_toe", seed + number, (("them", "random"), ("random", "them"))[number % 2])
        for number in range(matches)
    ]
    players = {"them": them, "random": RandomPlayer()}
    played = play_matches(tasks, game=TTT, players=players, rules=rules)
    return sorted(played, key=lambda episode: episode.seed)


def test_it_plays_whole_matches_in_its_own_words_within_the_allowed_width(tmp_path: Path):
    with serving(first_legal) as server:
        episodes = play(player(server.url, tmp_path, concurrency=3), matches=12)
    assert {episode.ending for episode in episodes} == {Ending.FINISHED}
    assert 1 < server.widest <= 3
    turns = [t for e in episodes for t in e.turns if e.players[t.seat] == "them"]
    assert len(server.bodies) == len(turns)
    for turn in turns:
        [attempt] = turn.attempts
        assert attempt.reply == f"I play {turn.played.text}." and attempt.found is Found.SOFT
        assert "Legal Actions:" in attempt.prompt[-1]["content"]


def test_the_same_matches_are_played_again_without_asking_and_others_are_not(tmp_path: Path):
    with serving(first_legal) as server:
        first = play(player(server.url, tmp_path))
        asked = len(server.bodies)
        assert play(player(server.url, tmp_path)) == first
        assert len(server.bodies) == asked
        play(player(server.url, tmp_path), seed=100)
        assert len(server.bodies) > asked
        asked = len(server.bodies)
        for changes in ({"model": "n"}, {"temperature": 0.1}, {"max_tokens": 9}, {"cache": None}):
            play(player(server.url, tmp_path, **changes))
            assert len(server.bodies) > asked, changes
            asked = len(server.bodies)


def test_at_temperature_zero_one_position_is_asked_about_once(tmp_path: Path):
    with serving(first_legal) as server:
        play(player(server.url, tmp_path, temperature=0.0), matches=30)
        prompts = [str(body["messages"]) for body in server.bodies]
        assert len(prompts) == len(set(prompts)) and "seed" not in server.bodies[0]
        play(player(server.url, tmp_path, temperature=0.7), matches=30)
        seeds = [body["seed"] for body in server.bodies[len(prompts) :]]
    assert len(seeds) == len(set(seeds)) > len(prompts)


def test_a_request_says_what_the_options_say(tmp_path: Path):
    options = {
        "temperature": None,
        "max_tokens": 77,
        "limit_name": "max_completion_tokens",
        "extra_body": {"reasoning_effort": "low", "chat_template_kwargs": {"thinking": False}},
        "send_seed": False,
        "system": "You play to win.",
    }
    with serving(first_legal) as server:
        play(player(server.url, tmp_path, **options), matches=1)
        body = server.bodies[0]
    assert body["messages"][0] == {"role": "system", "content": "You play to win."}
    assert body["max_completion_tokens"] == 77 and body["reasoning_effort"] == "low"
    assert body["chat_template_kwargs"] == {"thinking": False}
    assert not {"temperature", "max_tokens", "seed"} & {*body}


def test_what_is_no_legal_move_is_asked_for_again_with_the_reason_and_then_forfeits(tmp_path):
    def stubborn(number: int, body: dict[str, Any]) -> Response:
        return completion("I move my knight.")

    with serving(stubborn) as server:
        [episode] = play(player(server.url, tmp_path), matches=1)
        first, second = server.bodies
    assert (episode.ending, episode.offender) == (Ending.FORFEIT, 0)
    assert [attempt.reply for attempt in episode.turns[-1].attempts] == ["I move my knight."] * 2
    assert episode.turns[-1].move is None
    assert second["messages"][: len(first["messages"])] == first["messages"]
    assert second["messages"][-2]["content"] == "I move my knight."
    assert "no legal move in the reply" in second["messages"][-1]["content"]


def test_an_empty_reply_is_the_model_s_own_and_no_failure_of_the_endpoint(tmp_path: Path):
    with serving(lambda number, body: completion(None)) as server:
        [episode] = play(player(server.url, tmp_path), matches=1)
    assert episode.ending is Ending.FORFEIT and "the reply is empty" in episode.reason


def test_half_a_character_in_a_reply_is_stored(tmp_path: Path):
    body = b'{"choices": [{"message": {"content": "x(1,1) \\ud83d"}}]}'
    with serving(lambda n, b: Response(body, media_type="application/json")) as server:
        them = player(server.url, tmp_path, temperature=0.0)
        [episode] = play(them, matches=1)
        assert play(them, matches=1) == [episode]
    assert episode.turns[0].attempts[0].reply == "x(1,1) ?"


def test_with_its_history_a_match_is_one_conversation_without_its_thoughts(tmp_path: Path):
    def thoughtful(number: int, body: dict[str, Any]) -> Response:
        move = legal_in({"messages": body["messages"][-1:]})[-1]
        return completion(move, reasoning_content=f"Not {move} again? Yes, {move}.")

    with serving(thoughtful) as server:
        [episode] = play(player(server.url, tmp_path, history="full"), matches=1)
        bodies = server.bodies
    own = [turn for turn in episode.turns if turn.seat == 0]
    assert [turn.attempts[0].thought[:3] for turn in own] == ["Not"] * len(own)
    roles = [message["role"] for message in bodies[-1]["messages"]]
    assert roles == ["user", "assistant"] * (len(own) - 1) + ["user"]
    said = [m["content"] for m in bodies[-1]["messages"] if m["role"] == "assistant"]
    assert said == [turn.played.text for turn in own[:-1]]


def test_its_own_way_of_answering_counts_and_not_the_recipe_s(tmp_path: Path):
    """`1` is one move's notation and another one's number: who was asked for numbers meant it."""
    crowd = load_game("mfg_crowd_modelling")
    match = crowd.start(0)
    [seat], legal = match.to_act, match.legal_moves(match.to_act[0])
    assert [move.text for move in legal] == ["-1", "0", "1"]
    request = MoveRequest(crowd, match, seat, match.observe(seat), legal, 0)
    with serving(lambda number, body: completion("1")) as server:
        for answer, meant in (("id", legal[1]), ("move", legal[2])):
            [reply] = player(server.url, tmp_path, crowd, answer=answer).choose([request])
            assert read_attempt(reply, request, "move").move == meant


def test_tools_and_their_answers_are_told_in_plain_words(tmp_path: Path):
    game = load_game("vf-tool-test")
    with serving(lambda number, body: completion("I call nothing.")) as server:
        them = player(server.url, tmp_path, game)
        list(play_matches([Task(game.name, 0, ("them",))], game=game, players={"them": them}))
        messages = [message for body in server.bodies for message in body["messages"]]
    assert {message["role"] for message in messages} <= {"system", "user", "assistant"}
    assert "<tools>" in messages[0]["content"]


def test_it_can_be_asked_where_an_event_loop_is_running_already(tmp_path: Path):
    """As in a notebook."""

    async def cell(url: str) -> list[Episode]:
        return play(player(url, tmp_path), matches=1)

    with serving(first_legal) as server:
        [episode] = asyncio.run(cell(server.url))
    assert episode.ending is Ending.FINISHED


def test_options_are_read_on_the_command_line_and_named_without_what_changes_no_reply():
    text = "openai:model=gpt-x,temperature=0,max_dollars=2,input_price=0.5,output_price=2,retries=0"
    section = parse_player(text)
    assert section.label == "openai(model=gpt-x, temperature=0)"
    assert make_player(section, game=TTT).name == section.label
    assert parse_player("openai:model=gpt-x,name=rival").label == "rival"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("", "model: this key is missing"),
        ("model=m,temperatur=1", "did you mean temperature?"),
        ("model=m,temperature=-1", "temperature: must be at least 0"),
        ("model=m,concurrency=none", "concurrency: must be a whole number"),
        ("model=m,max_dollars=3", "max_dollars needs input_price and output_price"),
        ("model=m,base_url=localhost", "does not begin with http"),
        ("model=m,api_key_env=MY KEY", "no name of an environment variable"),
        ("model=m,extra_body={n: 10}", "extra_body: n does not belong here"),
        ("model=m,answer=word", "'word' is not one of the choices"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_asked(options: str, words: str):
    with pytest.raises((RecipeError, GameError)) as caught:
        make_player(parse_player(f"openai:{options}"), game=TTT)
    assert words in str(caught.value)
