"""One made game of SecretMafia, played on TextArena by scripted players.

TextArena shuffles with Python's global generator; here every game draws from its own
(`games/textarena/seeding.py`).
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tesuji.core.errors import EngineError
from tesuji.core.seeds import stream
from tesuji.games.textarena.library import library
from tesuji.games.textarena.secretmafia import GAME, MAFIA
from tesuji.games.textarena.seeding import drawing
from tesuji.players.mafia.styles import STYLES, Style, Voice

SEATS = (6, 7, 7, 7, 8, 8, 9, 9)
ROUNDS = 3
GOOD_SIDE = (8, 1, 1, 1, 0)  # weights of STYLES on the side that has the better players
OTHER_SIDE = (1, 3, 3, 2, 3)
MAFIA_BETTER = 0.4  # how often that is the Mafia


@dataclass(frozen=True, slots=True)
class MadeStep:
    """One reply: what the seat had been shown, all of it, and what it said; `phase` is the
    game's own word for it, `valid` whether the game took it."""

    seat: int
    phase: str
    observation: str
    reply: str
    seconds: float
    valid: bool


@dataclass(frozen=True, slots=True)
class MadeGame:
    """A played game; `rewards` and `info` are TextArena's own, by seat."""

    number: int
    name: str
    roles: tuple[str, ...]
    styles: tuple[Style, ...]
    steps: tuple[MadeStep, ...]
    rewards: tuple[float, ...]
    info: tuple[dict[str, Any], ...]

    def view(self, seat: int) -> list[MadeStep]:
        """The steps of one seat."""
        return [step for step in self.steps if step.seat == seat]

    @property
    def reason(self) -> str:
        """Why the game ended, in TextArena's words."""
        return str(self.info[0].get("reason", ""))


class Table:
    """SecretMafia that keeps its random numbers to itself. Raises EngineError without TextArena."""

    def __init__(self, seats: int, seed: int, rounds: int = ROUNDS) -> None:
        self._rng = random.Random(seed)
        textarena = _textarena()
        with drawing(self._rng):
            self.env = textarena.make(GAME, discussion_rounds=rounds)
            self.env.reset(num_players=seats)  # a seed would be the global generator's
        self.roles: tuple[str, ...] = tuple(self.env.player_roles[seat] for seat in range(seats))

    def look(self) -> tuple[int, str, str]:
        """(whose turn it is, all it has been shown, the phase)."""
        with drawing(self._rng):
            seat, observation = self.env.get_observation()
        return seat, observation, self.env.phase.value

    def act(self, reply: str) -> tuple[bool, bool]:
        """(whether the game is over, whether it took the reply)."""
        state = self.env.state
        bad = (state.error_count, sum(about["invalid_move"] for about in state.game_info.values()))
        with drawing(self._rng):
            over, _ = self.env.step(action=reply)
        now = (state.error_count, sum(about["invalid_move"] for about in state.game_info.values()))
        return over, now[1] == bad[1] and now[0] <= bad[0]


def _textarena() -> Any:
    try:
        import textarena
    except ImportError as error:
        raise EngineError(
            "SecretMafia is played on TextArena, which is not installed",
            where="textarena",
            hint="pip install 'tesuji[textarena]'",
        ) from error
    library(GAME)  # its module is imported, and draws from the generator at hand
    return textarena


def play(number: int, seed: int, *, seats: int | None = None, rounds: int = ROUNDS) -> MadeGame:
    """Play game `number`. One side, drawn by lot, has the better players."""
    rng = random.Random(f"mafia/{seed}/{number}")
    table = Table(seats or rng.choice(SEATS), stream("mafia", seed, number), rounds)
    styles = _styles(table.roles, rng)
    players = [
        Voice(style, random.Random(f"mafia/{seed}/{number}/{seat}"))
        for seat, style in enumerate(styles)
    ]
    steps = tuple(_play_out(table, players, rng))
    rewards, info = table.env.close()
    order = range(len(styles))
    return MadeGame(
        number=number,
        name=f"made-{seed}-{number:05}",
        roles=table.roles,
        styles=styles,
        steps=steps,
        rewards=tuple(float(rewards[seat]) for seat in order),
        info=tuple(info[seat] for seat in order),
    )


def _styles(roles: Sequence[str], rng: random.Random) -> tuple[Style, ...]:
    better = rng.random() < MAFIA_BETTER
    weights = [GOOD_SIDE if (role == MAFIA) == better else OTHER_SIDE for role in roles]
    return tuple(rng.choices(STYLES, weight)[0] for weight in weights)


def _play_out(table: Table, players: Sequence[Voice], rng: random.Random) -> Iterator[MadeStep]:
    over = False
    while not over:
        seat, observation, phase = table.look()
        reply = players[seat].reply(observation)
        over, valid = table.act(reply)
        seconds = round(rng.lognormvariate(0.5, 0.6), 3)
        yield MadeStep(seat, phase, observation, reply, seconds, valid)
