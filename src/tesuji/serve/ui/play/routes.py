"""Playing: who sits where, and the table itself."""

import secrets
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from tesuji.games.catalogue import list_games
from tesuji.serve.ui.house import House
from tesuji.serve.ui.pages import page
from tesuji.serve.ui.play.choices import choices, chosen, roles, setting, usual
from tesuji.serve.ui.play.models import Models
from tesuji.serve.ui.play.pictures import card_face
from tesuji.serve.ui.play.table import Table
from tesuji.serve.ui.play.tables import Tables
from tesuji.serve.ui.play.views import view_of

FILE = "played/episodes.jsonl"  # below the folder of runs
ANSWER = 0.8  # seconds that a request waits for the other side
LARGEST_SEED = 2**31 - 1

Text = Annotated[str, Form()]
Shown = Callable[..., Response]  # of a request, a table's name, the table, and its template


def router(house: House) -> APIRouter:
    """The routes of this part."""
    routes, models = APIRouter(prefix="/play"), Models()
    tables = Tables(house.runs / FILE)
    house.at_end(tables.close)
    _choosing(routes, house, models, tables)
    shown = _shown_by(house)
    _looking(routes, tables, shown)
    _moving(routes, tables, shown)
    _going(routes, tables)
    return routes


def _choosing(routes: APIRouter, house: House, models: Models, tables: Tables) -> None:
    @routes.get("")
    def choose(request: Request, run: str = "", game: str = "", options: str = "") -> Response:
        played = chosen(house, run, game, options) if run or game else None
        asked = {"run": run, "game": game, "options": options}
        offered = choices(house, played) if played else []
        return page(
            house,
            request,
            "play/choose.html.j2",
            asked=asked,
            played=played,
            choices=offered,
            usual=usual(offered),
            tables=tables.under_way(),
            roles=roles(played.game) if played else (),
            runs=sorted(path.parent.name for path in house.runs.glob("*/manifest.json")),
            games=[info for info in list_games() if not info.unavailable],
            seed=secrets.randbelow(10_000),
        )

    @routes.post("")
    def begin(
        seat: Annotated[list[str], Form()],
        other: Annotated[list[str], Form()],
        run: Text = "",
        game: Text = "",
        options: Text = "",
        seed: Annotated[int, Form(ge=0, le=LARGEST_SEED)] = 0,
        temperature: Annotated[float | None, Form(ge=0, le=1000)] = None,
        save: Annotated[bool, Form()] = False,
    ) -> Response:
        sitting = [more.strip() or name for name, more in zip(seat, other, strict=True)]
        played = chosen(house, run, game, options)
        table = tables.open(
            setting(house, models, played, sitting, seed=seed, temperature=temperature, save=save)
        )
        return _go(f"/play/{table}")


def _shown_by(house: House) -> Shown:
    """How a table looks now."""

    def shown(request: Request, name: str, table: Table, template: str = "table") -> Response:
        now, setting = table.now(), table.setting
        view = view_of(setting, now)
        values: dict[str, Any] = {
            "table": table,
            "name": name,
            "now": now,
            "setting": setting,
            "view": view,
        }
        return page(house, request, f"play/{template}.html.j2", card_face=card_face, **values)

    return shown


def _looking(routes: APIRouter, tables: Tables, shown: Shown) -> None:
    @routes.get("/{name}")
    def whole(request: Request, name: str) -> Response:
        return shown(request, name, tables.get(name), "match")

    @routes.get("/{name}/part")
    def part(request: Request, name: str, seen: int = -1) -> Response:
        table = tables.get(name)
        return Response(status_code=204) if table.version == seen else shown(request, name, table)


def _moving(routes: APIRouter, tables: Tables, shown: Shown) -> None:
    @routes.post("/{name}/move")
    def move(
        request: Request,
        name: str,
        played: Annotated[int, Form()],
        number: Annotated[int | None, Form()] = None,
        words: Text = "",
    ) -> Response:
        table = tables.get(name)
        table.move(played, number=number, words=words)
        table.wait(ANSWER)
        return shown(request, name, table)

    @routes.post("/{name}/back")
    def back(request: Request, name: str) -> Response:
        table = tables.get(name)
        table.take_back()
        table.wait(ANSWER)
        return shown(request, name, table)

    @routes.post("/{name}/thinking")
    def thinking(request: Request, name: str, on: Annotated[bool, Form()] = False) -> Response:
        table = tables.get(name)
        table.think(on)
        table.wait(ANSWER)
        return shown(request, name, table)


def _going(routes: APIRouter, tables: Tables) -> None:
    @routes.post("/{name}/again")
    def again(name: str, swapped: Annotated[bool, Form()] = False) -> Response:
        table = tables.get(name)
        following = tables.open(table.setting.again(swapped=swapped))
        tables.leave(name)
        return _go(f"/play/{following}")

    @routes.post("/{name}/leave")
    def leave(name: str) -> Response:
        tables.leave(name)
        return _go("/play")


def _go(address: str) -> Response:
    """The page is to go on there."""
    return Response(status_code=204, headers={"HX-Redirect": address})
