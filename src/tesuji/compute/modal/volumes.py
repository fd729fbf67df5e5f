"""An experiment's two volumes: `tesuji-cache-WHO-WHAT` at /cache for models that were loaded, and
`tesuji-outputs-WHO-WHAT` at /outputs for what its jobs make."""

import getpass
import hashlib
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import modal
from modal.types import FileEntryType

from tesuji.compute.base import PREFIX, Wish
from tesuji.compute.modal.errors import speaking
from tesuji.core.errors import ComputeError
from tesuji.core.files import atomic_path

CACHE, OUTPUTS = "/cache", "/outputs"
LONGEST = 63  # characters of a volume's name, by Modal's rule
ALLOWED = re.compile(r"[A-Za-z0-9_.]+")
ALLOWED_WHAT = re.compile(r"[A-Za-z0-9_.-]+")
SMALL = 2**20  # bytes; smaller files are always read again
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Names:
    """What an experiment's volumes are called."""

    cache: str
    outputs: str


def names(wish: Wish, run: str, environment: Mapping[str, str] | None = None) -> Names:
    """By who experiments and on what: the options `experimenter` and `experiment`, else
    EXPERIMENTER and EXPERIMENT_NAME, else the user here and the run's name. No two experiments
    have the same: WHO has no hyphen. Raises ComputeError for a name that cannot be one.
    """
    known = os.environ if environment is None else environment
    who = wish.options.get("experimenter") or known.get("EXPERIMENTER")
    what = wish.options.get("experiment") or known.get("EXPERIMENT_NAME")
    who = _fitting(getpass.getuser(), 16, "_") if who is None else who
    what = _fitting(run, 28, "-") if what is None else what
    _refuse("experimenter", who, ALLOWED, "letters, digits, _ and . (no hyphen)")
    _refuse("experiment", what, ALLOWED_WHAT, "letters, digits, _, . and -")
    found = Names(f"{PREFIX}cache-{who}-{what}", f"{PREFIX}outputs-{who}-{what}")
    if len(found.outputs) > LONGEST:
        raise ComputeError(
            f"the volume's name {found.outputs} is longer than {LONGEST} characters",
            where="experiment",
            hint="a shorter --option experiment=NAME, or experimenter=NAME",
        )
    return found


def _fitting(text: str, longest: int, filler: str) -> str:
    """The text as a name; one that had to be changed ends in a digest, so that it stays another."""
    plain = re.sub(r"[^A-Za-z0-9_.]+" if filler == "_" else r"[^A-Za-z0-9_.-]+", filler, text)
    if plain == text and len(text) <= longest:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:6]
    return plain[: longest - 7].strip("-_.") + filler + digest


def _refuse(key: str, name: str, allowed: re.Pattern[str], words: str) -> None:
    if not allowed.fullmatch(name):
        raise ComputeError(
            f"{name!r} cannot be part of a volume's name", where=key, hint=f"allowed are {words}"
        )


def opened(name: str, *, make: bool = False) -> modal.Volume:
    """The volume of that name; with `make`, a new one where there is none."""
    return modal.Volume.from_name(name, create_if_missing=make, version=2)


def read(volume: modal.Volume, path: str) -> bytes | None:
    """A file's content as last committed, or None where there is no such file."""
    with speaking("reading the volume"):
        try:
            return b"".join(volume.read_file(path))
        except (FileNotFoundError, modal.exception.NotFoundError):
            return None


Seen = dict[str, list[int]]


def bring(volume: modal.Volume, place: str, folder: Path, seen: Seen) -> Seen:
    """The files below `place` into `folder`, each whole; what was brought before and is gone there
    is removed here. Large files that `seen` has with that time and size are not read again; what
    is seen now comes back."""
    with speaking("listing the volume"):
        try:
            entries = list(volume.listdir(place, recursive=True))
        except (FileNotFoundError, modal.exception.NotFoundError):
            return seen
    files = {
        entry.path.removeprefix(place + "/"): [entry.mtime, entry.size]
        for entry in entries
        if entry.type == FileEntryType.FILE
    }
    for name in set(seen) - set(files):
        (folder / name).unlink(missing_ok=True)
    wanted = [name for name, stamp in files.items() if _is_new(folder / name, stamp, seen, name)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda name: _bring(volume, f"{place}/{name}", folder, name), wanted))
    return files


def _is_new(path: Path, stamp: list[int], seen: Seen, name: str) -> bool:
    return stamp[1] < SMALL or seen.get(name) != stamp or not path.exists()


def _bring(volume: modal.Volume, place: str, folder: Path, name: str) -> None:
    if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
        raise ComputeError(f"the volume has a file called {name!r}", where="fetching")
    with suppress(_GoneError), atomic_path(folder / name) as part, speaking(f"fetching {name}"):
        try:
            with part.open("wb") as file:
                volume.read_file_into_fileobj(place, file)
        except (FileNotFoundError, modal.exception.NotFoundError):
            raise _GoneError from None


class _GoneError(Exception):
    """A file was removed there while it was to be read."""
