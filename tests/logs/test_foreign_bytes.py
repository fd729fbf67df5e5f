"""Texts as Windows writes them are read, archives refused in words, and bombs in bounded memory."""

import gzip
import io
import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from made_logs import game

from tesuji.core.errors import DataError
from tesuji.core.files import read_jsonl, read_text
from tesuji.episodes.store import read_episodes
from tesuji.logs.importing import import_logs
from tesuji.logs.summary import ImportSummary

PAIR = {"prompt": "wie heißt du, für 5 €?", "response": "Jörg"}
HAND = """variant = "NT"
antes = [0, 0, 0]
blinds_or_straddles = [1, 2, 0]
min_bet = 2
starting_stacks = [200, 200, 200]
actions = ["d dh p1 ????", "d dh p2 ????", "d dh p3 AcAs", "p3 cbr 6", "p1 f", "p2 f"]
players = ["Jörg", "ana", "bo"]
"""


def imported(path: Path) -> tuple[ImportSummary, dict[str, str]]:
    out = path.parent / "out"
    summary = import_logs([path], out, processes=1)
    assert summary.read == summary.accepted + summary.rejected
    refused = [json.loads(line) for line in (out / "quarantine.jsonl").read_text().splitlines()]
    return summary, {row["reason"]: row["detail"] for row in refused}


