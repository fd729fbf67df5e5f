"""Reward terms on matches that the arena really played, forfeits and random openings included."""

import math
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata

import numpy as np
import pytest

from tesuji.core import plugins
from tesuji.core.errors import EngineError, GameError, RecipeError
from tesuji.core.types import Ending, Episode, Sampled, Task
from tesuji.episodes.arena import TurnRules, play_matches
from tesuji.episodes.rewards import oracle as oracle_term
from tesuji.episodes.rewards.base import Judged
from tesuji.episodes.rewards.oracle import Oracle
from tesuji.episodes.rewards.tictactoe import table_value
from tesuji.episodes.rewards.total import BUILT_IN, TurnRewards, make_terms, reward_names, score_of
from tesuji.games.base import play_through
from tesuji.games.catalogue import load_game
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.basic.random import RandomPlayer
from tesuji.players.basic.scripted import ScriptedPlayer
from tesuji.players.search.minimax import MinimaxPlayer, optimal_moves
from tesuji.recipe.schema.play import RewardTerm

GAMES = {name: load_game(name, {}) for name in ("tic_tac_toe", "kuhn_poker")}
FOR_OTHER_GAMES = ("tool_format", "wordle_partial", "wordle_turns", "wordle_bits")


def game_of(episode: Episode):
    return GAMES[episode.game]


class Talker(Player):
    """Says these texts one after the other, as a model of ours would: with tokens."""

    name = "talker"

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        return [self._say(self.texts.pop(0)) for _ in requests]

    def _say(self, text: str) -> Reply:
        ids = tuple(text.encode())
        return Reply(text=text, tokens=Sampled((1, 2, 3), ids, (-0.5,) * len(ids)))


def play(
    *texts: str,
    game: str = "tic_tac_toe",
    seat: int = 0,
    other: Player | None = None,
    opening: int = 0,
    seed: int = 0,
    rules: TurnRules | None = None,
) -> Episode:
    """One match of a talker in `seat` against `other` (default: the first legal move)."""
    labels = ("talker", "other") if seat == 0 else ("other", "talker")
    players = {"talker": Talker(*texts), "other": other or ScriptedPlayer()}
    task = Task(game, seed, labels, opening=opening)
    [episode] = play_matches([task], game=GAMES[game], players=players, rules=rules)
    return episode


def random_matches(game: str, count: int, opening: int = 0) -> list[Episode]:
    tasks = [Task(game, seed, ("random", "random"), opening=opening) for seed in range(count)]
    players = {"random": RandomPlayer()}
    return list(play_matches(tasks, game=GAMES[game], players=players))


def judged(episode: Episode, seat: int = 0, **weights: float | dict) -> TurnRewards:
    sections = {
        name: RewardTerm.model_validate(term if isinstance(term, dict) else {"weight": term})
        for name, term in weights.items()
    }
    return make_terms(sections, game_of)(episode, seat)


def test_returns_of_a_won_match_go_to_the_turn_that_won():
    episode = play("x(1,0)", "x(1,1)", "x(1,2)")
    assert judged(episode, 0, returns=1.0).total == (0.0, 0.0, 1.0)
    assert judged(episode, 1, returns=2.0).total == (0.0, -2.0)


@pytest.mark.parametrize("game", ["tic_tac_toe", "kuhn_poker"])
def test_returns_add_up_to_what_the_game_paid(game: str):
    for episode in random_matches(game, 30):
        for seat in (0, 1):
            found = judged(episode, seat, returns=1.0).total
            assert sum(found) == pytest.approx(episode.returns[seat])
            assert len(found) == sum(turn.seat == seat for turn in episode.turns)


