"""Tesuji's own episodes, as `episodes.jsonl` holds them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tesuji.core.errors import DataError
from tesuji.core.types import Ending, Episode
from tesuji.episodes.store import episode_from_row
from tesuji.logs.base import Importer, Record, Refused

FIELDS = {"format", "game", "players", "turns", "returns"}
TYPES: Mapping[str, type] = {
    "kind": str, "winners": list, "outcome": str, "left_out": str, "notes": list, "roles": dict
}  # fmt: skip


class OwnEpisodes(Importer):
    """One episode."""

    kind = "episodes"
    title = "Tesuji's own episodes (JSON lines)"

    def fits(self, value: Any) -> bool:
        """Whether it has the fields of an episode."""
        return isinstance(value, Mapping) and set(value) >= FIELDS

    def read(self, record: Record) -> Episode:
        """The episode. Raises Refused: `not_an_episode`, with the field that is wrong."""
        try:
            episode = episode_from_row(record.value)
        except DataError as error:
            raise Refused("not_an_episode", error.what) from error
        _check(episode.provenance)
        about = {"kind": self.kind, **_ended(episode), **episode.provenance}
        return replace(episode, provenance=about)


def _check(about: Mapping[str, Any]) -> None:
    """What importers write into the provenance must be of the types they write."""
    for name, kind in TYPES.items():
        if name in about and not isinstance(about[name], kind):
            raise Refused("not_an_episode", f"provenance.{name} is of the wrong type")
    if not all(isinstance(seat, int) for seat in about.get("winners", ())):
        raise Refused("not_an_episode", "provenance.winners holds something else than seats")


def _ended(episode: Episode) -> dict[str, Any]:
    """Who won, and whether the game is one that is left out unless asked for."""
    best = max(episode.returns, default=0.0)
    decided = len(set(episode.returns)) > 1
    winners = [seat for seat, paid in enumerate(episode.returns) if paid == best]
    facts: dict[str, Any] = {"winners": winners} if decided else {}
    if not any(turn.attempts for turn in episode.turns):
        return {**facts, "left_out": "no_actions"}
    return {**facts, "left_out": "error"} if episode.ending is Ending.ERROR else facts
