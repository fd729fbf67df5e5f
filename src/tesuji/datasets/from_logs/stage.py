"""The stage that makes rows and pairs of game logs, as files.

raw_logs/                       the logs, if they were made here; else manifest.json with their
                                names, sizes and hashes
processed/                      episodes, pairs, quarantine and summary of the import
train.jsonl, held_out.jsonl     rows for SFT
pairs.jsonl, held_out_pairs.jsonl, prompts.jsonl, held_out_prompts.jsonl
final/*_sft_dataset.jsonl, final/*_dpo_dataset.jsonl      the training side, as flat texts
dataset_statistics.json, statistics.html, README.md (card), METHODOLOGY.md

Memory grows with the number of turns (half a kilobyte each), never with the length of transcripts:
episodes are read twice, once for facts and once for texts.
"""

import hashlib
import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack, closing
from importlib import metadata
from pathlib import Path
from typing import Any

from tesuji.core.errors import DataError
from tesuji.core.files import unwritable, write_json, write_text
from tesuji.core.progress import SILENT, Progress
from tesuji.core.run_folder import versions
from tesuji.datasets.describe.card import card
from tesuji.datasets.describe.statistics_page import statistics_page
from tesuji.datasets.from_logs.candidates import collect
from tesuji.datasets.from_logs.flat_rows import prefix
from tesuji.datasets.from_logs.given_pairs import log_pairs
from tesuji.datasets.from_logs.methodology import methodology
from tesuji.datasets.from_logs.selection import Chosen, choose
from tesuji.datasets.from_logs.statistics import statistics, warnings
from tesuji.datasets.from_logs.writer import Writer, write_all
from tesuji.logs.files import Named, files
from tesuji.logs.importing import import_logs
from tesuji.logs.readers import Readers
from tesuji.recipe.schema.data import LogsStage
from tesuji.recipe.schema.recipe import Recipe


