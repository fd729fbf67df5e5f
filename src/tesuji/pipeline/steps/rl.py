"""A reinforcement-learning stage inside a run: its model, its critic, its looks at itself."""

from pathlib import Path

from tesuji.core.seeds import stream
from tesuji.core.types import Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.rewards.base import RewardModel
from tesuji.episodes.rewards.total import Rewards, make_terms, score_of, section_of
from tesuji.evaluation.evaluate import judged_game, turn_rules
from tesuji.evaluation.matches.against import ALONE, play_opponent, score_matches
from tesuji.evaluation.matches.certificate import certify
from tesuji.evaluation.matches.exploitability import exploitability
from tesuji.evaluation.metrics import (
    certificate_metrics,
    exploitability_metrics,
    match_metrics,
    question_metrics,
)
from tesuji.evaluation.questions import ask, asks_questions, score_tasks
from tesuji.games.base import Game
from tesuji.games.catalogue import load_game
from tesuji.games.poker.game import MBB
from tesuji.games.prompts import PromptsGame
from tesuji.learners.hooks import Hooks
from tesuji.learners.model.adapter import with_adapter
from tesuji.learners.model.load import Policy, load_policy
from tesuji.learners.reward_model.critic import critic_from_reward
from tesuji.learners.reward_model.scorer import load_scorer
from tesuji.learners.rl.checkpoint import checkpoints
from tesuji.learners.rl.train import train_rl
from tesuji.pipeline.plan import Step
from tesuji.pipeline.step_context import Workbench, model_player
from tesuji.players.base import Player
from tesuji.players.model import ModelPlayer
from tesuji.players.registry import make_player
from tesuji.recipe.schema.rl import PpoStage, RLStage


def reinforce(step: Step, out: Path, bench: Workbench) -> None:
    """Run the stage of `step` into `out`; goes on from its newest checkpoint."""
    assert isinstance(step.section, RLStage)
    recipe, stage = bench.recipe, step.section
    found = checkpoints(out / "checkpoints")
    policy = load_policy(recipe.model, str(found[-1]) if found else bench.model_source(step))
    if recipe.model.lora is not None:
        policy = with_adapter(policy, recipe.model.lora)
    scorer = scorer_for(step, bench)
    rewards = make_terms(stage.rewards, lambda e: load_game(e.game, e.options), scorer)
    if stage.eval_steps and not found:
        first = look(stage, policy, bench, rewards)
        bench.metrics.forget_after(step.name, -1)
        bench.metrics.log(step.name, 0, {f"eval/{name}": value for name, value in first.items()})
    bench.progress.begin(f"{step.name}: playing and learning", stage.max_steps)
    summary = train_rl(
        stage,
        policy,
        recipe=recipe,
        name=step.name,
        out=out,
        metrics=bench.metrics,
        critic=_critic(step, bench),
        scorer=scorer,
        hooks=_hooks(step.name, stage, policy, bench, rewards),
    )
    bench.progress.say(f"{step.name}: {summary.in_words()}")


def scorer_for(step: Step, bench: Workbench) -> RewardModel | None:
    """The reward model that the stage's rewards name, loaded; None where they name none."""
    assert isinstance(step.section, RLStage)
    term = section_of(step.section.rewards, "reward_model")
    if term is None:
        return None
    path = term.options.get("path")
    stage = term.options.get("stage") or step.reward_from
    return load_scorer(bench.recipe.model, str(path or bench.results_of(stage) / "final"))


def _critic(step: Step, bench: Workbench) -> Policy | None:
    """A critic model of its own, where the stage names one."""
    stage = step.section
    if not isinstance(stage, PpoStage) or stage.critic is None:
        return None
    section = bench.recipe.model
    if stage.critic == "reward_model":
        return critic_from_reward(section, str(bench.results_of(step.reward_from) / "final"))
    source = bench.base_source() if stage.critic == "base" else stage.critic
    policy = load_policy(section, source)
    return with_adapter(policy, section.lora) if section.lora is not None else policy


