"""The catalogue of games: all of them with filters, and one with its rules and a match."""

import functools
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from tesuji.core.redact import visible
from tesuji.episodes.sample import facts, random_match, seats
from tesuji.games.base import Game, GameInfo
from tesuji.games.board import drawn
from tesuji.games.catalogue import list_games, load_game
from tesuji.players.prompting.prompt import prompt_at
from tesuji.players.registry import players_of
from tesuji.recipe.schema.sections import PromptSection
from tesuji.serve.ui.house import House
from tesuji.serve.ui.pages import page

MOST_TURNS = 30
SHOWN = 60  # games in the list before one asks for all


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the list is narrowed to."""

    match: str = ""
    family: str = ""
    information: str = ""
    players: str = ""

    def has(self, info: GameInfo) -> bool:
        """Whether this game is wanted."""
        fewest, most = info.seats
        return (
            self.match.casefold() in f"{info.name} {info.title}".casefold()
            and self.family in ("", info.family)
            and self.information in ("", info.information)
            and (not self.players.isdigit() or fewest <= int(self.players) <= most)
        )


@functools.cache
def catalogue() -> tuple[GameInfo, ...]:
    """Every game; what is installed does not change while the pages are open."""
    return tuple(list_games())


def router(house: House) -> APIRouter:
    """The routes of this part."""
    routes = APIRouter(prefix="/games")

    @routes.get("")
    def games(
        request: Request,
        match: str = "",
        family: str = "",
        information: str = "",
        players: str = "",
        all: str = "",
    ) -> Response:
        """All that are wanted."""
        wanted = Wanted(match, family, information, players)
        found = [info for info in catalogue() if wanted.has(info)]
        part = request.headers.get("hx-request") == "true"
        return page(
            house,
            request,
            "games/list.html.j2" if part else "games/games.html.j2",
            games=found if all else found[:SHOWN],
            found=len(found),
            wanted=wanted,
            families=sorted({info.family for info in catalogue()}),
            seats=seats,
            players_of=players_of,
        )

    @routes.get("/{name:path}")
    def game(request: Request, name: str, seed: int = 0) -> Response:
        """One of them."""
        return page(house, request, "games/game.html.j2", **_shown(load_game(name), seed))

    return routes


def _shown(game: Game, seed: int) -> dict[str, Any]:
    sample = random_match(game, seed, MOST_TURNS)
    match = game.start(seed)
    asked = prompt_at(PromptSection(), game, match, match.to_act[0]) if match.to_act else ()
    return {
        "game": game,
        "facts": facts(game),
        "rules": visible(game.rules),
        "asked": [(said["role"], visible(said["content"])) for said in asked],
        "steps": [(step, visible(drawn(game, step.observation).rstrip())) for step in sample.steps],
        "ending": visible(sample.ending),
        "seed": seed,
    }