def test_terms_are_weighted_added_and_kept_apart():
    episode = play("nonsense", "x(1,0)", "x(1,1)", "x(1,2)")
    found = judged(episode, 0, returns=1.0, legal=0.5, length={"weight": 2.0, "per": 10})
    assert found.parts["returns"] == (0.0, 0.0, 1.0)
    assert found.parts["legal"] == (-0.25, 0.0, 0.0)
    assert found.parts["length"] == pytest.approx((-2.8, -1.2, -1.2)), "both attempts cost"
    assert found.total == pytest.approx((-3.05, -1.2, -0.2))


def test_a_forfeit_is_paid_and_punished_at_the_turn_that_lost_the_match():
    episode = play("x(1,1)", "what?", "no idea")
    assert episode.ending is Ending.FORFEIT
    found = judged(
        episode, 0, returns=1.0, legal=1.0, format=1.0, oracle=1.0, tictactoe_table=1.0, length=1.0
    )
    assert found.parts["returns"] == (0.0, -1.0)
    assert found.parts["legal"] == (0.0, -1.0)
    assert found.parts["format"] == (1.0, 0.0)
    assert found.parts["tictactoe_table"] == (0.6, -1.0)
    assert found.parts["oracle"][1] < min(_losses(episode, 2).values())
    assert found.parts["length"] == pytest.approx((-0.06, -0.12))
    assert sum(judged(episode, 1, returns=1.0).total) == 1.0


def test_a_move_put_in_the_seats_place_is_not_taken_for_its_own():
    rules = TurnRules(retry=False, on_illegal="random", max_moves=2)
    episode = play("hm", seed=3, rules=rules)
    assert episode.turns[0].played is not None
    found = judged(episode, 0, legal=1.0, format=1.0, tictactoe_table=1.0)
    assert found.parts == {"legal": (-1.0,), "format": (0.0,), "tictactoe_table": (-1.0,)}


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - {*FOR_OTHER_GAMES, "reward_model"}))
def test_random_opening_moves_are_worth_nothing(name: str):
    checked = 0
    for episode in random_matches("tic_tac_toe", 10, opening=5):
        for seat in (0, 1):
            turns = [turn for turn in episode.turns if turn.seat == seat]
            found = judged(episode, seat, **{name: 1.0}).total
            opened = [value for t, value in zip(turns, found, strict=True) if not t.attempts]
            assert opened == [0.0] * len(opened)
            checked += len(opened)
    assert checked == 50


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("x(1,1)", 1.0),
        (" 4\n", 1.0),
        ("<think>the centre\nis best</think>\nx(1,1)", 1.0),
        ("I play x(1,1)", 0.0),
        ("x(1,1)!", 0.0),
        ("my move: 4", 0.0),
        ("X 1, 1", 0.0),
        ("<think>x(1,1)", 0.0),
    ],
)
def test_format_wants_the_answer_and_nothing_else(reply: str, value: float):
    episode = play(reply, rules=TurnRules(retry=False, on_illegal="random", max_moves=2))
    assert judged(episode, 0, format=1.0).total == (value,)


def test_format_looks_at_the_reply_that_counted():
    rules = TurnRules(max_moves=2)
    assert judged(play("hello", "4", rules=rules), 0, format=1.0).total == (1.0,)


def test_a_seat_that_never_had_a_turn_gets_no_rewards():
    episode = play("?", rules=TurnRules(retry=False))
    found = judged(episode, 1, returns=1.0)
    assert found == TurnRewards((), {"returns": ()})


def _losses(episode: Episode, place: int) -> dict[int, float]:
    """What each move at this turn loses, by a solver that knows nothing of the term."""
    moves = [(turn.seat, turn.played) for turn in episode.turns[:place]]
    match = play_through(GAMES[episode.game].start(episode.seed), moves)

    def best(match, seat) -> float:
        if not match.to_act:
            return match.returns()[seat]
        values = [
            best(after, seat) for after in map(_played(match), match.legal_moves(_who(match)))
        ]
        return max(values) if _who(match) == seat else min(values)

    seat = _who(match)
    values = {m.id: best(_played(match)(m), seat) for m in match.legal_moves(seat)}
    return {move: value - max(values.values()) for move, value in values.items()}


