"""The importers by kind, and which one a record is for. Each is loaded when it is first needed."""

import importlib
from collections.abc import Iterable
from functools import cache
from typing import Any

from tesuji.core.errors import DataError
from tesuji.logs.base import Importer

HERE = "tesuji.logs.formats"
# In the order in which they are asked: the more particular shapes first.
KINDS = {
    "episodes": ("tesuji", "OwnEpisodes"),
    "mafia": ("mafia_json", "Mafia"),
    "mgc": ("mgc2025", "Mgc"),
    "textarena": ("textarena", "TextArena"),
    "pokerbench": ("pokerbench", "PokerBench"),
    "pairs": ("chat", "Pairs"),
    "chat": ("chat", "Chat"),
    "phh": ("phh", "Phh"),
    "pokerstars": ("pokerstars", "PokerStars"),
}


@cache
def importer(kind: str) -> Importer:
    """The importer of this kind. Raises DataError for an unknown one."""
    if kind not in KINDS:
        known = ", ".join(KINDS)
        raise DataError(f"there is no format {kind!r}", where="format", hint=f"known: {known}")
    module, name = KINDS[kind]
    made: Importer = getattr(importlib.import_module(f"{HERE}.{module}"), name)()
    return made


@cache
def text_importers() -> tuple[Importer, ...]:
    """Those that read texts, such as hand histories."""
    return tuple(i for i in map(importer, KINDS) if i.reads == "text")


def importer_for(value: Any, reads: str, likely: Iterable[str] = ()) -> Importer | None:
    """The importer that a record looks made for; `likely` kinds are asked first."""
    for kind in (*likely, *KINDS):
        reader = importer(kind)
        if reader.reads == reads and reader.fits(value):
            return reader
    return None
