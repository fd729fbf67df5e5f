"""Games of questions (function calling, procedural tasks): what share is answered right.

Each question is asked once. Where the game keeps some out of training, those of both sides are
asked, and told apart: "trained" beside "held_out".
"""

from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean

from tesuji.core.seeds import stream
from tesuji.core.statistics import Interval, mean_interval, wilson
from tesuji.core.types import Ending, Episode, Task
from tesuji.episodes.results import result_of
from tesuji.evaluation.bfcl_summary import composites
from tesuji.evaluation.matches.against import EVALUATED
from tesuji.evaluation.results import TaskScore, TasksScore
from tesuji.games.base import Game


def asks_questions(game: Game) -> bool:
    """Whether the game is one of questions that come with a key: no opponent, nothing to solve."""
    return game.num_players == 1 and "answer_key" in game.info.traits


def sides(game: Game) -> list[tuple[str, Game]]:
    """(name of the side, the game on it): both sides where something is held out, else one."""
    if game.held_out is None:
        return [("all", game)]
    return [("trained", game), ("held_out", game.held_out)]


def tasks_of(game: Game, episodes: int, seed: int) -> list[Task]:
    """At most `episodes` different questions, the same for the same seed."""
    seeds: Iterable[int]
    if game.tasks is None:
        seeds = (stream(seed, "tasks", n) for n in range(episodes))
    elif game.tasks <= episodes:
        seeds = range(game.tasks)
    else:
        first = stream(seed, "tasks") % game.tasks
        seeds = range(first, first + episodes)
    return [Task(game.name, number, (EVALUATED,), game.options) for number in seeds]


def score_tasks(game: Game, by_split: Sequence[tuple[str, Sequence[Episode]]]) -> TasksScore:
    """Count the episodes of each side, all together and by category (the role of the seat)."""
    rows = [row for split, episodes in by_split for row in _rows(split, episodes)]
    return TasksScore(tuple(rows), composites(game, rows))


def _rows(split: str, episodes: Sequence[Episode]) -> Iterator[TaskScore]:
    yield _score(split, "", episodes)
    categories = sorted({_category(episode) for episode in episodes})
    for category in categories if len(categories) > 1 else ():
        yield _score(split, category, [e for e in episodes if _category(e) == category])


def _category(episode: Episode) -> str:
    return episode.turns[0].role if episode.turns else ""


def _score(split: str, category: str, episodes: Sequence[Episode]) -> TaskScore:
    counted = [episode for episode in episodes if episode.ending is not Ending.ERROR]
    returns = [episode.returns[0] for episode in counted]
    right = sum(result_of(episode, 0) == "win" for episode in counted)
    return TaskScore(
        split=split,
        category=category,
        tasks=len(counted),
        right=right,
        right_interval=wilson(right, len(counted)),
        mean_return=fmean(returns) if returns else 0.0,
        return_interval=mean_interval(returns) if returns else Interval(0.0, 0.0),
        unanswered=sum(episode.ending is Ending.FORFEIT for episode in counted),
        errors=len(episodes) - len(counted),
    )
