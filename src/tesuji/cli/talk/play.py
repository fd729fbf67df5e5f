"""`tesuji play RUN`: a person against the model, or another player, in the terminal."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tesuji.cli.console import console, loading, say, warn
from tesuji.core.errors import RecipeError
from tesuji.core.redact import visible
from tesuji.core.run_folder import find_run
from tesuji.core.types import Ending, Episode, Task, Turn

if TYPE_CHECKING:
    from tesuji.games.base import Game, Match
    from tesuji.pipeline.models.of_run import Trained
    from tesuji.players.base import MoveRequest, Player

app = typer.Typer()
WORDS = {"win": "You win.", "draw": "A draw.", "loss": "{them} wins."}
MODEL = "model"  # what the run's own is called
LONGEST = 200  # characters of a reply without a move that are shown


@app.command()
def play(
    run: Annotated[str, typer.Argument(help="A run folder, or its name under runs/.")],
    seat: Annotated[int, typer.Option(help="Your seat; 0 moves first.")] = 0,
    seed: Annotated[int, typer.Option(help="Chance follows from it.")] = 0,
    temperature: Annotated[
        float, typer.Option(min=0, max=1000, help="0: the model's best move.")
    ] = 0.0,
    opponent: Annotated[
        str | None,
        typer.Option(help="Play this player instead, e.g. mcts:simulations=100 or openai:model=m."),
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Append the match to this JSONL file.")
    ] = None,
) -> None:
    """Play a match against a run's model, or another player at its table. `?` lists the moves, `%`
    how likely the model would play each, `quit` or Ctrl-D leaves."""
    folder = find_run(run)
    loading(str(folder))
    from tesuji.cli.progress import Bar
    from tesuji.episodes.store import EpisodeWriter
    from tesuji.pipeline.models.of_run import open_run
    from tesuji.players.basic.human import HumanLeft

    trained = open_run(folder)
    seats = trained.game.num_players
    if not 0 <= seat < seats:
        raise RecipeError(f"there is no seat {seat}", where="--seat", hint=f"0 to {seats - 1}")
    if opponent is None:
        with Bar() as bar:
            them: Player = trained.player(temperature, bar)
        warn(trained.beware)
    else:
        from tesuji.players.registry import make_player, parse_player

        them = make_player(parse_player(opponent), game=trained.game)
    try:
        episode = _match(trained, them, seat, seed)
    except (HumanLeft, KeyboardInterrupt):
        say("\nyou left the table; the match is not counted")
        return
    if record is not None:
        with EpisodeWriter(record) as writer:
            writer.write(episode)


def _match(trained: "Trained", them: "Player", seat: int, seed: int) -> Episode:
    """One match, told as it goes."""
    from tesuji.episodes.arena import play_matches
    from tesuji.evaluation.evaluate import turn_rules
    from tesuji.players.basic.human import HumanPlayer

    game = trained.game
    names = tuple("you" if index == seat else them.name for index in range(game.num_players))
    say(visible(game.rules))
    who = f"The model: {trained.source}" if them.name == MODEL else f"Against {them.name}"
    odds = "" if _chances(them) is None else ", % how likely it would play each"
    say(f"\n{visible(who)}. ? lists your moves{odds}; quit leaves.")
    table = Table(game, seat, them.name)
    [episode] = play_matches(
        [Task(game.name, seed, names, game.options)],
        game=game,
        players={"you": HumanPlayer(console, chances=_chances(them)), them.name: them},
        rules=turn_rules(trained.recipe.prompt, trained.recipe.evaluation.max_moves),
        watch=table.watch,
    )
    table.end(episode)
    return episode


def _chances(them: "Player") -> "Callable[[MoveRequest], Mapping[int, float]] | None":
    """How likely a model would play each move in the person's place; None for other players."""
    from tesuji.players.model import ModelPlayer

    return (
        (lambda request: them.probabilities([request])[0])
        if isinstance(them, ModelPlayer)
        else None
    )


class Table:
    """Tells what is played, as far as the person may know it: where something is hidden, only its
    own moves, since what others did is for the game to show."""

    def __init__(self, game: "Game", seat: int, them: str = MODEL) -> None:
        self.game, self.seat, self.them, self.told = game, seat, them, 0
        self.open = game.info.information == "perfect"
        self.match: Match | None = None

    def watch(self, match: "Match", turns: Sequence[Turn]) -> None:
        """Tell the turns that are new."""
        self.match = match
        for turn in turns[self.told :]:
            if self.open or turn.seat == self.seat:
                say(f"{turn.role} ({self._who(turn.seat)}): {_played(turn)}")
        self.told = len(turns)

    def end(self, episode: Episode) -> None:
        """The last position, with nothing hidden any more, and who has won."""
        from tesuji.games.board import drawn

        if self.match is not None:
            say(f"\n{visible(drawn(self.game, self.match.render()).rstrip())}")
        say(f"\n{self._outcome(episode)} {visible(episode.reason)}".rstrip())

    def _who(self, seat: int) -> str:
        return "you" if seat == self.seat else visible(self.them)

    def _outcome(self, episode: Episode) -> str:
        from tesuji.episodes.results import result_of

        ours, offender = episode.returns[self.seat], episode.offender
        if episode.ending is Ending.TRUNCATED:
            return "Nobody has won."
        if len(episode.returns) == 1:
            return f"You earn {ours:+g}."
        if episode.provenance.get("cooperative"):
            return f"Together you earn {ours:+g}."
        them = "The model" if self.them == MODEL else visible(self.them)
        words = WORDS.get(result_of(episode, self.seat), f"You earn {ours:+g}.").format(them=them)
        return f"{words} {them} forfeits:" if offender not in (None, self.seat) else words


def _played(turn: Turn) -> str:
    """The move, and where it was not said that it was put in its place; else what was said."""
    if turn.played is None:
        reply = turn.attempts[-1].reply if turn.attempts else ""
        cut = f"{reply[:LONGEST]}…" if len(reply) > LONGEST else reply
        return f"no legal move; it said {visible(cut)!r}"
    move = visible(turn.played.text) or f"#{turn.played.id}"
    if turn.move == turn.played:
        return move
    said = bool(turn.attempts) and turn.attempts[-1].reply == turn.played.text
    why = "the game refused it" if said else "drawn at random: no legal move was said"
    return f"{move} ({why})"
