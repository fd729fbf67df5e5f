"""Pages about a data set, rendered from `datasets/templates` by Jinja."""

import functools
import re
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape


def render(template: str, **values: Any) -> str:
    """The page; names from logs go through `plain` in Markdown, in HTML all is escaped."""
    return _environment().get_template(template).render(values)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tesuji.datasets"),
        autoescape=select_autoescape(["html.j2"]),
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"plain": plain, "n": "{:,}".format, "counts": counts, "table": table}
    return environment


def plain(text: Any) -> str:
    """A text from a log as inert Markdown, one line."""
    return re.sub(r"([\\`*\[\]<>|#~&$!])", r"\\\1", re.sub(r"\s+", " ", str(text)))


def counts(names: Mapping[str, int]) -> str:
    """`equal 3, too long 1,200`; a name that is empty is left out."""
    return ", ".join(f"{name} {count:,}" for name, count in names.items() if name)


def table(names: Mapping[str, int]) -> str:
    """Names and counts as a Markdown table."""
    lines = [f"| {plain(name)} | {count:,} |" for name, count in names.items()]
    return "\n".join(["| | rows |", "|---|---:|", *lines])
