"""The step that evaluates a model: matches, positions, and held-out rows where there are any."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tesuji.core.progress import Progress
from tesuji.datasets.files import read_rows
from tesuji.episodes.store import EpisodeWriter, read_episodes
from tesuji.evaluation.evaluate import Subject, evaluate, judged_game
from tesuji.evaluation.held_out.evaluate import decision_labels, evaluate_rows, share_replies
from tesuji.evaluation.held_out.results import RowsScore
from tesuji.evaluation.results import Evaluation, save_evaluation
from tesuji.games.base import Game
from tesuji.learners.distributed import is_main, shared_out
from tesuji.learners.model.load import Policy, load_policy
from tesuji.learners.model.rules import UNLIMITED
from tesuji.pipeline.step_context import model_player, sampler_of, say_how_run
from tesuji.pipeline.steps.data import held_out_of
from tesuji.pipeline.steps.positions import questions_for
from tesuji.players.sampling.base import Sampler
from tesuji.recipe.schema.data import LogsStage
from tesuji.recipe.schema.pairs import DpoStage
from tesuji.recipe.schema.recipe import EvaluationSection, Recipe
from tesuji.recipe.schema.sections import Section

OF_LOGS = 200  # rows replied to, where the recipe does not say how many
LONGEST = 4096  # tokens of a row, where no stage says


def run_evaluation(
    section: EvaluationSection,
    *,
    label: str,
    recipe: Recipe,
    game: Game,
    source: str,
    data: Path | None,
    limit: int,
    run: Path,
    out: Path,
    progress: Progress,
) -> Evaluation:
    """Evaluate the model in `source`, called `label`, and write what comes of it into `out`; of the
    held-out rows in the folder `data`, `limit` are replied to (0: they are not read at all).

    It replies through the recipe's engine. Of several processes each plays and asks its share; the
    main one does the rest, and writes.
    """
    policy = load_policy(recipe.model, source)
    say_how_run(policy, progress)
    judged = judged_game(game, section)
    with sampler_of(policy, recipe, out, progress) as sampler:
        player = model_player(policy, recipe, label, section.temperature, sampler)
        look = partial(
            evaluate,
            Subject(label, _place(source, run), player),
            section,
            game=judged,
            prompt=recipe.prompt,
            questions=questions_for(section, judged, data, recipe.seed),
            seed=recipe.seed,
            progress=progress,
            share=shared_out,
        )
        result = _recorded(look, judged, out) if is_main() else look(leads=False)
        if data is not None and limit:
            rows = _rows(section, recipe, policy, data, limit, progress, sampler)
            result = replace(result, rows=rows)
    if is_main():
        save_evaluation(out / "evaluation.json", result)
    return result


def _recorded(look: Callable[..., Evaluation], judged: Game, out: Path) -> Evaluation:
    """The result of the look, with its episodes in `out`; a half-done evaluation starts over."""
    episodes = out / "episodes.jsonl"
    episodes.unlink(missing_ok=True)
    with EpisodeWriter(episodes) as writer:
        result = look(record=writer.write)
    if judged.info.family == "poker":  # pokerkit takes a second to import
        from tesuji.logs.poker.phh_writer import HANDS, save_hands

        save_hands(out / HANDS, judged, read_episodes(episodes))
    return result


def rows_limit(section: EvaluationSection, data: Section | None) -> int:
    """How many held-out rows are replied to where the rows are of the stage `data`."""
    if section.rows is not None:
        return section.rows
    return OF_LOGS if isinstance(data, LogsStage) else 0


def _rows(
    section: EvaluationSection,
    recipe: Recipe,
    policy: Policy,
    data: Path,
    limit: int,
    progress: Progress,
    sampler: Sampler,
) -> RowsScore | None:
    """What the model makes of the held-out rows; None where there are none, and in another process
    than the main one, which replies to its share of them."""
    examples, pairs = held_out_of(data)
    if not examples and not pairs:
        return None
    replying: dict[str, Any] = {
        "examples": examples,
        "prompt": recipe.prompt,
        "sampling": recipe.sampling.model_copy(update={"temperature": section.temperature}),
        "max_length": _longest(recipe) or LONGEST,
        "limit": limit,
        "seed": recipe.seed,
        "replier": sampler if recipe.sampling.engine != "local" else None,
    }
    if not is_main():
        share_replies(policy, shared_out, **replying)
        return None
    return evaluate_rows(
        policy,
        **replying,
        pairs=pairs,
        training_labels=decision_labels(read_rows(data / "train.jsonl")),
        pair_length=_longest(recipe, DpoStage) or None,
        progress=progress,
        sharing=shared_out,
    )


def _longest(recipe: Recipe, kind: type = object) -> int:
    """The longest row that a stage of this kind learns from; 0 where none says. All models are
    judged alike: by rows of the longest stage, by pairs as DPO judges them."""
    stages = [stage for stage in recipe.stages.values() if isinstance(stage, kind)]
    lengths = [getattr(stage, "max_length", 0) for stage in stages]
    return max((UNLIMITED if one == "auto" else one for one in lengths), default=0)


def _place(source: str, run: Path) -> str:
    """The model's place as a report may show it: inside the run, relative to it."""
    path = Path(source)
    return str(path.relative_to(run)) if path.is_relative_to(run) else source
