"""A small recipe's text, and what a wrong one is refused with."""

from pathlib import Path

import pytest

from tesuji.core.errors import RecipeError
from tesuji.recipe.reading.load import load_recipe

SMALL = """\
name: small
game: tic_tac_toe
stages:
  data:
  sft:
    epochs: 2
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def error_of(source, overrides=()) -> RecipeError:
    with pytest.raises(RecipeError) as caught:
        load_recipe(source, overrides)
    return caught.value
