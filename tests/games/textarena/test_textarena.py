"""TextArena's environments behind the game contract: the library's own play, match by match."""

import contextlib
import random
from collections.abc import Iterator

import pytest

from tesuji.core.errors import EngineError, GameError, IllegalMove
from tesuji.core.types import Ending, Found, Move, Task
from tesuji.episodes.arena import play_matches
from tesuji.episodes.transcript import seen
from tesuji.games.catalogue import game_info, load_game
from tesuji.games.textarena.game import TextArenaMatch
from tesuji.games.textarena.names import known, reason
from tesuji.players.base import Player, Reply
from tesuji.players.registry import make_player, players_of
from tesuji.recipe.schema.sections import PlayerSection

SLOW = ("Sokoban-v0-medium", "Sudoku-v0-hard")  # half a minute and four seconds to begin
PLAYABLE = [name for name, told in known().items() if not reason(told.needs) and name not in SLOW]
BREAK = {  # by random replies, and by what: the library's own faults, see known_faults.py
    "PublicGoodsGame-v0": "every player is out",
    "MarketEntryGame-v0": "every player is out",
}
SENTENCES = ("Countdown-v0", "Cryptarithm-v0", "Slitherlink-v0", "ThreeCardMonte-v0")  # as pay
UNSEEDED = ("Sokoban", "Taboo")  # the library draws before it seeds, or from the system's entropy


@contextlib.contextmanager
def global_state_kept() -> Iterator[None]:
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def play(match: TextArenaMatch, seed: int, turns: int) -> list[tuple[int, str, str]]:
    """(seat, shown, said) of some turns with random replies."""
    rng, told = random.Random(seed), []
    for _ in range(turns):
        if not match.to_act:
            break
        seat = match.to_act[0]
        said = match.random_reply(seat, rng)
        told.append((seat, match.observe(seat), said))
        match.play(seat, Move(-1, said))
    return told


def test_random_play_of_every_environment_that_can_be_played():
    broken, ended = {}, 0
    for name in PLAYABLE:
        for seed in (1, 2):
            match = load_game(name).start(seed)
            try:
                play(match, seed, 40)
            except EngineError as error:
                broken[name] = error.what
                continue
            ended += not match.to_act
            assert len(match.returns()) == load_game(name).num_players
    assert len(PLAYABLE) > 170 and ended > 250
    assert set(broken) <= set(BREAK), broken
    assert all(BREAK[name] in what for name, what in broken.items())
    assert "PublicGoodsGame-v0" in broken


@pytest.mark.parametrize("view", ["", "-train", "-raw"])
def test_a_match_is_the_library_s_own_played_side_by_side(view):
    """The library draws from the global generator, ours from its own: in lockstep, so that each
    would disturb the other if they shared one."""
    import textarena as ta

    same = 0
    for name in PLAYABLE[:: 1 if view == "" else 3]:
        if name in BREAK or name.startswith(UNSEEDED):
            continue
        full = f"{name}{view}"
        match = load_game(full).start(11)
        env = ta.make(full)
        with global_state_kept():
            env.reset(num_players=load_game(full).num_players, seed=11)
            rng, over = random.Random(5), False
            for _ in range(25):
                if not match.to_act:
                    break
                pid, shown = env.get_observation()
                assert match.to_act == (pid,)
                if view != "-raw":
                    assert match.observe(pid) == shown
                else:
                    assert all(str(words) in match.observe(pid) for _, words, _ in shown)
                said = match.random_reply(pid, rng)
                match.play(pid, Move(-1, said))
                over, _ = env.step(action=said)
            assert over == (not match.to_act)
            if over and name not in SENTENCES:
                rewards, _ = env.close()
                assert match.returns() == tuple(float(rewards[s]) for s in sorted(rewards))
            same += 1
    assert same > 50


def test_matches_played_in_turns_are_what_they_are_alone_and_the_global_state_stays():
    names = ["SecretMafia-v0", "Poker-v0", "PigDice-v0", "LiarsDice-v0", "Sokoban-v0", "Snake-v0"]
    alone = {name: play(load_game(name).start(3), 3, 60) for name in names}
    state = random.getstate()
    matches = {name: load_game(name).start(3) for name in names}
    rngs = {name: random.Random(3) for name in names}
    told = {name: [] for name in names}
    for _ in range(60):
        for name, match in matches.items():
            if match.to_act:
                seat = match.to_act[0]
                said = match.random_reply(seat, rngs[name])
                told[name].append((seat, match.observe(seat), said))
                match.play(seat, Move(-1, said))
                random.random()  # somebody else draws in between
        random.setstate(state)
    assert told == alone
    assert random.getstate() == state