def make_data_from_logs(
    recipe: Recipe,
    stage: LogsStage,
    out: Path,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Make the data of one stage in the folder `out` and return its statistics.

    Raises DataError when the logs cannot be read or nothing is left of them, EngineError when a
    judge does not answer.
    """
    processed = out / "processed"
    paths, made = _raw_logs(stage, out, recipe.seed, progress)
    summary = import_logs(
        paths,
        processed,
        format=stage.format,
        include=stage.include,
        readers=Readers(stage.engine, stage.address, stage.processes),
        progress=progress,
    )
    known = {"imported": summary.as_json(), "made": made}
    return _build(recipe, stage, out, known, progress)


def _build(
    recipe: Recipe, stage: LogsStage, out: Path, known: dict[str, Any], progress: Progress
) -> dict[str, Any]:
    processed = out / "processed"
    progress.begin("selecting")
    pool = collect(processed / "episodes.jsonl", recipe.seed)
    with closing(pool.replies), ExitStack() as stack:
        logged = log_pairs(processed / "pairs.jsonl")
        episodes = processed / "episodes.jsonl"
        chosen = choose(stage, pool, logged, episodes, out, recipe.seed, progress)
        _something(chosen, known)
        scored = stage.compliance != "strict"
        writer = Writer(out, stack, main=_main(chosen, stage), scored=scored)
        write_all(chosen, pool, processed, writer, progress)
        stats = {**_origin(recipe, stage), **known, **statistics(chosen, pool, writer.counts)}
        wants = stage.pairs is not None
        stats["warnings"] = warnings(stats, chosen, wants_pairs=wants, held_out=stage.held_out)
    _describe(recipe, stage, stats, out)
    return stats


def _raw_logs(
    stage: LogsStage, out: Path, seed: int, progress: Progress
) -> tuple[list[Path], dict[str, int]]:
    """(what to read, what was made and planted)."""
    raw = out / "raw_logs"
    if stage.played is None:
        paths = [Path(path) for path in stage.paths]
        named = list(files(paths, out / "processed"))
        _write_manifest(named, raw / "manifest.json", progress)
        return paths, {}
    from tesuji.logs.synthetic.make import make_logs

    if raw.exists():
        shutil.rmtree(raw)  # half a folder of an earlier start
    kind, games, traps = stage.played.kind, stage.played.games, stage.played.traps
    planted = make_logs(kind, raw, games=games, seed=seed, traps=traps, progress=progress)
    return [raw], dict(planted)


def _write_manifest(named: Sequence[Named], to: Path, progress: Progress) -> None:
    """Names, sizes and hashes of the user's files: enough to tell them again, and no copy."""
    rows: list[dict[str, Any]] = []
    progress.begin("hashing", len(named))
    for file, name in named:
        rows.append({"path": name, **_measured(file)})
        progress.advance()
    write_json(to, {"files": len(rows), "bytes": sum(r["bytes"] for r in rows), "list": rows})


def _measured(file: Path) -> dict[str, Any]:
    try:
        if not file.is_file():  # a folder that is a link, or closed; a pipe, which would wait
            return {"bytes": 0, "unreadable": "no regular file"}
        with file.open("rb") as data:
            digest = hashlib.file_digest(data, "sha256").hexdigest()
        return {"bytes": file.stat().st_size, "sha256": digest}
    except OSError as error:
        return {"bytes": 0, "unreadable": error.strerror or str(error)}


def _main(chosen: Chosen, stage: LogsStage) -> str:
    """What the files in `final/` are called after: the game of most rows."""
    names = [prefix(turn.game) for turn in chosen.rows]
    names = names or [prefix(pair.game) for pair in chosen.logged if pair.game]
    if names:
        return max(sorted(set(names)), key=names.count)
    return stage.played.kind if stage.played else "games"


def _something(chosen: Chosen, known: dict[str, Any]) -> None:
    rows = any(not chosen.held_out(turn.match) for turn in chosen.rows)
    pairs = any(not chosen.held_out(pair.match) for pair in chosen.logged)
    if rows or pairs or any(not chosen.held_out(made.at.match) for made in chosen.plans):
        return
    imported = known["imported"]
    dropped = [f"{r['rule']} {r['dropped']:,}" for r in chosen.report.rules if r["dropped"]]
    raise DataError(
        f"no rows to train on: {imported['accepted']:,} of {imported['read']:,} records were "
        f"taken; dropped by {', '.join(dropped) or 'no rule'}; {len(chosen.hidden):,} of "
        f"{chosen.matches:,} matches held out",
        where="stages.logs",
        hint="see processed/import_summary.json; loosen `select:` (`seats: all`), or lower "
        "`held_out`",
    )


def _origin(recipe: Recipe, stage: LogsStage) -> dict[str, Any]:
    sources = [os.fsencode(Path(p).name or p).decode("utf-8", "replace") for p in stage.paths]
    if (make := stage.played) is not None:
        faults = ", with the faults of real logs" if make.traps else ""
        sources = [f"{make.games:,} games of {make.kind} played here{faults}"]
    return {
        "name": recipe.name,
        "sources": sources,
        "compliance": stage.compliance,
        "seed": recipe.seed,
        "versions": _versions(stage),
    }


def _versions(stage: LogsStage) -> dict[str, str]:
    """What the rows depend on; the packages that played, where games were played here."""
    packages = {k: v for k, v in versions().items() if k in ("python", "tesuji")}
    played = {"mafia": "textarena", "poker": "pokerkit"}.get(
        stage.played.kind if stage.played else ""
    )
    return packages | ({played: metadata.version(played)} if played else {})


def _describe(recipe: Recipe, stage: LogsStage, stats: dict[str, Any], out: Path) -> None:
    """The files that people read."""
    write_json(out / "dataset_statistics.json", stats)
    write_text(out / "statistics.html", statistics_page(stats))
    write_text(out / "README.md", card(stats))
    write_text(out / "METHODOLOGY.md", methodology(stage, stats))
    try:
        shutil.copyfile(out / "dataset_statistics.json", out / "final" / "dataset_statistics.json")
    except OSError as error:
        raise unwritable(out / "final", error) from error
