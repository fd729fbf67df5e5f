"""Setting the tables of a rollout: tasks, games, rewards, and who sits where."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tesuji.core.errors import EngineError
from tesuji.core.seeds import stream
from tesuji.core.types import Task
from tesuji.episodes.arena import TurnRules
from tesuji.episodes.rewards.base import RewardModel
from tesuji.episodes.rewards.total import make_terms
from tesuji.episodes.schedule.schedule import POLICY, Schedule
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.learners.model.load import Policy
from tesuji.learners.rl.distributed import process
from tesuji.learners.rl.rollout.play import Table, as_metrics, play
from tesuji.learners.rl.rollout.policy_players import (
    Snapshots,
    WithinContext,
    fixed_opponents,
    snapshot_players,
)
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.model import ModelPlayer
from tesuji.players.sampling.local import LocalSampler
from tesuji.recipe.schema.play import SNAPSHOT
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import RLStage

RANDOM_MATCHES = 200
Precision = Callable[[], AbstractContextManager[Any]]


class Tables:
    """What a stage plays with, from one rollout to the next."""

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
        self.schedule = self._schedule(recipe.seed)
        self.snapshots = Snapshots(out / "snapshots", policy.model)
        self.fixed = fixed_opponents(self.schedule, stage.play.opponent_timeout_s)
        self.rewards = make_terms(stage.rewards, self.game_of, scorer)
        prompt = recipe.prompt
        self.rules = TurnRules(prompt.answer, prompt.retry, prompt.on_illegal, stage.play.max_moves)
        self._games: dict[str, Game] = {}

    @property
    def wants_snapshots(self) -> bool:
        """Whether frozen versions of the policy sit at some table."""
        return any(section.player == SNAPSHOT for section in self.schedule.all_players())

    def _schedule(self, seed: int) -> Schedule:
        stage = self.stage
        return Schedule(
            stage.play, game=self.recipe.game, group_size=stage.num_generations, seed=seed
        )

    def game_of(self, item: Any) -> Game:
        """The game of a task or episode."""
        key = f"{item.game} {sorted(item.options.items())}"
        if key not in self._games:
            self._games[key] = load_game(item.game, item.options)
        return self._games[key]

    def propose(self, stage: RLStage) -> list[Task]:
        """This process's share of the next tasks: whole groups, dealt in turn."""
        tasks = self.schedule.propose(stage.batch_size)
        mine, processes = process()
        size = stage.num_generations
        if len(tasks) // size < processes:
            raise EngineError(
                f"{len(tasks) // size} groups are too few for {processes} processes",
                where="batch_size",
                hint="raise batch_size, or lower num_generations",
            )
        return [t for place, t in enumerate(tasks) if place // size % processes == mine]

    def table(self) -> Table:
        """The table of the next rollout; what was read with older weights is forgotten."""
        policy = WithinContext(self.player(), self.precision)
        snapshots = snapshot_players(self.snapshots, self.player)
        players = {POLICY: policy, **self.fixed, **snapshots}
        return Table(self.game_of, players, self.rewards, self.rules, self.stage.play.concurrent)

    def player(self) -> ModelPlayer:
        """The policy as a player that has read nothing yet."""
        sampling, policy = self.recipe.sampling, self.policy
        sampler = LocalSampler(
            policy.model,
            policy.tokenizer,
            batch_size=sampling.batch_size,
            reuse=self.recipe.prompt.history == "full",
        )
        return ModelPlayer(POLICY, sampler, policy.tokenizer, self.recipe.prompt, sampling)

    @property
    def can_be_won(self) -> bool:
        """Whether any of the games pays something itself: prompts leave that to reward terms."""
        infos = (load_game(one.name, one.options).info for one in self.schedule.all_games())
        return any(info.max_utility > info.min_utility for info in infos)

    def random_success(self, memory: Any) -> dict[str, float]:
        """How often random play succeeds against the same opponents: measured once a stage of the
        curriculum, and kept in `memory`. Nothing where any text is a move: none is random."""
        games = (load_game(one.name, one.options) for one in self.schedule.all_games())
        if not all("random" in game.info.players for game in games):
            return {}
        stage = self.schedule.curriculum.index if self.schedule.curriculum else 0
        if str(stage) not in memory.random_success:
            memory.random_success[str(stage)] = self._random_success()
        return {"random/success": memory.random_success[str(stage)]}

    def _random_success(self) -> float:
        side = self._schedule(stream(self.recipe.seed, "random") % 2**32)
        side.load_state_dict({**side.state_dict(), **self._curriculum_state()})
        size = self.stage.num_generations
        tasks = side.propose(max(1, RANDOM_MATCHES // size) * size)
        stand_in = RandomPlayer()
        snapshots = {f"snapshot-{step}": stand_in for step in self.snapshots.kept}
        players = {POLICY: stand_in, **self.fixed, **snapshots}
        table = Table(self.game_of, players, self.rewards, self.rules, self.stage.play.concurrent)
        rollout = play(tasks, table, version=0)
        return as_metrics(rollout.sums, rollout.outcomes)["success"]

    def _curriculum_state(self) -> dict[str, Any]:
        state = self.schedule.state_dict()
        return {key: state[key] for key in ("curriculum", "snapshots") if key in state}
