"""Recipes are copied into every run and shared: whatever looks like a secret is refused."""

import re
from collections.abc import Iterator
from typing import Any

from tesuji.core.errors import RecipeError
from tesuji.core.redact import looks_secret, redact
from tesuji.recipe.reading.problems import all_in_one, place
from tesuji.recipe.reading.yaml_lines import KeyPath, Places

SECRET_KEY = re.compile(r"(^|[_-])(token|api[_-]?key|secret|password|passwd)$", re.IGNORECASE)


def refuse_secrets(values: dict[str, Any], places: Places, name: str) -> None:
    """Raise RecipeError that names every key with a secret, and never the secret."""
    problems = [
        RecipeError(
            "this looks like a secret, and recipes are copied and shared",
            where=redact(f"{place(path, places, name)}: {'.'.join(path)}"),
            hint="put it into an environment variable, such as HF_TOKEN or OPENAI_API_KEY",
        )
        for path in _secrets(values, ())
    ]
    if problems:
        raise all_in_one(problems, name)


def _secrets(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            here = (*path, str(key))
            if looks_secret(str(key)):
                yield here
            else:
                yield from _secrets(inner, here)
        return
    named = bool(path) and SECRET_KEY.search(path[-1]) and value not in (None, "", False)
    if named or (isinstance(value, str) and looks_secret(value)):
        yield path
