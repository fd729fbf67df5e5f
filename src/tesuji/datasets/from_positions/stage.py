"""The data stage: positions, an oracle's moves, thoughts, and a split, as files.

train.jsonl, held_out.jsonl     rows for SFT
pairs.jsonl, held_out_pairs.jsonl   preference pairs, if the stage asks for them
positions.jsonl                 every position with its split and the oracle's moves
dataset_statistics.json         what is in them
"""

import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tesuji.core.errors import DataError
from tesuji.core.files import write_json, write_jsonl
from tesuji.core.progress import SILENT, Progress
from tesuji.core.seeds import stream
from tesuji.core.types import Example, Move
from tesuji.datasets.files import example_row, pair_row
from tesuji.datasets.from_positions.files import position_row
from tesuji.datasets.from_positions.label import Labelled, label
from tesuji.datasets.from_positions.pairs import position_pairs
from tesuji.datasets.from_positions.positions import Position, all_positions, sampled_positions
from tesuji.datasets.from_positions.split import held_out_keys, on_path_keys
from tesuji.datasets.from_positions.symmetry import symmetry_class
from tesuji.games.base import Game
from tesuji.players.prompting.prompt import answer_text, prompt_at
from tesuji.players.registry import make_player
from tesuji.recipe.schema.data import DataStage
from tesuji.recipe.schema.recipe import Recipe
from tesuji.recipe.schema.sections import PromptSection


@dataclass(frozen=True, slots=True)
class _Lesson:
    """One thing to teach: a move in a position, with what is said before it (None: no thought
    could be had)."""

    item: Labelled
    move: Move
    thought: str | None


