"""A run's report, looked at as a person would."""

from pathlib import Path
from typing import Any

from made_run import make_run
from ui_site import fits, serious_findings

from tesuji.report.page import write_report


def test_looked_at(tmp_path: Path, looked_at: Any) -> None:
    html, _ = write_report(make_run(tmp_path / "made"))
    looked_at.goto(html.as_uri())
    assert fits(looked_at)
    assert serious_findings(looked_at) == []
    for fold in looked_at.locator("summary").all():
        fold.click()
    assert fits(looked_at)
    assert serious_findings(looked_at) == []


def test_a_phone_sees_the_headline_and_a_board_at_its_end(tmp_path: Path, looked_at: Any) -> None:
    html, _ = write_report(make_run(tmp_path / "made"))
    looked_at.goto(html.as_uri())
    box = looked_at.locator("#headline").bounding_box()
    assert box["y"] + box["height"] < 844
    count = looked_at.locator("#count").inner_text().split()
    assert count[1] == count[3]  # step 7 of 7
    for button in looked_at.locator(".controls button").all():
        assert button.bounding_box()["height"] >= 44
