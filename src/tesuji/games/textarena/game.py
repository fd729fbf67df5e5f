"""Every environment of TextArena behind the `Game`/`Match` contract.

    game = TextArenaGame("SecretMafia-v0", {"num_players": 7})
    match = game.start(seed=7)

A match plays as the library's own environment does after `reset(seed=7)`, whatever else is played
in between (`seeding.py`). Any text is a move: the environment judges it by its own rules
(as a rule: one more try, then the match is lost or the player out) and nobody asks again.

Options: `num_players`; `observations`, `all` (what the environment's wrapper shows, as a rule the
whole match so far) or `new` (what came since the seat's turn before, for chat prompts with
`history: full`); `prompt`, `environment` (a model is shown that and nothing else) or `logs` (it is
asked as rows made from logs ask, `log_prompt.py`); `fix_night_kills` for SecretMafia; all else goes
to the environment. Rule faults of the library are listed in `known_faults.py`.
"""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from tesuji.core.errors import EngineError, GameError, IllegalMove
from tesuji.core.types import Message, Move
from tesuji.games.base import Game, GameInfo, Match
from tesuji.games.textarena.facts import OWN_OPTIONS, WINNING_WORDS, describe, stem_of
from tesuji.games.textarena.known_faults import Eliminated, solved
from tesuji.games.textarena.library import Library, library, making
from tesuji.games.textarena.log_prompt import messages
from tesuji.games.textarena.names import facts
from tesuji.games.textarena.random_replies import random_reply
from tesuji.games.textarena.secretmafia import LIBRARY_PHASES, ROLES, is_secretmafia
from tesuji.games.textarena.seeding import drawing

LONGEST = 20_000  # characters of a reply; of a longer one the end is taken, as the library clips


@dataclass(frozen=True)
class TextArenaGame(Game):
    """An environment with its options. Creating it checks nothing; `load_game` of the catalogue
    does."""

    @property
    def info(self) -> GameInfo:
        """Facts from the table of environments; no library is imported for them."""
        return describe(self.name)

    @property
    def num_players(self) -> int:
        """How many sit down: the option, or the usual number."""
        return int(self.options.get("num_players", facts(self.name).usual))

    @property
    def is_mafia(self) -> bool:
        """Whether this is SecretMafia, whose players have roles and sides."""
        return is_secretmafia(self.name)

    @property
    def roles(self) -> tuple[str, ...]:
        """SecretMafia: the four roles."""
        return tuple(ROLES.values()) if self.is_mafia else ()

    @property
    def rules(self) -> str:
        """For people: the environment tells its rules to each seat in what it is shown."""
        seats = f"{self.num_players} seat{'s' if self.num_players > 1 else ''}"
        return (
            f"{self.name} of TextArena with {seats}. The environment tells its rules in what each "
            "seat is shown first. Any text is a move; the environment judges it by its own rules."
        )

    @cached_property
    def env_options(self) -> dict[str, Any]:
        """The options that are the environment's own."""
        return {key: value for key, value in self.options.items() if key not in OWN_OPTIONS}

    @property
    def as_logged(self) -> "TextArenaGame":
        """Asked as rows made from logs ask."""
        return replace(self, options={"prompt": "logs", **self.options})

    @cached_property
    def library(self) -> Library:
        """The environment's class and wrappers. Raises GameError where it cannot be imported."""
        return library(self.name, mended=bool(self.options.get("fix_night_kills", False)))

    def start(self, seed: int) -> "TextArenaMatch":
        """Begin a match. Raises GameError when the environment refuses these options."""
        return TextArenaMatch(self, seed)


