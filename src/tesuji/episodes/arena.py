"""Many matches at once: all requests to one player go out as one batch, finished matches are
replaced by the next task.

    tasks = [Task("tic_tac_toe", seed, ("model", "random")) for seed in range(100)]
    for episode in play_matches(tasks, game=game, players={"model": ..., "random": ...}): ...

Neither `concurrent` nor the company in a batch changes what is played: every decision has a
random stream of its own, named by match seed, turn, seat and the task's `repeat`. Chance and
opening are named by the match seed alone. A game that judges replies itself gets each of them as it
was said: nothing is asked again, and what it refused is recorded as no move.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tesuji.core.errors import EngineError
from tesuji.core.seeds import stream
from tesuji.core.types import Attempt, Ending, Episode, Found, Move, Task, Turn
from tesuji.episodes.reply_rules import TurnRules, read_attempt
from tesuji.episodes.transcript import new_part
from tesuji.games.base import Game, Match, is_won
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.basic.random import RandomPlayer

GameOf = Game | Callable[[Task], Game]
Watch = Callable[[Match, Sequence[Turn]], None]


@dataclass(slots=True)
class _Running:
    """A match under way; by seat, `failed` holds first attempts without a legal move, `observed`
    all that it had been shown at its last turn."""

    task: Task
    game: Game
    match: Match
    turns: list[Turn] = field(default_factory=list)
    earned: list[float] = field(default_factory=list)
    failed: dict[int, Attempt] = field(default_factory=dict)
    observed: dict[int, str] = field(default_factory=dict)
    ending: Ending | None = None
    reason: str = ""
    offender: int | None = None


def play_matches(
    tasks: Iterable[Task],
    *,
    game: GameOf,
    players: Mapping[str, Player],
    rules: TurnRules | None = None,
    concurrent: int = 256,
    watch: Watch | None = None,
) -> Iterator[Episode]:
    """Play every task and yield its episode as it ends.

    `game` is the one that all tasks are of, or says for each task which. `players` maps the
    labels in `Task.players` to whoever plays under them. Opening moves are turns without an
    attempt: nobody said them. `watch` is shown each match, with its turns so far, after all who
    were to move have chosen.
    """
    rules = rules or TurnRules()
    waiting = iter(tasks)
    held: list[Task] = []
    running: list[_Running] = []
    while True:
        running += _start(waiting, held, game, running, concurrent - len(running))
        if not running:
            return
        _one_round(running, players, rules)
        for run in running:
            if watch:
                watch(run.match, run.turns)
            if run.ending is not None:
                yield _episode(run)
        running = [run for run in running if run.ending is None]


def _start(
    waiting: Iterator[Task], held: list[Task], game: GameOf, running: list[_Running], places: int
) -> list[_Running]:
    """Matches of the next tasks; one whose game has no room for another match yet is held."""
    started: list[_Running] = []
    for _ in range(places):
        task = held.pop() if held else next(waiting, None)
        if task is None:
            break
        played = game if isinstance(game, Game) else game(task)
        if not _has_room(played, running, started):
            held.append(task)
            break
        started.append(_Running(task, played, played.start(task.seed)))
    return started


def _has_room(game: Game, *running: Sequence[_Running]) -> bool:
    most = game.at_once
    if most is None:
        return True
    return sum(run.game.name == game.name for some in running for run in some) < most


def _one_round(running: list[_Running], players: Mapping[str, Player], rules: TurnRules) -> None:
    """Ask every seat that is to act once, player by player, and apply the replies."""
    requests: dict[str, list[tuple[_Running, MoveRequest]]] = {}
    for run in running:
        _open(run, rules)
        if run.ending is not None:
            continue
        for seat in run.match.to_act:
            batch = requests.setdefault(run.task.players[seat], [])
            batch.append((run, _request(run, seat)))
        if not run.match.to_act:
            run.ending = Ending.FINISHED
    for label, batch in requests.items():
        replies = players[label].choose([request for _, request in batch])
        for (run, request), reply in zip(batch, replies, strict=True):
            if run.ending is None:
                _apply(run, request, reply, rules)


def _request(run: _Running, seat: int, *names: object) -> MoveRequest:
    """What `seat` is asked, with the random stream of this match, turn and seat; `names` stand
    in for the task's repeat in the name of the stream."""
    names = names or ((run.task.repeat,) if run.task.repeat else ())
    return MoveRequest(
        game=run.game,
        match=run.match,
        seat=seat,
        observation=run.match.observe(seat),
        legal=run.match.legal_moves(seat),
        seed=stream(run.task.seed, len(run.turns), seat, seat in run.failed, *names),
        failed=run.failed.get(seat),
        history=[turn for turn in run.turns if turn.seat == seat],
    )


