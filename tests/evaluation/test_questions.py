"""Games of questions in a run: asked on both sides, counted by category, learned from, reported."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tesuji.core.statistics import Interval
from tesuji.core.types import Ending, Episode
from tesuji.episodes.arena import play_matches
from tesuji.episodes.reply_rules import TurnRules
from tesuji.evaluation.bfcl_summary import composites
from tesuji.evaluation.evaluate import Subject, evaluate, judged_game
from tesuji.evaluation.matches.against import EVALUATED
from tesuji.evaluation.questions import asks_questions, score_tasks, tasks_of
from tesuji.evaluation.results import Evaluation, TaskScore, load_evaluation, save_evaluation
from tesuji.games.catalogue import load_game
from tesuji.pipeline.run import run_recipe
from tesuji.players.registry import make_player
from tesuji.recipe.schema.recipe import EvaluationSection, Recipe
from tesuji.recipe.schema.sections import PlayerSection, PromptSection
from tesuji.report.headline import headline
from tesuji.report.tables.questions import tasks_view

KEY = PlayerSection(player="answer_key")
T = TypeVar("T")
R = TypeVar("R")


def look(game_options: dict[str, object], episodes: int = 30, **how: Any) -> Evaluation:
    game = load_game("bfcl", game_options)
    return evaluate(
        Subject("now", "the key", make_player(KEY, game=game)),
        EvaluationSection(episodes=episodes),
        game=game,
        prompt=PromptSection(retry=False),
        questions=(),
        seed=3,
        **how,
    )


def test_questions_are_asked_once_each() -> None:
    game = load_game("bfcl", {"tasks": 10})
    assert [task.seed for task in tasks_of(game, 99, 1)] == list(range(10))
    some = load_game("bfcl")
    seeds = {task.seed % (some.tasks or 1) for task in tasks_of(some, 50, 1)}
    assert len(seeds) == 50 and tasks_of(some, 50, 1) == tasks_of(some, 50, 1)
    assert tasks_of(some, 50, 2) != tasks_of(some, 50, 1)
    assert len({task.seed for task in tasks_of(load_game("rg_gcd"), 40, 1)}) == 40
    assert asks_questions(game) and not asks_questions(load_game("tic_tac_toe"))


def test_both_sides_are_counted_by_category(tmp_path: Path) -> None:
    found = look({"category": "simple,java,irrelevance"}, episodes=10_000)
    assert found.tasks is not None and found.matches == ()
    rows = {(row.split, row.category): row for row in found.tasks.rows}
    both = [rows[split, ""].tasks for split in ("trained", "held_out")]
    assert sum(both) == 740 and min(both) > 100
    for split in ("trained", "held_out"):
        parts = [rows[split, c] for c in ("simple_python", "simple_java", "irrelevance")]
        assert sum(part.tasks for part in parts) == rows[split, ""].tasks
        assert rows[split, "simple_python"].right == rows[split, "simple_python"].tasks
    save_evaluation(tmp_path / "e.json", found)
    assert load_evaluation(tmp_path / "e.json") == found
    words = headline(found).sentence
    assert "held-out questions right" in words and words.startswith("It answers")


def test_questions_are_answered_in_their_order_wherever_they_are_asked() -> None:
    """As by one process, with an empty share too."""

    def split(items: Sequence[T], do: Callable[[Sequence[T]], Sequence[R]]) -> list[R]:
        return [*do(items[:0]), *do(items[:7]), *do(items[7:])]

    one, other = [], []
    found = look({"category": "simple,java"}, record=one.append)
    parts = look({"category": "simple,java"}, record=other.append, share=split)
    assert len(one) == 60 and one == other
    assert parts.tasks == found.tasks


def test_questions_without_a_key_are_errors_and_not_counted() -> None:
    game = load_game("bfcl", {"category": "live_relevance", "split": "all"})
    players = {EVALUATED: make_player(KEY, game=game)}
    rules = TurnRules(retry=False)
    asked = list(play_matches(tasks_of(game, 99, 1), game=game, players=players, rules=rules))
    [row] = score_tasks(game, [("all", asked)]).rows
    assert (row.tasks, row.errors, row.right) == (0, 16, 0)
    assert {episode.ending for episode in asked} == {Ending.ERROR}


def scored(category: str, right: int, tasks: int) -> TaskScore:
    nothing = Interval(0.0, 1.0)
    return TaskScore("all", category, tasks, right, nothing, 0.0, nothing, 0, 0)


def test_summary_lines_are_the_leaderboards() -> None:
    """Non-live categories count alike, live ones by their questions."""
    game = load_game("bfcl")
    rows = [
        scored("simple_python", 300, 400),
        scored("simple_java", 50, 100),
        scored("simple_javascript", 50, 50),
        scored("multiple", 100, 200),
        scored("parallel", 0, 200),
        scored("parallel_multiple", 200, 200),
        scored("live_simple", 258, 258),
        scored("live_multiple", 0, 1053),
        scored("live_parallel", 16, 16),
    ]
    lines = {line.name: line for line in composites(game, rows)}
    assert lines.keys() == {"simple AST", "non-live AST"}
    assert lines["simple AST"].share == pytest.approx((0.75 + 0.5 + 1.0) / 3)
    assert lines["non-live AST"].share == pytest.approx((0.75 + 0.5 + 0.0 + 1.0) / 4)
    spread = lines["non-live AST"].interval
    assert spread.low < 0.5625 < spread.high and spread.high - spread.low < 0.1
    live = {c.name: c for c in composites(game, [*rows, scored("live_parallel_multiple", 24, 24)])}
    assert live["live AST"].share == pytest.approx((258 + 16 + 24) / (258 + 1053 + 16 + 24))
    assert composites(load_game("rg_gcd"), rows) == ()


def recipe(game: dict[str, object], **stages: object) -> Recipe:
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    return Recipe.model_validate(
        {
            "name": "small",
            "game": game,
            "model": {"tiny": {"hidden_size": 16, "num_hidden_layers": 1, **heads}},
            "prompt": {"retry": False},
            "sampling": {"max_new_tokens": 8},
            "stages": stages,
            "evaluation": {"episodes": 6},
        }
    )


def test_a_run_learns_from_questions_and_reports_them(tmp_path: Path) -> None:
    """Rows from the key, SFT, then GRPO with looks at held-out questions; all of it replayable."""
    data = {"positions": "sampled", "sampled_by": "answer_key", "oracle": "answer_key"}
    grpo = {"batch_size": 4, "num_generations": 2, "max_steps": 2, "save_steps": 9}
    small = recipe(
        {
            "name": "bfcl",
            "options": {"tasks": 3, "show": "signatures", "max_prompt_characters": 150},
        },
        data={**data, "num_positions": 3, "held_out": 0.0},
        sft={"max_steps": 2, "batch_size": 3, "max_length": 400},
        grpo={
            **grpo,
            "rewards": {"returns": 1.0, "tool_format": 0.1},
            "eval_steps": 2,
            "eval_episodes": 4,
        },
    )
    run = run_recipe(small, tmp_path).folder
    rows = [json.loads(line) for line in (run / "data" / "train.jsonl").read_text().splitlines()]
    assert len(rows) == 3 and all("<tool_call>" in row["completion"] for row in rows)
    assert all([m["role"] for m in row["prompt"]] == ["user"] for row in rows)
    logged = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert sum("eval/held_out/right" in row for row in logged) == 2
    after = load_evaluation(run / "after" / "evaluation.json")
    assert after.tasks is not None and [r.tasks for r in after.tasks.rows] == [3, 6]
    assert len((run / "after" / "episodes.jsonl").read_text().splitlines()) == 9
    page = (run / "report.html").read_text()
    assert "held-out questions" in page and "training questions" in page
    assert "| held-out questions | all |" in (run / "report.md").read_text()
    assert [line["of"] for line in tasks_view([after])["lines"]] == [
        "training questions",
        "held-out questions",
    ]


def test_procedural_tasks_run_the_same_way(tmp_path: Path) -> None:
    grpo = {"batch_size": 4, "num_generations": 2, "max_steps": 1, "save_steps": 9}
    run = run_recipe(
        recipe(
            {"name": "rg_chain_sum", "options": {"system": "none", "max_terms": 2}},
            grpo={**grpo, "play": {"games": ["rg_gcd", "rg_coin_flip"]}},
        ),
        tmp_path,
    ).folder
    after = load_evaluation(run / "after" / "evaluation.json")
    assert after.tasks is not None and [r.tasks for r in after.tasks.rows] == [6, 6]


def test_options_of_the_evaluation_reach_the_questions() -> None:
    game = load_game("bfcl", {"tasks": 8})
    asked: list[Episode] = []
    section = EvaluationSection(episodes=4, options={"category": "multiple"})
    found = evaluate(
        Subject("now", "the key", make_player(KEY, game=game)),
        section,
        game=judged_game(game, section),
        prompt=PromptSection(retry=False),
        questions=(),
        seed=3,
        record=asked.append,
    )
    assert found.tasks is not None and found.matches == ()
    assert {episode.turns[0].role for episode in asked} == {"multiple"}
    assert all(row.right == row.tasks > 0 for row in found.tasks.rows)
