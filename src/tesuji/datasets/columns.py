"""The facts a row of a data set carries about where it comes from, by name.

    match       which match it is of; a match is on one side of the split, with all its rows
    game        name of the game
    seat        seat that replied
    role        its role
    phase       part of the match: "voting", "night_mafia", "flop", ...
    turn        number of the turn among those of its seat, from 0
    won         whether its side won
    legal       whether the reply was a legal move
    type        what kind of reply: "discussion", "vote", "night", "decision", "chat"
    source      file, and line where the file holds several records
    score       the quality rule's score, where it was asked for
    eliminated  of a vote: the player who was then voted out, -1 for nobody
    near        of a pair: what its two replies share ("prompt", "position", "phase")
    by          of a pair: who preferred it ("outcome", "legality", "oracle", "judge", "log")
    rejected_match  of a pair: the match of its rejected reply, where it is another one

Rows written from logs have all the facts of their kind, a fact that is not known being null: a
reader of JSON lines such as `datasets` takes the columns from the first ten megabytes and breaks
off at one that it meets later. Rows of other people's may have any, and more.
"""

from collections.abc import Collection, Mapping
from typing import Any

FACTS: dict[str, type] = {
    "match": str, "game": str, "seat": int, "role": str, "phase": str, "turn": int, "won": bool,
    "legal": bool, "type": str, "source": str, "score": float, "eliminated": int, "near": str,
    "by": str, "rejected_match": str,
}  # fmt: skip
SPEECH = ("discussion", "chat")  # types of replies that say something in their own words
SHOWN = ("match", "game", "seat", "role", "phase", "turn", "type", "source")  # before any reply
OF_PAIR = (*SHOWN, "near", "by", "rejected_match")
OF_ROW = (*SHOWN, "won", "legal", "score", "eliminated")


def facts_of(about: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """These facts and no others: null where one is unknown, or is of another type."""
    return {
        name: about.get(name) if _fits(about.get(name), FACTS[name]) else None for name in names
    }


def known(about: Mapping[str, Any]) -> frozenset[str]:
    """The names of the facts that are known."""
    return frozenset(name for name, value in about.items() if value is not None)


def _fits(value: Any, kind: type) -> bool:
    return type(value) is kind  # True is an int, but no seat
