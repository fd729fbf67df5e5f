"""`tesuji data stats|card|push`: what is in a data set, its card, and its way to the Hub."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from tesuji.cli.console import console, print_facts, say
from tesuji.cli.data.import_logs import print_summary
from tesuji.cli.pushing import DryRun, Private, Yes, agreed
from tesuji.core.errors import DataError
from tesuji.core.files import read_json, write_text
from tesuji.core.redact import visible
from tesuji.logs.files import SUMMARY
from tesuji.logs.summary import ImportSummary

STATISTICS = "dataset_statistics.json"
OUR_NAMES = ("matches", "pairs", "held_out", "moves_per_position")  # tables whose keys are ours
SKIPPED = ("rules", "warnings", "imported", "made", "versions")


def stats(
    folder: Annotated[Path, typer.Argument(help="A data set's folder, or a JSONL file of rows.")],
) -> None:
    """Show what is in a data set, or what an import came to; of a data set's folder, rewrite
    statistics.html."""
    if folder.is_file() and folder.name != STATISTICS:
        from tesuji.datasets.describe.file_statistics import bare_statistics

        _print(bare_statistics(folder), str(folder))
        return
    folder = folder.parent if folder.name == STATISTICS else folder
    if (folder / SUMMARY).is_file() and not (folder / STATISTICS).is_file():
        print_summary(ImportSummary.from_json(read_json(folder / SUMMARY), folder), folder)
        return
    counts = _read(folder)
    _print(counts, str(folder))
    if "rules" in counts:
        from tesuji.datasets.describe.statistics_page import statistics_page

        write_text(folder / "statistics.html", statistics_page(counts))
        say(f"with plots: {folder / 'statistics.html'}")


def card(
    folder: Annotated[Path, typer.Argument(help="A data set's folder.")],
) -> None:
    """Write the data set's card for the Hub, README.md, from its statistics."""
    from tesuji.datasets.describe.card import card as made

    counts = _read(folder)
    write_text(folder / "README.md", made({"name": folder.resolve().name, **counts}))
    say(f"written: {folder / 'README.md'}")


def push(
    folder: Annotated[Path, typer.Argument(help="A data set's folder.")],
    to: Annotated[str, typer.Option("--to", help="Where: owner/name on the Hugging Face Hub.")],
    private: Private = True,
    with_logs: Annotated[
        bool, typer.Option("--with-logs", help="Push raw_logs/ and processed/ too.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Push a data set to the Hugging Face Hub, after asking; the logs stay here."""
    from tesuji.datasets import hub

    hub.check_name(to)
    names = hub.pushed(folder, with_logs=with_logs)
    sizes = {name: (folder / name).stat().st_size for name in names}
    if not dry_run:
        hub.token()
    if agreed(sizes, str(folder), to, private=private, dry_run=dry_run, yes=yes):
        say(f"pushed: {hub.push(folder, to, names, private=private)}")


def _read(folder: Path) -> dict[str, Any]:
    path = folder / STATISTICS
    if not path.is_file():
        hint = "name a folder that `tesuji data generate` or `tesuji data import` has written"
        raise DataError(f"no {STATISTICS} there", where=str(folder), hint=hint)
    counts = read_json(path)
    if not isinstance(counts, dict):
        raise DataError("no statistics of a data set", where=str(path))
    return counts


def _print(counts: Mapping[str, Any], title: str) -> None:
    listed = (
        (name, visible(_words(value, _plain if name in OUR_NAMES else str)))
        for name, value in counts.items()
        if name not in SKIPPED and value not in ({}, [])
    )
    print_facts(f"Data in {visible(title)}", listed)
    if read := counts.get("imported"):
        taken = f"{read['accepted']:,} of {read['read']:,} records taken"
        why = _words(read["rejected_by_reason"])
        say(f"{taken}; the others: {why}" if why else taken)
    if rules := counts.get("rules"):
        console.print(_rules(rules))
    for warning in counts.get("warnings", ()):
        say(f"beware: {visible(str(warning))}")


def _words(value: Any, named: Callable[[str], str] = str) -> str:
    """A number, or a table of numbers on one line, its names as `named` has them."""
    if isinstance(value, Mapping):
        return ", ".join(f"{named(name)} {_words(inner, named)}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_words, value))
    if value is None or isinstance(value, bool):
        return "none" if value is None else "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _rules(rules: Sequence[Mapping[str, Any]]) -> Table:
    table = Table("rule", "dropped", "left", "why")
    for rule in rules:
        counts = (f"{rule['dropped']:,}", f"{rule['left']:,}")
        table.add_row(Text(rule["rule"]), *counts, Text(_words(rule.get("why", {}))))
    return table
