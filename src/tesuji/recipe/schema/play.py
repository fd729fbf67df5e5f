"""What a reinforcement-learning stage plays: games, opponents, curriculum, failure replay."""

from typing import Any

from pydantic import Field, model_validator

from tesuji.recipe.schema.sections import GameSection, NamedSection, PlayerSection, Section, Text

SELF, SNAPSHOT = "self", "snapshot"


class OpponentSection(PlayerSection):
    """A player to learn against. `self` is the policy itself, in every seat, learning from all of
    them; `snapshot` is a frozen earlier version of it."""

    weight: float = Field(1.0, gt=0, le=1_000_000)
    """How often it is drawn, relative to the others."""


class CurriculumStage(Section):
    """One stage of the curriculum; left for the next one once the policy succeeds often enough."""

    name: Text
    """What the console calls it."""
    games: list[GameSection] = []
    """What is played; default: `play.games`."""
    opponents: list[OpponentSection] = [OpponentSection(player="random")]
    """Against whom."""
    threshold: float = Field(0.6, gt=0.0, le=1.0)
    """Success rate over the window at which the next stage begins. Success is a score over 0.5,
    the score being the return scaled to 0..1 over what the game can pay."""
    window: int = Field(200, ge=1, le=10_000_000)
    """Matches the rate is taken over."""


class FailureReplaySection(Section):
    """Tasks that went wrong are played again, worse ones more often, until they are mastered."""

    capacity: int = Field(1000, ge=1, le=10_000_000)
    """Failed tasks remembered; the oldest make room."""
    share: float = Field(0.3, gt=0.0, lt=1.0)
    """Share of new tasks that come from the memory."""
    mastered: float = Field(0.75, ge=0.0, le=1.0)
    """A task is dropped when its mean score reaches this."""


class PlaySection(Section):
    """What is played while learning. Seats are rotated."""

    games: list[GameSection] = []
    """Games drawn from, evenly; default: the recipe's `game`."""
    opponents: list[OpponentSection] = [OpponentSection(player="random")]
    """Who sits in the other seats, drawn by weight (without a curriculum)."""
    curriculum: list[CurriculumStage] = []
    """Stages from easy to hard; replaces `opponents`."""
    failure_replay: FailureReplaySection | None = None
    """Play failed tasks again; default: do not."""
    opening_moves: int = Field(0, ge=0, le=10_000)
    """A match begins after up to this many uniformly random moves (how many is drawn, too)."""
    snapshot_steps: int = Field(50, ge=1, le=1_000_000_000)
    """Steps between two snapshots of the policy, where `snapshot` is an opponent."""
    snapshots: int = Field(4, ge=1, le=1_000)
    """Snapshots kept; the oldest is dropped."""
    max_moves: int = Field(500, ge=1, le=1_000_000)
    """Moves after which a match is cut off."""
    concurrent: int = Field(256, ge=1, le=1_000_000)
    """Matches under way at once."""
    opponent_timeout_s: float = Field(300.0, gt=0, le=604_800)
    """An opponent that has not answered after so many seconds is given up. Not for `openai`: each
    of its requests has a `timeout_s` of its own."""

    @model_validator(mode="after")
    def _someone_to_play(self) -> "PlaySection":
        stages: list[Any] = [self, *self.curriculum]
        if not all(stage.opponents for stage in stages):
            raise ValueError("opponents needs at least one player")
        frozen = any(one.player == SNAPSHOT for stage in stages for one in stage.opponents)
        why = "is about frozen versions of the policy: add `snapshot` to opponents"
        self.needs({"snapshot_steps": (frozen, why), "snapshots": (frozen, why)})
        return self

    @model_validator(mode="after")
    def _told_apart(self) -> "PlaySection":
        if len({stage.name for stage in self.curriculum}) < len(self.curriculum):
            raise ValueError("curriculum: two stages have one name; give each its own")
        parts: list[Any] = [self, *self.curriculum]
        for part in parts:
            labels = [opponent.label for opponent in part.opponents]
            if len(set(labels)) < len(labels):
                raise ValueError("opponents: one stands there twice; give it a larger `weight`")
        return self


class RewardTerm(NamedSection):
    """One term of the reward. A bare number is short for `{weight: ...}`."""

    weight: float = Field(ge=-1_000_000, le=1_000_000)
    """What the term's value is multiplied by; all other keys are that term's options."""

    @model_validator(mode="before")
    @classmethod
    def _bare_weight(cls, value: Any) -> Any:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return {"weight": float(value)} if number else value
