"""A module imports only from its own room and the rooms before it; this reads every import."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import SOURCE

ROOMS = (
    *("core", "recipe", "games", "players", "episodes", "logs"),
    *("datasets", "learners", "evaluation", "report", "pipeline", "cli"),
)
MAY_SEE = {room: set(ROOMS[: place + 1]) for place, room in enumerate(ROOMS)}
MAY_SEE["compute"] = {"core", "recipe", "compute"}
MAY_SEE["cli"].add("compute")


def wrong_imports(source: Path) -> list[str]:
    """Every import that runs the wrong way, as `file:line: room imports room`."""
    return [
        f"{file.relative_to(source)}:{line}: {room} imports {seen}"
        for file in sorted(source.rglob("*.py"))
        if (room := file.relative_to(source).parts[0]) in MAY_SEE
        for line, seen in rooms_seen(file, source)
        if seen not in MAY_SEE[room]
    ]


def rooms_seen(file: Path, source: Path) -> Iterator[tuple[int, str]]:
    """Line and room of each import of this package, at any depth of the code."""
    package = ("tesuji", *file.relative_to(source).parts[:-1])
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        for parts in module_names(node, package):
            if parts[0] == "tesuji" and len(parts) > 1:
                yield node.lineno, parts[1]


def module_names(node: ast.AST, package: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The full dotted names that an import statement may bind or load."""
    if isinstance(node, ast.Import):
        return [tuple(alias.name.split(".")) for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    above = package[: len(package) + 1 - node.level] if node.level else ()
    module = (*above, *(node.module.split(".") if node.module else ()))
    return [(*module, alias.name) for alias in node.names]


def test_no_import_runs_the_wrong_way():
    assert wrong_imports(SOURCE) == []


def test_every_module_is_in_a_known_room():
    rooms = {file.parent.name for file in SOURCE.glob("*/*.py")}
    assert rooms <= set(MAY_SEE)
    assert [file.name for file in SOURCE.glob("*.py")] == ["__init__.py"]


def test_init_files_are_empty():
    full = [str(file) for file in SOURCE.rglob("__init__.py") if file.read_text().strip()]
    assert full == []


@pytest.mark.parametrize(
    "code",
    [
        "import tesuji.players.base",
        "import os, tesuji.players.base as base",
        "from tesuji.players.base import Player",
        "from tesuji import players",
        "from ..players import base",
        "from .. import players",
        "def f():\n    from tesuji.players.base import Player",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tesuji.players.base",
        "try:\n    import tesuji.players\nexcept ImportError:\n    pass",
    ],
)
def test_a_wrong_import_is_found_however_it_is_written(tmp_path, code):
    write(tmp_path / "games" / "chess.py", code)
    [found] = wrong_imports(tmp_path)
    assert found.startswith("games/chess.py:") and found.endswith("games imports players")


def test_right_imports_pass(tmp_path):
    code = "import tesuji\nfrom tesuji.core.types import Move\nfrom . import base\nimport json\n"
    write(tmp_path / "games" / "chess.py", code + "from ..recipe.schema import Recipe\n")
    assert wrong_imports(tmp_path) == []


def test_compute_sees_core_and_recipe_only(tmp_path):
    write(
        tmp_path / "compute" / "modal.py",
        "import tesuji.core.run_folder\nimport tesuji.games.base\n",
    )
    assert wrong_imports(tmp_path) == ["compute/modal.py:2: compute imports games"]


def test_no_room_but_the_command_line_sees_compute(tmp_path):
    write(tmp_path / "cli" / "run.py", "import tesuji.compute.modal\n")
    write(tmp_path / "pipeline" / "run.py", "import tesuji.compute.modal\n")
    assert wrong_imports(tmp_path) == ["pipeline/run.py:1: pipeline imports compute"]


def write(file: Path, code: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(code)
