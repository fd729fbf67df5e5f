"""docs/architecture.md and the glossary against the code: rooms, their order, what stands where."""

import ast
import re

from places import DOCS, ROOT, SOURCE

from tesuji.recipe.schema.stages import STAGES

PAGE = (DOCS / "architecture.md").read_text(encoding="utf-8")
LAYERS = ast.parse((ROOT / "tests" / "repository" / "test_layers.py").read_text())


def layer_order() -> dict[str, list[str]]:
    """Folder → its entries in order, as the layer test holds them."""
    [table] = [
        node.value
        for node in LAYERS.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "ORDER"
    ]
    return {folder: names.split() for folder, names in ast.literal_eval(table).items()}


def standing(room: str) -> list[str]:
    """The modules and folders of a room, by name."""
    names = {path.stem for path in (SOURCE / room).iterdir() if path.suffix in ("", ".py")}
    return sorted(names - {"__init__", "__pycache__"})


def test_the_rooms_and_what_is_in_them_stand_in_the_order_of_the_layers():
    order = layer_order()
    assert re.search(r"^    (core ◀ .+)$", PAGE, re.MULTILINE)[1].split(" ◀ ") == order[""]
    rows = re.findall(r"^\| `(\w+)` \| .+ \| ([\w ]+) \|$", PAGE, re.MULTILINE)
    assert [room for room, _ in rows] == order[""]
    for room, inside in rows:
        assert inside.split() == order.get(room, standing(room)), room


def test_what_the_page_says_is_there_is_there():
    section = PAGE.partition("\n## Where do I find")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| .+ \| `(\S+\.py)`.* \| (.+) \|$", section, re.MULTILINE)
    assert len(rows) > 30
    for path, names in rows:
        code = ast.parse((SOURCE / path).read_text(encoding="utf-8"))
        assert set(re.findall(r"`(\w+)`", names)) <= defined(code), path


def defined(code: ast.Module) -> set[str]:
    """The names that a module itself defines."""
    names = {getattr(node, "name", "") for node in code.body}
    for node in code.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {getattr(target, "id", "") for target in targets}
    return names


def test_the_glossary_is_sorted_and_knows_every_stage():
    text = (DOCS / "glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", text, re.MULTILINE)
    assert len(words) > 40 and words == sorted(words, key=str.lower)
    [stages] = re.findall(r"^\| \*\*stage\*\* \| (.+) \|$", text, re.MULTILINE)
    assert re.findall(r"`(\S+?)`", stages) == list(STAGES)
