"""What is on the table at one moment, as far as whoever looks may see it.

A person sees what its seat may know. Where nothing is hidden, or nobody plays by hand, the whole
position and all that was said is shown; once the match is over, so it is always.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from tesuji.core.types import Ending, Episode, Move, Turn
from tesuji.episodes.results import result_of
from tesuji.games.base import Game, Match
from tesuji.games.drawing.boards import with_last_move, with_line
from tesuji.games.drawing.find import picture_of
from tesuji.games.picture import Grid, Picture
from tesuji.players.base import MoveRequest
from tesuji.serve.ui.play.thinking import Thoughts

Moves = tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment. `seat` is the person's to move, None where nobody has to; `legal` None: any text
    is a move. `played` counts the turns, `turns` are those that may be seen; `episode` is there
    once the match is over."""

    text: str
    picture: Picture | None = None
    seat: int | None = None
    role: str = ""
    legal: Moves | None = ()
    played: int = 0
    turns: tuple[Turn, ...] = ()
    episode: Episode | None = None
    thoughts: Thoughts | None = None
    held: Mapping[int, Thoughts] = field(default_factory=dict)
    """By the number of a turn, counted from 0: what the model that took it held of its moves."""


def scene_of(
    game: Game,
    match: Match,
    turns: Sequence[Turn],
    *,
    eyes: int | None,
    seat: int | None = None,
    episode: Episode | None = None,
) -> Scene:
    """The match seen by the seat `eyes` (None: by nobody who plays), `seat` being asked to move."""
    over = episode is not None
    everything = over or eyes is None
    shown = turns if everything or game.info.information == "perfect" else of_seat(turns, eyes)
    seen = None if everything else eyes
    return Scene(
        text=match.render() if everything or eyes is None else match.observe(eyes),
        picture=picture_of(game, match, seen, eyes, press=seat is not None),
        seat=seat,
        role="" if seat is None else match.role(seat),
        legal=() if seat is None else match.legal_moves(seat),
        played=len(turns),
        turns=tuple(shown),
        episode=episode,
    )


def advised(scene: Scene, request: MoveRequest, thoughts: Thoughts) -> Scene:
    """The scene with what is held of the moves that `request` asks about; on the board, too."""
    picture = scene.picture
    if scene.seat is None and request.game.info.information == "perfect":
        picture = picture_of(request.game, request.match, request.seat)
    return replace(scene, thoughts=thoughts, picture=picture)


def marked(game: Game, before: Picture | None, scene: Scene) -> Scene:
    """The scene with the last move marked, `before` being the picture before it; once the match is
    over, the line that won."""
    after = scene.picture
    if not isinstance(after, Grid):
        return scene
    if isinstance(before, Grid) and after.shape != "letters":
        after = with_last_move(before, after)
    return replace(scene, picture=with_line(game, after) if scene.episode else after)


def of_seat(turns: Sequence[Turn], seat: int | None) -> list[Turn]:
    """The turns that a seat took itself."""
    return [turn for turn in turns if turn.seat == seat]


def outcome(episode: Episode, names: Sequence[str], person: int | None) -> str:
    """The result in words; `names[s]` is whoever sits at seat s, `person` the person's seat."""
    if episode.ending is Ending.ERROR:
        return "The match broke off."
    if episode.ending is Ending.TRUNCATED:
        return "Nobody has won."
    if len(episode.returns) == 1:
        return f"{_subject(names, 0, person)} {episode.returns[0]:+g}."
    if episode.provenance.get("cooperative"):
        return f"Together {episode.returns[0]:+g}."
    winners = [s for s in range(len(names)) if result_of(episode, s) == "win"]
    if not winners:
        return "A draw."
    who = " and ".join("You" if seat == person else names[seat] for seat in winners)
    win = "win" if person in winners or len(winners) > 1 else "wins"
    return f"{who} {win}."


def _subject(names: Sequence[str], seat: int, person: int | None) -> str:
    return "You earn" if seat == person else f"{names[seat]} earns"
