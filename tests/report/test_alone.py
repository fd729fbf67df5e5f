"""Games for one seat in the report: won, not won, or nobody can say; random play beside."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tesuji.evaluation.evaluate import Subject, evaluate
from tesuji.evaluation.metrics import evaluation_metrics
from tesuji.evaluation.results import Evaluation, load_evaluation, save_evaluation
from tesuji.games.catalogue import load_game
from tesuji.players.base import MoveRequest, Reply
from tesuji.players.basic.random import RandomPlayer
from tesuji.recipe.schema.recipe import EvaluationSection
from tesuji.recipe.schema.sections import PlayerSection, PromptSection
from tesuji.report.headline import headline
from tesuji.report.tables.matches import evaluation_table


def look(game: str, episodes: int = 15, **options: Any) -> Evaluation:
    return evaluate(
        Subject("before", "random", RandomPlayer()),
        EvaluationSection(episodes=episodes, opponents=[PlayerSection(player="random")]),
        game=load_game(game, options),
        prompt=PromptSection(),
        questions=(),
        seed=1,
    )


def words(found: Evaluation) -> str:
    console = Console(width=130, record=True, file=io.StringIO())
    console.print(evaluation_table(None, found, 130))
    return " ".join(console.export_text().split())


@pytest.mark.parametrize("game", ["FrozenLake-v0", "Mastermind-v0", "2048-v0", "PegJump-v0"])
def test_random_play_that_is_paid_a_little_wins_nothing(game: str) -> None:
    found = look(game)
    [row] = found.matches
    paid = row.mean_return * row.games
    assert row.wins <= 1 and row.unjudged == 0 and paid > row.wins, "paid for a part, not won"
    assert row.win_interval.low < 0.02 and 0 < row.win_interval.high < 0.35
    assert row.wins + row.losses == row.games == 15 and row.forfeits > 5
    assert evaluation_metrics(found)["alone/win_rate"] == row.wins / 15
    assert [one.wins for one in found.baseline] == [row.wins], "random play's own stands beside"
    said = headline(found)
    assert said.mood == "open"
    assert "Alone it won" in said.sentence and "a random player in its place" in said.sentence
    assert f"{row.forfeits} ended by its own refused replies" in said.sentence
    assert "mean return" in words(found)


def test_where_nothing_is_won_there_is_no_rate(tmp_path: Path) -> None:
    found = look("stones_and_gems", episodes=4)
    [row] = found.matches
    assert (row.unjudged, row.wins, row.losses) == (4, 0, 0)
    metrics = evaluation_metrics(found)
    assert "alone/win_rate" not in metrics and metrics["alone/mean_return"] == row.mean_return
    text = words(found)
    assert "no verdict" in text and "0%" not in text
    assert "no verdict, mean return" in headline(found).sentence
    save_evaluation(tmp_path / "e.json", found)
    assert load_evaluation(tmp_path / "e.json") == found


class Gone(RandomPlayer):
    """Answers in the first half of its matches, then never again."""

    left = 12

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        """An error a request, once nobody is there."""
        self.left -= len(requests)
        failed = [Reply(error="connection refused") for _ in requests]
        return super().choose(requests) if self.left > 0 else failed


def test_matches_that_an_error_ended_are_said() -> None:
    options = {"game": load_game("tic_tac_toe", {}), "prompt": PromptSection(), "questions": ()}
    section = EvaluationSection(episodes=8, opponents=[PlayerSection(player="random")])
    found = evaluate(Subject("before", "them", Gone()), section, seed=1, **options)
    [row] = [row for row in found.matches if row.seat is None]
    assert 0 < row.errors <= row.games == 8
    assert f"{row.errors} of 8 matches against random, by an error" in words(found)
    whole = evaluate(Subject("before", "them", RandomPlayer()), section, seed=1, **options)
    assert "by an error" not in words(whole)
