"""Other people's bytes as text: UTF-8, what Windows writes (UTF-16, cp1252), and what is no text.

Archives are told from text by how they begin, so that they are refused in words instead of being
read as rubbish.
"""

import codecs
import io
from typing import IO

HEAD = 4096  # bytes that show UTF-16 without a mark, and archives
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ARCHIVES = (
    (0, b"PK\x03\x04", "zip archive (or an office file)"),
    (0, b"PK\x05\x06", "zip archive (or an office file)"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z archive"),
    (0, b"Rar!\x1a\x07", "rar archive"),
    (0, b"\xfd7zXZ\x00", "xz file"),
    (0, b"BZh", "bzip2 file"),
    (0, b"\x28\xb5\x2f\xfd", "zstd file"),
    (0, b"\x04\x22\x4d\x18", "lz4 file"),
    (257, b"ustar", "tar archive"),
)
UNPACK = "unpack it, and name the folder with what was in it"


def archive_in(head: bytes) -> str:
    """What kind of archive begins so, "" for none. `head` is at least the first 262 bytes. Gzip is
    none: readers unpack it themselves."""
    return next((name for at, mark, name in _ARCHIVES if head.startswith(mark, at)), "")


def wide_encoding(head: bytes) -> str:
    """The encoding of a text that is no UTF-8, as its beginning shows it: by its mark, or by the
    zeros that letters have there; "" for none."""
    if name := next((name for mark, name in _MARKS if head.startswith(mark)), ""):
        return name
    even, odd = head[0:HEAD:2], head[1:HEAD:2]
    if len(odd) < 4:
        return ""
    zeros = even.count(0) / len(even), odd.count(0) / len(odd)
    if max(zeros) > 0.4 and min(zeros) < 0.05:
        return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
    return ""


def decode(data: bytes) -> tuple[str, str]:
    """(text, encoding): UTF-8, with or without a mark, UTF-16, else cp1252. Raises
    UnicodeDecodeError, of UTF-8, for what is none of them."""
    if wide := wide_encoding(data[:HEAD]):
        return data.decode(wide), wide
    try:
        return data.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError as error:
        try:
            if b"\x00" not in data:
                return data.decode("cp1252"), "cp1252"
        except UnicodeDecodeError:
            pass
        raise error


class AsUtf8(io.RawIOBase):
    """A binary file in another encoding, read as UTF-8 piece by piece."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        self._file, self._encoding = file, encoding
        self._start()

    def _start(self) -> None:
        self._decoder = codecs.getincrementaldecoder(self._encoding)()
        self._left = b""

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        """Fill the buffer with what comes next. Raises UnicodeDecodeError."""
        while not self._left and (data := self._file.read(len(buffer))):
            self._left = self._decoder.decode(data).encode("utf-8", "replace")
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        if not size:
            self._decoder.decode(b"", final=True)
        return size

    def seek(self, offset: int, whence: int = 0) -> int:
        """Back to the beginning; no other place can be found."""
        if offset or whence:
            raise io.UnsupportedOperation("only the beginning can be found again")
        self._start()
        return self._file.seek(0)
