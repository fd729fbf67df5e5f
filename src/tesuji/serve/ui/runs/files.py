"""The files of a run: rows of data page by page, texts, the report."""

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response

from tesuji.core.errors import DataError
from tesuji.core.redact import safe_all
from tesuji.report.page import board_script_hash
from tesuji.serve.ui.house import House, NotHere
from tesuji.serve.ui.pages import page
from tesuji.serve.ui.runs.paging import find_line, read_page
from tesuji.serve.ui.runs.rows import shown

ROWS, LINES = 20, 400  # a page
LINES_BEFORE = 5  # of a text, above the line that is looked for
TEXTS = {".txt", ".log", ".md", ".yaml", ".yml", ".json", ".jsonl", ".csv", ".tsv", ".phh",
         ".phhs", ".pgn", ".html"}  # fmt: skip  # shown as texts, whatever is in them
REPORT = (  # what the page itself says of itself, for whoever changed the file; and no origin
    "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "script-src '{script}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
Offset = Annotated[int, Query(ge=0, le=1 << 53)]
Inside = Annotated[str, Query(max_length=1000)]


def router(house: House) -> APIRouter:
    """The routes of files."""
    routes = APIRouter()

    @routes.get("/runs/{name}/data")
    def data(request: Request, name: str, file: Inside, at: Offset = 0) -> Response:
        """Rows of a file of JSON lines, from a byte on."""
        path = _text(house, name, file)
        found = read_page(path, at, ROWS)
        rows = [_with_way_back(house, name, path, shown(line)) for line in found.lines]
        values = {**_frame(name, file, found), "rows": rows}
        return page(house, request, "runs/data.html.j2", **values)

    @routes.get("/runs/{name}/text")
    def text(
        request: Request, name: str, file: Inside, at: Offset = 0, line: Offset = 0
    ) -> Response:
        """Lines of any text, from a byte on, or around the line of a number."""
        path = _text(house, name, file)
        wanted = find_line(path, line) if line else None
        begin = find_line(path, max(1, line - LINES_BEFORE)) if line else at
        found = read_page(path, begin, LINES)
        lines = [(one.at == wanted, _said(one.text, one.cut)) for one in found.lines]
        values = {**_frame(name, file, found), "lines": lines, "number": line}
        return page(house, request, "runs/text.html.j2", **values)

    @routes.get("/runs/{name}/report.html")
    def report(name: str) -> Response:
        """The report as it lies in the folder: a page of its own, which may do even less."""
        policy = REPORT.format(script=board_script_hash())
        headers = {"Content-Security-Policy": policy, "Cache-Control": "no-store"}
        return FileResponse(house.file(name, "report.html"), headers=headers)

    return routes


def _text(house: House, name: str, file: str) -> Path:
    path = house.file(name, file)
    inside = path.resolve().is_relative_to(house.run(name).resolve())
    if not inside or path.suffix not in TEXTS:
        raise NotHere("no text of this run", where=file)
    return path


def _frame(name: str, file: str, found: Any) -> dict[str, Any]:
    return {
        "name": name,
        "file": file,
        "before": found.before,
        "after": found.after,
        "size": found.size,
        "from_byte": found.lines[0].at if found.lines else 0,
    }


def _said(text: bytes, cut: int) -> str:
    more = f" ... ({cut:,} bytes more)" if cut else ""
    said: str = safe_all(text.decode("utf-8", errors="replace"))
    return said + more


def _with_way_back(house: House, name: str, path: Path, row: dict[str, Any]) -> dict[str, Any]:
    """A row with `source`: the file it is from, where that lies in the run's own folder."""
    file, _ = row["open"]
    if not file:
        return {**row, "source": ""}
    run = house.run(name)
    for above in path.parents:  # names are as seen from the stage's folder
        if not above.is_relative_to(run):
            break
        try:
            inside = (above / file).relative_to(run).as_posix()
            _text(house, name, inside)
        except (DataError, ValueError, OSError):
            continue
        return {**row, "source": inside}
    return {**row, "source": ""}
