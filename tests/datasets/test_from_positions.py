"""Positions, labels, splits and the data stage."""

import json
from pathlib import Path

import pytest

from tesuji.core.errors import DataError, GameError
from tesuji.core.files import read_json
from tesuji.datasets.files import example_row, read_rows
from tesuji.datasets.from_positions.files import position_row, read_positions
from tesuji.datasets.from_positions.label import label
from tesuji.datasets.from_positions.positions import (
    all_positions,
    key_of_position,
    sampled_positions,
)
from tesuji.datasets.from_positions.split import held_out_keys, on_path_keys
from tesuji.datasets.from_positions.stage import make_data
from tesuji.datasets.from_positions.symmetry import symmetry_class
from tesuji.games.base import play_through
from tesuji.games.catalogue import load_game
from tesuji.players.base import Player, Reply
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.search.mcts import MCTSPlayer
from tesuji.players.search.minimax import MinimaxPlayer
from tesuji.recipe.schema.recipe import Recipe

TTT = load_game("tic_tac_toe", {})
LABELLED = list(label(TTT, all_positions(TTT), MinimaxPlayer()))
BEST = {item.position.key: item.best for item in LABELLED}


def recipe(**data) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "a",
            "game": "tic_tac_toe",
            "prompt": {"style": "compact", "answer": "id"},
            "stages": {"data": data},
        }
    )


def made(out: Path, **data) -> dict:
    chosen = recipe(**data)
    return make_data(chosen, chosen.stages["data"], TTT, out)


def class_of(item) -> str:
    return symmetry_class(item.position.seat, item.position.match.observe(item.position.seat))


def test_tic_tac_toe_has_its_4520_positions_in_627_classes():
    assert len(LABELLED) == 4520
    assert len({item.position.key for item in LABELLED}) == 4520
    assert len({class_of(item) for item in LABELLED}) == 627


def test_every_position_can_be_reached_by_its_moves():
    for item in LABELLED[::97]:
        match = play_through(TTT.start(0), item.position.moves)
        assert match.observe(item.position.seat) == item.position.match.observe(item.position.seat)


def test_turned_and_mirrored_boards_are_one_class_and_sides_are_not():
    boards = ["x..\n...\n..o", "..x\n...\no..", "o..\n...\n..x", "..o\n...\nx.."]
    assert len({symmetry_class(0, board) for board in boards}) == 1
    assert symmetry_class(0, boards[0]) != symmetry_class(1, boards[0])
    assert symmetry_class(0, "x..\n...\n..o") != symmetry_class(0, "x..\n..o\n...")
    wide = "x..\n..."
    assert symmetry_class(0, wide) == symmetry_class(0, "...\n..x")
    assert symmetry_class(0, "my cards: K Q") == "0|my cards: K Q"


def test_games_without_a_list_of_positions_say_what_to_do():
    for name in ("kuhn_poker", "pig", "matrix_rps"):
        with pytest.raises(GameError, match="positions: sampled"):
            all_positions(load_game(name, {}))


def test_a_game_too_big_is_refused_before_memory_is_gone(monkeypatch):
    monkeypatch.setattr("tesuji.datasets.from_positions.positions.ALL_LIMIT", 500)
    with pytest.raises(GameError, match="more than 500 positions"):
        all_positions(load_game("connect_four", {}))


@pytest.mark.parametrize("name", ["connect_four", "kuhn_poker", "pig"])
def test_sampled_positions_are_distinct_and_follow_from_the_seed(name):
    game = load_game(name, {})
    count = 12 if name == "kuhn_poker" else 60
    first = sampled_positions(game, [RandomPlayer(), RandomPlayer()], count, seed=1)
    again = sampled_positions(game, [RandomPlayer(), RandomPlayer()], count, seed=1)
    assert [p.key for p in first] == [p.key for p in again]
    assert len({p.key for p in first}) == len(first) == count
    for position in first:
        assert position.match.to_act[0] == position.seat


def test_a_game_with_few_positions_gives_what_it_has():
    found = sampled_positions(load_game("kuhn_poker", {}), [RandomPlayer()], 10_000, seed=1)
    assert len(found) == 12


@pytest.mark.parametrize("among", ["all", "off_path"])
def test_no_class_stands_on_both_sides_of_a_split(among):
    barred = on_path_keys(TTT, BEST) if among == "off_path" else frozenset()
    hidden = held_out_keys(LABELLED, share=0.2, barred=barred, seed=3)
    sides = {True: set(), False: set()}
    for item in LABELLED:
        sides[item.position.key in hidden].add(class_of(item))
    assert sides[True]
    assert not sides[True] & sides[False]
    assert hidden == held_out_keys(LABELLED, share=0.2, barred=barred, seed=3)
    assert hidden != held_out_keys(LABELLED, share=0.2, barred=barred, seed=4)