def _open(run: _Running, rules: TurnRules) -> None:
    """Play what is left of the opening; where any text is a move there is none."""
    opener = RandomPlayer()
    while run.ending is None and run.match.to_act and len(run.turns) < run.task.opening:
        request = _request(run, run.match.to_act[0], "opening")
        if not request.legal:
            return
        [reply] = opener.choose([request])
        _play(run, request, (), reply.move)
        if run.ending is None:
            _close(run, rules)


def _apply(run: _Running, request: MoveRequest, reply: Reply, rules: TurnRules) -> None:
    seat = request.seat
    if reply.error:
        _end(run, Ending.ERROR, f"{run.task.players[seat]}: {reply.error}", seat)
        return
    attempt = read_attempt(reply, request, rules.answer)
    if rules.asks_again(attempt, request):
        run.failed[seat] = attempt
        return
    first = run.failed.pop(seat, None)
    attempts = (first, attempt) if first else (attempt,)
    played = attempt.move or rules.substitute(request)
    _play(run, request, attempts, played)
    if played is None:
        told = attempt.problem.startswith("no legal move")
        _end(run, Ending.FORFEIT, f"{'' if told else 'no legal move: '}{attempt.problem}", seat)
    elif run.ending is None:
        _close(run, rules)


def _play(
    run: _Running, request: MoveRequest, attempts: tuple[Attempt, ...], played: Move | None
) -> None:
    """Record the turn and play its move; the seat forfeits where there is none. A game that breaks
    ends the match as an error of nobody's."""
    seat, match = request.seat, run.match
    observation, continues = _new_part(run, request)
    turn = Turn(
        seat,
        match.role(seat),
        observation,
        attempts,
        played,
        phase=match.phase,
        continues=continues,
    )
    run.turns.append(turn)
    run.earned.append(match.returns()[seat])
    if played is None:
        match.forfeit(seat)
        return
    try:
        match.play(seat, played)
    except EngineError as error:
        _end(run, Ending.ERROR, error.what, None)
    if match.refused and attempts:
        refused = replace(attempts[-1], found=Found.NONE, move=None, problem=match.refused)
        run.turns[-1] = replace(turn, attempts=(*attempts[:-1], refused))


def _new_part(run: _Running, request: MoveRequest) -> tuple[str, bool]:
    """(what the seat is shown, whether that continues what it was shown at its turn before): of a
    transcript that grows only what is new is kept."""
    observation, before = request.observation, run.observed.get(request.seat)
    if not run.match.grows:
        return observation, False
    run.observed[request.seat] = observation
    return new_part(observation, before)


def _close(run: _Running, rules: TurnRules) -> None:
    if not run.match.to_act:
        offender = run.match.offender
        ending = Ending.FINISHED if offender is None else Ending.FORFEIT
        _end(run, ending, run.match.reason, offender)
    elif len(run.turns) >= rules.max_moves:
        _end(run, Ending.TRUNCATED, f"cut off after {rules.max_moves} moves", None)


def _end(run: _Running, ending: Ending, reason: str, offender: int | None) -> None:
    run.ending, run.reason, run.offender = ending, reason, offender


def _episode(run: _Running) -> Episode:
    returns = run.match.returns()
    marks = {"repeat": run.task.repeat, "opening": run.task.opening}
    provenance = {name: count for name, count in marks.items() if count}
    finished = run.ending is Ending.FINISHED
    won = is_won(run.game.info, run.match) if run.game.num_players == 1 else None
    return Episode(
        game=run.game.name,
        options=dict(run.game.options),
        seed=run.task.seed,
        players=run.task.players,
        turns=_with_rewards(run, returns),
        returns=returns,
        ending=run.ending or Ending.FINISHED,
        reason=run.reason,
        offender=run.offender,
        provenance={
            **provenance,
            **({} if won is None else {"winners": [0] if won and finished else []}),
            **({"cooperative": True} if run.game.info.cooperative else {}),
            **run.match.facts(),
        },
    )


def _with_rewards(run: _Running, returns: tuple[float, ...]) -> tuple[Turn, ...]:
    """Pay each turn what its seat earned from there to its next turn, or to the end."""
    later = list(returns)
    turns = list(run.turns)
    for index in range(len(turns) - 1, -1, -1):
        turn, before = turns[index], run.earned[index]
        turns[index] = replace(turn, reward=later[turn.seat] - before)
        later[turn.seat] = before
    return tuple(turns)
