"""What one player knows at one decision, from a pokerkit State.

Nothing here comes from another player's hole cards: `situation` reads the state's public part and
is handed the player's own cards.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pokerkit import Card, Opening, State

from tesuji.core.types import Move
from tesuji.games.poker.card_words import chips, made_hand, starting_hand
from tesuji.games.poker.history import Amount, Story, Street
from tesuji.games.poker.positions import plain_names, position_names

BOARD_STREETS = {0: "preflop", 3: "flop", 4: "turn", 5: "river"}
STRUCTURES = {"N": "no-limit", "P": "pot-limit", "F": "fixed-limit"}  # by the code of the variant


@dataclass(frozen=True, slots=True)
class Situation:
    """One decision, as the player at `seat` sees it. Amounts are in chips.

    `highest` is the greatest bet of this round, `to_call` what staying in costs (0: check), `stack`
    what the player has left, `effective` how much of it can still be lost in this hand. `least` and
    `most` bound the total a bet or raise may be made to, None where none is allowed; a player with
    `most` in front of him is all-in if `all_in`. `hand` is the class of the hand in words, "" where
    it has none.
    """

    game: str
    names: tuple[str, ...]
    seat: int
    phase: str
    hole: tuple[Card, ...]
    board: tuple[Card, ...]
    face_up: tuple[tuple[int, tuple[Card, ...]], ...]
    hand: str
    blinds: tuple[Amount, ...]
    antes: tuple[Amount, ...]
    stacks: tuple[Amount, ...]
    streets: tuple[Street, ...]
    pot: Amount
    highest: Amount
    to_call: Amount
    facing_bet: bool
    stack: Amount
    effective: Amount
    least: Amount | None
    most: Amount | None
    all_in: bool
    bring_in: Amount | None
    players_left: int


def names_of(state: State) -> tuple[str, ...]:
    """The position of every seat; P1, P2, ... where no button decides who begins. Where nobody is
    left to post the small blind, the seats begin with the big blind's."""
    count = state.player_count
    if state.streets[0].opening is not Opening.POSITION:
        return plain_names(count)
    if count > 2 and state.blinds_or_straddles[0] > 0 >= state.blinds_or_straddles[1]:
        return position_names(count + 1)[1:]
    return position_names(count)


def by_seat(state: State, amounts: Sequence[Amount]) -> tuple[Amount, ...]:
    """Blinds or antes by who posts them: with two players pokerkit keeps them swapped."""
    return tuple(amounts[::-1] if state.player_count == 2 else amounts)


def has_board(state: State) -> bool:
    """Whether all hole cards are dealt at once and the rest is a board: hold'em and Omaha."""
    first, *later = state.streets
    changed = any(street.hole_dealing_statuses or street.draw_status for street in later)
    return not changed and not first.draw_status and any(s.board_dealing_count for s in later)


def situation(
    state: State, story: Story, hole: Sequence[Card], game: str, seat: int | None = None
) -> Situation:
    """The decision of the player to act, who holds `hole`; or what `seat` knows while others act,
    with nothing to call and no bets to choose from."""
    acts = seat is None or seat == state.actor_index
    seat = state.actor_index if seat is None else seat
    assert seat is not None
    board = tuple(state.get_board_cards(0)) if state.board_cards else ()
    to_call = (state.checking_or_calling_amount or 0) if acts else 0
    least = state.min_completion_betting_or_raising_to_amount if acts else None
    most = state.max_completion_betting_or_raising_to_amount if acts else None
    if game.startswith("fixed-limit"):
        most = least  # pokerkit 0.7.7 lets FO/8, a fixed-limit game by name, be played pot-limit
    return Situation(
        game=game,
        names=names_of(state),
        seat=seat,
        phase=street_of(state),
        hole=tuple(hole),
        board=board,
        face_up=_face_up(state, seat),
        hand=hand_class(state, hole, board),
        blinds=by_seat(state, state.blinds_or_straddles),
        antes=by_seat(state, state.antes),
        stacks=tuple(state.starting_stacks),
        streets=story.so_far(),
        pot=state.total_pot_amount,
        highest=max(state.bets),
        to_call=to_call,
        facing_bet=any(state.bets),
        stack=state.stacks[seat],
        effective=state.get_effective_stack(seat),
        least=least,
        most=most,
        all_in=most is not None and most == state.stacks[seat] + state.bets[seat],
        bring_in=state.effective_bring_in_amount if acts and state.can_post_bring_in() else None,
        players_left=sum(state.statuses),
    )


def street_of(state: State) -> str:
    """ "preflop", "flop", "turn", "river"; "street_1", ... in games without a board."""
    if has_board(state):
        return BOARD_STREETS.get(sum(1 for _ in state.get_board_cards(0)), "")
    return f"street_{(state.street_index or 0) + 1}"


def _face_up(state: State, seat: int) -> tuple[tuple[int, tuple[Card, ...]], ...]:
    """The cards others have face up, before any showdown: stud games have such."""
    if has_board(state):
        return ()
    others = (other for other in state.player_indices if other != seat and state.statuses[other])
    up = ((other, tuple(state.get_up_cards(other))) for other in others)
    return tuple((other, cards) for other, cards in up if cards)


def hand_class(state: State, hole: Sequence[Card], board: Sequence[Card]) -> str:
    """The hand's class in words; "" in games for low hands and before there are five cards."""
    kind = state.hand_types[0]
    if kind.low:
        return ""
    if not board and has_board(state):
        return starting_hand(hole) if len(hole) == 2 else ""
    made = kind.from_game_or_none(hole, board)
    return made_hand(made) if made is not None else ""


def legal_moves(at: Situation) -> tuple[Move, ...]:
    """What could be done, in the words of a reply; of bets the least and the greatest.

    Any total between the two is legal as well. Folding is listed where there is a bet to fold to.
    """
    texts = []
    if at.bring_in is not None:
        texts.append(f"bring in {chips(at.bring_in)}")
    else:
        texts += ["fold", "call"] if at.to_call else ["check"]
    if at.least is not None and at.most is not None:
        texts += [bet_text(at, total) for total in dict.fromkeys((at.least, at.most))]
    return tuple(Move(index, text) for index, text in enumerate(texts))


def bet_text(at: Situation, total: Amount) -> str:
    """A bet or raise to `total` in the words of a reply: "bet 120", "raise to 300", "all-in"."""
    if at.all_in and total == at.most:
        return "all-in"
    if at.bring_in is not None:
        return f"complete to {chips(total)}"
    return f"raise to {chips(total)}" if at.facing_bet else f"bet {chips(total)}"
