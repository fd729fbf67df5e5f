"""`tesuji games`: which games there are, and one of them shown with rules, prompt and a match."""

import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
import yaml
from rich.console import Console

from tesuji.core.errors import RecipeError, did_you_mean
from tesuji.episodes.sample import facts, random_match, seats
from tesuji.games.base import Game, GameInfo
from tesuji.games.catalogue import list_games, load_game

app = typer.Typer(no_args_is_help=False)

MOST_TURNS = 30
MOST_LINES = 60  # of one message


@app.callback(invoke_without_command=True)
def games(
    context: typer.Context,
    match: Annotated[str, typer.Option(help="Only games with this text in name or title.")] = "",
    family: Annotated[
        str, typer.Option(help="Only games that come from here: openspiel, textarena, ...")
    ] = "",
    available: Annotated[bool, typer.Option("--available", help="Only playable games.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for other programs.")] = False,
) -> None:
    """List the games, or show one of them."""
    if context.invoked_subcommand:
        return
    wanted = match.casefold()
    infos = [
        info
        for info in _of_family(list_games(), family)
        if wanted in f"{info.name} {info.title}".casefold() and not (available and info.unavailable)
    ]
    if as_json:
        typer.echo(json.dumps([_plain(info) for info in infos], indent=2))
    else:
        _print_list(Console(), infos)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A game's name, as `tesuji games` lists it.")],
    option: Annotated[
        list[str] | None, typer.Option(help="An option of the game: players=3. Repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the sample match.")] = 0,
) -> None:
    """Show a game: facts, rules, a sample prompt and a match played at random."""
    game = load_game(name, parse_options(option or []))
    console = Console(highlight=False, markup=False)
    _print_facts(console, game)
    console.rule("Rules")
    console.print(game.rules)
    console.rule("What a model is asked at its first turn")
    _print_prompt(console, game, seed)
    console.rule(f"A match played at random (seed {seed})")
    _print_match(console, game, seed)


def _of_family(infos: list[GameInfo], family: str) -> list[GameInfo]:
    """Those that come from there; all of them where no family is named. Raises RecipeError."""
    if not family:
        return infos
    known = sorted({info.family for info in infos})
    if family.casefold() not in map(str.casefold, known):
        hint = f"{did_you_mean(family, known)}there are: {', '.join(known)}"
        raise RecipeError(f"no games come from {family!r}", where="--family", hint=hint)
    return [info for info in infos if info.family.casefold() == family.casefold()]


def parse_options(pairs: list[str]) -> dict[str, Any]:
    """`players=3` as {"players": 3}: values are read as YAML, as in a recipe.

    Raises RecipeError for a pair without `=` and for a value that is not a number or a text.
    """
    options = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            value = text
        if not key or not equals or not isinstance(value, str | int | float | bool):
            raise RecipeError(
                f"not an option: {pair!r}", where="--option", hint="write --option players=3"
            )
        options[key] = value
    return options


def _plain(info: GameInfo) -> dict[str, Any]:
    """The facts as JSON knows them, with who can play: no infinities."""
    from tesuji.players.registry import players_of

    return {
        key: None if value in (float("inf"), float("-inf")) else value
        for key, value in {**asdict(info), "players": players_of(info)}.items()
    }


_ROOMY = 110  # columns from which nothing need be shortened
_SHORT = {"players": "seats", "information": "info"}


def _print_list(console: Console, infos: list[GameInfo]) -> None:
    from rich.table import Table

    playable = [info for info in infos if not info.unavailable]
    roomy = console.width >= _ROOMY
    table = Table(
        box=None, header_style="bold", pad_edge=False, padding=(0, 2 if roomy else 1, 0, 0)
    )
    table.add_column("game", no_wrap=True, overflow="fold")
    for heading in ("players", "information", "chance", "moves"):
        table.add_column(heading if roomy else _SHORT.get(heading, heading), no_wrap=True)
    if roomy:
        table.add_column("longest", justify="right")
    rows = [_row(info) for info in playable]
    widest = [max((_widest_word(row[place]) for row in rows), default=0) for place in (6, 7)]
    table.add_column("best opponents", min_width=widest[0])
    if roomy:
        table.add_column("exact metrics", min_width=widest[1])
    for row in rows:
        table.add_row(*(row if roomy else (*row[:5], row[6])))
    if playable:
        console.print(table)
    closed = [info for info in infos if info.unavailable]
    if closed:
        console.print("\nUnavailable here:", style="bold")
    for info in closed:
        console.print(f"  {info.name}: {info.unavailable}", highlight=False, markup=False)
    console.print(
        f"\n{len(playable)} games can be played, {len(closed)} cannot. "
        "One in detail: tesuji games show NAME",
        highlight=False,
    )


def _row(info: GameInfo) -> tuple[str, ...]:
    from tesuji.players.registry import players_of

    return (
        info.name,
        seats(info),
        "hidden" if info.information == "imperfect" else info.information,
        "yes" if info.chance else "no",
        "at once" if info.simultaneous else "turns",
        str(info.max_moves or "?"),
        ", ".join(player for player in players_of(info) if player != "scripted"),
        ", ".join(info.metrics),
    )


def _widest_word(text: str) -> int:
    return max(map(len, text.split()), default=0)


def _print_facts(console: Console, game: Game) -> None:
    info = game.info
    options = ", ".join(f"{key}={value}" for key, value in game.options.items())
    console.print(f"{info.name}: {info.title}" + (f" ({options})" if options else ""), style="bold")
    for key, value in facts(game).items():
        console.print(f"  {key:<17} {value}")


def _print_prompt(console: Console, game: Game, seed: int) -> None:
    from tesuji.players.prompting.prompt import prompt_at
    from tesuji.recipe.schema.sections import PromptSection

    match = game.start(seed)
    if not match.to_act:
        return
    seat = match.to_act[0]
    messages = prompt_at(PromptSection(), game, match, seat)
    for message in messages:
        console.print(f"[{message['role']}]", style="dim")
        console.print(_shortened(message["content"]))


def _shortened(text: str) -> str:
    """The first and last lines of a text with very many: lists of legal words are long."""
    lines = text.split("\n")
    if len(lines) <= MOST_LINES:
        return text
    head, tail = lines[: MOST_LINES - 5], lines[-5:]
    return "\n".join([*head, f"... {len(lines) - MOST_LINES:,} more lines ...", *tail])


def _print_match(console: Console, game: Game, seed: int) -> None:
    """One random match: what the moving seat saw and what it did."""
    match = random_match(game, seed, MOST_TURNS)
    for turn, step in enumerate(match.steps, start=1):
        console.print(step.observation)
        console.print(f"{turn}. {step.role}: {step.move}", style="bold")
    console.print(match.ending)
