"""Wordle's words: the most frequent ones of a length, or those of a file, and how letters match.

words = word_list(2000, 5)            # from the package wordfreq, most frequent first
marks("eerie", "crane")               # "XXYXG": as many marks as the answer holds of a letter
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tesuji.core.errors import DataError, GameError

if TYPE_CHECKING:
    from numpy import ndarray

RIGHT, ELSEWHERE, ABSENT = "G", "Y", "X"
SHORTEST, LONGEST = 2, 10  # letters; 3 ** 10 patterns still fit into 16 bits
DEPTH = 300_000  # entries of the frequency list that are looked through


def marks(guess: str, answer: str) -> str:
    """G where a letter is right, Y where it belongs elsewhere, X where it is not (or no longer) in
    the answer. Of a letter that is guessed more often than it occurs, the right places are marked
    first, then the others from left to right."""
    pattern = [RIGHT if a == b else ABSENT for a, b in zip(guess, answer, strict=True)]
    left = [b for b, mark in zip(answer, pattern, strict=True) if mark != RIGHT]
    for place, letter in enumerate(guess):
        if pattern[place] != RIGHT and letter in left:
            left.remove(letter)
            pattern[place] = ELSEWHERE
    return "".join(pattern)


def code_of(pattern: str) -> int:
    """Marks as a number: X, Y and G are the digits 0, 1, 2 in base 3."""
    code = 0
    for mark in pattern:
        code = 3 * code + (ABSENT, ELSEWHERE, RIGHT).index(mark)
    return code


def held_out(word: str, share: float, seed: int) -> bool:
    """Whether a word is kept for judging. It follows from the word, the share and the seed alone:
    a longer list moves no word to the other side."""
    digest = hashlib.sha256(f"{seed}:{word}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


@cache
def word_list(words: int | str, length: int) -> tuple[str, ...]:
    """The `words` most frequent English words of this length, or those of a file (one a line) in
    the file's order.

    Names and inflected forms are among the frequent words: what is counted is written text.
    Raises GameError where there are too few or the package is missing, DataError for a bad file.
    """
    return _from_file(Path(words), length) if isinstance(words, str) else _frequent(words, length)


def _frequent(count: int, length: int) -> tuple[str, ...]:
    try:
        import wordfreq  # noqa: F401
    except ImportError as error:
        raise GameError(
            "the word list needs the package wordfreq",
            where="game.options.words",
            hint="pip install 'tesuji[wordle]', or name a file of words: `words: my-words.txt`",
        ) from error
    words = _of_length(length)
    if len(words) < count:
        raise GameError(
            f"there are {len(words):,} words of {length} letters, not {count:,}",
            where="game.options.words",
        )
    return words[:count]


@cache
def _of_length(length: int) -> tuple[str, ...]:
    from wordfreq import top_n_list

    return tuple(word for word in top_n_list("en", DEPTH) if _fits(word, length))


def _from_file(path: Path, length: int) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8").lower().split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read the words: {error}", where=str(path)) from error
    words = tuple(dict.fromkeys(word for word in lines if _fits(word, length)))
    if len(words) < 2:
        raise DataError(
            f"there are not two words of {length} letters in it",
            where=str(path),
            hint="a word a line, a to z only; set `length` to theirs",
        )
    return words


def _fits(word: str, length: int) -> bool:
    return len(word) == length and word.isascii() and word.isalpha()


class MarksTable:
    """The marks (as `code_of` writes them) of every guess against every answer: uint16
    [guesses, answers], computed row by row when asked for, all at once by `full`."""

    def __init__(self, guesses: tuple[str, ...], answers: tuple[str, ...]) -> None:
        self.guesses, self.answers = _letters(guesses), _letters(answers)
        self._rows: dict[int, ndarray] = {}
        self._full: ndarray | None = None

    def row(self, guess: int) -> "ndarray":
        """The marks of one guess against all answers, uint16 [answers]."""
        if self._full is not None:
            whole: ndarray = self._full[guess]
            return whole
        if guess not in self._rows:
            self._rows[guess] = _marks_against(self.guesses[guess : guess + 1], self.answers)[0]
        return self._rows[guess]

    def full(self) -> "ndarray":
        """The whole table. 2,000 by 2,000 words of five letters: 8 MB and under half a second."""
        if self._full is None:
            import numpy as np

            parts = [
                _marks_against(self.guesses[start : start + 128], self.answers)
                for start in range(0, len(self.guesses), 128)
            ]
            self._full = np.concatenate(parts)
        return self._full


def _letters(words: tuple[str, ...]) -> "ndarray":
    """uint8 [words, letters]."""
    import numpy as np

    joined = "".join(words).encode("ascii")
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(words), -1)


def _marks_against(guesses: "ndarray", answers: "ndarray") -> "ndarray":
    """`marks` of guesses [A, L] against answers [B, L], all at once: uint16 [A, B].

    A letter that is not right is elsewhere if the answer has more of it in places not guessed
    right than the guess has spent on the places before.
    """
    import numpy as np

    right = [guesses[:, i, None] == answers[None, :, i] for i in range(guesses.shape[1])]
    codes = np.zeros(right[0].shape, dtype=np.uint16)
    for i in range(len(right)):
        there = np.zeros(codes.shape, dtype=np.uint8)
        spent = np.zeros(codes.shape, dtype=np.uint8)
        for j in range(len(right)):
            there += (guesses[:, i, None] == answers[None, :, j]) & ~right[j]
            if j < i:
                same = guesses[:, i] == guesses[:, j]
                spent += same[:, None] & ~right[j]
        elsewhere = ~right[i] & (spent < there)
        codes = codes * 3 + elsewhere + 2 * right[i]
    return codes.astype(np.uint16, copy=False)


@cache
def table_of(guesses: tuple[str, ...], answers: tuple[str, ...]) -> MarksTable:
    """The one table of these lists."""
    return MarksTable(guesses, answers)
