"""One made hand of no-limit hold'em, played on pokerkit by scripted players.

pokerkit shuffles with Python's global generator; here every card comes from the hand's own, so the
same seed gives the same hand whatever else runs.
"""

from dataclasses import dataclass
from random import Random

from pokerkit import HandHistory, NoLimitTexasHoldem, State

from tesuji.games.poker.hand import AUTOMATIONS
from tesuji.games.poker.history import Story
from tesuji.games.poker.situation import Situation, names_of, situation
from tesuji.logs.synthetic.poker_players import STYLES, Style, choose

BLINDS = (50, 100)
BIG_BLIND = BLINDS[1]
TITLE = "no-limit hold'em"
DECK = tuple(rank + suit for rank in "23456789TJQKA" for suit in "cdhs")
NAMES = ("Ada", "Bo", "Cy", "Dee", "Eli", "Fay", "Gus", "Hal", "Ida")


@dataclass(frozen=True, slots=True)
class MadeHand:
    """A played hand: its history, its last state, and every decision as its player saw it."""

    number: int
    history: HandHistory
    state: State
    situations: tuple[Situation, ...]
    styles: tuple[Style, ...]


def play(number: int, seed: int, *, even: bool = False) -> MadeHand:
    """Play one hand; `even`: six players with 100 big blinds and no ante, as PokerBench has it."""
    rng = Random(f"poker/{seed}/{number}")
    seats = 6 if even else rng.randint(2, 6)
    stacks = [10000 if even else rng.choice((3000, 10000, 10000, 20000)) for _ in range(seats)]
    ante = 0 if even or rng.random() < 0.8 else 10
    styles = tuple(rng.choice(STYLES) for _ in range(seats))
    game = NoLimitTexasHoldem(AUTOMATIONS, True, ante, BLINDS, BIG_BLIND)
    state = game(tuple(stacks), seats)
    situations = tuple(_play_out(state, styles, rng))
    names = rng.sample(NAMES, seats)
    history = HandHistory.from_game_state(
        game, state, hand=number, players=names, table=f"made {seed}", author="tesuji"
    )
    return MadeHand(number, history, state, situations, styles)


def _play_out(state: State, styles: tuple[Style, ...], rng: Random) -> list[Situation]:
    story, read, seen = Story(state, names_of(state)), 0, []
    deck = rng.sample(DECK, len(DECK))
    while state.status:
        for operation in state.operations[read:]:
            story.read(operation)
        read = len(state.operations)
        if (seat := state.hole_dealee_index) is not None:
            state.deal_hole(deck.pop() + deck.pop(), seat)
        elif state.can_burn_card():
            state.burn_card("??")
        elif count := state.board_dealing_count:
            state.deal_board("".join(deck.pop() for _ in range(count)))
        else:
            seen.append(_act(state, story, styles, rng))
    return seen


def _act(state: State, story: Story, styles: tuple[Style, ...], rng: Random) -> Situation:
    assert state.actor_index is not None
    at = situation(state, story, state.hole_cards[state.actor_index], TITLE)
    choice = choose(styles[at.seat], at, rng)
    if choice.total is not None:
        state.complete_bet_or_raise_to(int(choice.total))
    elif choice.action == "fold":
        state.fold()
    else:
        state.check_or_call()
    return at
