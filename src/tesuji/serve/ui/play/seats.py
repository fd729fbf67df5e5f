"""Who sits at a table, as the arena sees them: a person, whose moves come from a page, and players
whose earlier replies are kept, so that a match can be played again up to any of them."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tesuji.core.errors import TesujiError
from tesuji.core.types import Move
from tesuji.players.base import MoveRequest, OneByOne, Player, Reply


class Left(TesujiError):
    """The table was left while a match was played."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a seat replied; `person`: whether a person did."""

    seat: int
    reply: Reply
    person: bool


class Minutes:
    """All replies of a match in the order in which they were given. The first ones may be known
    before: they are given again, seat by seat, and nobody is asked for them."""

    def __init__(self, known: Sequence[Said] = ()) -> None:
        self.said: list[Said] = []
        self._known: dict[int, deque[Said]] = {}
        for said in known:
            self._known.setdefault(said.seat, deque()).append(said)

    def again(self, seat: int) -> Reply | None:
        """What the seat replies because it did so before; None: it has to be asked."""
        known = self._known.get(seat)
        if not known:
            return None
        said = known.popleft()
        self.said.append(said)
        return said.reply

    @property
    def replaying(self) -> bool:
        """Whether some replies are known before."""
        return any(self._known.values())

    def before_the_last_move_of_a_person(self) -> list[Said] | None:
        """The replies up to there; None where no person has moved."""
        places = [place for place, said in enumerate(self.said) if said.person]
        return self.said[: places[-1]] if places else None


class Remembered(Player):
    """A player at a table. `pause()` is called before it is asked and after: it raises Left where
    the table has been left. `look(player, request)` is told whom is asked what, before that."""

    def __init__(
        self,
        inner: Player,
        minutes: Minutes,
        pause: Callable[[], None],
        look: Callable[[Player, MoveRequest], None],
    ) -> None:
        self.inner, self.minutes, self.pause, self.look = inner, minutes, pause, look
        self.name = inner.name

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        """The known replies, or those of the player inside."""
        again = [self.minutes.again(request.seat) for request in requests]
        asked = [one for one, reply in zip(requests, again, strict=True) if reply is None]
        if asked:
            self.pause()
        new = iter(self._ask(asked) if asked else ())
        return [next(new) if reply is None else reply for reply in again]

    def _ask(self, asked: Sequence[MoveRequest]) -> list[Reply]:
        for request in asked:
            self.look(self.inner, request)
        replies = self.inner.choose(asked)
        self.pause()
        person = isinstance(self.inner, Person)
        for request, reply in zip(asked, replies, strict=True):
            self.minutes.said.append(Said(request.seat, reply, person))
        return replies


class Person(OneByOne):
    """A person, who is waited for. `asked` is told each question before that."""

    name = "person"

    def __init__(self, asked: Callable[[MoveRequest], None]) -> None:
        self.asked = asked
        self._there = threading.Condition()
        self._move: Move | None = None
        self._left = False
        self._again = False

    def reply(self, request: MoveRequest) -> Reply:
        """The move that `answer` brings. Raises Left."""
        while True:
            self.asked(request)
            with self._there:
                self._there.wait_for(lambda: self._left or self._again or self._move is not None)
                if self._left:
                    raise Left("the table was left")
                move, self._move, self._again = self._move, None, False
            if move is not None:
                return Reply(move=move)

    def ask_again(self) -> None:
        """Have `asked` told the question once more."""
        with self._there:
            self._again = True
            self._there.notify()

    def answer(self, move: Move) -> None:
        """The person's move."""
        with self._there:
            self._move = move
            self._there.notify()

    def leave(self) -> None:
        """The person is gone."""
        with self._there:
            self._left = True
            self._there.notify()
