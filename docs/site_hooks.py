"""What mkdocs.yml cannot say: docs/README.md is the contents, and docs/ alone is the site.

A heading of the list is a section of the menu, a link in it a page. Links from a page to files
outside docs/ are for readers of the repository; the site shows their words alone.
"""

import re
from pathlib import Path
from typing import Any

CONTENTS = "README.md"
ENTRY = re.compile(
    r"^(?:## (?P<section>.+)|- \[(?P<title>.+?)\]\((?P<page>.+?)\).*)$", re.MULTILINE
)
LINK = re.compile(r"\[([^\]]+)\]\((\.\.?/[^)#\s]+)[^)]*\)")


def contents(text: str) -> list[dict[str, list[dict[str, str]]]]:
    """The sections of the list in order, each with its pages: title → path below docs/."""
    sections: list[dict[str, list[dict[str, str]]]] = []
    for entry in ENTRY.finditer(text):
        if entry["section"]:
            sections.append({entry["section"]: []})
        elif sections:
            [pages] = sections[-1].values()
            pages.append({entry["title"]: entry["page"]})
    return sections


def on_config(config: Any) -> Any:
    """Make the menu from the list."""
    listed = contents(Path(config.docs_dir, CONTENTS).read_text(encoding="utf-8"))
    config.nav = [{"Contents": CONTENTS}, *listed]
    return config


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:
    """Leave the words of links to files that exist outside docs/, and no other link, unlinked."""
    docs = Path(config.docs_dir).resolve()

    def words(link: re.Match[str]) -> str:
        target = (Path(page.file.abs_src_path).parent / link[2]).resolve()
        outside = target.exists() and not target.is_relative_to(docs)
        return link[1] if outside else link[0]

    return LINK.sub(words, markdown)
