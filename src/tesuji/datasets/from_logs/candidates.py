"""Turns of imported episodes as small facts, so that ten thousand games fit into memory.

    pool = collect(Path("processed/episodes.jsonl"), seed=1)

A candidate is a turn with a reply: about half a kilobyte, whatever the length of its transcript.
The texts of replies lie in a temporary file, prompts are read from the episodes again when rows are
written. Episodes are read as plain JSON, since checking each costs more than all the rest; what is
wrong with one is then said by the reader that checks.
"""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from sys import intern
from typing import Any

import orjson

from tesuji.core.errors import DataError
from tesuji.core.files import unreadable
from tesuji.datasets.columns import SPEECH
from tesuji.datasets.from_logs.prompts import Seen, blanks, seen_turns
from tesuji.episodes.store import episode_from_row
from tesuji.games.textarena.log_prompt import instruction, messages
from tesuji.games.textarena.secretmafia import (
    VOTING,
    bare_bracket,
    day_broke,
    is_secretmafia,
    mates_in,
    voted_out,
)

LONGEST_MOVE = 200  # characters of a move that are kept as its label
Span = tuple[int, int]  # where a text stands among the replies: first byte, number of bytes
WRONG = (LookupError, TypeError, ValueError, AttributeError)


@dataclass(slots=True)
class Candidate:
    """One turn with a reply. `match` decides the side of the split, `shown_match` is what rows say.

    `prompt`, `position` and `reply` are hashes of texts, `rank` one of seed and identity: whatever
    is drawn is drawn by it, never by the order of files. `eliminated`: of a vote, the player who
    was then voted out (-1: nobody; None: not told, or no vote). `first_failed`: the reply before
    the retry, if there was one.
    """

    episode: int
    place: int
    match: str
    shown_match: str
    game: str
    role: str
    phase: str
    type: str
    seat: int
    turn: int
    won: bool | None
    legal: bool
    forfeited: bool
    oracle: bool
    prompt: int
    first_prompt: int
    position: int
    reply: int
    reply_span: Span
    reply_characters: int
    prompt_characters: int
    move: tuple[int, str] | None
    legal_moves: tuple[str, ...]
    rank: int
    eliminated: int | None = None
    first_failed: Span | None = None
    score: float | None = None
    bare: bool = False
    unknown: bool = False

    @property
    def hit(self) -> bool | None:
        """Whether a vote was for the player who was then voted out; None where it is not told."""
        if self.eliminated is None or self.move is None or self.move[0] < 0:
            return None
        return self.eliminated == self.move[0]


class TextFile:
    """Texts in a temporary file, found again by their span."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the pool
        self._end = 0

    def keep(self, text: str) -> Span:
        """Store a text."""
        data = text.encode()
        self._file.write(data)
        self._end += len(data)
        return self._end - len(data), len(data)

    def get(self, span: Span) -> str:
        """A text that was stored."""
        self._file.seek(span[0])
        return self._file.read(span[1]).decode()

    def done(self) -> None:
        """All texts are in; from now on they are read."""
        self._file.flush()

    def close(self) -> None:
        """Forget the texts."""
        self._file.close()


@dataclass(slots=True)
class Pool:
    """All candidates in the order of the files; `silent` turns had no reply."""

    candidates: list[Candidate]
    replies: TextFile
    silent: int = 0


def json_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """(place, value) of each line. Raises DataError naming the line that is not JSON."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield f"{path}:{number}", _parsed(line, path, number)
    except OSError as error:
        raise unreadable(path, error) from error


def _parsed(line: bytes, path: Path, number: int) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise DataError(f"not valid JSON: {error}", where=f"{path}:{number}") from error


def collect(path: Path, seed: int) -> Pool:
    """The candidates of a file of episodes. Raises DataError for the first row that is none."""
    pool = Pool([], TextFile())
    for index, (where, row) in enumerate(json_rows(path)):
        try:
            _episode(pool, index, row, seed)
        except WRONG as error:
            episode_from_row(row, where)
            raise DataError(f"not an episode: {error}", where=where) from error
    pool.replies.done()
    return pool


def _episode(pool: Pool, index: int, row: Mapping[str, Any], seed: int) -> None:
    votes: dict[int, Candidate] = {}
    hashes: dict[int, Any] = {}
    sizes: dict[int, int] = {}
    known: dict[int, set[int] | None] = {}  # by seat: its team mates, None once a day broke
    for seen in seen_turns(row):
        turn, seat = seen.turn, seen.turn["seat"]
        part = seen.parts[-1]
        if len(seen.parts) == 1:
            hashes[seat], sizes[seat] = blake2b(digest_size=8), 0
        hashes[seat].update(part.encode())
        sizes[seat] += len(part)
        if (mates := known.setdefault(seat, {seat})) is not None:
            known[seat] = None if day_broke(part) else mates | mates_in(part)
        if vote := votes.pop(seat, None):
            vote.eliminated = voted_out(part)
        attempts = turn.get("attempts") or ()
        if not attempts or not attempts[-1]["reply"].strip():
            pool.silent += 1
            continue
        candidate = _candidate(pool, index, row, seen, hashes[seat].digest(), sizes[seat], seed)
        candidate.unknown = _unknown(candidate, known[seat])
        pool.candidates.append(candidate)
        if candidate.phase == VOTING and candidate.move is not None:
            votes[seat] = candidate


