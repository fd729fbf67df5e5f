"""Every OpenSpiel game that can be played here, loaded and played at random."""

import random
from collections.abc import Iterator
from typing import Any

from tesuji.games.catalogue import load_game
from tesuji.games.openspiel import family as openspiel_family
from tesuji.games.openspiel.game import OpenSpielGame, OpenSpielMatch

FACTS = (openspiel_family.info(name) for name in openspiel_family.names())
INFOS = {info.name: info for info in FACTS if not info.unavailable}
PLAYABLE = sorted(INFOS)
CAP = 60  # turns of a random match
NOTHING_TO_SEE = {"coordinated_mp", "repeated_game"}  # at the first move


# Their double-dummy solver takes half a second a match.
QUICKER: dict[str, dict[str, Any]] = {
    "bridge": {"use_double_dummy_result": False},
    "bridge_uncontested_bidding": {"num_redeals": 1},
}


def load(name: str, **options: Any) -> OpenSpielGame:
    game = load_game(name, options or QUICKER.get(name))
    assert isinstance(game, OpenSpielGame)
    return game


def moves_of(match: OpenSpielMatch, draw: random.Random) -> Iterator[tuple[Any, ...]]:
    """Play at random; before each move yield who moves, what it is shown, what it may do, does."""
    for _ in range(CAP):
        if not match.to_act:
            break
        seat = draw.choice(match.to_act)
        legal = match.legal_moves(seat)
        move = draw.choice(legal)
        yield seat, match.observe(seat), legal, move
        match.play(seat, move)
    yield match.to_act, match.returns(), match.render()
