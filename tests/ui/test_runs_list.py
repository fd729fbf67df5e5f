"""The list of runs: quick, searchable, true."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from many_runs import interrupt, make_runs
from ui_site import Site, fits, open_site, serious_findings

from tesuji.core.run_folder import RunFolder
from tesuji.serve.ui.house import House

RESERVE = 0.6  # seconds of this process, server and client; the promise is 0.3 on the clock


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_runs(tmp_path_factory.mktemp("many"), 200)


@pytest.fixture
def few(tmp_path: Path) -> Iterator[Site]:
    runs = make_runs(tmp_path / "runs", 4)
    interrupt(runs / "run-001")
    (runs / "run-002" / "manifest.json").write_text("{broken <script>alert(1)</script>")
    with open_site(House(runs)) as opened:
        yield opened


def quickest(client: httpx.Client, address: str, tries: int = 3) -> float:
    took = []
    for _ in range(tries):
        began = time.process_time()
        assert client.get(address).status_code == 200
        took.append(time.process_time() - began)
    return min(took)


def test_the_first_page_of_two_hundred_runs_is_quick(many: Path) -> None:
    with open_site(House(many)) as site, site.client() as client:
        began = time.process_time()
        first = client.get("/")
        cold = time.process_time() - began
        assert "200 runs, 1–50 shown" in first.text
        assert "It never loses" in first.text and first.text.count("run-") > 100
        assert cold < RESERVE, f"{cold:.3f} s"
        client.get("/", params={"q": "tic"})
        assert quickest(client, "/") < RESERVE / 2
        assert quickest(client, "/?q=run-19") < RESERVE / 2


def test_runs_are_found_by_words_and_page_by_page(many: Path) -> None:
    with open_site(House(many)) as site, site.client() as client:
        found = client.get("/", params={"q": "run-19 TIC_TAC finished"}).text
        assert "10 of 200 runs" in found and "run-199" in found and "run-189" not in found
        assert "No run has all of these words" in client.get("/", params={"q": "chess"}).text
        last = client.get("/", params={"after": 150}).text
        assert "151–200 shown" in last and "Newer" in last and "Older" not in last
        part = client.get("/", params={"q": "run-007"}, headers={"HX-Request": "true"}).text
        assert "<html" not in part and "run-007" in part
        chosen = client.get("/", params={"q": "run-008", "run": "run-007"}).text
        assert 'value="run-007" aria-label="Compare run-007" checked' in chosen


def test_states_are_told_apart(few: Site) -> None:
    with few.client() as client:
        page = client.get("/").text
        for state in ("finished", "stopped", "broken"):
            assert f'class="state {state}"' in page
        assert "2 of 4" in page and "<script>alert" not in page and "<h2>Running now" not in page
        with RunFolder(few.house.runs / "run-001").locked():
            page = client.get("/").text
            assert "<h2>Running now" in page and 'class="state running"' in page
            assert "now <strong>sft</strong>" in client.get("/now").text
        assert 'class="state running"' not in client.get("/").text


def test_what_is_known_of_a_run_is_read_again_when_it_changes(few: Site) -> None:
    with few.client() as client:
        assert "4 of 4" in client.get("/", params={"q": "run-000"}).text
        interrupt(few.house.runs / "run-000")
        assert "2 of 4" in client.get("/", params={"q": "run-000"}).text
        assert "4 of 4" not in client.get("/", params={"q": "run-000"}).text


def test_how_long_the_stage_under_way_still_takes(few: Site) -> None:
    run = few.house.runs / "run-001"
    now = time.time()
    started = next((run / "stages").glob("*-sft/started.json"))
    rows = [
        {"time": now - 100 + 2 * s, "stage": "sft", "step": s, "epoch": s / 100} for s in range(50)
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    os.utime(started, (now - 101, now - 101))
    recipe = (run / "recipe.yaml").read_text()
    assert "max_steps: -1" in recipe
    (run / "recipe.yaml").write_text(recipe.replace("max_steps: -1", "max_steps: 150"))
    with RunFolder(run).locked():
        text = few.client().get("/").text
    assert "step 49 of 150" in text and "2.0 s a step" in text
    assert "about 3 min" in text  # 101 steps of 2 s


SENSELESS = ["1e400", "-5", '"x"', "[]", "true", "99999999999999999999999999", "1e-320"]


@pytest.mark.parametrize("value", SENSELESS)
def test_figures_that_make_no_sense_break_no_page(few: Site, value: str) -> None:
    run = few.house.runs / "run-001"
    row = '{"time": %s, "stage": "sft", "step": %d, "epoch": %s, "loss": %s}\n'
    text = "".join(row % (value, step, value, value) for step in (1, 2, 1 << 62))
    (run / "metrics.jsonl").write_text(text)
    state = next((run / "stages").glob("*-sft")) / "checkpoints" / "1" / "trainer_state.json"
    state.parent.mkdir(parents=True)
    state.write_text(f'{{"max_steps": {value}}}')
    manifest = (run / "manifest.json").read_text()
    (run / "manifest.json").write_text(manifest.replace("3.0", value))
    for file in (few.house.runs / "run-003").glob("stages/*/evaluation.json"):
        file.write_text(file.read_text().replace('"lines": 300', f'"lines": {value}'))
    with RunFolder(run).locked(), few.client() as client:
        for page in ("/", "/now", "/runs/run-001", "/runs/run-001/state", "/runs/run-003"):
            assert client.get(page).status_code == 200, page


def test_pipes_in_the_place_of_files_hold_nobody_up(few: Site) -> None:
    run = few.house.runs / "run-001"
    for name in ("recipe.yaml", "metrics.jsonl", "console.log", "report.html", ".started.json"):
        (run / name).unlink(missing_ok=True)
        os.mkfifo(run / name)
    with RunFolder(run).locked(), few.client() as client:
        client.timeout = httpx.Timeout(20)
        for page in ("/", "/runs/run-001", "/runs/run-001/curves"):
            assert client.get(page).status_code == 200, page
        assert client.get("/runs/run-001/report.html").status_code == 404
        assert client.get("/runs/run-001/text?file=console.log").status_code == 404


def test_an_empty_folder_says_how_to_begin(site: Site) -> None:
    assert "tesuji run tictactoe/tiny" in site.client().get("/").text


def test_the_list_in_a_browser(few: Site, looked_at: Any) -> None:
    from playwright.sync_api import expect

    looked_at.goto(few.url)
    assert fits(looked_at) and serious_findings(looked_at) == []
    rows = looked_at.locator("#rows tbody tr")
    looked_at.get_by_label("Compare run-003").check()
    looked_at.get_by_label("Search").fill("run-000")
    expect(rows).to_have_count(2)
    expect(looked_at.get_by_label("Compare run-003")).to_be_checked()
    looked_at.get_by_label("Search").fill("run-000 nothing")
    expect(rows).to_have_count(1)
    with RunFolder(few.house.runs / "run-001").locked():
        looked_at.wait_for_selector("#now .card")
        assert fits(looked_at) and serious_findings(looked_at) == []
