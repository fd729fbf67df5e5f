"""What stands beside a figure: the same before training, trivial rules, what changed."""

import io
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from made_run import careful, careless, evaluation, make_run, matches
from rich.console import Console

from tesuji.core.files import read_json, write_json
from tesuji.core.statistics import Interval, share
from tesuji.evaluation.held_out.results import Likelihood, Preferences, RowsScore
from tesuji.evaluation.results import Evaluation
from tesuji.learners.rl.train import why_ended
from tesuji.learners.trainer.summary import cut_words
from tesuji.report.collect import collect
from tesuji.report.headline import NO_CHANGE, headline
from tesuji.report.tables.held_out import sentences
from tesuji.report.tables.matches import evaluation_table
from tesuji.report.views.run import view


def rows(summed: int, per_token: int, nats: float, **changes: object) -> RowsScore:
    nothing = Interval(0.0, 1.0)

    def of(right: int):
        return share([True] * right + [False] * (100 - right))

    score = RowsScore(
        rows=100,
        lost=0,
        cut=0,
        dropped=0,
        pairs_cut=0,
        pairs_dropped=0,
        prompts_cut=0,
        temperature=0.0,
        seconds=summed / 7,
        likelihood=Likelihood(100, 10, 900, nats, nothing, 9 * nats),
        preferences=Preferences(
            100, 0, of(summed), of(per_token), 0.1, nothing, shorter=of(83), longer=of(15)
        ),
    )
    return replace(score, **changes)  # type: ignore[arg-type]


def look(label: str, score: RowsScore) -> Evaluation:
    empty = evaluation(label, matches(careful, label), 0.5, True)
    return replace(empty, matches=(), baseline=(), certificates=(), rows=score)


def test_the_headline_of_preferences_says_what_they_are_to_be_held_against() -> None:
    before, after = look("before", rows(45, 52, 1.0)), look("after dpo", rows(81, 55, 2.0))
    sentence = headline(after, before).sentence
    assert "81% of 100 pairs (45% before; per token 55%, 52% before; " in sentence
    assert "always the shorter one 83%)" in sentence
    assert "perplexity on other people's replies is 7.39 (2.72 before)" in sentence
    assert NO_CHANGE not in sentence
    alone = headline(after).sentence
    assert "before" not in alone and "per token 55%; always the shorter one 83%" in alone


def test_before_and_after_that_are_equal_are_said_to_be() -> None:
    one = look("before", rows(45, 52, 1.0))
    other = replace(one, label="after sft", model="runs/x", seconds=99.0)
    other = replace(other, rows=replace(rows(45, 52, 1.0), seconds=17.0))
    assert headline(other, one).sentence.endswith(NO_CHANGE)
    changed = replace(other, rows=rows(45, 53, 1.0))
    assert NO_CHANGE not in headline(changed, one).sentence
    played = evaluation("before", matches(careful, "before"), 0.5, True)
    assert NO_CHANGE in headline(replace(played, label="after"), played).sentence
    worse = evaluation("after", matches(careless, "after"), 0.5, True)
    assert NO_CHANGE not in headline(worse, played).sentence


@pytest.mark.parametrize(
    ("cut", "of", "words"),
    [
        (0, 10, ()),
        (3, 10, ("prompts that lost their beginning: 3",)),
        (
            6,
            10,
            (
                "prompts that lost their beginning: 6",
                "most of them were cut (6 of 10), so they are not what they were:"
                " write max_length: auto",
            ),
        ),
    ],
)
def test_cutting_that_hits_most_rows_is_warned_of(
    cut: int, of: int, words: tuple[str, ...]
) -> None:
    assert cut_words(cut, of) == words


def test_held_out_rows_that_were_mostly_cut_are_warned_of() -> None:
    few, many = (rows(45, 52, 1.0, cut=n, pairs_cut=n) for n in (20, 80))
    assert not any("raise max_length" in line for line in sentences(few))
    assert [
        line for line in sentences(many) if "of 100, most of them: raise max_length" in line
    ] == (sentences(many))


def test_best_step_0_is_said_in_words(tmp_path: Path) -> None:
    none = SimpleNamespace(stopped=False, best_step=0)
    assert "the model before training was best" in why_ended(none, True)  # type: ignore[arg-type]
    some = SimpleNamespace(stopped=False, best_step=40)
    assert why_ended(some, True) == "all steps done; step 40 was best"  # type: ignore[arg-type]
    run = make_run(tmp_path / "run")
    [stage] = (run / "stages").glob("*-sft")
    written = read_json(stage / "training.json")
    write_json(stage / "training.json", {**written, "best_step": 0, "best_score": 0.4})
    shown = dict(next(part["facts"] for part in view(collect(run))["training"]))
    assert shown["best step"].startswith("0: the model before training was the best one")


def test_at_80_columns_no_opponents_name_is_broken_in_two():
    """Even where every count takes its widest, before and after."""
    look = evaluation("before", matches(careless, "before"), 0.5, beaten=True)
    wide, low = Interval(0.34, 1.0), Interval(0.0, 0.66)
    rows = tuple(
        replace(r, wins=r.games, draws=0, losses=0, win_interval=wide, loss_interval=low)
        if r.seat == 0
        else replace(r, wins=0, draws=0, losses=r.games, win_interval=low, loss_interval=wide)
        for r in look.matches
    )
    look = replace(look, matches=rows)
    console = Console(file=io.StringIO(), width=80)
    console.print(evaluation_table(look, look, width=80))
    assert {"mcts", "(simulations=100)", "minimax"} <= set(console.file.getvalue().split())
