"""What a look at this machine comes to, line by line."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

State = Literal["ok", "absent", "warning", "bad"]
MARKS = {"ok": "[green]✓[/]", "absent": "[dim]·[/]", "warning": "[yellow]![/]", "bad": "[red]✗[/]"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: `bad` where it does not work without, `absent` where it does."""

    part: str
    state: State
    words: str


def loaded(name: str, words: Callable[[], str], mend: str) -> Finding:
    """A compiled part: only loading it shows that it fits this machine."""
    try:
        return Finding(name, "ok", words())
    except (ImportError, OSError) as error:
        return Finding(name, "bad", f"does not load: {error}; {mend}")


def installed(name: str, missing: Finding) -> Finding:
    """The version of a distribution, or what is said where it is not here."""
    try:
        return Finding(name, "ok", metadata.version(name))
    except metadata.PackageNotFoundError:
        return missing
