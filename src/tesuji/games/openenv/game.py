"""Any OpenEnv text environment behind the `Game`/`Match` contract.

    game = load_game("openenv:http://127.0.0.1:8000", {"best": 1.0})

A match is a session on the server's /ws, reset with the match's seed (its last 31 bits). It has one
seat. Any text is a move: it goes into one field of an action; one field of the observation is what
the seat is shown; rewards are the environment's, added up. A session that is lost is opened again
and the match played up to where it was; where that shows something else, the match broke.
"""

import json
import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tesuji.core.errors import EngineError, IllegalMove
from tesuji.core.types import Message, Move, is_message
from tesuji.games.base import Game, GameInfo, Match
from tesuji.games.openenv.options import OpenEnvOptions, split_options
from tesuji.games.openenv.schema import LEGAL, About, about
from tesuji.games.openenv.session import Lost, Seen, Session

PREFIX = "openenv:"
SEEDS = 2**31  # what a generator of NumPy takes, too
LONGEST_WAIT_S = 8.0


@dataclass(frozen=True)
class OpenEnvGame(Game):
    """An environment at an address. Creating it asks nothing; `load_game` of the catalogue does."""

    @property
    def url(self) -> str:
        """Where the server is."""
        return self.name.removeprefix(PREFIX).rstrip("/")

    @cached_property
    def ours(self) -> OpenEnvOptions:
        """The options that are ours."""
        return split_options(self.name, self.options, OpenEnvOptions)[0]

    @property
    def arguments(self) -> dict[str, Any]:
        """The options that go to every reset."""
        return split_options(self.name, self.options, OpenEnvOptions)[1]

    @property
    def headers(self) -> dict[str, str]:
        """With the key, where there is one."""
        return key_header(self.ours.api_key_env)

    @property
    def about(self) -> About:
        """What the server says of itself. Raises EngineError where it does not answer."""
        return about(self.url, self.headers)

    @cached_property
    def fields(self) -> tuple[str, str]:
        """(what of an observation is shown, where in an action the reply goes). Raises GameError
        for an environment whose actions are no texts."""
        return self.about.text_field(self.ours.text), self.about.action_field(self.ours.action)

    @property
    def info(self) -> GameInfo:
        """One seat, free text; what can be earned is known only where `best` says so."""
        best = self.ours.best
        return GameInfo(
            name=self.name,
            title=self.about.title,
            family=self.name.partition(":")[0],
            seats=(1, 1),
            information="imperfect",
            chance=True,
            simultaneous=False,
            zero_sum=False,
            max_utility=float("inf") if best is None else best,
            traits=("text", "random_replies") if self.about.lists_moves else ("text",),
            won_by="" if best is None else "pay",
        )

    @property
    def num_players(self) -> int:
        """One: who else is at the table, plays on the server."""
        return 1

    @property
    def at_once(self) -> int:
        """As many as the server is said to have room for."""
        return self.ours.sessions

    @property
    def rules(self) -> str:
        """What the server says of itself; a model is shown the observations alone."""
        return self.about.rules or f"The environment {self.about.title}, at {self.url}."

    def start(self, seed: int) -> "OpenEnvMatch":
        """Begin a match. Raises EngineError where the server has none for us."""
        return OpenEnvMatch(self, seed)


