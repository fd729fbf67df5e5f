"""A reinforcement-learning stage inside a run: its model, its critic, its looks at itself."""

from pathlib import Path

from tesuji.core.streams import stream
from tesuji.episodes.rewards import score_of
from tesuji.evaluation.certificate import as_metrics, certify
from tesuji.evaluation.evaluate import turn_rules
from tesuji.evaluation.exploitability import exploitability
from tesuji.evaluation.matches import play_opponent, score_matches
from tesuji.learners.models import Policy, load_policy, with_adapter
from tesuji.learners.rl.checkpoint import checkpoints
from tesuji.learners.rl.train import RLHooks, train_rl
from tesuji.pipeline.bench import Workbench, model_player
from tesuji.pipeline.plan import Step
from tesuji.players.registry import make_player
from tesuji.recipe.rl import PpoStage, RLStage


def reinforce(step: Step, out: Path, bench: Workbench) -> None:
    """Run the stage of `step` into `out`; goes on from its newest checkpoint."""
    assert isinstance(step.section, RLStage)
    recipe, stage = bench.recipe, step.section
    found = checkpoints(out / "checkpoints")
    policy = load_policy(recipe.model, str(found[-1]) if found else bench.model_source(step))
    if recipe.model.lora is not None:
        policy = with_adapter(policy, recipe.model.lora)
    bench.reporter.begin(f"{step.name}: playing and learning", stage.max_steps)
    summary = train_rl(
        stage,
        policy,
        recipe=recipe,
        name=step.name,
        out=out,
        metrics=bench.metrics,
        critic=_critic(stage, bench),
        hooks=_hooks(step.name, stage, policy, bench),
    )
    took = f"{summary.steps:,} steps, {summary.matches:,} matches in {summary.seconds:.0f} s"
    bench.reporter.say(f"{step.name}: {took}; {summary.stopped_because}")


def _critic(stage: RLStage, bench: Workbench) -> Policy | None:
    """A critic model of its own, where the stage names one."""
    if not isinstance(stage, PpoStage) or stage.critic is None:
        return None
    section = bench.recipe.model
    source = bench.base_source() if stage.critic == "base" else stage.critic
    policy = load_policy(section, source)
    return with_adapter(policy, section.lora) if section.lora is not None else policy


def _hooks(name: str, stage: RLStage, policy: Policy, bench: Workbench) -> RLHooks:
    def on_step(done: int, total: int, line: str) -> None:
        bench.reporter.update(done, line.partition(" | ")[2])

    player = model_player(policy, bench.recipe, name, temperature=0.0)

    def certified(at: int) -> bool:
        certificates = certify(bench.game, player, answer=bench.recipe.prompt.answer)
        bench.metrics.log(name, at, as_metrics(certificates))
        return all(certificate.holds for certificate in certificates)

    def evaluate(at: int) -> dict[str, float]:
        return look(stage, policy, bench)

    return RLHooks(
        on_step=on_step,
        say=bench.reporter.say,
        evaluate=evaluate if stage.eval_steps else None,
        stop_when=certified if stage.stop_when == "certificate" else None,
    )


def look(stage: RLStage, policy: Policy, bench: Workbench) -> dict[str, float]:
    """Matches against the evaluation's fixed opponents, the same tasks each time.

    `score` is the mean over all of them, 0 to 1; with `evaluation.exploitability` it is minus the
    exploitability instead, which no choice of opponents can flatter.
    """
    section, game = bench.recipe.evaluation, bench.game
    player = model_player(policy, bench.recipe, "evaluated", section.temperature)
    found: dict[str, float] = {}
    scores = []
    for opponent in section.opponents:
        episodes = play_opponent(
            game,
            player,
            make_player(opponent, game=game),
            episodes=stage.eval_episodes,
            seed=stream(bench.recipe.seed, "look", opponent.label),
            rules=turn_rules(bench.recipe.prompt, section.max_moves),
        )
        total = next(score_matches(opponent.label, episodes))
        found[f"{opponent.label}/win_rate"] = total.wins / total.games
        found[f"{opponent.label}/loss_rate"] = total.losses / total.games
        scores += [score_of(e, e.players.index("evaluated"), game.info) for e in episodes]
    found["score"] = sum(scores) / len(scores) if scores else 0.0
    if section.exploitability:
        measured = exploitability(game, model_player(policy, bench.recipe, "measured"))
        found["exploitability"] = measured.exploitability
        found["score"] = -measured.exploitability
    return found
