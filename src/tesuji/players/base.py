"""The contract of whoever chooses moves: batched requests in, one reply each out.

Batched because a model is fast only in batches; a search player simply loops. A reply is text,
as a model's is: the move pipeline (`players.prompting.parse_reply`) looks for the move in it. A
player that chooses without words names its move directly.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tesuji.core.types import Attempt, Message, Move, Sampled, Turn
from tesuji.games.base import Game, Match


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """One decision to take: `seat` is to choose in `match`.

    `match` is the true state. Players that must not look into hidden hands use `observation`
    and `legal` only; search players take what their method allows and say so. `seed` is this
    decision's own random stream, so that a choice does not depend on what else is in the batch.
    `failed` holds the earlier attempt of this turn when this is the retry, `history` the seat's
    own earlier turns of this match.
    """

    game: Game
    match: Match
    seat: int
    observation: str
    legal: tuple[Move, ...] | None
    seed: int
    failed: Attempt | None = None
    history: Sequence[Turn] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a player answered. `move` is set by players that choose without words, `asked_for` by
    those that were asked for a move's number or its notation by options of their own.

    `error` says why a remote player failed to answer; such a reply ends its episode as an
    `error`, and never the run.
    """

    text: str = ""
    move: Move | None = None
    prompt: tuple[Message, ...] = ()
    tokens: Sampled | None = None
    error: str = ""
    asked_for: Literal["id", "move"] | None = None


class Player(ABC):
    """Chooses moves for any seat of any match it is asked about."""

    name: str

    @abstractmethod
    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        """One reply a request, in order."""


class OneByOne(Player):
    """A player that takes every decision by itself."""

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        """One reply a request, in order."""
        return [self.reply(request) for request in requests]

    @abstractmethod
    def reply(self, request: MoveRequest) -> Reply:
        """The reply to one request."""