class OpenEnvMatch(Match):
    """A session of the server."""

    judges = True

    def __init__(self, game: OpenEnvGame, seed: int) -> None:
        self._game, self._seed = game, seed
        self._replies: list[str] = []
        self._returns = 0.0
        self._over = False
        self._session: Session | None = None
        self._seen = self._settle(None)

    @property
    def to_act(self) -> tuple[int, ...]:
        """Seat 0 until the environment says that it is done."""
        return () if self._over else (0,)

    def observe(self, seat: int) -> str:
        """The field that is shown; where there is none, the whole observation as JSON."""
        return self._shown(self._seen)

    def _shown(self, seen: Seen) -> str:
        field = self._game.fields[0]
        shown = seen.observation.get(field) if field else seen.observation
        return shown if isinstance(shown, str) else json.dumps(shown, indent=1, sort_keys=True)

    def messages(self, seat: int) -> tuple[Message, ...]:
        """The messages of the observation, where it has a whole chat; else what is shown, as it
        is."""
        chat = None if self._game.ours.text else self._seen.observation.get("messages")
        if isinstance(chat, list) and chat and all(is_message(item) for item in chat):
            return tuple(Message(role=item["role"], content=item["content"]) for item in chat)
        return (Message(role="user", content=self.observe(seat).strip("\n")),)

    def legal_moves(self, seat: int) -> None:
        """Any text is a move."""

    def random_reply(self, seat: int, rng: random.Random) -> str | None:
        """One of the moves that the observation names, where it names any."""
        listed = self._seen.observation.get(LEGAL)
        return str(rng.choice(listed)) if isinstance(listed, list) and listed else None

    def play(self, seat: int, move: Move) -> None:
        """Send the reply. Raises EngineError where the server fails, and then the match cannot go
        on."""
        if self._over:
            raise IllegalMove("the match is over", where=self._game.name)
        try:
            self._seen = self._settle(move.text)
        except EngineError:
            self._close()
            raise
        self._replies.append(move.text)
        self._returns += self._seen.reward
        problem = self._seen.observation.get("problem")
        self.refused = problem if isinstance(problem, str) else ""
        if self._seen.done:
            self._end()

    def _end(self) -> None:
        told = self._seen.metadata
        self.reason = str(told.get("reason") or "")
        if told.get("ending") == "forfeit":
            self.offender, self.refused = 0, self.refused or self.reason or "no valid move"
        self._close()

    def _settle(self, reply: str | None) -> Seen:
        """The answer to a reply, or to the reset; tried again in sessions that are new."""
        ours, problem = self._game.ours, Lost("")
        for number in range(ours.retries + 1):
            try:
                session = self._session or self._opened()
                return self._begin(session) if reply is None else self._step(session, reply)
            except Lost as lost:
                problem = lost
                self._hang_up()
                time.sleep(min(LONGEST_WAIT_S, 0.25 * 2**number) if number < ours.retries else 0)
        raise EngineError(
            f"the server failed {ours.retries + 1} times, last: {problem}",
            where=self._game.name,
            hint=problem.hint or "is the server up? The option `retries` says how often to try",
        )

    def _opened(self) -> Session:
        """A new session, with the match played to where it was."""
        game = self._game
        session = Session(game.url, game.headers, game.ours.timeout_s)
        if hasattr(self, "_seen"):
            seen = self._begin(session)
            for reply in self._replies:
                seen = self._step(session, reply)
            if self._shown(seen) != self._shown(self._seen):
                session.close()
                raise EngineError(
                    "the session was lost, and another one with the same seed and the same replies "
                    "shows something else",
                    where=game.name,
                )
        self._session = session
        return session

    def _begin(self, session: Session) -> Seen:
        self._session = session
        return session.reset({**self._game.arguments, "seed": self._seed % SEEDS})

    def _step(self, session: Session, reply: str) -> Seen:
        return session.step({self._game.fields[1]: reply})

    def _hang_up(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _close(self) -> None:
        self._over = True
        self._hang_up()

    def forfeit(self, seat: int) -> None:
        """End the match; what was earned stays."""
        self.offender = seat
        self._close()

    def returns(self) -> tuple[float, ...]:
        """The rewards so far, added up."""
        return (self._returns,)

    def role(self, seat: int) -> str:
        """What the observation calls it, if anything."""
        role = self._seen.observation.get("role")
        return role if isinstance(role, str) else ""

    def facts(self) -> Mapping[str, Any]:
        """The metadata of the last answer."""
        return {"openenv": dict(self._seen.metadata)} if self._seen.metadata else {}

    def render(self) -> str:
        """What is shown."""
        return self.observe(0)

    def clone(self) -> "OpenEnvMatch":
        """The same match, played again from its seed in a session of its own."""
        copy = OpenEnvMatch(self._game, self._seed)
        for reply in self._replies:
            copy.play(0, Move(-1, reply))
        if self.offender is not None and copy.to_act:
            copy.forfeit(self.offender)
        return copy


def key_header(variable: str) -> dict[str, str]:
    """The header with the key in that variable; none where it is empty."""
    key = os.environ.get(variable, "").strip()
    return {"Authorization": f"Bearer {key}"} if key else {}