@pytest.mark.parametrize(
    ("encoding", "note"),
    [
        ("utf-8", {}),
        ("utf-8-sig", {}),
        ("cp1252", {"read_as_cp1252": 1}),
        ("utf-16", {"read_as_utf16": 1}),
        ("utf-16-le", {"read_as_utf16": 1}),
        ("utf-16-be", {"read_as_utf16": 1}),
        ("utf-32", {"read_as_utf32": 1}),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_texts_of_every_encoding_are_read(tmp_path: Path, encoding, note, zipped: bool) -> None:
    rows = [json.dumps({**PAIR, "number": n}, ensure_ascii=False) for n in range(300)]
    table = "\r\n".join(["prompt;response", *(f"{PAIR['prompt']};Jörg" for _ in range(300))])
    texts = {
        "a.jsonl": "\n".join(rows),
        "a.json": f"[{','.join(rows)}]",
        "a.csv": table.replace(",", "").replace(";", ","),
        "a.phh": HAND,
    }
    for name, text in texts.items():
        data = text.encode(encoding)
        path = tmp_path / (name + ".gz" if zipped else name)
        path.write_bytes(gzip.compress(data) if zipped else data)
        summary, refused = imported(path)
        assert not refused and summary.accepted == (1 if name == "a.phh" else 300)
        notes = {key: count for key, count in summary.notes.items() if key.startswith("read_as")}
        assert notes == note
        [first, *_] = read_episodes(path.parent / "out" / "episodes.jsonl")
        spoken = first.turns[0].attempts[0].reply if name != "a.phh" else "Jörg"
        assert spoken == "Jörg"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp1252", "utf-16", "utf-16-le"])
def test_rows_and_texts_of_every_encoding_are_read(tmp_path: Path, encoding: str) -> None:
    lines = [json.dumps({**PAIR, "number": n}, ensure_ascii=False) for n in range(300)]
    (tmp_path / "a.jsonl").write_bytes("\n".join(lines).encode(encoding))
    assert [row for _, row in read_jsonl(tmp_path / "a.jsonl")] == [
        json.loads(one) for one in lines
    ]
    (tmp_path / "a.txt").write_bytes("Jörg\r\n5 €".encode(encoding))
    assert read_text(tmp_path / "a.txt") == "Jörg\n5 €"


def packed(kind: str) -> bytes:
    data = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(data, "w") as archive:
            archive.writestr("a.json", json.dumps(game()))
    elif kind == "tar":
        with tarfile.open(fileobj=data, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("a.json"), io.BytesIO(b""))
    else:
        beginnings = {"7z": "377abcaf271c", "rar": "526172211a0700", "xz": "fd377a585a00"}
        beginnings |= {"bzip2": "425a6839", "zstd": "28b52ffd"}
        data.write(bytes.fromhex(beginnings[kind]) + b"\x00\x81" * 200)
    return data.getvalue()


@pytest.mark.parametrize("kind", ["zip", "tar", "7z", "rar", "xz", "bzip2", "zstd"])
@pytest.mark.parametrize("name", ["a.zip", "a.json", "a", "a.csv", "a.tar.gz"])
def test_archives_are_refused_in_words(tmp_path: Path, kind: str, name: str) -> None:
    data = packed(kind)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    summary, refused = imported(tmp_path / name)
    assert summary.read == 1 and "unpack it" in refused["archive"] and kind in refused["archive"]
    (tmp_path / "rows.jsonl").write_bytes(data)
    for read in (lambda path: list(read_jsonl(path)), read_text):
        with pytest.raises(DataError, match=f"a {kind} .*\n?.*unpack it"):
            read(tmp_path / "rows.jsonl")


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.json", b"[" * 300_000, "too_deep"),
        ("a.jsonl", b'{"a":' * 300_000, "too_deep"),
        ("a.json", b"1" * 100_000, None),
        ("a.json", b'{"prompt": "a", "response": ' + b"1" * 100_000 + b"}", None),
        ("a.json", b'{"prompt": "a", "response": NaN, "x": -Infinity}', None),
        ("a.json", b'{"a": [' + b"[],{}," * 1_000_000 + b"0]}", "too_large"),
        ("a.jsonl", b"[" + b"0," * 2_100_000 + b"0]", "too_large"),
        ("a.csv", b"a," * 5_000 + b"b\n" + b"c\n" * 5_000, "too_large"),
        (
            "a.json",
            b"{" + b",".join(b'"%d":0' % n for n in range(300_000)) + b"}",
            "unknown_kind",
        ),
    ],
    ids=range(9),
)
def test_too_much_of_anything_is_refused(tmp_path: Path, name: str, data: bytes, reason) -> None:
    for zipped in (False, True):
        path = tmp_path / (name + ".gz" if zipped else name)
        path.write_bytes(gzip.compress(data) if zipped else data)
        _, refused = imported(path)
        assert refused and (reason is None or reason in refused)


def test_a_table_that_says_it_holds_billions_is_refused(tmp_path: Path) -> None:
    zeros = pyarrow.array([0], pyarrow.int64()).take(pyarrow.array([0] * 5_000_000))
    pyarrow.parquet.write_table(pyarrow.table({"prompt": zeros}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 50_000
    summary, refused = imported(tmp_path / "a.parquet")
    assert summary.read == 1 and "5,000,000 values" in refused["too_large"]


MEASURED = """
import re, sys
from pathlib import Path
from tesuji.logs.importing import import_logs
summary = import_logs([Path(sys.argv[1])], Path(sys.argv[2]), processes=1)
most = re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())  # not its parent's
print(dict(summary.rejected_by_reason), int(most[1]) >> 10)
"""


@pytest.mark.parametrize("piece", [b"[", b"[0,", b" ", b'["'])
def test_a_small_file_that_unpacks_to_a_huge_one_takes_little_memory(tmp_path, piece) -> None:
    path = tmp_path / "a.json.gz"
    with gzip.open(path, "wb", compresslevel=9) as file:
        for _ in range(150):
            file.write(piece * ((1 << 20) // len(piece)))
    assert path.stat().st_size < 1 << 20
    command = [sys.executable, "-c", MEASURED, str(path), str(tmp_path / "out")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    reason, _, megabytes = said.rpartition(" ")
    assert int(megabytes) < 600 and ("too_" in reason or "not_json" in reason), said


@pytest.mark.parametrize("known", [False, True])
def test_a_file_that_is_no_log_is_left_after_many_records(tmp_path: Path, known: bool) -> None:
    first = json.dumps(PAIR) + "\n" if known else ""
    (tmp_path / "a.jsonl").write_text(first + "#\n" * 60_000)
    summary, refused = imported(tmp_path / "a.jsonl")
    assert summary.accepted == known and summary.rejected == (60_000 if known else 50_001)
    assert ("no_log" in refused) is not known
