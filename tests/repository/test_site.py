"""The site of the docs: built strictly, offline, from the list in docs/README.md."""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from places import DOCS, ROOT

LISTED = re.findall(r"^- \[.+?\]\((.+?)\)", (DOCS / "README.md").read_text(), re.MULTILINE)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the site is made of, to be spoilt."""
    leave_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(DOCS, tmp_path / "docs", ignore=leave_out)
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    for path in ROOT.iterdir():  # what pages link to beside docs/
        if path.name[0] != "." and path.name not in ("docs", "mkdocs.yml", "site"):
            (tmp_path / path.name).symlink_to(path)
    return tmp_path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the docs as they are."""
    out = tmp_path_factory.mktemp("site")
    assert (built := build(ROOT, out)).returncode == 0, built.stderr
    return out


def build(root: Path, out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "-f", root / "mkdocs.yml", "-d", out]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


class Page(HTMLParser):
    """The menu's pages in order, and what the browser would fetch."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.menu: list[str] = []
        self.fetched: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "a" and "md-nav__link" in values.get("class", "") and "#" not in values["href"]:
            self.menu.append(values["href"])
        self.fetched += [values["src"]] if "src" in values else []
        self.fetched += [values["href"]] if tag == "link" else []


def test_the_menu_is_the_list_of_pages_and_every_page_is_in_it(site: Path) -> None:
    pages = [file.relative_to(DOCS).as_posix() for file in DOCS.rglob("*.md")]
    assert sorted(pages) == sorted([*LISTED, "README.md"])
    menu = [href for href in Page(site / "index.html").menu if href != "index.html"]
    assert menu == [page.replace(".md", ".html") for page in LISTED]


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(LISTED)
    for page in pages:
        away = [url for url in Page(page).fetched if "//" in url]
        assert not away, page.name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )['\"]?(https?:)?//", sheet.read_text()), sheet.name


FAULTS = [  # (page, what is added to it, what the build complains of)
    ("glossary.md", "[gone](no-such-page.md)", "no-such-page.md"),
    ("glossary.md", "[gone](../no-such-file.py)", "../no-such-file.py"),
    ("glossary.md", "[gone](rl.md#no-such-heading)", "no-such-heading"),
    ("orphan.md", "# In no list", "orphan.md"),
    ("README.md", "- [Gone](listed-only.md): nothing", "listed-only.md"),
]


def test_what_is_dead_or_in_no_list_stops_the_build(checkout: Path) -> None:
    for page, text, _ in FAULTS:
        with (checkout / "docs" / page).open("a", encoding="utf-8") as file:
            file.write(f"\n{text}\n")
    built = build(checkout, checkout / "site")
    assert built.returncode != 0
    warnings = re.sub(r"\n  +", " ", built.stderr).splitlines()
    for _, _, complaint in FAULTS:
        assert any("WARNING" in line and complaint in line for line in warnings), complaint


def test_a_link_to_a_file_outside_the_docs_is_left_as_words(checkout: Path) -> None:
    with (checkout / "docs" / "glossary.md").open("a", encoding="utf-8") as file:
        file.write("\nSee [the settings](../mkdocs.yml) and [the poker page](poker.md).\n")
    assert (built := build(checkout, checkout / "site")).returncode == 0, built.stderr
    text = (checkout / "site" / "glossary.html").read_text()
    assert "See the settings and" in text and 'href="poker.html"' in text
