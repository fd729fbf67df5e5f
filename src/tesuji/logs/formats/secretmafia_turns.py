"""SecretMafia as logs of it tell it: what was said at a turn, and whether the game took it.

Role, phase and targets are read from a transcript by `games/textarena/secretmafia.py`. The game
takes more than it lists (oneself, one's team mates; a bare number, where its wrapper brackets one),
so what the player was shown *next* is the judge of a vote or night action: an invalid move is told
there, and one that was taken is repeated. Where nothing follows, the game's rules are.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from tesuji.core.types import Attempt, Found, Move, Turn
from tesuji.episodes.transcript import shortened
from tesuji.games.textarena.secretmafia import (
    NAMED,
    bare_bracket,
    bracketed,
    departure,
    finding_in,
    last_message,
    mates_in,
    messages,
    named,
    naming,
    phase_of,
    put_out,
    read_action,
    refused_in,
    targets,
)

TAIL = 200  # characters that find the place in a transcript where another one ended
_SIGN = re.compile(r"(?<!\w)\d{1,2}(?!\w)")


class Exchange(NamedTuple):
    """What a player was shown, what it replied, and what it was shown next: None for nothing."""

    shown: str
    reply: str
    after: str | None = None


class Ruling(NamedTuple):
    """What the game did with a vote or night action; `target` where it says whom that named."""

    taken: bool
    target: int | None = None
    why: str = ""


def in_order(shown: Sequence[str], replies: Sequence[str]) -> list[Exchange]:
    """Exchanges that follow each other without a gap."""
    after = [*shown[1:], None][: len(shown)]
    return [Exchange(*parts) for parts in zip(shown, replies, after, strict=True)]


def turns(
    seat: int, role: str, exchanges: Sequence[Exchange], expelled: bool | None = None
) -> tuple[Turn, ...]:
    """One player's turns in order. `expelled`: whether the log says at its end that an invalid move
    put the player out."""
    parts = shortened([exchange.shown for exchange in exchanges])
    rulings = [_ruling(seat, exchange) for exchange in exchanges]
    if exchanges and rulings[-1] is None and expelled is not None:
        rulings[-1] = Ruling(not expelled, why="an invalid move, once too often")
    wrapped = _wrapped(exchanges, rulings)
    mates: set[int] = {seat}
    made = []
    for exchange, (part, continues), ruling in zip(exchanges, parts, rulings, strict=True):
        mates |= mates_in(part)
        mates -= {
            out[0] for who, text in messages(part) if who is None and (out := departure(text))
        }
        asked = Asked(last_message(exchange.shown), frozenset(mates), wrapped, ruling)
        made.append(turn(seat, role, part, continues, exchange.reply, asked))
    return tuple(made)


def _wrapped(exchanges: Sequence[Exchange], rulings: Sequence[Ruling | None]) -> bool:
    """Whether a last reply without brackets, of which nothing is told, was put into brackets. The
    environment refused no such reply, and this one is no second try: had the first try been
    refused, it would have been asked again."""
    if len(rulings) > 1 and rulings[-2] is not None and not rulings[-2].taken:
        return False
    return all(
        ruling is None
        or ruling.taken
        or named(exchange.reply)
        or not named(bracketed(exchange.reply))
        for exchange, ruling in zip(exchanges, rulings, strict=True)
    )


class Asked(NamedTuple):
    """What a player was asked: `mates` may be named though the message does not list them."""

    message: str
    mates: frozenset[int]
    wrapped: bool = True
    ruling: Ruling | None = None


def turn(seat: int, role: str, observation: str, continues: bool, reply: str, asked: Asked) -> Turn:
    """One turn of a player who was asked something, and replied."""
    phase = phase_of(asked.message)
    legal = targets(asked.message) if phase in NAMED else ()
    attempt = _judged(reply, phase, legal, asked)
    if legal and attempt.move and attempt.move.id >= 0 and attempt.move not in legal:
        legal = (*legal, attempt.move)
    return Turn(
        seat=seat,
        role=role,
        observation=observation,
        attempts=(attempt,),
        played=attempt.move,
        phase=phase,
        continues=continues,
        legal_moves=legal,
    )


def _judged(reply: str, phase: str, legal: Sequence[Move], asked: Asked) -> Attempt:
    ruling = asked.ruling
    if ruling is None or phase not in NAMED or not reply.strip():
        also = [naming(seat) for seat in sorted(asked.mates)] if legal else []
        return read_action(reply, phase, [*legal, *also], wrapped=asked.wrapped)
    if not ruling.taken:
        return Attempt(reply=reply, problem=f"the game refused it: {ruling.why}"[:300])
    told = None if ruling.target is None else naming(ruling.target)
    move = told or named(bracketed(reply)) or _loosely(reply) or Move(-1, reply.strip())
    exact = reply.strip() == move.text
    return Attempt(reply=reply, found=Found.EXACT if exact else Found.SOFT, move=move)


def _loosely(reply: str) -> Move | None:
    """The one number in a reply that the game took, whatever it was wrapped in."""
    numbers = {int(sign) for sign in _SIGN.findall(reply)}
    return naming(numbers.pop()) if len(numbers) == 1 else None


def _ruling(seat: int, exchange: Exchange) -> Ruling | None:
    """What the messages since the reply say of it; None where there are none."""
    news = _since(exchange.shown, exchange.after or "")
    if not news.strip():
        return None
    target = None
    for who, text in messages(news):
        if who is None and refused_in(text) == seat:
            return Ruling(False, why=text.partition("Reason: ")[2].partition(" Please")[0])
        if who is None and put_out(text) == seat:
            return Ruling(False, why="an invalid move, once too often")
        if target is None:
            echo = named(text) if who == seat else None
            target = echo.id if echo else finding_in(text) if who is None else None
    return Ruling(True, target)


def _since(shown: str, after: str) -> str:
    """What is new in `after`, which repeats the whole transcript, its last part, or nothing."""
    if after.startswith(shown):
        return after[len(shown) :]
    if len(shown) < TAIL:
        return after
    _, repeated, news = after.partition(shown[-TAIL:])
    return news if repeated else after


def odd(turns: Sequence[Turn]) -> list[str]:
    """Notes on what was said: discussion replies that are nothing but a bracket."""
    bare = any(
        turn.phase == "discussion" and bare_bracket(turn.attempts[-1].reply) for turn in turns
    )
    return ["bare_bracket_in_discussion"] if bare else []