def _who(match) -> int:
    return match.to_act[0]


def _played(match):
    def after(move):
        copy = match.clone()
        copy.play(_who(copy), move)
        return copy

    return after


def test_the_oracle_takes_off_what_a_move_loses():
    terms = make_terms({"oracle": RewardTerm(weight=1.0)}, game_of)
    seen = set()
    for episode in random_matches("tic_tac_toe", 25, opening=3):
        found = [iter(terms(episode, seat).total) for seat in (0, 1)]
        for place, turn in enumerate(episode.turns):
            value = next(found[turn.seat])
            if place >= 3:
                assert value == _losses(episode, place)[turn.move.id]
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


def test_an_oracle_that_answers_in_words_is_refused(monkeypatch):
    monkeypatch.setattr(oracle_term, "make_player", lambda section, game: Talker("x(1,1)"))
    with pytest.raises(GameError, match="talker cannot judge moves of tic_tac_toe: it answers in"):
        Oracle("mcts")(Judged(play("x(1,0)", "?", "?"), GAMES["tic_tac_toe"], 0))


def test_a_player_that_does_not_exist_is_refused_before_anything_is_played():
    with pytest.raises(RecipeError) as caught:
        make_terms({"oracle": RewardTerm(weight=1.0, player="minmax")}, game_of)
    assert "rewards.oracle.player: there is no player 'minmax'" in str(caught.value)
    assert "did you mean minimax?" in str(caught.value)


def test_an_oracle_that_cannot_play_the_game_says_so():
    [episode] = random_matches("kuhn_poker", 1)
    with pytest.raises(GameError, match="minimax cannot play kuhn_poker"):
        judged(episode, 0, oracle=1.0)


@pytest.mark.parametrize(
    ("board", "mark", "cell", "value"),
    [
        ("xx.oo....", "x", 2, 1.0),
        ("xx.oo....", "o", 2, 0.8),
        ("xx.oo....", "o", 5, 1.0),
        (".........", "x", 4, 0.6),
        (".........", "x", 8, 0.4),
        (".........", "x", 7, 0.2),
        ("x...o...x", "o", 2, 0.4),
    ],
)
def test_the_table(board: str, mark: str, cell: int, value: float):
    assert table_value(board, mark, cell) == value


def test_the_table_judges_both_seats_from_their_own_side():
    episode = play("o(1,1)", "o(0,2)", "o(2,0)", seat=1, other=ScriptedPlayer())
    assert [turn.move.text for turn in episode.turns[::2]] == ["x(0,0)", "x(0,1)", "x(1,0)"]
    assert judged(episode, 0, tictactoe_table=1.0).total == (0.4, 0.2, 0.2)
    assert judged(episode, 1, tictactoe_table=1.0).total == (0.6, 0.8, 1.0)


def test_the_table_is_wrong_as_often_as_its_description_says():
    """In every position that can be reached, is a best move of the table one of minimax's?"""
    solver, seen = MinimaxPlayer(), {}

    def visit(match) -> None:
        if not match.to_act:
            return
        seat = _who(match)
        mark, board = match.role(seat), "".join(match.observe(seat).split())
        if board in seen:
            return
        values = solver.solve(match)
        rated = {move: table_value(board, mark, move.id) for move in values}
        chosen = {move for move, value in rated.items() if value == max(rated.values())}
        right = set(optimal_moves(values))
        seen[board] = (mark, chosen.isdisjoint(right), not chosen <= right)
        for move in values:
            visit(_played(match)(move))

    visit(GAMES["tic_tac_toe"].start(0))
    of_x = [(never, not_always) for mark, never, not_always in seen.values() if mark == "x"]
    assert len(of_x) == 2423
    assert sum(never for never, _ in of_x) == 104
    assert sum(not_always for _, not_always in of_x) == 148
    assert "104 of the 2,423" in " ".join(table_value.__doc__.split())
    assert "148" in table_value.__doc__


