"""What a stage's rollouts are played with: the next tasks, their games, players and rewards."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from tesuji.core.types import Task
from tesuji.episodes.reply_rules import TurnRules
from tesuji.episodes.rewards.base import RewardModel
from tesuji.episodes.rewards.total import make_terms
from tesuji.episodes.schedule.schedule import POLICY, Schedule
from tesuji.learners.distributed import on_main, process
from tesuji.learners.model.load import Policy
from tesuji.learners.rl.rollout.play import MatchSetup
from tesuji.learners.rl.rollout.policy_players import (
    Snapshots,
    WithinContext,
    fixed_opponents,
    snapshot_players,
)
from tesuji.learners.rl.rollout.random_baseline import random_success
from tesuji.learners.rl.rollout.vllm_policy import vllm_policy
from tesuji.learners.rl.weights import Weights, copy_of, frozen_copy, put_into
from tesuji.players.base import Player
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.model import ModelPlayer
from tesuji.players.registry import can_play
from tesuji.players.sampling.base import Sampler
from tesuji.players.sampling.local import LocalSampler
from tesuji.recipe.schema.play import SNAPSHOT
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import RLStage

Precision = Callable[[], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Version:
    """The policy as it was after step `number`: its trained weights (none where it is itself what
    plays), and its snapshots by label."""

    number: int
    weights: Weights
    snapshots: Mapping[str, Weights]


class RolloutSetup:
    """Schedule, opponents, snapshots and rewards of one stage, from one rollout to the next.

    `playing` is who holds the policy's seats: the policy, or where rollouts are played ahead of
    their step (`max_staleness`) a frozen copy, in the weights that `play_as` was last called with.
    """

    def __init__(
        self,
        stage: RLStage,
        policy: Policy,
        recipe: Recipe,
        out: Path,
        precision: Precision,
        scorer: RewardModel | None = None,
    ) -> None:
        self.stage, self.policy, self.recipe = stage, policy, recipe
        self.precision = precision
        self.schedule = Schedule(
            stage.play, game=recipe.game, group_size=stage.num_generations, seed=recipe.seed
        )
        self.snapshots = Snapshots(out / "snapshots", policy.model)
        ahead = stage.max_staleness > 0
        self.playing = replace(policy, model=frozen_copy(policy.model)) if ahead else policy
        self.present = Version(0, {}, {})
        self.fixed = fixed_opponents(self.schedule, stage.play.opponent_timeout_s)
        self.rewards = make_terms(stage.rewards, self.schedule.game_of, scorer)
        self.vllm = vllm_policy(self.playing, recipe, out)
        self.random_successes: dict[str, float | None] = {}  # by the stage's number, as in JSON
        prompt = recipe.prompt
        self.rules = TurnRules(prompt.answer, prompt.retry, prompt.on_illegal, stage.play.max_moves)

    def propose(self) -> list[Task]:
        """This process's share of the next tasks: groups that follow each other."""
        tasks = self.schedule.propose(self.stage.batch_size)
        mine, processes = process()
        size = self.stage.num_generations
        groups = len(tasks) // size
        begin, end = (number * groups // processes * size for number in (mine, mine + 1))
        return tasks[begin:end]

    def version(self, number: int) -> Version:
        """The policy as it is now, after step `number`."""
        weights = copy_of(self.policy.model) if self.playing is not self.policy else {}
        return Version(number, weights, self.snapshots.by_label())

    def play_as(self, version: Version) -> None:
        """From now on matches are played by this version, whose copied weights are given up."""
        put_into(self.playing.model, version.weights)
        if version.weights and torch.cuda.is_available():
            torch.cuda.current_stream().synchronize()  # their memory is another stream's
        version.weights.clear()
        self.present = version

    def matches(self, version: int) -> MatchSetup:
        """How the next rollout is played, by the weights of `play_as`: `version`; what was read
        with older ones is forgotten. Snapshots sample here, whatever the engine."""
        if self.vllm is not None:
            self.vllm.sync(version)
        sampler = self.vllm.sampler() if self.vllm else self._local()
        policy = WithinContext(POLICY, self._player(sampler), self.precision)
        snapshots = snapshot_players(
            self.present.snapshots, self.playing.model, lambda: self._player(self._local())
        )
        return self._matches(policy, snapshots)

    def close(self) -> None:
        """End what was started for the rollouts."""
        if self.vllm is not None:
            self.vllm.close()

    def _local(self) -> LocalSampler:
        """The model in this process, which has read nothing yet."""
        return LocalSampler(
            self.playing.model,
            self.playing.tokenizer,
            batch_size=self.recipe.sampling.batch_size,
            reuse=self.recipe.prompt.history == "full",
        )

    def _player(self, sampler: Sampler) -> ModelPlayer:
        recipe, tokenizer = self.recipe, self.policy.tokenizer
        return ModelPlayer(POLICY, sampler, tokenizer, recipe.prompt, recipe.sampling)

    def _matches(self, policy: Player, snapshots: Mapping[str, Player]) -> MatchSetup:
        players = {POLICY: policy, **self.fixed, **snapshots}
        concurrent = self.stage.play.concurrent
        return MatchSetup(self.schedule.game_of, players, self.rewards, self.rules, concurrent)

    @property
    def can_be_won(self) -> bool:
        """Whether any of the games pays something itself: prompts leave that to reward terms."""
        infos = (game.info for game in self.schedule.games.values())
        return any(info.max_utility > info.min_utility for info in infos)

    @property
    def _stage(self) -> str:
        curriculum = self.schedule.curriculum
        return str(curriculum.index if curriculum else 0)

    @property
    def measures_random(self) -> bool:
        """Whether `random_success` has to play: once a stage of the curriculum. Not where any text
        is a move: none is random."""
        games = self.schedule.games.values()
        return self._stage not in self.random_successes and all(
            can_play("random", game.info) for game in games
        )

    def random_success(self) -> dict[str, float]:
        """`random/success`, measured against the same opponents; nothing where nothing is won."""
        player = RandomPlayer()
        if self.measures_random:
            setup = self._matches(player, dict.fromkeys(self.snapshots.by_label(), player))
            self.random_successes[self._stage] = on_main(random_success)(self.schedule, setup)
        measured = self.random_successes.get(self._stage)
        return {} if measured is None else {"random/success": measured}

    def restore(self, schedule: Mapping[str, Any], successes: dict[str, float | None]) -> None:
        """Go on from a checkpoint's schedule and measured baselines."""
        self.schedule.load_state_dict(schedule)
        self.snapshots.keep(self.schedule.snapshots)
        self.random_successes = successes

    def follow(self, step: int) -> None:
        """After `step`: the policy as it is now becomes an opponent, if it is time to."""
        wanted = any(section.player == SNAPSHOT for section in self.schedule.all_players())
        if wanted and step % self.stage.play.snapshot_steps == 0:
            self.snapshots.take(step)
            self.schedule.add_snapshot(step)
            self.snapshots.keep(self.schedule.snapshots)
