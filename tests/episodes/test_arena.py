"""Many matches at once, on real games, with players that fail in every way a model can."""

from collections.abc import Sequence

import pytest

from tesuji.core.seeds import stream
from tesuji.core.types import Ending, Episode, Found, Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.reply_rules import TurnRules
from tesuji.games.base import play_through
from tesuji.games.catalogue import load_game
from tesuji.players.base import MoveRequest, Player, Reply
from tesuji.players.basic.random import RandomPlayer

TTT = load_game("tic_tac_toe", {})


class Talker(Player):
    """Says a fixed sequence of texts, one a request, the last one for ever."""

    name = "talker"

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.asked: list[MoveRequest] = []

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        self.asked += requests
        return [Reply(text=self._next()) for _ in requests]

    def _next(self) -> str:
        return self.texts.pop(0) if len(self.texts) > 1 else self.texts[0]


class Broken(Player):
    name = "broken"

    def choose(self, requests: Sequence[MoveRequest]) -> list[Reply]:
        return [Reply(error="connection refused") for _ in requests]


def play(*tasks: Task, game=TTT, rules: TurnRules | None = None, concurrent: int = 256, **players):
    players = {"random": RandomPlayer(), **players}
    return list(play_matches(tasks, game=game, players=players, rules=rules, concurrent=concurrent))


def ttt(seed: int, *players: str) -> Task:
    return Task("tic_tac_toe", seed, players)


def test_neither_concurrency_nor_company_changes_a_match():
    tasks = [ttt(seed, "random", "random") for seed in range(30)]
    together = {e.seed: e for e in play(*tasks)}
    for width in (1, 7):
        assert {e.seed: e for e in play(*tasks, concurrent=width)} == together
    assert play(tasks[11]) == [together[11]]
    assert len({e.turns for e in together.values()}) > 20


def test_finished_matches_are_replaced_and_never_more_than_allowed_run():
    widths = []

    class Watched(RandomPlayer):
        def choose(self, requests):
            widths.append(len(requests))
            return super().choose(requests)

    episodes = play(*(ttt(s, "w", "w") for s in range(40)), concurrent=8, w=Watched())
    assert len(episodes) == 40
    assert max(widths) == 8
    assert sum(width == 8 for width in widths) > len(widths) / 2


def test_an_episode_replays_to_the_same_returns():
    for episode in play(*(ttt(s, "random", "random") for s in range(5))):
        moves = [(turn.seat, turn.played) for turn in episode.turns]
        assert play_through(TTT.start(episode.seed), moves).returns() == episode.returns
        assert episode.ending is Ending.FINISHED
        assert sum(turn.reward for turn in episode.turns) == pytest.approx(0.0)


def test_a_reply_without_a_move_is_asked_for_once_more_with_the_failure_shown():
    talker = Talker("hello", "x(1,1)", "nothing")
    episode = play(ttt(1, "talker", "random"), talker=talker)[0]
    first = episode.turns[0]
    assert first.retried
    assert first.legal
    assert [a.found for a in first.attempts] == [Found.NONE, Found.EXACT]
    assert talker.asked[1].failed.reply == "hello"
    assert talker.asked[0].seed != talker.asked[1].seed


def test_a_second_failure_forfeits_and_no_move_is_put_into_its_mouth():
    episode = play(ttt(1, "talker", "random"), talker=Talker("I resign to think"))[0]
    assert episode.ending is Ending.FORFEIT
    assert episode.offender == 0
    assert episode.returns == (-1.0, 1.0)
    assert "no legal move" in episode.reason
    last = episode.turns[-1]
    assert (last.played, last.move, last.legal) == (None, None, False)
    assert len(last.attempts) == 2
    assert last.reward == -1.0


def test_without_retry_the_first_failure_forfeits():
    rules = TurnRules(retry=False)
    episode = play(ttt(1, "talker", "random"), talker=Talker("?"), rules=rules)[0]
    assert (episode.ending, len(episode.turns[-1].attempts)) == (Ending.FORFEIT, 1)


def test_a_random_substitute_is_recorded_as_not_the_players_own():
    rules = TurnRules(on_illegal="random")
    episode = play(ttt(3, "talker", "random"), talker=Talker("?"), rules=rules)[0]
    assert episode.ending is Ending.FINISHED
    ours = [turn for turn in episode.turns if turn.seat == 0]
    assert all(turn.played is not None and turn.move is None for turn in ours)


def test_a_player_that_fails_ends_its_episode_and_not_the_others():
    episodes = play(ttt(1, "broken", "random"), ttt(2, "random", "random"), broken=Broken())
    by_seed = {episode.seed: episode for episode in episodes}
    assert by_seed[1].ending is Ending.ERROR
    assert "connection refused" in by_seed[1].reason
    assert by_seed[2].ending is Ending.FINISHED


def test_an_endless_match_is_cut_off_and_said_to_be():
    episode = play(ttt(1, "random", "random"), rules=TurnRules(max_moves=3))[0]
    assert episode.ending is Ending.TRUNCATED
    assert len(episode.turns) == 3
    assert "3 moves" in episode.reason


