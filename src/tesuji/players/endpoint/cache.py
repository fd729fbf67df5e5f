"""Replies on disk: the same request gets the same reply, and is paid for once."""

from collections.abc import Sequence
from pathlib import Path

from tesuji.core.files import user_cache
from tesuji.players.endpoint.database import Database
from tesuji.recipe.schema.endpoint import EndpointPlayerSection


class ReplyCache:
    """Replies by the key of their request, one row each, written as they come."""

    def __init__(self, path: Path) -> None:
        self._base = Database(path, "replies (key TEXT PRIMARY KEY, reply TEXT)")

    def known(self, keys: Sequence[str]) -> dict[str, str]:
        """The replies there are to these keys."""
        known: dict[str, str] = {}
        for key in dict.fromkeys(keys):
            for (reply,) in self._base.do("SELECT reply FROM replies WHERE key = ?", (key,)):
                known[key] = reply
        return known

    def keep(self, key: str, reply: str) -> None:
        """Store one reply, at once."""
        self._base.do("INSERT OR REPLACE INTO replies VALUES (?, ?)", (key, reply))

    def close(self) -> None:
        """Let the file go."""
        self._base.close()


def cache_of(section: EndpointPlayerSection) -> ReplyCache | None:
    """The cache that a player's options name; None for none."""
    if section.cache is None:
        return None
    if section.cache == "auto":
        return ReplyCache(user_cache() / "replies.sqlite")
    return ReplyCache(Path(section.cache).expanduser())
