"""A person at the terminal."""

import functools
import re
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.text import Text

from tesuji.core.errors import TesujiError
from tesuji.core.types import Move
from tesuji.games.base import Game
from tesuji.games.board import drawn
from tesuji.games.drawing.looks import looks_of
from tesuji.players.base import MoveRequest, OneByOne, Reply
from tesuji.players.prompting.parse_reply import read_reply

HELP = ("?", "help", "h")
CHANCES = ("%",)
MOST_CHANCES = 12  # moves that are shown with their probability
STYLES = {"first": "bold blue", "second": "bold dark_orange", "dark": "bold", "light": "bold cyan"}
_CELL = re.compile(r"(?<=│ )(\S)(?= │)")
LEAVE = ("quit", "exit", "q")


class HumanLeft(TesujiError):
    """The person left the table."""


class HumanPlayer(OneByOne):
    """Shows what the seat may know, its board drawn, and asks for a move, by number or in the
    game's notation.

    `ask(prompt)` reads a line; by default from the terminal. `chances` says for a request how
    likely a model would play each move, shown on `%`. Raises HumanLeft on `quit` or at the end of
    the input.
    """

    name = "human"

    def __init__(
        self,
        console: Console,
        ask: Callable[[str], str] | None = None,
        chances: Callable[[MoveRequest], Mapping[int, float]] | None = None,
    ) -> None:
        self.console, self.chances = console, chances
        self.ask = ask or (lambda prompt: console.input(prompt, markup=False))

    def reply(self, request: MoveRequest) -> Reply:
        """The move that the person types, asked for until it is one."""
        role = request.match.role(request.seat)
        board = drawn(request.game, request.observation)
        self._say(f"\nYou are {role}.")
        self.console.print(coloured(request.game, _tame(board.rstrip())), soft_wrap=True)
        while True:
            text = self._line(f"{role}, your move (? lists them): ")
            a_move = any(text == move.text for move in request.legal or ())  # dou_dizhu has a "Q"
            if not a_move and text.lower() in LEAVE:
                raise _left()
            if not a_move and text.lower() in HELP:
                self._list(request.legal)
                continue
            if text in CHANCES and self.chances is not None and request.legal:
                self._tell_chances(request, self.chances(request))
                continue
            move, why = move_of_a_person(text, request)
            if move is not None:
                return Reply(move=move)
            self._say(f"{why} (? lists the moves)")

    def _line(self, prompt: str) -> str:
        try:
            return self.ask(prompt).strip()
        except EOFError as end:
            raise _left() from end
        except UnicodeDecodeError:  # bytes that are no text: as if nothing had been typed
            return ""

    def _list(self, legal: tuple[Move, ...] | None) -> None:
        if legal is None:
            self._say("any text is a move here")
            return
        self._say("\n".join(f"{move.id:>4}  {move.text}" for move in legal))

    def _tell_chances(self, request: MoveRequest, chances: Mapping[int, float]) -> None:
        """The likeliest moves of the model, in this seat, first."""
        ranked = sorted(request.legal or (), key=lambda move: -chances.get(move.id, 0.0))
        lines = [
            f"{chances.get(move.id, 0.0):>6.1%}  {move.text}" for move in ranked[:MOST_CHANCES]
        ]
        rest = len(ranked) - len(lines)
        self._say("\n".join([*lines, *([f"... and {rest} more"] if rest > 0 else [])]))

    def _say(self, text: str) -> None:
        """Print as it is, control characters made harmless."""
        self.console.print(_tame(text), markup=False, highlight=False, emoji=False, soft_wrap=True)


def coloured(game: Game, board: str) -> Text:
    """The text with the pieces in a drawn board's frame in the colours of their sides."""
    text, looks = Text(board), looks_of(game)
    for cell in _CELL.finditer(board):
        if style := STYLES.get(looks.cell(cell[1]).look):
            text.stylize(style, *cell.span(1))
    return text


def _tame(text: str) -> str:
    return "".join(char if char.isprintable() or char == "\n" else "�" for char in text)


def move_of_a_person(text: str, request: MoveRequest) -> tuple[Move | None, str]:
    """(the move that these words name, why they name none): by number or in the game's notation."""
    reader = functools.partial(request.match.read, request.seat)
    attempt = read_reply(text, request.legal, reader=reader)
    return attempt.move, "" if attempt.move else _why(attempt.problem)


def _why(problem: str) -> str:
    """What was wrong with the words, said once and to a person."""
    words = {"no legal move in the reply": "", "the reply is empty": "nothing was typed"}
    reason = words.get(problem, problem)
    return f"Not a legal move: {reason}" if reason else "Not a legal move"


def _left() -> HumanLeft:
    return HumanLeft("you left the table; the match is not counted")
