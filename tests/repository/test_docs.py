"""What README and docs say must be so: the tree, the links, the commands, the figures' form."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from places import DOCS, ROOT, SOURCE

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def tree_of(text: str) -> list[str]:
    """The paths of the annotated tree: the block that begins with `tesuji/`."""
    block = re.search(r"^    tesuji/\n((?:    .*\n)+)", text, re.MULTILINE)
    paths, stack = [], []
    for line in block.group(1).splitlines():
        name = line.split("#")[0].strip()
        depth = (len(line) - len(line.lstrip())) // 2 - 3
        stack = [*stack[:depth], name.rstrip("/")]
        paths.append("/".join(stack))
    return paths


def tracked() -> set[str]:
    shown = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {path for path in shown.stdout.splitlines() if (ROOT / path).exists()}


def test_the_annotated_tree_is_the_one_on_disk():
    paths = tree_of(README)
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert not missing
    rooms = {path.name for path in (ROOT / "src" / "tesuji").iterdir() if path.is_dir()}
    rooms -= {"__pycache__"}
    assert rooms == {path.split("/")[2] for path in paths if path.count("/") == 2}
    folders = {path.split("/")[0] for path in tracked() if "/" in path and path[0] != "."}
    assert folders <= {path.split("/")[0] for path in paths}


def test_the_test_of_the_tree_would_notice_a_missing_folder():
    false = README.replace("      recipe/", "      recipes_of_old/", 1)
    assert not (ROOT / "src/tesuji/recipes_of_old").exists()
    assert "src/tesuji/recipes_of_old" in tree_of(false)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_project_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def paths_named(text: str) -> list[str]:
    """Files of code, in a folder, that stand in backticks."""
    return re.findall(r"`([\w.-]+(?:/[\w.-]+)+\.(?:py|j2|css|js|txt|yaml))`", text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_that_a_page_names_are_there(page: Path):
    for path in paths_named(page.read_text(encoding="utf-8")):
        assert (SOURCE / path).exists() or (ROOT / path).exists(), path


def test_every_way_in_is_short_and_names_files_their_contents_and_a_test():
    _, *ways = (DOCS / "extend.md").read_text(encoding="utf-8").split("\n## ")
    assert len(ways) >= 9
    for way in ways:
        assert len([line for line in way.splitlines()[1:] if line]) <= 10, way
        assert [path for path in paths_named(way) if path.startswith("tests/")], way
        for names, path in re.findall(
            r"((?:`\w+`(?:,? and |, )?)+)\s+(?:in|of)\s+`(\S+\.py)`", way
        ):
            code = (SOURCE / path).read_text(encoding="utf-8")
            assert all(name in code for name in re.findall(r"`(\w+)`", names)), (names, path)


def commands(text: str) -> list[str]:
    found = re.findall(r"^    ((?:tesuji|make) .+)$", text, re.MULTILINE)
    return [line.split("  #")[0].strip() for line in found]


def test_readme_and_docs_name_only_commands_that_exist():
    from tesuji.cli.main import COMMANDS

    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    said = [command for page in PAGES for command in commands(page.read_text(encoding="utf-8"))]
    assert len(said) > 10
    for command in said:
        program, word, *_ = shlex.split(command)
        assert word in (
            targets if program == "make" else {*COMMANDS, "--help", "--install-completion"}
        ), command


def test_every_decision_record_is_short_and_numbered():
    records = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(path.name[:3]) for path in records] == list(range(1, len(records) + 1))
    for path in records:
        assert len(path.read_text().splitlines()) <= 20
