"""The contract every game fulfils: an immutable `Game` starts any number of `Match`es.

    match = game.start(seed=7)
    while match.to_act:
        seat = match.to_act[0]
        shown = match.observe(seat)
        match.play(seat, match.legal_moves(seat)[0])
    match.returns()

The same seed gives the same match, however many other matches run in between. Chance is inside
the match. Where several seats move at once, `to_act` names those that have not yet chosen; a
choice stays hidden until all have chosen.
"""

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tesuji.core.types import Message, Move
from tesuji.games.picture import Picture


@dataclass(frozen=True, slots=True)
class GameInfo:
    """What is known about a game without playing it. Utilities are a seat's final return.

    `metrics` name the exact measures that work for this game; `unavailable` says why it cannot be
    played here (empty: it can). `traits` are what players go by who say whether they can play it:

    text            any text is a move, there is no list of them
    random_replies  ... and the game can draw one at random
    answer_key      it knows a right reply to what it asks
    searchable      a game tree of OpenSpiel: nothing hidden, in turns, paid at the end
    two_sided       ... of two seats, without chance, one's gain being the other's loss
    enumerable      ... small enough to be walked in full
    solvable        hidden information, and small enough to be walked in full
    resampled       hidden cards can be dealt anew so that they fit what a seat knows

    `won_by` says what makes a match for *one* seat a won one: "pay", all that can be paid;
    "verdict", the game's own (`Match.says_won`); "", nothing: then returns are all there is
    to report. With more seats it means nothing. `cooperative`: all seats are always paid alike, so
    that nobody beats anybody, and returns are all there is to report.
    """

    name: str
    title: str
    family: str
    seats: tuple[int, int]
    information: str  # "perfect" | "imperfect"
    chance: bool
    simultaneous: bool
    zero_sum: bool
    min_utility: float = float("-inf")
    max_utility: float = float("inf")
    max_moves: int | None = None
    traits: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    unavailable: str = ""
    won_by: str = "pay"
    cooperative: bool = False

    @property
    def has_winners(self) -> bool:
        """Whether it can be said of a match that it was won: always with several seats; for one,
        where the game says so or where there is a most that can be paid."""
        if self.seats != (1, 1) or self.won_by == "verdict":
            return True
        return self.won_by == "pay" and self.min_utility < self.max_utility < math.inf


class Match(ABC):
    """One running match. Seats are numbered from 0; returns are from each seat's viewpoint.

    Where the game itself `judges` replies, every one is played as it is said, the empty one too:
    `refused` then says why the last one was no move ("": it was), and `offender` names the seat
    whose refused reply, or whose forfeit, ended the match. `reason` says in words why the match is
    over, where the game does. `grows`: what a seat is shown begins with all it was shown at its
    turn before.
    """

    judges: bool = False
    grows: bool = False
    refused: str = ""
    reason: str = ""
    offender: int | None = None

    @property
    @abstractmethod
    def to_act(self) -> tuple[int, ...]:
        """Seats that still have to choose now; empty when the match is over."""

    @abstractmethod
    def observe(self, seat: int) -> str:
        """What `seat` may know now, and nothing else."""

    def transcript(self, seat: int) -> str:
        """All that `seat` has been shown so far; where that is not kept, what it is shown now."""
        return self.observe(seat)

    def messages(self, seat: int) -> tuple[Message, ...] | None:
        """The very messages to show a model, where the game has its own; None: made from what
        the seat may observe."""
        return None

    def answer(self, seat: int) -> str | None:
        """A right reply for `seat`, where the game comes with a key (the player `answer_key` reads
        it, and no other); None: there is none."""
        return None

    @abstractmethod
    def legal_moves(self, seat: int) -> tuple[Move, ...] | None:
        """The moves `seat` may choose from, or None where any text is a move."""

    def read(self, seat: int, reply: str) -> Move | None:
        """The move that these words name, where the game understands more than the list of its
        legal moves; None: look for a move of the list. Raises IllegalMove, with the reason, for
        words that name none."""
        return None

    def random_reply(self, seat: int, rng: random.Random) -> str | None:
        """Where any text is a move: a reply drawn at random; None if the game knows no way."""
        return None

    @abstractmethod
    def play(self, seat: int, move: Move) -> None:
        """Choose `move` for `seat`. Raises IllegalMove, and then nothing has changed; EngineError
        when the game's own code fails, and then the match cannot go on."""

    @abstractmethod
    def forfeit(self, seat: int) -> None:
        """End the match because `seat` offered no legal move; the game says what that costs."""

    @abstractmethod
    def returns(self) -> tuple[float, ...]:
        """What each seat has earned so far (final once `to_act` is empty)."""

    @abstractmethod
    def role(self, seat: int) -> str:
        """The name the rules give to this seat: "x", "White", "Player 0"."""

    @property
    def says_won(self) -> bool:
        """Whether a match for one seat that is over was won, where the game itself says so
        (`GameInfo.won_by`)."""
        return False

    @property
    def phase(self) -> str:
        """The part of the match under way ("voting"), where the game has such; else ""."""
        return ""

    def facts(self) -> Mapping[str, Any]:
        """What else a record says of a match that is over, by the names imported logs have: `roles`
        (seat → role), `winners` and `survivors` (seats). Secrets are among it: not for players."""
        return {}

    @abstractmethod
    def render(self) -> str:
        """The whole position, nothing hidden: for replays and reports, never for a player."""

    def picture(self, seat: int | None) -> Picture | None:
        """What `seat` may know, as something to draw (None: the whole position, as `render`); None
        where the match describes none: then one is looked for in its text."""
        return None

    @abstractmethod
    def clone(self) -> "Match":
        """A copy that goes its own way from here."""


@dataclass(frozen=True)
class Game(ABC):
    """An immutable description of a game with its options, and the factory of its matches."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    @abstractmethod
    def info(self) -> GameInfo:
        """Facts about this game with these options."""

    @property
    @abstractmethod
    def num_players(self) -> int:
        """How many seats a match of this game has."""

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles that a match deals out by lot, whichever the seat; () where seats are the roles."""
        return ()

    @property
    @abstractmethod
    def rules(self) -> str:
        """The rules in words, for a prompt and for people."""

    @property
    def held_out(self) -> "Game | None":
        """The same game on what is kept out of training, where it keeps something out."""
        return None

    @property
    def as_logged(self) -> "Game":
        """The same game asking for moves in the words in which rows made from logs ask, unless its
        options say in which; itself, where it has no such words."""
        return self

    @property
    def tasks(self) -> int | None:
        """How many different matches there are, where seeds 0 to `tasks` - 1 are all of them."""
        return None

    @property
    def at_once(self) -> int | None:
        """How many matches of it there can be at the same time; None: as many as one likes."""
        return None

    @abstractmethod
    def start(self, seed: int) -> Match:
        """Begin a match whose chance moves follow from `seed` alone."""


def is_won(info: GameInfo, match: Match) -> bool | None:
    """Whether a match for one seat is won; None where nothing says so of any match of the game. A
    match that goes on, or that the seat's own refused reply ended, is not."""
    if not info.has_winners:
        return None
    if match.to_act or match.offender is not None:
        return False
    if info.won_by == "verdict":
        return match.says_won
    [paid] = match.returns()
    return paid >= info.max_utility or math.isclose(paid, info.max_utility)


def play_through(match: Match, moves: Sequence[tuple[int, Move]]) -> Match:
    """Play recorded (seat, move) choices in order and return the match."""
    for seat, move in moves:
        match.play(seat, move)
    return match
