"""An episode in the terminal, turn by turn: what was shown, what was said, what was played."""

import time

from rich.console import Console
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from tesuji.core.errors import TesujiError
from tesuji.core.redact import visible
from tesuji.core.types import Attempt, Ending, Episode, Found, Move, Turn
from tesuji.games.base import play_through
from tesuji.games.board import drawn
from tesuji.games.catalogue import load_game

LONGEST = 800  # characters of one text that are shown

FOUND_WORDS = {
    Found.EXACT: "its exact notation",
    Found.ID: "its number",
    Found.SOFT: "a soft match (case, spacing or brackets aside)",
    Found.NONE: "nothing legal in it",
}

ENDING_WORDS = {
    Ending.FINISHED: "finished by the rules",
    Ending.TRUNCATED: "cut off at the move limit",
    Ending.FORFEIT: "forfeited",
    Ending.ERROR: "a player failed",
}


def show_episode(episode: Episode, console: Console, delay: float = 0.0) -> None:
    """Print the whole episode, waiting `delay` seconds after each turn."""
    console.print(_head(episode))
    for number, turn in enumerate(episode.turns, start=1):
        _show_turn(number, turn, episode, console)
        time.sleep(delay)
    if end := last_position(episode):
        console.print(Rule(Text("the end", style="bold"), align="left"))
        console.print(Text(visible(shorten(end))))
    console.print(_result(episode))


def last_position(episode: Episode) -> str:
    """The position after the last move, nothing hidden, found by playing the moves again; "" where
    they cannot be: a game that is not here, somebody else's record, a transcript."""
    if "kind" in episode.provenance:
        return ""
    try:
        game = load_game(episode.game, episode.options)
        match = game.start(episode.seed)
        moves = [(turn.seat, turn.played) for turn in episode.turns if turn.played is not None]
        play_through(match, moves)
        same = match.to_act or match.returns() == episode.returns
        return "" if match.grows or not same else drawn(game, match.render()).rstrip()
    except (TesujiError, LookupError):  # a seat or a move that the game does not have
        return ""


def shorten(text: str, longest: int = LONGEST) -> str:
    """At most `longest` characters, and how many more there were."""
    if len(text) <= longest:
        return text
    return f"{text[:longest]}… ({len(text) - longest:,} more characters)"


def _head(episode: Episode) -> Panel:
    options = ", ".join(f"{key}={value}" for key, value in episode.options.items())
    lines = [f"{episode.game}({options})" if options else episode.game, f"seed {episode.seed}"]
    lines += [f"seat {seat}: {_who(episode, seat)}" for seat in range(len(episode.players))]
    return Panel(Text(visible("\n".join(lines))), title="Episode", expand=False)


def _who(episode: Episode, seat: int) -> str:
    roles = {turn.seat: turn.role for turn in episode.turns}
    name = episode.players[seat] if seat < len(episode.players) else "nobody"
    return f"{name} as {roles[seat]}" if roles.get(seat) else name


def _show_turn(number: int, turn: Turn, episode: Episode, console: Console) -> None:
    title = f"turn {number} · seat {turn.seat} · {_who(episode, turn.seat)}"
    console.print(Rule(Text(visible(title), style="bold"), align="left"))
    console.print(Text(visible(shorten(turn.observation))))
    for attempt in turn.attempts:
        _show_attempt(attempt, console)
    console.print(_played(turn))


def _show_attempt(attempt: Attempt, console: Console) -> None:
    if attempt.thought:
        console.print(_labelled("thought", attempt.thought, "dim italic"))
    if attempt.reply:
        console.print(_labelled("reply", attempt.reply, "cyan"))
    if attempt.move is None:
        problem = attempt.problem or "no legal move in the reply"
        console.print(_labelled("illegal", problem, "red"))


def _labelled(label: str, text: str, style: str) -> Text:
    return Text.assemble((f"{label}: ", "bold"), (visible(shorten(text)), style))


def _played(turn: Turn) -> Text:
    if turn.played is None:
        return Text("played nothing: the seat forfeits", style="bold red")
    move = move_words(turn.played)
    if turn.move != turn.played:
        why = "put in its place by the rules" if turn.attempts else "a random opening move"
        return Text(f"played {move}, {why}", style="bold yellow")
    last = turn.attempts[-1]
    how = f"found by {FOUND_WORDS[last.found]}" if last.reply else "chosen without words"
    again = ", at the second try" if turn.retried else ""
    return Text(f"played {move} ({how}{again})", style="bold green")


def move_words(move: Move) -> str:
    """A move as a person reads it: its notation, or its number where it has none."""
    return visible(move.text) or f"#{move.id}"


def _result(episode: Episode) -> Panel:
    table = Table.grid(padding=(0, 2))
    for seat, value in enumerate(episode.returns):
        table.add_row(f"seat {seat}", Text(visible(_who(episode, seat))), f"{value:+g}")
    table.add_row("ended", Text(visible(ending_words(episode))))
    return Panel(table, title="Result", expand=False)


def ending_words(episode: Episode) -> str:
    """Why the episode ended, in words."""
    words = ENDING_WORDS[episode.ending]
    if episode.offender is not None:
        words += f" (seat {episode.offender})"
    return f"{words}: {shorten(episode.reason)}" if episode.reason else words
