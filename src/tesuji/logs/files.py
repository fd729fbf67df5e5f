"""The files under some paths, in order; none is passed over in silence."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from tesuji.core.files import unreadable

OUTPUTS = ("episodes.jsonl", "pairs.jsonl", "quarantine.jsonl")
SUMMARY = "import_summary.json"
Named = tuple[Path, str]  # a file, and what it is called in messages


def files(paths: Sequence[Path], out: Path) -> Iterator[Named]:
    """Every file with the name it is called by: from the folder's own name on. Links to folders
    are not followed, so that no loop can be walked: they are refused as files."""
    seen: set[str] = set()
    for file, name in _named(paths, out):
        real = os.path.realpath(file)
        if file.is_symlink() or real not in seen:  # a file that is named twice is read once
            yield file, name
        seen.add(real)


def _named(paths: Sequence[Path], out: Path) -> Iterator[Named]:
    for path in paths:
        if not path.exists() and not path.is_symlink():
            raise unreadable(path, FileNotFoundError(2, "no such file or folder"))
        if not path.is_dir():
            yield path, _visible(path.name)
            continue
        for file in _under(path, os.path.realpath(out)):
            yield file, _visible(str(file.relative_to(path.parent if path.name else path)))


def _under(path: Path, out: str) -> Iterator[Path]:
    """Every file under a folder, a folder's own first; folders that cannot be opened, and links to
    folders, come as if they were files, so that they are refused with a reason."""
    closed: list[Path] = []
    walk = os.walk(path, onerror=lambda error: closed.append(Path(error.filename)))
    for folder, folders, names in walk:
        links = [name for name in folders if (Path(folder) / name).is_symlink()]
        folders[:] = sorted(set(folders) - set(links))
        if os.path.realpath(folder) == out:
            folders[:] = [name for name in folders if not name.startswith(".parts-")]
            names = [name for name in names if name not in (*OUTPUTS, SUMMARY)]
        yield from (Path(folder) / name for name in sorted([*names, *links]))
    yield from sorted(closed)


def _visible(name: str) -> str:
    """A file's name as text; bytes in it that are no UTF-8 are written as \\xff."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
