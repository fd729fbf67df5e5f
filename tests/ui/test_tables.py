"""The tables of Play, without any page: a match by hand is a match of the arena."""

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tesuji.core.errors import DataError, EngineError, IllegalMove
from tesuji.core.types import Ending, Episode, Move, Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.reply_rules import TurnRules
from tesuji.episodes.store import read_episodes
from tesuji.games.catalogue import load_game
from tesuji.players.base import MoveRequest, OneByOne, Player, Reply
from tesuji.players.basic.random import RandomPlayer
from tesuji.serve.ui.play.setting import Seat, Setting
from tesuji.serve.ui.play.table import Table
from tesuji.serve.ui.play.tables import Tables

PERSON = Seat("person")
RANDOM = Seat("random", lambda progress: RandomPlayer())


class Speaks(OneByOne):
    """Says these words, one after another, then the first legal move."""

    def __init__(self, *words: str) -> None:
        self.name, self.words = "speaks", list(words)
        self.asked = 0

    def reply(self, request: MoveRequest) -> Reply:
        self.asked += 1
        if self.words:
            return Reply(self.words.pop(0))
        return Reply(request.legal[0].text if request.legal else "well")


class Chooses(OneByOne):
    """Chooses as a person at a page did."""

    name = "person"

    def __init__(self, moves: Sequence[Move]) -> None:
        self.moves = iter(moves)

    def reply(self, request: MoveRequest) -> Reply:
        return Reply(move=next(self.moves))


def seat_of(player: Player) -> Seat:
    return Seat(player.name, lambda progress: player)


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[Tables]:
    before = set(threading.enumerate())
    opened = Tables(tmp_path / "played" / "episodes.jsonl")
    yield opened
    opened.close()
    assert [thread for thread in threading.enumerate() if thread not in before] == []


def game_of(name: str, *seats: Seat, **more: Any) -> Setting:
    return Setting(load_game(name), seats, save=True, **more)


def play_on(table: Table, choose: Any = lambda legal: legal[0]) -> list[Move]:
    """Take the person's turns until it is over; return its moves."""
    moves = []
    while True:
        table.wait(10)
        now = table.now()
        if now.stage != "waiting":
            return moves
        moves.append(choose(now.scene.legal))
        table.move(now.scene.played, number=moves[-1].id)


