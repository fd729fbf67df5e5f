"""A task file for SkyPilot, which rents from some twenty clouds by itself: written, not run.

The keys: https://docs.skypilot.co/en/latest/reference/yaml-spec.html
"""

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tesuji.compute.base import Wish
from tesuji.compute.job.package import CONSTRAINTS, make_package
from tesuji.compute.remote import RECIPE
from tesuji.core.errors import DataError
from tesuji.core.files import write_text
from tesuji.recipe.reading.yaml_lines import dump_yaml
from tesuji.recipe.schema.recipe import Recipe

TASK, PACKAGE = "task.yaml", "package"
PYTHON = "$HOME/tesuji/bin/python"


def write_task(
    recipe: Recipe, wish: Wish, folder: Path, here: Path, secrets: Iterable[str] = ()
) -> Path:
    """Pack the recipe into `folder` and write the task file beside it; its path. `secrets` are
    names: `sky launch --secret NAME` hands them on. Raises DataError where the folder is there."""
    if folder.exists():
        raise DataError("is there already", where=str(folder), hint="remove it, or --out another")
    versions = make_package(recipe, folder / PACKAGE, here)
    write_text(folder / TASK, dump_yaml(task(recipe, wish, versions, secrets)))
    return folder / TASK


def task(
    recipe: Recipe, wish: Wish, versions: dict[str, str], secrets: Iterable[str] = ()
) -> dict[str, Any]:
    """The task: what it needs, how Tesuji is installed there, and the run. `sky` reads it in the
    folder in which it lies."""
    extras = f"[{versions['extras']}]" if versions["extras"] else ""
    wheel = shlex.quote(f"./{versions['wheel']}{extras}")
    named = dict.fromkeys(secrets)
    return {
        "name": recipe.name,
        "workdir": PACKAGE,
        "resources": resources(wish),
        **({"secrets": named} if named else {}),
        "setup": "python3 -m venv $HOME/tesuji\n"
        f"{PYTHON} -m pip install -q -c {CONSTRAINTS} {wheel}\n",
        "run": f"{PYTHON} -m tesuji run {RECIPE} --runs $HOME/runs\n",
    }


def resources(wish: Wish) -> dict[str, Any]:
    """`resources` of the task; what is not asked for is SkyPilot's to choose. The machine goes when
    it has had nothing to do for ten minutes."""
    asked = {
        "infra": wish.options.get("infra", ""),
        "accelerators": f"{wish.gpu}:{wish.count}" if wish.gpu else "",
        "cpus": f"{wish.cpus:g}+" if wish.cpus else "",
        "memory": f"{wish.memory_gb:g}+" if wish.memory_gb else "",
        "disk_size": round(wish.disk_gb),
        "autostop": {"idle_minutes": 10, "down": True},
    }
    return {key: value for key, value in asked.items() if value}
