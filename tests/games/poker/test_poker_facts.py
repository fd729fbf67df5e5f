"""What a poker prompt says of a hand: all true, and nothing that the player could not know."""

import random
import re
import warnings

import pytest
from pokerkit import (
    Automation,
    BoardDealing,
    BringInPosting,
    Card,
    CheckingOrCalling,
    CompletionBettingOrRaisingTo,
    FixedLimitBadugi,
    FixedLimitDeuceToSevenLowballTripleDraw,
    FixedLimitOmahaHoldemHighLowSplitEightOrBetter,
    FixedLimitRazz,
    FixedLimitSevenCardStud,
    FixedLimitTexasHoldem,
    Folding,
    HandHistory,
    HoleDealing,
    NoLimitDeuceToSevenLowballSingleDraw,
    NoLimitShortDeckHoldem,
    NoLimitTexasHoldem,
    PotLimitOmahaHoldem,
    ShortDeckHoldemHand,
    StandardHighHand,
)

from tesuji.games.poker.card_words import chips, made_hand, starting_hand
from tesuji.games.poker.positions import position_names
from tesuji.logs.poker.hand_to_episode import read_hand
from tesuji.logs.poker.label_balance import label_balance

# Tom Dwan against Phil Ivey, 2009: the example of the PHH specification.
DWAN_IVEY = """variant = 'NT'
ante_trimming_status = true
antes = [500, 500, 500]
blinds_or_straddles = [1000, 2000, 0]
min_bet = 2000
starting_stacks = [1125600, 2000000, 553500]
actions = ['d dh p1 Ac2d', 'd dh p2 ????', 'd dh p3 7h6h', 'p3 cbr 7000', 'p1 cbr 23000', 'p2 f',
  'p3 cc', 'd db Jc3d5c', 'p1 cbr 35000', 'p3 cc', 'd db 4h', 'p1 cbr 90000', 'p3 cbr 232600',
  'p1 cbr 1067100', 'p3 cc', 'p1 sm Ac2d', 'p3 sm 7h6h', 'd db Jh']
players = ['Phil Ivey', 'Patrik Antonius', 'Tom Dwan']
"""
BETTING = (Folding, CheckingOrCalling, CompletionBettingOrRaisingTo, BringInPosting)
AUTOMATIC = (
    Automation.ANTE_POSTING,
    Automation.BET_COLLECTION,
    Automation.BLIND_OR_STRADDLE_POSTING,
    Automation.CARD_BURNING,
    Automation.HOLE_DEALING,
    Automation.BOARD_DEALING,
    Automation.HOLE_CARDS_SHOWING_OR_MUCKING,
    Automation.RUNOUT_COUNT_SELECTION,
    Automation.HAND_KILLING,
    Automation.CHIPS_PUSHING,
    Automation.CHIPS_PULLING,
)
VARIANTS = {
    "NT": NoLimitTexasHoldem(AUTOMATIC, True, 0, (1, 2), 2),
    "FT": FixedLimitTexasHoldem(AUTOMATIC, True, 0, (1, 2), 2, 4),
    "NS": NoLimitShortDeckHoldem(AUTOMATIC, True, 1, {-1: 2}, 2),
    "PO": PotLimitOmahaHoldem(AUTOMATIC, True, 0, (1, 2), 2),
    "FO/8": FixedLimitOmahaHoldemHighLowSplitEightOrBetter(AUTOMATIC, True, 0, (1, 2), 2, 4),
    "F7S": FixedLimitSevenCardStud(AUTOMATIC, True, 1, 1, 2, 4),
    "FR": FixedLimitRazz(AUTOMATIC, True, 1, 1, 2, 4),
    "N2L1D": NoLimitDeuceToSevenLowballSingleDraw(AUTOMATIC, True, 0, (1, 2), 2),
    "F2L3D": FixedLimitDeuceToSevenLowballTripleDraw(AUTOMATIC, True, 0, (1, 2), 2, 4),
    "FB": FixedLimitBadugi(AUTOMATIC, True, 0, (1, 2), 2, 4),
}


def famous():
    return read_hand(HandHistory.loads(DWAN_IVEY), kind="phh")