def _unknown(turn: Candidate, mates: set[int] | None) -> bool:
    """Whether a night action names somebody of whom nothing can be known yet."""
    night = turn.type == "night" and turn.move is not None
    return night and mates is not None and turn.move[0] not in mates  # type: ignore[index]


def _candidate(
    pool: Pool,
    index: int,
    row: Mapping[str, Any],
    seen: Seen,
    digest: bytes,
    size: int,
    seed: int,
) -> Candidate:
    turn, about = seen.turn, row.get("provenance", {})
    game, role, phase = intern(row["game"]), intern(turn["role"]), intern(turn.get("phase", ""))
    seat, first, last = turn["seat"], turn["attempts"][0], turn["attempts"][-1]
    move = last.get("move")
    kind = type_of(game, phase, about.get("kind"))
    shown_match = intern(str(about.get("match") or f"episode-{row.get('seed', 0)}"))
    prompt, size = _prompt_hash(game, seen, -1, digest, size)
    reply = hash_of(last["reply"])
    identity = f"{seed}|{shown_match}|{seat}|{seen.number}|{prompt}|{reply}"
    candidate = Candidate(
        episode=index,
        place=seen.place,
        match=_side_key(kind, last, shown_match),
        shown_match=shown_match,
        game=game,
        role=role,
        phase=phase,
        type=kind,
        seat=seat,
        turn=seen.number,
        won=_won(about, seat),
        legal=move is not None,
        forfeited=row.get("ending") == "forfeit",
        oracle=bool(about.get("oracle")),
        prompt=prompt,
        first_prompt=prompt,
        position=hash_of(f"{game}|{role}|{phase}|", digest),
        reply=reply,
        reply_span=pool.replies.keep(last["reply"]),
        reply_characters=len(last["reply"]),
        prompt_characters=size,
        move=(move[0], _label(kind, move[1])) if move else None,
        legal_moves=tuple(intern(text) for _, text in turn.get("legal_moves", ())),
        rank=hash_of(identity),
        bare=kind == "discussion" and bare_bracket(last["reply"]),
    )
    if len(turn["attempts"]) > 1 and not first.get("move") and first["reply"].strip():
        candidate.first_failed = pool.replies.keep(first["reply"])
        candidate.first_prompt = _prompt_hash(game, seen, 0, digest, size)[0]
    return candidate


def hash_of(text: str, more: bytes = b"") -> int:
    """64 bits that follow from the text alone, on every machine."""
    return int.from_bytes(blake2b(text.encode() + more, digest_size=8).digest(), "big")


def talk_hash(talk: Sequence[Mapping[str, Any]]) -> int:
    """The same of messages."""
    return int.from_bytes(blake2b(orjson.dumps(list(talk)), digest_size=8).digest(), "big")


def action_of(text: str) -> str:
    """A decision without its size: "raise 500" → "raise"; notations as they are."""
    words = text[:LONGEST_MOVE].lower().split()
    if len(words) > 1 and re.fullmatch(r"[\d.,]+\w*", words[-1]):
        words = words[: -2 if words[-2] == "to" and len(words) > 2 else -1]
    return " ".join(words)[:40]


def opening_key(talk: Sequence[Mapping[str, Any]]) -> str:
    """Conversations that begin with the same question stand on the same side of a split."""
    end = next((i for i, m in enumerate(talk) if m["role"] == "user"), len(talk) - 1) + 1
    return f"opening-{talk_hash(talk[:end]):016x}"


def _prompt_hash(game: str, seen: Seen, attempt: int, digest: bytes, size: int) -> tuple[int, int]:
    """(hash of the prompt, its length in characters)."""
    if own := seen.turn["attempts"][attempt].get("prompt"):
        return talk_hash(own), sum(len(m["content"]) for m in own)
    role, phase = seen.turn["role"], seen.turn.get("phase", "")
    asked = instruction(game, role, phase)
    around = messages(game, role, phase, seen.number, "")  # what stands around the transcript
    characters = size - blanks(seen.parts) + sum(len(message["content"]) for message in around)
    return hash_of(f"{asked}|{phase}|{seen.number}|", digest), characters


def _label(kind: str, text: str) -> str:
    """A move's text, kept in memory; "" for what is not one of a few that come again."""
    return "" if kind in SPEECH or len(text) > LONGEST_MOVE else intern(text)


def _side_key(kind: str, attempt: Mapping[str, Any], match: str) -> str:
    prompt = attempt.get("prompt")
    return opening_key(prompt) if kind == "chat" and prompt else match


def type_of(game: str, phase: str, source: Any) -> str:
    """What kind of reply is given there; `source` is the kind of log."""
    if phase == VOTING:
        return "vote"
    if phase.startswith("night"):
        return "night"
    if source == "chat":
        return "chat"
    return "discussion" if phase == "discussion" or is_secretmafia(game) else "decision"


def _won(about: Mapping[str, Any], seat: int) -> bool | None:
    winners = about.get("winners")
    if winners is not None:
        return seat in winners
    known = {"win": True, "loss": False, "draw": False}.get(about.get("outcome", ""))
    return known if about.get("seat") == seat else None
