"""Each rule fault of TextArena 0.7.4 that we know of, shown on the library as it is."""

import random

import pytest

from tesuji.core.errors import EngineError, GameError
from tesuji.core.types import Move
from tesuji.games.catalogue import load_game
from tesuji.games.textarena.game import TextArenaMatch


def mafia(seed: int = 1, **options) -> TextArenaMatch:
    return load_game("SecretMafia-v0", {"discussion_rounds": 1, **options}).start(seed)


def seats(match: TextArenaMatch, role: str) -> list[int]:
    return [seat for seat in range(len(match.returns())) if match.role(seat) == role]


def through(match: TextArenaMatch, targets: dict[str, int], phases: int = 1) -> None:
    """Play whole phases: in each, all name the phase's target; they say "hm" in discussions."""
    for _ in range(phases):
        phase = match.phase
        while match.to_act and match.phase == phase:
            said = f"[{targets[phase]}]" if phase in targets else "hm"
            match.play(match.to_act[0], Move(-1, said))


def without_specials(**options) -> TextArenaMatch:
    """A match of 9 at the beginning of a night when Doctor and Detective are dead."""
    match = mafia(seed=2, num_players=9, **options)
    for dead in (seats(match, "Doctor")[0], seats(match, "Detective")[0]):
        innocent = seats(match, "Mafia")[0]
        targets = {"night_doctor": innocent, "night_detective": innocent, "voting": dead}
        mafia_target = seats(match, "Villager")[0]
        while match.phase != "voting":
            # the Doctor always saves the Mafia's victim, so that only votes kill
            through(match, {**targets, "night_mafia": mafia_target, "night_doctor": mafia_target})
            if dead not in match.env.state.game_state["alive_players"]:
                break
        through(match, targets)
    assert match.phase == "night_mafia"
    return match


def test_mafia_kills_are_dropped_once_doctor_and_detective_are_dead():
    match = without_specials()
    victim = next(
        s for s in seats(match, "Villager") if s in match.env.state.game_state["alive_players"]
    )
    through(match, {"night_mafia": victim})
    assert match.phase == "discussion"
    assert victim in match.env.state.game_state["alive_players"]


def test_fix_night_kills_carries_them_out():
    match = without_specials(fix_night_kills=True)
    victim = next(
        s for s in seats(match, "Villager") if s in match.env.state.game_state["alive_players"]
    )
    through(match, {"night_mafia": victim})
    assert victim not in match.env.state.game_state["alive_players"]
    assert f"Player {victim} was killed during the night" in match.observe(victim)


def test_fix_night_kills_changes_nothing_while_the_doctor_lives():
    plain, mended = mafia(seed=3), mafia(seed=3, fix_night_kills=True)
    rng = random.Random(0)
    while plain.to_act and "Doctor" in [
        plain.role(s) for s in plain.env.state.game_state["alive_players"]
    ]:
        assert plain.observe(plain.to_act[0]) == mended.observe(mended.to_act[0])
        said = f"[{rng.choice(plain.env.state.game_state['alive_players'])}]"
        for match in (plain, mended):
            match.play(match.to_act[0], Move(-1, said))


def test_five_players_are_refused_though_the_message_says_five():
    with pytest.raises(GameError, match="6 to 15"):
        mafia(num_players=5)
    env = mafia().env
    with pytest.raises(AssertionError, match="between 5 and 15"):
        env.reset(num_players=5)


def test_the_mafia_may_kill_its_own_and_the_doctor_protect_itself():
    match = mafia()
    mate = seats(match, "Mafia")[1]
    assert f"[{mate}]" not in match.observe(match.to_act[0]).split("Valid targets:")[-1]
    match.play(match.to_act[0], Move(-1, f"[{mate}]"))
    assert match.refused == ""
    through(match, {"night_mafia": mate})
    doctor = seats(match, "Doctor")[0]
    match.play(doctor, Move(-1, f"[{doctor}]"))
    assert match.refused == "" and match.phase == "night_detective"


