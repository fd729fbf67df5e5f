"""What each kind of step does: read the folders of the steps before it, write its own."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tesuji.episodes.store import EpisodeWriter, read_episodes
from tesuji.evaluation.evaluate import Subject, evaluate
from tesuji.evaluation.metrics import evaluation_metrics
from tesuji.evaluation.results import save_evaluation
from tesuji.games.prompts import PromptsGame
from tesuji.learners.model.load import load_policy
from tesuji.logs.poker.phh_writer import HANDS, save_hands
from tesuji.pipeline.plan import Step
from tesuji.pipeline.step_context import Workbench, model_player
from tesuji.pipeline.steps.data import run_data, run_logs
from tesuji.pipeline.steps.held_out import look_at_rows
from tesuji.pipeline.steps.positions import questions_for
from tesuji.pipeline.steps.rl import reinforce
from tesuji.pipeline.steps.train import fine_tune, model_reward, prefer
from tesuji.recipe.schema.recipe import EvaluationSection


def do_step(step: Step, out: Path, bench: Workbench) -> None:
    """Do one step into the folder `out`. Raises TesujiErrors."""
    work: dict[str, Callable[[Step, Path, Workbench], None]] = {
        "data": run_data,
        "logs": run_logs,
        "sft": fine_tune,
        "dpo": prefer,
        "reward": model_reward,
        "grpo": reinforce,
        "ppo": reinforce,
        "reinforce++": reinforce,
        "evaluate": _evaluate,
    }
    work[step.kind](step, out, bench.fitted(step))
    bench.progress.end()


def _evaluate(step: Step, out: Path, bench: Workbench) -> None:
    assert isinstance(step.section, EvaluationSection)
    recipe, section = bench.recipe, step.section
    if isinstance(bench.game, PromptsGame):  # nobody to play against: its rows are looked at
        section = section.model_copy(update={"opponents": []})
    source = bench.model_source(step)
    policy = load_policy(recipe.model, source)
    label = f"after {step.model_from}" if step.model_from else "before"
    subject = Subject(
        label, _shown(source, bench), model_player(policy, recipe, label, step.section.temperature)
    )
    data = bench.results_of(step.data_from) if step.data_from else None
    episodes = out / "episodes.jsonl"
    episodes.unlink(missing_ok=True)  # a half-done evaluation starts over
    with EpisodeWriter(episodes) as writer:
        found = evaluate(
            subject,
            section,
            game=bench.game,
            prompt=recipe.prompt,
            questions=questions_for(step.section, bench.game, data, recipe.seed),
            seed=recipe.seed,
            record=writer.write,
            progress=bench.progress,
        )
    save_hands(out / HANDS, bench.game, read_episodes(episodes))
    found = replace(found, rows=look_at_rows(step, section, policy, bench))
    save_evaluation(out / "evaluation.json", found)
    bench.metrics.forget_after(step.name, -1)
    bench.metrics.log(step.name, 0, evaluation_metrics(found))


def _shown(source: str, bench: Workbench) -> str:
    """The model's place as a report may show it: inside the run, relative to it."""
    path = Path(source)
    inside = path.is_relative_to(bench.run.path)
    return str(path.relative_to(bench.run.path)) if inside else source
