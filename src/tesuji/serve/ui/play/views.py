"""A table as its page shows it: names, turns in words, the result. Texts of players are redacted,
and their control characters made visible."""

from collections.abc import Sequence
from dataclasses import dataclass

from tesuji.core.redact import redact, visible
from tesuji.core.types import Attempt, Episode, Move, Turn
from tesuji.episodes.show import ending_words, move_words, shorten
from tesuji.games.board import drawn
from tesuji.games.picture import Cards, Chat, Grid
from tesuji.serve.ui.play.pictures import BoardView, board_view
from tesuji.serve.ui.play.scene import Scene, outcome
from tesuji.serve.ui.play.setting import Setting
from tesuji.serve.ui.play.table import Now
from tesuji.serve.ui.play.thinking import Opinion, Thoughts

LONGEST = 20_000  # characters of one text
LIKELIEST = 4
MOST_MOVES = 200  # that are listed


@dataclass(frozen=True, slots=True)
class Saying:
    """One attempt of a turn."""

    thought: str
    reply: str
    problem: str
    shown: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class TurnView:
    """One turn: who played what; `said` only where words were said, `held` what a model held for
    likeliest, where it was asked."""

    number: int
    who: str
    played: str
    beware: str
    said: tuple[Saying, ...]
    held: str


@dataclass(frozen=True, slots=True)
class ThoughtView:
    """A move, how likely the model plays it, and what the oracle says of it."""

    move: str
    model: float | None
    oracle: str


@dataclass(frozen=True, slots=True)
class View:
    """What the page shows beside the board."""

    heading: str
    status: str
    text: str
    board: BoardView | None
    cards: Cards | None
    chat: Chat | None
    turns: tuple[TurnView, ...]
    moves: tuple[Move, ...]
    more_moves: int
    results: tuple[tuple[str, str], ...]
    thoughts: tuple[ThoughtView, ...]


def view_of(setting: Setting, now: Now) -> View:
    """The table in words."""
    scene, legal, picture = now.scene, now.scene.legal or (), now.scene.picture
    return View(
        heading=setting.game.info.title,
        status=_status(setting, now),
        text=tame(drawn(setting.game, scene.text)).strip("\n"),
        board=board_view(picture, legal, scene.thoughts) if isinstance(picture, Grid) else None,
        cards=picture if isinstance(picture, Cards) else None,
        chat=_tamed(picture) if isinstance(picture, Chat) else None,
        turns=turns_of(scene, setting.names),
        moves=tuple(Move(move.id, move_words(move)) for move in legal[:MOST_MOVES]),
        more_moves=max(0, len(legal) - MOST_MOVES),
        results=_results(setting, scene.episode) if scene.episode else (),
        thoughts=_thoughts(scene.thoughts) if scene.thoughts else (),
    )


def _thoughts(thoughts: Thoughts) -> tuple[ThoughtView, ...]:
    """A line a move, those that the model plays likeliest first, else the oracle's."""
    model, oracle = thoughts.model or Opinion(""), thoughts.oracle or Opinion("")

    def rank(move: Move) -> tuple[float, float]:
        theirs = oracle.chances.get(move.id, float(move.id in oracle.best))
        return -model.chances.get(move.id, 0.0), -theirs

    lines = sorted(thoughts.moves, key=rank)
    views = (
        ThoughtView(tame(move_words(move)), model.chances.get(move.id), _of(oracle, move.id))
        for move in lines
    )
    return tuple(views)


def _of(oracle: Opinion, number: int) -> str:
    if number in oracle.best:
        return "best"
    return f"{oracle.chances[number]:.0%}" if number in oracle.chances else ""


def tame(text: str) -> str:
    """A text of a player, a model or a game, fit to be shown."""
    return visible(redact(shorten(text, LONGEST)))


def _tamed(chat: Chat) -> Chat:
    return Chat(tuple((tame(who), tame(words)) for who, words in chat.lines))


def _status(setting: Setting, now: Now) -> str:
    """What is going on, in a line."""
    scene = now.scene
    if scene.episode is not None:
        person = setting.persons[0] if len(setting.persons) == 1 else None
        names = [f"{name} ({role})" for name, role in _sitting(setting, scene.episode)]
        end = ending_words(scene.episode)
        return f"{outcome(scene.episode, names, person)} {end[:1].upper()}{end[1:].rstrip('.')}."
    if now.stage == "waiting":
        role = f" You are {scene.role}." if scene.role else ""
        return f"Your move.{role}"
    if now.stage == "opening":
        return f"{now.words or 'Setting up the table'} …"
    thinking = f"{now.words or 'Thinking'} …"
    return {"thinking": thinking, "left": "The table was left."}.get(now.stage, now.words)


def _sitting(setting: Setting, episode: Episode) -> list[tuple[str, str]]:
    roles = {turn.seat: turn.role for turn in episode.turns}
    names = enumerate(setting.names)
    return [(name, roles.get(seat) or f"seat {seat}") for seat, name in names]


def _results(setting: Setting, episode: Episode) -> tuple[tuple[str, str], ...]:
    """(who, what was paid) of each seat."""
    sitting = zip(_sitting(setting, episode), episode.returns, strict=True)
    return tuple((f"{tame(role)}: {tame(name)}", f"{paid:+g}") for (name, role), paid in sitting)


def turns_of(scene: Scene, names: Sequence[str]) -> tuple[TurnView, ...]:
    """The turns that may be seen, the last one first."""
    held = scene.held if len(scene.turns) == scene.played else {}
    views = [_turn(n, turn, names, held.get(n)) for n, turn in enumerate(scene.turns)]
    return tuple(reversed(views))


def _turn(place: int, turn: Turn, names: Sequence[str], held: Thoughts | None) -> TurnView:
    who = f"{turn.role} · {names[turn.seat]}" if turn.role else names[turn.seat]
    said = tuple(map(_saying, turn.attempts)) if any(a.prompt for a in turn.attempts) else ()
    return TurnView(place + 1, tame(who), _played(turn), _beware(turn), said, _likeliest(held))


def _likeliest(held: Thoughts | None) -> str:
    """The moves that a model held for likeliest, with their shares."""
    chances = held.model.chances if held and held.model else {}
    words = {move.id: tame(move_words(move)) for move in held.moves} if held else {}
    best = sorted(chances, key=lambda number: -chances[number])[:LIKELIEST]
    return ", ".join(f"{words[number]} {chances[number]:.0%}" for number in best)


def _played(turn: Turn) -> str:
    return "no legal move" if turn.played is None else tame(move_words(turn.played))


def _beware(turn: Turn) -> str:
    """Where the move is not what was said."""
    if turn.played is None or turn.move == turn.played:
        return ""
    if turn.attempts and turn.attempts[-1].reply == turn.played.text:
        return "the game refused it"
    return "drawn at random: no legal move was said"


def _saying(attempt: Attempt) -> Saying:
    problem = "" if attempt.move else attempt.problem or "no legal move in it"
    shown = tuple((message["role"], tame(message["content"])) for message in attempt.prompt)
    return Saying(tame(attempt.thought), tame(attempt.reply), tame(problem), shown)
