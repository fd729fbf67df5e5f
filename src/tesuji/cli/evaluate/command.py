"""`tesuji eval RUN`: put a run's model through more matches, or through a file of prompts."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from tesuji.cli.console import console, loading, warn
from tesuji.cli.evaluate.prompts import reply_to_prompts
from tesuji.core.run_folder import find_run

if TYPE_CHECKING:
    from tesuji.core.types import Episode
    from tesuji.pipeline.models.of_run import Engine, Trained
    from tesuji.recipe.schema.recipe import EvaluationSection

app = typer.Typer()


@app.command("eval")
def evaluate(
    run: Annotated[str, typer.Argument(help="A run folder, or its name under runs/.")],
    opponent: Annotated[
        list[str] | None,
        typer.Option(help="Whom to play, e.g. mcts or mcts:simulations=100; may be repeated."),
    ] = None,
    episodes: Annotated[int | None, typer.Option(min=1, help="Matches per opponent.")] = None,
    seed: Annotated[int | None, typer.Option(help="Random stream; default: the recipe's.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, help="0: greedy.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for evaluation.json and episodes.jsonl; with --prompts: the results' file."
        ),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="Reply to these prompts instead (.jsonl, .json, .txt), greedily."),
    ] = None,
    max_new_tokens: Annotated[
        int | None, typer.Option(min=1, help="With --prompts: longest reply, in tokens.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="With --prompts: replies at once.")
    ] = None,
    engine: Annotated[
        Literal["local", "vllm"] | None,
        typer.Option(help="Who samples its replies; default: the recipe's."),
    ] = None,
) -> None:
    """Evaluate a run's model against named opponents, all seats, with intervals; or have it reply
    to a file of prompts: `FILE_results` is written beside it."""
    if prompts is not None:
        _only("--prompts", {"--opponent": opponent, "--episodes": episodes, "--engine": engine})
        reply_to_prompts(
            run,
            prompts,
            out=out,
            temperature=temperature,
            max_new_tokens=max_new_tokens,
            batch_size=batch_size,
            seed=seed,
        )
        return
    _only("matches", {"--max-new-tokens": max_new_tokens, "--batch-size": batch_size})
    folder = find_run(run)
    loading(str(folder))
    from tesuji.pipeline.models.of_run import open_run

    trained = open_run(folder)
    warn(trained.beware)
    section = _section(trained, opponent or [], episodes, temperature)
    seed = trained.recipe.seed if seed is None else seed
    _evaluate(trained, section, seed, out, engine)


def _only(what: str, others: dict[str, Any]) -> None:
    """Refuse options that belong to the command's other half."""
    from tesuji.core.errors import RecipeError

    for name, value in others.items():
        if value is not None:
            raise RecipeError(f"{name} does not go with {what}", hint="tesuji eval --help")


def _section(
    trained: "Trained", opponents: list[str], episodes: int | None, temperature: float | None
) -> "EvaluationSection":
    from tesuji.players.registry import parse_player

    wanted = {"episodes": episodes, "temperature": temperature}
    changes: dict[str, Any] = {key: value for key, value in wanted.items() if value is not None}
    if opponents:
        changes |= {"opponents": [parse_player(text) for text in opponents]}
    return trained.recipe.evaluation.model_copy(update=changes)


def _evaluate(
    trained: "Trained",
    section: "EvaluationSection",
    seed: int,
    out: Path | None,
    engine: "Engine | None",
) -> None:
    from tesuji.cli.progress import Bar
    from tesuji.episodes.store import write_episodes
    from tesuji.evaluation.evaluate import Subject, evaluate
    from tesuji.evaluation.results import save_evaluation
    from tesuji.logs.poker.phh_writer import HANDS, save_hands
    from tesuji.pipeline.steps.positions import questions_for
    from tesuji.report.tables.matches import evaluation_table

    played: list[Episode] = []
    with Bar() as bar, trained.playing(section.temperature, bar, engine=engine) as player:
        result = evaluate(
            Subject("now", trained.source, player),
            section,
            game=trained.game,
            prompt=trained.recipe.prompt,
            questions=questions_for(section, trained.game, trained.data, trained.recipe.seed),
            seed=seed,
            record=played.append,
            progress=bar,
        )
    console.print(evaluation_table(None, result, width=console.width))
    if out is not None:
        save_evaluation(out / "evaluation.json", result)
        write_episodes(out / "episodes.jsonl", played)
        save_hands(out / HANDS, trained.game, played)
        console.print(f"written to {out}")
