"""PokerStars hands in the room's own words: what each player won, to the cent."""

import math

import pytest

from tesuji.logs.base import Record, Refused
from tesuji.logs.formats.pokerstars import PokerStars
from tesuji.logs.importing import import_logs

HEAD = "PokerStars Hand #241000000017:  Hold'em No Limit ($0.50/$1.00 USD) - 2024/05/06 21:07:11 ET"
LEVEL = (
    "PokerStars Hand #241000000018: Tournament #3300112233, $4.40+$0.60 USD Hold'em No Limit - "
    "Level XI (200/400) - 2024/05/06 21:07:11 ET"
)
SEATS = """Table 'Vega IV' 6-max Seat #4 is the button
Seat 1: uma ($100 in chips)
Seat 2: vic: v ($80.50 in chips)
Seat 4: vic ($100 in chips)
Seat 6: walt ($12 in chips) is sitting out"""
BLINDS = """uma: posts small blind $0.50
vic: v: posts big blind $1
walt: is sitting out
*** HOLE CARDS ***
Dealt to vic [Ad Ks]"""
STEAL = """vic: raises $2 to $3
uma: folds
uma said, "vic: folds"
vic: v has timed out
vic: v: folds
Uncalled bet ($2) returned to vic
vic collected $2.50 from pot
vic: doesn't show hand
*** SUMMARY ***
Total pot $2.50 | Rake $0
Seat 1: uma (small blind) folded before Flop
Seat 2: vic: v (big blind) folded before Flop
Seat 4: vic (button) collected ($2.50)"""
WALK = """vic: folds
uma: folds
Uncalled bet ($0.50) returned to vic: v
vic: v collected $1 from pot
vic: v: doesn't show hand
*** SUMMARY ***
Total pot $1 | Rake $0"""
ALL_IN = """vic: calls $1
uma: raises $79 to $80
vic: v: calls $79
vic: raises $20 to $100 and is all-in
uma: calls $20 and is all-in
vic: v: calls $0.50 and is all-in
*** FLOP *** [2c 7d Jh]
*** TURN *** [2c 7d Jh] [Qs]
*** RIVER *** [2c 7d Jh Qs] [3s]
*** SHOW DOWN ***
vic: shows [Ad Ks] (high card Ace)
uma: shows [8h 8c] (a pair of Eights)
uma collected $39 from side pot
vic: v: shows [Jc Th] (a pair of Jacks)
vic: v collected $240 from main pot
*** SUMMARY ***
Total pot $280.50 Main pot $241.50. Side pot $39. | Rake $1.50
Board [2c 7d Jh Qs 3s]
Seat 1: uma (small blind) showed [8h 8c] and won ($39) with a pair of Eights
Seat 2: vic: v (big blind) showed [Jc Th] and won ($240) with a pair of Jacks
Seat 4: vic (button) showed [Ad Ks] and lost with high card Ace"""


def hand(*parts: str) -> str:
    return "\n".join(parts) + "\n\n\n"


def read(text: str):
    return PokerStars().read(Record(text, "a file"))


def won(text: str) -> dict[str, float]:
    episode = read(text)
    assert not {"results_disputed", "unfinished"} & {*episode.provenance["notes"]}
    return dict(zip(episode.players, episode.returns, strict=True))


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (STEAL, {"uma": -0.5, "vic: v": -1, "vic": 1.5}),
        (STEAL.replace("raises $2 to", "raises $3 to"), {"uma": -0.5, "vic: v": -1, "vic": 1.5}),
        (STEAL.replace("raises $2 to", "raises to"), {"uma": -0.5, "vic: v": -1, "vic": 1.5}),
        (WALK, {"uma": -0.5, "vic: v": 0.5, "vic": 0}),
        (ALL_IN, {"uma": -61, "vic: v": 159.5, "vic": -100}),
    ],
)
def test_what_a_hand_paid(told, expected):
    assert won(hand(HEAD, SEATS, BLINDS, told)) == expected


def test_cents_without_a_dollar():
    text = hand(HEAD, SEATS, BLINDS, WALK).replace("$0.50", "$.50")
    assert won(text) == {"uma": -0.5, "vic: v": 0.5, "vic": 0}


