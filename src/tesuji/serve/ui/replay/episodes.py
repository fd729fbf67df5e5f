"""A page of recorded matches out of a file that may be long, as the report's player shows them."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tesuji.core.errors import DataError, TesujiError
from tesuji.core.redact import safe_all, visible
from tesuji.core.types import Episode
from tesuji.episodes.show import ending_words
from tesuji.episodes.store import episode_from_row
from tesuji.games.catalogue import load_game
from tesuji.report.views.replay import steps

A_PAGE = 12  # matches


@dataclass(frozen=True, slots=True)
class EpisodePage:
    """Some matches of a file: `matches` for board.js, `first` counts from 1; `more` follow."""

    matches: list[dict[str, Any]]
    first: int
    more: bool


def read_page(file: Path, number: int, between: tuple[str, str] | None = None) -> EpisodePage:
    """The page `number` (from 1) of all matches, or of those between two players. Raises DataError
    for a line in it that is no match."""
    first = (number - 1) * A_PAGE
    wanted = _between(file, between) if between else _lines(file)
    matches: list[dict[str, Any]] = []
    for place, (line, text) in enumerate(wanted):
        if place >= first + A_PAGE:
            return EpisodePage(matches, first + 1, True)
        if place >= first:
            matches.append(_shown(_parsed(text, f"{file.name}:{line}"), place + 1))
    return EpisodePage(matches, first + 1, False)


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Line number and text; a last line that is still being written is left out."""
    with file.open("rb") as lines:
        for number, text in enumerate(lines, start=1):
            if text.endswith(b"\n"):
                yield number, text


def _between(file: Path, names: tuple[str, str]) -> Iterator[tuple[int, bytes]]:
    for number, text in _lines(file):
        if set(_parsed(text, f"{file.name}:{number}").players) == set(names):
            yield number, text


def _parsed(text: bytes, where: str) -> Episode:
    try:
        return episode_from_row(json.loads(text), where)
    except ValueError as error:
        raise DataError("this is no match", where=where) from error


def _shown(episode: Episode, number: int) -> dict[str, Any]:
    names = [visible(name) for name in episode.players]
    returns = ", ".join(
        f"{name} {value:+g}" for name, value in zip(names, episode.returns, strict=False)
    )
    try:
        game = load_game(episode.game, episode.options)
    except TesujiError:  # not to be had here: what was shown stands in
        game = None
    shown: dict[str, Any] = safe_all(
        {
            "title": f"{number}. {' – '.join(names)}",
            "look": returns,
            "outcome": "",
            "ending": visible(ending_words(episode)),
            "returns": returns,
            "steps": [asdict(step) for step in steps(episode, names, game)],
        }
    )
    return shown
