"""A ladder that was played, and its matches step by step."""

from pathlib import Path
from typing import Any

import pytest
from ui_site import Site, fits, open_site, serious_findings

from tesuji.core.errors import DataError
from tesuji.episodes.reply_rules import TurnRules
from tesuji.evaluation.matches.ladder import play_ladder
from tesuji.evaluation.matches.ladder_folder import keeping_matches, load_ladder, save_ladder
from tesuji.games.catalogue import load_game
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.search.minimax import MinimaxPlayer
from tesuji.serve.ui.house import House

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run on whose ladder three players met, one of them with a name of script."""
    runs = tmp_path_factory.mktemp("runs")
    run = runs / "one"
    run.mkdir()
    (run / "manifest.json").write_text('{"format": 1, "name": "one", "stages": {}}')
    game = load_game("tic_tac_toe")
    players = {"random": RandomPlayer(), "minimax": MinimaxPlayer(), HOSTILE: RandomPlayer()}
    for name, player in players.items():
        player.name = name
    with keeping_matches(run) as keep:
        ladder = play_ladder(game, players, episodes=20, seed=1, rules=TurnRules(), on_match=keep)
    save_ladder(run, ladder, game, episodes=20, seed=1, temperature=0.0)
    return runs


@pytest.fixture
def site(runs: Path) -> Any:
    with open_site(House(runs)) as opened:
        yield opened


def test_what_was_played_is_read_again(runs: Path) -> None:
    saved = load_ladder(runs / "one")
    assert saved.rungs[0].name == "minimax" and saved.rungs[0].losses == 0
    [met] = [one for one in saved.meetings if (one.one, one.other) == ("random", "minimax")]
    assert met.wins + met.draws + met.losses == 20
    with pytest.raises(DataError):
        load_ladder(runs)


def test_a_ladder_that_fails_leaves_the_one_before(runs: Path, tmp_path: Path) -> None:
    before = (runs / "one" / "ladder" / "episodes.jsonl").read_bytes()
    with pytest.raises(RuntimeError), keeping_matches(runs / "one"):
        raise RuntimeError
    assert (runs / "one" / "ladder" / "episodes.jsonl").read_bytes() == before
    with pytest.raises(RuntimeError), keeping_matches(tmp_path):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_matches_of_two_are_found(site: Site) -> None:
    file = {"file": "ladder/episodes.jsonl"}
    with site.client() as client:
        assert "minimax" in client.get("/ladder").text
        both = client.get("/replay/one", params=file | {"one": "random", "other": "minimax"}).text
        assert "Matches 1 to 12" in both and "Those after" in both
        last = client.get("/replay/one", params=file | {"page": "5"}).text
        assert "Matches 49 to 60" in last and "Those after" not in last
        assert "ladder/episodes.jsonl" in client.get("/replay/one").text
        for path in ("../../secret", "nothing.jsonl"):
            assert client.get("/replay/one", params={"file": path}).status_code in (400, 404)


def test_names_are_texts(site: Site) -> None:
    with site.client() as client:
        for address in ("/ladder", "/replay/one?file=ladder/episodes.jsonl&page=4"):
            page = client.get(address).text
            assert "alert(1)" in page and HOSTILE not in page


@pytest.mark.parametrize("address", ["/ladder", "/replay/one?file=ladder/episodes.jsonl"])
def test_looked_at(site: Site, looked_at: Any, address: str) -> None:
    looked_at.goto(site.url + address)
    assert fits(looked_at)
    assert serious_findings(looked_at) == []


def test_a_step_has_an_address(site: Site, looked_at: Any) -> None:
    looked_at.goto(f"{site.url}/replay/one?file=ladder/episodes.jsonl#game=2&turn=3")
    looked_at.get_by_text("step 3 of").wait_for()
    looked_at.keyboard.press("ArrowRight")
    looked_at.get_by_text("step 4 of").wait_for()
