"""Tesuji from Python: the few functions that `import tesuji` offers, thin over the rooms.

    import tesuji

    game = tesuji.load_game("tic_tac_toe")
    mcts = tesuji.make_player("mcts", game, simulations=100)
    episodes = tesuji.play_matches(game, [mcts, "random"], episodes=10, seed=1)

docs/python.md goes through all of them. Whatever needs torch is imported by the function that
needs it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tesuji.core.errors import GameError
from tesuji.core.run_folder import find_run
from tesuji.core.seeds import stream
from tesuji.core.types import Episode, Task
from tesuji.episodes.arena import play_matches as play_tasks
from tesuji.episodes.reply_rules import TurnRules
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.players.base import Player
from tesuji.players.model import ModelPlayer
from tesuji.players.registry import make_player as make_player_of
from tesuji.players.registry import parse_player
from tesuji.recipe.reading.load import load_recipe
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import PlayerSection

if TYPE_CHECKING:
    from tesuji.pipeline.models.of_run import Trained
    from tesuji.pipeline.run import Outcome

__all__ = ["load_game", "load_recipe", "load_run", "make_player", "play_matches", "run"]


def run(
    recipe: str | Path | Recipe, overrides: Sequence[str] = (), *, runs: str | Path = "runs"
) -> "Outcome":
    """Run a recipe (a file, a shipped name, or one that is loaded) in a folder of `runs`, as
    `tesuji run` does: what is done already is skipped, what was stopped goes on.

    Returns the run's folder, its report page, and its evaluations before and after training.
    Raises RecipeError, and whatever TesujiError stops a stage.
    """
    from tesuji.pipeline.run import run_recipe

    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe, overrides)
    elif overrides:
        raise ValueError("overrides belong to load_recipe where the recipe is loaded already")
    return run_recipe(recipe, Path(runs), command="tesuji.run")


def load_run(run: str | Path) -> "Trained":
    """A finished run by its folder, or by its name under runs/: `.recipe`, `.game`, and
    `.player(temperature=0)`, its newest model as a player. Raises DataError."""
    from tesuji.pipeline.models.of_run import open_run

    return open_run(find_run(str(run)))


def make_player(player: str, game: Game, **options: Any) -> Player:
    """A player for this game by name; options as keywords, or as the command line writes them:
    `make_player("mcts", game, simulations=100)` or `make_player("mcts:simulations=100", game)`.

    Raises RecipeError for an unknown name or option, GameError when it cannot play this game.
    """
    section = parse_player(player)
    given = {"player": section.player, **section.options, **options}
    return make_player_of(PlayerSection.model_validate(given), game=game)


def play_matches(
    game: Game,
    players: Sequence[Player | str],
    *,
    episodes: int = 1,
    seed: int = 1,
    rules: TurnRules | None = None,
) -> list[Episode]:
    """Play `episodes` matches, the players (or their names) moving on by a seat from one to the
    next; `episode.players[s]` says who sat at seat s, `episode.returns[s]` what it earned.

    As many matches as there are seats share a seed, so that nobody has better luck. `rules` are by
    default those under which a model among the players was trained. Raises GameError where there
    is not one player a seat.
    """
    seats = game.num_players
    if len(players) != seats:
        raise GameError(f"{game.name} has {seats} seats, not {len(players)}", where="play_matches")
    made = [make_player(who, game) if isinstance(who, str) else who for who in players]
    labels = _labels(made)
    order = {}
    for number in range(episodes):
        around = tuple(labels[(seat + number) % seats] for seat in range(seats))
        order[stream(seed, number // seats), around] = number
    tasks = [Task(game.name, match_seed, names, game.options) for match_seed, names in order]
    by_label = dict(zip(labels, made, strict=True))
    played = play_tasks(tasks, game=game, players=by_label, rules=rules or _rules_of(made))
    return sorted(played, key=lambda episode: order[episode.seed, episode.players])


def _labels(players: Sequence[Player]) -> list[str]:
    """The players' names; of those that share one, all but the first carry their number."""
    names = [player.name for player in players]
    counts = [names[:place].count(name) for place, name in enumerate(names)]
    return [
        f"{name} {count + 1}" if count else name for name, count in zip(names, counts, strict=True)
    ]


def _rules_of(players: Sequence[Player]) -> TurnRules:
    """Those of the first model's recipe, else the arena's own."""
    for player in players:
        if isinstance(player, ModelPlayer):
            return TurnRules(player.prompt.answer, player.prompt.retry, player.prompt.on_illegal)
    return TurnRules()
