"""Learning curves, and what comes while a run is under way: a stream of server-sent events a page.

`points` have what the metric log gained, `again` that it is another file now, `state` that stages
changed, `end` that nobody is at work any more. Each event's id is a place in the log, from which a
client that comes back is told on.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import anyio
import orjson
from fastapi import APIRouter, Header, Query
from fastapi.responses import Response, StreamingResponse

from tesuji.core.errors import DataError
from tesuji.report.live.charts import charts, points, together
from tesuji.report.live.reader import MOST_READERS, Readers, rows_since
from tesuji.serve.ui.house import House
from tesuji.serve.ui.runs.processes import doing

LOOK = 0.3  # seconds that a look at a long log may take
EVERY, WAKE = 1.0, 0.1  # seconds between two looks; between two glances at whether to leave
SILENCE = 15.0  # seconds after which something is said, so that a client that left is noticed
FAR_BEHIND = 1 << 20  # bytes: it is quicker to draw anew


def router(house: House) -> APIRouter:
    """The routes of curves and streams."""
    routes, readers = APIRouter(), Readers()
    import_module("pyarrow.json")  # not within the first look at a long log
    import_module("pyarrow.compute")

    @routes.get("/runs/{name}/curves")
    def curves(name: str) -> Response:
        """All charts; `whole` is false while a long log is not read to its end yet. `place` is
        where a stream goes on."""
        file = metric_log(house, name)
        if file is None:
            return _json({"charts": [], "whole": True, "place": "0:0"})
        reader = readers.of(file)
        whole = reader.read(LOOK)
        number, end = reader.place
        return _json({"charts": charts(reader), "whole": whole, "place": f"{number}:{end}"})

    @routes.get("/compare/curves")
    def over_each_other(
        run: Annotated[tuple[str, ...], Query(max_length=MOST_READERS)],
    ) -> Response:
        """The charts of several runs in one another, lines named by their runs, too."""
        found, whole = [], True
        for name in run:
            file = metric_log(house, name)
            if file is not None:
                whole = readers.of(file).read(LOOK / len(run)) and whole
                found.append((name, charts(readers.of(file))))
        return _json({"charts": together(found), "whole": whole, "place": "0:0"})

    @routes.get("/runs/{name}/events")
    async def events(
        name: str,
        place: Annotated[str, Query(max_length=60)] = "0:0",
        last_event_id: Annotated[str, Header(max_length=60)] = "",
    ) -> Response:
        """What is new, until the run or the server ends."""
        folder = await anyio.to_thread.run_sync(house.run, name)
        stream = _stream(house, Watch(house, folder, *_place(last_event_id or place)))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    return routes


def metric_log(house: House, name: str) -> Path | None:
    """The metric log of a run, where there is one in its folder. Raises NotHere without the run."""
    house.run(name)
    try:
        return house.file(name, "metrics.jsonl")
    except DataError:
        return None


@dataclass
class Watch:
    """One client's place in a run: the log's file number and how many bytes of it it has."""

    house: House
    folder: Path
    number: int
    offset: int
    stages: object = None

    def look(self) -> tuple[list[tuple[str, Any]], bool]:
        """The events since the last look, and whether the run goes on."""
        goes_on = doing(self.folder).anybody  # before the log: its last lines are not missed
        found = [*self._state(goes_on), *self._log()]
        return (found if goes_on else [*found, ("end", {})]), goes_on

    def _state(self, goes_on: bool) -> list[tuple[str, Any]]:
        try:
            manifest = (self.folder / "manifest.json").stat()
            stages: object = (manifest.st_mtime_ns, manifest.st_size, goes_on)
        except OSError:
            stages = None
        before, self.stages = self.stages, stages
        return [("state", {})] if before not in (None, stages) else []

    def _log(self) -> list[tuple[str, Any]]:
        file = metric_log(self.house, self.folder.name)
        if file is None:
            return []
        about = file.stat()
        other = about.st_ino != self.number and (self.number, self.offset) != (0, 0)
        if other or not 0 <= about.st_size - self.offset <= FAR_BEHIND:
            self.number, self.offset = about.st_ino, about.st_size
            return [("again", {})]
        self.number = about.st_ino
        rows, self.offset = rows_since(file, self.offset)
        return [("points", points(rows))] if rows else []


async def _stream(house: House, watch: Watch) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n"
    silent, goes_on = 0.0, True
    while goes_on and not house.leaving.is_set():
        try:
            found, goes_on = await anyio.to_thread.run_sync(watch.look)
        except (DataError, OSError):  # the folder has gone
            found, goes_on = [("end", {})], False
        for kind, value in found:
            at = f"{watch.number}:{watch.offset}".encode()
            yield b"id: %b\nevent: %b\ndata: %b\n\n" % (at, kind.encode(), orjson.dumps(value))
        silent = 0.0 if found else silent + EVERY
        if silent >= SILENCE:
            silent = 0.0
            yield b": still here\n\n"
        await _wait(house)


async def _wait(house: House) -> None:
    for _ in range(round(EVERY / WAKE)):
        if house.leaving.is_set():
            return
        await asyncio.sleep(WAKE)


def _place(text: str) -> tuple[int, int]:
    number, _, offset = text.partition(":")
    right = number.isdecimal() and offset.isdecimal()
    return (int(number), int(offset)) if right else (0, 0)


def _json(value: Any) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(value), media_type="application/json", headers=headers)
