"""Runs as processes of their own, started and stopped from the pages.

Such a process has a session of its own and goes on when the server ends. What it says stands in
`console.log` of its run folder; `.started.json` beside it says which process it is and when that
began, so that another server of the same folder can stop it, too, and never another process.
"""

import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tesuji.core.errors import DataError
from tesuji.core.files import read_json, unwritable, write_json
from tesuji.core.redact import redact
from tesuji.core.run_folder import RunFolder, at_work
from tesuji.recipe.reading.load import load_recipe
from tesuji.serve.ui.house import House

LOG = "console.log"
STARTED = ".started.json"
BOOT = Path("/proc/sys/kernel/random/boot_id")
KEPT_BACK = ("TESUJI_UI_KEY",)  # what is the server's own
OWN_FILE = (
    os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
)  # no link, no pipe
_starting = threading.Lock()
_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True, slots=True)
class Doing:
    """Who is at work in a run: the process that holds its folder, and the one that these pages
    started; either may be None. Before a run has its folder there is only the latter."""

    holder: int | None
    ours: int | None

    @property
    def anybody(self) -> bool:
        """Whether the run is under way."""
        return self.holder is not None or self.ours is not None

    @property
    def may_stop(self) -> bool:
        """Whether what is at work was started from these pages."""
        if self.ours is None or self.holder is None:
            return self.ours is not None
        return _is_below(self.holder, self.ours)


def start(house: House, recipe: Path) -> str:
    """Start `tesuji run` on a recipe's file, into `house.runs`, and return the run's name; what is
    done there already is not done again.

    Raises RecipeError for what is no recipe, DataError where that run is under way or its folder
    cannot be written. Nothing is started or changed then.
    """
    name = load_recipe(recipe).name
    folder = house.runs / name
    with _starting:
        if doing(folder).anybody:
            raise DataError(f"{name} is running already", hint="stop it first, or wait for it")
        RunFolder(folder).refuse_unusable()
        _start(recipe.absolute(), folder)
    return name


def resume(house: House, run: str) -> str:
    """Go on with a run, by the recipe that lies in its folder. Raises as `start` does, and
    DataError where that recipe would run in another folder."""
    recipe = house.file(run, "recipe.yaml")
    if (name := load_recipe(recipe).name) != run:
        raise DataError(
            f"its recipe is called {name!r} and would go on in a folder of that name",
            where=f"{run}/recipe.yaml",
            hint=f"rename this folder to {name}, or `name` in its recipe to {run}",
        )
    return start(house, recipe)


def stop(folder: Path) -> None:
    """Ask a run that was started from these pages to stop, as Ctrl-C does. Raises DataError where
    nobody is at work in it, or somebody else is."""
    now = doing(folder)
    if not now.anybody:
        raise DataError("nobody is at work in this run")
    if not now.may_stop or now.ours is None:
        raise DataError(
            "this run was not started from these pages",
            hint=f"press Ctrl-C where it was started, or: kill -INT {now.holder}",
        )
    with suppress(ProcessLookupError):  # it has ended by itself
        os.killpg(now.ours, signal.SIGTERM if _deaf(now.ours) else signal.SIGINT)


def doing(folder: Path) -> Doing:
    """Who is at work in a run folder now."""
    return Doing(at_work([folder]).get(folder), _ours(folder))


def was_started(folder: Path) -> bool:
    """Whether the folder is of a run that was started from here, though it may have no manifest
    yet."""
    return (folder / STARTED).is_file()


def _start(recipe: Path, folder: Path) -> None:
    command = ["tesuji", "run", str(recipe), "--runs", str(folder.parent.absolute())]
    environment = {key: value for key, value in os.environ.items() if key not in KEPT_BACK}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(folder / LOG, OWN_FILE, 0o644), "ab") as log:
            now = time.strftime("%Y-%m-%d %H:%M:%S")
            log.write(redact(f"--- {now} {shlex.join(command)}\n").encode(errors="replace"))
            log.flush()
            child = subprocess.Popen(
                [sys.executable, "-m", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**environment, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )
    except OSError as error:
        raise unwritable(folder, error) from error
    _children.append(child)
    write_json(folder / STARTED, {"pid": child.pid, **_birth(child.pid)})


def _ours(folder: Path) -> int | None:
    """The process that these pages started on this folder, if it still runs."""
    for child in [child for child in _children if child.poll() is not None]:
        with suppress(ValueError):
            _children.remove(child)
    try:
        noted: Any = read_json(folder / STARTED) if was_started(folder) else None
    except DataError:
        return None
    pid = noted.get("pid") if isinstance(noted, dict) else None
    if type(pid) is not int or pid < 2 or not (birth := _birth(pid)):
        return None
    return pid if noted == {"pid": pid, **birth} else None


def _birth(pid: int) -> dict[str, Any]:
    """What tells a process from any other that ever had its number; empty for one that is over."""
    words = _stat(pid)
    if not words or words[0] in "ZX":
        return {}
    return {"ticks": int(words[19]), "boot": BOOT.read_text().strip()}


def _stat(pid: int) -> list[str]:
    """What the kernel says of a process, from its state on; nothing where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _is_below(pid: int, above: int) -> bool:
    """Whether a process is another one, or was started by it or by what it started."""
    while pid > 1:
        if pid == above:
            return True
        words = _stat(pid)
        pid = int(words[1]) if words else 0
    return False


def _deaf(pid: int) -> bool:
    """Whether a process ignores SIGINT: children of a shell's background do."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("SigIgn:"):
                return bool(int(line.split()[1], 16) >> (signal.SIGINT - 1) & 1)
    return False
