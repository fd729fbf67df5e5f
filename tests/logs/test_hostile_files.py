"""Whatever a file holds: nothing raises, and the sum of taken and refused is right."""

import json
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_logs import game, older, row

from tesuji.episodes.store import read_episodes
from tesuji.logs.importing import import_logs
from tesuji.logs.registry import KINDS, importer, text_importers

QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
NAMES = ("a.json", "a.jsonl", "a.csv", "a.parquet", "a.phh", "a.txt", "a", "a.json.gz")
PAIR = {"prompt": "a", "chosen": "b", "rejected": "c"}
CHAT = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
LOG = {"logs": [[-1, "x"], [0, "y"]], "rewards": {"0": 1}, "game_info": {"0": {"role": "Mafia"}}}
VALID = (game(), older(), row(), PAIR, CHAT, LOG)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def check(name: str, data: bytes, format: str = "auto") -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        out = Path(folder) / "out"
        summary = import_logs([path], out, format=format)
        assert summary.files == 1 and summary.read >= 1
        assert summary.read == summary.accepted + summary.rejected
        assert sum(summary.rejected_by_reason.values()) == summary.rejected
        assert len(list(read_episodes(out / "episodes.jsonl"))) == summary.episodes


@QUICK
@given(st.sampled_from(NAMES), st.binary(min_size=1, max_size=300))
def test_any_bytes_under_any_name(name: str, data: bytes) -> None:
    check(name, data)


@QUICK
@given(st.sampled_from(range(len(VALID))), st.data())
def test_any_value_in_any_field(which: int, data) -> None:
    value = json.loads(json.dumps(VALID[which]))
    inside = value
    for _ in range(data.draw(st.integers(1, 3))):
        keys = sorted(inside) if isinstance(inside, dict) else list(range(len(inside)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(inside[key], dict | list) or not inside[key]:
            break
        inside, parent = inside[key], inside
    else:
        inside = parent
    inside[key] = data.draw(values)
    check("a.json", json.dumps(value).encode())


@QUICK
@given(st.sampled_from(range(len(VALID))), st.floats(0, 1), st.sampled_from(["a.json", "a.jsonl"]))
def test_files_that_break_off(which: int, share: float, name: str) -> None:
    data = json.dumps(VALID[which]).encode()
    check(name, data[: max(1, int(share * len(data)))])


@QUICK
@given(values, st.sampled_from(sorted(KINDS)))
def test_any_value_for_a_named_kind(value, kind: str) -> None:
    assert importer(kind).fits(value) in (True, False)
    check("a.json", json.dumps(value).encode(), format=kind)


@QUICK
@given(st.text(max_size=200), st.sampled_from([i.kind for i in text_importers()]))
def test_any_text_for_a_hand_history(text: str, kind: str) -> None:
    check("hand.phh" if kind == "phh" else "hand.txt", text.encode(), format=kind)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        json.dumps({**game(), "role": "x" * 5_000_000}).encode(),
        json.dumps({**game(), "player_id": 10**30, "raw_rewards": {"999999999": 1}}).encode(),
        b'{"observations": [], "actions": [], "reward": 1e999, "outcome": NaN}',
        b"\xef\xbb\xbf" + json.dumps(game()).encode(),
        b"\xff\xfe" + json.dumps(game()).encode("utf-16-le"),
        b'{"prompt": "\\ud800", "response": "\\udfff"}',
        b"\x00" * 1000,
    ],
    ids=range(9),
)
def test_what_breaks_other_readers(data: bytes) -> None:
    for name in ("a.json", "a.jsonl", "a"):
        check(name, data)


def test_a_large_file_is_read_in_little_memory(tmp_path: Path) -> None:
    line = json.dumps(row()) + "\n"
    with (tmp_path / "big.jsonl").open("w") as file:
        for _ in range(15_000_000 // len(line)):
            file.write(line)
    tracemalloc.start()
    summary = import_logs([tmp_path / "big.jsonl"], tmp_path / "out", processes=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert summary.accepted > 4000 and peak < 8_000_000