@pytest.mark.parametrize("sign", ["€", "£", "â‚¬", "\ufffd", ""])
def test_whatever_the_currency(sign):
    text = hand(HEAD, SEATS, BLINDS, ALL_IN).replace("$", sign)
    assert won(text) == {"uma": -61, "vic: v": 159.5, "vic": -100}


def test_the_winner_who_was_not_called_has_won():
    episode = read(hand(HEAD, SEATS, BLINDS, STEAL))
    assert episode.provenance["outcome"] == "win"
    assert episode.provenance["winners"] == [2]
    assert [turn.attempts[0].reply for turn in episode.turns] == ["raise to 3"]


ANTES = """Table '3300112233 7' 9-max Seat #2 is the button
Seat 1: uma (9,150 in chips, $2.50 bounty)
Seat 2: vic (12040 in chips, $7.75 bounty) is sitting out
Seat 5: walt (25 in chips)
Seat 8: xi (300 in chips)
Seat 9: yan (3000 in chips)
uma: posts the ante 50
vic: posts the ante 50
walt: posts the ante 25 and is all-in
xi: posts the ante 50
yan: posts the ante 50
xi: posts big blind 250 and is all-in
*** HOLE CARDS ***
Dealt to yan [Ts Td]
yan: calls 400
uma: folds
vic: folds
*** FLOP *** [2c 7d Jh]
*** TURN *** [2c 7d Jh] [Qs]
*** RIVER *** [2c 7d Jh Qs] [3s]
*** SHOW DOWN ***
yan: shows [Ts Td] (a pair of Tens)
walt: shows [Qc 2h] (two pair, Queens and Deuces)
xi: shows [5h 5c] (a pair of Fives)
yan collected 600 from side pot
walt collected 125 from main pot
xi finished the tournament in 31st place
yan wins the $1.25 bounty for eliminating xi
*** SUMMARY ***
Total pot 725 Main pot 125. Side pot 600. | Rake 0
Board [2c 7d Jh Qs 3s]"""


def test_antes_bounties_and_blinds_of_less_than_a_blind():
    told = ANTES.replace("*** FLOP", "Uncalled bet (150) returned to yan\n*** FLOP", 1)
    assert won(hand(LEVEL, told)) == {"uma": -50, "vic": -50, "walt": 100, "xi": -300, "yan": 300}
    episode = read(hand(LEVEL, told))
    assert "need 400 to call" in episode.turns[0].observation
    assert "The ante is 50 chips." in episode.turns[0].observation
    assert [turn.attempts[0].reply for turn in episode.turns] == ["call"]


POSTS = """Table 'Vega IV' 6-max Seat #1 is the button
Seat 1: uma ($100 in chips)
Seat 2: vic: v ($80.50 in chips)
Seat 4: vic ($100 in chips)
Seat 5: xi ($100 in chips)
vic: v: posts small blind $0.50
vic: posts big blind $1
uma: posts small & big blinds $1.50
xi: posts big blind $1
*** HOLE CARDS ***
Dealt to xi [7c 7d]
xi: checks
uma: raises $3 to $4
vic: v: folds
vic: folds
xi: calls $3
*** FLOP *** [2c 7h Jh]
xi: bets $5
uma: folds
Uncalled bet ($5) returned to xi
xi collected $9.55 from pot
*** SUMMARY ***
Total pot $10 | Rake $0.45"""


def test_blinds_posted_late_are_live_and_the_small_one_dead():
    assert won(hand(HEAD, POSTS)) == {"vic: v": -0.5, "vic": -1, "xi": 5.55, "uma": -4.5}


NO_SMALL_BLIND = """uma: posts big blind $1
*** HOLE CARDS ***
Dealt to vic [Ad Ks]
vic: v: folds
vic: raises $2 to $3
uma: folds
Uncalled bet ($2) returned to vic
vic collected $2 from pot
*** SUMMARY ***
Total pot $2 | Rake $0"""


def test_without_a_small_blind_the_seats_begin_with_the_big_one():
    episode = read(hand(HEAD, SEATS, NO_SMALL_BLIND))
    assert episode.players == ("uma", "vic: v", "vic")
    assert episode.provenance["roles"] == {"0": "BB", "1": "CO", "2": "BTN"}
    assert episode.returns == (-1, 0, 1)


