"""What the logs hold that are to be sent elsewhere, told before anything is paid."""

from pathlib import Path
from typing import TYPE_CHECKING

from tesuji.core.errors import DataError

if TYPE_CHECKING:
    from tesuji.recipe.schema.recipe import Recipe


def report_logs(recipe: "Recipe", logs: Path, out: Path) -> None:
    """Read the logs as the recipe's stage will, into `out`, and say what they hold and what is not
    taken of them. Raises DataError where nothing is usable."""
    from tesuji.cli.data.import_logs import print_summary
    from tesuji.cli.progress import Bar
    from tesuji.logs.importing import import_logs
    from tesuji.recipe.schema.data import LogsStage

    stage = next((s for s in recipe.stages.values() if isinstance(s, LogsStage)), None)
    if stage is None:
        hint = "a recipe such as mafia/sft-dpo; `tesuji recipes` lists them"
        raise DataError("no stage of this recipe reads logs", where="--logs", hint=hint)
    with Bar() as bar:
        summary = import_logs([logs], out, format=stage.format, include=stage.include, progress=bar)
    print_summary(summary, out)
    if not summary.accepted:
        raise DataError(
            f"nothing usable: none of {summary.read:,} records was taken",
            where=str(logs),
            hint=f"{out / 'quarantine.jsonl'} has each one's reason; nothing was started",
        )
