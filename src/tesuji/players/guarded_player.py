"""A wall around somebody else's player: whatever it does, the run goes on."""

import logging
import threading
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from tesuji.core.errors import EngineError
from tesuji.players.base import MoveRequest, Player, Reply

log = logging.getLogger(__name__)

Answer = list[Reply] | BaseException
Question = tuple[Sequence[MoveRequest], "SimpleQueue[Answer]"]


class GuardedPlayer(Player):
    """Turns what another player does wrong into replies with an `error`, which end one match each.

    An exception, a wrong number of replies or a move outside the rules costs the requests that
    caused it: the batch is asked once more, one by one. A call that takes longer than `timeout_s`
    seconds costs all its requests, and the player is given up: it answers every later request with
    the same error at once. The player runs in one thread of its own, which does not keep the
    program from ending. Native code that holds Python's lock (the GIL) cannot be interrupted: the
    timeout is noticed only once it lets go.
    """

    def __init__(self, player: Player, *, timeout_s: float = 300.0) -> None:
        self.player = player
        self.name = player.name
        self.timeout_s = timeout_s
        self.given_up = ""
        self._questions: SimpleQueue[Question] | None = None

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        """Never raises an Exception; KeyboardInterrupt and SystemExit pass."""
        try:
            return self._ask(requests)
        except Exception as error:
            if not self.given_up:
                log.warning("%s failed, asking one by one: %s", self.name, _words(error))
        return [self._alone(request) for request in requests]

    def _alone(self, request: MoveRequest) -> Reply:
        try:
            [reply] = self._ask([request])
        except Exception as error:
            return Reply(error=self.given_up or _words(error))
        return reply

    def _ask(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        """The player's own replies. Raises what it raised, and EngineError when it has not
        answered in time, or nonsense."""
        if self.given_up:
            raise EngineError(self.given_up)
        answers: SimpleQueue[Answer] = SimpleQueue()
        self._worker().put((requests, answers))
        try:
            answer = answers.get(timeout=self.timeout_s)
        except Empty:
            self.given_up = f"did not answer within {self.timeout_s:g} s"
            log.warning("%s %s and is given up", self.name, self.given_up)
            raise EngineError(self.given_up) from None
        if isinstance(answer, BaseException):
            raise answer
        return _checked(requests, answer)

    def _worker(self) -> "SimpleQueue[Question]":
        if self._questions is None:
            self._questions = SimpleQueue()
            name = f"player {self.name}"
            arguments = (self.player, self._questions)
            threading.Thread(target=_work, args=arguments, name=name, daemon=True).start()
        return self._questions


def _work(player: Player, questions: "SimpleQueue[Question]") -> None:
    """Answer questions for ever, in the thread of the player."""
    while True:
        requests, answers = questions.get()
        try:
            answers.put(player.choose(requests))
        except BaseException as error:  # raised again where the question was asked
            answers.put(error)


def _checked(requests: Sequence[MoveRequest], replies: list[Reply]) -> list[Reply]:
    if len(replies) != len(requests):
        raise EngineError(f"{len(replies)} replies to {len(requests)} requests")
    for request, reply in zip(requests, replies, strict=True):
        move, legal = reply.move, request.legal
        if move is not None and legal is not None and move.id not in [one.id for one in legal]:
            raise EngineError(f"chose {move.text!r}, which is not legal here")
    return replies


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
