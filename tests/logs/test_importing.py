"""Folders as they are: odd names, links, damaged archives, killed processes, a second import."""

import contextlib
import gzip
import json
import multiprocessing
import os
from pathlib import Path

import pytest
from listener import Listener
from made_logs import game, row, write, write_lines

from tesuji.core.errors import DataError
from tesuji.core.progress import Progress
from tesuji.episodes.store import episode_to_row, read_episodes
from tesuji.logs.base import Record, Refused
from tesuji.logs.importing import import_logs
from tesuji.logs.records import records, rows_at_once
from tesuji.logs.registry import KINDS, importer


def refused(out: Path) -> dict[str, str]:
    rows = [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]
    return {row["file"]: row["reason"] for row in rows}


def test_what_an_import_wrote_is_not_read_by_the_next_one(tmp_path: Path) -> None:
    write(tmp_path / "a.json", game())
    write(tmp_path / "imported" / "raw" / "b.json", game())
    for out in (tmp_path / "imported", tmp_path / "imported", tmp_path / "." / "imported"):
        summary = import_logs([tmp_path], out)
        assert (summary.files, summary.episodes, summary.rejected) == (2, 2, 0)
    for _ in range(2):  # into another folder they are read: they are logs like any other
        assert import_logs([tmp_path / "imported"], tmp_path).by_kind == {"mafia": 1, "episodes": 2}


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "logs" / "a.json", game())
    paths = [Path("logs"), Path("logs/a.json"), Path("./logs/../logs/a.json")]
    assert import_logs(paths, tmp_path / "out").episodes == 1


def test_every_file_is_accounted_for(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    write(logs / "a.json", game())
    (logs / "link.json").symlink_to(logs / "a.json")
    (logs / "up").symlink_to(tmp_path)
    (logs / "gone.json").symlink_to(logs / "nothing")
    (logs / "empty").mkdir()
    os.mkfifo(logs / "pipe")
    whole = gzip.compress(json.dumps(row()).encode() * 50)
    (logs / "cut.jsonl.gz").write_bytes(whole[:-20])
    (logs / "bad.json.gz").write_bytes(whole[:30] + b"\xff" * 40 + whole[70:])
    (logs / "no.json.gz").write_bytes(b"not gzip")
    odd = os.fsdecode(os.fsencode(logs) + b"/\xff.json")
    Path(odd).write_text(json.dumps(game()))
    Path(odd.replace(".json", ".x")).write_text("?")
    out = tmp_path / "out"
    summary = import_logs([logs], out)
    assert summary.files == 10 and summary.read == summary.accepted + summary.rejected
    assert refused(out) == {
        "logs/up": "link_to_folder",
        "logs/gone.json": "unreadable",
        "logs/pipe": "not_a_file",
        "logs/cut.jsonl.gz": "unreadable",
        "logs/bad.json.gz": "unreadable",
        "logs/no.json.gz": "unreadable",
        "logs/\\xff.x": "unknown_file",
    }
    names = [episode.provenance["file"] for episode in read_episodes(out / "episodes.jsonl")]
    assert names == ["logs/a.json", "logs/link.json", "logs/\\xff.json"]


def test_a_process_that_dies_is_reported_with_the_files_it_read(tmp_path: Path) -> None:
    for name in "abcd":
        write_lines(tmp_path / "logs" / f"{name}.jsonl", [row()] * 6000)

    class Killer(Progress):
        def update(self, done: int, note: str = "") -> None:
            for process in multiprocessing.active_children():
                process.kill()

    with pytest.raises(DataError, match="was stopped") as error:
        import_logs([tmp_path / "logs"], tmp_path / "out", processes=2, progress=Killer())
    assert "logs/" in error.value.where
    assert not (tmp_path / "out" / "episodes.jsonl").exists()
    assert not list((tmp_path / "out").iterdir())


def test_progress_goes_on_within_a_large_file_and_ends_at_its_total(tmp_path: Path) -> None:
    write_lines(tmp_path / "big.jsonl", [row()] * 3500)
    listener = Listener()
    import_logs([tmp_path], tmp_path / "out", progress=listener)
    done = [step[1] for step in listener.steps]
    assert len(done) >= 4 and done == sorted(done)
    assert done[-1] == listener.steps[-1][2] == (tmp_path / "big.jsonl").stat().st_size >> 10


def test_rows_of_a_parquet_file_are_read_a_few_at_a_time_where_they_are_large(tmp_path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    for size, expected in ((1 << 20, range(7, 9)), (10, range(512, 513))):
        texts = [os.urandom(size // 2).hex() for _ in range(20)]
        file = tmp_path / f"{size}.parquet"
        parquet.write_table(arrow.table({"text": texts}), file, use_dictionary=False)
        with parquet.ParquetFile(file) as table:
            assert rows_at_once(table.metadata) in expected
        found = records(file, "x", lambda suffix, beginning: None)
        assert [record.value["text"] for record in found] == texts


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("notes", 5),
        ("left_out", ["error"]),
        ("winners", "all"),
        ("winners", [[1]]),
        ("roles", []),
        ("kind", {}),
    ],
)
def test_an_episode_with_strange_provenance_is_refused(tmp_path: Path, name: str, value) -> None:
    episode = importer("mafia").read(_record(game()))
    whole = json.loads(json.dumps(episode_to_row(episode)))
    whole["provenance"][name] = value
    write(tmp_path / "a.json", whole)
    summary = import_logs([tmp_path / "a.json"], tmp_path / "out")
    assert summary.rejected_by_reason == {"not_an_episode": 1}


def _record(value):
    return Record(value, "a.json")


STRANGE = (None, True, -1, 10**400, float("nan"), "²", "٣", "9" * 5000, "\ud800", {"²": 1},
           {"0": 10**400}, [[]], {"0": {"reason": 5, "role": []}}, b"x")  # fmt: skip
LOG = {"logs": [[-1, "x"], [0, "y"]], "rewards": {"0": 1}, "game_info": {"0": {"role": "Mafia"}}}


@pytest.mark.parametrize("value", [game(), row(), LOG], ids=["mafia", "mgc", "textarena"])
def test_no_field_of_a_game_breaks_its_importer(value) -> None:
    """Read without the net that catches what an importer did not think of."""
    kind = next(kind for kind in KINDS if importer(kind).fits(value))
    read = 0
    for field in value:
        for strange in STRANGE:
            with contextlib.suppress(Refused):
                read += len(importer(kind).read(_record({**value, field: strange})).turns) > 0
    assert read > 10
