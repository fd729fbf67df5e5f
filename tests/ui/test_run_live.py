"""What comes while a run is under way: curves that move, streams that go on and end."""

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from many_runs import interrupt, make_runs
from ui_site import Site, open_site

from tesuji.core.run_folder import RunFolder
from tesuji.serve.ui.house import House


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    interrupt(make_runs(tmp_path / "runs", 1) / "run-000")
    with open_site(House(tmp_path / "runs")) as opened:
        yield opened


@pytest.fixture
def run(site: Site) -> Path:
    return site.house.runs / "run-000"


def append(run: Path, step: int, stage: str = "sft", **metrics: Any) -> None:
    row = {"time": time.time(), "stage": stage, "step": step, **metrics}
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")


@contextmanager
def stream(site: Site, place: str, **headers: str) -> Iterator[Iterator[tuple[str, str, Any]]]:
    """(event, id, data) as they come."""

    def events(lines: Iterator[str]) -> Iterator[tuple[str, str, Any]]:
        fields: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
            elif "event" in fields:
                yield fields["event"], fields["id"], json.loads(fields["data"])
                fields = {}

    address = "/runs/run-000/events"
    with (
        site.client() as client,
        client.stream("GET", address, params={"place": place}, headers=headers) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield events(answer.iter_lines())


def test_curves_are_those_of_the_log(site: Site, run: Path) -> None:
    with site.client() as client:
        found = client.get("/runs/run-000/curves").json()
        assert found["whole"] and found["charts"][0]["metric"] == "loss"
        [train, held_out] = found["charts"][0]["lines"]
        assert train["label"] == "sft" and train["x"][:2] == [10, 20] and len(train["y"]) == 40
        assert held_out["label"] == "sft, held out"
        (run / "metrics.jsonl").unlink()
        assert client.get("/runs/run-000/curves").json()["charts"] == []
        (run / "metrics.jsonl").symlink_to("/etc/hostname")
        assert client.get("/runs/run-000/curves").json()["charts"] == []
        assert client.get("/runs/none/curves").status_code == 404


def test_a_stream_tells_what_is_new_and_ends_with_the_run(site: Site, run: Path) -> None:
    place = site.client().get("/runs/run-000/curves").json()["place"]
    with stream(site, place) as events:
        with RunFolder(run).locked():
            append(run, 410, loss=0.01)
            append(run, 420, loss=0.02, reward=1.0)
            kind, _, told = next(events)
            while kind == "points" and len(told) < 3:
                told += next(events)[2]
            assert told == [["loss", "sft", 410, 0.01], ["loss", "sft", 420, 0.02],
                            ["reward", "sft", 420, 1.0]]  # fmt: skip
            RunFolder(run).note_stage("sft", {"status": "done"})
            assert next(events)[0] == "state"
        kinds = [kind for kind, _, _ in events]
    assert kinds[-1] == "end" and "points" not in kinds


def test_who_comes_back_is_told_what_was_missed(site: Site, run: Path) -> None:
    with RunFolder(run).locked():
        place = site.client().get("/runs/run-000/curves").json()["place"]
        append(run, 410, loss=0.01)
        with stream(site, place) as events:
            _, at, _ = next(events)
        append(run, 420, loss=0.02)
        with stream(site, place, **{"Last-Event-ID": at}) as events:
            assert next(events)[2] == [["loss", "sft", 420, 0.02]]


def test_a_log_written_anew_is_drawn_anew(site: Site, run: Path) -> None:
    with RunFolder(run).locked():
        place = site.client().get("/runs/run-000/curves").json()["place"]
        log = run / "metrics.jsonl"
        log.rename(run / "old")
        log.write_text((run / "old").read_text()[:500].rpartition("\n")[0] + "\n")
        for old in (place, "5:99999999", "nonsense", "0:-1", "٣:٣"):
            with stream(site, old) as events:
                kind, _, told = next(events)
                assert kind == "again" or (kind == "points" and told[0][2] == 10), old


def test_streams_end_with_the_server(tmp_path: Path) -> None:
    run = make_runs(tmp_path / "runs", 1) / "run-000"
    ended: list[float] = []
    begun = threading.Semaphore(0)
    before = threading.active_count()

    def listen(site: Site) -> None:
        with stream(site, "0:0") as events:
            for _ in events:
                begun.release()
        ended.append(time.monotonic())

    with RunFolder(run).locked():
        with open_site(House(tmp_path / "runs")) as site:
            clients = [threading.Thread(target=listen, args=[site]) for _ in range(50)]
            for client in clients:
                client.start()
            assert all(begun.acquire(timeout=60) for _ in clients)
            assert not ended
            left = time.monotonic()
        for client in clients:
            client.join(5)
    assert len(ended) == 50 and max(ended) - left < 3
    end = time.monotonic() + 10  # AnyIO's idle workers go by themselves with the loop
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.1)
    assert threading.active_count() <= before


def test_a_client_that_leaves_is_let_go_and_a_slow_one_holds_nobody_up(
    site: Site, run: Path
) -> None:
    with RunFolder(run).locked(), stream(site, "0:0") as slow:
        next(slow)  # and reads no further
        for step in range(400, 3000):
            append(run, step, **{f"metric_{n}": 0.5 for n in range(10)})
        began = time.monotonic()
        assert httpx.get(f"{site.url}/").status_code == 200
        with stream(site, site.client().get("/runs/run-000/curves").json()["place"]) as quick:
            append(run, 3000, loss=0.5)
            assert next(quick)[2] == [["loss", "sft", 3000, 0.5]]
        assert time.monotonic() - began < 8


def test_curves_move_while_a_run_goes_on(site: Site, run: Path, looked_at: Any) -> None:
    from playwright.sync_api import expect

    with RunFolder(run).locked():
        looked_at.goto(f"{site.url}/runs/run-000")
        loss = looked_at.locator("figure[data-metric=loss] [role=img]")
        expect(loss).to_have_attribute("aria-label", _has("at step 400"))
        before = loss.locator("canvas").evaluate("one => one.toDataURL()")
        append(run, 500, loss=9.25, eval_loss=8.5)
        expect(loss).to_have_attribute("aria-label", _has("9.25 at step 500"))
        assert loss.locator("canvas").evaluate("one => one.toDataURL()") != before
        append(run, 510, brand_new=1.0)
        append(run, 520, brand_new=2.0)
        new = looked_at.locator("figure[data-metric=brand_new] [role=img]")
        expect(new).to_have_attribute("aria-label", _has("2 at step 520"))
        expect(looked_at.locator("#state")).to_contain_text("step 520")
    expect(looked_at.locator("#state .state").first).to_have_text("stopped", timeout=10_000)
    expect(looked_at.get_by_role("button", name="Go on")).to_be_visible()


def _has(words: str) -> Any:
    return re.compile(re.escape(words))
