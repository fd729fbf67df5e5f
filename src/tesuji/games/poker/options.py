"""The options of a poker table, read and checked: seats, stacks, blinds, and how bets are named."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from tesuji.games.options import Options, read_options

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


class TableOptions(Options):
    """Seats, stacks and blinds of a table, and how bets are named."""

    players: int = Field(2, ge=2, le=MOST_SEATS)
    """Seats."""
    stack: int = Field(10_000, ge=1, le=MOST_CHIPS)
    """Chips of each seat."""
    stacks: int | str = ""
    """Chips by seat instead, as in `stacks: "1000 1000"`."""
    big_blind: int = Field(100, ge=1, le=MOST_CHIPS)
    """Chips."""
    small_blind: int = Field(50, ge=0)
    """Chips, at most the big blind."""
    ante: int | None = Field(None, ge=0, le=MOST_CHIPS)
    """Chips of everybody; left out, what is usual in the game."""
    bets: Bets = "menu"
    """A list to choose from, or any bet in words."""
    sizes: float | str = "0.5 1"
    """Bets of the menu as shares of the pot; `sizes: "0.5 1"` is half the pot and the pot."""
    shown: Shown = "words"
    """How the situation is described."""

    @field_validator("stacks")
    @classmethod
    def _one_a_seat(cls, stacks: int | str, checked: ValidationInfo) -> int | str:
        seats, parts = checked.data.get("players"), _parts(stacks)
        whole = all(re.fullmatch(r"[1-9]\d{0,8}", part) for part in parts)
        if stacks != "" and seats and not (whole and len(parts) == seats):
            raise ValueError(f"must be {seats} whole numbers above 0")
        return stacks

    @field_validator("small_blind")
    @classmethod
    def _at_most_the_big_one(cls, small: int, checked: ValidationInfo) -> int:
        big = checked.data.get("big_blind", small)
        if small > big:
            raise ValueError(f"must be a whole number from 0 to {big:,}, the big blind")
        return small

    @field_validator("sizes")
    @classmethod
    def _rising(cls, sizes: float | str) -> float | str:
        parts = _parts(sizes)
        numbers = [float(part) for part in parts if re.fullmatch(r"\d{1,3}(\.\d+)?", part)]
        if len(numbers) != len(parts) or sorted(set(numbers)) != numbers or not all(numbers):
            raise ValueError("must be shares of the pot above 0, rising")
        return sizes


def read_stakes(name: str, options: Mapping[str, Any]) -> Stakes:
    """The options of the game `name`. Raises GameError for unknown and impossible ones."""
    table = read_options(TableOptions, name, options)
    usual, same = VARIANTS[name].ante * table.big_blind, (table.stack,) * table.players
    return Stakes(
        game=name,
        stacks=tuple(map(int, _parts(table.stacks))) if table.stacks else same,
        small_blind=table.small_blind,
        big_blind=table.big_blind,
        ante=usual if table.ante is None else table.ante,
        bets=table.bets,
        sizes=tuple(map(float, _parts(table.sizes))),
        shown=table.shown,
    )


def _parts(numbers: float | str) -> list[str]:
    return re.split(r"[\s,;]+", str(numbers).strip())
