"""What each kind of step does: read the folders of the steps before it, write its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tesuji.core.types import Example
from tesuji.datasets.generate import generate
from tesuji.datasets.store import read_rows
from tesuji.episodes.store import EpisodeWriter
from tesuji.evaluation.certificate import as_metrics, certify
from tesuji.evaluation.evaluate import Subject, evaluate
from tesuji.evaluation.store import save_evaluation
from tesuji.learners.models import Policy, load_policy, with_adapter
from tesuji.learners.sft import Hooks, train_sft
from tesuji.pipeline.bench import Workbench, model_player, watch_with
from tesuji.pipeline.plan import Step
from tesuji.pipeline.questions import questions_for
from tesuji.pipeline.reinforce import reinforce
from tesuji.recipe.data import DataStage
from tesuji.recipe.schema import EvaluationSection
from tesuji.recipe.stages import SftStage


def do_step(step: Step, out: Path, bench: Workbench) -> None:
    """Do one step into the folder `out`. Raises TesujiErrors."""
    work: dict[str, Callable[[Step, Path, Workbench], None]] = {
        "data": _data,
        "sft": _sft,
        "grpo": reinforce,
        "ppo": reinforce,
        "reinforce++": reinforce,
        "evaluate": _evaluate,
    }
    work[step.kind](step, out, bench)
    bench.reporter.end()


def _data(step: Step, out: Path, bench: Workbench) -> None:
    assert isinstance(step.section, DataStage)
    doing = ""

    def on_progress(words: str, done: int, total: int) -> None:
        nonlocal doing
        if words != doing:
            doing = words
            bench.reporter.begin(f"{step.name}: {words}", total)
        bench.reporter.update(done)

    found = generate(bench.recipe, step.section, bench.game, out, on_progress)
    bench.reporter.say(
        f"{step.name}: {found['positions']:,} positions, {found['train_rows']:,} rows to learn "
        f"from, {found['held_out_positions']:,} positions held out"
    )


def _sft(step: Step, out: Path, bench: Workbench) -> None:
    assert isinstance(step.section, SftStage)
    recipe, stage = bench.recipe, step.section
    policy = load_policy(recipe.model, bench.model_source(step))
    if recipe.model.lora is not None:
        policy = with_adapter(policy, recipe.model.lora)
    train, held_out = _rows(step, bench)
    bench.reporter.begin(f"{step.name}: training")
    summary = train_sft(
        stage,
        policy,
        name=step.name,
        train=train,
        held_out=held_out,
        prompt=recipe.prompt,
        out=out,
        seed=recipe.seed,
        metrics=bench.metrics,
        hooks=_hooks(step.name, stage, policy, bench),
    )
    took = f"{summary.steps:,} steps in {summary.seconds:.0f} s"
    bench.reporter.say(f"{step.name}: {took}; {summary.stopped_because}")


def _rows(step: Step, bench: Workbench) -> tuple[list[Example], list[Example]]:
    assert isinstance(step.section, SftStage)
    if step.section.data is not None:
        return list(read_rows(Path(step.section.data))), []
    folder = bench.results_of(step.data_from)
    held_out = folder / "held_out.jsonl"
    return list(read_rows(folder / "train.jsonl")), list(read_rows(held_out))


def _hooks(name: str, stage: SftStage, policy: Policy, bench: Workbench) -> Hooks:
    def on_step(done: int, total: int, loss: float | None) -> None:
        if done == 1:
            bench.reporter.begin(f"{name}: training", total)
        bench.reporter.update(done, "" if loss is None else f"loss {loss:.3f}")

    player = model_player(policy, bench.recipe, name, temperature=0.0)

    def certified(at: int) -> bool:
        certificates = certify(bench.game, player, answer=bench.recipe.prompt.answer)
        bench.metrics.log(name, at, as_metrics(certificates))
        return all(certificate.holds for certificate in certificates)

    return Hooks(on_step, certified if stage.stop_when == "certificate" else None)


def _evaluate(step: Step, out: Path, bench: Workbench) -> None:
    assert isinstance(step.section, EvaluationSection)
    recipe = bench.recipe
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
            step.section,
            game=bench.game,
            prompt=recipe.prompt,
            questions=questions_for(step.section, bench.game, data, recipe.seed),
            seed=recipe.seed,
            record=writer.write,
            watch=watch_with(bench.reporter),
        )
    save_evaluation(out / "evaluation.json", found)
    bench.metrics.forget_after(step.name, -1)
    bench.metrics.log(step.name, 0, _headline(found))


def _shown(source: str, bench: Workbench) -> str:
    """The model's place as a report may show it: inside the run, relative to it."""
    path = Path(source)
    inside = path.is_relative_to(bench.run.path)
    return str(path.relative_to(bench.run.path)) if inside else source


def _headline(found: Any) -> dict[str, float]:
    """The evaluation's main figures as metrics."""
    figures = as_metrics(found.certificates) if found.certificates else {}
    if found.exploitability is not None:
        figures["exploitability"] = found.exploitability.exploitability
    for row in found.matches:
        if row.seat is None and row.games:
            figures[f"{row.opponent}/win_rate"] = row.wins / row.games
            figures[f"{row.opponent}/loss_rate"] = row.losses / row.games
    for score in found.positions:
        if score.positions:
            figures[f"{score.split}/optimal_moves"] = score.optimal / score.positions
    return figures
