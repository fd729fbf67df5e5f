"""What is played next: seats, opponents, games, snapshots, stages, failures, and the way back."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from tesuji.core.errors import RecipeError, TesujiError
from tesuji.episodes.schedule.schedule import POLICY, PlayedTask, Schedule
from tesuji.recipe.schema.play import PlaySection
from tesuji.recipe.schema.sections import GameSection

TTT = GameSection(name="tic_tac_toe")


KUHN = {"name": "kuhn_poker", "options": {"players": 3}}


EASY = {"name": "easy", "opponents": ["random"], "threshold": 0.6, "window": 10}


HARD = {"name": "hard", "opponents": ["minimax", "random"], "threshold": 0.6, "window": 10}


REPLAY = {"share": 0.5, "mastered": 0.75}


def schedule(group_size=1, seed=3, game=TTT, **section) -> Schedule:
    play = PlaySection.model_validate(section)
    return Schedule(play, game=game, group_size=group_size, seed=seed)


def outcomes(tasks, score) -> list[PlayedTask]:
    """The same score for every learning seat."""
    return [
        PlayedTask(task, seat, score, score > 0.5)
        for task in tasks
        for seat, label in enumerate(task.players)
        if label == POLICY
    ]


def as_read(state):
    return json.loads(json.dumps(state))


def players_of(tasks) -> Counter:
    return Counter(label for task in tasks for label in task.players if label != POLICY)


def test_groups_are_consecutive_repeats_of_one_task():
    tasks = schedule(group_size=4).propose(12)
    for start in (0, 4, 8):
        group = tasks[start : start + 4]
        assert [one.repeat for one in group] == [0, 1, 2, 3]
        assert len({replace(one, repeat=0).seed for one in group}) == 1
        assert {(one.players, one.opening) for one in group} == {
            (group[0].players, group[0].opening)
        }
    assert len({one.seed for one in tasks}) == 3


def test_a_part_of_a_group_is_refused():
    with pytest.raises(RecipeError, match="whole groups"):
        schedule(group_size=4).propose(6)


def test_the_learning_seat_goes_round():
    tasks = schedule(game=GameSection.model_validate(KUHN)).propose(6)
    assert [one.players.index(POLICY) for one in tasks] == [0, 1, 2, 0, 1, 2]
    assert all(one.players.count(POLICY) == 1 for one in tasks)
    assert tasks[0].options == {"players": 3}


def test_games_take_turns_and_keep_their_own_rotation():
    tasks = schedule(games=["tic_tac_toe", "connect_four"]).propose(8)
    assert [one.game for one in tasks] == ["tic_tac_toe", "connect_four"] * 4
    for name in ("tic_tac_toe", "connect_four"):
        seats = [one.players.index(POLICY) for one in tasks if one.game == name]
        assert seats == [0, 1, 0, 1]


def test_opponents_are_drawn_by_weight_under_labels_without_it():
    opponents = [{"player": "random", "weight": 3}, {"player": "mcts", "simulations": 9}]
    counts = players_of(schedule(opponents=opponents).propose(800))
    assert set(counts) == {"random", "mcts(simulations=9)"}
    assert counts["random"] / 800 == pytest.approx(0.75, abs=0.05)


def test_every_other_seat_is_drawn_independently():
    tasks = schedule(games=[KUHN], opponents=["random", "cfr"]).propose(200)
    tables = Counter(tuple(sorted(set(one.players) - {POLICY})) for one in tasks)
    assert len(tables) == 3
    assert tables[("cfr", "random")] == pytest.approx(100, abs=30)


def test_self_play_takes_all_seats_or_only_ours():
    tasks = schedule(games=[KUHN], opponents=["self", "random"]).propose(200)
    ours = Counter(one.players.count(POLICY) for one in tasks)
    assert set(ours) == {1, 3}
    assert ours[3] == pytest.approx(100, abs=30)


def test_openings_are_drawn_up_to_the_limit():
    assert {one.opening for one in schedule().propose(9)} == {0}
    assert {one.opening for one in schedule(opening_moves=2).propose(99)} == {0, 1, 2}


def test_another_seed_gives_other_tasks_and_the_same_seed_the_same():
    one, same, other = (schedule(opening_moves=3, seed=seed).propose(9) for seed in (1, 1, 2))
    assert one == same
    assert not {task.seed for task in one} & {task.seed for task in other}


def test_how_proposals_are_cut_does_not_matter():
    whole, parts = schedule(opponents=["random", "self"]), schedule(opponents=["random", "self"])
    assert whole.propose(12) == [*parts.propose(4), *parts.propose(8)]


def test_before_the_first_snapshot_the_others_play_or_the_policy_itself():
    assert set(players_of(schedule(opponents=["snapshot", "random"]).propose(20))) == {"random"}
    alone = schedule(opponents=["snapshot"]).propose(2)
    assert [one.players for one in alone] == [(POLICY, POLICY)] * 2


def test_snapshots_are_drawn_evenly_and_the_oldest_is_dropped():
    play = schedule(opponents=["snapshot"], snapshots=2)
    assert [play.add_snapshot(step) for step in (10, 20, 30, 30)] == [[], [], [10], []]
    counts = players_of(play.propose(400))
    assert set(counts) == {"snapshot-20", "snapshot-30"}
    assert counts["snapshot-20"] == pytest.approx(200, abs=50)
    assert play.metrics()["snapshots"] == 2.0


def test_failures_against_a_dropped_snapshot_are_forgotten():
    play = schedule(opponents=["snapshot"], snapshots=1, failure_replay=REPLAY)
    play.add_snapshot(1)
    old = play.propose(6)
    play.observe(outcomes(old, 0.0))
    assert play.metrics()["replay/size"] == 6.0
    assert play.add_snapshot(2) == [1]
    play.observe(outcomes(old, 0.0))
    assert play.metrics()["replay/size"] == 0.0
    assert set(players_of(play.propose(6))) == {"snapshot-2"}


def test_success_changes_opponents_and_all_players_are_known_from_the_start():
    play = schedule(curriculum=[EASY, HARD])
    assert [one.label for one in play.all_players()] == ["random", "minimax"]
    assert [one.label for one in play.opponents] == ["random"]
    assert play.metrics()["curriculum/stage"] == 1.0
    [line] = play.observe(outcomes(play.propose(20), 1.0))
    assert "stage 2/2 (hard): 100.0%" in line
    assert [one.label for one in play.opponents] == ["minimax", "random"]
    assert set(players_of(play.propose(20))) == {"minimax", "random"}
    assert play.metrics() == {"snapshots": 0.0, "curriculum/stage": 2.0}


def test_a_stage_may_play_games_of_its_own():
    play = schedule(curriculum=[{**EASY, "games": ["pig"]}, HARD])
    assert {one.game for one in play.propose(4)} == {"pig"}
    play.observe(outcomes(play.propose(20), 1.0))
    assert {one.game for one in play.propose(4)} == {"tic_tac_toe"}
    assert [game.name for game in play.all_games()] == ["pig", "tic_tac_toe"]


def test_failures_come_back_with_the_share_asked_for_and_other_random_streams():
    play = schedule(group_size=2, failure_replay=REPLAY)
    first = play.propose(40)
    assert play.observe(outcomes(first, 0.0)) == []
    again = play.propose(400)
    old = [one for one in again if one.seed in {task.seed for task in first}]
    assert len(old) / 400 == pytest.approx(0.5, abs=0.1)
    assert play.metrics()["replay/share"] == len(old) / 400
    assert len({(one.seed, one.repeat) for one in first + again}) == 440
    for one in old:
        assert replace(one, repeat=0) in first


def test_the_mean_of_a_task_decides_and_replays_do_not_move_the_curriculum():
    play = schedule(group_size=2, curriculum=[EASY, HARD], failure_replay=REPLAY)
    good, bad = play.propose(4)[:2], play.propose(4)[:2]
    play.observe([*outcomes(good[:1], 1.0), *outcomes(good[1:], 0.0)])
    assert play.metrics()["replay/size"] == 0.0
    play.observe([*outcomes(bad[:1], 0.9), *outcomes(bad[1:], 0.0)])
    assert play.metrics()["replay/size"] == 1.0
    before = play.metrics()["curriculum/success"]
    replayed = [replace(one, repeat=one.repeat + 2) for one in bad]
    assert play.observe(outcomes(replayed * 50, 1.0)) == []
    assert play.metrics()["curriculum/success"] == before
    assert play.metrics()["replay/size"] == 0.0


def test_after_save_and_restore_proposals_are_the_same_to_the_bit():
    section = {
        "curriculum": [EASY, {**HARD, "games": ["tic_tac_toe", KUHN], "opponents": ["snapshot"]}],
        "failure_replay": REPLAY,
        "opening_moves": 3,
        "snapshots": 2,
    }
    first = schedule(group_size=2, **section)
    first.observe(outcomes(first.propose(20), 1.0))
    for step, score in ((1, 0.0), (2, 0.6), (3, 0.2)):
        first.add_snapshot(step)
        first.observe(outcomes(first.propose(14), score))
    second = schedule(group_size=2, **section)
    second.load_state_dict(as_read(first.state_dict()))
    for _ in range(3):
        tasks = first.propose(30)
        assert tasks == second.propose(30)
        results = [o for t in tasks for o in outcomes([t], (t.seed % 10) / 10)]
        assert first.observe(results) == second.observe(results)
        assert first.metrics() == second.metrics()
    assert first.state_dict() == second.state_dict()


@pytest.mark.parametrize(
    ("opponent", "said"),
    [
        ({"player": "self", "wieght": 2}, "no option 'wieght'"),
        ("policy", "no opponent may be called 'policy'"),
        ("snapshot-3", "no opponent may be called 'snapshot-3'"),
    ],
)
def test_opponents_that_would_be_taken_for_the_policy_are_refused(opponent, said):
    with pytest.raises(RecipeError, match=said):
        schedule(opponents=[opponent])


def test_an_unknown_game_of_a_later_stage_is_found_at_once():
    with pytest.raises(TesujiError, match="tick_tack"):
        schedule(curriculum=[EASY, {**HARD, "games": ["tick_tack"]}])


def test_a_game_for_one_needs_no_opponent():
    [task] = schedule(games=["catch"]).propose(1)
    assert task.players == (POLICY,)
