"""A recipe of one's own, made from another: its text with other values, the comments kept."""

import io
import re
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Any

from tesuji.core.files import read_text
from tesuji.recipe.reading.load import recipe_path, resolve
from tesuji.recipe.reading.yaml_lines import dump_yaml, parse_yaml

WIDTH = 100
_INCLUDES = re.compile(r"^include\s*:", re.MULTILINE)


def written(source: str | Path, overrides: Sequence[str] = ()) -> str:
    """The text of a recipe that stands alone and says what `source` says with these changes.
    Comments are kept where the recipe includes no others. Raises RecipeError as loading does,
    except for what only the whole recipe shows."""
    wanted = resolve(source, overrides)
    text = read_text(recipe_path(source))
    if not _INCLUDES.search(text):
        edited = _edited(text, wanted)
        if parse_yaml(edited, str(source))[0] == wanted:
            return edited
    return dump_yaml(wanted)


def _edited(text: str, wanted: dict[str, Any]) -> str:
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt")
    yaml.preserve_quotes, yaml.width = True, WIDTH
    values = yaml.load(text)
    _set(values, wanted)
    out = io.StringIO()
    yaml.dump(values, out)
    return out.getvalue()


def _set(values: MutableMapping[str, Any], wanted: dict[str, Any]) -> None:
    """Give the mapping the wanted values, and leave alone what is the same."""
    for key in [key for key in values if key not in wanted]:
        del values[key]
    for key, value in wanted.items():
        there = values.get(key)
        if isinstance(there, MutableMapping) and isinstance(value, dict):
            _set(there, value)
        elif key not in values or there != value:
            values[key] = value