def test_the_table_is_for_one_game():
    [episode] = random_matches("kuhn_poker", 1)
    with pytest.raises(RecipeError, match="tictactoe_table knows tic_tac_toe, not kuhn_poker"):
        judged(episode, 0, tictactoe_table=1.0)


def test_a_name_that_is_no_term():
    with pytest.raises(RecipeError) as caught:
        make_terms({"oracel": RewardTerm(weight=1.0)}, game_of)
    assert "there is no reward term 'oracel'" in str(caught.value)
    assert "did you mean oracle? known: returns, legal" in str(caught.value)


def test_an_option_that_the_term_does_not_have():
    with pytest.raises(RecipeError) as caught:
        make_terms({"length": RewardTerm(weight=1.0, each=3)}, game_of)
    assert "the reward term length has no option 'each'" in str(caught.value)
    assert "its options: weight, per" in str(caught.value)
    with pytest.raises(RecipeError, match=r"did you mean simulations\? its options"):
        make_terms({"oracle": RewardTerm(weight=1.0, simulation=3)}, game_of)


@pytest.mark.parametrize("per", [0, -5.0, "many", True, math.inf, math.nan])
def test_length_needs_a_number_of_tokens(per):
    with pytest.raises(RecipeError, match="per must be a number of tokens above 0"):
        make_terms({"length": RewardTerm(weight=1.0, per=per)}, game_of)


def test_no_terms_at_all_and_a_reward_model_that_nobody_loaded():
    with pytest.raises(RecipeError, match="no term at all"):
        make_terms({}, game_of)
    rewards = make_terms({"reward_model": RewardTerm(weight=1.0)}, game_of)
    with pytest.raises(EngineError, match="no reward model has been loaded"):
        rewards(play("4", "3", "5"), 0)


class Longer:
    """A stand-in for a learned model: longer replies are better. Counts how often it is asked."""

    asked = 0

    def score(self, items):
        self.asked += 1
        return [float(len(reply)) for _, reply in items]


def test_a_learned_reward_scores_all_replies_of_a_rollout_at_once():
    model = Longer()
    rewards = make_terms({"reward_model": RewardTerm(weight=0.5)}, game_of, model)
    first, second = play("4", " 3 ", "5"), play("nothing", "4", "3", "5")
    rewards.prepare([(first, 0), (second, 0)])
    assert model.asked == 1
    assert rewards(first, 0).total == (0.5, 1.5, 0.5)
    assert rewards(second, 0).total == (0.5, 0.5, 0.5)  # the retry counts
    assert model.asked == 1
    assert rewards(play("4", "3", "5"), 0).total[0] == 0.5 and model.asked > 1  # judged when met


def corner(bonus: float = 1.0):
    """A term of another package."""
    return lambda at: bonus * (at.turn.move is not None and at.turn.move.id in (0, 2, 6, 8))


def undefined(value: object = math.nan):
    return lambda at: value if at.place == 2 else 0.0


def seats(game_of, scale: float):
    """A term that asks for the game, with an option that has to be given."""
    return lambda at: scale * game_of(at.episode).num_players


