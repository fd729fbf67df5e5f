"""One hand of poker: pokerkit keeps the rules and the chips, we lay out the cards and tell each
seat what it may know.

What a seat is told comes from its own cards and from what everybody at the table has seen
(`situation`); another seat's cards are never looked at, not even after the hand.
"""

import random
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import pokerkit
from pokerkit import Automation, Card, State

from tesuji.core.errors import GameError, IllegalMove
from tesuji.core.types import Message, Move
from tesuji.games.base import Match
from tesuji.games.picture import Cards, Hand
from tesuji.games.poker.bets import bet_of, menu
from tesuji.games.poker.card_words import cards_text, chips
from tesuji.games.poker.history import Story
from tesuji.games.poker.options import Stakes
from tesuji.games.poker.prompt import (
    Betting,
    brief,
    decision_prompt,
    menu_line,
    situation_lines,
    waiting_text,
)
from tesuji.games.poker.situation import Situation, names_of, situation, street_of

BOARD = 5
BACK = "?"
AUTOMATIONS = (
    Automation.ANTE_POSTING,
    Automation.BET_COLLECTION,
    Automation.BLIND_OR_STRADDLE_POSTING,
    Automation.HOLE_CARDS_SHOWING_OR_MUCKING,
    Automation.RUNOUT_COUNT_SELECTION,
    Automation.HAND_KILLING,
    Automation.CHIPS_PUSHING,
    Automation.CHIPS_PULLING,
)


