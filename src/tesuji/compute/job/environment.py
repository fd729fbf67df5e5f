"""What goes into a job's environment: keys from `.env` and from this environment, held in memory
and handed to the machine, never written."""

import os
from collections.abc import Mapping
from pathlib import Path

from tesuji.core.errors import ComputeError, RecipeError
from tesuji.core.redact import hide
from tesuji.recipe.schema.recipe import Recipe

USUAL = ("HF_TOKEN", "WANDB_API_KEY")
OURS = ("MODAL_TOKEN_ID", "MODAL_TOKEN_SECRET", "RUNPOD_API_KEY")  # for this side only
DOTENV = ".env"


def secrets_for(recipe: Recipe, names: list[str], folder: Path) -> dict[str, str]:
    """Name → value: all of `.env` in `folder` but the clouds' own keys, those of the usual ones and
    of the recipe's endpoints that are set here, and those in `names`, which have to be.

    Raises ComputeError where one of `names` is not set. From here on no message shows a value.
    """
    from_file = {name: value for name, value in _dotenv(folder).items() if name not in OURS}
    wanted = [*USUAL, *_endpoint_keys(recipe.model_dump(mode="json")), *names]
    here = {name: os.environ[name] for name in wanted if os.environ.get(name)}
    found = {**from_file, **here}
    if missing := [name for name in names if name not in found]:
        raise ComputeError(
            f"{missing[0]} is not set, neither here nor in {DOTENV}",
            where="--secret",
            hint=f"export {missing[0]}=..., or a line of that form in {DOTENV}",
        )
    hide(found.values())
    return found


def load_own_keys(folder: Path) -> None:
    """Have the clouds' keys of `.env` stand in this process's environment, where none are set."""
    for name, value in _dotenv(folder).items():
        if name in OURS:
            os.environ.setdefault(name, value)


def _dotenv(folder: Path) -> Mapping[str, str]:
    path = folder / DOTENV
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        return {name: value for name, value in dotenv_values(path).items() if value}
    except (OSError, UnicodeError) as error:
        raise RecipeError(f"cannot be read: {error}", where=str(path)) from None


def _endpoint_keys(values: object) -> list[str]:
    """The variables that the recipe's endpoints take their keys from."""
    if isinstance(values, dict):
        own = [values["api_key_env"]] if values.get("api_key_env") else []
        return own + [name for value in values.values() for name in _endpoint_keys(value)]
    if isinstance(values, list):
        return [name for value in values for name in _endpoint_keys(value)]
    return []
