"""`tesuji play RUN`: a person against the model, in the terminal."""

from pathlib import Path
from typing import Annotated

import typer

from tesuji.cli.console import console
from tesuji.core.errors import RecipeError
from tesuji.core.redact import visible
from tesuji.core.run_folder import find_run
from tesuji.core.types import Episode, Task

app = typer.Typer()


@app.command()
def play(
    run: Annotated[str, typer.Argument(help="A run folder, or its name under runs/.")],
    seat: Annotated[int, typer.Option(help="Your seat; 0 moves first.")] = 0,
    seed: Annotated[int, typer.Option(help="Chance follows from it.")] = 0,
    temperature: Annotated[float, typer.Option(help="0: the model's best move.")] = 0.0,
    record: Annotated[
        Path | None, typer.Option(help="Append the match to this JSONL file.")
    ] = None,
) -> None:
    """Play a match against a run's model. `?` lists the moves, `quit` leaves."""
    from tesuji.episodes.arena import play_matches
    from tesuji.episodes.store import EpisodeWriter
    from tesuji.evaluation.evaluate import turn_rules
    from tesuji.pipeline.models.of_run import open_run
    from tesuji.players.basic.human import HumanPlayer

    trained = open_run(find_run(run))
    seats = trained.game.num_players
    if not 0 <= seat < seats:
        raise RecipeError(f"there is no seat {seat}", where="--seat", hint=f"0 to {seats - 1}")
    names = tuple("you" if index == seat else "model" for index in range(seats))
    players = {"you": HumanPlayer(console), "model": trained.player(temperature)}
    console.print(trained.game.rules, markup=False)
    task = Task(trained.game.name, seed, names, trained.game.options)
    rules = turn_rules(trained.recipe.prompt, trained.recipe.evaluation.max_moves)
    for episode in play_matches([task], game=trained.game, players=players, rules=rules):
        _print_end(episode, seat)
        if record is not None:
            with EpisodeWriter(record) as writer:
                writer.write(episode)


def _print_end(episode: Episode, seat: int) -> None:
    others = [value for index, value in enumerate(episode.returns) if index != seat]
    ours = episode.returns[seat]
    best = max(others, default=0.0)
    words = "You win." if ours > best else "A draw." if ours == best else "The model wins."
    if episode.turns:
        last = episode.turns[-1]
        played = last.played.text if last.played else "-"
        turn = visible(f"{last.observation}\n{last.role}: {played}")
        console.print(turn, markup=False, highlight=False, emoji=False)
    console.print(f"{words} {episode.reason}".strip(), markup=False)
