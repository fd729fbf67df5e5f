"""The terminal: where text goes, and the two ways in which most commands print."""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from tesuji.core.redact import MARK, redact, visible

UNESCAPED = re.compile(rf"(?<!\\)\[(?={re.escape(MARK[1:])})")


class SafeConsole(Console):
    """Nothing that a recipe, a log or a model says drives the terminal or shows a secret."""

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich prints, with secrets taken out of texts."""
        plain = options.get("markup") is False
        super().print(*(_safe(o, plain) if isinstance(o, str) else o for o in objects), **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """As rich renders, with control characters that are not rich's own made visible."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))


def _safe(text: str, plain: bool) -> str:
    """The text without secrets; rich would take the mark in their place for a style of its own."""
    return redact(text) if plain else UNESCAPED.sub(r"\\[", redact(text))


console = SafeConsole()
err_console = SafeConsole(stderr=True)


def say(words: str, *, soft_wrap: bool = True) -> None:
    """Print a text as it is: nothing in it is markup, and nothing is coloured."""
    console.print(words, markup=False, highlight=False, emoji=False, soft_wrap=soft_wrap)


def note(words: str) -> None:
    """A sentence under a table, in lines of the terminal's width."""
    say(words, soft_wrap=False)


def loading(what: str) -> None:
    """Say, apart from the output, that something is on its way."""
    err_console.print(f"loading {what} ...", style="dim", markup=False, highlight=False)


def warn(words: str) -> None:
    """Say, apart from the output, what is to be kept in mind; nothing where there are no words."""
    if words:
        err_console.print(f"beware: {words}", style="yellow", markup=False, highlight=False)


def print_facts(title: str, facts: Iterable[tuple[str, str]]) -> None:
    """Print a table of names, underscores as blanks, and what there is to say of each."""
    table = Table("what", "value", title=Text(title), show_header=False)
    for name, words in facts:
        table.add_row(name.replace("_", " "), Text(words))
    console.print(table)
