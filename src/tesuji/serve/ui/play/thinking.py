"""What a model and an oracle hold of the moves there are, for the one who asks: on demand, since it
helps a person to cheat."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tesuji.core.errors import TesujiError
from tesuji.core.redact import redact
from tesuji.core.types import Move
from tesuji.games.base import Game
from tesuji.players.base import MoveRequest, Player
from tesuji.players.registry import make_player, parse_player, players_of
from tesuji.players.search.oracle import oracle_moves

MOST = 400  # legal moves that are asked about
ORACLES: Mapping[str, str] = {  # the strongest first
    "minimax": "minimax",
    "cfr": "cfr",
    "entropy": "entropy",
    "mcts": "mcts:simulations=500",
    "ismcts": "ismcts:simulations=500",
    "equity": "equity",
}


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one of them holds: how likely it plays each move, by its number, or the best moves. The
    chances are shares of `total`, which is how likely it says one of them at all."""

    name: str
    total: float = 1.0
    chances: Mapping[int, float] = field(default_factory=dict)
    best: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Thoughts:
    """Of a model and of an oracle, where there is one, on these moves; `problem`: why one of them
    does not say."""

    moves: tuple[Move, ...] = ()
    model: Opinion | None = None
    oracle: Opinion | None = None
    problem: str = ""


def thoughts_on(request: MoveRequest, model: Player | None, oracle: Player | None) -> Thoughts:
    """What they hold of the moves in the request."""
    if not request.legal or len(request.legal) > MOST:
        few = f"only where there is a list of at most {MOST} moves"
        return Thoughts(problem=few)
    problems: list[str] = []
    ours, theirs = (_opinion(request, player, problems) for player in (model, oracle))
    return Thoughts(request.legal, ours, theirs, "; ".join(problems))


def _opinion(request: MoveRequest, player: Any, problems: list[str]) -> Opinion | None:
    if player is None:
        return None
    try:
        if hasattr(player, "probabilities"):
            [chances] = player.probabilities([request])
            total = sum(chances.values())
            shares = {number: chance / (total or 1.0) for number, chance in chances.items()}
            return Opinion(player.name, total, shares)
        best = oracle_moves(player, request)
    except TesujiError as error:
        problems.append(redact(f"{player.name}: {error.what}"))
        return None
    return Opinion(player.name, best=frozenset(move.id for move in best))


def oracle_of(game: Game) -> Player | None:
    """The strongest that knows this game, if any does."""
    known = players_of(game.info)
    name = next((text for name, text in ORACLES.items() if name in known), None)
    if name == "minimax" and "enumerable" not in game.info.traits:
        name = ORACLES["mcts"] if "mcts" in known else None
    return make_player(parse_player(name), game=game) if name else None
