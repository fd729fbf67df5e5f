"""Ten recorded matches of eight environments, played again move by move."""

import pytest
from places import GOLDEN

from tesuji.core.types import Ending
from tesuji.episodes.store import read_episodes
from tesuji.episodes.transcript import seen
from tesuji.games.catalogue import load_game

EPISODES = list(read_episodes(GOLDEN / "textarena.jsonl"))


def test_there_are_ten_of_several_environments():
    assert len(EPISODES) == 10 and len({episode.game for episode in EPISODES}) == 8
    assert {episode.ending for episode in EPISODES} == {Ending.FINISHED, Ending.FORFEIT}


@pytest.mark.parametrize("place", range(10))
def test_a_golden_episode_plays_as_it_was_recorded(place):
    episode = EPISODES[place]
    match = load_game(episode.game, episode.options).start(episode.seed)
    for number, turn in enumerate(episode.turns):
        assert match.to_act == (turn.seat,)
        assert match.role(turn.seat) == turn.role and match.phase == turn.phase
        assert match.observe(turn.seat) == seen(episode, number)
        match.play(turn.seat, turn.played)
        assert match.refused == turn.attempts[-1].problem
        assert (turn.move is None) == bool(match.refused)
    assert match.to_act == () and match.returns() == episode.returns
    assert (match.reason, match.offender) == (episode.reason, episode.offender)
    assert dict(match.facts()) == {key: episode.provenance[key] for key in match.facts()}
