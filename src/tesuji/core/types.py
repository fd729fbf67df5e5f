"""The nouns. Everything the rooms hand to each other is one of these.

All are frozen: a stage reads them from files and writes new ones. Seats are numbered from 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from typing_extensions import TypedDict  # pydantic reads typing's own only from Python 3.12

EPISODE_FORMAT = 1


class Message(TypedDict):
    """One chat message, as every chat template and OpenAI-compatible endpoint takes it.

    A first message of role `tools` holds the functions on offer as a JSON list
    (`players.prompting.tool_prompt`).
    """

    role: str
    content: str


def is_message(item: Any) -> bool:
    """Whether a value that was read is a message of a chat."""
    return isinstance(item, dict) and all(isinstance(item.get(k), str) for k in ("role", "content"))


class Move(NamedTuple):
    """A move as its game writes it: `id` is the game's own action number, `text` its notation."""

    id: int
    text: str


class Found(StrEnum):
    """How a legal move was found in a reply, in the order in which it is looked for."""

    EXACT = "exact"  # the reply is the move's notation, or the player named it without words
    ID = "id"  # the reply is the move's number
    SOFT = "soft"  # the same after ignoring case, spacing and brackets
    NONE = "none"  # no legal move in the reply


class Ending(StrEnum):
    """How an episode ended."""

    FINISHED = "finished"  # by the rules of the game
    TRUNCATED = "truncated"  # by the move limit
    FORFEIT = "forfeit"  # a seat had no legal move to offer, the retry included
    ERROR = "error"  # a player failed: an endpoint down, an engine crash


@dataclass(frozen=True, slots=True)
class Sampled:
    """What a model of ours sampled: the exact ids, and how likely each was.

    `logprobs[i]` is the natural-log probability of `reply_ids[i]` under the distribution that
    was actually sampled from (after temperature, top_p and any mask to the legal moves).
    `stopped` is False when the reply was cut by the token limit. `allowed[i]`, where replies were
    limited to the legal moves, are the tokens that could have been sampled at place i of the reply.
    """

    prompt_ids: tuple[int, ...]
    reply_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    stopped: bool = True
    allowed: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One reply of a player to one request, and what was found in it.

    `move` is what *the player said*; it stays None when nothing legal was said, whatever is
    played instead. `thought` is the part of the reply that was stripped before looking.
    """

    reply: str
    thought: str = ""
    found: Found = Found.NONE
    move: Move | None = None
    problem: str = ""
    prompt: tuple[Message, ...] = ()
    tokens: Sampled | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One seat's turn: what it saw, what it said, what was played.

    `attempts` has one entry, or two when the first reply held no legal move; the last one counts.
    `played` differs from `attempts[-1].move` only where the rules put a move in the seat's place
    (`on_illegal: random`), or where the game itself judged the reply and refused it (then it is
    what was said, and the attempt holds no move); it is None where the seat forfeited. `reward` is
    what the game paid this seat for this turn, from this seat's viewpoint.

    `continues` says that `observation` holds only what came after all that this seat was shown at
    its turn before (`episodes.transcript` puts it together again). What other people's logs bring
    along: `phase` is the part of the match the turn belongs to ("voting", "flop"), and
    `legal_moves` are the moves there were to choose from, where the log tells.
    """

    seat: int
    role: str
    observation: str
    attempts: tuple[Attempt, ...]
    played: Move | None
    reward: float = 0.0
    phase: str = ""
    continues: bool = False
    legal_moves: tuple[Move, ...] = ()

    @property
    def move(self) -> Move | None:
        """The move the player itself said, if it was legal."""
        return self.attempts[-1].move if self.attempts else None

    @property
    def legal(self) -> bool:
        """Whether the player found a legal move (perhaps at the retry)."""
        return self.move is not None

    @property
    def retried(self) -> bool:
        """Whether the first reply held no legal move and a second one was asked for."""
        return len(self.attempts) > 1


@dataclass(frozen=True, slots=True)
class Episode:
    """One match from beginning to end, replayable from `game`, `options`, `seed` and `turns`.

    `players[s]` and `returns[s]` belong to seat s. `reason` says in words why the episode ended;
    `offender` is the seat that forfeited or failed, if any.
    """

    game: str
    options: Mapping[str, Any]
    seed: int
    players: tuple[str, ...]
    turns: tuple[Turn, ...]
    returns: tuple[float, ...]
    ending: Ending = Ending.FINISHED
    reason: str = ""
    offender: int | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    format: int = EPISODE_FORMAT


@dataclass(frozen=True, slots=True)
class Task:
    """Everything needed to play one situation: which game, from which seed, who sits where.

    `players[s]` is the label of the player at seat s, as known to the arena. The first `opening`
    turns of the match are uniformly random moves, whoever's turn it is, and follow from `seed`.
    Matches of one task differ in `repeat`: chance and opening stay the same, every decision has a
    random stream of its own.
    """

    game: str
    seed: int
    players: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    opening: int = 0
    repeat: int = 0


@dataclass(frozen=True, slots=True)
class Example:
    """One supervised example: the messages shown and the reply to learn.

    `position` identifies the situation (for splits and deduplication). `about` holds facts about
    where the row comes from, by the names in `datasets/columns.py`.
    """

    prompt: tuple[Message, ...]
    reply: str
    position: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pair:
    """One preference: of two replies to the same messages, the better and the worse. `about` as
    in `Example`."""

    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    position: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Segment:
    """A row of the RL core: one stretch of tokens, some of them sampled by the policy.

    `turns[i]` is the place in its trace of the turn in which token i was sampled, and -1 where
    the token was not sampled (prompt, opponents, environment) or was certain, so that nothing can
    be learned from it. `logprobs[i]` is the behaviour log-prob where `turns[i] >= 0`, else 0.
    `allowed[i]` are the only tokens that could have been sampled there; empty: all of them.
    """

    token_ids: tuple[int, ...]
    turns: tuple[int, ...]
    logprobs: tuple[float, ...]
    allowed: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Trace:
    """One seat's play of one match, as the RL core learns from it: its segments in order.

    `rewards[t]` belongs to the seat's t-th learning turn. `group` ties the traces that are
    compared with each other; `opponent` names the class of the others at the table (a baseline is
    kept for each); `truncated` says that the move limit ended the match, not the rules.
    """

    segments: tuple[Segment, ...]
    rewards: tuple[float, ...]
    game: str
    seat: int
    role: str
    group: str
    opponent: str
    policy_version: int = 0
    truncated: bool = False
