"""Whole matches in a real browser, by clicks and by keys."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from ui_site import Site, fits, open_site, serious_findings
from ui_table import BREAKTHROUGH, make_tiny_run, press_on_the_board, settled, sit_down, then

from tesuji.core.types import Message
from tesuji.players.base import MoveRequest, OneByOne, Reply
from tesuji.serve.ui.house import House
from tesuji.serve.ui.play import choices

HOSTILE = (
    "<img src=x onerror=alert(1)><script>alert(2)</script>\x1b[31m {{ 7*7 }} "
    "hf_abcdefghijklmnopqrst"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """With runs of five games, and one whose model says anything."""
    house = House(tmp_path_factory.mktemp("runs"))
    make_tiny_run(house.runs / "made", "tic_tac_toe", legal=False)
    for game in ("tic_tac_toe", "connect_four", "kuhn_poker", "IteratedPrisonersDilemma-v0"):
        make_tiny_run(house.runs / game, game, legal=True)
    make_tiny_run(house.runs / "breakthrough", BREAKTHROUGH, legal=True)
    with open_site(house) as opened:
        yield opened


@pytest.mark.parametrize(
    ("game", "person"), [("tic_tac_toe", 0), ("connect_four", 1), ("breakthrough", 0)]
)
def test_a_match_against_a_model_on_a_board(
    site: Site, looked_at: Any, game: str, person: int
) -> None:
    page, rng = looked_at, random.Random(person)
    seats = ["person", f"run:{game}"]
    sit_down(page, site, "", *(seats if person == 0 else seats[::-1]), run=game)
    while settled(page) == "waiting":
        press_on_the_board(page, rng)
    assert "Finished by the rules" in page.inner_text("#status")
    assert page.locator(".results tbody tr").count() == 2
    assert fits(page) and serious_findings(page) == []


def test_a_match_against_a_model_with_cards(site: Site, looked_at: Any) -> None:
    page = looked_at
    sit_down(page, site, "", "person", "run:kuhn_poker", run="kuhn_poker")
    assert settled(page) == "waiting"
    assert page.locator(".playing-card.back").count() == 1
    while settled(page) == "waiting":
        then(page, lambda: page.get_by_role("button", name="Bet").click())
    assert page.locator(".playing-card.back").count() == 0
    assert fits(page) and serious_findings(page) == []


def test_a_match_against_a_model_in_words(site: Site, looked_at: Any) -> None:
    page = looked_at
    sit_down(
        page,
        site,
        "",
        "person",
        "run:IteratedPrisonersDilemma-v0",
        run="IteratedPrisonersDilemma-v0",
    )
    while settled(page) == "waiting":
        page.fill("#words", "Let us both say [cooperate]")
        then(page, lambda: page.click("#say button"))
    assert page.locator(".chat li.speech").count() > 1
    assert fits(page) and serious_findings(page) == []


def test_a_match_against_a_model_by_keys_alone(site: Site, looked_at: Any) -> None:
    """Its replies hold no move as a rule: it is asked once more, then the match is lost for it."""
    page = looked_at
    sit_down(page, site, "", "person", "run:made", run="made")
    assert settled(page) == "waiting"
    page.locator(".board button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    focused = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focused) == "row 1, column 1: empty, play x(1,1)"
    then(page, lambda: page.keyboard.press("Enter"))
    settled(page)
    assert page.locator(".turns li").last.inner_text().endswith("x(1,1)")
    assert page.locator("details.said").count() >= 1
    page.locator("details.said summary").first.press("Enter")
    assert "Shown to it" in page.inner_text("details.said[open]")


def test_promotion_asks_which(site: Site, looked_at: Any) -> None:
    page = looked_at
    line = ["a4", "b5", "axb5", "a6", "bxa6", "Nc6", "a7", "Nb8"]
    sit_down(page, site, "chess", "person", "person")
    for words in line:
        settled(page)
        page.fill("#words", words)
        then(page, lambda: page.click("#say button"))
    page.get_by_label("a7: ").click()
    page.get_by_label("b8: ").click()
    assert page.locator(".which button").all_inner_texts()
    then(page, lambda: page.get_by_role("button", name="axb8=N").first.click())
    assert page.get_by_label("b8: ♞ light, just moved").count() == 1


def test_taking_back_and_leaving(site: Site, looked_at: Any) -> None:
    page = looked_at
    sit_down(page, site, "tic_tac_toe", "person", "random")
    settled(page)
    then(page, lambda: page.get_by_label("row 1, column 1").click())
    settled(page)
    then(page, lambda: page.get_by_role("button", name="Take back").click())
    settled(page)
    assert page.locator(".turns li").count() == 0
    page.fill("#words", "the middle")
    page.click("#say button")
    page.wait_for_selector("#problem .problem")
    assert "Not a legal move" in page.inner_text("#problem")
    page.problems.clear()  # the browser logs the refusal
    page.get_by_role("button", name="Leave").click()
    page.wait_for_url("**/play")


class Hostile(OneByOne):
    """Says what would do harm in a page that believed it."""

    name = HOSTILE

    def reply(self, request: MoveRequest) -> Reply:
        prompt = (Message(role="user", content=HOSTILE),)
        return Reply(f"<think>{HOSTILE}</think>{HOSTILE}", prompt=prompt)


def test_what_a_model_says_is_a_text(
    site: Site, looked_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = looked_at
    monkeypatch.setattr(choices, "make_player", lambda section, game: Hostile())
    page.on("dialog", lambda dialog: page.problems.append(dialog.message))
    sit_down(page, site, "tic_tac_toe", "person", "random")
    settled(page)
    then(page, lambda: page.get_by_label("row 0, column 0").click())
    assert settled(page) == "over"
    said = page.locator("details.said")
    assert said.count() == 2
    text = said.first.text_content()
    assert "<img src=x onerror=alert(1)>" in text and "{{ 7*7 }}" in text
    assert "hf_abcdefghij" not in page.content() and "\x1b" not in page.content()
    assert page.locator("main img, main script").count() == 0


def test_the_form_at_both_widths(site: Site, looked_at: Any) -> None:
    looked_at.goto(f"{site.url}/play?run=made")
    assert fits(looked_at) and serious_findings(looked_at) == []
    assert looked_at.locator("#seat1").input_value() == "run:made"
    assert "the run is not finished" in looked_at.inner_text("main")


def test_thinking_is_drawn_when_asked_for(site: Site, looked_at: Any) -> None:
    page = looked_at
    sit_down(page, site, "", "person", "random", run="made")
    settled(page)
    assert page.locator(".chance, .best, .thoughts").count() == 0
    then(page, lambda: page.get_by_role("button", name="Show thinking").click())
    page.wait_for_selector("#table[data-stage=waiting] .thoughts")
    assert page.locator(".chance").count() == 9 and page.locator(".cell.best").count() >= 1
    assert fits(page) and serious_findings(page) == []
    then(page, lambda: page.get_by_role("button", name="Hide thinking").click())
    page.wait_for_selector("#table[data-stage=waiting]")
    assert page.locator(".chance, .best, .thoughts").count() == 0
