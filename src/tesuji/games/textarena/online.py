"""TextArena online: a seat at a table of theirs, behind the `Game`/`Match` contract.

The library's own client (`make_online`, `make_mgc_online`) finds a match and talks to its server.
It prints what it sends, the model's token too, and lives only while it is asked something: here its
words are kept for an error's message, and a thread of its own keeps the connection alive while a
model thinks. Who the others are and what they earn is not told; returns are our seat's: 1, 0, -1.
"""

import asyncio
import importlib
import random
import threading
from collections import deque
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tesuji.core.errors import EngineError, GameError
from tesuji.core.redact import hide, redact, visible
from tesuji.core.types import Message, Move
from tesuji.games.base import Game, GameInfo, Match
from tesuji.games.textarena.game import LONGEST, TextArenaGame
from tesuji.games.textarena.log_prompt import messages
from tesuji.games.textarena.random_replies import random_reply
from tesuji.games.textarena.secretmafia import last_message, phase_of, role_in, seats_in

EARNED = {"win": 1.0, "won": 1.0, "loss": -1.0, "lose": -1.0, "lost": -1.0}  # else nothing
PATIENCE = 1800.0  # seconds that a match is waited for
AFTER = 5.0  # seconds in which more may be told once a match is over
_heard: deque[str] = deque(maxlen=6)  # what the library's client said last


@dataclass(frozen=True, slots=True)
class Entry:
    """Who plays: a name, and its token or what a token is had for: an e-mail address, or a team's
    hash in a track of the MindGames challenge. `model` is named to the server with it."""

    name: str
    model: str
    token: str = ""
    description: str = "a model trained with Tesuji"
    email: str = ""
    track: str = ""
    team_hash: str = ""
    small: bool = False


class _Agent:
    """What the library makes a token of: the same model, the same token."""

    def __init__(self, model: str) -> None:
        self.model_name = model


@dataclass(frozen=True)
class OnlineGame(Game):
    """Their table of the environment `table`: as this one is shown, and with its options of what a
    model is asked."""

    table: TextArenaGame = field(default_factory=lambda: TextArenaGame("SecretMafia-v0"))
    entry: Entry = field(default_factory=lambda: Entry("", ""))
    patience: float = PATIENCE
    _begun: list["OnlineMatch"] = field(default_factory=list, compare=False, repr=False)

    @property
    def info(self) -> GameInfo:
        """The environment's."""
        return self.table.info

    @property
    def num_players(self) -> int:
        """How many may sit down there at most: how many there are is told once it has begun."""
        return self.table.info.seats[1]

    @property
    def rules(self) -> str:
        """The environment's."""
        return self.table.rules

    def start(self, seed: int) -> "OnlineMatch":
        """Wait for a match; the seed means nothing there. Raises EngineError where none begins,
        GameError for an entry that the server refuses."""
        self._begun.append(OnlineMatch(self))
        return self._begun[-1]

    def close(self) -> None:
        """Leave the tables at which a match has not ended."""
        while self._begun:
            self._begun.pop().leave()