def anything(**options: float):
    return lambda at: np.float32(sum(options.values()))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another package with two terms, found as `pip install` would make it found."""
    entries = metadata.EntryPoints(
        metadata.EntryPoint(name, f"{__name__}:{name}", "tesuji.rewards")
        for name in ("corner", "undefined", "seats", "anything", "missing")
    )
    real = plugins._declared

    def declared(group, path):
        return tuple(entries) if group == "tesuji.rewards" else real(group, path)

    monkeypatch.setattr(plugins, "_declared", declared)


@pytest.mark.usefixtures("installed")
def test_another_package_adds_a_term_with_options():
    episode = play("x(2,2)", "x(1,1)", rules=TurnRules(max_moves=4))
    assert judged(episode, 0, corner={"weight": 2.0, "bonus": 0.5}).total == (1.0, 0.0)
    assert reward_names()[-3:] == ("seats", "anything", "missing")
    with pytest.raises(RecipeError, match="did you mean corner"):
        judged(episode, 0, cornor=1.0)


@pytest.mark.usefixtures("installed")
def test_a_term_of_another_package_may_ask_for_the_game_and_need_options():
    episode = play("x(2,2)", "x(1,1)", rules=TurnRules(max_moves=4))
    assert judged(episode, 0, seats={"weight": 1.0, "scale": 1.5}).total == (3.0, 3.0)
    assert judged(episode, 0, anything={"weight": 2.0, "a": 1.0, "b": 0.5}).total == (3.0, 3.0)
    with pytest.raises(RecipeError, match=r"the reward term seats: missing a required .*'scale'"):
        judged(episode, 0, seats=1.0)
    with pytest.raises(RecipeError, match="seats has no option 'game_of'"):
        judged(episode, 0, seats={"weight": 1.0, "game_of": 3})


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("value", [math.inf, None, "good", pytest.param(10**400, id="huge")])
def test_what_is_not_a_finite_number_is_refused(value: object):
    episode = play("x(2,2)", "x(1,1)", rules=TurnRules(max_moves=4))
    with pytest.raises(EngineError, match="the reward term undefined gave"):
        judged(episode, 0, undefined={"weight": 0.0, "value": value})


@pytest.mark.usefixtures("installed")
def test_a_package_that_does_not_load_is_named():
    with pytest.raises(RecipeError, match=r"the reward term 'missing' of .* does not load"):
        make_terms({"missing": RewardTerm(weight=1.0)}, game_of)


@pytest.mark.usefixtures("installed")
def test_a_value_that_is_not_a_number_names_term_match_and_turn():
    episode = play("x(2,2)", "x(1,1)", seed=77, rules=TurnRules(max_moves=4))
    with pytest.raises(EngineError) as caught:
        judged(episode, 0, undefined=1.0)
    message = str(caught.value)
    assert "the reward term undefined gave nan for turn 2 of tic_tac_toe, seed 77" in message
    assert "mend the term" in message


def test_a_judged_turn_can_be_played_again():
    episode = play("x(1,0)", "x(1,1)", "x(1,2)")
    at = Judged(episode, GAMES["tic_tac_toe"], 4)
    assert at.match().observe(0) == episode.turns[4].observation
    assert at.turn.move.text == "x(1,2)"


def test_scores_are_returns_scaled_to_what_the_game_can_pay():
    ttt, kuhn = (GAMES[name].info for name in ("tic_tac_toe", "kuhn_poker"))
    won = play("x(1,0)", "x(1,1)", "x(1,2)")
    assert (score_of(won, 0, ttt), score_of(won, 1, ttt)) == (1.0, 0.0)
    assert score_of(replace(won, returns=(0.0, 0.0)), 0, ttt) == 0.5
    for episode in random_matches("kuhn_poker", 20):
        for seat in (0, 1):
            assert score_of(episode, seat, kuhn) == pytest.approx((episode.returns[seat] + 2) / 4)
    assert score_of(replace(won, returns=(9.0, -9.0)), 0, ttt) == 1.0, "never beyond 0..1"
    assert score_of(replace(won, returns=(9.0, -9.0)), 1, ttt) == 0.0


@pytest.mark.parametrize(
    ("returns", "scores"),
    [((3.0, 1.0), (1.0, 0.0)), ((2.0, 2.0), (0.5, 0.5)), ((5.0, 7.0, 7.0), (0.0, 0.5, 0.5))],
)
def test_where_a_game_has_no_bounds_the_best_other_seat_is_the_measure(returns, scores):
    info = replace(GAMES["tic_tac_toe"].info, max_utility=math.inf)
    episode = replace(play("?", "?"), returns=returns)
    assert tuple(score_of(episode, seat, info) for seat in range(len(returns))) == scores
