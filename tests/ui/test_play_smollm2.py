"""A whole match in a real browser against a language model that people trained."""

import random
from pathlib import Path
from typing import Any

import pytest
from ui_site import open_site
from ui_table import RECIPE, press_on_the_board, settled, sit_down

from tesuji.serve.ui.house import House

pytestmark = pytest.mark.slow


def test_a_match_against_a_model_that_people_trained(
    smollm2: Path, tmp_path: Path, browser: Any
) -> None:
    run = tmp_path / "smollm2"
    run.mkdir()
    (run / "manifest.json").write_text("{}")
    recipe = RECIPE.format(game="tic_tac_toe", legal="true").replace("base: tiny", "base: smollm2")
    (run / "recipe.yaml").write_text(recipe)
    page, rng = browser.new_page(), random.Random(1)
    page.set_default_timeout(300_000)
    with open_site(House(tmp_path)) as site:
        sit_down(page, site, "", "person", "run:smollm2", run="smollm2")
        while settled(page) == "waiting":
            press_on_the_board(page, rng)
        assert "Finished by the rules" in page.inner_text("#status")
        assert "Shown to it (user)" in page.text_content(".turns")
    page.close()
