"""A reinforcement-learning stage inside a run: its model, its critic, its reward model."""

from pathlib import Path

from tesuji.core.checksums import set_aside_damaged
from tesuji.core.metric_log import MetricLog
from tesuji.core.progress import Progress
from tesuji.episodes.rewards.total import make_terms
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.learners.distributed import is_main, wait
from tesuji.learners.hooks import Hooks
from tesuji.learners.model.load import Policy
from tesuji.learners.reward_model.critic import critic_from_reward
from tesuji.learners.reward_model.scorer import load_scorer
from tesuji.learners.rl.checkpoint import checkpoints
from tesuji.learners.rl.rollout.ray_engine import Sources
from tesuji.learners.rl.train import train_rl
from tesuji.pipeline.step_context import say_how_run
from tesuji.pipeline.steps.look import look
from tesuji.pipeline.steps.train import stop_when, trainable
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.rl import PpoStage, RLStage


def run_rl(
    stage: RLStage,
    *,
    name: str,
    recipe: Recipe,
    game: Game,
    source: str,
    reward_model: str | None,
    critic: str | None,
    out: Path,
    metrics: MetricLog,
    progress: Progress,
) -> None:
    """Train the model in `source` by play, into `out`; goes on from its newest checkpoint.

    `reward_model` is the folder of the learned reward, `critic` that of a critic of its own.
    """
    if is_main():
        set_aside_damaged(checkpoints(out / "checkpoints")[::-1], progress.say)
    wait()
    done = checkpoints(out / "checkpoints")
    policy = trainable(recipe, str(done[-1]) if done else source)
    say_how_run(policy, progress)
    scorer = load_scorer(recipe.model, reward_model) if reward_model else None
    rewards = make_terms(stage.rewards, lambda e: load_game(e.game, e.options), scorer)

    def evaluate(step: int) -> dict[str, float]:
        return look(game, policy, recipe, rewards, stage.eval_episodes)

    if stage.eval_steps and not done:
        first = {f"eval/{key}": value for key, value in evaluate(0).items()}
        metrics.forget_after(name, -1)
        metrics.log(name, 0, first)
    progress.begin("playing and learning", stage.max_steps)
    summary = train_rl(
        stage,
        policy,
        recipe=recipe,
        name=name,
        out=out,
        metrics=metrics,
        critic=_critic(stage, recipe, critic),
        scorer=scorer,
        sources=Sources(source, reward_model),
        hooks=Hooks(
            on_step=lambda step, total, line: progress.update(step, line.partition(": ")[2]),
            say=progress.say,
            evaluate=evaluate if stage.eval_steps else None,
            stop_when=stop_when(stage.stop_when, name, policy, recipe, game, metrics),
        ),
    )
    progress.say(summary.in_words())


def _critic(stage: RLStage, recipe: Recipe, source: str | None) -> Policy | None:
    if source is None:
        return None
    if isinstance(stage, PpoStage) and stage.critic == "reward_model":
        return critic_from_reward(recipe.model, source)
    return trainable(recipe, source)
