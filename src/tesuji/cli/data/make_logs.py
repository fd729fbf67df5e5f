"""`tesuji data make-logs`: logs of games played here, to try imports and recipes with."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tesuji.cli.console import print_facts, say


class Kind(StrEnum):
    """Which logs."""

    MAFIA = "mafia"
    POKER = "poker"


def make_logs(
    kind: Annotated[Kind, typer.Argument(help="SecretMafia on TextArena, or no-limit hold'em.")],
    out: Annotated[Path, typer.Argument(help="A new or empty folder to write into.")],
    games: Annotated[int, typer.Option(min=1, help="How many games or hands.")] = 60,
    seed: Annotated[int, typer.Option(help="The same seed makes the same logs.")] = 1,
    traps: Annotated[
        bool, typer.Option("--traps/--no-traps", help="Plant the faults of real logs, counted.")
    ] = True,
) -> None:
    """Have scripted players play games, and write logs as other people's tools write them."""
    from tesuji.cli.progress import Bar
    from tesuji.logs.synthetic.make import make_logs as make

    with Bar() as bar:
        counts = make(kind.value, out, games=games, seed=seed, traps=traps, progress=bar)
    print_facts(f"Made in {out}", ((name, f"{count:,}") for name, count in counts.items()))
    say(f"Read them with: tesuji data import {out}", soft_wrap=False)
