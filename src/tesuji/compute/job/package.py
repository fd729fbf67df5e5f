"""What is shipped to another machine: the resolved recipe, the files it reads, this very version of
Tesuji as a wheel, and the versions of everything it stands on here.

    package/
      recipe.yaml       loading it here or there gives the same recipe
      remote.json       what the other side has to do (remote.py)
      files/ ...        what the recipe reads; what lay below this folder keeps its path
      constraints.txt   the versions of this environment
      tesuji-0.1.0-py3-none-any.whl
"""

import hashlib
import re
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import tesuji
from tesuji.compute.job.wheel import write_wheel
from tesuji.compute.remote import RECIPE
from tesuji.core.errors import RecipeError
from tesuji.core.files import discard, write_text
from tesuji.recipe.reading.load import dump_recipe
from tesuji.recipe.reading.yaml_lines import dump_yaml
from tesuji.recipe.schema.recipe import Recipe

CONSTRAINTS, OUTSIDE = "constraints.txt", "inputs"
FILE_KEYS = frozenset(("paths", "data", "base", "critic", "model", "prompts"))
NOT_FILES = frozenset(("engine_python",))  # a program of this machine, of no use on another
VLLM = "0.32.0"  # the version that Tesuji was run with
ALWAYS_LEFT = frozenset((".git", ".venv", "__pycache__", ".env"))
NOT_SHIPPED = frozenset(("dev", "docs", "modal", "runpod", "optuna", "tensorboard"))


def make_package(recipe: Recipe, folder: Path, here: Path) -> dict[str, str]:
    """Write the package into `folder`, afresh; the versions it holds, for the job. `here` is what
    the recipe's relative paths are relative to. Raises RecipeError where a file it reads is called
    like a file with secrets."""
    if folder.exists():
        discard(folder)
    folder.mkdir(parents=True)
    values = recipe.model_dump(mode="json")
    moved = dict(_ship(values, here.resolve(), folder))
    text = dump_yaml(_replaced(values, moved)) if moved else dump_recipe(recipe)
    write_text(folder / RECIPE, text)
    write_text(folder / CONSTRAINTS, "\n".join(constraints()) + "\n")
    wheel = write_wheel(Path(tesuji.__file__).parent, folder)
    return {
        "tesuji": metadata.version("tesuji"),
        "code": hashlib.sha256(wheel.read_bytes()).hexdigest()[:12],
        "wheel": wheel.name,
        "extras": ",".join(extras(recipe)),
        "vllm": VLLM if _starts_vllm(recipe) else "",
    }


def inputs(recipe: Recipe) -> list[Path]:
    """The files and folders on this machine that the recipe reads."""
    return list(dict.fromkeys(Path(text) for text in _named(recipe.model_dump(mode="json"))))


def constraints() -> list[str]:
    """`name==version` for all of this environment, so that the other side computes the same."""
    kept = {
        f"{_plain(found.name)}=={found.version.partition('+')[0]}"
        for found in metadata.distributions()
        if found.name and _plain(found.name) != "tesuji"
    }
    return sorted(kept)


def extras(recipe: Recipe) -> list[str]:
    """Tesuji's extras that are whole here and may be needed there."""
    asked = {"deepspeed": _zero(recipe), "ray": recipe.rollouts.engine == "ray"}
    asked |= {name: name in recipe.report_to for name in ("wandb", "trackio", "tensorboard")}
    offered = metadata.metadata("tesuji").get_all("Provides-Extra") or []
    return [
        name
        for name in offered
        if asked.get(name, name not in NOT_SHIPPED) and (name in asked or _is_whole(name))
    ]


def _starts_vllm(recipe: Recipe) -> bool:
    """Whether the run starts a vLLM server, which has to be installed there."""
    return recipe.sampling.engine == "vllm" and not recipe.sampling.url


def _zero(recipe: Recipe) -> bool:
    return recipe.distributed is not None and recipe.distributed.strategy.startswith("zero")


def _is_whole(extra: str) -> bool:
    """Whether all that an extra names is installed here."""
    for line in metadata.requires("tesuji") or []:
        if re.search(rf"extra\s*==\s*[\"']{re.escape(extra)}[\"']", line):
            try:
                metadata.version(re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0])
            except metadata.PackageNotFoundError:
                return False
    return True


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _named(values: Any, key: str = "") -> Iterator[str]:
    """The texts in a recipe that name something that is on this disk."""
    if isinstance(values, dict):
        for name, value in values.items():
            if name not in NOT_FILES:
                yield from _named(value, name)
    elif isinstance(values, list):
        for value in values:
            yield from _named(value, key)
    elif isinstance(values, str) and values and _is_file(values, key):
        yield values


def _is_file(text: str, key: str) -> bool:
    if key not in FILE_KEYS and "/" not in text:
        return False
    try:
        return Path(text).exists()
    except (OSError, ValueError):
        return False


def _ship(values: Any, here: Path, folder: Path) -> Iterator[tuple[str, str]]:
    """Copy what the recipe reads; (its name here, its name there) where these differ."""
    for number, text in enumerate(dict.fromkeys(_named(values))):
        path = Path(text)
        if path.name in ALWAYS_LEFT:
            raise RecipeError(f"{text} is never shipped: it holds secrets or tools, not data")
        inside = not path.is_absolute() and (here / path).resolve().is_relative_to(here)
        named = path.as_posix() if inside and ".." not in path.parts else ""
        place = named or f"{OUTSIDE}/{number:02}-{path.resolve().name}"
        _copy(path, folder / place)
        if place != text:
            yield text, place


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir():
        left = shutil.ignore_patterns(*ALWAYS_LEFT)
        shutil.copytree(path, target, ignore=left, dirs_exist_ok=True)
    else:
        shutil.copy2(path, target)  # its time, too: a run's keys have it


def _replaced(values: Any, moved: dict[str, str]) -> Any:
    if isinstance(values, dict):
        return {key: _replaced(value, moved) for key, value in values.items()}
    if isinstance(values, list):
        return [_replaced(value, moved) for value in values]
    return moved.get(values, values) if isinstance(values, str) else values
