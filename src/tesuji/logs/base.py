"""The contract of an importer: other people's records in, episodes and pairs out.

A *record* is what stands for one game, hand, conversation or row: a JSON value, a row of a table,
or a stretch of text. One record gives one episode or one pair, or is refused with a reason; so
what is read is what is accepted plus what is refused.

What an importer writes into `Episode.provenance`:

    kind      its own name
    match     which match the record is of; several records (one a player) can be of the same one
    seat      whose view it is, where the record shows one seat's only
    winners   seats whose side won; absent where that is not known
    outcome   "win", "loss", "draw", as seen by `seat`; "" where the record does not say
    left_out  "no_actions", "error" or "timeout": such games are quarantined unless included
    notes     names of the oddities that were mended, e.g. "role_from_observation"
    roles     seat → role, for the seats whose role is known

`players[s]` is "" where nobody knows who sat there, `returns[s]` NaN where nobody knows what it
earned. The driver adds `file` and `line`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tesuji.core.types import Ending, Episode, Pair


@dataclass(frozen=True, slots=True)
class Record:
    """One record and where it stands: `line` is where it begins, 0 where it is the whole file."""

    value: Any
    file: str
    line: int = 0


class Refused(Exception):
    """A record that is not taken: `reason` in a word or two joined by _, `detail` in a sentence."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


ENDINGS = {"error": Ending.ERROR, "timeout": Ending.TRUNCATED}  # of games left out for that


def timed_out(words: str) -> bool:
    """Whether words about the end of a game tell of somebody's time that ran out."""
    return "timeout" in words.lower() or "timed out" in words.lower()


class Importer(ABC):
    """One kind of record.

    `reads` says what a record is: a `value` (JSON, JSON lines, a Parquet row, a row of a CSV table
    as a mapping) or a `text` (a hand history). `suffixes` are those of text files of this kind. A
    longer text than `most_text` is none of this kind, and not read: a parser may take its square.
    """

    kind: ClassVar[str]
    title: ClassVar[str]
    reads: ClassVar[Literal["value", "text"]] = "value"
    suffixes: ClassVar[tuple[str, ...]] = ()
    most_text: ClassVar[tuple[int, int]] = (32_000, 8_000)  # characters of a text, of one line

    @abstractmethod
    def fits(self, value: Any) -> bool:
        """Whether a record looks like this kind. Never raises, whatever it is given."""

    @abstractmethod
    def read(self, record: Record) -> Episode | Pair:
        """The record's episode or pair. Raises Refused."""

    def split(self, text: str) -> Iterator[tuple[int, str]]:
        """The records of a text file, each with the line it begins in."""
        yield 1, text


def too_long(text: str, most: tuple[int, int]) -> str:
    """What of a text is longer than a record of its kind can be; "" for nothing."""
    longest, longest_line = most
    if len(text) > longest:
        return f"more than {longest:,} characters in one piece"
    long = any(len(line) > longest_line for line in text.split("\n"))
    return f"a line of more than {longest_line:,} characters" if long else ""


def split_at(text: str, starts: Sequence[int]) -> Iterator[tuple[int, str]]:
    """The stretches of a text that begin at these places, each with the line it begins in."""
    line, before = 1, 0
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        line += text.count("\n", before, start)
        before = start
        yield line, text[start:end]
