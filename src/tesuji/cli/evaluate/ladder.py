"""`tesuji ladder RUN`: who beats whom, rated."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tesuji.cli.console import console, loading, warn

if TYPE_CHECKING:
    from tesuji.core.types import Episode
    from tesuji.evaluation.matches.ladder import Ladder

app = typer.Typer()


@app.command("ladder")
def ladder(
    run: Annotated[str, typer.Argument(help="A run folder, or its name under runs/.")],
    opponent: Annotated[
        list[str] | None,
        typer.Option(help="A fixed player to enter, e.g. mcts:simulations=100; may be repeated."),
    ] = None,
    episodes: Annotated[int, typer.Option(min=2, help="Matches for each pair.")] = 50,
    checkpoints: Annotated[int, typer.Option(min=0, help="Checkpoints of each stage.")] = 2,
    temperature: Annotated[float, typer.Option(min=0, help="0: greedy.")] = 0.0,
    seed: Annotated[int | None, typer.Option(help="Random stream; default: the recipe's.")] = None,
) -> None:
    """Rate a run's models and fixed players against each other, all seats, with intervals. Kept in
    RUN/ladder with its matches, for `tesuji ui` and `tesuji replay`."""
    from tesuji.cli.progress import Bar
    from tesuji.core.run_folder import find_run

    folder = find_run(run)
    loading(str(folder))
    from tesuji.evaluation.evaluate import turn_rules
    from tesuji.evaluation.matches.ladder import play_ladder
    from tesuji.evaluation.matches.ladder_folder import keeping_matches, save_ladder
    from tesuji.pipeline.models.ladder_entrants import entrants_of
    from tesuji.pipeline.models.of_run import open_run
    from tesuji.players.registry import parse_player

    trained = open_run(folder)
    warn(trained.beware)
    fixed = [parse_player(text) for text in opponent or ["random"]]
    entrants = entrants_of(trained, fixed, checkpoints, temperature)
    recipe = trained.recipe
    stream = recipe.seed if seed is None else seed
    with Bar() as bar, keeping_matches(folder) as keep:
        bar.begin("ladder", len(entrants) * (len(entrants) - 1) // 2 * episodes)

        def on_match(one: str, other: str, episode: "Episode") -> None:
            keep(one, other, episode)
            bar.advance()

        result = play_ladder(
            trained.game,
            entrants,
            episodes=episodes,
            seed=stream,
            rules=turn_rules(recipe.prompt, recipe.evaluation.max_moves),
            on_match=on_match,
        )
    save_ladder(
        folder, result, trained.game, episodes=episodes, seed=stream, temperature=temperature
    )
    console.print(_table(result, trained.game.name, episodes))


def _table(result: "Ladder", game: str, episodes: int) -> Table:
    title = f"{game}: {episodes} matches a pair, OpenSkill rating and alpha-rank in % (95%)"
    from tesuji.report.words import interval

    table = Table(title=title, padding=(0, 1, 0, 0), box=None, header_style="bold")
    table.add_column("", justify="right")
    table.add_column("player", overflow="fold")
    for name in ("rating", "interval", "alpha-rank", "won", "drawn", "lost"):
        table.add_column(name, justify="right", no_wrap=True)
    for place, rung in enumerate(result.rungs, start=1):
        table.add_row(
            str(place),
            rung.name,
            f"{rung.rating:.1f}",
            f"{rung.interval.low:.1f} to {rung.interval.high:.1f}",
            f"{100 * rung.alpha_rank:.0f} ({interval(rung.alpha_interval)})",
            *(f"{count:,}" for count in (rung.wins, rung.draws, rung.losses)),
        )
    return table
