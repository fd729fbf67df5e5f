"""A recorded game as steps one can walk through: positions, boards, words, moves.

The game is replayed from its seed and moves, so that the last position is seen too. Where that
cannot be done (the game is not installed here, or has changed), what the next seat was shown
stands in.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tesuji.core.errors import TesujiError
from tesuji.core.redact import visible
from tesuji.core.types import Episode, Turn
from tesuji.episodes.show import FOUND_WORDS, move_words, shorten
from tesuji.evaluation.matches.against import EVALUATED, outcome, seat_of
from tesuji.games.base import Game, Match
from tesuji.games.drawing.boards import with_line
from tesuji.games.drawing.find import own_picture
from tesuji.games.picture import Cell, Grid

LONGEST_TEXT = 3000
LARGEST_BOARD = 26
NOTHING = frozenset(("", ".", "_", "-", "·"))  # what stands on an empty cell


Rows = tuple[Sequence[str], ...]


@dataclass(frozen=True, slots=True)
class ReplayStep:
    """One step of a game as the page shows it; step 0 is the beginning.

    `position` is text; `grid` the same as rows of cells where it is a board: single characters of
    the text, or the pieces of the match's own picture. Of its [row, column] cells `changed` differ
    from the step before, and `won` are the line that won.
    """

    position: str
    grid: Rows
    changed: tuple[tuple[int, int], ...]
    title: str
    seen: str = ""
    says: tuple[dict[str, str], ...] = ()
    played: str = ""
    problem: bool = False
    won: tuple[tuple[int, int], ...] = ()


def steps(episode: Episode, names: Sequence[str], game: Game | None) -> tuple[ReplayStep, ...]:
    """The whole game, one step more than turns. `names[s]` is shown for seat s."""
    positions, grids = _replayed(episode, game) or _observed(episode)
    walk = [ReplayStep(positions[0], grids[0], (), "The beginning")]
    for number, turn in enumerate(episode.turns, start=1):
        walk.append(
            ReplayStep(
                position=positions[number],
                grid=grids[number],
                changed=_changed(grids[number - 1], grids[number]),
                title=f"Turn {number}: {_name(names, turn)}",
                seen=_text(turn.observation) if turn.observation != positions[number - 1] else "",
                says=tuple(_says(turn)),
                played=_played(turn),
                problem=not turn.legal,
            )
        )
    if game is not None:
        walk[-1] = replace(walk[-1], won=_won(game, grids[len(episode.turns)]))
    return tuple(walk)


def _won(game: Game, grid: Rows) -> tuple[tuple[int, int], ...]:
    """The cells of the line that won, in games that are won by a line."""
    if not grid:
        return ()
    cells = [tuple(Cell("" if piece in NOTHING else piece) for piece in row) for row in grid]
    drawn = with_line(game, Grid(tuple(cells)))
    places = ((r, c) for r, row in enumerate(drawn.cells) for c, _ in enumerate(row))
    return tuple(at for at in places if drawn.cells[at[0]][at[1]].mark == "won")


def _replayed(episode: Episode, game: Game | None) -> tuple[list[str], list[Rows]] | None:
    """(texts, grids) of the position at the beginning and after every turn.

    None when it cannot be replayed, or when a seat would be shown something else than recorded.
    """
    if game is None:
        return None
    try:
        match = game.start(episode.seed)
        shown = [_position(match)]
        for turn in episode.turns:
            if match.observe(turn.seat) != turn.observation:
                return None
            if turn.played is None:
                match.forfeit(turn.seat)
            else:
                match.play(turn.seat, turn.played)
            shown.append(_position(match))
    except TesujiError:
        return None
    return [text for text, _ in shown], [grid for _, grid in shown]


def _position(match: Match) -> tuple[str, Rows]:
    """The whole position: as text, and as the board that the match draws itself or its text is."""
    text, own = _text(match.render()), own_picture(match, None)
    if not isinstance(own, Grid):
        return text, grid_of(text)
    return text, tuple(tuple(visible(cell.piece) for cell in row) for row in own.cells)


def _observed(episode: Episode) -> tuple[list[str], list[Rows]]:
    texts = [_text(turn.observation) for turn in episode.turns]
    texts.append("(the last position was not recorded)")
    return texts, [grid_of(text) for text in texts]


def grid_of(text: str) -> Rows:
    """The rows of a rectangular board of single characters; empty where the text is none.

    Cells may stand side by side or one blank apart.
    """
    rows = [line.strip() for line in text.strip().splitlines()]
    if rows and all(len(row) > 1 and set(row[1::2]) == {" "} for row in rows):
        rows = [row[::2] for row in rows]
    widths = {len(row) for row in rows}
    if not 2 <= len(rows) <= LARGEST_BOARD or len(widths) != 1:
        return ()
    if not 2 <= widths.pop() <= LARGEST_BOARD or any(char.isspace() for char in "".join(rows)):
        return ()
    return tuple(rows)


def _changed(before: Rows, after: Rows) -> tuple[tuple[int, int], ...]:
    return tuple(
        (row, column)
        for row, (old, new) in enumerate(zip(before, after, strict=False))
        for column, (was, now) in enumerate(zip(old, new, strict=False))
        if was != now
    )


def _says(turn: Turn) -> list[dict[str, str]]:
    return [
        {
            "thought": _text(attempt.thought),
            "reply": _text(attempt.reply),
            "found": f"read by {FOUND_WORDS[attempt.found]}" if attempt.move else "",
            "problem": "" if attempt.move else _text(attempt.problem or "no legal move in it"),
        }
        for attempt in turn.attempts
    ]


def _played(turn: Turn) -> str:
    if turn.played is None:
        return "plays nothing: forfeits"
    own = "" if turn.move == turn.played else ", put in its place by the rules"
    return f"plays {move_words(turn.played)}{own}"


def _name(names: Sequence[str], turn: Turn) -> str:
    name = names[turn.seat] if turn.seat < len(names) else f"seat {turn.seat}"
    return _text(f"{name} as {turn.role}" if turn.role else name)


def _text(text: str) -> str:
    return visible(shorten(text, LONGEST_TEXT))


LOSSES = 3
INTEREST = ("error", "win", "draw", "unknown")


def choose_games(episodes: Sequence[Episode], most: int = 8) -> list[Episode]:
    """At most `most` games: short losses of up to three kinds, then one of every other kind.

    A kind is an outcome and an ending against an opponent from a seat. Games without the
    evaluated player are left out.
    """
    ours = [episode for episode in episodes if EVALUATED in episode.players and episode.turns]
    losses = [episode for episode in ours if outcome(episode) == "loss"]
    rest = [episode for episode in ours if outcome(episode) != "loss"]
    chosen = _one_of_each(sorted(losses, key=lambda e: len(e.turns)), min(LOSSES, most))
    rest.sort(key=lambda episode: INTEREST.index(outcome(episode)))
    return chosen + _one_of_each(rest, most - len(chosen))


def _one_of_each(episodes: Sequence[Episode], most: int) -> list[Episode]:
    """The first game of each kind, spread over opponents: no opponent twice before all once."""
    kinds: dict[tuple[str, ...], Episode] = {}
    for episode in episodes:
        kind = (opponent_of(episode), outcome(episode), episode.ending, str(seat_of(episode)))
        kinds.setdefault(kind, episode)
    met: dict[str, int] = {}
    ranked = []
    for (against, *_), episode in kinds.items():
        met[against] = met.get(against, 0) + 1
        ranked.append((met[against], episode))
    ranked.sort(key=lambda pair: pair[0])
    return [episode for _, episode in ranked[:most]]


def opponent_of(episode: Episode) -> str:
    """Whom the evaluated player met."""
    others = sorted(set(episode.players) - {EVALUATED})
    return ", ".join(others) or "itself"