def _hooks(name: str, stage: RLStage, policy: Policy, bench: Workbench, rewards: Rewards) -> Hooks:
    def on_step(done: int, total: int, line: str) -> None:
        bench.progress.update(done, line.partition(" | ")[2])

    player = model_player(policy, bench.recipe, name, temperature=0.0)

    def certified(at: int) -> bool:
        certificates = certify(bench.game, player, answer=bench.recipe.prompt.answer)
        bench.metrics.log(name, at, certificate_metrics(certificates))
        return all(certificate.holds for certificate in certificates)

    def evaluate(at: int) -> dict[str, float]:
        return look(stage, policy, bench, rewards)

    return Hooks(
        on_step=on_step,
        say=bench.progress.say,
        evaluate=evaluate if stage.eval_steps else None,
        stop_when=certified if stage.stop_when == "certificate" else None,
    )


def look(stage: RLStage, policy: Policy, bench: Workbench, rewards: Rewards) -> dict[str, float]:
    """Matches against the evaluation's fixed opponents, the same tasks each time.

    `score` is the mean over all of them, 0 to 1; with `evaluation.exploitability` it is minus the
    exploitability instead, which no choice of opponents can flatter.
    """
    section = bench.recipe.evaluation
    if isinstance(bench.game, PromptsGame):
        return _look_at_prompts(stage, policy, bench, bench.game, rewards)
    game = judged_game(bench.game, section)
    player = model_player(policy, bench.recipe, "evaluated", section.temperature)
    if asks_questions(game):
        return _look_at_questions(stage, player, bench, game)
    opponents: dict[str, Player] = {ALONE: player}
    if game.num_players > 1:
        opponents = {one.label: make_player(one, game=game) for one in section.opponents}
    found: dict[str, float] = {}
    scores = []
    for label, opponent in opponents.items():
        episodes = play_opponent(
            game,
            player,
            opponent,
            episodes=stage.eval_episodes,
            seed=stream(bench.recipe.seed, "look", label),
            rules=turn_rules(bench.recipe.prompt, section.max_moves),
        )
        in_big_blinds = MBB in game.info.metrics
        total = next(score_matches(label, episodes, in_big_blinds=in_big_blinds))
        found |= match_metrics(total)
        scores += [score_of(e, e.players.index("evaluated"), game.info) for e in episodes]
    found["score"] = sum(scores) / len(scores) if scores else 0.0
    if section.exploitability:
        measured = exploitability(game, model_player(policy, bench.recipe, "measured"))
        found |= exploitability_metrics(measured)
        found["score"] = -measured.exploitability
    return found


def _look_at_questions(
    stage: RLStage, player: ModelPlayer, bench: Workbench, judged: Game
) -> dict[str, float]:
    """What share of the questions that no training sees is answered right, the same ones each
    time. The mean return is the `score`."""
    game = judged.held_out or judged
    rules = turn_rules(bench.recipe.prompt, bench.recipe.evaluation.max_moves)
    seed = stream(bench.recipe.seed, "look")
    episodes = ask(game, player, episodes=stage.eval_episodes, seed=seed, rules=rules)
    total = score_tasks(game, [("held_out", episodes)]).rows[0]
    metrics = question_metrics(total)
    return {"held_out/right": metrics["held_out/right"], "score": total.mean_return}


def _look_at_prompts(
    stage: RLStage, policy: Policy, bench: Workbench, game: PromptsGame, rewards: Rewards
) -> dict[str, float]:
    """What the rewards say of replies to prompts that no training sees, the same ones each time.
    Their mean is the `score`."""
    section, held_out = bench.recipe.evaluation, game.held_out or game
    player = model_player(policy, bench.recipe, "evaluated", section.temperature)
    tasks = [
        Task(game.name, stream(bench.recipe.seed, "look", number), ("evaluated",), held_out.options)
        for number in range(stage.eval_episodes)
    ]
    rules = turn_rules(bench.recipe.prompt, section.max_moves)
    episodes = list(play_matches(tasks, game=held_out, players={"evaluated": player}, rules=rules))
    rewards.prepare((episode, 0) for episode in episodes)
    earned = [sum(rewards(episode, 0).total) for episode in episodes]
    return {"held_out_reward": sum(earned) / len(earned), "score": sum(earned) / len(earned)}
