"""Finding the move in a reply: strip the thought, then notation, number, soft match, or nothing.

A move the player did not say is never found. Numbers inside words, negative or decimal numbers
and coordinates are no IDs; a reply that names several different moves names none. The price is
a retry where a person would have guessed right; negations ("not o(0,0)") are not understood.
"""

import functools
import re
from collections.abc import Callable, Iterable
from typing import Literal

from tesuji.core.errors import IllegalMove
from tesuji.core.types import Attempt, Found, Move

LONGEST = 20_000  # characters outside the thought that are looked at

_GAPS = r"[\s()\[\]{}<>]+"
_WRAPPING = " \t\r\n*_`'\"“”‘’.!,;:"
_NUMBER = re.compile(r"(?<![\w.+\-−])[0-9]+(?:[\s.,:/\-−]+[0-9]+)*(?![\w%]|[.,][0-9])")

Legal = tuple[Move, ...]
Reader = Callable[[str], Move | None]
Reading = tuple[Found, Move | None, str]  # the last is the problem in words


def read_reply(
    text: str,
    legal: Legal | None,
    *,
    prefer: Literal["id", "move"] = "move",
    reader: Reader | None = None,
) -> Attempt:
    """What was said in `text`: a move of `legal`, or None and the problem in words.

    With `legal` None any text is a move. `prefer` is what the player was asked for; it decides
    where notation and number disagree. `reader`, the game's own (`Match.read`), is asked first what
    the words outside the thought name. Never raises, whatever `text` is.
    """
    if not isinstance(text, str):
        return Attempt(reply="", problem=f"the reply is not text but {type(text).__name__}")
    text = text.encode("utf-8", "replace").decode("utf-8")  # lone surrogates cannot be stored
    thought, answer = split_thought(text)
    how, move, problem = _look(answer, thought, legal, prefer, reader)
    return Attempt(reply=text, thought=thought, found=how, move=move, problem=problem)


def split_thought(text: str) -> tuple[str, str]:
    """(thought, said). All up to the last `</think>` is thought; so is all, if one stays open."""
    head, closed, tail = text.rpartition("</think>")
    if "<think>" in tail:
        return text.replace("<think>", "").replace("</think>", "").strip(), ""
    thought = head.replace("<think>", "").replace("</think>", "") if closed else ""
    return thought.strip(), tail.strip()


class Spelled:
    """How legal moves are written, in tables, each made when it is asked for: a game of thousands
    of words has the same ones turn after turn."""

    def __init__(self, legal: Legal) -> None:
        self.legal = legal

    @functools.cached_property
    def texts(self) -> tuple[str, ...]:
        """The moves' notations, in their order."""
        return tuple(move.text for move in self.legal)

    @functools.cached_property
    def shortest(self) -> int:
        """The fewest letters that a notation has."""
        return min((len("".join(text.split())) for text in self.texts), default=0)

    @functools.cached_property
    def exact(self) -> dict[str, Legal]:
        """The moves by their notation."""
        return _grouped((move.text.strip(), move) for move in self.legal)

    @functools.cached_property
    def by_id(self) -> dict[str, Legal]:
        """The moves by their number."""
        return _grouped((str(move.id), move) for move in self.legal)

    @functools.cached_property
    def plain(self) -> dict[str, Legal]:
        """The moves by their notation without spacing and brackets."""
        return _grouped((_plain(move.text), move) for move in self.legal)

    @functools.cached_property
    def without_case(self) -> dict[str, Legal]:
        """... and in small letters."""
        return _grouped((_plain(move.text).lower(), move) for move in self.legal)


def _grouped(pairs: Iterable[tuple[str, Move]]) -> dict[str, Legal]:
    groups: dict[str, list[Move]] = {}
    for key, move in pairs:
        groups.setdefault(key, []).append(move)
    return {key: tuple(moves) for key, moves in groups.items()}


class _Same:
    """A tuple as a key, by what it is and not by what is in it."""

    __slots__ = ("legal",)

    def __init__(self, legal: Legal) -> None:
        self.legal = legal

    def __hash__(self) -> int:
        return id(self.legal)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.legal is self.legal


@functools.lru_cache(maxsize=64)
def _spelled_of(key: _Same) -> Spelled:
    return Spelled(key.legal)


def _spelled(legal: Legal) -> Spelled:
    return _spelled_of(_Same(legal))


def _look(
    answer: str, thought: str, legal: Legal | None, prefer: str, reader: Reader | None
) -> Reading:
    if not answer:
        problem = "the reply holds a thought and no move" if thought else "the reply is empty"
        return Found.NONE, None, problem
    if len(answer) > LONGEST:
        return Found.NONE, None, f"the reply is longer than {LONGEST} characters"
    try:
        named = reader(answer) if reader else None
    except IllegalMove as error:
        return Found.NONE, None, error.what
    if named:
        return (Found.EXACT if named.text == answer else Found.SOFT), named, ""
    if legal is None:
        return Found.EXACT, Move(-1, answer), ""
    looks = (_exact, _bare_id) if prefer == "move" else (_bare_id, _exact)
    for look in looks:
        if move := look(answer, legal):
            return (Found.EXACT if look is _exact else Found.ID), move, ""
    return _inside(" ".join(answer.split()), legal, prefer)