def test_off_path_holds_out_only_what_sound_play_does_not_reach():
    on_path = on_path_keys(TTT, BEST)
    hidden = held_out_keys(LABELLED, share=1.0, barred=on_path, seed=1)
    assert not on_path & hidden
    best = {item.position.key: item for item in LABELLED}
    match = TTT.start(0)
    for step in range(9):  # a game in which both sides follow the oracle stays on the path
        if not match.to_act:
            break
        seat = match.to_act[0]
        key = f"{seat}|{match.observe(seat)}"
        assert key in on_path
        moves = best[key].best
        match.play(seat, moves[step % len(moves)])


def test_on_path_teaches_what_one_who_plays_the_taught_moves_can_meet_and_no_more(tmp_path: Path):
    made(tmp_path, positions="on_path", moves="one", held_out=0.5)
    train, held_out = (list(read_rows(tmp_path / f"{n}.jsonl")) for n in ("train", "held_out"))
    taught = {row.position: row.reply for row in train}
    assert len(taught) == len(train)
    met = set()
    for seat in (0, 1):
        open_ = [TTT.start(0)]
        while open_:
            match = open_.pop()
            if not match.to_act:
                continue
            key, legal = key_of_position(match, match.to_act[0]), match.legal_moves(match.to_act[0])
            if match.to_act[0] == seat:
                met.add(key)
                legal = [move for move in legal if str(move.id) == taught[key]]
                assert len(legal) == 1
            for move in legal:
                child = match.clone()
                child.play(match.to_act[0], move)
                open_.append(child)
    assert met == set(taught)
    classes = {item.position.key: class_of(item) for item in LABELLED}
    assert held_out
    assert not {classes[key] for key in taught} & {classes[row.position] for row in held_out}


def test_the_stage_writes_rows_positions_and_statistics_that_agree(tmp_path: Path):
    found = made(tmp_path, held_out=0.1)
    train, held_out = (list(read_rows(tmp_path / f"{n}.jsonl")) for n in ("train", "held_out"))
    assert found == read_json(tmp_path / "dataset_statistics.json")
    assert (len(train), len(held_out)) == (found["train_rows"], found["held_out_rows"])
    positions = list(read_positions(tmp_path / "positions.jsonl", TTT))
    hidden = {item.position.key for item, split in positions if split == "held_out"}
    assert len(positions) == found["positions"] == 4520
    assert len(hidden) == found["held_out_positions"]
    assert {row.position for row in held_out} == hidden
    assert not {row.position for row in train} & hidden
    best = {item.position.key: {str(m.id) for m in item.best} for item, _ in positions}
    taught: dict[str, set[str]] = {}
    for row in train + held_out:
        taught.setdefault(row.position, set()).add(row.reply)
    assert taught == best


def test_one_move_a_position_when_asked(tmp_path: Path):
    found = made(tmp_path, held_out=0.0, moves="one")
    assert found["train_rows"] == 4520


def test_template_thoughts_stand_in_front_of_the_move(tmp_path: Path):
    made(tmp_path, held_out=0.0, moves="one", thoughts="template")
    rows = list(read_rows(tmp_path / "train.jsonl"))
    assert all(row.reply.startswith("<think>\nAs ") for row in rows)


def test_sampled_positions_labelled_by_search(tmp_path: Path):
    chosen = Recipe.model_validate(
        {
            "name": "a",
            "game": "connect_four",
            "stages": {
                "data": {
                    "positions": "sampled",
                    "num_positions": 50,
                    "oracle": {"player": "mcts", "simulations": 20},
                }
            },
        }
    )
    game = load_game("connect_four", {})
    found = make_data(chosen, chosen.stages["data"], game, tmp_path)
    assert found["positions"] == 50
    assert found["oracle"] == "mcts(simulations=20)"
    row = next(read_rows(tmp_path / "train.jsonl"))
    assert "Legal Actions:" in row.prompt[0]["content"]


def test_holding_out_everything_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="no rows to train on"):
        made(tmp_path, positions="sampled", num_positions=1, held_out=0.99)


def test_an_oracle_that_does_not_fit_the_game_is_refused():
    game = load_game("kuhn_poker", {})
    positions = sampled_positions(game, [RandomPlayer()], 3, seed=1)
    for oracle in (MinimaxPlayer(), MCTSPlayer()):
        with pytest.raises(GameError, match="kuhn_poker"):
            list(label(game, positions, oracle))


class Talker(Player):
    name = "talker"

    def __init__(self, text: str) -> None:
        self.text = text

    def choose(self, requests):
        return [Reply(text=self.text) for _ in requests]


