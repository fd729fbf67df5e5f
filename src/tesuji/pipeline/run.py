"""Run a recipe: plan, do what is left to do, write the report.

outcome = run_recipe(load_recipe("recipes/tictactoe/tiny.yaml"), Path("runs"))
"""

import gc
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tesuji.core.errors import TesujiError
from tesuji.core.files import read_json, telling_full_disk, write_json
from tesuji.core.metric_log import MetricLog
from tesuji.core.progress import SILENT, Progress
from tesuji.core.run_folder import RunFolder
from tesuji.evaluation.results import Evaluation, load_evaluation
from tesuji.learners.distributed import is_main, join, noticing_losses
from tesuji.learners.model.load import device_of, quiet_libraries
from tesuji.pipeline.checks.recipe import check
from tesuji.pipeline.heading import heading
from tesuji.pipeline.parts import Part, part_of, refuse_missing
from tesuji.pipeline.plan import MAKES_DATA, Step, decide, make_plan
from tesuji.pipeline.step_context import StepContext
from tesuji.pipeline.steps.run_step import run_step
from tesuji.pipeline.workers import call, dismiss, lead, serve
from tesuji.players.endpoint.budget import SPENDING, recorded_in
from tesuji.recipe.reading.load import dump_recipe
from tesuji.recipe.schema.recipe import Recipe
from tesuji.report.card.write import write_card
from tesuji.report.page import write_report


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    folder: Path
    page: Path
    before: Evaluation | None
    after: Evaluation | None
    seconds: float


def run_recipe(
    recipe: Recipe,
    root: Path,
    *,
    only: Part | None = None,
    command: str = "",
    progress: Progress = SILENT,
) -> Outcome:
    """Run every step that is not done yet, or those of one part (`only`), and write the report.

    Where torchrun has started several processes each of them calls this, and all of them have the
    outcome. Raises TesujiErrors; what was finished before stays and is not done again.
    """
    started = time.monotonic()
    together = join(recipe.distributed, device_of(recipe.model))
    recipe = recipe.model_copy(update={"distributed": together})
    with noticing_losses():
        if not is_main():
            served = serve()
            return _outcome(served.run, served.plan, started)
        run, plan = _lead(recipe, root, only, command, progress)
    return _outcome(run, plan, started)


def _lead(
    recipe: Recipe, root: Path, only: Part | None, command: str, progress: Progress
) -> tuple[Path, list[Step]]:
    """The run as its main, or only, process does it; its folder and its steps."""
    progress.begin("looking at the recipe")
    recipe, run, plan = prepare(recipe, root, progress)
    with run.locked():
        plan = decide(plan, run.path)  # somebody else may have gone on in between
        if only:
            refuse_missing(plan, only)
        progress.say(heading(recipe, plan, run.path))
        text = dump_recipe(recipe)
        run.open(name=recipe.name, recipe=text, seed=recipe.seed, command=command, say=progress.say)
        config = {"recipe": text, "seed": recipe.seed}
        metrics = MetricLog(
            run.path,
            report_to=recipe.report_to,
            run_name=recipe.name,
            config=config,
            wandb=recipe.wandb.options() if recipe.wandb else None,
        )
        if metrics.lost:
            progress.say(f"metrics.jsonl: {metrics.lost} damaged lines left out")
        context = StepContext(recipe, run.path, plan)
        lead(recipe, run.path.absolute())
        gc.collect()  # of a run that failed in this process: a step gives back its own only
        try:
            with recorded_in(run.path / SPENDING) as asked:
                for step in _wanted(plan, only):
                    _one(step, run, context, metrics, progress)
        except TesujiError:
            with suppress(TesujiError):  # what stopped the run is what people need to read
                write_report(run.path)
            raise
        finally:
            metrics.close()
            for spent in asked.spent():
                progress.say(spent.words)
        write_report(run.path)
        dismiss()
    return run.path, plan


def _wanted(plan: list[Step], only: Part | None) -> list[Step]:
    return [step for step in plan if only in (None, part_of(step.kind))]


def _outcome(run: Path, plan: list[Step], started: float) -> Outcome:
    return Outcome(
        folder=run,
        page=run / "report.html",
        before=_evaluation(plan, run, "before"),
        after=_evaluation(plan, run, "after"),
        seconds=time.monotonic() - started,
    )


def prepare(
    recipe: Recipe, root: Path, progress: Progress = SILENT
) -> tuple[Recipe, RunFolder, list[Step]]:
    """The recipe as it will be run, the run's folder and the plan, once everything that can be
    refused has been looked at.

    Nothing on disk changes, but for a GGUF file's model in the cache. Raises TesujiErrors.
    """
    quiet_libraries()
    recipe = check(recipe, progress)
    run = RunFolder(root / recipe.name)
    run.refuse_unusable()
    return recipe, run, make_plan(recipe, run.path)


def _one(
    step: Step, run: RunFolder, context: StepContext, metrics: MetricLog, progress: Progress
) -> None:
    folder = step.folder(run.path)
    if step.decision == "skip":
        progress.say(f"{step.name}: {step.why}")
        return
    progress.begin(step.name)
    folder.begin(step.key)
    run.note_stage(step.name, {"status": "running", "key": step.key})
    started = time.monotonic()
    with telling_full_disk(folder.path):
        call(context, step)
        run_step(step, folder.path, context, metrics, progress)
    _write_card(step, context)
    facts = {"seconds": round(time.monotonic() - started, 2)}
    resumed = {"resumed": True} if step.decision == "resume" else {}
    folder.finish(step.key, facts)
    run.link(step.name, folder.path)
    if (summary := folder.path / "training.json").exists():
        write_json(run.path / f"training_summary_{step.name}.json", read_json(summary))
    run.note_stage(step.name, {"status": "done", "key": step.key, **facts, **resumed})


def _write_card(step: Step, context: StepContext) -> None:
    """The card of the model that this step trained, or evaluated."""
    stage = step.model_from if step.kind == "evaluate" else step.name
    if stage and not isinstance(context.recipe.stages[stage], MAKES_DATA):
        write_card(context.run, stage, Path(context.model_of(stage)))


def _evaluation(plan: list[Step], run: Path, name: str) -> Evaluation | None:
    for step in plan:
        if step.name == name and (step.folder(run).path / "done.json").exists():
            return load_evaluation(step.folder(run).path / "evaluation.json")
    return None
