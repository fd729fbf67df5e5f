"""Folders that say what they should hold: a list of checksums, written last.

    checkpoint-100/
      model.safetensors, optimizer.pt, ...
      checksums.json      the SHA-256 of every other file

A folder that was cut short, or changed on the disk, is told from a sound one. One without the list
(written by something else, or before there were lists) is sound where its files are as long as they
say themselves.
"""

import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open

from tesuji.core.errors import DataError
from tesuji.core.files import HALF, discard, keep_aside, read_json, write_json

CHECKSUMS = "checksums.json"
CARD = "README.md"  # written anew as more is known of the model: in no list


def seal(folder: Path) -> None:
    """Write the list, once every file of the folder is on the disk."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in (CHECKSUMS, CARD))
    write_json(folder / CHECKSUMS, {str(p.relative_to(folder)): _digest(p) for p in files})


@contextmanager
def sealed_folder(target: Path) -> Iterator[Path]:
    """An empty folder that is sealed, and takes the place of `target`, once it has been filled."""
    aside = target.with_name(f".{target.name}{HALF}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    yield aside
    seal(aside)
    discard(target)
    aside.rename(target)


def damage(folder: Path) -> str:
    """What is wrong with the folder, in words; "" where nothing is."""
    path = folder / CHECKSUMS
    if not path.exists():
        return next((f"{p.name} was cut short" for p in sorted(folder.glob("*")) if _is_cut(p)), "")
    try:
        listed = dict(read_json(path))
    except (DataError, TypeError, ValueError):
        return f"{CHECKSUMS} cannot be read"
    listed.pop(CARD, None)
    for name, digest in listed.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if _digest(folder / name) != digest:
            return f"{name} was cut short or changed after it was saved"
    return ""


def _is_cut(path: Path) -> bool:
    """Whether a file of weights or states ends before it says it does; False of other files.

    A safetensors file begins with the length of its JSON header, which says where each tensor ends;
    what torch saves is a ZIP archive, whose table of contents stands last.
    """
    if not path.is_file():
        return False
    if path.suffix in (".pt", ".pth"):
        return not zipfile.is_zipfile(path)
    if path.suffix != ".safetensors":
        return False
    try:
        with safe_open(path, framework="numpy"):
            return False
    except SafetensorError:
        return True


def is_whole(folder: Path) -> bool:
    """Whether every file of the list is there, whatever is in it."""
    path = folder / CHECKSUMS
    try:
        return all((folder / name).is_file() for name in read_json(path)) if path.exists() else True
    except (DataError, TypeError):
        return False


def set_aside_damaged(newest_first: Iterable[Path], say: Callable[[str], None]) -> None:
    """Rename damaged folders to `damaged-NAME~1`, down to the first sound one, and tell it."""
    for folder in newest_first:
        if not (problem := damage(folder)):
            return
        aside = keep_aside(folder, "damaged-")
        say(f"{folder.name} is damaged ({problem}): kept as {aside.name}, and not gone on from")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()