class PokerMatch(Match):
    """A hand with its cards laid out. `offender` is the seat that forfeited, if one did."""

    def __init__(self, stakes: Stakes, deck: tuple[str, ...]) -> None:
        self.stakes, self.deck = stakes, deck
        self.state: State = _state(stakes)
        self.names = names_of(self.state)
        self.offender: int | None = None
        self.moves: list[tuple[int, Move]] = []
        self._story, self._betting = Story(self.state, self.names), Betting()
        self._read = 0
        self._advance()

    @property
    def to_act(self) -> tuple[int, ...]:
        """The one seat to decide, none once the hand is over."""
        seat = self.state.actor_index
        return () if seat is None or self.offender is not None else (seat,)

    def hole(self, seat: int) -> tuple[Card, ...]:
        """The cards dealt to a seat."""
        each = self.stakes.variant.hole
        return _cards(self.deck[seat * each : (seat + 1) * each])

    def situation(self, seat: int) -> Situation:
        """What `seat` knows now, as facts; of bets and prices only if it is to act."""
        self._check_seat(seat)
        if seat not in self._known:
            words = self.stakes.variant.words
            self._known[seat] = situation(self.state, self._story, self.hole(seat), words, seat)
        return self._known[seat]

    def observe(self, seat: int) -> str:
        """What `seat` knows now: in words, or briefly, as `shown` has it."""
        at = self.situation(seat)
        if self.stakes.shown == "brief":
            return brief(at, self._betting)
        if seat not in self.to_act:
            turn = f"It is {self.names[self.to_act[0]]}'s turn." if self.to_act else "It is over."
            return waiting_text(at, turn)
        if self.stakes.bets == "text":
            return decision_prompt(at)
        texts = [move.text for move in self._menu]
        return "\n".join([*situation_lines(at), menu_line(texts)])

    def messages(self, seat: int) -> tuple[Message, ...] | None:
        """Where bets are named freely, the question as rows of poker data put it."""
        if self.stakes.bets == "menu" or self.stakes.shown == "brief":
            return None
        return (Message(role="user", content=self.observe(seat)),)

    def legal_moves(self, seat: int) -> tuple[Move, ...]:
        """The menu. With `bets: text` any other legal bet may be named, too."""
        self._check_seat(seat)
        return tuple(self._menu) if seat in self.to_act else ()

    @property
    def totals(self) -> Mapping[Move, int]:
        """The menu with the total that each move bets to, 0 for a fold, a check or a call."""
        return self._menu

    def read(self, seat: int, reply: str) -> Move | None:
        """With `bets: text`, the decision that these words name; a bare number is a move's ID.

        Raises IllegalMove, with the reason, where they name none that is allowed.
        """
        if self.stakes.bets == "menu" or reply.strip().isdecimal():
            return None
        named = bet_of(self.situation(seat), reply, self.stakes.big_blind)
        return next((move for move in self._menu if move.text == named.text), named)

    def play(self, seat: int, move: Move) -> None:
        """Take the decision and deal what follows from it."""
        total = self._total(seat, move)
        self.moves.append((seat, move))
        if total:
            self.state.complete_bet_or_raise_to(total)
        elif move.text == "fold":
            self.state.fold()
        else:
            self.state.check_or_call()
        self._advance()

    def forfeit(self, seat: int) -> None:
        """`seat` folds, and with it the hand ends; see `settle.stopped` for the other seats."""
        self._check_seat(seat)
        self.offender = seat

    def returns(self) -> tuple[float, ...]:
        """Big blinds won or lost, nothing before the hand is over."""
        return tuple(gain / self.stakes.big_blind for gain in self.chips())

    def chips(self) -> tuple[int, ...]:
        """Whole chips won or lost; they add up to 0."""
        if self.offender is not None:
            return stopped(self.state, self.offender)
        if self.state.status:
            return (0,) * self.stakes.num_players
        return tuple(int(payoff) for payoff in self.state.payoffs)

    def role(self, seat: int) -> str:
        """The position: "SB", "BB", "UTG", ..., "BTN"; with two players "BB" and "BTN"."""
        self._check_seat(seat)
        return self.names[seat]

    def render(self) -> str:
        """All cards, the board as far as it is dealt, what was done, stacks and pot."""
        board = self._board()
        lines = [f"board {cards_text(board) or '-'}  pot {chips(self.state.total_pot_amount)}"]
        for seat, name in enumerate(self.names):
            gone = "" if self.state.statuses[seat] else "  out"
            stack = chips(self.state.stacks[seat])
            lines.append(f"{name:<5} {cards_text(self.hole(seat))}  stack {stack}{gone}")
        done = [", ".join(street.done) for street in self._story.so_far() if street.done]
        return "\n".join([*lines, *done])

    def picture(self, seat: int | None) -> Cards:
        """The board, and each seat's cards: of the others only the backs."""
        board = tuple(map(repr, self._board()))
        hands = [Hand("Board", (*board, *[BACK] * (BOARD - len(board))))]
        for one, name in enumerate(self.names):
            cards = tuple(map(repr, self.hole(one)))
            seen = cards if seat in (None, one) else (BACK,) * len(cards)
            hands.append(Hand(name, seen, self._stack(one)))
        return Cards(tuple(hands), f"pot {chips(self.state.total_pot_amount)}")

    def _stack(self, seat: int) -> str:
        """What the seat has left, what it has bet in this round, and whether it is out."""
        bet = self.state.bets[seat]
        parts = [f"stack {chips(self.state.stacks[seat])}"]
        parts += [f"bet {chips(bet)}"] if bet else []
        return ", ".join([*parts, *([] if self.state.statuses[seat] else ["out"])])

    def position(self) -> str:
        """A text that identifies what the seat to act knows."""
        seat = self.to_act[0] if self.to_act else 0
        return f"{seat}|{cards_text(self.hole(seat))}|{cards_text(self._board())}|{self._betting}"

    def clone(self) -> "PokerMatch":
        """The same cards, the same moves again; pokerkit's own state copies slowly."""
        other = PokerMatch(self.stakes, self.deck)
        for seat, move in self.moves:
            other.play(seat, move)
        other.offender = self.offender
        return other

    @property
    def phase(self) -> str:
        """ "preflop", "flop", "turn" or "river"."""
        return street_of(self.state)

    def _total(self, seat: int, move: Move) -> int:
        """What the move bets to, 0 for a fold, a check or a call. Raises IllegalMove."""
        if seat not in self.to_act:
            raise IllegalMove(f"seat {seat} is not to act", where=self.stakes.game)
        if move in self._menu:
            return self._menu[move]
        at = self.situation(seat)
        listed = ", ".join(f"{known.id} ({known.text})" for known in self._menu)
        if self.stakes.bets == "text" and move.id < 0:
            named = bet_of(at, move.text, self.stakes.big_blind)
            if named.text == move.text:
                return 0 if move.text in ("fold", "check", "call") else _amount(at, move.text)
        raise IllegalMove(
            f"{move.text or move.id!r} (id {move.id}) is not legal here",
            where=self.stakes.game,
            hint=f"legal: {listed}",
        )

    def _advance(self) -> None:
        """Deal until a seat has to decide or the hand is over, and take note of what happened."""
        state = self.state
        while state.status and state.actor_index is None:
            self._deal()
        for operation in state.operations[self._read :]:
            self._story.read(operation)
            self._betting.read(operation)
        self._read = len(state.operations)
        self._known: dict[int, Situation] = {}
        self._menu: dict[Move, int] = {}
        if (seat := state.actor_index) is not None:
            self._menu = menu(self.situation(seat), self.stakes.sizes)

    def _deal(self) -> None:
        state = self.state
        if (seat := state.hole_dealee_index) is not None:
            state.deal_hole(self.hole(seat), seat)
        elif state.can_burn_card():
            state.burn_card("??")
        else:
            dealt = len(self._board())
            start = self.stakes.variant.hole * self.stakes.num_players + dealt
            state.deal_board(_cards(self.deck[start : start + state.board_dealing_count]))

    def _board(self) -> tuple[Card, ...]:
        return tuple(self.state.get_board_cards(0)) if self.state.board_cards else ()

    def _check_seat(self, seat: int) -> None:
        count = self.stakes.num_players
        if not 0 <= seat < count:
            raise GameError(
                f"{self.stakes.game} has no seat {seat}", hint=f"seats: 0 to {count - 1}"
            )


