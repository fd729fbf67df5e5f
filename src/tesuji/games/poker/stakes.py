"""The options of a poker table, read and checked: seats, stacks, blinds, and how bets are named."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tesuji.core.errors import GameError

Bets = Literal["menu", "text"]
Shown = Literal["words", "brief"]
MOST_SEATS = 9
MOST_CHIPS = 10**9


@dataclass(frozen=True, slots=True)
class Variant:
    """A kind of poker as pokerkit names it; `ante` is the usual one in big blinds, `button_blind`
    says that the button alone posts a blind."""

    title: str
    words: str  # as a prompt names it
    table: str  # the class in pokerkit
    hole: int
    short: bool = False
    ante: int = 0
    button_blind: bool = False


VARIANTS = {
    "holdem": Variant("No-limit hold'em", "no-limit hold'em", "NoLimitTexasHoldem", 2),
    "omaha": Variant("Pot-limit Omaha", "pot-limit Omaha hold'em", "PotLimitOmahaHoldem", 4),
    "short_deck": Variant(
        *("Short-deck hold'em", "no-limit short-deck hold'em", "NoLimitShortDeckHoldem", 2),
        short=True,
        ante=1,
        button_blind=True,
    ),
}


@dataclass(frozen=True, slots=True)
class Stakes:
    """What is played, and for what. Chips are whole numbers; `stacks` go by seat (seat 0 is first
    to act after the flop), `sizes` are the bets of the menu as shares of the pot."""

    game: str
    stacks: tuple[int, ...]
    small_blind: int
    big_blind: int
    ante: int
    bets: Bets
    sizes: tuple[float, ...]
    shown: Shown

    @property
    def variant(self) -> Variant:
        """The kind of poker."""
        return VARIANTS[self.game]

    @property
    def num_players(self) -> int:
        """Seats at the table."""
        return len(self.stacks)


DEFAULTS: Mapping[str, Any] = {
    "players": 2,
    "stack": 10_000,
    "stacks": "",
    "small_blind": 50,
    "big_blind": 100,
    "ante": None,
    "bets": "menu",
    "sizes": "0.5 1",
    "shown": "words",
}


def read_stakes(name: str, options: Mapping[str, Any]) -> Stakes:
    """The options of the game `name`. Raises GameError for unknown and impossible ones."""
    for key in options:
        if key not in DEFAULTS:
            known = ", ".join(DEFAULTS)
            raise _wrong(name, key, f"{name} has no option {key!r}", f"its options: {known}")
    given = {**DEFAULTS, **options}
    big = _whole(name, given, "big_blind", 1, MOST_CHIPS)
    small = _whole(name, given, "small_blind", 0, big)
    usual = VARIANTS[name].ante * big
    given["ante"] = usual if given["ante"] is None else given["ante"]
    return Stakes(
        game=name,
        stacks=_stacks(name, given),
        small_blind=small,
        big_blind=big,
        ante=_whole(name, given, "ante", 0, MOST_CHIPS),
        bets=_one_of(name, given, "bets", "menu", "text"),
        sizes=_sizes(name, given),
        shown=_one_of(name, given, "shown", "words", "brief"),
    )


def _stacks(name: str, given: Mapping[str, Any]) -> tuple[int, ...]:
    """`stacks` by seat, else `stack` for everybody."""
    seats = _whole(name, given, "players", 2, MOST_SEATS)
    if given["stacks"] == "":
        return (_whole(name, given, "stack", 1, MOST_CHIPS),) * seats
    parts = re.split(r"[\s,;]+", str(given["stacks"]).strip())
    if len(parts) != seats or not all(re.fullmatch(r"[1-9]\d{0,8}", part) for part in parts):
        raise _wrong(
            *(name, "stacks", f"stacks must be {seats} whole numbers above 0"),
            f'stacks: "{" ".join(["1000"] * seats)}"',
        )
    return tuple(map(int, parts))


def _sizes(name: str, given: Mapping[str, Any]) -> tuple[float, ...]:
    parts = re.split(r"[\s,;]+", str(given["sizes"]).strip())
    numbers = [float(part) for part in parts if re.fullmatch(r"\d{1,3}(\.\d+)?", part)]
    if len(numbers) != len(parts) or sorted(set(numbers)) != numbers or not all(numbers):
        what = "sizes must be shares of the pot above 0, rising"
        raise _wrong(name, "sizes", what, 'sizes: "0.5 1" for half the pot and the pot')
    return tuple(numbers)


def _whole(name: str, given: Mapping[str, Any], key: str, low: int, high: int) -> int:
    value = given[key]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        what = f"{key} must be a whole number from {low:,} to {high:,}, not {value!r}"
        raise _wrong(name, key, what, f"{key}: {DEFAULTS[key] or low}")
    return value


def _one_of(name: str, given: Mapping[str, Any], key: str, *known: Any) -> Any:
    if given[key] not in known:
        raise _wrong(name, key, f"no such {key}: {given[key]!r}", f"{key}: {' or '.join(known)}")
    return given[key]


def _wrong(name: str, key: str, what: str, hint: str) -> GameError:
    return GameError(what, where=f"game.options.{key}", hint=hint)
