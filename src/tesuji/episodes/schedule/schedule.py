"""What is played next while learning: game, seat, opponents, opening, old failures.

    tasks = schedule.propose(64)
    ...                               # play them
    lines = schedule.observe(outcomes)

Everything that is drawn has a random stream of its own, named by the seed, what is drawn, and the
number of the group; with `state_dict` the proposals go on exactly as they would have.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from tesuji.core.errors import RecipeError
from tesuji.core.seeds import stream
from tesuji.core.types import Episode, Task
from tesuji.episodes.schedule.curriculum import Curriculum
from tesuji.episodes.schedule.failure_replay import FailureReplay
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.recipe.schema.play import SELF, SNAPSHOT, CurriculumStage, OpponentSection, PlaySection
from tesuji.recipe.schema.sections import GameSection

POLICY = "policy"


@dataclass(frozen=True, slots=True)
class PlayedTask:
    """How one match of a proposed task went for one learning seat; `score` is 0..1, `success` None
    where the game knows no winning."""

    task: Task
    seat: int
    score: float
    success: bool | None


class Schedule:
    """Proposes tasks in groups and learns from their outcomes what to propose next.

    Matches of one group differ in `repeat` only. The learning seat, labelled POLICY, goes round
    from group to group, for each game by itself; a group drawn from the failures keeps its seats.
    Raises GameError for a game that cannot be played, RecipeError for opponents that cannot be
    told from the policy or its snapshots.
    """

    def __init__(
        self, section: PlaySection, *, game: GameSection, group_size: int, seed: int
    ) -> None:
        self.section = section
        self.group_size = group_size
        self.seed = seed
        self.snapshots: list[int] = []
        self.curriculum = Curriculum(section.curriculum) if section.curriculum else None
        replay = section.failure_replay
        self.failures = FailureReplay(replay, group_size=group_size) if replay else None
        self._default_games = tuple(section.games or [game])
        self.games = {
            _key(one.name, one.options): load_game(one.name, one.options)
            for one in self.all_games()
        }
        self._cursor = 0  # groups proposed
        self._fresh = 0  # those of them that were new tasks
        self._rotation = dict.fromkeys(self.games, 0)  # game → new tasks of it
        self._replayed = 0.0
        for opponent in self.all_players():
            _check(opponent)

    @property
    def _stages(self) -> Sequence[CurriculumStage | PlaySection]:
        return self.curriculum.stages if self.curriculum else (self.section,)

    @property
    def _now(self) -> CurriculumStage | PlaySection:
        return self.curriculum.stage if self.curriculum else self.section

    @property
    def opponents(self) -> tuple[OpponentSection, ...]:
        """Against whom new tasks are drawn now, `self` and `snapshot` among them."""
        return tuple(self._now.opponents)

    def all_players(self) -> list[OpponentSection]:
        """Every opponent of all stages once (by label), in order of first mention."""
        opponents: dict[str, OpponentSection] = {}
        for stage in self._stages:
            for opponent in stage.opponents:
                opponents.setdefault(opponent.label, opponent)
        return list(opponents.values())

    def all_games(self) -> list[GameSection]:
        """Every game of all stages once, in order of first mention."""
        games: dict[str, GameSection] = {}
        for stage in self._stages:
            for game in stage.games or self._default_games:
                games.setdefault(_key(game.name, game.options), game)
        return list(games.values())

    def game_of(self, item: Task | Episode) -> Game:
        """The game of a task that was proposed, or of its episode."""
        return self.games[_key(item.game, item.options)]

    def beside(self, seed: int) -> "Schedule":
        """A schedule of its own with another seed, at the same stage of the curriculum, with the
        same snapshots, and without a failure to replay."""
        other = Schedule(
            self.section, game=self._default_games[0], group_size=self.group_size, seed=seed
        )
        other.snapshots = list(self.snapshots)
        if other.curriculum and self.curriculum:
            other.curriculum.load_state_dict(self.curriculum.state_dict())
        return other

    def propose(self, matches: int) -> list[Task]:
        """The next tasks, the matches of a group side by side.

        Raises RecipeError when `matches` is not a multiple of the group size.
        """
        groups, rest = divmod(matches, self.group_size)
        if rest:
            raise RecipeError(
                f"{matches} matches are not whole groups of {self.group_size}",
                where="batch_size",
                hint="make it a multiple of num_generations, on every process",
            )
        firsts = [self._next() for _ in range(groups)]
        replayed = sum(self._is_replay(task) for task in firsts)
        self._replayed = replayed / groups if groups else 0.0
        return [
            replace(task, repeat=task.repeat + place)
            for task in firsts
            for place in range(self.group_size)
        ]

    def _next(self) -> Task:
        task = self._failed_task() or self._new_task()
        self._cursor += 1
        return task

    def _failed_task(self) -> Task | None:
        if self.failures is None:
            return None
        rng = self._rng("replay")
        return self.failures.draw(rng) if rng.random() < self.failures.section.share else None

    def _new_task(self) -> Task:
        games = self._now.games or self._default_games
        section = games[self._fresh % len(games)]
        key = _key(section.name, section.options)
        game = self.games[key]
        task = Task(
            section.name,
            stream(self.seed, "task", self._cursor),
            self._seating(game, self._rotation[key] % game.num_players),
            dict(section.options),
            opening=self._rng("opening").randint(0, self.section.opening_moves),
        )
        self._fresh += 1
        self._rotation[key] += 1
        return task

    def _seating(self, game: Game, ours: int) -> tuple[str, ...]:
        """POLICY in seat `ours`, and in all seats where `self` is drawn for the first other."""
        rng = self._rng("opponent")
        labels = [POLICY] * game.num_players
        for seat in range(game.num_players):
            if seat != ours:
                drawn = self._draw(rng, with_self=labels.count(POLICY) == game.num_players)
                if drawn == POLICY:
                    break
                labels[seat] = drawn
        return tuple(labels)

    def _draw(self, rng: random.Random, *, with_self: bool) -> str:
        """The label of an opponent drawn by weight; POLICY where nobody else can be drawn."""
        able = [one for one in self.opponents if self._can_play(one, with_self)]
        if not able:
            return POLICY
        [drawn] = rng.choices(able, [one.weight for one in able])
        if drawn.player == SNAPSHOT:
            return f"{SNAPSHOT}-{rng.choice(self.snapshots)}"
        return POLICY if drawn.player == SELF else drawn.label

    def _can_play(self, opponent: OpponentSection, with_self: bool) -> bool:
        if opponent.player == SNAPSHOT:
            return bool(self.snapshots)
        return with_self or opponent.player != SELF

    def _rng(self, purpose: str) -> random.Random:
        return random.Random(stream(self.seed, purpose, self._cursor))

    def observe(self, outcomes: Sequence[PlayedTask]) -> list[str]:
        """Take in the outcomes of one rollout, in a fixed order; return lines for the console.

        New tasks count for the curriculum; a task's mean over all its matches and learning seats
        says whether it is remembered as a failure.
        """
        lines = []
        if self.curriculum:
            fresh = [one.success for one in outcomes if not self._is_replay(one.task)]
            lines.append(self.curriculum.observe(one for one in fresh if one is not None))
        if self.failures is not None:
            self._remember(outcomes, self.failures)
        return [line for line in lines if line]

    def _remember(self, outcomes: Sequence[PlayedTask], failures: FailureReplay) -> None:
        tasks: dict[str, list[PlayedTask]] = {}
        for outcome in outcomes:
            if all(self._still_there(label) for label in outcome.task.players):
                tasks.setdefault(repr(replace(outcome.task, repeat=0)), []).append(outcome)
        for matches in tasks.values():
            last = max(matches, key=lambda one: one.task.repeat)
            failures.observe(last.task, fmean(one.score for one in matches))

    def _still_there(self, label: str) -> bool:
        step = label.removeprefix(f"{SNAPSHOT}-")
        return step == label or step in map(str, self.snapshots)

    def _is_replay(self, task: Task) -> bool:
        return task.repeat >= self.group_size

    def add_snapshot(self, step: int) -> list[int]:
        """Make `snapshot-<step>` an opponent; return the steps of those dropped for it.

        Failures against a dropped snapshot are forgotten, for nobody can play them again.
        """
        kept = [*(old for old in self.snapshots if old != step), step]
        dropped = kept[: -self.section.snapshots]
        self.snapshots = kept[-self.section.snapshots :]
        for old in dropped:
            if self.failures is not None:
                self.failures.forget(f"{SNAPSHOT}-{old}")
        return dropped

    def metrics(self) -> dict[str, float]:
        """Numbers for the metric log: the stage counts from 1, `replay/share` is the share of the
        last proposal's groups that were played before."""
        values = {"snapshots": float(len(self.snapshots))}
        if self.curriculum:
            values["curriculum/stage"] = self.curriculum.index + 1.0
            if self.curriculum.success is not None:
                values["curriculum/success"] = self.curriculum.success
        if self.failures is not None:
            values |= {"replay/size": float(len(self.failures)), "replay/share": self._replayed}
        return values

    def state_dict(self) -> dict[str, Any]:
        """Everything the next proposals follow from, as plain JSON values."""
        return {
            "cursor": self._cursor,
            "fresh": self._fresh,
            "rotation": dict(self._rotation),
            "replayed": self._replayed,
            "snapshots": list(self.snapshots),
            "curriculum": self.curriculum.state_dict() if self.curriculum else None,
            "failures": self.failures.state_dict() if self.failures is not None else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken. Raises DataError for a stage that is not there."""
        self._cursor, self._fresh = state["cursor"], state["fresh"]
        self._rotation = {**self._rotation, **state["rotation"]}
        self._replayed = state.get("replayed", 0.0)
        self.snapshots = list(state["snapshots"])
        if self.curriculum and state["curriculum"]:
            self.curriculum.load_state_dict(state["curriculum"])
        if self.failures is not None and state["failures"]:
            self.failures.load_state_dict(state["failures"])


def _key(game: str, options: Mapping[str, Any]) -> str:
    return f"{game} {sorted(options.items())}"


def _check(opponent: OpponentSection) -> None:
    """Refuse what would be taken for the policy, and options where none are read."""
    ours = opponent.player in (SELF, SNAPSHOT)
    if ours and opponent.options:
        raise RecipeError(
            f"{opponent.player} has no option {next(iter(opponent.options))!r}",
            where="play.opponents",
            hint="it takes `weight` only",
        )
    if not ours and (opponent.label == POLICY or opponent.label.startswith(f"{SNAPSHOT}-")):
        raise RecipeError(
            f"no opponent may be called {opponent.label!r}: the policy and its snapshots are",
            where="play.opponents",
        )
