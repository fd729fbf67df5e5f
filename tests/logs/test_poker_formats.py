"""PHH, PokerStars and PokerBench records become episodes, or are refused with a reason."""

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tesuji.core.types import Ending, Episode
from tesuji.episodes.store import episode_from_row, episode_to_row
from tesuji.logs.base import Record, Refused
from tesuji.logs.formats.phh import Phh
from tesuji.logs.formats.pokerbench import PokerBench
from tesuji.logs.formats.pokerstars import PokerStars

HAND = """variant = 'NT'
antes = [0, 0, 0]
blinds_or_straddles = [50, 100, 0]
min_bet = 100
starting_stacks = [10000, 10000, 2500]
actions = ['d dh p1 7c2d', 'd dh p2 ????', 'd dh p3 AcKd', 'p3 cbr 300', 'p1 f', 'p2 cc',
  'd db Jc3d5c', 'p2 cc', 'p3 cbr 400', 'p2 cc', 'd db Kh', 'p2 cc', 'p3 cc', 'd db 2s',
  'p2 cbr 1800', 'p3 cc', 'p2 sm Kc7h', 'p3 sm AcKd']
"""
STARS = """PokerStars Hand #230000000001:  Hold'em No Limit ($0.50/$1.00 USD) - 2024/1/1 9:00:00 ET
Table 'Made' 6-max Seat #3 is the button
Seat 1: Ada L. ($100.00 in chips)
Seat 2: Bo ($80.00 in chips)
Seat 3: Cy ($100.00 in chips)
Ada L.: posts small blind $0.50
Bo: posts big blind $1.00
*** HOLE CARDS ***
Dealt to Cy [Ah Kd]
Cy: raises $2.00 to $3.00
Ada L.: folds
Bo: calls $2.00
*** FLOP *** [Ad 7c 2s]
Bo: checks
Cy: bets $4.00
Bo: calls $4.00
*** TURN *** [Ad 7c 2s] [9h]
Bo: checks
Cy: checks
*** RIVER *** [Ad 7c 2s 9h] [3c]
Bo: bets $10.00
Cy: calls $10.00
*** SHOW DOWN ***
Bo: mucks hand
Cy: shows [Ah Kd] (a pair of Aces)
Cy collected $33.00 from pot
*** SUMMARY ***
Total pot $34.50 | Rake $1.50
Board [Ad 7c 2s 9h 3c]
Seat 3: Cy (button) showed [Ah Kd] and won ($33.00) with a pair of Aces
"""
PREFLOP = {
    "": "0",
    "prev_line": "UTG/2.0bb/BTN/call/SB/13.0bb/BB/allin/UTG/fold/BTN/fold",
    "hero_pos": "SB",
    "hero_holding": "KdKc",
    "correct_decision": "call",
    "num_players": "4",
    "num_bets": "3",
    "available_moves": "['call', 'fold']",
    "pot_size": "117.0",
}
POSTFLOP = {
    "preflop_action": "HJ/2.0bb/BB/call",
    "board_flop": "Ks7h2d",
    "board_turn": "Jc",
    "board_river": "7c",
    "aggressor_position": "OOP",
    "postflop_action": "OOP_CHECK/IP_CHECK/dealcards/Jc/OOP_CHECK/IP_BET_5/OOP_RAISE_14",
    "evaluation_at": "Turn",
    "available_moves": "['Call', 'Raise 24.0', 'Fold']",
    "pot_size": "32",
    "hero_position": "IP",
    "holding": "8h8c",
    "correct_decision": "Raise 24.0",
}
INSTRUCTION = {
    "instruction": "You are a specialist in playing 6-handed No Limit Texas Holdem. In this hand, "
    "your position is HJ, and your holding is [King of Diamond and Jack of Spade].\nBefore the "
    "flop, HJ raise 2.0 chips, and BB call.\nThe flop comes King Of Spade, Seven Of Heart, and Two "
    "Of Diamond, then BB check, and HJ check.\nThe turn comes Jack Of Club, then BB check.\n"
    "Now it is your turn to make a move.\nYour optimal action is:",
    "output": "bet 18",
}


def read(importer, value) -> Episode:
    episode = importer.read(Record(value, "a file"))
    assert isinstance(episode, Episode)
    again = episode_from_row(json.loads(json.dumps(episode_to_row(episode))))
    assert len(again.turns) == len(episode.turns)
    return episode


def refused(importer, value) -> Refused:
    with pytest.raises(Refused) as caught:
        importer.read(Record(value, "a file"))
    return caught.value


def replies(episode):
    return [turn.attempts[0].reply for turn in episode.turns]


