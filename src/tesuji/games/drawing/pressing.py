"""Which cells are pressed for which move.

Where nothing is hidden, each legal move is played in a copy, and the cells that change tell: where
something came to stand is where to, what left its place is where from. Where something is hidden no
copy may be looked at: there the first moves of a fresh match tell what each move's number means.
"""

from collections.abc import Callable
from contextlib import suppress

from tesuji.core.errors import TesujiError
from tesuji.games.base import Game, Match
from tesuji.games.drawing.grids import Found
from tesuji.games.drawing.looks import Looks
from tesuji.games.picture import Place

MOST = 400  # moves that are tried
Read = Callable[[Match, int], Found | None]  # what a seat sees of a match
Paths = list[tuple[int, tuple[Place, ...]]]


def paths(game: Game, match: Match, seat: int, read: Read, looks: Looks) -> Paths:
    """(a move's number, the cells for it) of the legal moves for which that can be told."""
    legal, grid = match.legal_moves(seat), read(match, seat)
    if not legal or grid is None or len(legal) > MOST:
        return []
    fixed = _fixed(game, read, grid)
    known = [(move.id, fixed[move.id]) for move in legal if move.id in fixed]
    if known and all(_is_empty(grid, place, looks) for _, place in known):
        return [(number, (place,)) for number, place in known]
    if game.info.information != "perfect" or game.info.chance:
        return []
    return _tried(match, seat, grid, read, looks)


def _tried(match: Match, seat: int, grid: Found, read: Read, looks: Looks) -> Paths:
    found: Paths = []
    for move in match.legal_moves(seat) or ():
        tried = match.clone()
        with suppress(TesujiError):
            tried.play(seat, move)
            after = read(tried, seat)
            if after is not None and after.shape == grid.shape:
                path = path_between(grid, after, looks)
                found += [(move.id, path)] if path else []
    return found


def path_between(before: Found, after: Found, looks: Looks) -> tuple[Place, ...]:
    """The cells that were pressed for what changed; () where it cannot be told. Of several pieces
    that moved at once the king's is the one (castling)."""
    changed = changes(before, after)
    came = [at for at in changed if not _is_empty(after, at, looks)]
    left = [at for at in changed if _is_empty(after, at, looks)]
    placed = [at for at in came if _is_empty(before, at, looks)]
    if not came:
        return ()
    if not left:
        return (placed[0],) if len(placed) == 1 else ()
    pairs = [(f, t) for t in came for f in left if _at(before, f) == _at(after, t)]
    pairs = [pair for pair in pairs if _at(before, pair[0]) in "kK"] or pairs
    if not pairs and len(came) == 1:  # a piece became another one on its way
        side = looks.pieces.get(_at(after, came[0]))
        pairs = [(f, came[0]) for f in left if looks.pieces.get(_at(before, f)) == side]
    return pairs[0] if len(pairs) == 1 else ()


def _is_empty(grid: Found, place: Place, looks: Looks) -> bool:
    return looks.is_empty(_at(grid, place))


def changes(before: Found, after: Found) -> list[Place]:
    """The cells that differ."""
    rows, columns = before.shape
    places = [(row, column) for row in range(rows) for column in range(columns)]
    return [at for at in places if _at(before, at) != _at(after, at)]


def _at(grid: Found, place: Place) -> str:
    return grid.cells[place[0]][place[1]]


_FIXED: dict[str, dict[int, Place]] = {}


def _fixed(game: Game, read: Read, grid: Found) -> dict[int, Place]:
    """Move's number → cell, where all first moves of a fresh match each fill one cell, no two the
    same, and there are as many as cells; else {}."""
    key = f"{game.name} {dict(game.options)!r}"
    if key not in _FIXED:
        found: dict[int, Place] = {}
        with suppress(TesujiError):
            found = _by_first_moves(game, read)
        _FIXED[key] = found  # at once, since others may look meanwhile
    rows, columns = grid.shape
    whole = len(set(_FIXED[key].values())) == rows * columns
    return _FIXED[key] if whole else {}


def _by_first_moves(game: Game, read: Read) -> dict[int, Place]:
    match = game.start(0)
    mover = match.to_act[0] if match.to_act else 0
    before, legal = read(match, mover), match.legal_moves(mover) or ()
    if before is None or len(legal) > MOST:
        return {}
    found = {}
    for move in legal:
        tried = match.clone()
        tried.play(mover, move)
        after = read(tried, mover)
        changed = changes(before, after) if after and after.shape == before.shape else []
        if len(changed) == 1:
            found[move.id] = changed[0]
    return found
