"""Games of one turn and one seat: something is shown, one reply is given, and the match is over."""

import copy
from abc import abstractmethod
from dataclasses import dataclass
from typing import Self

from tesuji.core.errors import IllegalMove
from tesuji.core.types import Move
from tesuji.games.base import Game, GameInfo, Match


def one_turn_info(
    name: str,
    title: str,
    family: str,
    *,
    best: float = 1.0,
    key: bool = True,
    unavailable: str = "",
) -> GameInfo:
    """Facts about such a game, which pays 0 to `best` (0: nothing, so that nothing is won); `key`:
    it knows right replies."""
    return GameInfo(
        name=name,
        title=title,
        family=family,
        seats=(1, 1),
        information="perfect",
        chance=True,
        simultaneous=False,
        zero_sum=False,
        min_utility=0.0,
        max_utility=best,
        max_moves=1,
        traits=("text", "answer_key") if key else ("text",),
        unavailable=unavailable,
    )


@dataclass(frozen=True)
class OneTurnGame(Game):
    """A game whose matches are `OneTurnMatch`es."""

    @property
    def num_players(self) -> int:
        """One."""
        return 1


class OneTurnMatch(Match):
    """What is shown and, in the end, the `reply` to it, what it `earned`, and why no more
    (`problem`). Subclasses keep nothing that changes but what the reply sets."""

    reply: str | None = None
    earned: float = 0.0
    problem: str = ""

    @abstractmethod
    def judge(self, reply: str) -> tuple[float, str]:
        """(what the reply earns, why no more)."""

    @property
    def to_act(self) -> tuple[int, ...]:
        """Seat 0 until it has replied."""
        return (0,) if self.reply is None else ()

    def legal_moves(self, seat: int) -> tuple[Move, ...] | None:
        """Any text is a reply."""
        return None

    def play(self, seat: int, move: Move) -> None:
        """Give the reply, and have it judged."""
        if self.reply is not None:
            raise IllegalMove("the reply has been given", where=self.role(seat))
        self.reply = move.text
        self.earned, self.problem = self.judge(move.text)

    def forfeit(self, seat: int) -> None:
        """An empty reply."""
        self.reply, self.offender = "", seat
        self.earned, self.problem = self.judge("")

    def returns(self) -> tuple[float, ...]:
        """What the reply earned."""
        return (self.earned,)

    def role(self, seat: int) -> str:
        """None."""
        return ""

    def verdict_text(self) -> str:
        """What is said of the reply behind it, if anything."""
        return ""

    def render(self) -> str:
        """What was shown, the reply, and what is said of it."""
        parts = [self.observe(0)]
        if self.reply is not None:
            parts.append(f"→ {self.reply}")
            parts += [f"({verdict})"] if (verdict := self.verdict_text()) else []
        return "\n\n".join(parts)

    def clone(self) -> Self:
        """The same question, the same reply."""
        return copy.copy(self)