def test_cards_shown_at_the_end_were_held_from_the_start():
    episode = read(Phh(), HAND)
    assert [turn.role for turn in episode.turns[:3]] == ["BTN", "SB", "BB"]
    assert "you hold Kc 7h" in episode.turns[2].observation
    assert episode.returns == (-50, -2500, 2550)
    assert episode.provenance["unknown_decisions"] == 0


def test_cards_nobody_showed_are_not_guessed():
    episode = read(Phh(), HAND.replace("'p2 sm Kc7h', ", "").replace(", 'p3 sm AcKd'", ""))
    assert {turn.role for turn in episode.turns} == {"SB", "BTN"}
    assert episode.provenance["unknown_decisions"] == 5
    assert "unknown_cards" in episode.provenance["notes"]
    assert episode.returns[0] == -50
    assert math.isnan(episode.returns[1]) and math.isnan(episode.returns[2])
    assert "winners" not in episode.provenance


def test_finishing_stacks_tell_what_cards_do_not():
    text = HAND.replace(", 'p2 sm Kc7h', 'p3 sm AcKd'", "")
    episode = read(Phh(), text + "finishing_stacks = [9950, 7500, 5050]\n")
    assert episode.returns == (-50, -2500, 2550)
    assert episode.provenance["winners"] == [2]


STEAL = """variant = 'NT'
antes = [5, 5, 5]
blinds_or_straddles = [50, 100, 0]
min_bet = 100
starting_stacks = [10000, 10000, 2500]
actions = ['d dh p1 7c2d', 'd dh p2 ????', 'd dh p3 AcKd', 'p3 cbr 300', 'p1 f', 'p2 f']
"""


@pytest.mark.parametrize(
    ("winnings", "expected"),
    [
        ("[0, 0, 265]", (-55, -105, 160)),  # 15 in antes, 50, 100, and the 100 that were matched
        ("[0, 0, 252.5]", (-55, -105, 147.5)),  # less the rake
    ],
)
def test_winnings_never_hold_the_uncalled_bet(winnings, expected):
    episode = read(Phh(), STEAL + f"winnings = {winnings}\n")
    assert episode.returns == expected
    assert episode.provenance["winners"] == [2]


@pytest.mark.parametrize(
    ("field", "notes"),
    [
        ("rake = 12.5", ["unknown_cards"]),
        ("rake = 10", ["unknown_cards", "results_disputed"]),
        ("parse_value = 3", ["unknown_cards"]),
    ],
)
def test_fields_that_pokerkit_has_functions_for_are_the_hands_own(field, notes):
    episode = read(Phh(), STEAL + f"winnings = [0, 0, 252.5]\n{field}\n")
    assert episode.provenance["notes"] == notes
    assert replies(episode) == ["raise to 300", "fold"]


@pytest.mark.parametrize("winnings", ["[0, 0, 465]", "[0, 0, 100]", "[0, 265, 0]"])
def test_winnings_that_do_not_balance_say_nothing_of_who_won(winnings):
    episode = read(Phh(), STEAL + f"winnings = {winnings}\n")
    assert episode.provenance["notes"] == ["unknown_cards", "results_disputed"]
    assert "winners" not in episode.provenance
    assert len(episode.turns) == 2


def test_cards_that_are_known_need_not_be_shown():
    text = HAND.replace(", 'p2 sm Kc7h', 'p3 sm AcKd'", "").replace("????", "Kc7h")
    assert read(Phh(), text).returns == (-50, -2500, 2550)


ALL_IN = """variant = 'NT'
antes = [0, 0, 0]
blinds_or_straddles = [5, 10, 0]
min_bet = 10
starting_stacks = [1000, 400, 250]
actions = ['d dh p1 ????', 'd dh p2 ????', 'd dh p3 KhKd', 'p3 cbr 250', 'p1 cbr 1000', 'p2 cc',
  'd db 2c3d4h', 'd db 8s', 'd db 9s', 'p1 sm AcAd', 'p2 sm QsQd', 'p3 sm KhKd']
"""


def test_cards_of_all_ins_may_be_shown_before_or_after_the_board():
    before = ALL_IN.replace("'d db 2c3d4h', 'd db 8s', 'd db 9s', ", "").replace(
        "'p3 sm KhKd'", "'p3 sm KhKd', 'd db 2c3d4h', 'd db 8s', 'd db 9s'"
    )
    for text in (ALL_IN, before, ALL_IN + "winnings = [1050, 0, 0]\n"):
        assert read(Phh(), text).returns == (650, -400, -250)
    wrong = read(Phh(), ALL_IN + "winnings = [300, 750, 0]\n")  # the queens have no share
    assert wrong.provenance["notes"] == ["results_disputed"]


