"""The terminal: where text goes, and progress bars with what is left of the time."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

console = Console()
err_console = Console(stderr=True)


class NoteColumn(ProgressColumn):
    """A few words beside a bar, such as the loss."""

    def render(self, task: Task) -> Text:
        """The task's `note`, if it has one."""
        return Text(str(task.fields.get("note", "")), style="dim")


def progress() -> Progress:
    """Bars that vanish when their work is done; silent where the output is no terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        NoteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
