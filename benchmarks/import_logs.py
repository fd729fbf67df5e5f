"""From a folder of game logs to data sets: seconds, and the most memory taken on the way.

    python benchmarks/import_logs.py [--logs 10000] [--processes 2] [--gigabytes 1] [--ray]

The logs are competitor's SecretMafia files of 30 turns each, every turn with the whole transcript
before it (260 kB a file): a few hundred views of games played here on TextArena, written again and
again under other names. They lie in a temporary folder and are kept for the next time; 10,000 take
a minute and 3 GB the first time (default: 1,000). What is measured is `make_data_from_logs`:
import, winners' legal replies, pairs by outcome and legality, all files. Memory is the resident
size of the process and its children, added up, looked at every 20 ms (what they share counts
twice). `cpu_seconds`, of all processes together, say what the work costs on a machine that is busy
with other work too.

The peer is what a script does with Hugging Face `datasets`: rows that are already parsed, one a
turn, loaded, filtered to winners' legal replies, mapped to instruction, input and output, and
written; beside it our selection and writing of the same rows (which also writes prompts,
statistics and a card), without pairs, the reading of logs not counted for either.

`--ray` imports the same files by actors of Ray too, as many as `--processes`, and compares what was
written; Ray's start (seconds) is counted.

`--gigabytes` adds the import of single files of that size: MGC2025 rows as JSON lines and as
Parquet, and episodes.
"""

import argparse
import filecmp
import multiprocessing
import random
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import orjson
import psutil

from tesuji.core.progress import Progress
from tesuji.datasets.from_logs.stage import make_data_from_logs
from tesuji.logs.files import OUTPUTS, SUMMARY
from tesuji.logs.importing import import_logs
from tesuji.logs.readers import Readers
from tesuji.logs.synthetic.mafia_files import competitor_record, file_name, mgc_rows, older_record
from tesuji.logs.synthetic.mafia_play import play
from tesuji.recipe.reading.load import load_recipe

TURNS, VIEWS, ROUNDS = 30, 300, 14  # of a log; different ones; of a day's discussion
SEEN_EVERY = 0.02  # seconds
WELCOME = b"Welcome to Secret Mafia!"
Work = Callable[..., dict[str, Any]]


