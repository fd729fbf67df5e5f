"""Speeches of scripted SecretMafia players, put together from the parts in `phrases.yaml`."""

from random import Random
from typing import Any

from tesuji.core.files import read_beside
from tesuji.games.textarena.secretmafia import VOTING

PHRASES: dict[str, Any] = read_beside(__file__, "phrases.yaml")


def accusation(rng: Random, seat: int) -> str:
    """A speech against somebody, with reasons."""
    return _speech(rng, "cases", seat)


def plan(rng: Random, seat: int) -> str:
    """A speech about how to find out."""
    return _speech(rng, "plans", seat)


def _speech(rng: Random, kind: str, seat: int) -> str:
    opening, body, closing = _one(rng, "openings"), _one(rng, kind), _one(rng, "closings")
    if opening.endswith("."):
        body = _begun(body)
    parts = (opening, f"{body}.", closing if rng.random() < 0.6 else "")
    return " ".join(part for part in parts if part).format(t=seat)


def _one(rng: Random, kind: str) -> str:
    return str(rng.choice(PHRASES[kind]))


def _begun(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def claim(rng: Random, seat: int, guilty: bool) -> str:
    """A speech that tells the outcome of an investigation, true or not."""
    result = f"Player {seat} IS{'' if guilty else ' NOT'} a Mafia member"
    speech = _one(rng, "claims").format(result=result)
    return f"{speech} {_begun(_one(rng, 'cases')).format(t=seat)}." if guilty else speech


def agreement(rng: Random, seat: int, speaker: int | None) -> str:
    """A speech that follows the one before."""
    known = PHRASES["agreements"]
    first = rng.choice(known if speaker is not None else known[-2:])
    return f"{first} {_one(rng, 'followed')}".strip().format(s=speaker, t=seat)


def chatter(rng: Random, seat: int) -> str:
    """A speech about nothing."""
    return _one(rng, "chatter").format(thing=_one(rng, "things"), t=seat)


def word(rng: Random) -> str:
    """A speech of one word."""
    return _one(rng, "words")


def mumble(rng: Random, seat: int) -> str:
    """Half a speech."""
    return _one(rng, "mumbles").format(t=seat)


def bare(rng: Random, seat: int) -> str:
    """A name and nothing else."""
    return rng.choice((f"[{seat}]", f"[{seat}]", f"[{seat}]", f"[Player {seat}]"))


def reasoned_choice(rng: Random, phase: str, seat: int) -> str:
    """A name, mostly with a reason."""
    reasons = PHRASES["vote_reasons" if phase == VOTING else phase]
    if rng.random() < (0.2 if phase == VOTING else 0.6):
        return f"[{seat}]"
    return f"{rng.choice(reasons).format(t=seat)} [{seat}]"


def joined_choice(rng: Random, seat: int) -> str:
    """A vote that follows others."""
    return f"{_one(rng, 'joined')} [{seat}]" if rng.random() < 0.5 else f"[{seat}]"


def slip(rng: Random, seat: int, gone: int) -> str:
    """A reply to a vote or night action that names nobody who can be named."""
    return _one(rng, "slips").format(t=seat, gone=gone)