def test_one_hand_is_one_match_whoever_s_cards_are_told():
    other = STEAL.replace("7c2d", "????").replace("p2 ????", "p2 9h9s")
    for name in ("hand = 4\n", "hand = 241000000017\nvenue = 'PokerStars'\n"):
        mine, theirs = (read(Phh(), text + name).provenance for text in (STEAL, other))
        assert mine["match"] == theirs["match"]
    assert mine["match"] == "PokerStars-241000000017"
    fifth = read(
        Phh(),
        STEAL.replace("p1 f", "p1 cc").replace("'p2 f", "'p2 cc', 'd db 2c3c4c', 'p1 f', 'p2 f")
        + "hand = 4\n",
    )
    assert fifth.provenance["match"] != read(Phh(), STEAL + "hand = 4\n").provenance["match"]


@pytest.mark.parametrize("ends", ["[9950, 7500, 5051]", "[9000, 7500, 5050]", "[0, 0, 0]"])
def test_results_that_cannot_be_are_not_believed(ends):
    episode = read(Phh(), HAND + f"finishing_stacks = {ends}\n")
    assert episode.returns == (-50, -2500, 2550)
    assert episode.provenance["notes"] == ["results_disputed"]
    assert "winners" not in episode.provenance


def test_stacks_nobody_knew_are_not_told():
    episode = read(Phh(), HAND.replace("[10000, 10000, 2500]", "[inf, inf, inf]"))
    prompt = episode.turns[3].observation
    assert "The stacks are not known." in prompt
    assert "You can check or bet 100 or more." in prompt
    assert "inf" not in prompt.lower()


def test_a_hand_that_stops_is_truncated_and_pays_nobody():
    episode = read(Phh(), HAND[: HAND.index(", 'p3 cbr 400'")] + "]\n")
    assert episode.ending is Ending.TRUNCATED
    assert "unfinished" in episode.provenance["notes"]
    assert all(math.isnan(won) for won in episode.returns)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HAND[:-40], "not_toml"),
        (HAND.replace("'NT'", "'XX'"), "unknown_variant"),
        (HAND.replace("antes", "aunts"), "not_a_hand"),
        (HAND.replace("'p1 f', ", ""), "missing_action"),
        (HAND.replace("cbr 400", "cbr 4"), "illegal_action"),
        (HAND.replace("'p2 cc', 'p3 cc'", "'p9 cc', 'p3 cc'"), "missing_action"),
        (HAND.replace("7c2d", "????").replace("AcKd", "????").replace("Kc7h", "????"),
         "unknown_cards"),
        (HAND.replace("[10000, 10000, 2500]", "[]"), "unplayable"),
        (HAND.replace("[10000, 10000, 2500]", "'no'"), "not_a_hand"),
        (HAND.replace("actions = [", "actions = [3, "), "not_a_hand"),
        (17, "not_a_hand"),
    ],
)  # fmt: skip
def test_hands_that_cannot_be_taken_are_refused(text, reason):
    assert refused(Phh(), text).reason == reason


def test_the_hands_of_a_file_are_told_apart():
    text = f"# a table\n\n[1]\n{HAND}"
    assert [line for line, _ in Phh().split(text)] == [3]
    text = f"a table\n\n[1]\n{HAND}\n\n[2]\n{HAND}"
    records = list(Phh().split(text))
    assert [line for line, _ in records] == [1, 3, 14]
    assert refused(Phh(), records[0][1]).reason == "not_toml"
    first, second = (read(Phh(), value) for _, value in records[1:])
    assert first.provenance["match"] == second.provenance["match"]
    assert [line for line, _ in Phh().split(HAND)] == [1]


def test_pokerstars_hands_are_seen_by_their_hero():
    episode = read(PokerStars(), STARS)
    assert replies(episode) == ["raise to 3", "bet 4", "check", "call"]
    assert episode.players == ("Ada L.", "Bo", "Cy")
    assert episode.provenance["seat"] == 2
    assert episode.provenance["outcome"] == "win"
    assert episode.returns == (-0.5, -17, 16)  # 33 collected, 17 put in: the rake is not won
    assert episode.provenance["unknown_decisions"] == 6


def test_pokerstars_files_hold_many_hands():
    text = f"\ufeff{STARS}\r\n\r\n\r\n{STARS}"
    records = list(PokerStars().split(text))
    assert len(records) == 2
    assert all(len(read(PokerStars(), value).turns) == 4 for _, value in records)
    assert [line for line, _ in PokerStars().split("hello\n" + STARS)] == [1, 2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hello", "not_a_hand"),
        (STARS.replace("*** HOLE", "Cy: posts the toll $0.10\n*** HOLE"), "unread_posts"),
        (STARS.replace("Ada L.: folds\n", ""), "missing_action"),
        (STARS.replace("No Limit", "Pot Limit"), "unplayable"),
        (STARS[:200], "unplayable"),
        (None, "not_a_hand"),
    ],
)
def test_pokerstars_hands_that_would_be_misread_are_refused(text, reason):
    assert refused(PokerStars(), text).reason == reason