def test_a_vote_with_the_word_player_is_counted_and_read_as_nothing():
    match = mafia()
    target = seats(match, "Mafia")[0]
    through(match, dict.fromkeys(("night_mafia", "night_doctor", "night_detective"), target), 4)
    assert match.phase == "voting"
    voter = match.to_act[0]
    match.play(voter, Move(-1, f"[Player {target}]"))
    other = match.to_act[0]
    assert match.env.state.game_state["votes"] == {voter: target}
    assert match.observe(other).endswith(f"[Player {voter}] ")


def test_a_tie_kills_by_lot():
    gone = set()
    for seed in range(30):
        match = mafia(seed=seed)
        victim, _ = seats(match, "Villager")
        through(match, dict.fromkeys(("night_mafia", "night_doctor", "night_detective"), victim), 4)
        choice = seats(match, "Detective") + seats(match, "Doctor")
        place = 0
        while match.to_act and match.phase == "voting":
            match.play(match.to_act[0], Move(-1, f"[{choice[place % 2]}]"))
            place += 1
        alive = match.env.state.game_state["alive_players"]
        gone.add(choice.index(next(seat for seat in choice if seat not in alive)))
        assert "No consensus" not in match.render()
    assert gone == {0, 1}


def test_a_vote_may_change_the_winner_after_the_end():
    """Parity is reached when a villager is thrown out for a second bad vote; then the votes are
    counted, the last Mafioso goes, and the village has won after all."""
    found = set()
    for seed in range(200):
        match = mafia(seed=seed, mafia_ratio=0.17)
        (villain,) = seats(match, "Mafia")
        while match.to_act:
            seat = match.to_act[0]
            alive = match.env.state.game_state["alive_players"]
            voting = match.phase == "voting"
            last = voting and not match.env.next_player_ids
            if voting and len(alive) == 3 and last and seat != villain:
                match.play(seat, Move(-1, "no"))
                match.play(seat, Move(-1, "no"))
                break
            target = (
                villain if voting and len(alive) == 3 else next(s for s in alive if s != villain)
            )
            match.play(seat, Move(-1, f"[{target}]"))
        if not match.to_act and "Mafia wins" not in match.reason and match.offender is not None:
            found.add(seed)
            assert match.returns()[villain] == -1.0
    assert found


def test_kuhn_poker_s_bets_and_calls_move_no_chips():
    match = load_game("KuhnPoker-v0").start(1)
    state = match.env.state.game_state
    before = (state["pot"], dict(state["player_chips"]))
    match.play(match.to_act[0], Move(-1, "[bet]"))
    assert (state["pot"], dict(state["player_chips"])) == before
    match.play(match.to_act[0], Move(-1, "[call]"))
    assert match.refused == "" and "wins pot of 2 chips" in match.observe(match.to_act[0])


def test_poker_pays_more_than_one():
    beyond = []
    for seed in range(6):
        match, rng = load_game("Poker-v0-small").start(seed), random.Random(seed)
        while match.to_act:
            match.play(match.to_act[0], Move(-1, match.random_reply(match.to_act[0], rng)))
        beyond += [paid for paid in match.returns() if abs(paid) > 1]
    assert beyond


def test_arguments_in_the_wrong_order_show_and_pay_nonsense():
    match = load_game("Countdown-v0").start(0)
    match.play(0, Move(-1, "nonsense"))
    assert "nonsense" not in match.render()
    assert "[Player ObservationType.PLAYER_ACTION] 0" in match.observe(0)
    match.play(0, Move(-1, "nonsense"))
    assert isinstance(match.env.state.rewards[0], str) and match.returns() == (0.0,)


def test_a_table_that_is_all_out_is_an_error_and_not_for_ever():
    errors = 0
    for seed in range(4):
        match, rng = load_game("PublicGoodsGame-v0").start(seed), random.Random(seed)
        try:
            while match.to_act:
                match.play(match.to_act[0], Move(-1, match.random_reply(match.to_act[0], rng)))
        except EngineError as error:
            errors += "every player is out" in error.what
    assert errors


def test_character_conclave_breaks_at_once():
    from tesuji.games.textarena.game import TextArenaGame

    match = TextArenaGame("CharacterConclave-v0").start(0)
    with pytest.raises(EngineError, match="TypeError"):
        match.play(match.to_act[0], Move(-1, "hello"))
