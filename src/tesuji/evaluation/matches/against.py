"""Matches against named opponents, seats rotated, and what they add up to.

Who made the mistake is kept apart: `forfeits` are matches the evaluated player lost by having no
legal move, `gifts` those it won because the opponent had none.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import fmean

from tesuji.core.errors import GameError
from tesuji.core.seeds import stream
from tesuji.core.statistics import mean_interval, ratio_interval, wilson
from tesuji.core.types import Ending, Episode, Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.in_order import in_order
from tesuji.episodes.reply_rules import TurnRules
from tesuji.episodes.results import Result, result_of
from tesuji.evaluation.results import MatchScore, Winnings
from tesuji.evaluation.shares import Share
from tesuji.games.base import Game
from tesuji.players.base import Player

EVALUATED = "evaluated"
ALONE = "alone"  # whom one meets in a game of one seat
DEALS = 10_000  # looked through for a role; the rarest comes once in as many as there are seats


def rotated_tasks(game: Game, opponent: str, episodes: int, seed: int) -> list[Task]:
    """`episodes` tasks in which the evaluated player takes every seat in turn.

    Each block of `num_players` matches shares one seed, so that luck with the cards is the same
    in every seat (at poker: duplicate deals).
    """
    seats = game.num_players
    tasks = []
    for index in range(episodes):
        ours = index % seats
        players = tuple(EVALUATED if seat == ours else opponent for seat in range(seats))
        tasks.append(Task(game.name, stream(seed, index // seats), players, game.options))
    return tasks


def dealt_tasks(game: Game, opponent: str, episodes: int, seed: int) -> list[Task]:
    """`episodes` tasks of a game that deals its roles: a blocked design over roles and seats.

    Each run of as many matches as there are roles has the evaluated player in every role once; over
    a whole block, roles times seats, it has every role in every seat once. The deal that gives it
    so is looked for among the game's own, by seed.
    """
    roles, seats = game.roles, game.num_players
    tasks = []
    for index in range(episodes):
        around, place = divmod(index, len(roles))
        ours = (around + place) % seats
        dealt = _seed_with(game, roles[place], ours, stream(seed, "deal", index))
        players = tuple(EVALUATED if seat == ours else opponent for seat in range(seats))
        tasks.append(Task(game.name, dealt, players, game.options))
    return tasks


def _seed_with(game: Game, role: str, seat: int, seed: int) -> int:
    """The first of the match seeds named by `seed` that deals this seat this role."""
    for attempt in range(DEALS):
        candidate = stream(seed, attempt)
        if game.start(candidate).role(seat) == role:
            return candidate
    raise GameError(f"{game.name} does not deal {role} to seat {seat}", where="evaluation")


def play_opponent(
    game: Game,
    player: Player,
    opponent: Player,
    *,
    episodes: int,
    seed: int,
    rules: TurnRules,
    on_episode: Callable[[Episode], None] = lambda episode: None,
) -> list[Episode]:
    """Play `player` against `opponent` from all seats; `on_episode` sees each as it ends."""
    tasks = tasks_against(game, opponent, episodes, seed)
    players = {EVALUATED: player, label_of(opponent): opponent}
    return play_tasks(tasks, game, players, rules, on_episode)


def label_of(opponent: Player) -> str:
    """Under which name it plays against the evaluated player."""
    return opponent.name if opponent.name != EVALUATED else "opponent"


def tasks_against(game: Game, opponent: Player, episodes: int, seed: int) -> list[Task]:
    """The matches against this opponent, by the design that fits the game."""
    design = dealt_tasks if game.roles else rotated_tasks
    return design(game, label_of(opponent), episodes, seed)


def play_tasks(
    tasks: Sequence[Task],
    game: Game,
    players: Mapping[str, Player],
    rules: TurnRules,
    on_episode: Callable[[Episode], None],
) -> list[Episode]:
    """Every task's episode; `on_episode` sees each as it ends."""
    played = []
    for episode in play_matches(tasks, game=game, players=players, rules=rules):
        on_episode(episode)
        played.append(episode)
    return played


