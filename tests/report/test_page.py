import json
import math
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from made_run import make_run
from typer.testing import CliRunner

from tesuji.cli.browse.report import app
from tesuji.core.errors import DataError
from tesuji.core.types import Attempt, Move
from tesuji.episodes.store import read_episodes, write_episodes
from tesuji.evaluation.matches.against import EVALUATED
from tesuji.evaluation.results import load_evaluation, save_evaluation
from tesuji.report.collect import collect
from tesuji.report.page import write_report
from tesuji.report.views.curves import collect_series, draw_curves

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> & \u2028 ' \" `"
AFTER = Path("stages/03-after")


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    run = make_run(tmp_path_factory.mktemp("runs") / "made")
    write_report(run)
    return run


@pytest.fixture
def run(made, tmp_path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(made, tmp_path / "made"))


def html_of(run: Path) -> str:
    return write_report(run)[0].read_text()


def games_of(html: str) -> list[dict]:
    found = re.search(r'<script type="application/json" id="game-data">(.*?)</script>', html, re.S)
    return json.loads(found[1])


# What the page says


def test_the_page_opens_with_one_honest_sentence(made) -> None:
    html = (made / "report.html").read_text()
    assert "It never loses: all 601 lines" in html
    assert "It never loses: all 601 lines" in (made / "report.md").read_text()


def test_before_after_and_random_stand_side_by_side(made) -> None:
    html = (made / "report.html").read_text()
    table = html[html.index("<h3>Against minimax") :]
    heads = re.findall(r'<th scope="col">(.*?)</th>', table)[:4]
    assert heads == ["seat", "before", "after sft", "a random player"]
    rows = re.findall(r'<th scope="row">(.*?)</th>', table)[:3]
    assert rows == ["all seats", "as x", "as o"]


def test_forfeits_and_gifts_are_told_apart(run) -> None:
    path = run / AFTER / "evaluation.json"
    old = load_evaluation(path)
    first = replace(old.matches[0], forfeits=3, gifts=2, truncated=1)
    save_evaluation(path, replace(old, matches=(first, *old.matches[1:])))
    for text in (html_of(run), (run / "report.md").read_text()):
        assert "3 lost by our illegal replies; 2 won by the opponent" in text
        assert "1 cut off at the move limit" in text
        assert "3 matches lost by it, 2 won by the opponent" in text


def test_positions_never_seen_are_counted_and_scored(made) -> None:
    markdown = (made / "report.md").read_text()
    assert "after sft, never seen: 99.6% optimal (450 of 452, 95% interval" in markdown


def test_a_losing_line_is_printed(made) -> None:
    assert "the shortest: x(0,0) o(1,1) x(0,2)" in (made / "report.md").read_text()


def test_what_was_run_can_be_run_again(made) -> None:
    for name in ("report.html", "report.md"):
        text = unescape((made / name).read_text())
        assert "tesuji run recipes/tictactoe/tiny.yaml" in text
        assert "0b4de19f25d3c0a3f5b2a1c7f0e9d8c7b6a59483" in text
        assert "sft: {learning_rate: 0.02}" in text
        assert "2.13.0" in text
        assert re.search(r"02-sft.*25 s", text)


def test_data_and_training_facts_are_listed(made) -> None:
    html = (made / "report.html").read_text()
    assert "<dt>held out › symmetry classes</dt><dd>70</dd>" in html
    assert "<dt>rows</dt><dd>8,102</dd>" in html


# Safety


def test_the_page_fetches_nothing(made) -> None:
    html = (made / "report.html").read_text()
    assert "http://" not in html
    assert "https://" not in html
    assert not re.findall(r"<(?:link|img|script|iframe)[^>]+(?:src|href)=\"(?!data:)", html)
    assert "default-src 'none'" in html