def test_ids_and_notation_are_read_as_the_recipe_says():
    by_id = play(ttt(1, "talker", "random"), talker=Talker("4"), rules=TurnRules(answer="id"))
    assert by_id[0].turns[0].move.text == "x(1,1)"
    assert by_id[0].turns[0].attempts[0].found is Found.ID


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("goofspiel", {}),
        ("matrix_rps", {}),
        ("kuhn_poker", {"players": 3}),
        ("leduc_poker", {}),
        ("pig", {}),
    ],
)
def test_chance_hidden_and_simultaneous_games_with_any_number_of_seats(name, options):
    game = load_game(name, options)
    labels = ("random",) * game.num_players
    tasks = [Task(name, seed, labels, options) for seed in range(12)]
    episodes: list[Episode] = play(*tasks, game=game)
    again = play(*tasks, game=game, concurrent=1)
    assert {e.seed: e for e in episodes} == {e.seed: e for e in again}
    for episode in episodes:
        assert len(episode.returns) == game.num_players
        for seat, earned in enumerate(episode.returns):
            mine = [turn.reward for turn in episode.turns if turn.seat == seat]
            assert not mine or sum(mine) == pytest.approx(earned)


# Several games, openings, repeats


def test_tasks_of_several_games_are_played_in_one_call():
    games = {"tic_tac_toe": TTT, "pig": load_game("pig", {"players": 3})}
    tasks = [
        Task(name, seed, ("random",) * game.num_players, game.options)
        for seed in range(4)
        for name, game in games.items()
    ]
    mixed = play(*tasks, game=lambda task: games[task.game])
    for name, game in games.items():
        alone = play(*(task for task in tasks if task.game == name), game=game)
        assert {e.seed: e for e in mixed if e.game == name} == {e.seed: e for e in alone}


def opened(seed: int, opening: int, repeat: int = 0, players=("random", "random")) -> Task:
    return Task("tic_tac_toe", seed, players, opening=opening, repeat=repeat)


def test_an_opening_is_random_moves_that_nobody_said():
    talker = Talker("hello")
    rules = TurnRules(on_illegal="random")
    task = opened(1, 3, players=("talker", "random"))
    episode = play(task, talker=talker, rules=rules)[0]
    for turn in episode.turns[:3]:
        assert (turn.attempts, turn.move) == ((), None)
        assert turn.played is not None
        assert turn.observation
    assert [turn.seat for turn in episode.turns[:4]] == [0, 1, 0, 1]
    assert all(turn.attempts for turn in episode.turns[3:])
    assert talker.asked[0].match is not None
    assert len(talker.asked) == 2 * sum(turn.seat == 0 for turn in episode.turns[3:])


def test_the_opening_follows_from_the_seed_and_not_from_repeat_or_players():
    moves = {
        tuple(turn.played for turn in play(task, talker=Talker("4"))[0].turns[:4])
        for task in (
            opened(5, 4),
            opened(5, 4, repeat=1),
            opened(5, 4, players=("random", "talker")),
        )
    }
    assert len(moves) == 1
    others = {play(opened(seed, 4))[0].turns[:4] for seed in range(9)}
    assert len(others) > 5


def test_an_opening_may_end_the_match_and_never_goes_past_it():
    for episode in play(*(opened(seed, 99) for seed in range(20))):
        assert episode.ending is Ending.FINISHED
        assert not any(turn.attempts for turn in episode.turns)
        assert sum(turn.reward for turn in episode.turns) == pytest.approx(0.0)
    cut = play(opened(1, 99), rules=TurnRules(max_moves=2))[0]
    assert (cut.ending, len(cut.turns)) == (Ending.TRUNCATED, 2)


def test_an_opening_in_a_simultaneous_game_counts_each_choice():
    game = load_game("goofspiel", {})
    task = Task("goofspiel", 1, ("random", "random"), opening=3)
    episode = play(task, game=game)[0]
    assert [bool(turn.attempts) for turn in episode.turns[:4]] == [False, False, False, True]
    assert episode.ending is Ending.FINISHED


def test_a_label_called_opening_is_a_player_like_any_other():
    talker = Talker("0")
    episode = play(opened(1, 1, players=("random", "opening")), opening=talker)[0]
    assert not episode.turns[0].attempts
    assert talker.asked


def test_repeats_share_chance_and_opening_but_no_decision():
    game = load_game("kuhn_poker", {})
    tasks = [Task("kuhn_poker", 3, ("random", "random"), repeat=n) for n in range(20)]
    cards = {
        play(task, game=game)[0].turns[0].observation for task in tasks
    }  # seat 0 sees its card before anybody decided anything
    assert len(cards) == 1
    episodes = [play(opened(7, 2, repeat=n))[0] for n in range(20)]
    assert len({tuple(t.played for t in e.turns[:2]) for e in episodes}) == 1
    assert len({tuple(t.played for t in e.turns) for e in episodes}) > 10


def test_repeat_0_is_what_was_always_played_and_the_rest_is_told_apart():
    plain = play(ttt(3, "random", "random"))[0]
    assert plain.provenance == {}
    assert play(opened(3, 0, repeat=0))[0] == plain
    assert play(opened(3, 0, repeat=2))[0].provenance == {"repeat": 2}
    assert play(opened(3, 1))[0].provenance == {"opening": 1}


def test_the_stream_of_a_first_match_is_pinned():
    talker = Talker("4", "0")
    play(ttt(3, "talker", "random"), talker=talker)
    assert talker.asked[0].seed == stream(3, 0, 0, False)
    again = Talker("4", "0")
    play(opened(3, 0, repeat=2, players=("talker", "random")), talker=again)
    assert again.asked[0].seed == stream(3, 0, 0, False, 2)