def test_other_seeds_give_other_matches_and_a_clone_goes_its_own_way():
    game = load_game("SecretMafia-v0", {"num_players": 8})
    deals = {tuple(game.start(seed).role(s) for s in range(8)) for seed in range(20)}
    assert len(deals) > 10
    match = game.start(2)
    play(match, 2, 12)
    copy = match.clone()
    assert copy.observe(copy.to_act[0]) == match.observe(match.to_act[0])
    before = match.render()
    assert play(copy, 9, 6) == play(match.clone(), 9, 6)
    assert match.render() == before


def test_options_reach_the_environment_and_wrong_ones_are_refused():
    game = load_game("SecretMafia-v0", {"num_players": 9, "discussion_rounds": 1})
    assert game.num_players == 9 and game.start(1).env.discussion_rounds == 1
    for options, words in (
        ({"num_players": 5}, "6 to 15"),
        ({"rounds": 1}, "no option 'rounds'"),
        ({"observations": "some"}, "all or new"),
    ):
        with pytest.raises(GameError, match=words):
            load_game("SecretMafia-v0", options)
    with pytest.raises(GameError, match="no option 'fix_night_kills'"):
        load_game("Nim-v0", {"fix_night_kills": True})
    with pytest.raises(GameError, match="does not start with 5 players"):
        load_game("Taboo-v0", {"num_players": 5}).start(1)


def test_new_observations_put_together_are_all_of_them():
    whole, parts = (
        load_game("SecretMafia-v0", {"observations": kind}).start(4) for kind in ("all", "new")
    )
    heard = dict.fromkeys(range(6), "")
    for seat, shown, said in play(whole, 4, 50):
        heard[seat] += parts.observe(seat)
        assert heard[seat] == shown
        parts.play(seat, Move(-1, said))


def test_a_seat_that_waits_hears_what_is_said_to_it_and_nothing_else():
    match = load_game("SecretMafia-v0").start(1)
    seat = match.to_act[0]
    assert match.role(seat) == "Mafia" and "Night has fallen" in match.observe(seat)
    village = next(s for s in range(6) if match.role(s) == "Villager")
    assert "Your role: Villager" in match.observe(village)
    assert "Night has fallen" not in match.observe(village)
    with pytest.raises(IllegalMove):
        match.play(village, Move(-1, "[0]"))


class Says(Player):
    """Replies with the same words, whatever is asked."""

    def __init__(self, text: str) -> None:
        self.name, self.text = "says", text

    def choose(self, requests):
        return [Reply(text=self.text) for _ in requests]


def episodes_of(text: str, name: str, **options):
    game = load_game(name, options)
    players = {"says": Says(text), "random": make_player(PlayerSection(player="random"), game=game)}
    tasks = [Task(name, s, ("says", "random"), game.options) for s in range(4)]
    return list(play_matches(tasks, game=game, players=players))


@pytest.mark.parametrize("text", ["", "nonsense", "<think>only thoughts</think>", "[9 9 9]" * 9000])
def test_the_environment_judges_bad_replies_and_nobody_asks_again(text):
    for episode in episodes_of(text, "Nim-v0"):
        ours = [turn for turn in episode.turns if turn.seat == 0]
        assert all(len(turn.attempts) == 1 for turn in ours)
        assert all(turn.attempts[0].found is Found.NONE and turn.move is None for turn in ours)
        assert all(turn.attempts[0].problem and turn.played is not None for turn in ours)
        assert len(ours) <= 2
        if len(ours) == 2:  # the library's one more try, and then the match is lost
            assert episode.ending is Ending.FORFEIT and episode.offender == 0
            assert episode.returns == (-1.0, 1.0) and episode.reason


def test_an_environment_that_breaks_ends_its_match_as_nobody_s_error():
    game = load_game("PublicGoodsGame-v0")
    tasks = [Task(game.name, s, ("random",) * 3) for s in range(12)]
    players = {"random": make_player(PlayerSection(player="random"), game=game)}
    episodes = list(play_matches(tasks, game=game, players=players))
    broken = [episode for episode in episodes if episode.ending is Ending.ERROR]
    assert 0 < len(broken) < 12
    assert all(e.offender is None and "every player is out" in e.reason for e in broken)


def test_an_episode_keeps_each_part_of_a_transcript_once():
    game = load_game("SecretMafia-v0")
    random_player = make_player(PlayerSection(player="mafia-random"), game=game)
    task = Task(game.name, 5, ("r",) * 6)
    (episode,) = play_matches([task], game=game, players={"r": random_player})
    match = game.start(5)
    for place, turn in enumerate(episode.turns):
        assert seen(episode, place) == match.observe(turn.seat)
        assert turn.phase == match.phase
        match.play(turn.seat, turn.played)
    assert match.returns() == episode.returns
    assert sum(turn.continues for turn in episode.turns) == len(episode.turns) - len(
        {turn.seat for turn in episode.turns}
    )
    assert players_of(game_info(game.name))[-1] == "random"
