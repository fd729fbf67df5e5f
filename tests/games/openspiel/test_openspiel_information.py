"""What a seat is shown, held against OpenSpiel's own numbers for what it knows: over all games with
hidden information, two situations that are one to the seat are one text to it, and the reverse."""

import random
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from openspiel_games import INFOS, load

from tesuji.core.errors import GameError
from tesuji.games.openspiel.game import OpenSpielMatch
from tesuji.players.registry import can_play, make_player
from tesuji.recipe.schema.sections import PlayerSection

HIDDEN = sorted(name for name, info in INFOS.items() if info.information == "imperfect")
SLOW = {"bridge_uncontested_bidding"}
MATCHES, TURNS = 25, 40

# What the text says and the tensor leaves out, because everybody saw it or the seat did it itself.
PUBLIC = {
    "bridge": r"Pass|\?",
    "dark_chess": r" \d+$",  # the number of the move, the players taking turns
    "dou_dizhu": r"(?s)start player.*",  # bids, and who played what
    "gin_rummy": r"Prev upcard: .*|Repeated move: .*|Discard pile: .*|Player: \d Action: .*",
    "kriegspiel": r"\S+ Illegal move\.|\? .*",  # the umpire's words, its own tries among them
    "latent_ttt": r"\d,\d",  # the order of moves on the board
    "phantom_go": r"Previous move .*|In previous move .*",  # the referee's words
    "rbc": r"[1-8]",  # the window this seat sensed last, in blanks
    # does not tell a hand that is over from before: test_openspiel_hidden.py compares deals instead
    "repeated_leduc_poker": r"(?s).*",
    "tiny_bridge_4p": r"-?Pass",
    "turn_based_simultaneous_game": r"Current player.*|Observer's action.*",  # its own choice
}
# What the tensor says and the text does not.
LEFT_OUT = {
    "battleship": "whose turn it is, and the order of shots that are on the board",
    "dark_hex_ir": "what was tried and when: the game is about a player that forgets it",
    "go_fish": "the rank that another seat drew, which it should not say",
    "kriegspiel": "the count of moves without a capture, the opponent's among them",
    "phantom_go": "whose turn it is: the seat that is asked knows",
    "rbc": "how often a position has been met",
}
NO_TENSOR = {
    *("coin_game", "coordinated_mp", "cribbage", "liars_dice_ir", "phantom_ttt_ir"),
    *("repeated_poker", "social_deduction", "tarok"),
}


def numbers(state: Any, seat: int) -> tuple[float, ...] | None:
    """OpenSpiel's numbers for what the seat knows; None where it has none."""
    kind = state.get_game().get_type()
    if kind.provides_information_state_tensor:
        return tuple(state.information_state_tensor(seat))
    return tuple(state.observation_tensor(seat)) if kind.provides_observation_tensor else None


def situations(name: str) -> Iterator[OpenSpielMatch]:
    """Every situation of some random matches."""
    game = load(name)
    for seed in range(MATCHES):
        match, draw = game.start(seed), random.Random(seed)
        for _ in range(TURNS):
            if not match.to_act:
                break
            yield match
            seat = match.to_act[0]
            match.play(seat, draw.choice(match.legal_moves(seat)))


@pytest.mark.parametrize("name", [name for name in HIDDEN if name not in SLOW])
def test_one_text_for_what_is_one_situation_to_the_seat(name: str) -> None:
    texts, tensors, moves = (defaultdict[Any, set[Any]](set) for _ in range(3))
    known = False
    for match in situations(name):
        for seat in range(len(match.returns())):
            text = match.observe(seat)
            if seat in match.to_act:
                moves[seat, text].add(match.legal_moves(seat))
            if (tensor := numbers(match.state, seat)) is not None:
                known = True
                private = re.sub(PUBLIC.get(name, r"\A\b\B"), "", text)
                texts[seat, tensor].add("".join(private.split()))
                tensors[seat, text].add(tensor)
    assert known == (name not in NO_TENSOR)
    assert not [key for key, shown in texts.items() if len(shown) > 1], "it is shown a secret"
    differ = any(len(some) > 1 for some in tensors.values())
    assert not differ or name in LEFT_OUT, "it is not shown what it knows"
    assert all(len(some) == 1 for some in moves.values()), "its moves say more than the text"