def views() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(a competitor's record, the same view as a row of MGC2025), cut to so many turns."""
    count, number = 0, 0
    while count < VIEWS:
        game, number = play(number, 1, seats=8, rounds=ROUNDS), number + 1
        rows = {row["player_id"]: row for row in mgc_rows(game)}
        for seat in [seat for seat in rows if len(game.view(seat)) >= TURNS][:2]:
            record = competitor_record(game, seat)
            for name in ("observations", "actions", "turn_details"):
                record[name] = record[name][:TURNS]
            steps = list(orjson.loads(rows[seat]["observations"]).items())[:TURNS]
            row = {**rows[seat], "observations": orjson.dumps(dict(steps)).decode()}
            count += 1
            yield (older_record(record) if count % 3 == 0 else record), row


def write_logs(folder: Path, count: int) -> None:
    """`count` files; a copy's transcripts begin with another word of welcome, so that no two rows
    are alike, and its game has another name."""
    made = [(file_name(record), orjson.dumps(record)) for record, _ in views()]
    folder.mkdir(parents=True)
    for number in range(count):
        name, data = made[number % VIEWS]
        (folder / f"{number:05}_{name}").write_bytes(_copy(data, number // VIEWS))


def _copy(data: bytes, number: int) -> bytes:
    data = data.replace(WELCOME, WELCOME + b" Table %d." % number)
    return data.replace(b'"made-', b'"table-%d-' % number)


def cached(count: int) -> Path:
    """The folder of logs, made when it is not there."""
    folder = Path(tempfile.gettempdir()) / f"tesuji-benchmark-{count}-logs"
    if not folder.exists():
        began, aside = time.perf_counter(), folder.with_suffix(f".{random.random()}")
        write_logs(aside, count)
        aside.rename(folder)
        print(f"made in {time.perf_counter() - began:.0f} s")
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder}: {count:,} logs of {TURNS} turns, {size / 1e9:.2f} GB")
    return folder


class Clock(Progress):
    """When each part of the work began."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}

    def begin(self, words: str, total: int | None = None) -> None:
        self.began[words] = time.perf_counter()


def build_all(logs: Path, out: Path, processes: int, pairs: bool = True) -> dict[str, Any]:
    """Import, selection, pairs, files; seconds of each part, and what came of it."""
    settings = ["make=null", f"paths=[{logs}]", f"processes={processes}", "held_out=0.1"]
    settings += [] if pairs else ["pairs=null"]
    recipe = load_recipe("mafia/tiny", [f"stages.logs.{setting}" for setting in settings])
    clock = Clock()
    began = time.perf_counter()
    stats = make_data_from_logs(recipe, recipe.stages["logs"], out, clock)  # type: ignore[arg-type]
    end = time.perf_counter()
    at = clock.began
    seconds = {"all": end - began, "hash": at["reading kB"] - began}
    seconds |= {"import": at["selecting"] - at["reading kB"]}
    seconds |= {"select": at["writing"] - at["selecting"], "write": end - at["writing"]}
    lines = {name: _lines(out / f"{name}.jsonl") for name in ("train", "held_out", "pairs")}
    return {"seconds": seconds, "lines": lines, "imported": stats["imported"]}


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def import_only(
    logs: Path, out: Path, processes: int, engine: Literal["here", "ray"] = "here"
) -> dict[str, Any]:
    """Import alone."""
    began = time.perf_counter()
    summary = import_logs([logs], out, readers=Readers(engine, processes=processes))
    return {"seconds": {"all": time.perf_counter() - began}, "imported": summary.as_json()}


def flat_rows(episodes: Path, to: Path) -> None:
    """One row a turn, with its transcript whole, as a script has them after parsing."""
    with episodes.open("rb") as file, to.open("wb") as rows:
        for line in file:
            episode = orjson.loads(line)
            won = episode["provenance"]["seat"] in episode["provenance"]["winners"]
            transcript = ""
            for turn, step in enumerate(episode["turns"], start=1):
                transcript = transcript * bool(step.get("continues")) + step["observation"]
                row = {
                    "won": won,
                    "legal": step["attempts"][-1].get("move") is not None,
                    "role": step["role"],
                    "phase": step.get("phase", ""),
                    "turn": turn,
                    "observation": transcript,
                    "reply": step["attempts"][-1]["reply"],
                }
                rows.write(orjson.dumps(row) + b"\n")


def by_script(rows: Path, out: Path, processes: int) -> dict[str, Any]:
    """The peer."""
    import datasets

    datasets.disable_progress_bars()
    workers = processes if processes > 1 else None
    began = time.perf_counter()
    table = datasets.load_dataset(
        "json", data_files=str(rows), split="train", cache_dir=str(out / "cache")
    )
    kept = table.filter(lambda row: row["won"] and row["legal"], num_proc=workers)
    guide = kept.map(_instructed, remove_columns=kept.column_names, num_proc=workers)
    guide.to_json(out / "rows.jsonl")
    seconds = {"all": time.perf_counter() - began}
    return {"seconds": seconds, "lines": {"train": len(guide)}}


def _instructed(row: dict[str, Any]) -> dict[str, str]:
    situation = f"Game Phase: {row['phase']}\nTurn: {row['turn']}\n\nObservation:\n"
    return {
        "instruction": f"You are playing Secret Mafia as {row['role']}.",
        "input": situation + row["observation"],
        "output": row["reply"],
    }


def measured(work: Work, *arguments: Any) -> dict[str, Any]:
    """What `work` returns from a process of its own, with the most memory it took, in MB."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_work, args=(theirs, work, arguments))
    process.start()
    theirs.close()
    peak, over = [0], threading.Event()
    watch = threading.Thread(target=_watch, args=(process.pid, peak, over))
    watch.start()
    try:
        return {**ours.recv(), "peak_mb": peak[0] / 1e6}
    finally:
        over.set()
        watch.join()
        process.join()


def _work(to: Any, work: Work, arguments: tuple[Any, ...]) -> None:
    result = work(*arguments)
    spent = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    to.send({**result, "cpu": sum(usage.ru_utime + usage.ru_stime for usage in spent)})


def _watch(pid: int, peak: list[int], over: threading.Event) -> None:
    """Keep the largest sum of resident sizes of a process and those it started."""
    root = psutil.Process(pid)
    while not over.wait(SEEN_EVERY):
        sizes = []
        try:
            for process in (root, *root.children(recursive=True)):
                sizes.append(process.memory_info().rss)
        except psutil.NoSuchProcess:
            continue
        peak[0] = max(peak[0], sum(sizes))


def show(name: str, result: dict[str, Any]) -> None:
    """One figure a line."""
    for part, seconds in result["seconds"].items():
        print(f"{name}_{part}_seconds: {seconds:.1f}")
    print(f"{name}_cpu_seconds: {result['cpu']:.1f}")
    print(f"{name}_peak_mb: {result['peak_mb']:.0f}")
    if lines := result.get("lines"):
        print("  lines: " + ", ".join(f"{k} {v:,}" for k, v in lines.items()))


def beside_the_peer(logs: Path, scratch: Path, processes: int, rounds: int) -> None:
    """Ours and the peer by turns, on the same rows."""
    seconds: dict[str, list[float]] = {"ours": [], "peer": []}
    peaks = dict.fromkeys(seconds, 0.0)
    for number in range(rounds):
        out = scratch / f"round-{number}"
        own = measured(build_all, logs, out / "ours", processes, False)
        if not number:
            flat_rows(out / "ours" / "processed" / "episodes.jsonl", scratch / "flat.jsonl")
        (out / "peer").mkdir()
        peer = measured(by_script, scratch / "flat.jsonl", out / "peer", processes)
        print(f"  rows: ours {sum(own['lines'].values()):,}, peer {peer['lines']['train']:,}")
        seconds["ours"].append(own["seconds"]["select"] + own["seconds"]["write"])
        seconds["peer"].append(peer["seconds"]["all"])
        peaks = {"ours": max(peaks["ours"], own["peak_mb"]), "peer": peer["peak_mb"]}
    ours, peer = (statistics.median(seconds[name]) for name in ("ours", "peer"))
    for name, median in (("ours", ours), ("peer", peer)):
        print(f"select_and_write_{name}_seconds: {median:.1f}")
        print(f"select_and_write_{name}_peak_mb: {peaks[name]:.0f}")
    print(f"select_and_write: {peer / ours:.2f}")


def large_files(scratch: Path, gigabytes: float, processes: int) -> None:
    """One file of each kind, as large as asked (Parquet: before it is compressed), and its
    import."""
    rows = [orjson.dumps(row) for _, row in views()]
    for kind, write in (
        ("mgc", _lines_file),
        ("parquet", _parquet_file),
        ("episodes", _lines_file),
    ):
        file, out = scratch / f"large_{kind}", scratch / f"{kind}-out"
        file = file.with_suffix(".parquet" if kind == "parquet" else ".jsonl")
        copies = round(gigabytes * 1e9 / sum(map(len, rows)))
        write(file, rows, copies)
        result = measured(import_only, file, out, processes)
        print(f"  {file.stat().st_size / 1e9:.2f} GB, {result['imported']['accepted']:,} records")
        show(f"large_{kind}", result)
        file.unlink()
        if kind == "parquet":
            rows = (out / "episodes.jsonl").read_bytes().splitlines()[:VIEWS]


def by_ray(logs: Path, scratch: Path, processes: int) -> None:
    """One process, several, and as many actors of Ray, on the same files."""
    ways: dict[str, tuple[int, Literal["here", "ray"]]] = {
        "one": (1, "here"),
        "processes": (processes, "here"),
        "ray": (processes, "ray"),
    }
    for name, (count, engine) in ways.items():
        show(f"import_{name}", measured(import_only, logs, scratch / name, count, engine))
        for file in (*OUTPUTS, SUMMARY):
            same = filecmp.cmp(scratch / name / file, scratch / "one" / file, shallow=False)
            assert same, (name, file)


def _lines_file(file: Path, rows: list[bytes], copies: int) -> None:
    with file.open("wb") as into:
        for number in range(copies):
            into.writelines(_copy(row, number) + b"\n" for row in rows)


def _parquet_file(file: Path, rows: list[bytes], copies: int) -> None:
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.Table.from_pylist([orjson.loads(rows[0])]).schema
    with pyarrow.parquet.ParquetWriter(file, schema) as into:
        for number in range(copies):
            part = [orjson.loads(_copy(row, number)) for row in rows]
            into.write_table(pyarrow.Table.from_pylist(part, schema))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--logs", type=int, default=1_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--peer-logs", type=int, default=1_000, help="0: no peer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ray", action="store_true")
    parser.add_argument("--gigabytes", type=float, default=0.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        result = measured(build_all, cached(args.logs), scratch / "all", args.processes)
        imported = result["imported"]
        assert imported["accepted"] == args.logs, imported
        show("import_logs", result)
        if args.peer_logs:
            beside_the_peer(cached(args.peer_logs), scratch, args.processes, args.rounds)
        if args.ray:
            by_ray(cached(args.logs), scratch, args.processes)
        if args.gigabytes:
            large_files(scratch, args.gigabytes, args.processes)


if __name__ == "__main__":
    main()
