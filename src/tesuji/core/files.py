"""Files that are either whole or absent: atomic writes, and JSON lines read with line numbers."""

import contextlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tesuji.core.encodings import HEAD, UNPACK, AsUtf8, archive_in, decode, wide_encoding
from tesuji.core.errors import DataError, TesujiError, nearly

FULL_BELOW = 1 << 20  # bytes
MOST_LINE = 64 << 20  # bytes of one line of JSON
HALF = ".half"  # how the name of a file ends that is still being written


def user_cache() -> Path:
    """Where what can be had again is kept: $TESUJI_CACHE, else `tesuji` in the user's cache
    ($XDG_CACHE_HOME, else ~/.cache)."""
    if own := os.environ.get("TESUJI_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tesuji"


def write_text(path: Path, text: str) -> None:
    """Write aside, fsync, rename: a reader sees the old file or the new one, never a part. Half a
    character (a lone surrogate), which no UTF-8 file can hold, becomes "?".

    Raises DataError when the folder cannot be written or the disk is full.
    """
    with atomic_path(path) as aside:
        aside.write_text(text, encoding="utf-8", errors="replace")


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary sibling of `path` that takes its place when the block ends without an error."""
    aside: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=HALF)
        os.close(handle)
        aside = Path(name)
        yield aside
        sync(aside)
        aside.chmod(0o644)
        aside.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        if aside is not None:
            aside.unlink(missing_ok=True)


def keep_aside(path: Path, prefix: str = "") -> Path:
    """Rename a file or folder to the first free `NAME~1`, `NAME~2`, ..., and return that."""
    number = 1
    while (aside := path.with_name(f"{prefix}{path.name}~{number}")).exists():
        number += 1
    path.rename(aside)
    return aside


def discard(folder: Path) -> None:
    """Remove a folder so that it is never seen half-removed: out of the way first. A kill in the
    midst leaves what `sweep` takes away."""
    if folder.exists():
        half = folder.with_name(f".{folder.name}.old{HALF}")
        shutil.rmtree(half, ignore_errors=True)
        folder.rename(half)
        shutil.rmtree(half, ignore_errors=True)


def sweep(folder: Path, *, deep: bool = True) -> None:
    """Take away what a killed process left half-written in `folder`, and below it if `deep`.
    Nobody else may be writing there."""
    halves = list(folder.glob(f"**/.*{HALF}" if deep else f".*{HALF}"))
    for half in halves:
        if half.is_dir():
            shutil.rmtree(half, ignore_errors=True)
        else:
            half.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Have a file on the disk, whatever happens to the machine."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def unwritable(path: Path, error: OSError) -> DataError:
    """The one message for a file or folder that cannot be written."""
    full = error.errno == 28
    hint = "free some disk space" if full else "choose a folder you may write to"
    return DataError(f"cannot write: {error.strerror or error}", where=str(path), hint=hint)


def unreadable(path: Path, error: OSError) -> DataError:
    """The one message for a file that cannot be read; of one that is not there, what is like it."""
    hint = ""
    if isinstance(error, FileNotFoundError):
        with contextlib.suppress(OSError):
            beside = [file.name for file in path.parent.iterdir() if not file.name.startswith(".")]
            near = nearly(path.name, beside)
            hint = f"did you mean {path.with_name(near[0])}?" if near else ""
    return DataError(f"cannot read: {error.strerror or error}", where=str(path), hint=hint)


@contextlib.contextmanager
def telling_full_disk(folder: Path) -> Iterator[None]:
    """Turn whatever a library raises when the disk under `folder` is full into a DataError.

    torch says "unexpected pos", safetensors and SQLite have words of their own; what they have in
    common is that nothing is left on the disk.
    """
    try:
        yield
    except TesujiError:
        raise
    except Exception as error:
        if shutil.disk_usage(folder).free > FULL_BELOW:
            raise
        hint = "free some disk space; what is finished is kept, and the same command goes on"
        raise DataError("the disk is full", where=str(folder), hint=hint) from error


def write_json(path: Path, value: Any) -> None:
    """Write one JSON document, indented and with its keys in the order given."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read one JSON document; DataError names the file, and the line where it breaks off."""
    if path.is_fifo():  # nobody may ever write into it
        raise DataError("a pipe, not a file", where=str(path))
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"not valid JSON: {error.msg}", where=f"{path}:{error.lineno}") from error
    except RecursionError as error:
        raise DataError("JSON that is nested too deeply", where=str(path)) from error
    except ValueError as error:
        raise DataError("JSON with a number of too many digits", where=str(path)) from error


def read_text(path: Path, *, guess: bool = True) -> str:
    """Read a text file, UTF-8 or what Windows writes; DataError says why it cannot be. Without
    `guess` bytes that are only to be guessed at (cp1252) are refused."""
    try:
        data = path.read_bytes()
        _refuse_archive(data[:HEAD], path)
        text, encoding = decode(data)
        if encoding == "cp1252" and not guess:
            raise DataError("not UTF-8 text", where=str(path))
        return text.replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise DataError("not UTF-8 text", where=str(path)) from error
    except OSError as error:
        raise unreadable(path, error) from error


def _refuse_archive(head: bytes, path: Path) -> None:
    if kind := archive_in(head):
        raise DataError(f"a {kind}, no text", where=str(path), hint=UNPACK)


@cache
def read_beside(module: str, name: str) -> Any:
    """The YAML file `name` that a module (its `__file__`) keeps its texts or tables in."""
    return yaml.safe_load(read_text(Path(module).with_name(name)))


def write_jsonl(path: Path, rows: Iterable[Any]) -> int:
    """Write one JSON document a line, atomically; return how many."""
    count = 0
    with atomic_path(path) as aside, aside.open("w", encoding="utf-8", errors="replace") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def read_jsonl(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield (line number, value); DataError names file and line of what is not JSON."""
    try:
        with path.open("rb") as raw:
            head = raw.read(HEAD)
            _refuse_archive(head, path)
            raw.seek(0)
            wide = wide_encoding(head)
            file = io.BufferedReader(AsUtf8(raw, wide)) if wide else raw
            for number, line in enumerate(iter(lambda: file.readline(MOST_LINE), b""), start=1):
                if len(line) == MOST_LINE:
                    what = f"a line of more than {MOST_LINE >> 20} MB"
                    raise DataError(what, where=f"{path}:{number}")
                if line.strip():
                    yield number, _parse_line(decode(line)[0], path, number)
    except UnicodeDecodeError as error:
        raise DataError("not UTF-8 text", where=str(path)) from error
    except OSError as error:
        raise unreadable(path, error) from error


def _parse_line(line: str, path: Path, number: int) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        problem = (
            "nested too deeply" if deep else getattr(error, "msg", "a number of too many digits")
        )
        raise DataError(f"not valid JSON: {problem}", where=f"{path}:{number}") from error