def test_a_row_of_the_table_before_the_flop():
    episode = read(PokerBench(), PREFLOP)
    turn = episode.turns[0]
    assert turn.attempts[0].reply == "call"
    assert [move.text for move in turn.legal_moves] == ["call", "fold"]
    assert "UTG raises to 2, BTN calls, SB raises to 13, BB goes all-in" in turn.observation
    assert "You hold Kd Kc: a pocket pair of kings." in turn.observation
    assert (turn.role, turn.phase) == ("SB", "preflop")


def test_a_row_of_the_table_after_the_flop_does_not_tell_the_river():
    turn = read(PokerBench(), POSTFLOP).turns[0]
    assert turn.attempts[0].reply == "raise 24"
    assert (turn.role, turn.phase) == ("HJ", "turn")
    assert "The turn is Jc: BB checks, HJ bets 5, BB raises to 14." in turn.observation
    assert "You hold 8h 8c: a pair of eights." in turn.observation
    assert "7c" not in turn.observation


def test_an_instruction_is_asked_as_it_stands():
    turn = read(PokerBench(), INSTRUCTION).turns[0]
    assert turn.observation == INSTRUCTION["instruction"]
    assert turn.attempts[0].reply == "bet 18"
    assert (turn.role, turn.phase) == ("HJ", "turn")
    assert [move.text for move in turn.legal_moves] == ["check", "bet 18"]


def test_decisions_of_one_deal_are_one_match():
    river = {**POSTFLOP, "evaluation_at": "River", "correct_decision": "Fold"}
    assert (
        read(PokerBench(), POSTFLOP).provenance["match"]
        == read(PokerBench(), river).provenance["match"]
    )
    text = INSTRUCTION["instruction"].replace("then BB check.", "then BB bet 4 chips.")
    later = {"instruction": text, "output": "call"}
    ours, theirs = read(PokerBench(), INSTRUCTION), read(PokerBench(), later)
    assert ours.provenance["match"] == theirs.provenance["match"]
    other = {**INSTRUCTION, "instruction": text.replace("Jack of Spade", "Ten of Spade")}
    assert ours.provenance["match"] != read(PokerBench(), other).provenance["match"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({**PREFLOP, "correct_decision": "banana"}, "not_a_decision"),
        ({**PREFLOP, "correct_decision": None}, "not_a_decision"),
        ({**PREFLOP, "hero_holding": "KdKd"}, "bad_row"),
        ({**PREFLOP, "prev_line": "UTG/2.0bb/BTN"}, "bad_row"),
        ({**PREFLOP, "hero_pos": "MARS"}, "bad_row"),
        ({**PREFLOP, "pot_size": "big"}, "bad_row"),
        ({**POSTFLOP, "evaluation_at": "Flop"}, "bad_row"),  # a turn bet at a flop decision
        ({**POSTFLOP, "board_flop": "Ks7h"}, "bad_row"),
        ({**INSTRUCTION, "output": "fold or call"}, "not_a_decision"),
        ({"instruction": "Say hello", "output": "hello"}, "bad_row"),
        ([], "bad_row"),
    ],
)
def test_rows_that_cannot_be_taken_are_refused(row, reason):
    assert refused(PokerBench(), row).reason == reason


def test_each_importer_knows_its_own():
    assert Phh().fits(HAND) and not Phh().fits(STARS) and not Phh().fits(None)
    assert PokerStars().fits(STARS) and not PokerStars().fits(HAND) and not PokerStars().fits({})
    assert all(PokerBench().fits(row) for row in (PREFLOP, POSTFLOP, INSTRUCTION))
    assert not PokerBench().fits({"instruction": "Write a poem about poker", "output": "..."})


def taken_or_refused(importer, value):
    importer.fits(value)
    try:
        importer.read(Record(value, "a file"))
    except Refused:
        return


LOOSE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_row_crashes_the_importer(data):
    row = dict(data.draw(st.sampled_from([PREFLOP, POSTFLOP, INSTRUCTION])))
    for name in data.draw(st.lists(st.sampled_from(sorted(row)), max_size=3)):
        row[name] = data.draw(LOOSE)
    taken_or_refused(PokerBench(), row)
    taken_or_refused(PokerBench(), data.draw(LOOSE))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_text_crashes_the_importers(data):
    for importer, text in ((Phh(), HAND), (PokerStars(), STARS)):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 30)))
        broken = text[:start] + data.draw(st.text(max_size=8)) + text[end:]
        for _, record in importer.split(broken):
            taken_or_refused(importer, record)