class OnlineMatch(Match):
    """A match on their server, seen from the one seat that is ours."""

    judges = True

    def __init__(self, game: OnlineGame) -> None:
        self._game = game
        self._turns, self._view, self._seat = 0, "", -1
        self._info: dict[str, Any] = {}
        self._paid: float | None = None
        self._loop = _Loop()
        try:
            self._env = self._made()
            self._asked(partial(self._env.reset, num_players=None))
            if not self._base.in_game:
                raise EngineError("no match was found, or its server does not answer", hint=_last())
            self._look()
        except BaseException:
            self._loop.close()
            raise

    def _made(self) -> Any:
        """The client inside its wrappers; what it waits for is waited for in the loop's thread."""
        env = self._asked(partial(_client, self._game.table.name, self._game.entry))
        base = env
        while inner := vars(base).get("env") or vars(base).get("base_env"):
            base = inner  # wrappers have whatever is inside them
        hide([base.model_token])
        base.matchmaking_timeout, base.game_over_timeout = self._game.patience, AFTER
        for name in ("reset", "step", "close", "get_observation"):
            wait = partial(_waiting, self._loop, getattr(base, f"async_{name}"))
            setattr(base, name, wait)
        self._base = base
        return env

    def _asked(self, call: Any) -> Any:
        """What the library's call gives. Raises EngineError where it fails."""
        try:
            return call()
        except (EngineError, GameError):
            raise
        except Exception as error:  # the library's own code: whatever it raises is its fault
            words = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise EngineError(f"TextArena's server: {redact(words)}", hint=_last()) from error

    def _look(self) -> None:
        seat, view = self._asked(self._env.get_observation)
        if seat is None:
            raise EngineError("TextArena's server ended the match without a word", hint=_last())
        self._seat, self._view = seat, str(view)

    @property
    def to_act(self) -> tuple[int, ...]:
        """Our seat, until the match is over."""
        return () if self._paid is not None else (self._seat,)

    def observe(self, seat: int) -> str:
        """What we are shown; of other seats nothing is known."""
        return self._view if seat == self._seat else ""

    def messages(self, seat: int) -> tuple[Message, ...]:
        """As at a table here: what is shown as it is, or as logs have it."""
        if self._game.table.options.get("prompt") == "logs":
            name = self._game.table.name
            return messages(name, self.role(seat), self.phase, self._turns, self._view)
        return (Message(role="user", content=self._view.strip("\n")),)

    def legal_moves(self, seat: int) -> None:
        """Any text is a move."""

    def random_reply(self, seat: int, rng: random.Random) -> str:
        """As at a table here."""
        return random_reply(self._view, rng)

    def play(self, seat: int, move: Move) -> None:
        """Say it. Raises EngineError where the server is gone."""
        self._turns += 1
        _, info = self._asked(partial(self._env.step, action=move.text[-LONGEST:]))
        self._info = dict(info or {})
        self._loop.run(self._hear_the_rest())
        if self._base.game_over:
            self._end()
        else:
            self._look()

    async def _hear_the_rest(self) -> None:
        """The client stops listening as soon as the server closes, though the result may wait."""
        queue = self._base.message_queue
        while self._base.server_shutdown and not queue.empty():
            await self._base._process_message(queue.get_nowait())

    def _end(self) -> None:
        about = self._base.game_info.get(self._seat, {})
        self.reason = str(about.get("reason") or self._info.get("message") or "")
        self._paid = EARNED.get(str(about.get("outcome", "")).casefold(), 0.0)
        self.leave()

    def leave(self) -> None:
        """Close the connection; leaving twice is harmless."""
        if not self._loop.closed:
            self._asked(self._env.close)
            self._loop.close()

    def forfeit(self, seat: int) -> None:
        """Leave the table: what was said is no text at all."""
        self.offender, self._paid = seat, -1.0
        self.leave()

    def returns(self) -> tuple[float, ...]:
        """Ours; 0 for all others."""
        paid = self._paid or 0.0
        return tuple(paid * (seat == self._seat) for seat in range(self._seats))

    @property
    def _seats(self) -> int:
        named = seats_in(self._view) if self._game.table.is_mafia else 0
        return max(named or self._game.table.num_players, self._seat + 1)

    def role(self, seat: int) -> str:
        """In SecretMafia the role that we were told, else the seat's name."""
        told = role_in(self._view) if seat == self._seat and self._game.table.is_mafia else ""
        return told or f"Player {seat}"

    @property
    def phase(self) -> str:
        """In SecretMafia what we were asked last."""
        return phase_of(last_message(self._view)) if self._game.table.is_mafia else ""

    def facts(self) -> Mapping[str, Any]:
        """That it was online, our seat, and what it did to our rating there."""
        change = self._base.rewards.get(self._seat)
        return {"online": True, "seat": self._seat, "rating_change": change}

    def render(self) -> str:
        """What we were shown last."""
        return self._view

    def clone(self) -> "OnlineMatch":
        """A match with others cannot be copied."""
        raise EngineError("a match online cannot be copied", where=self._game.name)


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="textarena", daemon=True)
        self.thread.start()

    def run(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self.loop).result()

    @property
    def closed(self) -> bool:
        return self.loop.is_closed()

    def close(self) -> None:
        self.run(self._end_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    @staticmethod
    async def _end_all() -> None:
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _waiting(loop: _Loop, what: Any, *arguments: Any, **named: Any) -> Any:
    return loop.run(what(*arguments, **named))


def _last() -> str:
    """The client's last words, without its emphasis and without secrets."""
    words = (" ".join(line.split()).strip("❌💡✅ ") for line in _heard)
    return redact(visible("; ".join(word[:120] for word in words if word)))


def _client(name: str, entry: Entry) -> Any:
    """The library's client. Raises GameError where the entry is not taken."""
    api: Any = importlib.import_module("textarena.api")
    api.print = lambda *words, **_: _heard.append(" ".join(map(str, words)))
    _heard.clear()
    hide([entry.token])
    agent = None if entry.token else _Agent(entry.model)
    common = {"model_token": entry.token or None, "model_description": entry.description}
    try:
        if not entry.track:
            email = entry.email or None
            return api.make_online([name], entry.name, email=email, agent=agent, **common)
        return api.make_mgc_online(
            entry.track,
            entry.name,
            team_hash=entry.team_hash or None,
            agent=agent,
            small_category=entry.small,
            **common,
        )
    except ValueError as error:
        raise GameError(f"TextArena does not take this entry: {error}", hint=_last()) from error
