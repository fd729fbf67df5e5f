"""Files of rows and pairs that a recipe names itself: every shape is read, faults have a line."""

import json
import logging
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from made_chats import ALPACA, CHATS, OPENAI, PAIRS, SHAREGPT, assistant, user
from made_logs import write_lines

from tesuji.core.errors import DataError
from tesuji.datasets.files import example_row, read_pairs, read_rows

OWN = {"prompt": [user("Why?")], "completion": "So.", "position": "p", "about": {"match": "m"}}


def test_rows_of_every_shape_are_one_example_for_each_reply(tmp_path: Path) -> None:
    rows = write_lines(tmp_path / "a.jsonl", [OWN, ALPACA, OPENAI, SHAREGPT])
    found = list(read_rows(rows))
    assert [len(example.prompt) for example in found] == [1, 6, 3, 5, 3, 5]
    assert example_row(found[0]) == OWN
    assert found[1].reply == "Play c5." and found[1].prompt[0]["content"] == "You teach chess."
    again = write_lines(tmp_path / "b.jsonl", [example_row(example) for example in found])
    assert list(read_rows(again)) == found


def test_arrays_and_tables_too(tmp_path: Path) -> None:
    rows = [ALPACA, {**ALPACA, "history": []}]
    (tmp_path / "a.json").write_text(json.dumps(rows))
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    lines = write_lines(tmp_path / "a.jsonl", rows)
    for name in ("a.json", "a.parquet"):
        assert list(read_rows(tmp_path / name)) == list(read_rows(lines))
    (tmp_path / "b.json").write_text("{")
    for name in ("b.json", "none.parquet"):
        with pytest.raises(DataError, match="cannot read") as caught:
            list(read_rows(tmp_path / name))
        assert name in str(caught.value)


def test_pairs_of_every_shape_equal_ones_too(tmp_path: Path) -> None:
    equal = {"instruction": "Why?", "chosen": "So.", "rejected": "So."}
    found = list(read_pairs(write_lines(tmp_path / "a.jsonl", [*PAIRS.values(), equal])))
    assert {json.dumps(pair.prompt) for pair in found} == {json.dumps([user("Why?")])}
    assert [pair.rejected for pair in found] == ["No."] * len(PAIRS) + ["So."]
    assert not any(pair.about for pair in found)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (CHATS["kto"], "label: a reply called bad"),
        ({**OWN, "label": False}, "label: a reply called bad"),
        (
            {"messages": [user("?"), {"role": "narrator", "content": "!"}]},
            "messages[1].role: 'narr",
        ),
        ({**OWN, "prompt": [{"role": "user", "content": None}]}, "prompt[0].content: nothing"),
        ({**OWN, "completion": [assistant("!", tool_calls=[{}])]}, "completion[0].tool_calls[0]"),
    ],
)
def test_a_wrong_row_stops_the_reading_at_its_line_and_field(tmp_path: Path, row, words) -> None:
    with pytest.raises(DataError) as caught:
        list(read_rows(write_lines(tmp_path / "rows.jsonl", [OWN, row])))
    assert f"rows.jsonl:2: {words}" in str(caught.value)


def test_fields_that_nobody_reads_are_said_once(tmp_path: Path, caplog) -> None:
    rows = write_lines(tmp_path / "a.jsonl", [OWN, *[{**ALPACA, "topic": "chess"}] * 3])
    with caplog.at_level(logging.WARNING):
        list(read_rows(rows))
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "unread topic (3 rows)"
    ]
