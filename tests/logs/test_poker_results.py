"""`winnings` of all kinds of poker, set against what pokerkit paid when the hands were played."""

import random
import warnings
from collections.abc import Iterator

import pokerkit as pk
import pytest

from tesuji.games.poker.hand import AUTOMATIONS
from tesuji.logs.base import Record
from tesuji.logs.formats.phh import Phh

ALL = (
    *AUTOMATIONS,
    pk.Automation.HOLE_DEALING,
    pk.Automation.BOARD_DEALING,
    pk.Automation.CARD_BURNING,
)
BLINDS = (5, 10)
GAMES = {
    "FT": lambda: pk.FixedLimitTexasHoldem(ALL, True, 1, BLINDS, 10, 20),
    "NT": lambda: pk.NoLimitTexasHoldem(ALL, True, 1, BLINDS, 10),
    "NS": lambda: pk.NoLimitShortDeckHoldem(ALL, True, 10, {-1: 10}, 10),
    "PO": lambda: pk.PotLimitOmahaHoldem(ALL, True, 0, BLINDS, 10),
    "F7S": lambda: pk.FixedLimitSevenCardStud(ALL, True, 2, 3, 10, 20),
    "FR": lambda: pk.FixedLimitRazz(ALL, True, 2, 3, 10, 20),
    "N2L1D": lambda: pk.NoLimitDeuceToSevenLowballSingleDraw(ALL, True, 0, BLINDS, 10),
    "FB": lambda: pk.FixedLimitBadugi(ALL, True, 0, BLINDS, 10, 20),
}


def put_in(state: pk.State) -> list[int]:
    """What each seat put in, street by street, the part of a bet that nobody matched given back."""
    put, bets = [0] * state.player_count, [0] * state.player_count
    for operation in [*state.operations, pk.BetCollection(())]:
        match operation:
            case pk.AntePosting(player_index=seat, amount=amount):
                put[seat] += amount
            case pk.CompletionBettingOrRaisingTo(player_index=seat, amount=amount):
                put[seat] += amount - bets[seat]
                bets[seat] = amount
            case (
                pk.BlindOrStraddlePosting(player_index=seat, amount=amount)
                | pk.BringInPosting(player_index=seat, amount=amount)
                | pk.CheckingOrCalling(player_index=seat, amount=amount)
            ):
                put[seat] += amount
                bets[seat] += amount
            case pk.BetCollection():
                second, top = sorted(bets)[-2:]
                put[bets.index(top)] -= top - second
                bets = [0] * state.player_count
    return put


def hands(variant: str, rng: random.Random) -> Iterator[tuple[pk.Poker, pk.State]]:
    for _ in range(25):
        game, seats = GAMES[variant](), rng.randint(2, 5)
        state = game(tuple(rng.choice((60, 200, 500)) for _ in range(seats)), seats)
        while state.status:
            choice = rng.random()
            if state.can_stand_pat_or_discard():
                state.stand_pat_or_discard()
            elif state.can_post_bring_in():
                state.post_bring_in()
            elif choice < 0.25 and state.can_fold():
                state.fold()
            elif choice < 0.5 and state.can_complete_bet_or_raise_to():
                state.complete_bet_or_raise_to()
            else:
                state.check_or_call()
        yield game, state


@pytest.mark.parametrize("variant", GAMES)
def test_winnings_of_every_kind_of_poker(variant):
    rng = random.Random(variant)
    random.seed(variant)  # pokerkit shuffles with the global generator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        played = list(hands(variant, rng))
    for game, state in played:
        paid = [won + put for won, put in zip(state.payoffs, put_in(state), strict=True)]
        history = pk.HandHistory.from_game_state(
            game, state, winnings=paid, ante_trimming_status=True
        )
        episode = Phh().read(Record(history.dumps(), "a file"))
        assert list(episode.returns) == [float(won) for won in state.payoffs]
        assert "results_disputed" not in episode.provenance["notes"]