def test_dark_hex_does_not_say_how_often_the_opponent_ran_into_a_stone() -> None:
    match = load("dark_hex").start(0)
    first = match.legal_moves(0)
    match.play(0, first[4])
    tried = match.clone()
    other = next(m for m in match.legal_moves(1) if m.id != first[4].id)
    match.play(1, other)
    tried.play(1, next(m for m in tried.legal_moves(1) if m.id == first[4].id))
    tried.play(1, next(m for m in tried.legal_moves(1) if m.id == other.id))
    assert match.to_act == tried.to_act == (0,)
    assert match.state.information_state_string(0) != tried.state.information_state_string(0)
    assert match.observe(0) == tried.observe(0)
    told = load("dark_hex", obstype="reveal-numturns").start(0)
    told.play(0, told.legal_moves(0)[4])
    assert "\n1\n" in told.observe(0), "the options give the number away"


def test_gin_rummy_shows_who_passed_the_first_upcard() -> None:
    match = load("gin_rummy").start(1)
    first = match.to_act[0]
    before = match.observe(first)
    for _ in range(2):
        seat = match.to_act[0]
        match.play(seat, next(m for m in match.legal_moves(seat) if m.text.endswith("Pass")))
    assert match.to_act == (first,) and match.observe(first) != before
    assert match.observe(first).count("Action: Pass") == 2


def test_gin_rummy_shows_what_was_laid_off_since_the_knock() -> None:
    changed = 0
    for seed in range(1, 9):
        match, draw = load("gin_rummy").start(seed), random.Random(seed)
        while match.to_act and "Phase: Layoff" not in match.observe(0):
            legal = match.legal_moves(match.to_act[0])
            knock = next((move for move in legal if "Knock" in move.text), None)
            match.play(match.to_act[0], knock or draw.choice(legal))
        if not match.to_act:
            continue
        [seat] = match.to_act
        shown, legal = match.observe(seat), match.legal_moves(seat)
        assert "Action: Knock" in shown
        match.play(seat, next(move for move in legal if move.text.endswith("Pass")))
        if match.to_act == (seat,):
            changed += match.legal_moves(seat) != legal
            assert match.observe(seat) != shown
    assert changed, "other moves than before, and the reason for it is shown"


def test_dou_dizhu_shows_bids_and_who_played_what() -> None:
    match = load("dou_dizhu").start(1)
    bid = match.legal_moves(match.to_act[0])[1]
    bidder = match.to_act[0]
    match.play(bidder, bid)
    assert all(f"Player {bidder} played {bid.text}" in match.observe(seat) for seat in range(3))


RESAMPLED = sorted(name for name, info in INFOS.items() if "resampled" in info.traits)


@pytest.mark.parametrize("name", RESAMPLED)
def test_resampling_changes_what_is_hidden_and_nothing_else(name: str) -> None:
    """IS-MCTS searches such states: one that is always the true one would let it see all cards."""
    changed = 0
    for number, match in enumerate(situations(name)):
        [seat] = match.to_act
        draw = random.Random(number)
        for _ in range(4):
            state = match.state.resample_from_infostate(seat, draw.random)
            changed += str(state) != str(match.state)
            assert match.observe(seat) == load(name).view(state, seat)
            assert state.legal_actions() == match.state.legal_actions()
        if number > 60:
            break
    assert changed > 10 and can_play("ismcts", INFOS[name])


def test_ismcts_is_refused_where_it_would_see_the_true_state() -> None:
    state = load("colored_trails").start(3).state
    again = [state.resample_from_infostate(0, random.Random(n).random) for n in range(20)]
    assert {str(one) for one in again} == {str(state)}, "nothing is dealt anew"
    with pytest.raises(GameError, match="ismcts cannot play colored_trails"):
        make_player(PlayerSection(player="ismcts"), game=load("colored_trails"))