def play_shared(
    tasks: Sequence[Task],
    game: Game,
    players: Mapping[str, Player],
    rules: TurnRules,
    share: Share,
    *,
    begin: Callable[[int], None] = lambda count: None,
    on_episode: Callable[[Episode], None] = lambda episode: None,
) -> list[Episode]:
    """Every task's episode, in the tasks' order, whoever has played it. `begin` hears how many are
    played here, `on_episode` sees each of those as it ends."""

    def play(mine: Sequence[Task]) -> list[Episode]:
        begin(len(mine))
        return in_order(play_tasks(mine, game, players, rules, on_episode), mine)

    return share(tasks, play)


def score_matches(
    opponent: str, episodes: Sequence[Episode], *, in_big_blinds: bool = False
) -> Iterator[MatchScore]:
    """All seats together first, then seat by seat, from the evaluated player's viewpoint.
    `in_big_blinds` says that this is what returns are counted in."""
    yield score_seat(opponent, None, episodes, in_big_blinds)
    seats = len(episodes[0].players) if episodes else 0
    for seat in range(seats):
        ours = [episode for episode in episodes if episode.players[seat] == EVALUATED]
        if ours and seats > 1:
            yield score_seat(opponent, seat, ours, in_big_blinds)


def score_seat(
    opponent: str, seat: int | None, episodes: Sequence[Episode], in_big_blinds: bool = False
) -> MatchScore:
    """Count one set of matches; what a win is, `episodes/results.py` says. Where nobody can say, a
    match is `unjudged`, and only what it paid is counted."""
    outcomes = [outcome(episode) for episode in episodes]
    scored = [e for e in episodes if e.ending is not Ending.ERROR]
    returns = [episode.returns[seat_of(episode)] for episode in scored]
    attempts = [a for e in episodes for t in e.turns if t.seat == seat_of(e) for a in t.attempts]
    forfeits = [e for e in episodes if e.ending is Ending.FORFEIT]
    won = [e for e, how in zip(episodes, outcomes, strict=True) if how == "win"]
    wins, losses = outcomes.count("win"), outcomes.count("loss")
    unjudged = outcomes.count("unknown")
    judged = len(scored) - unjudged
    return MatchScore(
        opponent=opponent,
        seat=seat,
        games=len(episodes),
        wins=wins,
        draws=outcomes.count("draw"),
        losses=losses,
        errors=outcomes.count("error"),
        forfeits=sum(e.offender == seat_of(e) and outcome(e) != "win" for e in forfeits),
        gifts=sum(e.offender != seat_of(e) and outcome(e) == "win" for e in forfeits),
        truncated=sum(e.ending is Ending.TRUNCATED for e in episodes),
        replies=len(attempts),
        illegal=sum(attempt.move is None for attempt in attempts),
        mean_return=fmean(returns) if returns else 0.0,
        return_interval=mean_interval(returns),
        win_interval=wilson(wins, judged),
        loss_interval=wilson(losses, judged),
        winnings=winnings(scored) if in_big_blinds else None,
        turns=fmean(map(_turns, scored)) if scored else 0.0,
        turns_won=fmean(map(_turns, won)) if won else None,
        unjudged=unjudged,
    )


def winnings(episodes: Sequence[Episode]) -> Winnings | None:
    """Thousandths of a big blind a hand; None where nothing was played."""
    if not episodes:
        return None
    deals: dict[int, list[float]] = {}
    for episode in episodes:
        deals.setdefault(episode.seed, []).append(1000 * episode.returns[seat_of(episode)])
    each = [gain for gains in deals.values() for gain in gains]
    interval = ratio_interval([(sum(gains), len(gains)) for gains in deals.values()])
    return Winnings(fmean(each), interval, mean_interval(each), len(deals))


def outcome(episode: Episode) -> Result:
    """ "win", "draw", "loss", "error" or "unknown", for the evaluated seat."""
    return result_of(episode, seat_of(episode))


def _turns(episode: Episode) -> int:
    """How many turns the evaluated seat took."""
    seat = seat_of(episode)
    return sum(turn.seat == seat for turn in episode.turns)


def seat_of(episode: Episode) -> int:
    """Where the evaluated player sat."""
    return episode.players.index(EVALUATED)
