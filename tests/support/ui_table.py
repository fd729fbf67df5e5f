"""A table in a real browser: who sits down, what is pressed."""

import random
from pathlib import Path
from typing import Any

from tiny_models import tiny_policy
from ui_site import Site

SETTLED = ", ".join(f"#table[data-stage={s}]" for s in ("waiting", "over", "broken"))
RECIPE = """name: made
game: {game}
model: {{base: tiny}}
prompt: {{max_length: 900}}
sampling: {{legal_only: {legal}, max_new_tokens: 8}}
stages:
  sft: {{}}
"""
BREAKTHROUGH = "{name: breakthrough, options: {rows: 5, columns: 4}}"


def make_tiny_run(run: Path, game: str, *, legal: bool) -> None:
    """A run whose tiny model has learned nothing yet; `legal`: it can say legal moves only."""
    policy = tiny_policy()
    policy.model.save_pretrained(run / "base")
    policy.tokenizer.save_pretrained(run / "base")
    (run / "manifest.json").write_text("{}")
    (run / "recipe.yaml").write_text(RECIPE.format(game=game, legal=str(legal).lower()))


def sit_down(page: Any, site: Site, game: str, *seats: str, run: str = "") -> None:
    """Choose the game and who plays by the form."""
    page.goto(f"{site.url}/play")
    page.fill("#game", game) if game else page.select_option("#run", run)
    page.get_by_role("button", name="Choose").click()
    for place, seat in enumerate(seats):
        page.fill(f"#other{place}", seat)
    page.fill("#seed", "3")
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_url("**/play/*")


def settled(page: Any) -> str:
    """Wait for one's turn, or for the end."""
    return page.wait_for_selector(SETTLED).get_attribute("data-stage")


def then(page: Any, act: Any) -> None:
    """Do it, and wait until the table has changed."""
    version = page.get_attribute("#table", "data-version")
    act()
    page.wait_for_selector(f"#table:not([data-version='{version}'])")


def press_on_the_board(page: Any, rng: random.Random) -> None:
    """One move: a cell that is one, or the first cell that lights up others and one of those."""
    direct = page.locator(".board button[name=number]")
    if direct.count():
        then(page, lambda: direct.nth(rng.randrange(direct.count())).click())
        return
    steps = page.locator(".board button[data-step]")
    order = list(range(steps.count()))
    rng.shuffle(order)
    for place in order:
        steps.nth(place).click()
        targets = page.locator(".board button.to")
        if targets.count():
            then(page, targets.first.click)
            return
    raise AssertionError("nothing can be pressed")
