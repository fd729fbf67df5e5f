"""Progress on one line of the terminal; where there is no terminal, a plain line now and then."""

import threading
from typing import Self

from rich.progress import Progress as RichProgress
from rich.progress import ProgressColumn, Task
from rich.table import Column
from rich.text import Text

from tesuji.cli.console import console, say
from tesuji.core.progress import Progress
from tesuji.core.redact import visible

EVERY = 30.0  # seconds between two lines where there is no terminal
PACE = 600.0  # seconds that the pace is taken from: of slow steps more than one
WORDS, BAR, LONGEST_BAR = 12, 8, 24  # the least that is left of words and bar, in columns


class OneLine(ProgressColumn):
    """All there is to say of a task, made to fit into one line: of what has no room the note goes
    first, then the bar, then the end of the words."""

    def render(self, task: Task) -> Text:
        """One line, one column narrower than the terminal."""
        return one_line(task, console.width - 1)


class Bar(Progress):
    """Draws the work under way while entered as a context; lines stay above the bar.

    Where the output is no terminal nothing is drawn, and every `every` seconds a line tells how
    far the work is.
    """

    def __init__(self, every: float = EVERY) -> None:
        self.drawn = RichProgress(
            OneLine(table_column=Column(no_wrap=True)),
            console=console,
            transient=True,
            speed_estimate_period=PACE,
            disable=not console.is_terminal,
        )
        self._every, self._over = every, threading.Event()
        self._teller = threading.Thread(target=self._tell, daemon=True)

    def __enter__(self) -> Self:
        self.drawn.start()
        if not console.is_terminal:
            self._teller.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self.drawn.stop()

    def _tell(self) -> None:
        while not self._over.wait(self._every):
            for task in self.drawn.tasks:
                say(in_words(task))

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self.drawn.console.print(text, markup=False, highlight=False, emoji=False)

    def begin(self, words: str, total: int | None = None) -> None:
        """Replace the bar."""
        self.end()
        self.drawn.add_task(words, total=total or None)

    def update(self, done: int, note: str = "") -> None:
        """Move the bar."""
        for task in self.drawn.task_ids:
            self.drawn.update(task, completed=done, note=note)

    def advance(self, count: int = 1) -> None:
        """Move the bar on."""
        for task in self.drawn.task_ids:
            self.drawn.advance(task, count)

    def end(self) -> None:
        """Take the bar away."""
        for task in self.drawn.task_ids:
            self.drawn.remove_task(task)


def one_line(task: Task, width: int) -> Text:
    """`sft: training ━━━━━━──── 120/400 loss 0.412 elapsed 0:12 / left 0:28`, at most that wide."""
    words, tail = Text(visible(task.description)), Text()
    if count := counted(task, "/"):
        tail.append(f" {count}", "green")
    tail.append(f" {clock(task)}", "cyan")
    room = width - tail.cell_len
    note = Text(f" {note_of(task)}" if note_of(task) else "", "dim")
    if room - note.cell_len >= words.cell_len:
        room -= note.cell_len
    else:
        note = Text()
    words.truncate(max(WORDS, min(words.cell_len, room)), overflow="ellipsis")
    bar = _bar(task, min(LONGEST_BAR, room - words.cell_len - 1))
    line = Text.assemble(words, bar, note, tail, no_wrap=True, overflow="ellipsis")
    line.truncate(width, overflow="ellipsis")
    return line


def in_words(task: Task) -> str:
    """`sft: training, 120 of 400, loss 0.412, elapsed 0:12 / left 0:28`."""
    parts = (task.description, counted(task, " of "), note_of(task), clock(task))
    return ", ".join(part for part in parts if part)


def counted(task: Task, between: str) -> str:
    """How much is done, of how much where that is known; "" for nothing yet of nobody knows."""
    if task.total:
        return f"{task.completed:,.0f}{between}{task.total:,.0f}"
    return f"{task.completed:,.0f} done" if task.completed else ""


def note_of(task: Task) -> str:
    """A few words beside it, such as the loss."""
    return visible(str(task.fields.get("note", "")))


def clock(task: Task) -> str:
    """What this piece of work took so far, and will take at its pace, once that shows."""
    elapsed = f"elapsed {_minutes(task.elapsed or 0.0)}"
    left = task.time_remaining
    return f"{elapsed} / left {_minutes(left)}" if left is not None and task.total else elapsed


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _bar(task: Task, width: int) -> Text:
    """What is done in full, the rest dim; nothing where there is no room or no total."""
    if width < BAR or not task.total:
        return Text()
    done = round(width * min(1.0, task.completed / task.total))
    full, rest = ("#", "-") if console.options.ascii_only else ("━", "─")
    return Text.assemble(" ", (full * done, "magenta"), (rest * (width - done), "dim"))
