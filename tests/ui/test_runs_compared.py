"""Runs beside each other."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from many_runs import make_runs
from ui_site import Site, fits, open_site, serious_findings

from tesuji.serve.ui.house import House
from tesuji.serve.ui.runs import comparing


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    runs = make_runs(tmp_path / "runs", 3)
    recipe = (runs / "run-002" / "recipe.yaml").read_text()
    assert "learning_rate: 0.02" in recipe
    changed = recipe.replace("learning_rate: 0.02", "learning_rate: 0.5")
    (runs / "run-002" / "recipe.yaml").write_text(changed)
    with open_site(House(runs)) as opened:
        yield opened


def test_those_chosen_are_compared_as_the_command_does(site: Site) -> None:
    page = site.client().get("/compare?run=run-000&run=run-001&run=run-002").text
    assert "3 runs of tic_tac_toe" in page and "seeds 0, 1" in page
    assert "stages.sft.learning_rate: 0.5" in page and "minimax" in page
    curves = site.client().get("/compare/curves?run=run-000&run=run-002").json()
    assert curves["charts"][0]["metric"] == "loss" and curves["whole"]
    labels = [line["label"] for line in curves["charts"][0]["lines"]]
    assert "run-000: sft" in labels and "run-002: sft, held out" in labels


def test_fewer_than_two_lead_back_to_the_list(site: Site) -> None:
    with site.client(follow_redirects=True) as client:
        back = client.get("/compare?run=run-001&q=run")
        assert back.status_code == 200 and 'aria-label="Compare run-001" checked' in back.text
        assert client.get("/compare?run=run-001&run=none").status_code == 404
        assert client.get("/compare?run=../x&run=run-001").status_code == 404


def test_other_games_and_too_long_logs_are_refused_in_words(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site.client() as client:
        for file in (site.house.runs / "run-001").glob("stages/*/evaluation.json"):
            file.write_text(json.dumps({**json.loads(file.read_text()), "game": "chess"}))
        answer = client.get("/compare?run=run-000&run=run-001")
        assert answer.status_code == 400 and "different games" in answer.text
        monkeypatch.setattr(comparing, "MOST_LOG", 100)
        answer = client.get("/compare?run=run-000&run=run-002")
        assert answer.status_code == 400 and "tesuji compare" in answer.text


def test_choosing_and_comparing_in_a_browser(site: Site, looked_at: Any) -> None:
    from playwright.sync_api import expect

    looked_at.goto(site.url)
    for name in ("run-000", "run-002"):
        looked_at.get_by_label(f"Compare {name}").check()
    looked_at.get_by_role("button", name="Compare those chosen").click()
    expect(looked_at.locator("figure[data-metric=loss] canvas")).to_be_visible()
    expect(looked_at.locator("figure[data-metric=loss] .legend")).to_contain_text("run-002: sft")
    assert fits(looked_at) and serious_findings(looked_at) == []