class TextArenaMatch(Match):
    """A running match of one environment."""

    judges = True

    def __init__(self, game: TextArenaGame, seed: int) -> None:
        self._game, self._seed = game, seed
        self._rng = random.Random(seed)
        self._drawing = drawing(self._rng)
        self._tries = 0  # refused replies in a row
        self._replies: list[str] = []
        self._turns: Counter[int] = Counter()  # that each seat has had
        self._new_only = game.options.get("observations", "all") == "new"
        self._wrapped = game.library.shows is not None and not self._new_only
        self.grows = not self._wrapped and not self._new_only
        self._env = self._begin()
        self._state = self._env.state
        solved(self._state)
        if hasattr(self._state, "elimination_order"):
            out = Eliminated(self._state.elimination_order, game.num_players)
            self._state.elimination_order = out
        self._roles = {s: str(about["role"]) for s, about in self._state.game_info.items()}
        self._lines: list[list[str]] = [[] for _ in range(game.num_players)]
        self._views = [""] * game.num_players
        self._nothing = (0.0,) * game.num_players
        self._to_act: tuple[int, ...] = ()
        self._forfeited: tuple[float, ...] | None = None
        self._over = False
        try:
            with self._drawing:
                self._look()
        except Exception as error:  # the library's own code: whatever it raises is its fault
            raise GameError(f"{game.name} does not start: {_words(error)}") from error

    def _begin(self) -> Any:
        game = self._game
        try:
            with making(), self._drawing:
                env = game.library.make(game.env_options, shows=self._wrapped)
                env.reset(num_players=game.num_players, seed=self._seed)
        except Exception as error:  # the library's own code: whatever it raises is its fault
            raise GameError(
                f"{game.name} does not start with {game.num_players} players: {_words(error)}",
                where="game.options",
                hint="try another num_players, or the environment's own options",
            ) from error
        return env

    @property
    def env(self) -> Any:
        """The library's environment inside its wrappers: to look at, for tests and measures."""
        env = self._env
        while hasattr(env, "env"):
            env = env.env
        return env

    @property
    def to_act(self) -> tuple[int, ...]:
        """The seat whose turn it is; empty when the match is over."""
        return self._to_act

    def observe(self, seat: int) -> str:
        """What the seat has been shown; one that is not to act has also heard what came since."""
        if not 0 <= seat < len(self._views):
            raise GameError(
                f"{self._game.name} has no seat {seat}", hint=f"seats: 0 to {len(self._views) - 1}"
            )
        if seat in self._to_act:
            return self._views[seat]
        before = "" if self._new_only else self._views[seat]
        return before + "".join(map(self._line, self._state.observations.get(seat, ())))

    def transcript(self, seat: int) -> str:
        """All that the seat has been shown at its turns."""
        return "".join(self._lines[seat]) if self._new_only else self.observe(seat)

    def messages(self, seat: int) -> tuple[Message, ...]:
        """What the seat is shown, as it is: that is the prompt these environments come with. Or, as
        logs have it, all that it has been shown, behind its role and the phase."""
        if self._game.options.get("prompt") == "logs":
            role = self.role(seat) if self._game.is_mafia else ""
            shown = self.transcript(seat)
            return messages(self._game.name, role, self.phase, self._turns[seat], shown)
        return (Message(role="user", content=self.observe(seat).strip("\n")),)

    def legal_moves(self, seat: int) -> None:
        """Any text is a move."""

    def random_reply(self, seat: int, rng: random.Random) -> str:
        """Something in brackets that the seat was shown, its numbers changed now and then."""
        return random_reply(self.observe(seat), rng)

    def play(self, seat: int, move: Move) -> None:
        """Say `move.text`. Raises EngineError when the environment itself breaks."""
        if seat not in self._to_act:
            waiting = (
                f"seat {self._to_act[0]} is" if self._to_act else "the match is over, nobody is"
            )
            raise IllegalMove(f"seat {seat} is not to move: {waiting}", where=self._game.name)
        text = move.text[-LONGEST:]
        self._replies.append(text)
        self._turns[seat] += 1
        tries, about = self._tries, self._state.game_info[seat]
        paid = about["invalid_move"]
        try:
            with self._drawing:
                self._over, _ = self._env.step(action=text)
                self._tries = getattr(self._state, "error_count", 0)
                thrown_out = about["invalid_move"] and not paid
                refused = thrown_out or self._tries > tries
                self.refused = self._why_refused(seat) if refused else ""
                self._look()
        except Exception as error:  # the library's own code: whatever it raises is its fault
            self._to_act, self._over = (), True
            raise EngineError(
                f"the environment broke: {_words(error)}", where=self._game.name
            ) from error
        if self._over:
            self._end(seat if thrown_out else None)

    def _why_refused(self, seat: int) -> str:
        """The environment's words: of what it told the seat, or of the end of the match."""
        last_words = [str(words) for _, words, _ in self._state.observations.get(seat, ())[-1:]]
        _, marked, why = "".join(last_words).partition("Reason: ")
        return why.partition(" Please resubmit")[0] if marked else "no valid move, once too often"

    def _end(self, offender: int | None) -> None:
        self.offender = offender
        reasons = (about.get("reason") for about in self._state.game_info.values())
        self.reason = next((str(words) for words in reasons if words), "")

    def _look(self) -> None:
        """Find out whose turn it is and what that seat is shown."""
        if self._over:
            self._to_act = ()
            return
        seat, observation = self._env.get_observation()
        if self._wrapped:
            self._views[seat] = str(observation)
        else:
            new = "".join(map(self._line, observation))
            self._lines[seat].append(new)
            self._views[seat] = new if self._new_only else "".join(self._lines[seat])
        self._to_act = (seat,)

    def _line(self, item: tuple[int, str, Any]) -> str:
        """One message in the form of the library's LLMObservationWrapper."""
        who, words, _ = item
        name = "GAME" if who == -1 else self._state.role_mapping.get(who, f"Player {who}")
        return f"\n[{name}] {words}"

    def forfeit(self, seat: int) -> None:
        """End the match: -1 for the seat, +1 for the other one of two, 0 for several others."""
        others = 1.0 if self._game.num_players == 2 else 0.0
        self._forfeited = tuple(
            -1.0 if one == seat else others for one in range(self._game.num_players)
        )
        self._to_act, self._over, self.offender = (), True, seat

    def returns(self) -> tuple[float, ...]:
        """The library's rewards once the match is over; 0 for a seat it leaves out, and for what is
        no number."""
        if self._forfeited is not None:
            return self._forfeited
        paid = self._state.rewards if self._over else None
        if not paid:
            return self._nothing
        return tuple(_amount(paid.get(seat)) for seat in range(len(self._nothing)))

    @property
    def says_won(self) -> bool:
        """Whether the environment's last words say that the match was won."""
        return WINNING_WORDS[stem_of(self._game.name)] in self.reason

    def role(self, seat: int) -> str:
        """The role the rules give the seat ("Mafia"), or its name ("White", "Player 0")."""
        role = self._roles.get(seat, "")
        named = self._state.role_mapping.get(seat, role)
        return str(named) if role in ("", f"Player {seat}") else role

    @property
    def phase(self) -> str:
        """SecretMafia: night_mafia, night_doctor, night_detective, discussion or voting."""
        return LIBRARY_PHASES[self.env.phase.value] if self._game.is_mafia else ""

    def facts(self) -> Mapping[str, Any]:
        """SecretMafia: roles, winners and survivors."""
        if not self._game.is_mafia:
            return {}
        paid = self.returns()
        return {
            "roles": {str(seat): role for seat, role in self._roles.items()},
            "winners": [seat for seat, amount in enumerate(paid) if amount > 0],
            "survivors": sorted(self._state.game_state["alive_players"]),
        }

    def render(self) -> str:
        """The library's log of the match: all that was said, to whomever."""
        names = {-1: "GAME"}
        return "\n".join(
            f"[{names.get(who, f'Player {who}')}] {words}" for who, words in self._state.logs
        )

    def clone(self) -> "TextArenaMatch":
        """The same match played again from its seed: environments cannot all be copied."""
        copy = TextArenaMatch(self._game, self._seed)
        for text in self._replies:
            copy.play(copy.to_act[0], Move(-1, text))
        if self._forfeited is not None:
            copy.forfeit(self._forfeited.index(-1.0))
        return copy


def _amount(reward: Any) -> float:
    return float(reward) if isinstance(reward, int | float) else 0.0


def _words(error: BaseException) -> str:
    message = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