def make_data(
    recipe: Recipe,
    stage: DataStage,
    game: Game,
    out: Path,
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """Make the data of one stage in the folder `out` and return its statistics.

    Raises GameError when the oracle does not fit the game, DataError when nothing is left to train
    on, EngineError when an endpoint fails.
    """
    labelled, hidden = _split(
        stage, game, _labelled(stage, game, recipe.seed, progress), recipe.seed
    )
    lessons = list(_lessons(stage, game, labelled, recipe.seed, out, progress))
    quarantined = [lesson for lesson in lessons if lesson.thought is None]
    kept = [lesson for lesson in lessons if lesson.thought is not None]
    train = [lesson for lesson in kept if lesson.item.position.key not in hidden]
    held_out = [lesson for lesson in kept if lesson.item.position.key in hidden]
    if not train:
        raise DataError(
            f"no rows to train on: {len(labelled)} positions, {len(hidden)} held out, "
            f"{len(quarantined)} rows without a thought",
            where="stages.data.held_out",
            hint="lower held_out, or raise num_positions",
        )
    write_jsonl(out / "train.jsonl", _rows(game, recipe.prompt, train))
    write_jsonl(out / "held_out.jsonl", _rows(game, recipe.prompt, held_out))
    _write_positions(out, labelled, hidden)
    stats = _statistics(stage, labelled, hidden, train, held_out, quarantined, recipe.prompt)
    if stage.pairs != "none":
        stats["train_pairs"] = _write_pairs(recipe, stage, game, train, out / "pairs.jsonl")
        held_out_pairs = out / "held_out_pairs.jsonl"
        stats["held_out_pairs"] = _write_pairs(recipe, stage, game, held_out, held_out_pairs)
    write_json(out / "dataset_statistics.json", stats)
    return stats


def _labelled(stage: DataStage, game: Game, seed: int, progress: Progress) -> list[Labelled]:
    oracle = make_player(stage.oracle, game=game)
    positions = _positions(stage, game, seed)
    return list(label(game, positions, oracle, progress))


def _split(
    stage: DataStage, game: Game, labelled: Sequence[Labelled], seed: int
) -> tuple[list[Labelled], frozenset[str]]:
    """The positions that are kept, and the keys of those among them that training never sees."""
    path: frozenset[str] = frozenset()
    if stage.positions == "on_path":
        path = on_path_keys(game, {i.position.key: _taught(stage, i, seed) for i in labelled})
    elif stage.held_out_from == "off_path":
        path = on_path_keys(game, {item.position.key: item.best for item in labelled})
    hidden = held_out_keys(labelled, share=stage.held_out, barred=path, seed=seed)
    if stage.positions != "on_path":
        return list(labelled), hidden
    return [item for item in labelled if item.position.key in path | hidden], hidden


def _positions(stage: DataStage, game: Game, seed: int) -> list[Position]:
    if stage.positions != "sampled":
        return all_positions(game)
    players = [make_player(section, game=game) for section in stage.sampled_by]
    return sampled_positions(game, players, stage.num_positions, seed)


def _lessons(
    stage: DataStage,
    game: Game,
    labelled: Sequence[Labelled],
    seed: int,
    out: Path,
    progress: Progress,
) -> Iterator[_Lesson]:
    """Every move to teach, with its thought."""
    bare = [(item, move) for item in labelled for move in _taught(stage, item, seed)]
    if stage.thoughts == "llm":
        yield from _written(stage, game, bare, out, progress)
        return
    for item, move in bare:
        thought = _template(stage, game, item, move) if stage.thoughts == "template" else ""
        yield _Lesson(item, move, thought)


def _taught(stage: DataStage, item: Labelled, seed: int) -> tuple[Move, ...]:
    if stage.moves == "all":
        return item.best
    return (item.best[stream(seed, item.position.key) % len(item.best)],)


def _template(stage: DataStage, game: Game, item: Labelled, move: Move) -> str:
    from tesuji.datasets.from_positions.template_thoughts import template_thought

    position, values = item.position, item.values
    if stage.oracle.options.get("depth") is not None:  # there 0 may mean that nothing was found
        values = {known: value for known, value in values.items() if value.value}
    return template_thought(game, position.match, position.seat, move, values)


def _written(
    stage: DataStage,
    game: Game,
    bare: Sequence[tuple[Labelled, Move]],
    out: Path,
    progress: Progress,
) -> Iterator[_Lesson]:
    """Thoughts from the endpoint; asked once, kept in `thoughts.sqlite` beside the rows."""
    from tesuji.datasets.llm_endpoint import thought_question, write_thoughts

    questions = [
        thought_question(game, item.position.match, item.position.seat, move) for item, move in bare
    ]
    progress.begin("thoughts", len(questions))
    thoughts = write_thoughts(questions, stage.endpoint, out / "thoughts.sqlite", progress)
    for (item, move), thought in zip(bare, thoughts, strict=True):
        yield _Lesson(item, move, thought)


def _rows(
    game: Game, prompt: PromptSection, lessons: Sequence[_Lesson]
) -> Iterator[dict[str, Any]]:
    for lesson in lessons:
        position = lesson.item.position
        messages = prompt_at(prompt, game, position.match, position.seat)
        reply = answer_text(prompt, lesson.move, lesson.thought or "")
        yield example_row(Example(messages, reply, position.key))


def _write_pairs(
    recipe: Recipe, stage: DataStage, game: Game, lessons: Sequence[_Lesson], path: Path
) -> int:
    """Write the pairs of one side's positions; returns how many."""
    items: dict[str, Labelled] = {}
    thoughts: dict[str, dict[Move, str]] = {}
    for lesson in lessons:
        key = lesson.item.position.key
        items[key] = lesson.item
        thoughts.setdefault(key, {})[lesson.move] = lesson.thought or ""
    rows = [
        pair_row(pair)
        for key, item in items.items()
        for pair in position_pairs(
            stage,
            game,
            recipe.prompt,
            prompt_at(recipe.prompt, game, item.position.match, item.position.seat),
            item,
            thoughts[key],
            recipe.seed,
        )
    ]
    write_jsonl(path, rows)
    return len(rows)


def _write_positions(out: Path, labelled: Sequence[Labelled], hidden: frozenset[str]) -> None:
    write_jsonl(
        out / "positions.jsonl",
        (
            position_row(item, "held_out" if item.position.key in hidden else "trained")
            for item in labelled
        ),
    )


def _statistics(
    stage: DataStage,
    labelled: Sequence[Labelled],
    hidden: frozenset[str],
    train: Sequence[_Lesson],
    held_out: Sequence[_Lesson],
    quarantined: Sequence[_Lesson],
    prompt: PromptSection,
) -> dict[str, Any]:
    classes = {_class(item) for item in labelled}
    lengths = [len(answer_text(prompt, lesson.move, lesson.thought or "")) for lesson in train]
    return {
        "positions": len(labelled),
        "symmetry_classes": len(classes),
        "held_out_positions": len(hidden),
        "held_out_classes": len({_class(i) for i in labelled if i.position.key in hidden}),
        "held_out_from": stage.held_out_from,
        "train_rows": len(train),
        "held_out_rows": len(held_out),
        "rows_without_thought": len(quarantined),
        "best_moves_per_position": round(statistics.fmean(len(i.best) for i in labelled), 3),
        "reply_characters": {
            "median": statistics.median(lengths),
            "longest": max(lengths),
        },
        "oracle": stage.oracle.label,
        "thoughts": stage.thoughts,
        "label_balance": dict(Counter(lesson.move.text for lesson in train).most_common(20)),
        "seats": dict(Counter(str(item.position.seat) for item in labelled)),
    }


def _class(item: Labelled) -> str:
    seat = item.position.seat
    return symmetry_class(seat, item.position.match.observe(seat))
