"""`tesuji data import`: other people's logs, read into episodes and pairs."""

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tesuji.cli.console import console, print_facts, say
from tesuji.core.errors import DataError, RecipeError
from tesuji.core.files import read_jsonl
from tesuji.logs.summary import ImportSummary
from tesuji.recipe.schema.sections import of_ray

if TYPE_CHECKING:
    from tesuji.logs.readers import Readers

QUARANTINED = 5
ENGINES = ("here", "ray")
EPILOG = (
    "KINDS: auto (found out, record by record), mafia, mgc, textarena, episodes, chat, pairs, phh, "
    "pokerstars, pokerbench."
)


def import_(
    what: Annotated[
        list[str], typer.Argument(metavar="[KIND] PATH...", help="Files and folders to read.")
    ],
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("imported"),
    include: Annotated[
        list[str] | None,
        typer.Option(help="Take these games too: no_actions, error, timeout; may be repeated."),
    ] = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes, or actors of Ray; default: one a core.")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="Who reads: here, or ray (on this machine's cores or others').")
    ] = "here",
    address: Annotated[
        str, typer.Option(help="Of Ray: local, auto, ray://HOST:PORT or HOST:PORT.")
    ] = "local",
) -> None:
    """Read game logs, hand histories, chats and pairs; nothing is dropped without a reason."""
    from tesuji.cli.progress import Bar
    from tesuji.logs.importing import import_logs

    kind, paths = _kind_and_paths(what)
    readers = _readers(engine, address, processes)
    with Bar() as bar:
        bar.begin("reading")
        summary = import_logs(
            paths,
            out,
            format=kind,
            include=_included(include or []),
            readers=readers,
            progress=bar,
        )
    print_summary(summary, out)


def _kind_and_paths(what: list[str]) -> tuple[str, list[Path]]:
    """The first word is a kind if it is the name of one and no path."""
    from tesuji.logs.registry import KINDS

    named = what[0] in (*KINDS, "auto") and not Path(what[0]).exists()
    paths = [Path(word) for word in (what[1:] if named else what)]
    if not paths:
        hint = f"tesuji data import {what[0]} FOLDER"
        raise DataError("no file or folder to read", where=what[0], hint=hint)
    return (what[0] if named else "auto"), paths


def _readers(engine: str, address: str, processes: int | None) -> "Readers":
    from tesuji.episodes.cluster import check_installed
    from tesuji.logs.readers import OF_COMMAND, Readers

    if engine not in ENGINES:
        hint = f"one of: {', '.join(ENGINES)}"
        raise RecipeError(f"there is no engine {engine!r}", where="--engine", hint=hint)
    if engine == "here" and address != "local":
        raise RecipeError("an address is of Ray", where="--address", hint="add --engine ray")
    try:
        of_ray(address)
    except ValueError as error:
        raise RecipeError(
            f"no address of Ray: {address!r}", where="--address", hint=str(error)
        ) from error
    if engine == "ray":
        check_installed("--engine", "leave it out")
    return Readers("ray" if engine == "ray" else "here", address, processes, OF_COMMAND)


def _included(names: list[str]) -> list[str]:
    known = ("no_actions", "error", "timeout")
    for name in names:
        if name not in known:
            hint = f"known: {', '.join(known)}"
            raise RecipeError(f"nothing is left out as {name!r}", where="--include", hint=hint)
    return names


def print_summary(summary: ImportSummary, out: Path) -> None:
    """Everything that was counted, and the first of what was not taken."""
    totals = ("files", "read", "accepted", "rejected", "episodes", "pairs", "turns")
    facts = [(name, f"{getattr(summary, name):,}") for name in totals]
    for name in ("by_kind", "rejected_by_reason", "outcomes", "roles", "phases", "notes"):
        if counts := summary.as_json()[name]:
            facts.append((name, ", ".join(f"{key} {count:,}" for key, count in counts.items())))
    print_facts(f"Imported into {out}", facts)
    if summary.rejected:
        _print_quarantine(out / "quarantine.jsonl", summary.rejected)


def _print_quarantine(path: Path, count: int) -> None:
    from tesuji.core.redact import visible

    console.print(f"{count:,} not taken, each with its reason in {path}; the first:")
    for _, row in islice(read_jsonl(path), QUARANTINED):
        place = f"{row['file']}:{row['line']}" if row["line"] else row["file"]
        say(visible(f"  {place}: {row['reason']} {row['detail']}".rstrip()))