def table_of(stakes: Stakes) -> Any:
    """pokerkit's game with these stakes, which makes states and hand histories."""
    seats = stakes.num_players
    blinds: tuple[int, ...] = (stakes.small_blind, stakes.big_blind)
    if stakes.variant.button_blind:  # with two players pokerkit keeps the blinds swapped
        blinds = (stakes.big_blind, 0) if seats == 2 else (0,) * (seats - 1) + (stakes.big_blind,)
    make = getattr(pokerkit, stakes.variant.table)
    return make(AUTOMATIONS, True, stakes.ante, blinds, stakes.big_blind)


def _state(stakes: Stakes) -> State:
    """A hand about to be dealt. pokerkit shuffles a deck with Python's global generator, which is
    put back as it was; its deck only says which cards there are, ours is dealt."""
    before = random.getstate()
    try:
        return table_of(stakes)(stakes.stacks, stakes.num_players)
    finally:
        random.setstate(before)


@cache
def _card(text: str) -> Card:
    [card] = Card.parse(text)
    return card


def _cards(texts: tuple[str, ...]) -> tuple[Card, ...]:
    return tuple(map(_card, texts))


def _amount(at: Situation, text: str) -> int:
    """The total that a bet in the words of a move names."""
    return int(at.most or 0) if text == "all-in" else int(text.rpartition(" ")[2])


def stopped(state: State, offender: int) -> tuple[int, ...]:
    """Chips won or lost by seat when `offender` gives up now and nobody plays on.

    The offender loses what it has put in, as with a fold. Everybody else still in the hand takes
    the own chips back; the dead ones (of the offender and of those who folded) are shared evenly,
    layer by layer, so that nobody wins more from a seat than was put in against it. Odd chips go to
    the first seats.
    """
    put = [
        int(begin - left) for begin, left in zip(state.starting_stacks, state.stacks, strict=True)
    ]
    live = [seat for seat in state.player_indices if state.statuses[seat] and seat != offender]
    gains = [0 if seat in live else -chips for seat, chips in enumerate(put)]
    below = 0
    for level in sorted(set(put)):
        dead = sum(min(level, put[seat]) - min(below, put[seat]) for seat in _others(put, live))
        reached = [seat for seat in live if put[seat] >= level] or live
        for place, seat in enumerate(reached):
            gains[seat] += dead // len(reached) + (place < dead % len(reached))
        below = level
    return tuple(gains)


def _others(put: Sequence[int], live: Sequence[int]) -> list[int]:
    return [seat for seat in range(len(put)) if seat not in live]