@pytest.mark.parametrize(
    ("players", "names"),
    [
        (2, "BB BTN"),
        (3, "SB BB BTN"),
        (4, "SB BB CO BTN"),
        (5, "SB BB HJ CO BTN"),
        (6, "SB BB UTG HJ CO BTN"),
        (9, "SB BB UTG UTG+1 UTG+2 LJ HJ CO BTN"),
    ],
)
def test_positions_are_named_from_the_button(players, names):
    assert position_names(players) == tuple(names.split())


@pytest.mark.parametrize(
    ("cards", "words"),
    [
        ("9c9d", "a pocket pair of nines"),
        ("AhKh", "ace-king suited, connectors"),
        ("2sAd", "ace-two offsuit, connectors"),
        ("Kh7h", "king-seven suited"),
        ("7c2d", "seven-two offsuit"),
    ],
)
def test_two_hole_cards_in_words(cards, words):
    assert starting_hand(tuple(Card.parse(cards))) == words


@pytest.mark.parametrize(
    ("hole", "board", "words"),
    [
        ("Ac7d", "9h4s2c", "ace high"),
        ("6c7d", "6h4s2c", "a pair of sixes"),
        ("AcAd", "4h4s2c", "two pair, aces and fours"),
        ("TcTd", "Th4s2c", "three of a kind, tens"),
        ("Ac2d", "3h4s5c", "a straight, five high"),
        ("AcKd", "QhJsTc", "a straight, ace high"),
        ("Kc2c", "9c4c7c", "a flush, king high"),
        ("9c9d", "9h4s4c", "a full house, nines full of fours"),
        ("9c9d", "9h9s4c", "four of a kind, nines"),
        ("5h6h", "7h8h9h", "a straight flush, nine high"),
    ],
)
def test_made_hands_in_words(hole, board, words):
    assert made_hand(StandardHighHand.from_game(hole, board)) == words


def test_the_ace_is_low_in_a_short_deck_straight():
    assert made_hand(ShortDeckHoldemHand.from_game("Ac6d", "7h8s9c")) == "a straight, nine high"


def test_chips_have_no_needless_zeros():
    assert [chips(x) for x in (300, 0.5, 2.0, 1e6)] == ["300", "0.5", "2", "1000000"]


def test_a_famous_hand_is_told_as_it_was_played():
    episode = famous()
    said = [(turn.role, turn.phase, turn.attempts[0].reply) for turn in episode.turns]
    assert said == [
        ("BTN", "preflop", "raise to 7000"),
        ("SB", "preflop", "raise to 23000"),
        ("BTN", "preflop", "call"),
        ("SB", "flop", "bet 35000"),
        ("BTN", "flop", "call"),
        ("SB", "turn", "bet 90000"),
        ("BTN", "turn", "raise to 232600"),
        ("SB", "turn", "all-in"),
        ("BTN", "turn", "call"),
    ]
    assert episode.returns == (-553500, -2500, 556000)
    assert episode.provenance["winners"] == [2]
    assert episode.provenance["unknown_decisions"] == 1  # Antonius' fold: his cards are unknown


def test_a_prompt_states_the_facts_of_the_decision():
    prompt = famous().turns[-1].observation
    for fact in (
        "3-handed no-limit hold'em",
        "The small blind is 1000 chips and the big blind is 2000 chips. The ante is 500 chips.",
        "SB 1125600, BB 2000000, BTN 553500",
        "Your position is BTN and you hold 7h 6h.",
        "Before the flop: BTN raises to 7000, SB raises to 23000, BB folds, BTN calls 16000.",
        "The flop is Jc 3d 5c: SB bets 35000, BTN calls 35000.",
        "The turn is 4h: SB bets 90000, BTN raises to 232600, SB raises to 1067100 and is all-in.",
        "You hold 7h 6h: a straight, seven high.",
        "2 players are in the hand.",
        "You have 262400 chips left and need 262400 to call.",
        "You can fold or call.",
    ):
        assert fact in prompt
    assert "Ac" not in prompt and "Jh" not in prompt  # the opponent's card, the river to come


