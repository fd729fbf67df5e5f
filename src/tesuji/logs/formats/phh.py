"""PHH hand histories (`.phh` one hand, `.phhs` many), read and played by pokerkit.

The format: https://phh.readthedocs.io. A hand's text is TOML; a `.phhs` file has one hand under
each `[1]`, `[2]`, ... Every decision of a player with known cards becomes a turn
(`logs/poker/hand_to_episode.py`).
"""

import dataclasses
import re
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ClassVar

from pokerkit import HandHistory
from pokerkit.utilities import parse_value

from tesuji.core.types import Episode
from tesuji.games.poker.history import Amount
from tesuji.logs.base import Importer, Record, Refused, split_at
from tesuji.logs.poker.hand_to_episode import read_hand, refusing
from tesuji.logs.poker.results import Ended

_SECTION = re.compile(r"^\[[^\[\]\n]+\][ \t]*(?:#.*)?$", re.MULTILINE)
_COMMENTS = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_FIELDS = re.compile(r"^[ \t]*(variant|actions|starting_stacks)[ \t]*=", re.MULTILINE)
_DOTTED = re.compile(r"(?:[\w\"'-]+[ \t]*\.[ \t]*){9}")  # a key in ten parts: no hand has one
LISTS = ("actions", "starting_stacks")
# Names that pokerkit keeps its own functions under: a field of that name would take their place.
OF_POKERKIT = ("automations", "divmod", "parse_value", "rake", "user_defined_fields")


class Phh(Importer):
    """Hand histories in the poker hand history format."""

    kind: ClassVar[str] = "phh"
    title: ClassVar[str] = "PHH hand histories (.phh, .phhs)"
    reads: ClassVar = "text"
    suffixes: ClassVar[tuple[str, ...]] = (".phh", ".phhs")

    def fits(self, value: Any) -> bool:
        """Whether the text names the fields that every hand has."""
        return isinstance(value, str) and len(set(_FIELDS.findall(value))) == 3

    def split(self, text: str) -> Iterator[tuple[int, str]]:
        """The hands of a file; what stands before the first section is a record of its own,
        unless it is only a remark."""
        starts = [match.start() for match in _SECTION.finditer(text)]
        if not starts or _COMMENTS.sub("", text[: starts[0]]).strip():
            starts.insert(0, 0)
        return split_at(text, starts)

    def read(self, record: Record) -> Episode:
        """The hand. Raises Refused: `not_toml`, `not_a_hand` and what `read_hand` refuses."""
        history, rake = _history(record.value)
        return read_hand(history, kind=self.kind, ended=Ended(rake))


def _history(text: Any) -> tuple[HandHistory, Amount | None]:
    """The hand as pokerkit reads it, and what the room took, where a field `rake` says so."""
    if not isinstance(text, str):
        raise Refused("not_a_hand", "a hand history is text")
    with refusing("not_toml"):
        text = _SECTION.sub("", text, count=1)
        if any(_DOTTED.match(line.lstrip("[ \t")) for line in text.splitlines()):
            raise Refused("not_a_hand", "a key in ten parts or more")
        fields = tomllib.loads(text, parse_float=parse_value)
        _check(fields)
    with refusing("not_a_hand"):
        known = {field.name for field in dataclasses.fields(HandHistory)} - set(OF_POKERKIT)
        hand = {name: value for name, value in fields.items() if name in known}
        return HandHistory(**hand), _rake(fields)


def _rake(fields: dict[str, Any]) -> Amount | None:
    rake = fields.get("rake", fields.get("_rake"))
    return rake if isinstance(rake, int | Decimal) and not isinstance(rake, bool) else None


def _check(fields: dict[str, Any]) -> None:
    """pokerkit takes fields as they come; the two it stumbles over most are looked at first."""
    for name in ("variant", *LISTS):
        if name not in fields:
            raise Refused("not_a_hand", f"it has no {name}")
    if fields["variant"] not in HandHistory.game_types:
        raise Refused("unknown_variant", f"pokerkit reads no variant {fields['variant']!r:.80}")
    for name in LISTS:
        if not isinstance(fields[name], list):
            raise Refused("not_a_hand", f"{name} is not a list")
    if not all(isinstance(action, str) for action in fields["actions"]):
        raise Refused("not_a_hand", "an action is not text")
