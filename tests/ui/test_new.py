"""New run: a shipped recipe with one's own answers, over HTTP and in a browser."""

from pathlib import Path
from typing import Any

import pytest
from ui_site import Site, fits, open_site, serious_findings

from tesuji.recipe.reading.load import load_recipe
from tesuji.serve.ui.house import House

ANSWERS = {"recipe": "tictactoe/tiny", "name": "mine", "stages.sft.max_steps": "7"}


@pytest.fixture
def site(tmp_path: Path) -> Any:
    """A site that writes recipes into a folder of the test."""
    with open_site(House(tmp_path / "runs", recipes=tmp_path)) as opened:
        yield opened


def test_every_shipped_recipe_asks_its_questions(site: Site) -> None:
    with site.client() as client:
        page = client.get("/new").text
        assert "tictactoe/tiny" in page and "mafia/sft-dpo" in page
        mafia = client.get("/new", params={"recipe": "mafia/sft-dpo"}).text
        assert 'name="stages.logs.paths" value="[raw_logs]"' in mafia
        assert 'name="game"' not in mafia


def test_answers_stand_in_the_recipe_with_its_comments(site: Site) -> None:
    text = site.client().post("/new/recipe", data=ANSWERS).text
    assert "max_steps: 7" in text and "name: mine" in text
    assert "# stop as soon as no opponent can beat the greedy policy" in text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"recipe": "../../secret"}, "no recipe of this name"),
        ({"recipe": ""}, "no recipe of this name"),
        ({"name": "../out"}, "name"),
        ({"stages.sft.max_steps": "many"}, "max_steps"),
    ],
)
def test_what_is_not_right_is_told_and_nothing_written(
    site: Site, tmp_path: Path, changed: dict[str, str], words: str
) -> None:
    answer = site.client().post(
        "/new/start", data=ANSWERS | changed, headers={"HX-Request": "true"}
    )
    assert answer.status_code >= 400 and words in answer.text
    assert answer.headers["HX-Retarget"] == "#problem"
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_of_that_name_is_not_overwritten(site: Site, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("name: mine\n")
    answer = site.client().post("/new/start", data=ANSWERS)
    assert answer.status_code == 400 and "another recipe has this name" in answer.text
    assert (tmp_path / "mine.yaml").read_text() == "name: mine\n"


def test_started_it_is_written_and_handed_on_to_be_run(
    site: Site, tmp_path: Path, monkeypatch: Any
) -> None:
    started: list[Path] = []
    monkeypatch.setattr(
        "tesuji.serve.ui.new.routes.start", lambda house, file: started.append(file) or "mine"
    )
    answer = site.client().post("/new/start", data=ANSWERS)
    assert answer.headers["HX-Redirect"] == "/runs/mine"
    assert started == [tmp_path / "mine.yaml"]
    assert load_recipe(started[0]).stages["sft"].max_steps == 7


@pytest.mark.parametrize("address", ["/new", "/new?recipe=tictactoe/tiny"])
def test_looked_at(site: Site, looked_at: Any, address: str) -> None:
    looked_at.goto(site.url + address)
    assert fits(looked_at)
    assert serious_findings(looked_at) == []


def test_the_recipe_follows_the_answers(site: Site, looked_at: Any) -> None:
    looked_at.goto(f"{site.url}/new?recipe=tictactoe/tiny")
    looked_at.get_by_label("seed", exact=True).fill("77")
    looked_at.locator("#recipe", has_text="seed: 77").wait_for()
    looked_at.get_by_label("seed", exact=True).fill("none")
    looked_at.locator("#problem", has_text="seed").wait_for()
    assert "seed: 77" in looked_at.locator("#recipe").inner_text()
    looked_at.problems.clear()  # the browser itself logs an answer of status 400