@pytest.mark.parametrize("name", ["tic_tac_toe", "kuhn_poker", "breakthrough", "goofspiel"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_match_by_hand_is_the_same_as_in_the_arena(name: str, place: int) -> None:
    kept: list[Episode] = []
    seats = (PERSON, RANDOM) if place == 0 else (RANDOM, PERSON)
    setting = game_of(name, *seats, seed=11)
    table = Table(setting, kept.append)
    moves = play_on(table, lambda legal: legal[-1])
    table.close()
    [expected] = play_matches(
        [Task(name, 11, setting.names, setting.game.options)],
        game=setting.game,
        players={"person": Chooses(moves), "random": RandomPlayer()},
    )
    assert kept == [expected] and table.now().scene.episode == expected


@pytest.mark.parametrize("on_illegal", ["forfeit", "random"])
def test_replies_are_read_by_the_rules_of_evaluation(on_illegal: Any) -> None:
    kept: list[Episode] = []
    rules = TurnRules(on_illegal=on_illegal)
    words = ("I resign", "no idea")
    setting = game_of("tic_tac_toe", PERSON, seat_of(Speaks(*words)), rules=rules)
    moves = play_on(table := Table(setting, kept.append))
    table.close()
    [expected] = play_matches(
        [Task("tic_tac_toe", 0, setting.names)],
        game=setting.game,
        players={"person": Chooses(moves), "speaks": Speaks(*words)},
        rules=rules,
    )
    assert kept == [expected]
    assert kept[0].turns[1].retried and kept[0].turns[1].move is None
    assert (kept[0].ending is Ending.FORFEIT) == (on_illegal == "forfeit")


def test_a_persons_words_are_read_as_in_the_terminal() -> None:
    table = Table(game_of("tic_tac_toe", PERSON, RANDOM), lambda episode: None)
    table.wait(10)
    with pytest.raises(IllegalMove, match="Not a legal move"):
        table.move(0, words="the middle")
    table.move(0, words=" X(1,1) ")
    table.wait(10)
    assert table.now().scene.turns[0].played == Move(4, "x(1,1)")
    table.close()


def test_a_move_for_an_earlier_position_is_not_taken() -> None:
    table = Table(game_of("tic_tac_toe", PERSON, RANDOM), lambda episode: None)
    table.wait(10)
    table.move(0, number=4)
    table.wait(10)
    table.move(0, number=table.now().scene.legal[0].id)
    assert table.now().stage == "waiting" and table.now().scene.played == 2
    table.close()


def test_a_move_taken_back_leaves_the_others_as_they_played() -> None:
    speaks = Speaks()
    table = Table(game_of("tic_tac_toe", PERSON, seat_of(speaks), seed=5), lambda episode: None)
    for number in (4, 8):
        table.wait(10)
        table.move(table.now().scene.played, number=number)
    table.wait(10)
    before, asked = table.now().scene, speaks.asked
    assert before.played == 4 and asked == 2
    table.take_back()
    table.wait(10)
    again = table.now().scene
    assert again.turns == before.turns[:2] and speaks.asked == asked
    table.move(2, number=8)
    table.wait(10)
    assert table.now().scene.turns == before.turns
    table.take_back()
    table.wait(10)
    table.take_back()
    table.wait(10)
    assert table.now().scene.played == 0 and not table.now().can_take_back
    with pytest.raises(IllegalMove, match="no move to take back"):
        table.take_back()
    table.close()


def test_what_is_hidden_from_a_seat_is_not_on_its_table_before_the_end() -> None:
    for seed in range(6):
        table = Table(game_of("kuhn_poker", PERSON, RANDOM, seed=seed), lambda episode: None)
        table.wait(10)
        match = load_game("kuhn_poker").start(seed)
        scene = table.now().scene
        assert scene.text == match.observe(0) and scene.turns == ()
        table.move(0, number=0)  # pass: the other may bet
        table.wait(10)
        scene = table.now().scene
        if scene.episode is None:
            assert [turn.seat for turn in scene.turns] == [0]
            assert match.render() not in scene.text
        else:
            assert len(scene.turns) == 2 and not table.can_take_back
        table.close()


def test_two_players_are_looked_on() -> None:
    table = Table(game_of("tic_tac_toe", RANDOM, RANDOM), lambda episode: None)
    table.wait(20)
    now = table.now()
    assert now.scene.episode is not None and len(now.scene.turns) == now.scene.played >= 5
    table.close()


def test_a_player_that_fails_is_told_in_words() -> None:
    def fails(progress: Any) -> Player:
        raise EngineError("the model is gone", hint="train it again")

    table = Table(game_of("tic_tac_toe", PERSON, Seat("model", fails)), lambda episode: None)
    table.wait(10)
    assert table.now().stage == "broken" and "the model is gone" in table.now().words
    table.close()


def test_loading_is_told_as_it_goes() -> None:
    go_on, told = threading.Event(), threading.Event()

    def opens(progress: Any) -> Player:
        progress.begin("reading weights", 10)
        progress.update(3)
        told.set()
        go_on.wait(10)
        return RandomPlayer()

    table = Table(game_of("tic_tac_toe", Seat("slow", opens), PERSON), lambda episode: None)
    assert told.wait(10) and table.now().busy and table.now().words == "reading weights 3 of 10"
    go_on.set()
    table.wait(10)
    assert table.now().stage == "waiting"
    table.close()


def test_finished_matches_are_kept_and_others_are_not(tables: Tables) -> None:
    done, left = (tables.open(game_of("tic_tac_toe", PERSON, RANDOM, seed=n)) for n in (1, 2))
    play_on(tables.get(done))
    tables.get(left).wait(10)
    tables.leave(left)
    [episode] = read_episodes(tables.file)
    assert episode.seed == 1 and episode.players == ("person", "random")
    with pytest.raises(DataError, match="no such table"):
        tables.get(left)


def test_tables_nobody_looks_at_are_cleared_away(tmp_path: Path) -> None:
    tables = Tables(tmp_path / "episodes.jsonl", most=2, idle=3600, young=0.05)
    first, second = (tables.open(game_of("tic_tac_toe", PERSON, RANDOM)) for _ in range(2))
    with pytest.raises(DataError, match="all 2 tables are taken"):
        tables.open(game_of("tic_tac_toe", PERSON, RANDOM))
    time.sleep(0.1)
    tables.get(first)
    third = tables.open(game_of("tic_tac_toe", PERSON, RANDOM))
    assert len(tables) == 2 and tables.get(first) and tables.get(third)
    with pytest.raises(DataError):
        tables.get(second)
    tables.idle = 0.05
    time.sleep(0.1)
    tables.get(third)
    assert len(tables) == 1
    tables.close()


def test_the_file_is_whole_whatever_ends_meanwhile(tables: Tables) -> None:
    names = [tables.open(game_of("tic_tac_toe", PERSON, RANDOM, seed=n)) for n in range(20)]
    threads = [threading.Thread(target=play_on, args=(tables.get(name),)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {episode.seed for episode in read_episodes(tables.file)} == set(range(20))


def test_what_is_held_of_the_moves_is_shown_when_asked_for() -> None:
    """The oracle of tic-tac-toe is exact: x has two in a row and o must stop it."""
    table = Table(game_of("tic_tac_toe", PERSON, PERSON), lambda episode: None)
    for number in (0, 4, 1):
        table.wait(10)
        table.move(table.now().scene.played, number=number)
    table.wait(10)
    assert table.now().scene.thoughts is None
    table.think(True)
    table.wait(20)
    thoughts = table.now().scene.thoughts
    assert thoughts.model is None and thoughts.oracle.best == {2}
    assert table.now().stage == "waiting" and table.now().scene.played == 3
    table.move(3, number=2)
    table.wait(20)
    assert table.now().scene.thoughts.oracle.best == {6}
    table.think(False)
    table.wait(10)
    assert table.now().scene.thoughts is None
    table.close()


def test_an_oracle_of_hidden_cards_says_what_the_seat_itself_can_know() -> None:
    """Kuhn's equilibrium, known in closed form: with the jack a bet is called never, with the king
    always."""
    found = {}
    for seed in range(20):
        table = Table(game_of("kuhn_poker", PERSON, PERSON, seed=seed), lambda episode: None)
        table.think(True)
        table.wait(30)
        table.move(0, number=1)
        table.wait(30)
        card = table.now().scene.text[0]
        found.setdefault(card, []).append(table.now().scene.thoughts.oracle.chances[1])
        table.close()
    assert max(found["0"]) < 0.01 and min(found["2"]) > 0.99
    assert all(max(chances) == min(chances) for chances in found.values())


def test_players_that_think_for_long_do_not_keep_a_server_from_ending(tmp_path: Path) -> None:
    """All tables are waited for together, and each thread ends once its player has answered."""
    go_on = threading.Event()

    class Thinks(OneByOne):
        name = "thinks"

        def reply(self, request: MoveRequest) -> Reply:
            go_on.wait(60)
            return Reply(move=request.legal[0])

    tables = Tables(tmp_path / "episodes.jsonl")
    threads = set(threading.enumerate())
    for _ in range(4):
        tables.open(game_of("tic_tac_toe", seat_of(Thinks()), PERSON))
    began = time.monotonic()
    tables.close()
    assert time.monotonic() - began < 9
    go_on.set()
    for thread in set(threading.enumerate()) - threads:
        thread.join(10)
        assert not thread.is_alive()
    assert not tables.file.exists()
