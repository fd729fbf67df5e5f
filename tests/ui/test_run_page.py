"""A run's page and its files: all of it there, whatever is in it inert, nothing beyond it."""

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from many_runs import interrupt, make_runs
from tiny_jobs import write_recipe
from ui_site import Site, fits, open_site, serious_findings

from tesuji.core.run_folder import RunFolder
from tesuji.report.page import write_report
from tesuji.serve.ui.house import House
from tesuji.serve.ui.runs.paging import MOST_LINE, find_line, read_page
from tesuji.serve.ui.runs.processes import LOG

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>\x1b[31m{{ 7*7 }} hf_" + "a" * 30
INERT = ("<img src=x", "<script>alert", "\x1b", "hf_aaaa")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    run = make_runs(tmp_path / "runs", 1) / "run-000"
    data = run / "stages" / "01-data"
    raw = data / "raw_logs"
    raw.mkdir()
    (raw / "games.txt").write_text("".join(f"line {number}\n" for number in range(1, 1001)))
    about = {"match": "m1", "seat": 1, "won": True, "score": None}
    asked = [{"role": "user", "content": "your move?"}]
    row = {
        "prompt": asked,
        "completion": "e4",
        "about": {**about, "source": "raw_logs/games.txt:7"},
    }
    away = {**row, "about": {**about, "source": "/elsewhere/games.txt:9"}}
    (data / "train.jsonl").write_text((json.dumps(row) + "\n") * 45 + json.dumps(away) + "\n")
    pair = {"prompt": asked, "chosen": "good one", "rejected": "bad one"}
    (data / "pairs.jsonl").write_text(json.dumps(pair) + "\n")
    refused = {"file": "raw_logs/games.txt", "line": 500, "kind": "chat", "reason": "broken"}
    (data / "processed").mkdir()
    quarantine = data / "processed" / "quarantine.jsonl"
    quarantine.write_text(json.dumps({**refused, "detail": "no reply in it"}) + "\n")
    imported = {"read": 50, "accepted": 46, "rejected_by_reason": {"broken": 4}}
    rules = [{"rule": "legal", "dropped": 3, "left": 43}]
    statistics = {"imported": imported, "rules": rules, "train_rows": 46}
    (data / "dataset_statistics.json").write_text(json.dumps(statistics))
    (run / LOG).write_text("the console said this\n")
    (run / "stages/02-sft/sft_training_logs_20260101_000000.txt").write_text("Step 1\n")
    (run / "stages/02-sft/final").mkdir()
    (run / "stages/02-sft/final/config.json").write_text("{}")
    write_report(run)
    with open_site(House(tmp_path / "runs")) as opened:
        yield opened


@pytest.fixture
def run(site: Site) -> Path:
    return site.house.runs / "run-000"


def test_all_of_a_run_is_on_its_page(site: Site) -> None:
    page = site.client().get("/runs/run-000").text
    for words in (
        "It never loses", "25 s", "stages/02-sft/final", "sft_training_logs", "train.jsonl",
        "the console said this", "50 records were read, 46 taken", "legal", "as x:", "minimax",
        "learning_rate: 0.02", "How it was run", "0b4de19f", "whole report", "/replay/run-000",
    ):  # fmt: skip
        assert words in page, words


def test_rows_lead_back_to_their_file_and_line(site: Site) -> None:
    with site.client() as client:
        file = {"file": "stages/01-data/train.jsonl"}
        first = client.get("/runs/run-000/data", params=file).text
        assert first.count("<article") == 20 and "your move?" in first and "<h2>Reply</h2>" in first
        assert "raw_logs/games.txt, line 7</a>" in first and "<dt>score" not in first
        way = "/runs/run-000/text?file=stages%2F01-data%2Fraw_logs%2Fgames.txt&amp;line=7"
        assert way in first
        there = client.get(way.replace("&amp;", "&")).text
        assert "<mark>line 7</mark>" in there and "line 2\n" in there and "line 401\n" in there

        size = (site.house.runs / "run-000/stages/01-data/train.jsonl").stat().st_size
        last = client.get("/runs/run-000/data", params={**file, "at": size - 1}).text
        assert last.count("<article") == 1 and "outside this run" in last
        assert "line 9" in last and "/elsewhere/games.txt" in last

        pairs = client.get("/runs/run-000/data", params={"file": "stages/01-data/pairs.jsonl"}).text
        assert "Better reply" in pairs and "good one" in pairs and "Worse reply" in pairs
        left_out = {"file": "stages/01-data/processed/quarantine.jsonl"}
        page = client.get("/runs/run-000/data", params=left_out).text
        assert "broken" in page and "no reply in it" in page and "line=500" in page


def test_pages_go_forwards_and_backwards(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(f"{number}\n" for number in range(100)))
    at, seen, back = 0, [], []
    while at is not None:
        page = read_page(file, at, 30)
        seen += [int(line.text) for line in page.lines]
        back.append(page.before)
        at = page.after
    assert seen == list(range(100)) and back[0] is None
    page = read_page(file, back[-1] or 0, 30)
    assert [int(line.text) for line in page.lines] == list(range(60, 90))
    assert read_page(file, 1 << 40, 30).lines == () and read_page(file, 4, 1).lines[0].text == b"2"
    assert (
        find_line(file, 1) == 0 and read_page(file, find_line(file, 51), 1).lines[0].text == b"50"
    )


def test_a_file_of_any_size_is_paged_in_bounded_memory(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    with file.open("w") as out:
        out.write("x" * (30 << 20) + "\n")
        out.writelines(f'{{"row": {number}}}\n' for number in range(1_000_000))
    tracemalloc.start()
    first = read_page(file, 0, 20)
    assert first.lines[0].cut == (30 << 20) + 1 - MOST_LINE and first.lines[1].text == b'{"row": 0}'
    middle = read_page(file, 25 << 20, 1)  # inside the long line
    assert middle.lines[0].at == 0
    last = read_page(file, find_line(file, 1_000_001), 20)
    assert last.lines[0].text == b'{"row": 999999}' and last.after is None
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("kind", ["data", "text"])
@pytest.mark.parametrize(
    "file",
    ["../../secret.txt", "/etc/passwd", "way-out.txt", "..", "", "stages", "no\0thing.txt",
     "x" * 300 + ".txt", "../other/manifest.json", "stages/02-sft/final/model.safetensors"],
)  # fmt: skip
def test_no_path_leads_out_of_a_run(site: Site, run: Path, kind: str, file: str) -> None:
    (run.parent.parent / "secret.txt").write_text("a secret")
    (run.parent / "other").mkdir()
    (run.parent / "other" / "manifest.json").write_text('{"a": "secret"}')
    (run / "way-out.txt").symlink_to(run.parent.parent / "secret.txt")
    (run / "stages/02-sft/final/model.safetensors").write_bytes(b"a secret")
    answer = site.client().get(f"/runs/run-000/{kind}", params={"file": file})
    assert answer.status_code == 404 and "a secret" not in answer.text


def test_links_in_the_place_of_files_lead_nowhere(site: Site, run: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("a secret")
    for name in (LOG, "recipe.yaml", "report.html"):
        (run / name).unlink()
        (run / name).symlink_to(secret)
    with site.client() as client:
        page = client.get("/runs/run-000").text
        assert "run-000" in page and "a secret" not in page
        assert client.get("/runs/run-000/report.html").status_code == 404
        (run / "recipe.yaml").unlink()
        write_recipe(run, "run-000").rename(run / "recipe.yaml")
        refused = client.post("/runs/run-000/resume")
        assert refused.status_code == 400 and "cannot write" in refused.text
    assert secret.read_text() == "a secret"


@pytest.mark.parametrize("name", ["%2e%2e%2e", "..%2Fruns%2Frun-000", "none", "run-000%00"])
def test_no_name_leads_out_of_the_runs(site: Site, name: str) -> None:
    for rest in ("", "/data?file=manifest.json", "/curves", "/report.html", "/state", "/events"):
        answer = site.client().get(f"/runs/{name}{rest}")
        assert answer.status_code == 404, rest


def test_the_report_may_do_less_than_the_pages(site: Site) -> None:
    answer = site.client().get("/runs/run-000/report.html")
    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200 and policy.startswith("sandbox allow-scripts;")
    assert "'self'" not in policy and "script-src 'sha256-" in policy
    script = policy.partition("script-src '")[2].partition("'")[0]
    assert script in answer.text  # what the page itself allows


def test_what_changes_a_run_is_asked_for_by_post(site: Site, run: Path) -> None:
    with site.client() as client:
        for action in ("stop", "resume", "report"):
            assert client.get(f"/runs/run-000/{action}").status_code in (404, 405)
        (run / "report.html").unlink()
        answer = client.post("/runs/run-000/report")
        assert answer.headers["hx-redirect"] == "/runs/run-000" and (run / "report.html").exists()
        answer = client.post("/runs/run-000/stop", headers={"HX-Request": "true"})
        assert answer.status_code == 400 and "nobody is at work" in answer.text
        with RunFolder(run).locked():
            page = client.get("/runs/run-000").text
            assert "Started elsewhere" in page and ">Stop<" not in page and "data-events" in page
            assert client.post("/runs/run-000/stop").status_code == 400
            assert client.post("/runs/run-000/resume").status_code == 400


def test_hostile_texts_are_inert(site: Site, run: Path, looked_at: Any) -> None:
    interrupt(run)
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["command"] = manifest["created"] = EVIL
    manifest["stages"][EVIL] = {"status": "done", "seconds": EVIL}
    (run / "manifest.json").write_text(json.dumps(manifest))
    (run / "recipe.yaml").write_text(f"name: x\n# {EVIL}\n")
    (run / LOG).write_text(EVIL)
    rows = [{"time": 1, "stage": EVIL[:60], "step": s, EVIL[:50]: s / 2, "loss": s} for s in (1, 2)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = run / "stages" / "01-data"
    asked = [{"role": EVIL, "content": EVIL}]
    row = {"prompt": asked, "completion": EVIL, "about": {EVIL: EVIL, "source": EVIL + ":1"}}
    (data / "train.jsonl").write_text(json.dumps(row) + "\n" + EVIL + "\n" + "[" * 5000 + "\n")
    refused = {"file": EVIL, "line": 1, "kind": EVIL, "reason": EVIL, "detail": EVIL}
    (data / "processed/quarantine.jsonl").write_text(json.dumps(refused) + "\n")
    stats = {
        "imported": {"read": EVIL, "rejected_by_reason": {EVIL: EVIL}},
        "rules": [EVIL, {"rule": EVIL}],
    }
    (data / "dataset_statistics.json").write_text(json.dumps(stats))
    evil_file = data / "<img src=x onerror=alert(3)>.jsonl"
    evil_file.write_text(EVIL)
    looked_at.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    for rest in (
        "", "/data?file=stages/01-data/train.jsonl", "/text?file=console.log",
        "/data?file=stages/01-data/processed/quarantine.jsonl", "/text?file=recipe.yaml",
        "/data?file=stages/01-data/%3Cimg%20src=x%20onerror=alert(3)%3E.jsonl",
    ):  # fmt: skip
        looked_at.goto(f"{site.url}/runs/run-000{rest}")
        looked_at.wait_for_timeout(300)
        html = site.client().get(f"/runs/run-000{rest}").text
        assert not [evil for evil in INERT if evil in html], rest
        assert "49 hf_" not in html and fits(looked_at), rest
    looked_at.goto(f"{site.url}/")
    assert fits(looked_at)


def test_the_pages_of_a_run_in_a_browser(site: Site, looked_at: Any) -> None:
    from playwright.sync_api import expect

    looked_at.goto(f"{site.url}/runs/run-000")
    loss = looked_at.locator("figure[data-metric=loss] canvas")
    expect(loss).to_be_visible()
    assert fits(looked_at) and serious_findings(looked_at) == []
    looked_at.get_by_role("link", name="stages/01-data/train.jsonl").click()
    assert fits(looked_at) and serious_findings(looked_at) == []
    looked_at.get_by_role("link", name="After").first.click()
    expect(looked_at.locator("article")).to_have_count(20)
    looked_at.get_by_role("link", name="raw_logs/games.txt, line 7").first.click()
    expect(looked_at.locator("mark")).to_have_text("line 7")
    assert fits(looked_at) and serious_findings(looked_at) == []
    looked_at.goto(f"{site.url}/runs/run-000")
    looked_at.get_by_role("link", name="The whole report").click()
    expect(looked_at.locator("#choices button").first).to_be_visible()  # its own script ran
