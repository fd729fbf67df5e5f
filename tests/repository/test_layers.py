"""The house keeps its order: imports run one way, nothing goes round in circles, no folder is full.

Every folder of `src/tesuji` is looked at as a graph of its own: its entries are files and folders,
an arrow is an import anywhere below one of something below another.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from places import SOURCE

# Folder → its entries; each imports only those before it. A folder that is not named here has to be
# free of circles, in whatever order.
ORDER = {
    "": "core recipe games players episodes logs datasets learners evaluation report pipeline cli",
    "recipe": "schema reading questions reference",
    "players": "base prompting sampling basic search mafia poker endpoint vllm registry model "
    "guarded_player chat by_game",
    "episodes": "store transcript show results reply_rules arena in_order rewards schedule cluster "
    "sample",
    "logs": "base numbers files opening json_values records summary poker formats synthetic "
    "registry accept jobs readers importing",
    "datasets": "columns files llm_endpoint judge describe hub from_positions from_logs",
    "learners": "hooks fsdp zero whole distributed zero_state optimizer_state model trainer sft "
    "reward_model pairs rl export",
    "evaluation": "shares prompt_files held_out results bfcl_summary matches questions metrics "
    "evaluate",
    "report": "words headline collect tables views live page compare card",
    "report/live": "buckets columns reader charts",
    "pipeline": "plan parts settings earlier_runs heading step_context checks models steps workers "
    "forecast memory run sweep take_away",
    "compute": "base costs remote job machine ssh runpod launch follow sweep modal "
    "sky registry modal_app",
    "compute/costs": "prices hours",
    "compute/job": "folder wheel environment package again",
    "compute/modal": "defaults errors gpus volumes tree image inside machine",
    "compute/ssh": "there address transport other_side machine",
    "compute/runpod": "guard calls catalogue key pod machine",
    "serve": "local model env ui",
    "serve/model": "dialect guard engine choices app",
    "serve/env": "messages guard json_rpc bout offer environment sessions app",
    "serve/ui": "house server guard pages runs replay play games ladder new doctor app",
    "serve/ui/runs": "processes overview listing live one_run paging rows files actions comparing "
    "routes",
    "cli": "console progress pushing data run machines experiments talk games doctor "
    "evaluate browse take_away serving main",
}
ROOMS = tuple(ORDER[""].split())
BESIDE = {  # what stands beside the rooms, and the rooms that it may see
    "api": set(ROOMS) - {"cli"},
    "compute": {"core", "recipe", "pipeline"},
    "serve": set(ROOMS) - {"cli"} | {"compute"},
}
MOST_ENTRIES = 15
NOT_COUNTED = {"__init__.py", "__main__.py", "py.typed", "__pycache__"}

Parts = tuple[str, ...]
Import = tuple[Parts, Parts, int]  # module, what it imports, the line


def imports(source: Path) -> Iterator[Import]:
    """Every import of this package by itself, at any depth of the code."""
    for file in sorted(source.rglob("*.py")):
        module = file.relative_to(source).with_suffix("").parts
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for parts in module_names(node, ("tesuji", *module[:-1])):
                if parts[0] == "tesuji" and len(parts) > 1:
                    yield module, parts[1:], node.lineno


def module_names(node: ast.AST, package: Parts) -> list[Parts]:
    """The full dotted names that an import statement may bind or load."""
    if isinstance(node, ast.Import):
        return [tuple(alias.name.split(".")) for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    above = package[: len(package) + 1 - node.level] if node.level else ()
    module = (*above, *(node.module.split(".") if node.module else ()))
    return [(*module, alias.name) for alias in node.names]


def entries(source: Path) -> dict[str, set[str]]:
    """Folder → what stands in it, the empty __init__.py and the like aside."""
    folders = [source, *(path for path in source.rglob("*") if path.is_dir())]
    kept = (path for path in folders if path.name != "__pycache__" and not is_data(path, source))
    return {
        "/".join(folder.relative_to(source).parts): {
            path.stem
            for path in folder.iterdir()
            if path.name not in NOT_COUNTED and not is_data(path, source)
        }
        for folder in kept
    }


def is_data(folder: Path, source: Path) -> bool:
    """The shipped recipes lie in the package without being code."""
    return "recipes" in folder.relative_to(source).parts


def arrows(source: Path) -> dict[str, dict[str, set[str]]]:
    """Folder → entry → entries of the same folder that it imports."""
    standing = entries(source)
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for module, seen, _ in imports(source):
        for depth in range(len(module)):
            if module[:depth] != seen[:depth] or len(seen) == depth:
                break
            folder = "/".join(module[:depth])
            if seen[depth] != module[depth] and seen[depth] in standing[folder]:
                found[folder][module[depth]].add(seen[depth])
    return found


def circles(source: Path) -> list[str]:
    """One circle of each folder that has any."""
    bad = []
    for folder, graph in sorted(arrows(source).items()):
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            bad.append(f"{folder or '.'}: {' -> '.join(reversed(error.args[1]))}")
    return bad


def wrong_imports(source: Path, order: Mapping[str, str] = ORDER) -> list[str]:
    """Every import that runs against the order, as `file:line: entry imports entry`."""
    ranks = {folder: names.split() for folder, names in order.items()}
    return [
        f"{'/'.join(module)}.py:{line}: {module[depth]} imports {seen[depth]}"
        for module, seen, line in imports(source)
        for depth in range(min(len(module), len(seen)))
        if module[:depth] == seen[:depth] and not may_see(module, seen, depth, ranks)
    ]


def may_see(module: Parts, seen: Parts, depth: int, ranks: Mapping[str, list[str]]) -> bool:
    """Whether the entry of `module` at this depth stands at or after the entry of `seen`."""
    mine, other = module[depth], seen[depth]
    rank = ranks.get("/".join(module[:depth]), [])
    if depth == 0 and mine in BESIDE:
        return other in BESIDE[mine] | {mine}
    if depth == 0 and other in BESIDE:
        return mine in ("cli", "__init__")
    if mine not in rank or other not in rank:
        return True  # what the order does not name is caught by its own test
    return rank.index(other) <= rank.index(mine)


def crowded(source: Path) -> list[str]:
    """Folders with more entries than anybody takes in at a glance."""
    return [
        f"{folder or '.'}: {len(names)} entries"
        for folder, names in sorted(entries(source).items())
        if len(names) > MOST_ENTRIES
    ]


def test_no_import_runs_against_the_order():
    assert wrong_imports(SOURCE) == []


def test_nothing_goes_round_in_circles():
    assert circles(SOURCE) == []


def test_no_folder_is_crowded():
    assert crowded(SOURCE) == []


def test_the_order_names_what_stands_there_and_all_of_it():
    standing = entries(SOURCE)
    for folder, names in ORDER.items():
        there = {name for name in standing[folder] if is_code(SOURCE / folder / name)}
        assert set(names.split()) == (there if folder else there - set(BESIDE)), folder


def is_code(path: Path) -> bool:
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def test_init_files_are_empty_but_the_package_s_own():
    full = [file for file in SOURCE.rglob("__init__.py") if file.read_text().strip()]
    assert set(full) <= {SOURCE / "__init__.py"}


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


def test_an_import_against_the_order_inside_a_room_is_found(tmp_path):
    write(tmp_path / "learners" / "model" / "load.py", "import tesuji.learners.rl.loss\n")
    write(tmp_path / "learners" / "rl" / "loss.py", "import tesuji.learners.model.tiny\n")
    assert wrong_imports(tmp_path) == ["learners/model/load.py:1: model imports rl"]


def test_a_circle_of_files_is_found(tmp_path):
    write(tmp_path / "games" / "poker" / "hand.py", "from tesuji.games.poker.game import Game\n")
    write(tmp_path / "games" / "poker" / "game.py", "def f():\n    from . import hand\n")
    assert circles(tmp_path) == ["games/poker: game -> hand -> game"]


def test_a_circle_of_folders_is_found_though_its_files_make_none(tmp_path):
    write(tmp_path / "games" / "a" / "one.py", "import tesuji.games.b.two\n")
    write(tmp_path / "games" / "b" / "two.py", "")
    write(tmp_path / "games" / "b" / "three.py", "import tesuji.games.a.four\n")
    write(tmp_path / "games" / "a" / "four.py", "")
    assert circles(tmp_path) == ["games: a -> b -> a"]


def test_a_crowded_folder_is_found(tmp_path):
    for number in range(MOST_ENTRIES):
        write(tmp_path / "games" / f"game_{number}.py", "")
    write(tmp_path / "games" / "__init__.py", "")
    assert crowded(tmp_path) == []
    write(tmp_path / "games" / "openspiel" / "facts.py", "")
    assert crowded(tmp_path) == [f"games: {MOST_ENTRIES + 1} entries"]


def test_right_imports_pass(tmp_path):
    code = "import tesuji\nfrom tesuji.core.types import Move\nfrom . import base\nimport json\n"
    write(tmp_path / "games" / "chess.py", code + "from ..recipe.schema import Recipe\n")
    assert wrong_imports(tmp_path) == circles(tmp_path) == []


def test_what_stands_beside_the_rooms_sees_what_it_needs_and_no_more(tmp_path):
    write(tmp_path / "compute" / "modal.py", "import tesuji.core.files\nimport tesuji.games.base\n")
    write(tmp_path / "cli" / "run.py", "import tesuji.compute.modal\n")
    write(tmp_path / "pipeline" / "run.py", "import tesuji.compute.modal\n")
    assert wrong_imports(tmp_path) == [
        "compute/modal.py:2: compute imports games",
        "pipeline/run.py:1: pipeline imports compute",
    ]


def write(file: Path, code: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(code)
