import json
import math

import pytest

from tesuji.core.errors import DataError
from tesuji.evaluation.results import (
    Certificate,
    Evaluation,
    Interval,
    MatchScore,
    PositionScore,
    load_evaluation,
    save_evaluation,
)


def an_evaluation() -> Evaluation:
    third = Interval(0.1, 1 / 3)
    score = MatchScore(
        "mcts(simulations=100)", None, 10, 1, 7, 1, 1, 0, 0, 0, 40, 2, math.inf, third, third, third
    )
    return Evaluation(
        label="after sft",
        model="tiny",
        game="tic_tac_toe",
        matches=(score,),
        baseline=(),
        positions=(PositionScore("held_out", 50, 50, 45, 44, third),),
        certificates=(Certificate(0, "x", 99, 90, 8, 1, 0, 300, ("x(0,0)", "o(1,1)")),),
        temperature=0.0,
        seconds=1.25,
        seed=4,
    )


def test_an_evaluation_comes_back_as_it_was(tmp_path) -> None:
    path = tmp_path / "evaluation.json"
    save_evaluation(path, an_evaluation())
    assert load_evaluation(path) == an_evaluation()
    assert json.loads(path.read_text())["format"] == 1


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda row: row.update(format=2), "format 2"),
        (lambda row: row.pop("game"), "game"),
        (lambda row: row["matches"][0].update(wins="many"), "matches.0.wins"),
        (lambda row: row.update(elo=1500), "elo"),
    ],
)
def test_a_bad_file_names_itself_and_the_field(tmp_path, spoil, said) -> None:
    path = tmp_path / "evaluation.json"
    save_evaluation(path, an_evaluation())
    row = json.loads(path.read_text())
    spoil(row)
    path.write_text(json.dumps(row))
    with pytest.raises(DataError) as caught:
        load_evaluation(path)
    assert str(path) in str(caught.value)
    assert said in str(caught.value)


def test_a_missing_or_torn_file_is_one_clear_message(tmp_path) -> None:
    path = tmp_path / "evaluation.json"
    with pytest.raises(DataError, match="cannot read"):
        load_evaluation(path)
    path.write_text('{"format": 1,')
    with pytest.raises(DataError, match="not valid JSON"):
        load_evaluation(path)
