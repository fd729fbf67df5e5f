"""The catalogue and the doctor, asked over HTTP and looked at in a browser."""

from typing import Any

import pytest
from ui_site import Site, fits, serious_findings


def test_the_catalogue_is_narrowed(site: Site) -> None:
    with site.client() as client:
        everything = client.get("/games", params={"all": "1"}).text
        assert "/games/tic_tac_toe" in everything and "/games/kuhn_poker" in everything
        hidden = client.get("/games", params={"match": "poker", "information": "imperfect"}).text
        assert "/games/kuhn_poker" in hidden and "/games/tic_tac_toe" not in hidden
        three = client.get("/games", params={"match": "tic_tac_toe", "players": "3"}).text
        assert "0 games" in three
        part = client.get("/games", params={"match": "chess"}, headers={"HX-Request": "true"}).text
        assert "<html" not in part and "/games/chess" in part


def test_a_game_has_its_rules_and_a_match(site: Site) -> None:
    with site.client() as client:
        page = client.get("/games/tic_tac_toe").text
        assert "three marks in a row" in page and "Returns: x" in page
        assert "plays" in client.get("/games/SecretMafia-v0").text
        unknown = client.get("/games/tic_tac_to")
        assert unknown.status_code == 404 and "tic_tac_toe" in unknown.text


def test_the_doctor_finds_what_the_command_finds(site: Site) -> None:
    found = site.client().get("/doctor/findings").text
    assert "pyspiel" in found and "torch" in found
    assert site.client().get("/doctor?purpose=nothing").status_code == 400


@pytest.mark.parametrize("address", ["/games", "/games/tic_tac_toe", "/doctor"])
def test_looked_at(site: Site, looked_at: Any, address: str) -> None:
    looked_at.goto(site.url + address)
    looked_at.wait_for_load_state("networkidle")
    assert fits(looked_at)
    assert serious_findings(looked_at) == []


def test_the_list_follows_what_is_typed(site: Site, looked_at: Any) -> None:
    looked_at.goto(f"{site.url}/games")
    looked_at.get_by_label("Name").press_sequentially("leduc")
    looked_at.get_by_role("link", name="leduc_poker", exact=True).wait_for()
    assert looked_at.get_by_role("link", name="kuhn_poker").count() == 0
