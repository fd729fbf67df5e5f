"""The oracle's reward: what a move gives away against best play."""

from collections.abc import Sequence

import pytest
from judged_matches import GAMES, Talker, game_of, judged, losses, play, random_matches

from tesuji.core.errors import GameError, RecipeError
from tesuji.core.types import Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.reply_rules import TurnRules
from tesuji.episodes.rewards import oracle as oracle_term
from tesuji.episodes.rewards.base import Judged
from tesuji.episodes.rewards.oracle import Oracle
from tesuji.episodes.rewards.total import make_terms
from tesuji.games.catalogue import load_game
from tesuji.players.base import MoveRequest, Reply
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.basic.scripted import ScriptedPlayer
from tesuji.recipe.schema.play import RewardTerm


def test_the_oracle_takes_off_what_a_move_loses():
    terms = make_terms({"oracle": RewardTerm(weight=1.0)}, game_of)
    seen = set()
    for episode in random_matches("tic_tac_toe", 25, opening=3):
        found = [iter(terms(episode, seat).total) for seat in (0, 1)]
        for place, turn in enumerate(episode.turns):
            value = next(found[turn.seat])
            if place >= 3:
                assert value == losses(episode, place)[turn.move.id]
                seen.add(value)
    assert seen == {0.0, -1.0, -2.0}


def test_an_oracle_that_names_one_move_costs_one_for_another():
    episode = play("x(0,0)", "x(2,2)", rules=TurnRules(max_moves=4))
    first = {"weight": 1.0, "player": "scripted"}  # the first legal move
    assert judged(episode, 0, oracle=first).total == (0.0, -1.0)
    assert judged(play("?", "?"), 0, oracle=first).total == (-2.0,)


def test_an_oracle_that_searches_takes_its_options():
    episode = play("x(1,0)", "x(1,1)", "x(1,2)")
    searched = {"weight": 1.0, "player": "mcts", "simulations": 400}
    assert judged(episode, 0, oracle=searched).total[-1] == 0.0, "the winning move"


def test_an_oracle_does_not_take_a_board_for_the_whole_situation(monkeypatch):
    """In go the same board has another best move where another stone was taken before."""
    game = load_game("go", {"board_size": 2})
    tasks = [Task("go", seed, ("random", "random"), {"board_size": 2}) for seed in range(200)]
    episodes = play_matches(tasks, game=game, players={"random": RandomPlayer()})
    turns = [Judged(episode, game, at) for episode in episodes for at in range(len(episode.turns))]
    remembering = Oracle()
    found = [remembering(at) for at in turns]
    monkeypatch.setattr(oracle_term, "REMEMBERED", 0)
    forgetting = Oracle()
    assert found == [forgetting(at) for at in turns]
    boards: dict[tuple[int, str, int], set[float]] = {}
    for at, value in zip(turns, found, strict=True):
        boards.setdefault((at.turn.seat, at.turn.observation, at.turn.move.id), set()).add(value)
    assert any(len(values) > 1 for values in boards.values()), "else this shows nothing"


class Counting(ScriptedPlayer):
    """Plays the first legal move and counts how often it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        self.asked += len(requests)
        return super().choose(requests)


def test_an_oracle_is_asked_once_for_what_a_seat_cannot_tell_apart(monkeypatch):
    player = Counting()
    monkeypatch.setattr(oracle_term, "make_player", lambda section, game: player)
    term = Oracle("ismcts")
    episodes = random_matches("kuhn_poker", 60)
    assert len({episode.seed for episode in episodes}) == 60
    for episode in episodes:
        for place in range(len(episode.turns)):
            term(Judged(episode, GAMES["kuhn_poker"], place))
    assert 6 < player.asked <= 12, "3 cards, 4 lines of play"


def test_an_oracle_forgets_the_oldest_first(monkeypatch):
    monkeypatch.setattr(oracle_term, "REMEMBERED", 2)
    player = Counting()
    monkeypatch.setattr(oracle_term, "make_player", lambda section, game: player)
    term, episode = Oracle("mcts"), play("x(1,0)", "x(1,1)", "x(1,2)")
    asked = []
    for place in (0, 1, 1, 2, 1, 0):
        term(Judged(episode, GAMES["tic_tac_toe"], place))
        asked.append(player.asked)
    assert asked == [1, 2, 2, 3, 3, 4]


@pytest.mark.parametrize(("words", "worth"), [("x(1,1).", -1.0), ("x(1,0)", 0.0), ("hm", 0.0)])
def test_an_oracle_that_answers_in_words_is_read_and_no_move_is_no_judgement(
    words: str, worth: float, monkeypatch
):
    monkeypatch.setattr(oracle_term, "make_player", lambda section, game: Talker(words, words))
    episode = play("x(1,0)", "?", "?")
    assert Oracle("mcts")(Judged(episode, GAMES["tic_tac_toe"], 0)) == worth


def test_an_oracle_that_names_no_move_without_words_is_refused(monkeypatch):
    monkeypatch.setattr(oracle_term, "make_player", lambda section, game: Talker(""))
    with pytest.raises(GameError, match="talker cannot judge moves of tic_tac_toe: it names no"):
        Oracle("mcts")(Judged(play("x(1,0)", "?", "?"), GAMES["tic_tac_toe"], 0))


def test_a_player_that_does_not_exist_is_refused_before_anything_isplay_on():
    with pytest.raises(RecipeError) as caught:
        make_terms({"oracle": RewardTerm(weight=1.0, player="minmax")}, game_of)
    assert "rewards.oracle.player: there is no player 'minmax'" in str(caught.value)
    assert "did you mean minimax?" in str(caught.value)


def test_an_oracle_that_cannot_play_the_game_says_so():
    [episode] = random_matches("kuhn_poker", 1)
    with pytest.raises(GameError, match="minimax cannot play kuhn_poker"):
        judged(episode, 0, oracle=1.0)
