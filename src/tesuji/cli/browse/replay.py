"""`tesuji replay FILE`: watch recorded episodes turn by turn."""

from pathlib import Path
from typing import Annotated

import typer

from tesuji.core.errors import DataError

app = typer.Typer()


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="A JSONL file of episodes, or a run folder.")],
    episode: Annotated[int, typer.Option(min=1, help="Which one to show, counted from 1.")] = 1,
    all_: Annotated[bool, typer.Option("--all", help="Show all of them.")] = False,
    delay: Annotated[float, typer.Option(min=0.0, help="Seconds to wait after each turn.")] = 0.0,
) -> None:
    """Show recorded episodes, turn by turn."""
    from rich.console import Console

    from tesuji.episodes.show import show_episode
    from tesuji.episodes.store import read_episodes

    console = Console()
    path = _episodes_file(file)
    count = 0
    for count, recorded in enumerate(read_episodes(path), start=1):
        if all_ or count == episode:
            show_episode(recorded, console, delay)
    if count == 0:
        raise DataError("there are no episodes in this file", where=str(path))
    if episode > count:
        hint = f"choose a number from 1 to {count}"
        raise DataError(f"there is no episode {episode}", where=str(path), hint=hint)
    part = "all of them" if all_ else f"number {episode}"
    console.print(f"{count} episodes in the file; this was {part}.", highlight=False)
    if not all_ and episode < count:
        console.print(f"The next one: --episode {episode + 1}", style="dim", highlight=False)


def _episodes_file(path: Path) -> Path:
    """The file itself, or the episodes of a run folder's last evaluation."""
    if not path.is_dir():
        return path
    files = sorted(
        file
        for file in path.glob("**/episodes.jsonl")
        if "~" not in str(file.relative_to(path))  # a stage set aside
    )
    if not files:
        raise DataError("no episodes.jsonl in this folder", where=str(path))
    return files[-1]