def test_legal_moves_bound_the_sizes():
    texts = [[move.text for move in turn.legal_moves] for turn in famous().turns]
    assert texts[0] == ["fold", "call", "raise to 4000", "all-in"]
    assert texts[3] == ["check", "bet 2000", "all-in"]
    assert texts[-1] == ["fold", "call"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_gives_all_decisions_and_nothing_hidden(variant):
    rng = random.Random(variant)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(6):
            state = _played(VARIANTS[variant], rng)
            history = HandHistory.from_game_state(VARIANTS[variant], state)
            episode = read_hand(HandHistory.loads(history.dumps()), kind="phh")
            decisions = [op for op in state.operations if isinstance(op, BETTING)]
            assert len(episode.turns) == len(decisions)
            assert list(episode.returns) == [float(payoff) for payoff in state.payoffs]
            assert all(turn.move is not None for turn in episode.turns)
            _assert_nothing_leaks(state, episode)


def _played(game, rng):
    """A hand played at random, cards drawn by the global generator, which is put back."""
    before = random.getstate()
    random.seed(rng.random())
    state = game(200, rng.choice((2, 3, 4)))
    while state.status:
        if state.can_stand_pat_or_discard():
            held = list(state.hole_cards[state.stand_patter_or_discarder_index])
            state.stand_pat_or_discard(rng.sample(held, rng.randint(0, 2)))
        elif state.can_post_bring_in() and rng.random() < 0.7:
            state.post_bring_in()
        elif state.can_complete_bet_or_raise_to() and rng.random() < 0.3:
            state.complete_bet_or_raise_to()
        elif state.checking_or_calling_amount and state.can_fold() and rng.random() < 0.15:
            state.fold()
        elif state.can_check_or_call():
            state.check_or_call()
        else:
            state.complete_bet_or_raise_to()
    random.setstate(before)
    return state


def _assert_nothing_leaks(state, episode):
    down = {seat: set() for seat in state.player_indices}
    seen = set()
    for operation in state.operations:
        if isinstance(operation, HoleDealing):
            pairs = zip(operation.cards, operation.statuses, strict=True)
            down[operation.player_index] |= {repr(card) for card, up in pairs if not up}
        elif isinstance(operation, BoardDealing):
            seen |= set(map(repr, operation.cards))
    for turn in episode.turns:
        others = set().union(*(cards for seat, cards in down.items() if seat != turn.seat))
        told = set(re.findall(r"\b[2-9TJQKA][cdhs]\b", turn.observation))
        assert not told & (others - down[turn.seat] - seen)


def test_two_players_post_each_their_own():
    """pokerkit keeps the blinds and antes of two players swapped; a prompt names who posts what."""
    actions = ["d dh p1 AcKc", "d dh p2 2c3d", "p2 cc", "p1 cc"]
    history = HandHistory(
        variant="NT",
        antes=[0, 3],
        blinds_or_straddles=[1, 2],
        min_bet=2,
        starting_stacks=[200, 200],
        actions=actions,
    )
    prompt = read_hand(history, kind="phh").turns[0].observation
    assert "Antes: BB 3 chips." in prompt
    assert "Your position is BTN" in prompt and "need 1 to call" in prompt


def test_a_fixed_limit_game_offers_one_size():
    """pokerkit 0.7.7 plays fixed-limit Omaha high-low pot-limit; the prompt keeps to the name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        state = _played(VARIANTS["FO/8"], random.Random(3))
        history = HandHistory.from_game_state(VARIANTS["FO/8"], state)
        episode = read_hand(history, kind="phh")
    for turn in episode.turns:
        assert sum(move.text.startswith(("bet", "raise")) for move in turn.legal_moves) <= 1


def test_a_set_built_from_showdowns_is_warned_about():
    balance = label_balance(["call"] * 15 + ["raise to 300"] * 5 + ["check"] * 4 + ["hm"])
    assert balance.counts == {"call": 15, "raise": 5, "check": 4}
    assert balance.unread == 1
    assert next(iter(balance.counts)) == "call"
    assert "Sets built from showdowns never say fold." in balance.warnings[0]


def test_a_lopsided_set_is_warned_about_and_a_small_one_is_not():
    lopsided = label_balance(["fold"] * 97 + ["call", "check", "bet 3"])
    assert lopsided.warnings == ("97 of 100 decisions are fold: always saying so scores as much.",)
    assert label_balance(["call"] * 3).warnings == ()
    assert label_balance([]).counts == {}