def test_an_oracle_that_answers_in_words_is_read_and_one_that_says_nothing_is_refused():
    some = all_positions(TTT)[:1]
    [item] = label(TTT, some, Talker("I like x(1,1)."))
    assert [move.text for move in item.best] == ["x(1,1)"]
    assert list(label(TTT, some, Talker("hm"))) == []
    with pytest.raises(GameError, match="talker cannot label positions: it names no move"):
        list(label(TTT, some, Talker("")))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("[1]", "JSON object"),
        ('{"prompt": "a"}', "completion"),
        ('{"prompt": "a", "completion": ""}', "completion"),
        ('{"prompt": [], "completion": "b"}', "prompt"),
        ('{"prompt": [{"role": "user"}], "completion": "b"}', "prompt"),
        ('{"completion": "b"}', "prompt"),
    ],
)
def test_a_wrong_row_names_its_line(tmp_path: Path, row: str, message: str):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "fine", "completion": "x"}\n' + row + "\n")
    with pytest.raises(DataError, match=message) as caught:
        list(read_rows(path))
    assert "rows.jsonl:2" in str(caught.value)


def test_rows_of_other_peoples_are_read(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"prompt": "2+2?", "response": "4"}) + "\n")
    (row,) = read_rows(path)
    assert row.prompt == ({"role": "user", "content": "2+2?"},)
    assert row.reply == "4"


def test_the_weight_of_older_files_is_passed_over(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    row = {"prompt": "2+2?", "completion": "4", "position": "p"}
    path.write_text("".join(json.dumps(row | {"weight": w}) + "\n" for w in (0.25, 1.0, None)))
    first, *others = read_rows(path)
    assert others == [first] * 2
    assert "weight" not in example_row(first)


def test_positions_of_another_game_are_refused(tmp_path: Path):
    made(tmp_path, held_out=0.1)
    with pytest.raises(DataError, match=r"positions\.jsonl:"):
        list(read_positions(tmp_path / "positions.jsonl", load_game("connect_four", {})))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seat": 1}, "seat 1 is not to move there"),
        ({"seat": 1e400}, "infinity"),
        ({"key": "0|xxx"}, "not to '0|xxx'"),
        ({"best": []}, "best moves"),
        ({"best": [[99, "x(9,9)"]]}, "best moves"),
        ({"best": [3]}, "not a position"),
        ({"moves": [[0, [99, "x(9,9)"]]]}, "not a position"),
        ({"moves": "abc"}, "not a position"),
        ({"seed": None}, "not a position"),
    ],
)
def test_a_broken_position_names_its_line(tmp_path: Path, changes: dict, message: str):
    row = position_row(LABELLED[0], "trained")
    path = tmp_path / "positions.jsonl"
    path.write_text(json.dumps(row) + "\n" + json.dumps(row | changes) + "\n")
    with pytest.raises(DataError, match=message) as caught:
        list(read_positions(path, TTT))
    assert "positions.jsonl:2" in str(caught.value)


def test_a_position_without_a_key_says_so(tmp_path: Path):
    path = tmp_path / "positions.jsonl"
    path.write_text('{"seat": 0}\n')
    with pytest.raises(DataError, match="'moves' is missing"):
        list(read_positions(path, TTT))


def test_the_path_of_sound_play_is_not_guessed_where_labels_are_missing():
    with pytest.raises(DataError, match="named no move") as refused:
        on_path_keys(TTT, dict(list(BEST.items())[:50]))
    assert refused.value.where == "stages.data.oracle", "with on_path, held_out_from is not set"


def test_off_path_is_refused_in_a_recipe_that_samples_positions():
    with pytest.raises(ValueError, match="off_path needs positions: all"):
        recipe(positions="sampled", held_out_from="off_path")


def test_nobody_to_sample_from_is_refused_in_a_recipe():
    with pytest.raises(ValueError, match="at least one player"):
        recipe(positions="sampled", sampled_by=[])


def test_a_search_to_a_depth_claims_wins_and_losses_but_no_draws(tmp_path: Path):
    game = load_game("connect_four", {})
    chosen = Recipe.model_validate(
        {
            "name": "a",
            "game": "connect_four",
            "prompt": {"style": "compact"},
            "stages": {
                "data": {
                    "positions": "sampled",
                    "num_positions": 150,
                    "thoughts": "template",
                    "oracle": {"player": "minimax", "depth": 2},
                }
            },
        }
    )
    make_data(chosen, chosen.stages["data"], game, tmp_path)
    thoughts = {row.reply.split("</think>")[0] for row in read_rows(tmp_path / "train.jsonl")}
    assert "<think>\nThis wins at once.\n" in thoughts
    assert not any("draw" in thought for thought in thoughts)