SMALL_BLIND_ALL_IN = """Table '3300112233 7' 9-max Seat #3 is the button
Seat 1: uma (60 in chips)
Seat 2: xi (5000 in chips)
Seat 3: yan (5000 in chips)
uma: posts small blind 60 and is all-in
xi: posts big blind 400
*** HOLE CARDS ***
Dealt to yan [As Kd]
yan: folds
Uncalled bet (340) returned to xi
*** FLOP *** [2c 7d Jh]
*** TURN *** [2c 7d Jh] [Qs]
*** RIVER *** [2c 7d Jh Qs] [3s]
*** SHOW DOWN ***
xi: shows [Ah 4d] (high card Ace)
uma: shows [5c 4h] (high card Queen)
xi collected 120 from pot
*** SUMMARY ***
Total pot 120 | Rake 0"""


def test_nobody_is_asked_where_the_others_are_all_in():
    assert won(hand(LEVEL, SMALL_BLIND_ALL_IN)) == {"uma": -60, "xi": 60, "yan": 0}
    told = SMALL_BLIND_ALL_IN.replace("uma (60 in", "uma (900 in").replace(
        "xi (5000 in", "xi (60 in"
    )
    told = told.replace("small blind 60 and is all-in", "small blind 200")
    told = told.replace("big blind 400", "big blind 60 and is all-in")
    told = told.replace("(340) returned to xi", "(140) returned to uma")
    assert won(hand(LEVEL, told)) == {"uma": -60, "xi": 60, "yan": 0}


MUCKED = """vic: calls $1
uma: calls $0.50
vic: v: checks
*** FLOP *** [2c 7d Jh]
uma: checks
vic: v: checks
vic: bets $2
uma: calls $2
vic: v: folds
*** TURN *** [2c 7d Jh] [Qs]
uma: checks
vic: checks
*** RIVER *** [2c 7d Jh Qs] [3s]
uma: checks
vic: checks
*** SHOW DOWN ***
uma: shows [8h 8c] (a pair of Eights)
vic: mucks hand
uma collected $6.65 from pot
*** SUMMARY ***
Total pot $7 | Rake $0.35
Board [2c 7d Jh Qs 3s]
Seat 1: uma (small blind) showed [8h 8c] and won ($6.65) with a pair of Eights
Seat 2: vic: v (big blind) folded on the Flop
Seat 4: vic (button) mucked [6h 5h]"""


def test_cards_mucked_stand_in_the_summary():
    episode = read(hand(HEAD, SEATS, BLINDS.replace("\nDealt to vic [Ad Ks]", ""), MUCKED))
    assert {turn.role for turn in episode.turns} == {"SB", "BTN"}
    assert "you hold 6h 5h" in episode.turns[0].observation
    assert episode.returns == (3.65, -1, -3)
    assert episode.provenance["winners"] == [0]


TWICE = ALL_IN.replace("*** TURN", "*** FIRST TURN").replace(
    "*** RIVER *** [2c 7d Jh Qs] [3s]",
    "*** FIRST RIVER *** [2c 7d Jh Qs] [3s]\n"
    "*** SECOND TURN *** [2c 7d Jh] [Ah]\n*** SECOND RIVER *** [2c 7d Jh Ah] [4s]",
)


def test_of_a_hand_dealt_out_twice_all_payments_count():
    told = TWICE.replace(
        "uma collected $39 from side pot\n",
        "uma collected $19.50 from side pot\nvic collected $19.50 from side pot\n",
    )
    told = told.replace("collected $240 from", "collected $120 from").replace(
        "*** SUMMARY", "vic collected $120 from main pot\n*** SUMMARY"
    )
    text = hand(HEAD, SEATS, BLINDS, told)
    assert won(text) == {"uma": -80.5, "vic: v": 39.5, "vic": 39.5}
    assert read(text).provenance["notes"] == ["run_twice"]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("Rake $1.50", "Rake $1.51"),
        ("collected $240 from", "collected $239.99 from"),
        ("uma collected $39", "vic collected $39"),  # whose high card beats nothing
        ("uma collected $39 from side pot\n", ""),
    ],
)
def test_a_hand_that_does_not_balance_says_nothing_of_who_won(right, wrong):
    episode = read(hand(HEAD, SEATS, BLINDS, ALL_IN.replace(right, wrong)))
    assert episode.provenance["notes"] == ["results_disputed"]
    assert "winners" not in episode.provenance
    assert episode.provenance["outcome"] == ""
    assert len(episode.turns) == 6


