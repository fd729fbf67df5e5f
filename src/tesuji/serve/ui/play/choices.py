"""Who can be chosen for a seat, and what a choice means.

A choice is a text: `person`; `run:NAME` and `run:NAME/MODEL` for a run's newest model and for that
of one of its stages or checkpoints; else a player as the command line writes it
(`mcts:simulations=100`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tesuji.core.errors import DataError, RecipeError, did_you_mean
from tesuji.episodes.reply_rules import TurnRules
from tesuji.evaluation.evaluate import turn_rules
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.pipeline.models.in_run import beware, models_of, recipe_and_game
from tesuji.players.registry import make_player, parse_player, players_of
from tesuji.recipe.schema.recipe import Recipe
from tesuji.serve.ui.house import House
from tesuji.serve.ui.play.models import Models, RunModel, newest
from tesuji.serve.ui.play.setting import Seat, Setting

PERSON, RUN = "person", "run:"
CHECKPOINTS = 12  # of a stage that are offered


class Choice(NamedTuple):
    """What a form sends, and what it is called there."""

    value: str
    words: str


@dataclass(frozen=True)
class Chosen:
    """What is played: of a run its game, by its rules; else a game of the catalogue."""

    game: Game
    run: str = ""
    recipe: Recipe | None = None
    beware: str = ""
    """What to know of the run's newest model."""

    @property
    def rules(self) -> TurnRules:
        """What becomes of replies."""
        if self.recipe is None:
            return TurnRules()
        return turn_rules(self.recipe.prompt, self.recipe.evaluation.max_moves)


def chosen(house: House, run: str, game: str, options: str) -> Chosen:
    """The game that is to be played. Raises a TesujiError where there is no such run or game."""
    if run:
        folder = house.run(run)
        recipe, judged = recipe_and_game(folder)
        return Chosen(judged, run, recipe, beware(folder, recipe))
    return Chosen(load_game(game, _options(options)))


def _options(text: str) -> dict[str, object]:
    """`board_size=5, players=2` as options; values are YAML."""
    if not text.strip():
        return {}
    if "\n" in text or not all("=" in part for part in text.split(",")):
        hint = "write board_size=5,num_rounds=2"
        raise RecipeError(f"cannot read {text!r}", where="options", hint=hint)
    return dict(parse_player(f"random:{text}").options)


def choices(house: House, played: Chosen) -> list[Choice]:
    """Who can sit down, people first, the strongest players next."""
    found = [Choice(PERSON, "a person")]
    if played.recipe is not None:
        folder, run = house.run(played.run), played.run
        found.append(Choice(f"{RUN}{run}", f"model of {run}"))
        for name, _ in reversed(models_of(folder, played.recipe, CHECKPOINTS)):
            found.append(Choice(f"{RUN}{run}/{name}", f"model of {run}, {_words(name)}"))
    names = [name for name in players_of(played.game.info) if name != "scripted"]
    return [*found, *(Choice(name, name) for name in names)]


def roles(game: Game) -> list[str]:
    """What the rules call each seat, and which moves first; nothing where roles are dealt."""
    if game.roles or game.num_players == 1:
        return [""] * game.num_players
    match = game.start(0)
    first = match.to_act if len(match.to_act) == 1 else ()
    seats = range(game.num_players)
    return [f": {match.role(s)}{', moves first' if s in first else ''}" for s in seats]


def usual(offered: Sequence[Choice]) -> str:
    """Who sits opposite unless somebody else is chosen: a run's model, else a random player."""
    values = [choice.value for choice in offered]
    models = [value for value in values if value.startswith(RUN)]
    return next(iter(models), "random" if "random" in values else PERSON)


def _words(name: str) -> str:
    return "before training" if name == "before" else f"after {name}"


def setting(
    house: House,
    models: Models,
    played: Chosen,
    seats: Sequence[str],
    *,
    seed: int,
    temperature: float | None,
    save: bool,
) -> Setting:
    """The match that is to be played. Raises a TesujiError for a choice that there is not, before
    anything is loaded."""
    game = played.game
    if len(seats) != game.num_players:
        raise RecipeError(f"{game.name} has {game.num_players} seats", where="seats")
    sitting = tuple(_seat(house, models, game, text, temperature) for text in seats)
    adviser = None
    if played.recipe is not None:
        model = newest(house.run(played.run), played.recipe, f"{RUN}{played.run}")
        adviser = models.opener(model, temperature)
    return Setting(game, sitting, played.rules, seed, save, adviser)


def _seat(house: House, models: Models, game: Game, text: str, temperature: float | None) -> Seat:
    text = text.strip()
    if text == PERSON:
        return Seat(PERSON)
    if text.startswith(RUN):
        model = run_model(house, text.removeprefix(RUN))
        return Seat(model.name, models.opener(model, temperature))
    section = parse_player(text)
    player = make_player(section, game=game)  # so that what cannot be is refused now
    return Seat(section.label, lambda progress: player)


def run_model(house: House, name: str) -> RunModel:
    """The model that `RUN` or `RUN/MODEL` names. Raises DataError."""
    run, _, stage = name.partition("/")
    folder = house.run(run)
    recipe, _game = recipe_and_game(folder)
    if not stage:
        return newest(folder, recipe, f"{RUN}{name}")
    there = dict(models_of(folder, recipe, 10**9))
    if stage not in there:
        hint = f"{did_you_mean(stage, list(there))}its models: {', '.join(there) or 'none'}"
        raise DataError(f"no model {stage!r} in {run}", hint=hint)
    return RunModel(recipe, str(there[stage]), f"{RUN}{name}")
