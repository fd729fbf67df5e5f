"""The terminal: where text goes, and the two ways in which most commands print."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

console = Console()
err_console = Console(stderr=True)


def say(words: str, *, soft_wrap: bool = True) -> None:
    """Print a text as it is: nothing in it is markup, and nothing is coloured."""
    console.print(words, markup=False, highlight=False, emoji=False, soft_wrap=soft_wrap)


def print_facts(title: str, facts: Iterable[tuple[str, str]]) -> None:
    """Print a table of names, underscores as blanks, and what there is to say of each."""
    table = Table("what", "value", title=Text(title), show_header=False)
    for name, words in facts:
        table.add_row(name.replace("_", " "), Text(words))
    console.print(table)
