"""Which positions training may see: whole symmetry classes go to one side."""

import random
from collections.abc import Mapping, Sequence

from tesuji.core.errors import DataError
from tesuji.core.types import Move
from tesuji.datasets.from_positions.label import Labelled
from tesuji.datasets.from_positions.positions import key_of_position
from tesuji.datasets.from_positions.symmetry import symmetry_class
from tesuji.games.base import Game, Match


def held_out_keys(
    labelled: Sequence[Labelled], *, share: float, barred: frozenset[str], seed: int
) -> frozenset[str]:
    """Keys of the positions to keep out of training: about `share` of the classes to draw from,
    which are those without a `barred` position.

    Barred with `on_path_keys`, none is left that the side to move can have reached by playing the
    oracle's moves at its own turns: a policy that is right wherever it was taught never walks into
    those held out.
    """
    classes: dict[str, list[str]] = {}
    for item in labelled:
        position = item.position
        name = symmetry_class(position.seat, position.match.observe(position.seat))
        classes.setdefault(name, []).append(position.key)
    open_ = sorted(name for name, keys in classes.items() if not barred.intersection(keys))
    random.Random(seed).shuffle(open_)
    chosen = open_[: round(share * len(open_))]
    return frozenset(key for name in chosen for key in classes[name])


def on_path_keys(game: Game, moves: Mapping[str, tuple[Move, ...]]) -> frozenset[str]:
    """Positions some seat can face after playing `moves` (by position) at its own turns, the others
    having played anything. Raises DataError when a position on the way is not among them."""
    keys: set[str] = set()
    for seat in range(game.num_players):
        keys |= _walk(game.start(0), seat, moves)
    return frozenset(keys)


def _walk(start: Match, seat: int, best: Mapping[str, tuple[Move, ...]]) -> set[str]:
    """Keys of the positions in which `seat` is to move, on the paths it can be on."""
    met: set[str] = set()
    ours: set[str] = set()
    open_ = [start]
    while open_:
        match = open_.pop()
        if not match.to_act:
            continue
        mover = match.to_act[0]
        key = key_of_position(match, mover)
        if key in met:
            continue
        if key not in best:
            raise DataError(
                f"the oracle named no move in a position that its moves lead into: {key}",
                where="stages.data.oracle",
                hint="take an oracle that answers everywhere, such as minimax; or "
                "`positions: all` with `held_out_from: all`",
            )
        met.add(key)
        if mover == seat:
            ours.add(key)
        for move in best[key] if mover == seat else match.legal_moves(mover) or ():
            child = match.clone()
            child.play(mover, move)
            open_.append(child)
    return ours
