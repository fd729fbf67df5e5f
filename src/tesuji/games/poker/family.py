"""Poker's side of the catalogue: hold'em and its relatives by name. Imports no pokerkit."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tesuji.games.base import GameInfo
from tesuji.games.poker.game import PokerGame
from tesuji.games.poker.stakes import MOST_SEATS, VARIANTS


def names() -> tuple[str, ...]:
    """The games of this family."""
    return tuple(VARIANTS)


def info(name: str) -> GameInfo:
    """Facts about a game with its default options; `seats` are the fewest and the most."""
    return replace(PokerGame(name).info, seats=(2, MOST_SEATS))


def load(name: str, options: Mapping[str, Any]) -> PokerGame:
    """The game with these options. Raises GameError for impossible ones."""
    game = PokerGame(name, dict(options))
    _ = game.stakes  # so that impossible options are refused here
    return game