def test_hostile_text_stays_text_everywhere(run) -> None:
    folder = run / AFTER
    spoiled = [_hostile(episode) for episode in read_episodes(folder / "episodes.jsonl")]
    write_episodes(folder / "episodes.jsonl", spoiled)
    found = load_evaluation(folder / "evaluation.json")
    rows = tuple(replace(row, opponent=HOSTILE) for row in found.matches)
    save_evaluation(
        folder / "evaluation.json", replace(found, model=HOSTILE, label=HOSTILE, matches=rows)
    )
    (run / "recipe.yaml").write_text(f"# {HOSTILE}\n```\n")
    html = html_of(run)
    assert html.count("<script") == 2
    assert "<img" not in html
    assert "alert(1)</script>" not in html
    said = {
        attempt["reply"]
        for game in games_of(html)
        for step in game["steps"][1:]
        for attempt in step["says"]
    }
    assert any("</script><script>alert(1)" in reply for reply in said)
    markdown = (run / "report.md").read_text()
    outside = re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", markdown)
    assert not re.search(r"(?<!\\)<", outside)


def _hostile(episode):
    turns = tuple(
        replace(
            turn,
            role=HOSTILE,
            observation=HOSTILE,
            attempts=(Attempt(HOSTILE, thought=HOSTILE, problem=HOSTILE),),
            played=Move(turn.played.id, HOSTILE),
        )
        for turn in episode.turns
    )
    players = tuple(name if name == EVALUATED else HOSTILE for name in episode.players)
    return replace(episode, turns=turns, players=players, reason=HOSTILE)


