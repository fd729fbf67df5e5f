"""What to draw of a match: its own picture, else what can be found in its text.

picture = picture_of(game, match, seat)      # what the seat may know; None: the whole position
"""

import logging
import re
from contextlib import suppress

from tesuji.core.errors import TesujiError
from tesuji.games.base import Game, Match
from tesuji.games.drawing.boards import board_of
from tesuji.games.drawing.cards import CARDS
from tesuji.games.picture import Cards, Chat, Grid, Picture

log = logging.getLogger(__name__)
_SAID = re.compile(r"^\[([^\]\n]{1,60})\] ", re.MULTILINE)


def picture_of(
    game: Game, match: Match, seat: int | None, side: int | None = None, *, press: bool = True
) -> Picture | None:
    """The picture, or None where all there is is text. Nothing is in it that `seat` is not shown;
    with None everything is. `side` and `press` as in `board_of`."""
    own = own_picture(match, seat)
    if own is not None:
        return own
    with suppress(TesujiError):
        text = match.render() if seat is None else match.observe(seat)
        finder = CARDS.get(game.name)
        if finder is not None:
            return finder(match, text, seat)
        if match.judges:
            return chat_in(text)
        return board_of(game, match, seat, side, press=press)
    return None


def own_picture(match: Match, seat: int | None) -> Picture | None:
    """The match's own picture; one that cannot be made, or is none, costs nobody the match."""
    try:
        own = match.picture(seat)
    except Exception:  # another package's code, whatever it raises
        log.warning("%s has no picture of itself", type(match).__name__, exc_info=True)
        return None
    return own if isinstance(own, Grid | Cards | Chat) else None


def chat_in(text: str) -> Chat | None:
    """A transcript whose parts begin with who speaks: "[GAME] Welcome"."""
    parts = _SAID.split(text.strip("\n"))
    if len(parts) < 3 or parts[0].strip():
        return None
    said = zip(parts[1::2], parts[2::2], strict=True)
    return Chat(tuple((who, words.strip("\n")) for who, words in said))
