"""A chat endpoint on this machine that answers what a test wants."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from served import served

from tesuji.core.types import Episode, Task
from tesuji.datasets.llm_endpoint import Question
from tesuji.episodes.arena import play_matches
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.players.base import Player
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.registry import make_player
from tesuji.recipe.schema.endpoint import EndpointSection
from tesuji.recipe.schema.sections import PlayerSection

TTT = load_game("tic_tac_toe")
Answer = Callable[[int, dict[str, Any]], Response]


def completion(text: Any, usage: tuple[int, int] | None = None, **message: Any) -> JSONResponse:
    """An answer; `usage` are the tokens that it says were read and written."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, **message},
        "finish_reason": "stop",
    }
    counts = dict(zip(("prompt_tokens", "completion_tokens"), usage or (), strict=False))
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "usage": counts}
    return JSONResponse({**body, "choices": [choice]})


class Server:
    """Answers by a function of (how many requests came before, the request's body)."""

    def __init__(self, answer: Answer, delay: float) -> None:
        self.answer, self.delay = answer, delay
        self.bodies, self.keys, self.times, self.widest, self.open = [], [], [], 0, 0
        self.url = ""
        self.app = FastAPI()
        self.app.post("/v1/chat/completions")(self.chat)

    async def chat(self, request: Request) -> Response:
        self.open += 1
        self.widest = max(self.widest, self.open)
        body = await request.json()
        self.bodies.append(body)
        self.times.append(time.monotonic())
        self.keys.append(request.headers.get("authorization"))
        await asyncio.sleep(self.delay)
        self.open -= 1
        return self.answer(len(self.bodies) - 1, body)


@contextmanager
def serving(answer: Answer, delay: float = 0.02) -> Iterator[Server]:
    server = Server(answer, delay)
    with served(server.app) as address:
        server.url = f"{address}/v1"
        yield server


def player(url: str, folder: Path, game: Game = TTT, **options: Any) -> Player:
    """Who plays by asking the server at `url`; its replies are kept in `folder`."""
    given = {"base_url": url, "model": "m", "cache": str(folder / "c"), "retries": 1, **options}
    return make_player(PlayerSection(player="openai", **given), game=game)


def play(them: Player, matches: int = 1) -> list[Episode]:
    """So many matches of tic-tac-toe against random play."""
    tasks = [Task("tic_tac_toe", number, ("them", "random")) for number in range(matches)]
    return list(play_matches(tasks, game=TTT, players={"them": them, "random": RandomPlayer()}))


def endpoint(url: str, **changes: Any) -> EndpointSection:
    """The section of a recipe that names the server at `url`."""
    return EndpointSection(
        **{"base_url": url, "model": "m", "retries": 1, "timeout_s": 5} | changes
    )


def questions(count: int) -> list[Question]:
    """Questions that end with their number."""
    return [({"role": "user", "content": f"question {i}"},) for i in range(count)]


def number_of(body: dict[str, Any]) -> int:
    """The number of the question that a request asks."""
    return int(body["messages"][0]["content"].removeprefix("question "))


def echo(number: int, body: dict[str, Any]) -> Response:
    """Answers every question with its own words."""
    return completion(f"I answer {body['messages'][0]['content']}.")


def first_legal(number: int, body: dict[str, Any]) -> Response:
    """Plays the first move on the list that it is shown."""
    return completion(f"I play {legal_in(body)[0]}.", usage=(50, 5))


def legal_in(body: dict[str, Any]) -> list[str]:
    """The moves that a request lists, as the game writes them."""
    listed = next(m["content"] for m in body["messages"] if "Legal Actions:" in m["content"])
    return re.findall(r"^\d+ -> (.+)$", listed, re.MULTILINE)
