"""Options of a game as a pydantic model: checked as a recipe's keys are, told in the same words.

class TableOptions(Options):
    players: int = Field(2, ge=2, le=9)
    \"\"\"Seats at the table.\"\"\"

read_options(TableOptions, "holdem", {"players": 10})  # GameError: must be at most 9, not 10
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from tesuji.core.errors import GameError, did_you_mean
from tesuji.recipe.reading.problems import first_problem
from tesuji.recipe.schema.sections import Section


class Options(Section):
    """Base of all options: immutable, strict about unknown keys and other kinds of values."""


Read = TypeVar("Read", bound=Options)


def read_options(model: type[Read], name: str, options: Mapping[str, Any]) -> Read:
    """The options of the game `name`. Raises GameError for the first that is unknown or cannot be;
    its hint is what the option is for, or which there are."""
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        key, what, hint = first_problem(error)
        where = f"game.options.{key}"
        field = model.model_fields.get(key)
        if field is None:
            raise no_option(name, key, list(model.model_fields)) from None
        raise GameError(what, where=where, hint=hint or f"{key}: {field.description}") from None


def no_option(name: str, key: str, known: list[str]) -> GameError:
    """The error for an option that a game does not have."""
    return GameError(
        f"{name} has no option {key!r}",
        where=f"game.options.{key}",
        hint=f"{did_you_mean(key, known)}its options: {', '.join(known) or 'none'}",
    )
