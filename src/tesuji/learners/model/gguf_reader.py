"""The reader of the `gguf` package with a bar, and one reading of a file for all of transformers.

    reader = read_gguf(Path("model.gguf"), progress)
    with reading_once(reader):
        AutoTokenizer.from_pretrained(".", gguf_file="model.gguf")

A vocabulary is a hundred thousand strings, each a step in Python: most of the time that such a file
takes. transformers reads it anew for the configuration, the tokenizer and the weights, and sets up
the names of all tensors once a module; inside `reading_once` it gets what is there already.
"""

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGUFReader, GGUFValueType

from tesuji.core.progress import Progress

LONG = 1_000  # elements: a shorter array gets no bar


def read_gguf(file: Path, progress: Progress) -> Any:
    """The file's fields and tensors. Raises whatever the package raises over other bytes."""
    return _Reader(file, progress)


class _Reader(GGUFReader):
    def __init__(self, file: Path, progress: Progress) -> None:
        self._words, self._progress = f"reading {file.name}: vocabulary", progress
        super().__init__(file)

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> Any:
        if raw_type != GGUFValueType.ARRAY or self.byte_order != "I":
            return super()._get_field_parts(orig_offs, raw_type)
        kind, size = self._get(orig_offs, np.uint32), self._get(orig_offs + 4, np.uint64)
        inner, count, start = GGUFValueType(int(kind[0])), int(size[0]), orig_offs + 12
        if inner == GGUFValueType.STRING:
            parts, end = self._strings(start, count)
            places = list(range(3, len(parts) + 2, 2))
        elif inner in self.gguf_scalar_to_np:
            values = self._get(start, self.gguf_scalar_to_np[inner], count)
            if len(values) < count:
                raise IndexError("it ends in an array")
            parts, end = list(values.reshape(-1, 1)), start + int(values.nbytes)
            places = list(range(2, count + 2))
        else:  # arrays in arrays
            return super()._get_field_parts(orig_offs, raw_type)
        types = [GGUFValueType.ARRAY, *([inner] if count else [])]
        return end - orig_offs, [kind, size, *parts], places, types

    def _strings(self, start: int, count: int) -> tuple[list[Any], int]:
        """(the length and the bytes of each, where they end)."""
        raw, parts = self._bytes, list[Any]()
        if count > LONG:
            self._progress.begin(self._words, count)
        for number in range(count):
            size = raw[start : start + 8].cast("Q")
            end = start + 8 + size[0]
            parts += (size, raw[start + 8 : end])
            start = end
            if count > LONG and number % LONG == 0:
                self._progress.advance(min(LONG, count - number))
        return parts, start

    @functools.cached_property
    def _bytes(self) -> memoryview:
        """The mapped file: a slice of it takes a fraction of the time that numpy's take."""
        view: memoryview = np.asarray(self.data).data
        return view


@contextlib.contextmanager
def reading_once(reader: Any) -> Iterator[None]:
    """Let transformers take this reader for its file, and keep the names of tensors."""
    own = {
        "GGUFReader": lambda _: reader,
        "get_tensor_name_map": functools.cache(gguf.get_tensor_name_map),
    }
    theirs = {name: getattr(gguf, name) for name in own}
    vars(gguf).update(own)
    try:
        yield
    finally:
        vars(gguf).update(theirs)
