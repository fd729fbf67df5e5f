"""Opening a file of somebody else's: unpacked, as UTF-8, and never more of it than there can be.

What is no text to be read (an archive, a folder, a pipe) and what unpacks to far more than it is
are refused with a reason.
"""

import gzip
import io
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO

from tesuji.core.encodings import HEAD, UNPACK, AsUtf8, archive_in, decode, wide_encoding

MOST_WHOLE = 64 << 20  # bytes of a file, or of a line, read at once
MOST_VALUES = 2_000_000  # in one piece; each takes a hundred bytes of memory and more
RATIO = 250  # times its size that a file larger than `MOST_WHOLE` may unpack to; logs: 10 to 60
GZIP = b"\x1f\x8b"
Note = Callable[[str], None]


class Bad(Exception):
    """What is wrong with a file or a line: `reason` in a word, `detail` in a sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def check_is_file(path: Path) -> None:
    """A pipe would be waited for, and a folder is no file. Raises Bad."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode) and path.is_symlink():
        raise Bad("link_to_folder", "links are not followed; name the folder itself")
    if stat.S_ISDIR(mode):
        raise Bad("unreadable", "a folder that cannot be opened")
    if not stat.S_ISREG(mode):
        raise Bad("not_a_file", "neither a file nor a folder")


def suffix_of(path: Path) -> str:
    """What the file is called after, `.gz` left out."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return ([one for one in suffixes if one != ".gz"][-1:] or [""])[0]


def opened(raw: IO[bytes], path: Path, note: Note) -> IO[bytes]:
    """A file as it is to be read: unpacked, texts as UTF-8. Raises Bad for an archive."""
    head = raw.read(HEAD)
    raw.seek(0)
    file: IO[bytes] = raw
    if head.startswith(GZIP) or path.suffix.lower() == ".gz":
        file = io.BufferedReader(_Unpacked(raw))
        head = file.read(HEAD)
        file.seek(0)
    if kind := archive_in(head):
        raise Bad("archive", f"a {kind}: {UNPACK}")
    if suffix_of(path) != ".parquet" and (wide := wide_encoding(head)):
        note(f"read_as_{wide[:6].replace('-', '')}")
        return io.BufferedReader(AsUtf8(file, wide))
    return file


class _Unpacked(io.RawIOBase):
    """A gzipped file, as long as it unpacks to no more than real files do."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._file = gzip.GzipFile(fileobj=raw)
        self._most = max(MOST_WHOLE, RATIO * os.fstat(raw.fileno()).st_size)

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes, by unpacking anew."""
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        """Fill the buffer with what comes next. Raises Bad."""
        size = self._file.readinto(buffer)
        if self._file.tell() > self._most:
            raise Bad("too_large", f"it unpacks to more than {RATIO} times its size")
        return size

    def seek(self, offset: int, whence: int = 0) -> int:
        """As of any file."""
        return self._file.seek(offset, whence)


def text_of(data: bytes, note: Note) -> str:
    """Bytes that are no JSON as text. Raises UnicodeDecodeError."""
    text, encoding = decode(data)
    if encoding != "utf-8":
        note(f"read_as_{encoding[:6].replace('-', '')}")
    return text


def no_text(error: UnicodeDecodeError) -> str:
    """What is wrong with bytes that are no text."""
    return f"byte {error.start} is neither UTF-8 nor cp1252"
