"""`tesuji play-online RUN`: a run's model at TextArena's own tables, or MindGames'."""

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tesuji.cli.console import loading, say, warn
from tesuji.core.errors import RecipeError
from tesuji.core.run_folder import find_run

if TYPE_CHECKING:
    from tesuji.core.types import Episode
    from tesuji.games.textarena.game import TextArenaGame
    from tesuji.games.textarena.online import OnlineGame
    from tesuji.pipeline.models.of_run import Trained
    from tesuji.players.base import Player

app = typer.Typer()
TOKEN = "TEXTARENA_TOKEN"
TRACKS = {"Social Detection": "SecretMafia-v0-train"}  # of one game; theirs of three are not played


@app.command("play-online")
def play_online(
    run: Annotated[str, typer.Argument(help="A run folder, or its name under runs/.")],
    name: Annotated[str, typer.Option(help="What the model is called there.")],
    env: Annotated[str, typer.Option(help="The environment; default: the run's.")] = "",
    email: Annotated[str, typer.Option(help=f"With whom it is registered; or set {TOKEN}.")] = "",
    track: Annotated[str, typer.Option(help="MindGames: 'Social Detection'.")] = "",
    team_hash: Annotated[str, typer.Option(help="MindGames: the team's hash.")] = "",
    small: Annotated[bool, typer.Option("--small", help="MindGames: a small model.")] = False,
    matches: Annotated[int, typer.Option(min=1, help="How many, one after the other.")] = 1,
    temperature: Annotated[
        float | None, typer.Option(min=0, max=100, help="Default: the recipe's.")
    ] = None,
    patience: Annotated[float, typer.Option(min=1, help="Seconds to wait for a match.")] = 1800,
    record: Annotated[
        Path | None, typer.Option(help="Append the matches to this JSONL file.")
    ] = None,
) -> None:
    """Play a run's model online and record its matches as episodes."""
    folder = find_run(run)
    token = os.environ.get(TOKEN, "")
    _refuse(token, email, track, team_hash)
    loading(str(folder))
    from tesuji.cli.progress import Bar
    from tesuji.episodes.store import EpisodeWriter
    from tesuji.games.textarena.online import Entry, OnlineGame
    from tesuji.pipeline.models.of_run import open_run

    trained = open_run(folder)
    table = _table(trained, env or TRACKS.get(track, ""))
    entry = Entry(
        name, trained.recipe.model.base, token, trained.recipe.description, email, track,
        team_hash, small,
    )  # fmt: skip
    with Bar() as bar:
        player = trained.player(temperature, bar)
    warn(trained.beware)
    game = OnlineGame(table.name, table.options, table, entry, patience)
    target = record or folder / "online" / "episodes.jsonl"
    with EpisodeWriter(target) as writer, closing(game):
        for number in range(1, matches + 1):
            say(f"match {number} of {matches}: waiting for others at {table.name}")
            episode = _match(game, player, trained, name)
            writer.write(episode)
            say(_outcome(episode))
    say(f"recorded in {target}: tesuji replay {target}")


def _refuse(token: str, email: str, track: str, team_hash: str) -> None:
    """Raise RecipeError for what cannot be an entry, before a model is loaded."""
    if track and track not in TRACKS:
        hint = f"one of: {', '.join(TRACKS)}"
        raise RecipeError(f"there is no track {track!r} here", where="--track", hint=hint)
    known, asked = (team_hash, "--team-hash") if track else (email, "--email")
    if not token and not known:
        hint = f"with {asked} the model is registered there; or set {TOKEN}"
        raise RecipeError("the model has no token and nothing to have one for", hint=hint)


def _table(trained: "Trained", env: str) -> "TextArenaGame":
    """The environment as the run's recipe asks at it. Raises RecipeError where it is none."""
    from tesuji.games.catalogue import load_game
    from tesuji.games.textarena.game import TextArenaGame

    game = trained.game if not env else load_game(env, {})
    if isinstance(game, TextArenaGame):
        mine = trained.game
        asked = mine.options.get("prompt") if isinstance(mine, TextArenaGame) else None
        return replace(game, options={**game.options, **({"prompt": asked} if asked else {})})
    hint = "name one: --env SecretMafia-v0"
    raise RecipeError(f"{game.name} is not of TextArena", where="--env", hint=hint)


def _match(game: "OnlineGame", player: "Player", trained: "Trained", name: str) -> "Episode":
    from tesuji.core.types import Task
    from tesuji.episodes.arena import play_matches
    from tesuji.evaluation.evaluate import turn_rules

    recipe = trained.recipe
    [episode] = play_matches(
        [Task(game.name, 0, (name,) * game.num_players, game.options)],
        game=game,
        players={name: player},
        rules=turn_rules(recipe.prompt, recipe.evaluation.max_moves),
    )
    ours = episode.provenance.get("seat")
    seats = range(len(episode.returns))
    names = tuple(name if seat == ours else f"online {seat}" for seat in seats)
    return replace(episode, players=names)


def _outcome(episode: "Episode") -> str:
    earned = episode.returns[episode.provenance["seat"]]
    words = {1.0: "won", -1.0: "lost"}.get(earned, "neither won nor lost")
    change = episode.provenance.get("rating_change")
    rating = f", rating {change:+g}" if isinstance(change, int | float) else ""
    return f"{words} as seat {episode.provenance['seat']}{rating}. {episode.reason}".rstrip()
