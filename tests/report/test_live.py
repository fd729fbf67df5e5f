"""A metric log that is still written: read on from where it ended, in bounded memory."""

import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tesuji.report.live.buckets import BUCKETS, Series
from tesuji.report.live.charts import charts, points
from tesuji.report.live.reader import PIECE, MetricReader, Readers, last_rows, rows_since


def line(step: int, stage: str = "sft", **metrics: Any) -> str:
    return json.dumps({"time": 1.0, "stage": stage, "step": step, **metrics}) + "\n"


def of(reader: MetricReader, metric: str = "loss", stage: str = "sft") -> list[tuple[int, float]]:
    return list(zip(*reader.points()[stage, metric], strict=True))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def test_few_points_are_all_there(log: Path) -> None:
    log.write_text("".join(line(step, loss=1 / step) for step in range(1, 900)))
    reader = MetricReader(log)
    assert reader.read()
    assert of(reader) == [(step, 1 / step) for step in range(1, 900)]


@pytest.mark.parametrize("seed", range(3))
def test_of_many_points_the_peaks_stay(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=50_000)
    steps = np.sort(rng.choice(1_000_000, 50_000, replace=False))
    values[[7, 40_000]] = -99.0, 99.0
    series, order = Series(), rng.permutation(50)
    for piece in order:  # as pieces of a file are read: from all over it
        some = slice(piece * 1000, piece * 1000 + 1000)
        series.add(steps[some], values[some])
    x, y = series.points()
    assert len(x) <= 2 * BUCKETS and x == sorted(x) and len(x) > BUCKETS / 2
    known = dict(zip(steps.tolist(), values.tolist(), strict=True))
    assert all(known[step] == value for step, value in zip(x, y, strict=True))
    assert {(steps[7], -99.0), (steps[40_000], 99.0)} <= set(zip(x, y, strict=True))
    width = 1024
    for bucket in range(0, 1_000_000, width):  # every bucket has its own lowest and highest
        inside = values[(steps >= bucket) & (steps < bucket + width)]
        drawn = [v for step, v in zip(x, y, strict=True) if bucket <= step < bucket + width]
        assert (min(drawn), max(drawn)) == (inside.min(), inside.max())


def test_only_what_came_since_is_read(log: Path) -> None:
    log.write_text(line(1, loss=3.0))
    reader = MetricReader(log)
    reader.read()
    with log.open("r+") as file:  # a change before the end, in place, is not looked for
        file.write(line(1, loss=9.0))
        file.seek(0, 2)
        file.write(line(2, loss=2.0) + line(3, loss=1.5)[:20])
    reader.read()
    assert of(reader) == [(1, 3.0), (2, 2.0)]
    with log.open("a") as file:
        file.write(line(3, loss=1.5)[20:])
    reader.read()
    assert of(reader) == [(1, 3.0), (2, 2.0), (3, 1.5)]


def test_a_log_written_anew_is_read_anew(log: Path) -> None:
    log.write_text("".join(line(step, loss=1.0) for step in range(100)))
    reader = MetricReader(log)
    reader.read()
    log.with_suffix(".new").write_text(line(1, loss=5.0))
    log.with_suffix(".new").replace(log)
    reader.read()
    assert of(reader) == [(1, 5.0)]
    log.write_text("")
    reader.read()
    assert reader.points() == {}
    log.unlink()
    assert reader.read() and reader.points() == {}


def test_stages_and_gaps_and_several_metrics_at_one_step(log: Path) -> None:
    text = line(1, loss=1.0) + line(1, eval_loss=2.0) + line(1, "rl", reward=0.5, loss=None)
    log.write_text(text + line(0, "rl", reward=0.25, once=1.0) + line(2, loss=0.5))
    reader = MetricReader(log)
    reader.read()
    assert of(reader, "reward", "rl") == [(0, 0.25), (1, 0.5)]
    [reward, loss] = charts(reader)
    assert (reward["title"], loss["title"]) == ("Reward", "Loss")
    assert [one["label"] for one in loss["lines"]] == ["sft", "sft, held out"]
    assert loss["lines"][1]["x"] == [1] and loss["lines"][1]["y"] == [2.0]


STRANGE = [
    "", "null", "[]", '"loss"', "{", "\x00", "{}", '{"stage": 5, "step": 1, "loss": 1}',
    '{"stage": "sft", "step": "1", "loss": 1}', '{"stage": "sft", "step": true, "loss": 1}',
    '{"stage": "sft", "step": 1.5, "loss": 1}', '{"stage": "sft", "step": -4, "loss": 1}',
    '{"stage": "sft", "step": 99999999999999999999999999, "loss": 1}',
    '{"stage": "sft", "step": 2, "loss": 1e999}', '{"stage": "sft", "step": 2, "loss": "1"}',
    '{"stage": "sft", "step": 2, "loss": [1]}', '{"stage": "sft", "step": 2, "loss": {"a": 1}}',
    '{"stage": "sft", "step": 2, "loss": true}', '{"stage": "sft", "step": 2, "loss": null}',
    '{"stage": "sft", "step": 2, "' + "x" * 300 + '": 1}', "[" * 5000, "\ud83d\ude00" * 9,
]  # fmt: skip


