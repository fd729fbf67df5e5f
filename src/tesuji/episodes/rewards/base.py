"""What a reward term is: it judges one turn, before weighting."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tesuji.core.errors import RecipeError
from tesuji.core.types import Episode, Message, Turn
from tesuji.games.base import Game, Match


@dataclass(frozen=True, slots=True)
class Judged:
    """A turn to be judged: number `place` of its episode."""

    episode: Episode
    game: Game
    place: int

    @property
    def turn(self) -> Turn:
        """The turn itself."""
        return self.episode.turns[self.place]

    def match(self) -> Match:
        """The match as it stood before the turn, played again from the episode."""
        match = self.game.start(self.episode.seed)
        for turn in self.episode.turns[: self.place]:
            if turn.played is not None:
                match.play(turn.seat, turn.played)
        return match

    def wrong_game(self, term: str, knows: str, hint: str) -> RecipeError:
        """What a term says of a game that it is not for; `knows` is what it is for."""
        what = f"{term} {knows}, not {self.game.name}"
        return RecipeError(what, where=f"rewards.{term}", hint=hint)


class Term(Protocol):
    """One number for a turn, from the viewpoint of the seat that took it."""

    def __call__(self, at: Judged) -> float:
        """Judge the turn."""
        ...


class RewardModel(Protocol):
    """A learned reward model: one score a reply, higher being better."""

    def score(self, items: Sequence[tuple[Sequence[Message], str]]) -> list[float]:
        """Scores of (the messages shown, the reply), in order."""
        ...
