"""Ten recorded matches of ten OpenSpiel games, played again move by move."""

import pytest
from places import GOLDEN

from tesuji.core.types import Ending
from tesuji.episodes.store import read_episodes
from tesuji.games.catalogue import load_game

EPISODES = list(read_episodes(GOLDEN / "openspiel.jsonl"))


def test_there_are_ten_with_everything_games_differ_in():
    infos = [load_game(episode.game, episode.options).info for episode in EPISODES]
    assert len({info.name for info in infos}) == 10
    for fact in ("chance", "simultaneous", "zero_sum"):
        assert {getattr(info, fact) for info in infos} == {True, False}, fact
    assert len({info.information for info in infos}) == 2
    assert {episode.ending for episode in EPISODES} == {Ending.FINISHED}


@pytest.mark.parametrize("place", range(10))
def test_a_golden_episode_plays_as_it_was_recorded(place):
    episode = EPISODES[place]
    match = load_game(episode.game, episode.options).start(episode.seed)
    for turn in episode.turns:
        assert turn.seat in match.to_act
        assert match.observe(turn.seat) == turn.observation
        assert match.role(turn.seat) == turn.role
        assert turn.played in (match.legal_moves(turn.seat) or ())
        match.play(turn.seat, turn.played)
    assert match.to_act == () and match.returns() == episode.returns
    paid = [
        sum(t.reward for t in episode.turns if t.seat == s) for s in range(len(match.returns()))
    ]
    assert paid == pytest.approx(episode.returns)
