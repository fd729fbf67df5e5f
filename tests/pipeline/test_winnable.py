"""What goes by success is refused for games of one seat that know none, before anything runs."""

from typing import Any

import pytest
from made_recipes import recipe_of

from tesuji.core.errors import RecipeError
from tesuji.pipeline.checks.recipe import check

EASY = [{"name": "easy", "threshold": 0.5, "window": 4}]


@pytest.mark.parametrize(
    ("key", "value"), [("curriculum", EASY), ("failure_replay", {"share": 0.3})]
)
def test_nothing_to_go_by_is_refused(key: str, value: Any) -> None:
    recipe = recipe_of("grpo", "stones_and_gems", play={key: value})
    with pytest.raises(RecipeError, match="nothing says of a match of stones_and_gems") as caught:
        check(recipe)
    assert caught.value.where == f"stages.rl.play.{key}"
    assert key in caught.value.hint
    check(recipe_of("grpo", "catch", play={key: value}))