def _exact(answer: str, legal: Legal) -> Move | None:
    return next(iter(_spelled(legal).exact.get(answer, ())), None)


def _bare_id(answer: str, legal: Legal) -> Move | None:
    return next(iter(_spelled(legal).by_id.get(answer, ())), None)


def _inside(answer: str, legal: Legal, prefer: str) -> Reading:
    """Look for one move, and one only, in a reply that says more (or less tidily) than that."""
    if whole := _alike(answer.strip(_WRAPPING), legal):
        return _only(Found.SOFT, whole)
    by_text, rest = _named_by_text(answer, legal)
    by_id = _named_by_id(rest, legal)
    if by_text and (prefer == "move" or not by_id):
        return _only(Found.SOFT, by_text)
    if by_id:
        return _only(Found.ID, by_id)
    return Found.NONE, None, "no legal move in the reply"


def _only(how: Found, moves: Legal) -> Reading:
    if len(moves) == 1:
        return how, moves[0], ""
    named = ", ".join(move.text for move in moves[:5]) + (", ..." if len(moves) > 5 else "")
    return Found.NONE, None, f"the reply names several moves ({named}), not one"


@functools.lru_cache(maxsize=16384)
def _plain(text: str) -> str:
    """Without spacing and brackets; a space stays between two digits, which it keeps apart."""
    text = re.sub(rf"(?<=\d){_GAPS}(?=\d)", "\0", text)
    return re.sub(_GAPS, "", text).replace("\0", " ")


def _alike(answer: str, legal: Legal) -> Legal:
    """The moves that `answer` spells but for spacing and brackets; case only if it must be."""
    key, spelled = _plain(answer), _spelled(legal)
    if not key:
        return ()
    return spelled.plain.get(key) or spelled.without_case.get(key.lower(), ())


def _named_by_text(answer: str, legal: Legal) -> tuple[Legal, str]:
    """The different moves whose notation stands in the text, and the text without them."""
    spelled = _spelled(legal)
    if spelled.shortest > len("".join(answer.split())):
        return (), answer  # too short to hold any of them: no pattern needs to be compiled
    pattern = _pattern(spelled.texts)
    if pattern is None:
        return (), answer
    spellings = dict.fromkeys(pattern.findall(answer))
    named = dict.fromkeys(move for spelling in spellings for move in _alike(spelling, legal))
    return tuple(named), pattern.sub(" ; ", answer)


@functools.lru_cache(maxsize=4096)  # a position's moves come again and again; compiling is slow
def _pattern(texts: tuple[str, ...]) -> "re.Pattern[str] | None":
    """One pattern for all notations that can be told from prose, the longest first. What all begin
    and end with is written once: thousands of words in the same brackets stay quick."""
    names = sorted({text for text in texts if _tellable(text)}, key=len, reverse=True)
    if not names:
        return None
    notations = [_notation(name) for name in names]
    head = _shared(notations)
    tail = _shared([pieces[head:][::-1] for pieces in notations])
    end = len(notations[0]) - tail
    middle = "|".join("".join(pieces[head : len(pieces) - tail]) for pieces in notations)
    first, last = "".join(notations[0][:head]), "".join(notations[0][end:])
    return re.compile(rf"(?<![\w.+\-−]){first}(?:{middle}){last}", re.IGNORECASE)


def _shared(notations: "list[list[str]]") -> int:
    """How many first pieces are the same in all."""
    columns = enumerate(zip(*notations, strict=False))
    shortest = min(map(len, notations))
    return next((place for place, column in columns if len(set(column)) > 1), shortest)


def _tellable(text: str) -> bool:
    """Whether a notation can be told from prose: "a" and "I" cannot."""
    return bool(re.search(r"\d|\w\W*\w", text))


def _notation(text: str) -> list[str]:
    """The pieces of a pattern for one notation as a word of its own, spacing around its signs
    ignored; what must not stand in front of it is left to the whole pattern."""
    pieces = re.findall(r"(\w+)|(\s+)|([^\w\s])", text.strip())
    inner = [word or (" " if gap else f" ?{re.escape(sign)} ?") for word, gap, sign in pieces]
    after = r"(?!\w|[.,]\d)" + (r"(?! ?\d)" if text[-1:].isalpha() else "")  # "Bet" in "Bet 100"
    return [*inner, after]


def _named_by_id(answer: str, legal: Legal) -> Legal:
    """The move whose number is the only number in the text."""
    numbers = _NUMBER.findall(answer)
    if len(numbers) != 1:
        return ()
    return _spelled(legal).by_id.get(numbers[0], ())
