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
ANTE = 10
RAKE = 20  # one chip in so many, of pots that saw a flop
TITLE = "no-limit hold'em"
DECK = tuple(rank + suit for rank in "23456789TJQKA" for suit in "cdhs")
NAMES = ("Ada", "Bo", "Bo K", "Dee: D", "Eli (2)", "Fay", "Gus", "Hal", "Ida")


@dataclass(frozen=True, slots=True)
class MadeHand:
    """A played hand: its history, its last state, and every decision as its player saw it."""

    number: int
    history: HandHistory
    state: State
    situations: tuple[Situation, ...]
    styles: tuple[Style, ...]

    @property
    def results(self) -> dict[str, int]:
        """Name → chips won or lost, the rake paid, as pokerkit counts them."""
        return dict(zip(self.history.players or (), self.state.payoffs, strict=True))


@dataclass(frozen=True, slots=True)
class _Table:
    stacks: tuple[int, ...]
    antes: tuple[int, ...]
    blinds: tuple[int, ...]  # a late one is negative, as pokerkit has it


def play(number: int, seed: int, *, even: bool = False) -> MadeHand:
    """Play one hand; `even`: six players with 100 big blinds and no ante, as PokerBench has it."""
    rng = Random(f"poker/{seed}/{number}")
    table = _Table((100 * BIG_BLIND,) * 6, (0,) * 6, (*BLINDS, 0, 0, 0, 0))
    if not even:
        table = _table(rng)
    seats = len(table.stacks)
    styles = tuple(rng.choice(STYLES) for _ in range(seats))
    trim = sum(map(bool, table.antes)) > 1
    game = NoLimitTexasHoldem(
        AUTOMATIONS, trim, table.antes, table.blinds, BIG_BLIND, rake=_no_rake if even else _rake
    )
    state = game(table.stacks, seats)
    situations = tuple(_play_out(state, styles, rng))
    names = rng.sample(NAMES, seats)
    history = HandHistory.from_game_state(
        game, state, hand=number, players=names, table=f"made {seed}", author="tesuji",
        ante_trimming_status=trim,
    )  # fmt: skip
    return MadeHand(number, history, state, situations, styles)


def _table(rng: Random) -> _Table:
    """A table of a tournament, with antes, or of a cash game, maybe with a straddle or with a blind
    posted late. Short stacks sit behind the blinds; one may have less than the ante."""
    seats = rng.randint(2, 6)
    stacks = [rng.choice((3000, 10000, 10000, 20000)) for _ in range(seats)]
    kind = rng.choice(("cash", "cash", "tournament", "straddle", "late", "returned"))
    antes, blinds = [0] * seats, [*BLINDS, *[0] * (seats - 2)]
    for seat in range(2, seats):
        if rng.random() < 0.3:
            stacks[seat] = rng.choice((250, 400, 1000))
    if kind == "tournament":
        antes = [ANTE] * seats
        if seats > 3 and rng.random() < 0.3:
            stacks[-1] = rng.choice((ANTE // 2, ANTE))
    elif seats > 3 and kind == "straddle":
        blinds[2] = 2 * BIG_BLIND
    elif seats > 3 and kind != "cash":
        blinds[-1] = -BIG_BLIND
        antes[-1] = BLINDS[0] if kind == "returned" else 0  # the small blind he missed, dead
    return _Table(tuple(stacks), tuple(antes), tuple(blinds))


def _rake(pot: int, state: State) -> tuple[int, int]:
    taken = pot // RAKE if any(state.board_cards) and not sum(map(bool, state.antes)) > 1 else 0
    return taken, pot - taken


def _no_rake(pot: int, state: State) -> tuple[int, int]:
    return 0, pot


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
