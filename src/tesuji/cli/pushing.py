"""What `tesuji push` and `tesuji data push` share: options, the list of files, the question."""

from collections.abc import Mapping
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tesuji.cli.console import console, say
from tesuji.core.redact import visible

MOST = 30  # files listed one by one

Private = Annotated[
    bool, typer.Option("--private/--public", help="Who may read it: you, or everyone.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be pushed, and stop.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before pushing.")]


def agreed(
    sizes: Mapping[str, int], source: str, to: str, *, private: bool, dry_run: bool, yes: bool
) -> bool:
    """List the files with their bytes, and ask; False where it was only to be shown. Raises
    typer.Exit where the answer is no."""
    who = "private" if private else "public"
    _list(sizes, f"{source} → {to} ({who})")
    if dry_run:
        say("nothing was pushed: --dry-run")
        return False
    if not yes and not typer.confirm(f"Push {len(sizes)} files to {to} ({who})?"):
        say("nothing was pushed")
        raise typer.Exit(1)
    return True


def _list(sizes: Mapping[str, int], title: str) -> None:
    table = Table("file", "bytes", title=Text(visible(title)))
    names = list(sizes)
    listed = names if len(names) <= MOST else names[:20]
    for name in listed:
        table.add_row(Text(visible(name)), f"{sizes[name]:,}")
    if rest := names[len(listed) :]:
        table.add_row(f"and {len(rest):,} more", f"{sum(sizes[name] for name in rest):,}")
    console.print(table)