def test_secrets_never_reach_the_page(run, monkeypatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a <secret> & more")
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["command"] = "HF_TOKEN=hf_AbCdEfGhIjKlMnOpQrStUv tesuji run x"
    manifest["versions"]["odd"] = "a <secret> & more"
    (run / "manifest.json").write_text(json.dumps(manifest))
    write_report(run)
    for name in ("report.html", "report.md"):
        text = unescape((run / name).read_text())
        assert "hf_AbC" not in text
        assert "<secret>" not in text
        assert "redacted" in text


def test_names_of_metrics_drive_no_terminal(run) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        for step in (1, 2):
            row = {"time": 0, "stage": "sft", "step": step, "lo\x1b[31m\u202ess": 1.0 + step}
            file.write(json.dumps(row) + "\n")
    write_report(run)
    html = (run / "report.html").read_text()
    assert "lo\\x1b[31m\\u202ess" in html
    assert not {"\x1b", "\u202e"} & set(html)


# Runs that are not whole


def test_a_run_that_has_just_begun_still_has_a_report(tmp_path) -> None:
    (tmp_path / "manifest.json").write_text('{"format": 1, "name": "young"}')
    html = html_of(tmp_path)
    assert "no evaluation after training yet" in html
    assert "no stage has been run yet" in html


def test_a_half_finished_run_says_what_is_missing(run) -> None:
    shutil.rmtree(run / AFTER)
    (run / "stages" / "02-sft" / "done.json").unlink()
    html = html_of(run)
    assert "no evaluation after training yet" in html
    assert "stage 02-sft did not finish" in html
    assert "Against minimax" in html


def test_torn_files_are_noted_and_what_is_whole_is_used(run) -> None:
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"stage": "sft", "st')
    path = run / AFTER / "episodes.jsonl"
    path.write_bytes(path.read_bytes()[:-30])
    (run / "stages" / "00-before" / "evaluation.json").write_text("{")
    summary = collect(run)
    assert len(summary.metrics) == 40
    assert len(summary.after.episodes) == 59
    assert summary.before is None
    notes = " ".join(summary.notes)
    assert "metrics.jsonl:41" in notes
    assert "episodes.jsonl:60" in notes
    assert "evaluation.json" in notes
    assert "metrics.jsonl:41" in html_of(run)


def test_a_stage_set_aside_is_not_reported(run) -> None:
    (run / AFTER).rename(run / "stages" / "03-after~1")
    assert collect(run).after is None


def test_a_folder_that_is_no_run_is_refused(tmp_path) -> None:
    with pytest.raises(DataError, match="not a run folder"):
        write_report(tmp_path)


def test_the_command_rebuilds_the_page_by_name_or_path(run, monkeypatch) -> None:
    monkeypatch.chdir(run.parent)
    run.rename(run.parent / "moved")
    (run.parent / "runs").mkdir()
    (run.parent / "moved").rename(run.parent / "runs" / "made")
    for name in ("made", "runs/made"):
        (run.parent / "runs" / "made" / "report.html").unlink()
        result = CliRunner().invoke(app, [name], catch_exceptions=False)
        assert result.exit_code == 0
        assert Path(result.output.split()[0]).is_file()


# Curves


def test_curves_are_the_same_bytes_each_time_and_take_the_pages_ink(made) -> None:
    metrics = collect(made).metrics
    first, again = draw_curves(metrics), draw_curves(metrics)
    assert first == again
    assert [chart.metric for chart in first] == [
        "loss",
        "mean_token_accuracy",
        "learning_rate",
        "grad_norm",
    ]
    for chart in first:
        assert "currentColor" in chart.svg
        assert ">step</text>" in chart.svg
        assert "://" not in chart.svg
    assert "sft, held out</text>" in first[0].svg


def test_what_never_changed_is_a_number_and_a_single_point_is_seen() -> None:
    steps = [{"stage": "sft", "step": step, "lr": 0.02, "loss": 1.0 / step} for step in (1, 2, 4)]
    loss, rate = draw_curves([{"stage": "before", "step": 0, "loss": 2.0}, *steps])
    assert (rate.svg, rate.words) == ("", "0.02 throughout")
    assert loss.words == "before: 2 at step 0; sft: 1 at step 1 → 0.25 at step 4"
    assert "<use" in loss.svg  # the marker of the single point


def test_the_beginning_of_a_report_says_before_and_after(made) -> None:
    html = (made / "report.html").read_text()
    hero = html[html.index('class="hero') : html.index("<nav>")]
    assert hero.index("before") < hero.index("after sft") and "Against minimax" in hero
    assert "a random player" not in hero and "<svg" in hero


def test_metrics_that_are_not_numbers_are_left_out() -> None:
    rows = [
        {"stage": "sft", "step": 1, "loss": None, "note": "x", "ok": True, "acc": 0.5},
        {"stage": "sft", "step": 2, "loss": math.nan, "acc": 0.6, "once": 1},
        {"stage": "sft", "acc": 9.0},
    ]
    assert collect_series(rows) == {"acc": {"sft": [(1.0, 0.5), (2.0, 0.6)]}}


# In a real browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path")
ACT = """<script>
addEventListener("load", () => {
  document.getElementById("next").click();
  document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
  document.getElementById("slider").value = 4;
  document.getElementById("slider").dispatchEvent(new Event("input"));
  document.getElementById("previous").click();
});
</script>"""


def dom(page: Path, address: str, tmp_path: Path) -> str:
    """The page after its scripts have run."""
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000")
    done = subprocess.run(
        [
            str(CHROMIUM),
            *flags,
            f"--user-data-dir={tmp_path}/chromium",
            "--dump-dom",
            page.as_uri() + address,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


@pytest.mark.browser
@needs_chromium
def test_a_browser_steps_to_the_place_in_the_address(made, tmp_path) -> None:
    page = dom(made / "report.html", "#game=2&turn=3", tmp_path)
    assert "step 3 of" in page
    board = page[page.index('id="board"') : page.index('class="controls"')]
    assert board.count('class="cell') == 9
    assert board.count(" changed") == 1
    assert "Turn 3" in page[page.index('id="words"') :]
    shown = games_of((made / "report.html").read_text())[1]["steps"][3]["says"][0]["reply"]
    assert f'<div class="said">{shown}</div>' in page


@pytest.mark.browser
@needs_chromium
def test_buttons_keys_and_slider_step_and_hostile_text_does_not_run(run, tmp_path) -> None:
    path = run / AFTER / "episodes.jsonl"
    write_episodes(path, [_hostile(episode) for episode in read_episodes(path)])
    html = html_of(run)
    last = len(games_of(html)[0]["steps"]) - 1
    assert f"step {last} of {last}" in dom(run / "report.html", "", tmp_path)
    driven = run / "driven.html"
    without_policy = re.sub(r"<meta http-equiv[^>]*>", "", html)
    driven.write_text(without_policy.replace("</body>", ACT + "</body>"))
    page = dom(driven, "", tmp_path)
    assert "step 3 of" in page
    assert "<img" not in page
    assert page.count("<script") == 3
    assert "alert(1)" in page[page.index('id="words"') :]