@pytest.mark.parametrize("many", [1, 900], ids=["few", "many"])  # read in two ways
def test_what_is_no_metric_is_passed_over(log: Path, many: int) -> None:
    wide = {"note": "n" * 100}
    good = "".join(line(step, loss=float(step), **wide) for step in range(10, 10 + many))
    for strange in [*STRANGE, "\n".join(STRANGE)]:
        log.write_bytes((good + strange + "\n" + line(9, loss=0.5)).encode("utf-8", "replace"))
        reader = MetricReader(log)
        assert reader.read(), strange
        assert set(reader.points()) == {("sft", "loss")}, strange
        right = [(9, 0.5), *((step, float(step)) for step in range(10, 10 + many))]
        assert of(reader) == right, strange


def test_names_without_end_are_not_kept(log: Path) -> None:
    log.write_text("".join(line(1, **{f"m{number}": 1.0}) for number in range(5000)))
    reader = MetricReader(log)
    reader.read()
    assert len(reader.points()) == 200


def long_log(log: Path, lines: int) -> dict[int, float]:
    """A log of so many lines with two outliers; what the losses are."""
    rng, losses = random.Random(3), {}
    with log.open("w") as file:
        for step in range(lines):
            losses[step] = rng.random()
            if step in (lines // 3, lines // 2):
                losses[step] += 50
            more = {"eval_loss": rng.random()} if step % 100 == 0 else {}
            file.write(line(step, loss=losses[step], reward=rng.random(), **more))
    return losses


def test_a_long_log_is_read_in_bounded_memory(log: Path) -> None:
    losses = long_log(log, 80_000)
    assert log.stat().st_size > 5 * PIECE
    MetricReader(log).read()  # what is imported on the way is not counted
    tracemalloc.start()
    reader = MetricReader(log)
    reader.read()
    kept, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 1 << 20 and most < 12 * PIECE
    found = of(reader)
    assert len(found) <= 2 * BUCKETS and all(losses[step] == value for step, value in found)
    assert sum(value > 50 for _, value in found) == 2


def test_a_first_short_look_sees_the_whole_range(log: Path) -> None:
    losses = long_log(log, 80_000)
    reader = MetricReader(log)
    assert not reader.read(0.0)
    steps = []
    for _ in range(3):
        reader.read(0.0)
        steps = [step for step, _ in of(reader)]
    assert max(steps) - min(steps) > 40_000
    while not reader.read(0.0):
        pass
    assert sum(value > 50 for _, value in of(reader)) == 2
    assert all(losses[step] == value for step, value in of(reader))


def test_lines_at_the_seams_of_pieces_are_read_once(log: Path) -> None:
    wide = "x" * 977
    count = 3 * PIECE // 1000
    log.write_text("".join(line(step, loss=1.0, note=wide) for step in range(count)))
    reader = MetricReader(log)
    seen: list[int] = []
    real = Series.add
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Series, "add", lambda self, s, v: (seen.extend(s.tolist()), real(self, s, v))[1]
        )
        reader.read()
    assert sorted(seen) == list(range(count))


def test_a_stream_gets_whole_lines_from_where_it_was(log: Path) -> None:
    log.write_text(line(1, loss=1.0) + line(2, loss=0.5) + line(3, loss=0.25)[:-5])
    rows, at = rows_since(log, 0)
    assert [row["step"] for row in rows] == [1, 2]
    assert points(rows) == [["loss", "sft", 1, 1.0], ["loss", "sft", 2, 0.5]]
    assert rows_since(log, at) == ([], at)
    assert [row["step"] for row in last_rows(log, 150)] == [2]
    assert last_rows(log.with_name("none")) == []


def test_secrets_and_control_characters_in_names_are_not_shown(log: Path) -> None:
    token = "hf_" + "a" * 30
    log.write_text("".join(line(step, "s\x1b[31m", **{token: 1.0}) for step in (1, 2)))
    reader = MetricReader(log)
    reader.read()
    assert len(charts(reader)) == 1
    shown = json.dumps(charts(reader)) + json.dumps(points(last_rows(log)))
    assert token not in shown and "u001b" not in shown


def test_few_readers_are_kept(tmp_path: Path) -> None:
    readers = Readers()
    first = readers.of(tmp_path / "0")
    assert readers.of(tmp_path / "0") is first
    for number in range(1, 20):
        readers.of(tmp_path / str(number))
    assert readers.of(tmp_path / "0") is not first
