"""One rollout: the schedule's tasks played, rewarded and turned into traces."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tesuji.core.errors import EngineError
from tesuji.core.types import Ending, Episode, Task, Trace
from tesuji.episodes.arena import play_matches
from tesuji.episodes.in_order import in_order
from tesuji.episodes.reply_rules import TurnRules
from tesuji.episodes.results import score_of, success_of
from tesuji.episodes.rewards.total import Rewards
from tesuji.episodes.schedule.schedule import POLICY, PlayedTask
from tesuji.games.base import Game
from tesuji.learners.rl.rollout.traces import traces_of
from tesuji.players.base import Player

MOST_FAILED = 0.5


@dataclass(frozen=True)
class Rollout:
    """What was played: traces in the order of the tasks, an outcome for every learning seat, and
    what the log wants to know. Sums, so that processes can be added up."""

    traces: list[Trace]
    outcomes: list[PlayedTask]
    sums: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    seconds: float = 0.0

    def learnable(self, *, longest: int, oldest: int) -> list[Trace]:
        """The traces whose segments have at most `longest` tokens, played by versions from `oldest`
        on; the others are counted."""
        fresh = [trace for trace in self.traces if trace.policy_version >= oldest]
        fit = [t for t in fresh if all(len(s.token_ids) <= longest for s in t.segments)]
        self.sums["too_stale"] += len(self.traces) - len(fresh)
        self.sums["too_long"] += len(fresh) - len(fit)
        return fit


@dataclass(frozen=True)
class MatchSetup:
    """How matches are played: who plays under which label, how replies are read and rewarded."""

    game_of: Callable[[Task], Game]
    players: Mapping[str, Player]
    rewards: Rewards
    rules: TurnRules
    concurrent: int


def play(tasks: Sequence[Task], setup: MatchSetup, *, version: int) -> Rollout:
    """Play the tasks. Matches in which a player failed are counted, not learned from.

    `version` is the step of the weights that play.

    Raises EngineError when most of them failed, or for a reward that is not a number.
    """
    started = time.monotonic()
    episodes = _played(tasks, setup)
    rollout = Rollout([], [], seconds=time.monotonic() - started)
    whole = [e for e in episodes if e.ending is not Ending.ERROR]
    setup.rewards.prepare((e, seat) for e in whole for seat in _ours(e))
    for task, episode in zip(tasks, episodes, strict=True):
        _take(rollout, task, episode, setup, version)
    _check_failures(rollout, episodes)
    return rollout


def joined(parts: Sequence[Rollout]) -> Rollout:
    """One rollout of what several processes have played at the same time, in their order."""
    if len(parts) == 1:
        return parts[0]
    whole = Rollout([], [], seconds=max(part.seconds for part in parts))
    for part in parts:
        whole.traces.extend(part.traces)
        whole.outcomes.extend(part.outcomes)
        for name, value in part.sums.items():
            whole.sums[name] += value
    return whole


def outcomes_of(tasks: Sequence[Task], setup: MatchSetup) -> list[PlayedTask]:
    """Play the tasks and see only how they end: nothing is rewarded, so anybody may hold the
    policy's seats, also a player without a prompt or tokens. Failed matches are left out."""
    episodes = _played(tasks, setup)
    return [
        _outcome(task, episode, seat, setup)
        for task, episode in zip(tasks, episodes, strict=True)
        if episode.ending is not Ending.ERROR
        for seat in _ours(episode)
    ]


def _played(tasks: Sequence[Task], setup: MatchSetup) -> list[Episode]:
    """The tasks' episodes, in their order."""
    episodes = play_matches(
        tasks,
        game=setup.game_of,
        players=setup.players,
        rules=setup.rules,
        concurrent=setup.concurrent,
    )
    return in_order(episodes, tasks)


def _ours(episode: Episode) -> list[int]:
    return [seat for seat, label in enumerate(episode.players) if label == POLICY]


def _outcome(task: Task, episode: Episode, seat: int, setup: MatchSetup) -> PlayedTask:
    info = setup.game_of(task).info
    score, success = score_of(episode, seat, info), success_of(episode, seat, info)
    return PlayedTask(task, seat, score, success)


def _take(rollout: Rollout, task: Task, episode: Episode, setup: MatchSetup, version: int) -> None:
    sums = rollout.sums
    sums["matches"] += 1
    sums["truncated"] += episode.ending is Ending.TRUNCATED
    if episode.ending is Ending.ERROR:
        sums["failed"] += 1
        return
    rewards: dict[int, tuple[float, ...]] = {}
    for seat in _ours(episode):
        earned = setup.rewards(episode, seat)
        rewards[seat] = earned.total
        for name, values in earned.parts.items():
            sums[f"reward/{name}"] += sum(values)
        sums["reward"] += sum(earned.total)
        sums["seats"] += 1
        rollout.outcomes.append(_outcome(task, episode, seat, setup))
        _count_replies(sums, episode, seat)
    rollout.traces.extend(traces_of(episode, task, rewards, learner=POLICY, version=version))


def _count_replies(sums: dict[str, float], episode: Episode, seat: int) -> None:
    for turn in episode.turns:
        for attempt in turn.attempts if turn.seat == seat else ():
            if attempt.tokens is None:
                continue
            sums["replies"] += 1
            sums["illegal"] += attempt.move is None
            sums["cut"] += not attempt.tokens.stopped
            sums["reply_tokens"] += len(attempt.tokens.reply_ids)
            sums["prompt_tokens"] += len(attempt.tokens.prompt_ids)


def _check_failures(rollout: Rollout, episodes: Sequence[Episode]) -> None:
    failed = [e.reason for e in episodes if e.ending is Ending.ERROR]
    if len(failed) > MOST_FAILED * len(episodes):
        reason, count = Counter(failed).most_common(1)[0]
        raise EngineError(
            f"{len(failed)} of {len(episodes)} matches failed; {count} times: {reason}",
            where="play.opponents",
            hint="mend or leave out that player; what was trained so far is in the checkpoints",
        )