@pytest.mark.parametrize(
    "told", ["vic cashed out the hand for $31.20 | Cash Out Fee $0.32\n", "vic: v cashed out the "
             "hand for $237.60 | Cash Out Fee $2.40\n"]
)  # fmt: skip
def test_a_cash_out_is_paid_and_noted(told):
    name, _, price = told.partition(" cashed out the hand for $")
    episode = read(hand(HEAD, SEATS, BLINDS, ALL_IN.replace("*** SUMM", f"{told}*** SUMM")))
    returns = dict(zip(episode.players, episode.returns, strict=True))
    put = {"vic": 100, "vic: v": 80.5}[name]
    assert math.isclose(returns.pop(name), float(price.split()[0]) - put)
    assert returns.items() <= {"uma": -61, "vic": -100, "vic: v": 159.5}.items()
    assert episode.provenance["notes"] == ["cashed_out"]
    assert "winners" not in episode.provenance and not episode.provenance["outcome"]


def test_a_line_torn_off_is_not_read():
    text = hand(HEAD, SEATS, BLINDS, ALL_IN)
    episode = read(text[: text.index("0 and is all-in")])  # "vic: raises $20 to $10"
    assert [turn.attempts[0].reply for turn in episode.turns] == ["call"]
    assert episode.provenance["notes"] == ["unknown_cards", "unfinished"]
    assert all(map(math.isnan, episode.returns))


def test_two_views_of_one_hand_are_one_match():
    mine = hand(HEAD, SEATS, BLINDS, STEAL)
    theirs = mine.replace("Dealt to vic [Ad Ks]", "Dealt to uma [4h 4s]")
    first, second = (read(text).provenance for text in (mine, theirs))
    assert first["match"] == second["match"] == "PokerStars-241000000017"
    assert (first["outcome"], second["outcome"]) == ("win", "loss")
    other = read(mine.replace("#241000000017", "#241000000019"))
    assert other.provenance["match"] != first["match"]


def test_hands_sent_by_mail_are_numbered():
    text = "".join(
        f"*********** # {n} **************\n{hand(HEAD, SEATS, BLINDS, WALK)}" for n in (1, 2)
    )
    records = [record for _, record in PokerStars().split(text)]
    assert [won(record)["vic: v"] for record in records] == [0.5, 0.5]


def test_a_hand_of_a_thousand_actions_is_none():
    bets = "".join(f"{'vic' if n % 2 else 'uma'}: checks\n" for n in range(2000))
    with pytest.raises(Refused, match="actions"):
        read(hand(HEAD, SEATS, BLINDS, bets))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (hand(HEAD, SEATS.replace(" is the button", ""), BLINDS, STEAL), "unplayable"),
        (hand(HEAD.replace("Hold'em", "6+ Hold'em"), SEATS, BLINDS, STEAL), "unplayable"),
        (hand(HEAD, SEATS, BLINDS.replace("small blind", "small favour"), STEAL), "unread_posts"),
        (hand(HEAD, SEATS, BLINDS, STEAL.replace("raises $2 to $3", "raises $2")), "unread_amount"),
    ],
)
def test_what_cannot_be_read_is_refused(text, reason):
    with pytest.raises(Refused) as caught:
        read(text)
    assert caught.value.reason == reason


def test_a_hero_to_whom_all_fold_has_no_decision_but_his_result(tmp_path):
    """His cards are known, so it is no hand of unknown cards."""
    text = f"{HEAD}\n{SEATS}\n{BLINDS}\n{WALK}".replace(
        "Dealt to vic [Ad Ks]", "Dealt to vic: v [7d 2s]"
    )
    episode = PokerStars().read(Record(text, "a file"))
    assert dict(zip(episode.players, episode.returns, strict=True)) == {
        "uma": -0.5, "vic: v": 0.5, "vic": 0,
    }  # fmt: skip
    assert episode.provenance["outcome"] == "win" and not episode.turns
    (tmp_path / "hand.txt").write_text(text)
    summary = import_logs([tmp_path / "hand.txt"], tmp_path / "out")
    assert summary.rejected_by_reason == {"no_actions": 1}
    assert "--include no_actions" in (tmp_path / "out" / "quarantine.jsonl").read_text()
    summary = import_logs([tmp_path / "hand.txt"], tmp_path / "out", include=["no_actions"])
    assert summary.outcomes == {"win": 1}
