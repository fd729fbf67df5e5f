"""The one look of the tables in the terminal."""

from rich.box import SIMPLE_HEAD
from rich.table import Table


def left_table(title: str) -> Table:
    """An empty table under its title, at the left margin and without frames."""
    return Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
