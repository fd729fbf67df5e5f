"""A run: its headline and stages, how it learned, what it came to, what its folder holds."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from tesuji.core.errors import DataError
from tesuji.core.files import read_json
from tesuji.core.redact import safe_all
from tesuji.report.collect import mapping
from tesuji.report.views.run import facts, judged
from tesuji.serve.ui.house import House, NotHere
from tesuji.serve.ui.pages import page
from tesuji.serve.ui.runs.listing import told
from tesuji.serve.ui.runs.overview import SENSELESS, changed, looks, overview
from tesuji.serve.ui.runs.processes import LOG, doing, was_started

MOST_FILES = 300  # of one kind
MOST_RECIPE = 1 << 18  # bytes
TAIL = 1 << 14  # bytes of a log that stand on the run's page
DATA = ("*.jsonl", "processed/*.jsonl", "final/*.jsonl")
MODELS = ("final", "checkpoints/*", "best")


def router(house: House) -> APIRouter:
    """The routes of a run's page."""
    routes = APIRouter()

    @routes.get("/runs/{name}")
    def run(request: Request, name: str) -> Response:
        folder = house.runs / name
        try:
            folder = house.run(name)
        except NotHere:
            if not _is_starting(house, folder):
                raise
            going, log = doing(folder).anybody, tail(folder / LOG)
            starting = "runs/starting.html.j2"
            return page(house, request, starting, name=name, going=going, log=log)
        return page(house, request, "runs/run.html.j2", **_whole(folder))

    @routes.get("/runs/{name}/state")
    def state(request: Request, name: str) -> Response:
        """Its state, stages and buttons, again."""
        return page(house, request, "runs/state.html.j2", **state_of(house.run(name)))

    return routes


def _is_starting(house: House, folder: Path) -> bool:
    plain = folder.parent == house.runs and folder.name not in ("", ".", "..")
    return plain and was_started(folder) and (folder / LOG).is_file()


def state_of(run: Path) -> dict[str, Any]:
    """What the state's part of the page shows."""
    now = doing(run)
    one = overview(run, changed(run), now.anybody)
    return {
        "run": told(one),
        "stages": safe_all([asdict(stage) for stage in one.far.stages]),
        "who": now,
        "may_resume": not now.anybody and one.far.state == "stopped",
        "metrics": safe_all(list(one.pace.metrics.items())[:12]) if one.pace else [],
    }


def _whole(run: Path) -> dict[str, Any]:
    found = looks(run)
    try:
        results = judged(found)
    except SENSELESS:
        results = judged([])
    return {
        **state_of(run),
        "opponents": safe_all(results["opponents"]),
        "certificates": safe_all(results["certificates"]),
        "sizes": [one for pattern in DATA for one in files(run, f"stages/*/{pattern}")],
        "rules": safe_all(list(_rules(run))),
        "models": list(_models(run)),
        "logs": [*files(run, LOG), *files(run, "stages/*/*_training_logs_*.txt")],
        "tail": tail(run / LOG) if (run / LOG).is_file() else "",
        "matches": any(run.glob("stages/*/episodes.jsonl")),
        "report": (run / "report.html").is_file(),
        "recipe": tail(run / "recipe.yaml", MOST_RECIPE),
        "facts": safe_all(_facts(run)),
    }


def files(run: Path, pattern: str) -> list[dict[str, Any]]:
    """The files of a run of this pattern, with their sizes; of stages set aside, none."""
    found = []
    for path in sorted(run.glob(pattern))[:MOST_FILES]:
        with suppress(OSError):
            if path.is_file() and "~" not in path.relative_to(run).as_posix():
                inside = path.relative_to(run).as_posix()
                found.append({"path": inside, "bytes": path.stat().st_size})
    return found


def _rules(run: Path) -> Iterator[dict[str, Any]]:
    """What was read, kept and left out by each stage that makes data of logs."""
    for path in sorted(run.glob("stages/*/dataset_statistics.json")):
        with suppress(DataError):
            said = mapping(read_json(path))
            imported = mapping(said.get("imported"))
            rules = [mapping(one) for one in said.get("rules") or ()]
            quarantine = path.parent / "processed" / "quarantine.jsonl"
            yield {
                "stage": path.parent.name,
                "counts": facts({key: said[key] for key in _counts(said)}),
                "read": _count(imported.get("read")),
                "accepted": _count(imported.get("accepted")),
                "reasons": facts(mapping(imported.get("rejected_by_reason"))),
                "rules": [
                    (r.get("rule", ""), *map(_count, (r.get("dropped"), r.get("left"))))
                    for r in rules
                ],
                "quarantine": quarantine.relative_to(run).as_posix() if quarantine.exists() else "",
            }


def _count(value: Any) -> str:
    return f"{value:,}" if type(value) is int else ""


def _counts(said: dict[str, Any]) -> list[str]:
    return [key for key, value in said.items() if type(value) is int and key != "seed"]


def _models(run: Path) -> Iterator[dict[str, Any]]:
    """The folders of models and checkpoints, with the bytes in them."""
    found = [run / "base", *(p for pattern in MODELS for p in run.glob(f"stages/*/{pattern}"))]
    for folder in sorted(found, key=_in_numbers)[:MOST_FILES]:
        if any(folder.glob("*config.json")) and "~" not in folder.relative_to(run).as_posix():
            parts = [path for path in folder.rglob("*") if path.is_file()]
            size = sum(path.stat().st_size for path in parts)
            yield {"path": folder.relative_to(run).as_posix(), "bytes": size, "files": len(parts)}


def _in_numbers(path: Path) -> tuple[str, int, str]:
    number = path.name.rpartition("-")[2]
    return str(path.parent), int(number) if number.isdecimal() else 0, path.name


def _facts(run: Path) -> list[tuple[str, str]]:
    try:
        manifest = mapping(read_json(run / "manifest.json"))
    except DataError:
        return []
    told = {k: manifest.get(k) for k in ("created", "seed", "command", "git_commit", "recipe_hash")}
    machine = facts(mapping(manifest.get("platform")), "machine › ")
    versions = facts(mapping(manifest.get("versions")), "versions › ")
    return facts({key: value for key, value in told.items() if value}) + machine + versions


def tail(path: Path, most: int = TAIL) -> str:
    """The last lines of a text file, of at most so many bytes, safe to show."""
    if path.is_symlink() or not path.is_file():  # it may lead anywhere, or be a pipe
        return ""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - most))
            text = file.read(most)
    except OSError:
        return ""
    if size > most:
        text = b"...\n" + text[text.find(b"\n") + 1 :]
    shown = text.decode("utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    safe: str = safe_all(shown)
    return safe
