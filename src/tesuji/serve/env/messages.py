"""What is said between an environment and whoever plays in it, in OpenEnv's words (its protocol of
version 0.10, `openenv.core.env_server`).

An answer is an observation, one number as reward, `done`, and metadata; the metadata stands both
beside the observation and in it, as OpenEnv's own servers send it.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tesuji.core.types import Message

ALL = "all"
LARGEST_SEED = 2**63 - 1


class ResetArguments(BaseModel):
    """What a reset takes; arguments that are not named here are ignored."""

    model_config = ConfigDict(extra="ignore")

    seed: int | None = Field(None, ge=0, le=LARGEST_SEED)
    """Chance, and the other players' choices, follow from it; None: one is drawn, and told."""
    episode_id: str | None = Field(None, max_length=255)
    """What the episode is to be called."""
    game: str | None = None
    """Another game than the one that is served."""
    options: dict[str, Any] = {}
    """The game's own options; for the game that is served, those that differ."""
    seat: int | Literal["all"] = 0
    """The seat to play, or "all": whoever asks plays all of them."""
    opponent: str | None = None
    """Who plays the other seats, as the command line writes it: minimax, mcts:simulations=100."""


class Action(BaseModel):
    """A move, in words; a thought in front of it (`<think>`) is left out."""

    model_config = ConfigDict(extra="forbid")

    move: str
    """The move in its game's notation, or its number; in games of free text, the reply."""
    seat: int | None = None
    """Who moves: the seat that the observation names. To be left out, unless one plays them all."""
    metadata: dict[str, Any] = {}


class Observation(BaseModel):
    """What the seat that is to move is shown."""

    model_config = ConfigDict(extra="forbid")

    text: str
    """What a model is asked, as one text: rules, position, legal moves; once a move was not
    accepted, why; in the end, how the match ended."""
    messages: list[Message] = []
    """The same as messages of a chat; empty in the end."""
    legal_moves: list[str] | None = None
    """The moves in the game's notation; null where any text is a move."""
    seat: int | None = None
    """Who is to move; null in the end."""
    role: str = ""
    """What the rules call this seat."""
    problem: str = ""
    """Why the move before was not accepted; the seat may try once more."""
    metadata: dict[str, Any] = {}
    """`returns` of all seats so far, `game`, `seed`; in the end `ending` (finished, truncated,
    forfeit), `reason`, `offender`."""


class State(BaseModel):
    """An environment from outside."""

    model_config = ConfigDict(extra="forbid")

    episode_id: str | None = None
    step_count: int = 0
    game: str = ""
    options: dict[str, Any] = {}
    seed: int | None = None
    seats: list[int] = []
    """The seats that whoever asks plays."""
    opponent: str = ""
    returns: list[float] = []
    ending: str = ""
    """How the match ended; empty while it goes on."""


class Answer(BaseModel):
    """What a reset or a step is answered with."""

    observation: Observation
    reward: float | None = None
    """What the seat that moved has earned since it was last told."""
    done: bool = False
    metadata: dict[str, Any] = {}

    def wire(self) -> dict[str, Any]:
        """As JSON knows it."""
        return self.model_dump(mode="json")


class ResetRequest(BaseModel):
    """The body of POST /reset."""

    model_config = ConfigDict(extra="allow")


class StepRequest(BaseModel):
    """The body of POST /step; what else OpenEnv's clients send is ignored."""

    model_config = ConfigDict(extra="ignore")

    action: Action
